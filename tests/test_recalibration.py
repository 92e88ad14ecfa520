"""Statistics taken anew: those of the batches they are taken on, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.apps.train.prior import recalibrate
from gan_jax.losses import adversarial
from gan_jax.networks import dcgan
from gan_jax.training.method import Batch, Method
from gan_jax.training.state import Trained
from tests.weights import first_weights

SIZE, BATCH, LATENT = 8, 6, 5


def method(normalisation="batch"):
    return Method(
        generator=dcgan.generator(SIZE, 1, 4, 1, 3),
        critic=dcgan.critic(SIZE, 4, 2, 3, normalisation=normalisation),
        objective=adversarial.nonsaturating,
        latent=lambda key, count: jax.random.normal(key, (count, LATENT)),
        present=lambda key, batch: batch,
        generator_optimizer=optax.sgd(0.1),
        critic_optimizer=optax.sgd(0.1),
    )


def networks(of):
    image = jnp.ones((2, SIZE, SIZE, 1))
    generator = first_weights(of.generator, jax.random.key(0), jnp.ones((2, LATENT)))
    critic = first_weights(of.critic, jax.random.key(1), image)
    return Trained(jnp.int32(7), generator, critic)


def batches(count):
    keys = jax.random.split(jax.random.key(2), count)
    return [
        Batch(jnp.tanh(3 * jax.random.normal(key, (BATCH, SIZE, SIZE, 1))), None, None)
        for key in keys
    ]


def test_fixed_statistics_are_those_of_the_batch():
    of, key = method(), jax.random.key(3)
    (batch,) = batches(1)
    before = networks(of)
    found = recalibrate(of, before, [batch], key)
    latent = of.latent(jax.random.fold_in(key, 0), BATCH)
    fixed = of.generator.apply(found.generator, latent)
    own, _ = of.generator.apply(
        before.generator, latent, train=True, mutable=["batch_stats"]
    )
    np.testing.assert_allclose(fixed, own, atol=1e-5)
    # The critic's are of as many real images as generated ones.
    mixed = jnp.concatenate([batch.real, fixed])
    scores = of.critic.apply(found.critic, mixed)
    own, _ = of.critic.apply(before.critic, mixed, train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(scores, own, atol=1e-5)
    assert np.abs(scores - of.critic.apply(before.critic, mixed)).max() > 1e-3
    for one, other in zip(found, before, strict=True):
        if isinstance(one, dict):
            jax.tree.map(np.testing.assert_array_equal, one["params"], other["params"])


def test_several_batches_count_alike():
    of, key = method(), jax.random.key(3)
    before = networks(of)
    of_all = recalibrate(of, before, batches(3), key).generator["batch_stats"]
    alone = []
    for turn in range(3):
        latent = of.latent(jax.random.fold_in(key, turn), BATCH)
        _, seen = of.generator.apply(
            before.generator, latent, train=True, mutable=["batch_stats"]
        )
        # The running statistics begin at 0 and 1, and move a tenth of the way.
        alone.append(
            jax.tree.map(
                lambda new, old: (new - 0.9 * old) / 0.1,
                seen["batch_stats"],
                before.generator["batch_stats"],
            )
        )
    jax.tree.map(
        lambda found, *each: np.testing.assert_allclose(
            found, np.mean(each, axis=0), atol=1e-5
        ),
        of_all,
        *alone,
    )


@pytest.mark.parametrize("normalisation", ["spectral", "layer", "none"])
def test_networks_without_batch_normalisation_stay_as_they_are(normalisation):
    of = method(normalisation)
    before = networks(of)
    found = recalibrate(of, before, batches(2), jax.random.key(3))
    jax.tree.map(np.testing.assert_array_equal, found.critic, before.critic)
    changed = jax.tree.map(
        lambda one, other: bool((one != other).any()), found.generator, before.generator
    )
    assert any(jax.tree.leaves(changed["batch_stats"]))
    assert int(found.step) == 7
