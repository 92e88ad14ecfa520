"""Generators and critics: sizes, stages, conditions, independence of neighbours."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.config.errors import InputError
from gan_jax.networks import autoencoder, dcgan, patch, perceptron, residual
from gan_jax.networks.layers import normalisation
from gan_jax.networks.layers.normalisation import BatchNorm
from tests.weights import first_weights

LATENT = 7


def condition(batch, size):
    maps = jax.random.normal(jax.random.key(3), (batch, size, size, 2))
    return {"values": maps[..., :1], "mask": maps[..., 1:]}


BUILDERS = {
    "dcgan": lambda **shape: dcgan.generator(**shape),
    "residual": lambda kernel, **shape: residual.generator(**shape),
    "perceptron": lambda kernel, **shape: perceptron.generator(**shape),
}


def build(size, depth, conditional, channels=1, kernel=5, name="dcgan"):
    network = BUILDERS[name](
        size=size,
        channels=channels,
        width=4,
        depth=depth,
        kernel=kernel,
        conditional=conditional,
    )
    latent = jax.random.normal(jax.random.key(0), (3, LATENT))
    given = condition(3, size) if conditional else None
    return (
        network,
        first_weights(network, jax.random.key(1), latent, given),
        latent,
        given,
    )


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("size", "depth", "channels", "kernel"),
    [
        (28, 2, 1, 5),
        pytest.param(32, 3, 3, 4, marks=pytest.mark.slow),
        pytest.param(64, 4, 3, 5, marks=pytest.mark.slow),
        (28, 1, 1, 3),
    ],
)
def test_any_size_and_every_stage_is_a_door(
    name, size, depth, channels, kernel, conditional
):
    network, variables, latent, given = build(
        size, depth, conditional, channels, kernel, name
    )
    whole = network.apply(variables, latent, given)
    assert whole.shape == (3, size, size, channels)
    if name != "perceptron":
        assert float(jnp.abs(whole).max()) <= 1
    for stage in range(len(network.stages) + 1):
        activation = network.apply(variables, latent, given, stop=stage)
        rest = network.apply(variables, activation, given, start=stage)
        assert bool((rest == whole).all())


@pytest.fixture(scope="module")
def norms():
    """Return our normalisation and flax's as `run(values, variables, train)`."""

    def run(module, values, variables, **mode):
        return module.apply(variables, values, **mode, mutable=["batch_stats"])

    ours = partial(run, BatchNorm())
    theirs = partial(nn.BatchNorm, momentum=0.9, use_fast_variance=False)
    return (
        lambda values, variables, train: ours(values, variables, train=train),
        lambda values, variables, train: run(
            theirs(use_running_average=not train), values, variables
        ),
    )


def test_normalisation_by_batch_is_that_of_flax(norms):
    values = 3 + 2 * jax.random.normal(jax.random.key(0), (4, 5, 3, 2))
    variables = first_weights(BatchNorm(), jax.random.key(2), values, train=True)
    weigh = jax.random.normal(jax.random.key(1), values.shape)

    def everything(run, variables):
        def loss(values, params):
            known = {**variables, "params": params}
            return (jnp.tanh(run(values, known, True)[0]) * weigh).sum()

        def steepness(values, params):
            return jnp.square(jax.grad(loss)(values, params)).sum()

        normed, statistics = run(values, variables, True)
        return {
            "normed": normed,
            "statistics": statistics,
            "inference": run(values, {**variables, **statistics}, False)[0],
            "slopes": jax.grad(loss, (0, 1))(values, variables["params"]),
            "of slopes": jax.grad(steepness, (0, 1))(values, variables["params"]),
        }

    ours, theirs = (jax.jit(partial(everything, run))(variables) for run in norms)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=2e-4, atol=2e-5), ours, theirs
    )
    assert np.abs(ours["of slopes"][0]).max() > 0.01


def test_normalisation_by_batch_of_what_is_almost_constant():
    values = 1000 + 0.01 * jax.random.normal(jax.random.key(0), (64, 4, 4, 1))
    variables = first_weights(BatchNorm(), jax.random.key(2), values, train=True)
    half, _ = BatchNorm().apply(
        variables, values.astype(jnp.bfloat16), train=True, mutable=["batch_stats"]
    )
    assert half.dtype == jnp.bfloat16
    _, changed = BatchNorm().apply(
        variables, values, train=True, mutable=["batch_stats"]
    )
    spread = (changed["batch_stats"]["var"] - 0.9) / 0.1
    np.testing.assert_allclose(spread, np.asarray(values, np.float64).var(), rtol=0.02)


@pytest.mark.parametrize("name", BUILDERS)
def test_generations_follow_the_condition(name):
    network, variables, latent, given = build(28, 2, True, name=name)
    other = jax.tree.map(lambda maps: -maps, given)
    difference = network.apply(variables, latent, given) - network.apply(
        variables, latent, other
    )
    assert float(jnp.abs(difference).max()) > 1e-3


CRITICS = {
    "dcgan": (dcgan.critic, (3,)),
    "residual": (residual.critic, (3,)),
    "patch": (patch.critic, (3, 7, 7)),
    "autoencoder": (autoencoder.critic, (3,)),
    "perceptron": (perceptron.critic, (3,)),
    "dense_autoencoder": (perceptron.autoencoder, (3,)),
}


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize("conditional", [False, True])
def test_critics_score_each_image_and_see_what_they_are_shown(name, conditional):
    build_critic, shape = CRITICS[name]
    network = build_critic(28, 4, 2, conditional=conditional)
    images = jax.random.normal(jax.random.key(0), (3, 28, 28, 1))
    given = condition(3, 28)
    variables = first_weights(network, jax.random.key(1), images, given)
    scores = network.apply(variables, images, given)
    assert scores.shape == shape
    assert scores.dtype == jnp.float32
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
        lambda: residual.generator(size, 1, 4, depth),
        lambda: residual.critic(size, 4, depth),
        lambda: patch.critic(size, 4, depth),
        lambda: autoencoder.critic(size, 4, depth),
    ):
        with pytest.raises(InputError, match="base \\* 2\\^depth"):
            build_network()


@pytest.mark.parametrize(
    "module",
    [
        dcgan,
        pytest.param(patch, marks=pytest.mark.slow),
        pytest.param(residual, marks=pytest.mark.slow),
        autoencoder,
        perceptron,
    ],
)
@pytest.mark.parametrize("kind", normalisation.NORMALISATIONS)
def test_only_batch_normalisation_lets_a_critic_see_its_neighbours(module, kind):
    critic = module.critic(8, 4, 2, normalisation=kind)
    images = jax.random.normal(jax.random.key(0), (6, 8, 8, 1))
    variables = first_weights(critic, jax.random.key(1), images, train=True)

    def score(images):
        scores, _ = critic.apply(
            variables, images, train=True, mutable=["batch_stats", "codes"]
        )
        return scores

    alone, together = score(images[:2]), score(images)[:2]
    same = np.allclose(alone, together, rtol=1e-5)
    assert same is (kind != "batch")


def test_spectral_norm_makes_every_layers_largest_singular_value_one():
    critic = dcgan.critic(8, 4, 2, 3, normalisation="spectral")
    images = jax.random.normal(jax.random.key(0), (6, 8, 8, 1))
    variables = first_weights(critic, jax.random.key(1), images, train=True)
    scale = jax.tree.map(lambda leaf: 50 * leaf, variables["params"])
    statistics = variables["batch_stats"]
    for _ in range(50):  # the power iteration goes on over the training steps
        scores, changed = critic.apply(
            {"params": scale, "batch_stats": statistics},
            images,
            train=True,
            mutable=["batch_stats"],
        )
        statistics = changed["batch_stats"]
    found = {
        jax.tree_util.keystr(path, simple=True, separator="/"): float(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(statistics)
        if "sigma" in jax.tree_util.keystr(path)
    }
    kernels = {
        name: np.asarray(scale[name]["kernel"]) for name in ("Conv_0", "Conv_1")
    } | {"Dense_0": np.asarray(scale["Dense_0"]["kernel"])}
    assert len(found) == 3
    for name, kernel in kernels.items():
        largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[1][0]
        (sigma,) = (value for key, value in found.items() if name in key)
        assert sigma == pytest.approx(largest, rel=1e-2)
    assert bool(jnp.isfinite(scores).all())


def test_energies_are_errors_of_reproduction_and_codes_are_kept():
    critic = autoencoder.critic(16, 4, 2)
    images = jax.random.uniform(jax.random.key(0), (3, 16, 16, 1), minval=-1)
    variables = first_weights(critic, jax.random.key(1), images)
    variables = {name: variables[name] for name in ("params", "batch_stats")}
    energies, kept = critic.apply(variables, images, mutable=["codes"])
    assert energies.shape == (3,) and bool((energies > 0).all())
    (codes,) = jax.tree.leaves(kept["codes"])
    assert codes.shape == (3, 4 * 4 * 8)

    # What reproduces nothing has the image's own mean square for an energy.
    parameters = jax.tree.map(jnp.zeros_like, variables["params"])
    blank = critic.apply({**variables, "params": parameters}, images)
    np.testing.assert_allclose(blank, (images**2).mean(axis=(1, 2, 3)), rtol=1e-6)


def test_a_block_that_nothing_normalises_begins_as_the_image_it_is_given():
    block = residual.Enlarge(4, "none")
    image = jax.random.normal(jax.random.key(0), (2, 5, 5, 4))
    variables = first_weights(block, jax.random.key(1), image, None, train=True)
    after = block.apply(variables, image, None, True)
    assert bool((after == image.repeat(2, axis=1).repeat(2, axis=2)).all())


def test_a_patch_sees_its_part_of_the_image_only():
    critic = patch.critic(64, 4, 2, normalisation="none")
    image = jax.random.normal(jax.random.key(0), (1, 64, 64, 1))
    variables = first_weights(critic, jax.random.key(1), image)
    slopes = jax.grad(lambda image: critic.apply(variables, image)[0, 8, 8].sum())(
        image
    )[0, :, :, 0]
    rows = np.flatnonzero(np.abs(slopes).sum(axis=1))
    # Two 4x4 convolutions of stride 2, two of stride 1: 4 + 3*2 + 3*4 + 3*4 = 34.
    assert np.ptp(rows) + 1 == 34


@pytest.mark.parametrize(("depth", "code"), [(0, 3), (1, 3), (2, 3), (4, 5), (3, 0)])
def test_a_dense_autoencoders_code_has_the_size_asked_for(depth, code):
    critic = perceptron.autoencoder(8, 16, depth, code)
    images = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))
    variables = first_weights(critic, jax.random.key(1), images)
    _, left = critic.apply(variables, images, mutable=["codes"])
    codes = left["codes"]["code"][0]
    assert codes.shape == (4, code or 16)
    layers = [
        leaf.shape for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim == 2
    ]
    assert len(layers) == depth + 1 + bool(code)
