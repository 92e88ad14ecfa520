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
from gan_jax.config.limits import Size
from gan_jax.data.masks import Known
from gan_jax.networks import unet
from gan_jax.runs.inference import draw_latents, field
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


@pytest.mark.parametrize("latent_map", [True, False])
def test_a_margin_is_made_and_cut_off(latent_map):
    # With the same parameters, as an image that is larger, its condition unknown there.
    margin, size = 2 * CELL // 2, 16
    make = partial(unet.generator, channels=1, width=4, depth=DEPTH, kernel=KERNEL)
    with_margin = make(size, latent_map=latent_map, margin=margin)
    whole = make(size + 2 * margin, latent_map=latent_map)
    latent, condition = inputs(size + 2 * margin, size + 2 * margin)
    latent = latent if latent_map else latent.reshape(1, -1)
    sides = (margin, -margin)
    inside = condition[:, slice(*sides), slice(*sides)]
    padded = jnp.pad(inside, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    variables = first_weights(whole, jax.random.key(1), latent, padded)
    expected = whole.apply(variables, latent, padded)[:, slice(*sides), slice(*sides)]
    made = with_margin.apply(variables, latent, inside)
    assert made.shape == (1, size, size, 1)
    np.testing.assert_array_equal(made, expected)


def method(**values):
    config = defaults.sibling("configs/geostatistics.py", "geostatistics", "smoke")
    config.unlock()
    config.update_from_flattened_dict({"network.margin": 0} | values)
    return methods.method(config, tasks.task(config), 1)


def test_latents_are_drawn_for_any_size():
    draw = method().latent
    key = jax.random.key(0)
    assert draw(key, 3).shape == (3, 4, 4, 8)
    assert draw(key, 2, (32, 208)).shape == (2, 2, 13, 8)
    with_margin = method(**{"network.margin": 8}).latent
    assert with_margin(key, 3).shape == (3, 5, 5, 8)
    assert with_margin(key, 2, (32, 208)).shape == (2, 3, 14, 8)
    with pytest.raises(ValueError, match="40x64 is no multiple of 16"):
        draw(key, 1, (40, 64))


def test_a_vector_makes_images_of_one_size():
    plain = method(**{"latent.form": "vector"})
    keys = jax.random.split(jax.random.key(0), 3)
    assert plain.latent(keys[0], 3).shape == (3, 8)
    assert draw_latents(plain, keys, Size(64, 64)).shape == (3, 8)
    with pytest.raises(InputError, match=r"63x64 .*were asked.*latent.form=map"):
        draw_latents(plain, keys, Size(63, 64))


SIDES = Size(37, 50)


@pytest.fixture(scope="module")
def drawn():
    """Return a method, its generator's variables and `field` for one size, compiled."""
    made = method(**{"network.width": 4, "network.depth": DEPTH})
    size = (64, 64)
    known = Known(jnp.zeros((1, *size, 1)), jnp.zeros((1, *size, 1)))
    latents = made.latent(jax.random.key(0), 1)
    variables = first_weights(made.generator, jax.random.key(1), latents, known)
    stronger = jax.tree.map(lambda leaf: 10 * leaf, variables["params"])
    run = jax.jit(partial(field, made), static_argnames="size")
    return made, partial(run, {**variables, "params": stronger}, size=SIDES)


def wells(count=1):
    values = jax.random.normal(jax.random.key(4), (count, *SIDES, 1)).clip(-1, 1)
    mask = (jax.random.uniform(jax.random.key(5), values.shape) < 0.02).astype(float)
    return Known(values * mask, mask)


def test_a_field_has_the_size_that_is_asked_for(drawn):
    made, make = drawn
    keys = jax.random.split(jax.random.key(7), 3)
    latents = draw_latents(made, keys, SIDES)
    assert latents.shape == (3, 10, 13, 8)
    fields = make(latents, wells())
    assert fields.shape == (3, *SIDES, 1)
    assert np.abs(fields).max() <= 1
    assert np.abs(np.diff(fields, axis=0)).mean() > 0.01  # different noise


def test_a_realisation_does_not_depend_on_its_batch(drawn):
    made, make = drawn
    keys = jax.random.split(jax.random.key(7), 3)
    together = make(draw_latents(made, keys, SIDES), wells())
    alone = make(draw_latents(made, keys[1:2], SIDES), wells())
    np.testing.assert_allclose(alone[0], together[1], atol=1e-5)
    each = make(
        draw_latents(made, keys, SIDES),
        jax.tree.map(lambda maps: maps.repeat(3, axis=0), wells()),
    )
    np.testing.assert_array_equal(each, together)


def test_a_field_is_padded_by_unknown_cells_at_the_right_and_at_the_bottom(drawn):
    made, make = drawn
    latents = draw_latents(made, jax.random.split(jax.random.key(7), 1), SIDES)
    told = wells()
    padded = jax.tree.map(
        lambda maps: np.pad(maps, ((0, 0), (0, 3), (0, 2), (0, 0))), told
    )
    whole = make.func(make.args[0], latents, padded, size=Size(40, 52))
    np.testing.assert_allclose(
        make(latents, told), whole[:, : SIDES[0], : SIDES[1]], atol=1e-5
    )


def test_the_memory_of_a_field_is_linear_in_its_cells():
    made = method()

    def bytes_of(height, width):
        size = Size(height, width)
        told = Known(*(jnp.zeros((1, *size, 1)) for _ in range(2)))
        state = jax.eval_shape(
            lambda key: made.generator.init(
                key, draw_latents(made, key.reshape(1), size), told
            ),
            jax.random.key(0),
        )
        run = jax.jit(
            lambda variables, keys, told: field(
                made, variables, draw_latents(made, keys, size), told, size
            )
        )
        keys = jax.random.split(jax.random.key(0), 1)
        compiled = run.lower(state, keys, told).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = bytes_of(128, 192), bytes_of(256, 384)
    assert 0 < large < 4.4 * small


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"network.generator": "dcgan"}, "choose --config.network.generator=latent_"),
        ({"latent.form": "maps"}, "known: vector, map"),
        ({"latent.prior": "none"}, "do not fit"),
        ({"network.margin": 4}, r"margin 4 is no multiple of 8.*choose 0, 8, 16"),
        (
            {
                "network.margin": 8,
                "network.generator": "dcgan",
                "latent.form": "vector",
            },
            "dcgan makes no margin",
        ),
    ],
)
def test_a_latent_that_does_not_fit_is_refused(values, reason):
    with pytest.raises(InputError, match=reason):
        method(**values)
