"""A generator and its critic refining together: stages, neighbours, known pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.networks import dcgan, perceptron
from gan_jax.search.collaboration import (
    STOPPINGS,
    Collaboration,
    Stops,
    improve,
    paint,
    propose,
    scores,
    standard,
    stops,
    trusted,
    visits,
)
from gan_jax.search.observation import Observation
from gan_jax.search.refinement import Refined
from tests.weights import first_weights

SIZE, COUNT = 8, 7
NONE = np.nan  # the objective of these networks is not paired


def wild(variables):
    """Draw parameters anew: networks without training hardly tell images apart."""
    leaves, tree = jax.tree.flatten(variables["params"])
    keys = jax.random.split(jax.random.key(6), len(leaves))
    drawn = [
        0.3 * jax.random.normal(key, leaf.shape)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return {**variables, "params": jax.tree.unflatten(tree, drawn)}


def players(conditional=False):
    generator = dcgan.generator(SIZE, 1, 4, 1, 3, conditional)
    critic = dcgan.critic(SIZE, 4, 1, 3, conditional)
    keys = jax.random.split(jax.random.key(0), 5)
    latents = jax.random.normal(keys[0], (COUNT, 5))
    condition = None
    if conditional:
        shape = (COUNT, SIZE, SIZE, 1)
        condition = tuple(jax.random.normal(key, shape) for key in keys[3:])
    g = first_weights(generator, keys[1], latents, condition)
    d = first_weights(critic, keys[2], jnp.ones((COUNT, SIZE, SIZE, 1)), condition)
    g, d = wild(g), wild(d)
    return Collaboration(generator, critic), g, d, latents, condition


def ends(limit, count=COUNT):
    return Stops(jnp.full(count, limit, jnp.int32), jnp.float32(-jnp.inf))


@pytest.mark.parametrize(
    "conditional", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_every_stage_can_be_refined(conditional):
    who, g, d, latents, condition = players(conditional)
    whole = who.generator.apply(g, latents, condition)
    stages = len(who.generator.stages)
    for layer in range(stages + 1):
        this = who._replace(layer=layer, rate=0.003)
        proposals = propose(this, g, latents, condition)
        problems = Observation(condition=condition)
        np.testing.assert_array_equal(paint(this, g, proposals, problems), whole)
        found = improve(this, g, d, proposals, problems, ends(8), NONE)
        assert (found.cost <= found.proposed).all()
        assert found.cost.mean() < found.proposed.mean()
        images = paint(this, g, found.activation, problems)
        costs = jax.nn.softplus(-scores(this, d, images, condition))
        np.testing.assert_allclose(costs, found.cost, rtol=1e-4)


@pytest.mark.parametrize("known", [False, True])
def test_a_result_does_not_depend_on_its_batch(known):
    who, g, d, latents, _ = players()
    who = who._replace(slots=3)
    problems = Observation()
    if known:
        values = jax.random.uniform(jax.random.key(9), (COUNT, SIZE, SIZE, 1))
        mask = jnp.ones_like(values).at[:, 2:6, 2:6].set(0)
        problems = Observation(values, mask)
    proposals = propose(who, g, latents)
    limits = jnp.arange(COUNT, dtype=jnp.int32) * 3 % 8
    threshold = jnp.median(improve(who, g, d, proposals, problems, ends(4), NONE).cost)
    whole = improve(who, g, d, proposals, problems, Stops(limits, threshold), NONE)
    for chosen in (np.array([6, 2, 0, 5, 1, 4, 3]), np.array([5, 3, 1])):
        some = jax.tree.map(lambda leaf, at=chosen: leaf[at], problems)
        found = improve(
            who, g, d, proposals[chosen], some, Stops(limits[chosen], threshold), NONE
        )
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_array_equal(one, other[chosen])
    assert (whole.steps <= limits).all() and len(set(whole.steps.tolist())) > 2


def test_known_pixels_are_untouched():
    who, g, d, latents, _ = players()
    values = jax.random.uniform(jax.random.key(9), (COUNT, SIZE, SIZE, 1))
    mask = jnp.ones_like(values).at[:, 2:6, 2:6].set(0)
    problems = Observation(values, mask)
    proposals = propose(who, g, latents)
    found = improve(who, g, d, proposals, problems, ends(8), NONE)
    images = paint(who, g, found.activation, problems)
    known = np.asarray(mask) > 0
    np.testing.assert_array_equal(np.asarray(images)[known], np.asarray(values)[known])
    before = paint(who, g, proposals, problems)
    assert (np.asarray(images)[~known] != np.asarray(before)[~known]).any()


def test_points_are_refined_in_the_plane():
    """Towards where the critic, a cone of its own, is highest."""
    generator = perceptron.generator(1, 2, 4, 1)
    critic = perceptron.critic(1, 4, 1)
    z = jax.random.normal(jax.random.key(0), (5, 2))
    g = first_weights(generator, jax.random.key(1), z)
    d = first_weights(critic, jax.random.key(2), jnp.ones((5, 1, 1, 2)))
    who = Collaboration(generator, critic, layer=len(generator.stages), rate=0.01)
    proposals = propose(who, g, z)
    assert proposals.shape == (5, 1, 1, 2)
    found = improve(who, g, d, proposals, Observation(), ends(5, 5), NONE)
    assert (found.cost <= found.proposed).all()


def test_stops_by_the_median_real_image_or_by_lot():
    who, *_ = players()
    real = standard(who.score_loss, jnp.array([3.0, 1.0, -2.0]))
    assert float(real.score) == 1
    assert float(real.cost) == pytest.approx(np.log1p(np.exp(-1.0)))
    certain = stops(who, jax.random.key(0), 4, real)
    assert certain.limits.tolist() == [50] * 4 and certain.threshold == real.cost
    every = stops(who._replace(stopping=STOPPINGS["best"]), jax.random.key(0), 4, real)
    assert every.limits.tolist() == [50] * 4 and float(every.threshold) == -np.inf
    by_lot = who._replace(stopping=STOPPINGS["probabilistic"])
    drawn = stops(by_lot, jax.random.key(0), 4000, real)
    assert int(drawn.limits.min()) == 0 and int(drawn.limits.max()) == 50
    assert float(drawn.limits.mean()) == pytest.approx(25, abs=1)
    assert float(drawn.threshold) == -np.inf


def test_best_makes_all_steps_and_keeps_the_best_score():
    """As the reference codes do, wherever real images score."""
    who, g, d, latents, _ = players()
    who = who._replace(stopping=STOPPINGS["best"], rate=30.0, steps=6)
    proposals = propose(who, g, latents)
    easy = standard(who.score_loss, jnp.full(3, -1e9))  # any image is as good
    ends = stops(who, jax.random.key(0), COUNT, easy)
    found = improve(who, g, d, proposals, Observation(), ends, NONE)
    assert (found.steps == 6).all()
    images = visits(who, g, d, proposals, Observation(), ends, NONE)
    assert images.shape == (7, COUNT, SIZE, SIZE, 1)
    np.testing.assert_allclose(
        images[0], paint(who, g, proposals, Observation()), atol=1e-5
    )
    scored = jnp.stack([scores(who, d, each) for each in images])
    kept = scores(who, d, paint(who, g, found.activation, Observation()))
    np.testing.assert_allclose(kept, scored.max(axis=0), rtol=1e-4, atol=1e-5)
    assert len(set(found.step.tolist())) > 1  # not all at the same step


def test_only_what_all_agree_on_is_kept():
    """Likelier, and no wider a jump at the edge than the slack allows."""
    zero = jnp.zeros(4)
    refined = Refined(
        zero, jnp.array([1.0, 3.0, 1.0, 1.0]), jnp.full(4, 2.0), zero, zero
    )
    before, after = jnp.full(4, 0.5), jnp.array([0.4, 0.4, 0.6, 0.51])
    assert trusted(refined, before, after).tolist() == [True, False, False, False]
    assert trusted(refined, before, after, 0.1).tolist() == [True, False, False, True]
