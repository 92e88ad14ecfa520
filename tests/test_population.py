"""A population is its runs: the same numbers, whichever way it is gone through."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.data.datasets.dataset import ArraySource
from gan_jax.data.feed import resident
from gan_jax.losses import adversarial
from gan_jax.networks import dcgan
from gan_jax.networks.compilation import run_once
from gan_jax.tasks import samples
from gan_jax.training import terms
from gan_jax.training.method import Method, Term
from gan_jax.training.population import gather, make_population, members, side_by_side
from gan_jax.training.schedules import boosted
from gan_jax.training.step import initial_state, make_step, make_stretch

SIZE, BATCH, RUNS, STEPS = 8, 8, 8, 5

RECIPE = Method(
    generator=dcgan.generator(SIZE, 1, 4, 1, 3),
    critic=dcgan.critic(SIZE, 4, 2, 3, normalisation="layer"),
    objective=adversarial.wgan,
    latent=lambda key, count: jax.random.normal(key, (count, 5)),
    present=samples.present,
    generator_optimizer=optax.adam(1e-3),
    critic_optimizer=optax.adam(1e-3),
    critic_terms={"gradient_penalty": Term(10.0, terms.gradient_penalty)},
    critic_steps=boosted(2, 4, every=3),
    generator_steps=2,
)


@pytest.fixture(scope="module")
def runs():
    """Eight runs of other data, orders, keys and penalties, and their ends."""
    random = np.random.default_rng(0)
    sets = random.integers(0, 256, (RUNS, 20, SIZE, SIZE, 1), np.uint8)
    feeds = [
        resident(
            {"real": ArraySource("n", images)},
            BATCH,
            seed,
        )
        for seed, images in enumerate(sets)
    ]
    arrays = [feed.load(0, 1, 1) for feed in feeds]
    batch = feeds[0].batch
    states = []
    for seed, own in enumerate(arrays):
        begin = partial(initial_state, RECIPE)
        state = run_once(begin, jax.random.key(seed), batch(own, jnp.int32(0)))
        weights = {"generator": {}, "critic": {"gradient_penalty": jnp.float32(seed)}}
        states.append(state._replace(weights=weights))
    stretch = make_stretch(make_step(RECIPE, batch), STEPS)
    single = jax.jit(stretch)
    ends = [
        single(state, own, jnp.int32(STEPS))
        for state, own in zip(states, arrays, strict=True)
    ]
    return stretch, states, arrays, ends


@pytest.mark.slow
@pytest.mark.parametrize(("form", "tolerance"), [("map", 0.0), ("vmap", 2e-4)])
def test_a_population_of_eight_equals_eight_runs(runs, form, tolerance):
    stretch, states, arrays, ends = runs
    together = jax.jit(make_population(stretch, form))
    after, logs = together(gather(states), side_by_side(arrays), jnp.int32(STEPS))
    assert int(after.step) == STEPS and int(after.critic_step) == 4 + 2 + 2 + 4 + 2
    for index, (end, log) in enumerate(ends):
        one = members(after)[index]
        own_log = jax.tree.map(lambda rows, index=index: rows[index], logs.values)
        assert jax.tree.structure(one) == jax.tree.structure(end)
        for found, wanted in zip(
            jax.tree.leaves((one.generator, one.critic, one.average, own_log)),
            jax.tree.leaves((end.generator, end.critic, end.average, log.values)),
            strict=True,
        ):
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    leaves = jax.tree.leaves(after.runs["generator"].parameters)
    assert all(bool((leaf[0] != leaf[1]).any()) for leaf in leaves if leaf.ndim > 2)


def test_runs_at_different_steps_are_no_population(runs):
    _, states, *_ = runs
    late = states[1]._replace(step=jnp.int32(3))
    with pytest.raises(ValueError, match="at one step"):
        gather([states[0], late])
