"""Shaping: the critic's own update, with what it has refined as the fakes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.apps.collaborate.shaping import epochs_of
from gan_jax.config.errors import InputError
from gan_jax.losses import adversarial
from gan_jax.networks import perceptron
from gan_jax.search.collaboration import STOPPINGS, Collaboration, paint, propose
from gan_jax.search.observation import Observation
from gan_jax.training.method import Batch, Method
from gan_jax.training.shaping import Lesson, shape
from gan_jax.training.state import Player
from gan_jax.training.updates import critic_update
from tests.weights import first_weights

BATCH = 6


@pytest.fixture(scope="module")
def parts():
    generator, critic = perceptron.generator(1, 2, 8, 1), perceptron.critic(1, 8, 1)
    keys = jax.random.split(jax.random.key(0), 4)
    latents = jax.random.normal(keys[0], (BATCH, 3))
    real = jax.random.normal(keys[1], (BATCH, 1, 1, 2)) + 2
    g, d = (
        first_weights(generator, keys[2], latents),
        first_weights(critic, keys[3], real),
    )
    method = Method(
        generator,
        critic,
        adversarial.nonsaturating,
        lambda key, count: jax.random.normal(key, (count, 3)),
        lambda key, batch: batch,
        optax.sgd(0.1),
        optax.sgd(0.1),
    )
    player = Player(d["params"], {}, method.critic_optimizer.init(d["params"]))
    lesson = Lesson(Batch(real, None, None), latents, Observation())
    return method, g, player, lesson


def test_without_refinement_it_is_the_update_of_training(parts):
    method, g, player, lesson = parts
    who = Collaboration(method.generator, method.critic, steps=0)
    found, log = shape(method, who, g, player, {}, lesson, jax.random.key(1))
    fake = method.generator.apply(g, lesson.latents)
    wanted, _ = critic_update(method, player, {}, lesson.batch, fake, jax.random.key(1))
    for one, other in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    assert float(log.values["refinement/steps"]) == 0


def test_refined_fakes_are_what_the_critic_learns(parts):
    """The fake score in the log is that of points moved uphill by hand."""
    method, g, player, lesson = parts
    layer = len(method.generator.stages)
    who = Collaboration(
        method.generator, method.critic, layer, rate=0.3, momentum=0.0, steps=1
    )

    def cost(image):
        score = method.critic.apply({"params": player.parameters}, image[None])
        return jax.nn.softplus(-score[0])

    # Real points far away, where the critic is surest, so that no proposal is as good.
    angles = jnp.linspace(0, 2 * jnp.pi, 32)
    ring = 50 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], -1).reshape(-1, 1, 1, 2)
    best = ring[jnp.argmin(jax.vmap(cost)(ring))]
    far = Batch(jnp.broadcast_to(best, lesson.batch.real.shape), None, None)
    lesson = lesson._replace(batch=far)
    _, log = shape(method, who, g, player, {}, lesson, jax.random.key(1))
    proposals = paint(who, g, propose(who, g, lesson.latents), Observation())
    moved = proposals - 0.3 * jax.vmap(jax.grad(cost))(proposals)
    before, after = jax.vmap(cost)(proposals), jax.vmap(cost)(moved)
    assert float(jnp.median(jax.vmap(cost)(far.real))) < float(before.min())
    for name, values in (("proposed", before), ("refined", jnp.minimum(before, after))):
        assert float(log.values[f"refinement/{name}"]) == pytest.approx(
            float(values.mean()), rel=1e-5
        )
    # The critic's update sees the refined points, not the proposals.
    fake = jnp.where((after < before).reshape(-1, 1, 1, 1), moved, proposals)
    scores = method.critic.apply({"params": player.parameters}, fake)
    assert float(log.values["critic/fake_score"]) == pytest.approx(
        float(scores.mean()), rel=1e-4
    )
    assert all(bool(sound) for sound in log.finite.values())


def test_the_critic_learns_to_refine(parts):
    """After shaping, the critic's own slopes lead nearer to the real points."""
    method, g, player, lesson = parts
    method = method._replace(critic_optimizer=optax.adam(0.02))
    player = player._replace(optimizer=method.critic_optimizer.init(player.parameters))
    layer = len(method.generator.stages)
    who = Collaboration(
        *(method.generator, method.critic, layer),
        rate=0.05,
        steps=20,
        stopping=STOPPINGS["probabilistic"],
    )
    step = jax.jit(lambda player, key: shape(method, who, g, player, {}, lesson, key))
    keys = jax.random.split(jax.random.key(2), 200)
    gaps = []
    for key in keys:
        player, log = step(player, key)
        gaps.append(float(log.values["refinement/proposed"]))
    # Proposals are told from real points, and what is refined is likelier.
    assert np.mean(gaps[-20:]) > np.mean(gaps[:20])
    assert log.values["refinement/refined"] < log.values["refinement/proposed"]


def test_snapshots_are_read():
    assert epochs_of("0.5,0.1", 2.0) == [0.0, 0.1, 0.5, 2.0]
    assert epochs_of("", 0.0) == [0.0]
    for wrong in ("3", "-1", "soon", "nan"):
        with pytest.raises(InputError, match="snapshots"):
            epochs_of(wrong, 2.0)
