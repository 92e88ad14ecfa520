"""Generators and critics: sizes, stages, conditions, independence of neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import InputError
from gan_jax.networks import dcgan

LATENT = 7


def condition(batch, size):
    maps = jax.random.normal(jax.random.key(3), (batch, size, size, 2))
    return {"values": maps[..., :1], "mask": maps[..., 1:]}


def build(size, depth, conditional, channels=1, kernel=5):
    network = dcgan.generator(size, channels, 4, depth, kernel, conditional)
    latent = jax.random.normal(jax.random.key(0), (3, LATENT))
    given = condition(3, size) if conditional else None
    return network, network.init(jax.random.key(1), latent, given), latent, given


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("size", "depth", "channels", "kernel"),
    [(28, 2, 1, 5), (32, 3, 3, 4), (64, 4, 3, 5), (28, 1, 1, 3)],
)
def test_any_size_and_every_stage_is_a_door(size, depth, channels, kernel, conditional):
    network, variables, latent, given = build(
        size, depth, conditional, channels, kernel
    )
    whole = network.apply(variables, latent, given)
    assert whole.shape == (3, size, size, channels)
    assert float(jnp.abs(whole).max()) <= 1
    for stage in range(len(network.stages) + 1):
        activation = network.apply(variables, latent, given, stop=stage)
        rest = network.apply(variables, activation, given, start=stage)
        assert bool((rest == whole).all())


def test_generations_follow_the_condition():
    network, variables, latent, given = build(28, 2, True)
    other = jax.tree.map(lambda maps: -maps, given)
    difference = network.apply(variables, latent, given) - network.apply(
        variables, latent, other
    )
    assert float(jnp.abs(difference).max()) > 1e-3


@pytest.mark.parametrize("conditional", [False, True])
def test_critics_score_each_image_and_see_what_they_are_shown(conditional):
    network = dcgan.critic(28, 4, 2, conditional=conditional)
    images = jax.random.normal(jax.random.key(0), (3, 28, 28, 1))
    given = condition(3, 28)
    variables = network.init(jax.random.key(1), images, given)
    scores = network.apply(variables, images, given)
    assert scores.shape == (3,)
    other = network.apply(variables, images, jax.tree.map(lambda maps: -maps, given))
    assert bool((scores != other).any()) is conditional


def test_running_statistics_keep_examples_apart():
    network, variables, latent, given = build(28, 2, True)
    whole = network.apply(variables, latent, given)
    alone = network.apply(variables, latent[:1], jax.tree.map(lambda m: m[:1], given))
    np.testing.assert_allclose(whole[:1], alone, atol=1e-6)


@pytest.mark.parametrize(("size", "depth"), [(30, 2), (28, 3), (4, 2), (28, 0)])
def test_a_size_that_cannot_be_made_is_refused(size, depth):
    for build_network in (
        lambda: dcgan.generator(size, 1, 4, depth),
        lambda: dcgan.critic(size, 4, depth),
    ):
        with pytest.raises(InputError, match="base \\* 2\\^depth"):
            build_network()
