"""Latents that are maps, and fields of any size made with them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.build import methods, tasks
from gan_jax.config import defaults
from gan_jax.config.errors import InputError
from gan_jax.networks import unet
from tests.weights import first_weights

DEPTH, KERNEL, CHANNELS = 2, 4, 3
CELL = 2**DEPTH
HEIGHT, WIDTH = 48, 64
NETWORK = unet.generator(16, 1, width=4, depth=DEPTH, kernel=KERNEL, latent_map=True)


def inputs(height, width, seed=0):
    """Return a latent map and a condition, of one image."""
    keys = jax.random.split(jax.random.key(seed))
    cells = (1, height // CELL, width // CELL, CHANNELS)
    return (
        jax.random.normal(keys[0], cells),
        jax.random.normal(keys[1], (1, height, width, 2)),
    )


@pytest.fixture(scope="module")
def network():
    """Return a generator whose layers all matter, with statistics of its own."""
    variables = first_weights(NETWORK, jax.random.key(1), *inputs(16, 16))
    stronger = jax.tree.map(lambda leaf: 10 * leaf, variables["params"])
    statistics = jax.tree.map(lambda leaf: leaf + 0.1, variables["batch_stats"])
    given = {"params": stronger, "batch_stats": statistics}
    return partial(jax.jit(NETWORK.apply), given)


def test_the_same_parameters_make_images_of_any_size(network):
    for height, width in ((16, 16), (8, 24), (HEIGHT, WIDTH)):
        made = network(*inputs(height, width))
        assert made.shape == (1, height, width, 1)
        assert made.std() > 0.1


@settings(deadline=None, max_examples=40)
@given(
    row=st.integers(0, HEIGHT - 1),
    column=st.integers(0, WIDTH - 1),
    of_latent=st.booleans(),
    change=st.floats(0.5, 100),
    seed=st.integers(0, 3),
)
def test_a_far_corner_changes_nothing(network, row, column, of_latent, change, seed):
    latent, condition = inputs(HEIGHT, WIDTH, seed)
    reach = unet.receptive_field(DEPTH, KERNEL)
    first, last = (row, column), (row, column)
    if of_latent:
        cell = (row // CELL, column // CELL)
        changed = latent.at[0, *cell].add(change), condition
        first = tuple(CELL * place for place in cell)
        last = tuple(CELL * place + CELL - 1 for place in cell)
    else:
        changed = latent, condition.at[0, row, column].add(change)
    before, after = network(latent, condition), network(*changed)
    difference = np.abs(np.asarray(after - before))[0, ..., 0]
    near = difference[
        max(0, first[0] - reach) : last[0] + reach + 1,
        max(0, first[1] - reach) : last[1] + reach + 1,
    ]
    assert near.max() > 1e-4
    near[...] = 0
    assert difference.max() <= 1e-5


@pytest.mark.parametrize(("depth", "kernel"), [(1, 5), (2, 4)])
def test_the_receptive_field_is_no_larger_than_it_is_said_to_be(depth, kernel):
    cell, reach = 2**depth, unet.receptive_field(depth, kernel)
    size = 4 * cell * -(-reach // cell)
    network = unet.generator(size, 1, 4, depth, kernel, latent_map=True)
    latent = jnp.zeros((1, size // cell, size // cell, 1))
    condition = jax.random.normal(jax.random.key(0), (1, size, size, 1))
    variables = first_weights(network, jax.random.key(1), latent, condition)
    middle = size // 2
    changed = jnp.concatenate(
        [condition]
        + [
            condition.at[0, place, place].add(9.0)
            for place in range(middle, middle + cell)
        ]
    )
    stronger = jax.tree.map(lambda leaf: 10 * leaf, variables["params"])
    made = jax.jit(network.apply)(
        {**variables, "params": stronger}, latent.repeat(cell + 1, 0), changed
    )
    farthest = max(
        np.abs(np.argwhere(image[..., 0] != made[0, ..., 0]) - place).max()
        for image, place in zip(made[1:], range(middle, middle + cell), strict=True)
    )
    assert farthest == reach


def test_what_is_moved_by_a_cell_makes_an_image_moved_by_a_cell(network):
    latent, condition = inputs(HEIGHT, WIDTH)
    moved = latent[:, :, 1:], condition[:, :, CELL:]
    reach = unet.receptive_field(DEPTH, KERNEL)
    np.testing.assert_allclose(
        network(*moved)[:, :, reach:],
        network(latent, condition)[:, :, CELL + reach :],
        atol=1e-5,
    )


def method(**values):
    config = defaults.sibling("configs/geostatistics.py", "geostatistics", "smoke")
    config.unlock()
    config.update_from_flattened_dict(values)
    return methods.method(config, tasks.task(config), 1)


def test_latents_are_drawn_for_any_size():
    draw = method().latent
    key = jax.random.key(0)
    assert draw(key, 3).shape == (3, 4, 4, 8)
    assert draw(key, 2, (32, 208)).shape == (2, 2, 13, 8)
    with pytest.raises(ValueError, match="40x64 is no multiple of 16"):
        draw(key, 1, (40, 64))


def test_a_vector_makes_images_of_one_size():
    draw = method(**{"latent.form": "vector"}).latent
    key = jax.random.key(0)
    assert draw(key, 3).shape == draw(key, 3, (64, 64)).shape == (3, 8)
    with pytest.raises(InputError, match=r"32x64 were asked.*--config.latent.form=map"):
        draw(key, 1, (32, 64))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"network.generator": "dcgan"}, "choose --config.network.generator=latent_"),
        ({"latent.form": "maps"}, "known: vector, map"),
        ({"latent.prior": "none"}, "do not fit"),
    ],
)
def test_a_latent_that_does_not_fit_is_refused(values, reason):
    with pytest.raises(InputError, match=reason):
        method(**values)
