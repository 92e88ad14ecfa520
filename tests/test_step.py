"""The train step as a library: what it updates, logs, guards and repeats exactly."""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.config.errors import DivergedError
from gan_jax.data.masks import random_pixels
from gan_jax.losses import adversarial
from gan_jax.networks import autoencoder, dcgan
from gan_jax.runs.loop import check
from gan_jax.tasks import pixels
from gan_jax.training import terms
from gan_jax.training.method import Method, Term
from gan_jax.training.schedules import boosted
from gan_jax.training.state import moving_average
from gan_jax.training.step import make_step, make_stretch
from gan_jax.training.updates import critic_update
from tests.steps import BATCH, SIZE, begin, noise_feed


def method(**changes):
    draw = partial(random_pixels, size=SIZE, count=3)
    task = pixels.task(draw, weight=5.0)
    values = {
        "generator": dcgan.generator(SIZE, 1, 4, 1, 3, conditional=True),
        "critic": dcgan.critic(SIZE, 4, 2, 3),
        "objective": adversarial.nonsaturating,
        "latent": lambda key, count: jax.random.normal(key, (count, 5)),
        "present": task.present,
        "generator_optimizer": optax.sgd(0.1),
        "critic_optimizer": optax.sgd(0.1),
        "generator_terms": task.generator_terms,
    }
    return Method(**{**values, **changes})


@pytest.fixture(scope="module")
def feed():
    return noise_feed()


def changed(before, after):
    leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    return [bool((one != other).any()) for one, other in leaves]


def test_a_step_moves_both_players_and_logs_every_addend(feed):
    this = method(critic_terms={"square": Term(0.5, lambda p: p.real_scores**2)})
    state, arrays = begin(this, feed)
    after, log = jax.jit(make_step(this, feed.batch))(state, arrays, None)
    assert int(after.step) == int(after.critic_step) == 1
    assert all(changed(state.generator.parameters, after.generator.parameters))
    assert any(changed(state.critic.parameters, after.critic.parameters))
    values = log.values
    assert float(values["critic/loss"]) == pytest.approx(
        float(values["critic/adversarial"] + values["critic/square"]), rel=1e-6
    )
    assert float(values["generator/loss"]) == pytest.approx(
        float(values["generator/adversarial"] + values["generator/pixel_fidelity"]),
        rel=1e-6,
    )
    assert all(bool(sound) for sound in log.finite.values())


def test_weights_are_traced(feed):
    this = method()
    state, arrays = begin(this, feed)
    step = jax.jit(make_step(this, feed.batch))
    _, five = step(state, arrays, None)
    weights = {"generator": {"pixel_fidelity": jnp.float32(10)}, "critic": {}}
    _, ten = step(state._replace(weights=weights), arrays, None)
    assert float(ten.values["generator/pixel_fidelity"]) == pytest.approx(
        2 * float(five.values["generator/pixel_fidelity"]), rel=1e-5
    )


def test_critic_steps_follow_their_schedule(feed):
    this = method(critic_steps=lambda step: jnp.where(step == 0, 3, 1))
    state, arrays = begin(this, feed)
    step = jax.jit(make_step(this, feed.batch))
    state, _ = step(state, arrays, None)
    assert int(state.critic_step) == 3
    state, _ = step(state, arrays, None)
    assert int(state.critic_step) == 4


@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_generator_updates_draw_latents_of_their_own_and_are_averaged(feed, times):
    """Against updates by hand: of step n they are number n * times and following."""
    this = method(generator_steps=times, average_decay=0.5)
    state, arrays = begin(this, feed)
    step = jax.jit(make_step(this, feed.batch))
    before, _ = step(state, arrays, None)
    after, log = step(before, arrays, None)

    def loss(parameters, statistics, example, key):
        latent = this.latent(jax.random.split(key)[0], BATCH)
        generator = {"params": parameters, **statistics}
        mode = {"train": True, "mutable": ["batch_stats"]}
        fake, changed = this.generator.apply(
            generator, latent, example.condition, **mode
        )
        scores, _ = this.critic.apply(after.critic.variables, fake, **mode)
        known, mask = example.condition
        fidelity = (mask * (known - fake) ** 2).sum((1, 2, 3)) / 3
        return (jax.nn.softplus(-scores) + 5.0 * fidelity).mean(), changed

    @jax.jit
    def by_hand(before, arrays):
        fold, key = jax.random.fold_in, before.key
        batch = feed.batch(arrays, jnp.int32(1))
        example = this.present(fold(fold(key, 0), 1), batch)
        parameters, statistics = before.generator[:2]
        average = before.average
        for number in range(times, 2 * times):
            (total, statistics), slopes = jax.value_and_grad(loss, has_aux=True)(
                parameters, statistics, example, fold(fold(key, 2), number)
            )
            parameters = jax.tree.map(lambda at, by: at - 0.1 * by, parameters, slopes)
            now = {"params": parameters, **statistics}
            rate = max(0.5, 9 / (10 + number))
            average = jax.tree.map(
                lambda old, new, rate=rate: (1 - rate) * old + rate * new, average, now
            )
        return now, average, total

    found = after.generator.variables, after.average, log.values["generator/loss"]
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, found, by_hand(before, arrays))
    assert int(after.step) == int(after.critic_step) == 2


def test_what_is_not_finite_in_one_generator_update_is_found_after_the_next(feed):
    def first_only(inputs):
        first = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, 2), 0))[1]
        same = jax.random.key_data(inputs.key) == jax.random.key_data(first)
        return jnp.where(same.all(), jnp.nan, 0.0)

    this = method(generator_steps=2, generator_terms={"bad": Term(1.0, first_only)})
    state, arrays = begin(this, feed)
    key = state.key
    _, logs = jax.jit(make_stretch(make_step(this, feed.batch), 1))(
        state, arrays, jnp.int32(1)
    )
    assert float(logs.values["generator/bad"][0]) == 0
    with pytest.raises(DivergedError, match="step 1: generator term bad"):
        check(jax.device_get(logs), 0, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_stretch_equals_single_steps_bit_by_bit_however_it_is_cut(feed, times):
    this = method(generator_steps=times)
    state, arrays = begin(this, feed)
    stretch = jax.jit(make_stretch(make_step(this, feed.batch), 5))
    whole, logs = stretch(state, arrays, jnp.int32(5))
    first, _ = stretch(state, arrays, jnp.int32(2))
    cut, _ = stretch(first, arrays, jnp.int32(3))
    keyless = [state._replace(key=jnp.zeros(())) for state in (whole, cut)]
    assert not any(changed(*keyless))
    assert logs.values["critic/loss"].shape == (5,)


def test_a_critic_is_updated_on_fakes_from_anywhere(feed):
    this = method()
    state, arrays = begin(this, feed)
    example = this.present(jax.random.key(1), feed.batch(arrays, jnp.int32(0)))
    critic = state.critic
    gaps = []
    for _ in range(20):
        critic, log = critic_update(
            this, critic, {}, example, -jnp.ones_like(example.real), jax.random.key(2)
        )
        gaps.append(float(log.values["critic/adversarial"]))
    assert gaps[-1] < 0.5 * gaps[0]


@pytest.mark.parametrize("player", ["generator", "critic"])
def test_a_nan_parameter_is_named_as_the_cause(feed, player):
    this = method()
    state, arrays = begin(this, feed)
    stretch = jax.jit(make_stretch(make_step(this, feed.batch), 4))
    state, _ = stretch(state, arrays, jnp.int32(2))
    network = getattr(state, player)
    poisoned = jax.tree.map(lambda leaf: leaf, network.parameters)
    path = {"generator": ("stages_3", "Conv_0"), "critic": ("Conv_1",)}[player]
    place = poisoned
    for name in path:
        place = place[name]
    place["kernel"] = place["kernel"].at[0, 0, 0, 0].set(jnp.nan)
    state = state._replace(**{player: network._replace(parameters=poisoned)})
    _, logs = stretch(state, arrays, jnp.int32(4))
    with pytest.raises(DivergedError) as error:
        check(jax.device_get(logs), 2, 4)
    cause = f"step 3: {player} parameter {'/'.join(path)}/kernel"
    assert cause in str(error.value)


def test_a_nan_in_a_batch_is_named_as_the_cause(feed):
    this = method()

    def poisoned(key, batch):
        example = this.present(key, batch)
        return example._replace(real=example.real.at[0, 0, 0, 0].set(jnp.nan))

    state, arrays = begin(this, feed)
    step = make_step(this._replace(present=poisoned), feed.batch)
    _, logs = jax.jit(make_stretch(step, 2))(state, arrays, jnp.int32(2))
    with pytest.raises(DivergedError, match="step 1: critic batch real"):
        check(jax.device_get(logs), 0, 2)


def test_the_moving_average_forgets_its_start_then_slows():
    early = moving_average(jnp.zeros(()), jnp.ones(()), jnp.int32(0), 0.999)
    late = moving_average(jnp.zeros(()), jnp.ones(()), jnp.int32(10**6), 0.999)
    assert float(early) == pytest.approx(0.9)
    assert float(late) == pytest.approx(0.001, rel=1e-3)


def test_weights_are_inside_the_box_exactly_after_every_step(feed):
    bound = 0.01
    this = method(
        objective=adversarial.wgan,
        critic_optimizer=optax.rmsprop(5e-3),
        critic_steps=boosted(2),
        critic_projection=lambda parameters: optax.tree.clip(parameters, -bound, bound),
    )
    state, arrays = begin(this, feed)
    step = jax.jit(make_step(this, feed.batch))
    for _ in range(3):
        state, _ = step(state, arrays, None)
        leaves = jax.tree.leaves(state.critic.parameters)
        assert max(float(jnp.abs(leaf).max()) for leaf in leaves) == np.float32(bound)
        assert any(float(jnp.abs(leaf).min()) < bound for leaf in leaves)


def test_a_gradient_penalty_is_a_term_like_any_other(feed):
    this = method(
        objective=adversarial.wgan,
        critic=dcgan.critic(SIZE, 4, 2, 3, normalisation="layer"),
        critic_terms={"gradient_penalty": Term(10.0, terms.gradient_penalty)},
        critic_optimizer=optax.sgd(0.01),
    )
    state, arrays = begin(this, feed)
    stretch = jax.jit(make_stretch(make_step(this, feed.batch), 30))
    _, logs = stretch(state, arrays, jnp.int32(30))
    course = np.asarray(logs.values["critic/gradient_penalty"])
    assert course[0] > 1  # the critic begins almost flat: (0 - 1)^2 * 10
    # A single step's is chance: rounding decides it after a dozen steps.
    assert np.median(course[-15:]) < 0.3 * course[0]


def test_pulling_away_sees_the_codes_of_an_autoencoder_and_moves_the_generator(feed):
    this = method(
        objective=adversarial.ebgan(1.0),
        critic=autoencoder.critic(SIZE, 4, 2),
        generator_terms={"pulling_away": Term(0.1, terms.pulling_away)},
    )
    state, arrays = begin(this, feed)
    step = jax.jit(make_step(this, feed.batch))
    after, log = step(state, arrays, None)
    assert 0 < float(log.values["generator/pulling_away"]) <= 0.1
    without = this._replace(generator_terms={})
    state = state._replace(weights={**state.weights, "generator": {}})
    other, _ = jax.jit(make_step(without, feed.batch))(state, arrays, None)
    assert any(changed(after.generator.parameters, other.generator.parameters))


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["nonsaturating", "wgan"])
def test_low_precision_keeps_parameters_and_penalties_in_full(feed, objective):
    def run(dtype):
        critic = dcgan.critic(SIZE, 4, 2, 3, normalisation="layer", dtype=dtype)
        this = method(
            generator=dcgan.generator(SIZE, 1, 4, 1, 3, True, dtype=dtype),
            critic=critic,
            penalised=critic.clone(dtype=jnp.float32),
            objective=getattr(adversarial, objective),
            critic_terms={
                "gradient_penalty": Term(10.0, terms.gradient_penalty),
                "real_penalty": Term(0.5, terms.real_penalty),
            },
        )
        state, arrays = begin(this, feed)
        return jax.jit(make_step(this, feed.batch))(state, arrays, None)

    exact = run(jnp.float32)[1].values
    half, log = run(jnp.bfloat16)
    rough = log.values
    for leaf in jax.tree.leaves((half.generator, half.critic, half.average)):
        assert leaf.dtype in (jnp.float32, jnp.int32)
    # R1 looks at real images alone, with the same parameters: it is the same number.
    name = "critic/real_penalty"
    assert float(rough[name]) == float(exact[name])
    name = "critic/adversarial"
    assert float(rough[name]) != float(exact[name])
    assert float(rough[name]) == pytest.approx(float(exact[name]), abs=0.05)


def test_the_adversarial_part_of_a_generator_has_a_weight(feed):
    """The networks are the same, so is what the critic says."""

    def adversarial(weight):
        this = method(adversarial_weight=weight)
        state, arrays = begin(this, feed)
        _, log = jax.jit(make_step(this, feed.batch))(state, arrays, None)
        return float(log.values["generator/adversarial"])

    assert adversarial(0.25) == pytest.approx(adversarial(1.0) / 4, rel=1e-5)


class Talker(nn.Module):
    """A generator that says more than an image, and drops some of it in training."""

    class Said(NamedTuple):
        image: jax.Array
        words: jax.Array

    @nn.compact
    def __call__(self, latent, condition=None, train=False):
        inner = nn.Dropout(0.5, deterministic=not train)(nn.Dense(64)(latent))
        return self.Said(jnp.tanh(inner).reshape(-1, SIZE, SIZE, 1), inner)


def test_a_term_sees_all_that_a_generator_says_and_what_is_frozen(feed):
    def words(inputs):
        return inputs.frozen["worth"] * jnp.square(inputs.generated.words).mean(axis=1)

    this = method(generator=Talker(), generator_terms={"words": Term(2.0, words)})
    state, arrays = begin(this, feed)
    step = jax.jit(make_step(this, feed.batch))
    logs = [
        step(state, arrays, {"worth": jnp.float32(worth)})[1].values["generator/words"]
        for worth in (1.0, 3.0, 3.0)
    ]
    assert float(logs[0]) > 0
    assert float(logs[1]) == pytest.approx(3 * float(logs[0]), rel=1e-5)
    assert float(logs[1]) == float(logs[2])  # what is dropped is a function of the key
