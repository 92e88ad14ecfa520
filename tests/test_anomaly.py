"""D_TV: its loss by hand, its history, and a total variation that is known."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from ml_collections import ConfigDict
from scipy import stats

from gan_jax.apps.detect import history
from gan_jax.apps.detect.detector import CriticScorer
from gan_jax.apps.detect.diagnostics import history_scores
from gan_jax.apps.detect.history import History, Snapshots
from gan_jax.apps.detect.starts import detector_scale
from gan_jax.apps.detect.total_variation import (
    Scale,
    detector_method,
    energy_scale,
    fit_scale,
    initial_detector_state,
    make_detector_step,
)
from gan_jax.apps.train.setup import Run
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import ArraySource
from gan_jax.data.feed import resident
from gan_jax.losses import adversarial, anomaly
from gan_jax.networks import perceptron
from gan_jax.runs.prior import Prior
from gan_jax.tasks.samples import present
from gan_jax.training.method import LossInputs, Method
from gan_jax.training.step import make_stretch
from tests.weights import first_weights


def test_the_bound_is_zero_inside_and_quadratic_outside():
    scores = jnp.array([-3.0, -1.0, -0.4, 0.0, 1.0, 1.5, 2.0])
    found = anomaly.bound_penalty(scores)
    np.testing.assert_allclose(found, [4, 0, 0, 0, 0, 0.25, 1], atol=1e-6)
    slopes = jax.grad(lambda scores: anomaly.bound_penalty(scores).sum())(scores)
    np.testing.assert_allclose(slopes, [-4, 0, 0, 0, 0, 1, 2], atol=1e-6)


@settings(deadline=None)
@given(some.floats(-5, 5))
def test_the_bounds_slope_is_that_of_finite_differences(score):
    step = 1e-3
    ends = anomaly.bound_penalty(jnp.array([score - step, score + step]))
    slope = jax.grad(lambda at: anomaly.bound_penalty(at[None])[0])(jnp.float32(score))
    assert float(slope) == pytest.approx(
        float(ends[1] - ends[0]) / (2 * step), abs=0.02
    )


def test_the_objective_and_the_distance_by_hand():
    real, fake = jnp.array([0.5, 2.0]), jnp.array([-0.5, -3.0])
    loss = anomaly.total_variation.critic(real, fake)
    np.testing.assert_allclose(loss, [-1.0, -5.0])
    assert float(anomaly.distance(real, fake)) == pytest.approx((0.75 + 0.75) / 2)
    assert float(anomaly.distance(real, real)) == 0
    assert float(anomaly.distance(9 + real, fake - 9)) == 1


@settings(deadline=None)
@given(
    some.lists(some.integers(1, 10_000), min_size=1, unique=True),
    some.floats(0, 1),
    some.floats(0, 2000),
)
def test_weights_sum_to_one_and_fall_as_stated(steps, alpha, beta):
    steps = sorted(steps)
    found = history.snapshot_weights(steps, steps[-1], alpha, beta)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    times = np.array(steps) / steps[-1]
    assert (found[times < alpha] == 0).all()
    late = np.flatnonzero((times >= alpha) & (found > 1e-200))
    for one, next_one in itertools.pairwise(late):
        ratio = np.exp(-beta * (times[next_one] - times[one]))
        assert found[next_one] / found[one] == pytest.approx(ratio, rel=1e-6)


def test_no_snapshot_is_late_enough():
    with pytest.raises(ValueError, match=r"0\.9 or later"):
        history.snapshot_weights([80], 100, 0.9, 1.0)


def test_times_are_drawn_by_their_density():
    weights = history.snapshot_weights(range(100, 2100, 100), 2000, 0.2, 3.0)
    drawn = history.draw_snapshots(jax.random.key(3), jnp.float32(weights), 20_000)
    counts = np.bincount(drawn, minlength=20)
    possible = weights > 0
    assert counts[~possible].sum() == 0
    expected = 20_000 * weights[possible]
    assert stats.chisquare(counts[possible], expected).pvalue > 0.01
    # And by the continuous density, whose shares of each hundred steps these are.
    density = stats.truncexpon(b=3.0 * 0.85, loc=0.175, scale=1 / 3.0)
    shares = np.diff(density.cdf(np.arange(0.175, 1.03, 0.05)))
    assert stats.chisquare(counts[possible], 20_000 * shares).pvalue > 0.01


class Shift(nn.Module):
    """A generator that adds a number to its latent."""

    @nn.compact
    def __call__(self, latent, condition=None, train=False):
        by = self.param("by", nn.initializers.zeros, (1,))
        return (latent + by[None]).reshape(-1, 1, 1, 1)


def shifts(*by):
    return {"params": {"by": jnp.array(by)[:, None]}}


def snapshots(epoch):
    past = jax.tree.map(np.asarray, shifts(1.0, 2.0, 4.0, 8.0))  # as they are read
    return Snapshots([10, 20, 30, 40], past, past, 40, epoch)


def test_generators_count_from_alpha_and_critics_from_the_first_epoch_on():
    """By hand: beta 2 at t = 1/4, 1/2, 3/4, 1, each e^(1/2) times less than before."""
    falls = np.exp([0, -0.5, -1, -1.5])
    kept = snapshots(epoch=20)
    found = kept.history(0.7, 2.0)
    np.testing.assert_allclose(found.weights, falls[:2] / falls[:2].sum(), rtol=1e-6)
    np.testing.assert_array_equal(found.generators["params"]["by"], [[4], [8]])
    wanted = falls[:3] / falls[:3].sum()
    np.testing.assert_allclose(kept.critic_weights(2.0), [0, *wanted])
    mean = kept.mean_critic(2.0)["params"]["by"]
    np.testing.assert_allclose(mean, [wanted @ [2, 4, 8]], rtol=1e-6)
    # Late generators or early ones alone: the critics' mean is the same.
    assert len(kept.history(0.0, 2.0).weights) == 4
    with pytest.raises(InputError, match=r"^--config.detector.alpha: .* 1.1 or later"):
        kept.history(1.1, 2.0)


@pytest.mark.parametrize(
    ("epoch", "counted"), [(1, 4), (10, 4), (11, 3), (21, 2), (31, 1), (40, 1)]
)
def test_what_the_critic_was_before_an_epoch_is_not_in_the_mean(epoch, counted):
    wanted = [0.0] * (4 - counted) + [1 / counted] * counted
    np.testing.assert_allclose(snapshots(epoch).critic_weights(0.0), wanted)


def test_where_nothing_was_kept_after_an_epoch_all_critics_count():
    np.testing.assert_allclose(snapshots(41).critic_weights(0.0), [0.25] * 4)


class Brightness(nn.Module):
    """A critic whose score is linear in its parameter, as the mean's then is."""

    @nn.compact
    def __call__(self, image, condition=None, train=False):
        by = self.param("by", nn.initializers.zeros, (1,))
        return image.mean(axis=(1, 2, 3)) * by[0]


def test_the_figure_sets_the_mean_critic_beside_the_same_mean_of_critics():
    dark, bright = (np.full((3, 2, 2, 1), value, np.uint8) for value in (51, 255))
    run, prior = (Blank(*[None] * len(Blank._fields)) for Blank in (Run, Prior))
    found = history_scores(
        ConfigDict({"detector": {"alpha": 1.0, "beta": 0.0}}),
        run._replace(parts={"test": {"real": ArraySource("dark", dark)}}),
        prior._replace(config=ConfigDict({"network": {"critic": "dcgan"}})),
        snapshots(epoch=11),
        CriticScorer(method(Scale())._replace(critic=Brightness())),
        bright,
    )
    mean = -(2 + 4 + 8) / 3 * np.repeat([-0.6, 1.0], 3)
    np.testing.assert_allclose(found.mean_of_scores, mean, rtol=1e-5)
    np.testing.assert_allclose(found.score_of_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.anomalous[:, 0], [-1, -2, -4, -8], rtol=1e-5)


def test_the_mean_of_a_history_is_weighted():
    mean = history.weighted_mean(shifts(1.0, 3.0), jnp.array([0.25, 0.75]))
    np.testing.assert_allclose(mean["params"]["by"], [2.5])


@pytest.mark.parametrize("form", ["map", "vmap"])
def test_a_batch_holds_several_times(form):
    past = History(shifts(0.0, 10.0, 20.0), jnp.array([0.2, 0.3, 0.5]))
    latents = jnp.zeros((60, 1))
    images = history.sample_history(Shift(), past, latents, jax.random.key(0), 20, form)
    groups = np.asarray(images).reshape(20, 3)
    assert (groups == groups[:, :1]).all() and set(groups[:, 0]) == {0.0, 10.0, 20.0}
    with pytest.raises(ValueError, match="no 7 groups"):
        history.sample_history(Shift(), past, latents, jax.random.key(0), 7)


def test_scales_bring_scores_into_the_bound():
    real, fake = np.array([41.0, 43.0]), np.array([37.0, 39.0])
    scale = fit_scale(real, fake)
    np.testing.assert_allclose(scale(real), [0.5, 1.5])
    np.testing.assert_allclose(scale(fake), [-1.5, -0.5])
    energies = energy_scale(0.5)
    np.testing.assert_allclose(energies(np.array([0.0, 0.25, 0.5])), [1, 0, -1])


@pytest.mark.parametrize(
    ("critic", "start", "rescale", "wanted"),
    [
        ("dcgan", "mean", True, Scale(40.0, 2.0)),
        ("dcgan", "last", True, Scale(40.0, 2.0)),
        ("dcgan", "mean", False, Scale()),
        ("dcgan", "scratch", True, Scale()),
        ("autoencoder", "mean", True, Scale(0.25, -0.25)),
        ("linear_autoencoder", "components", True, Scale(0.25, -0.25)),
    ],
)
def test_which_scores_are_scaled(critic, start, rescale, wanted):
    """A saved critic's, unless they are to stay as they are; energies always."""
    settings = ConfigDict({"start": start, "rescale": rescale, "margin": 0.5})
    sides = np.array([41.0, 43.0]), np.array([37.0, 39.0])
    config = ConfigDict({"network": {"critic": critic}})
    assert detector_scale(config, settings, *sides) == wanted


def method(scale):
    plain = Method(
        Shift(),
        perceptron.critic(1, 64, 2),
        adversarial.wgan,
        lambda key, count: jax.random.normal(key, (count, 1)),
        present,
        optax.sgd(0.1),
        optax.sgd(0.1),
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, 3000))
    return detector_method(plain, optimizer, 10.0, scale)


def test_energies_are_low_for_what_is_normal():
    inputs = LossInputs(None, None, jnp.array([0.1]), jnp.array([0.7]), *[None] * 6)
    this = method(energy_scale(0.5))
    loss = this.objective.critic(inputs.real_scores, inputs.fake_scores)
    np.testing.assert_allclose(loss, [(1 - 2.8) - (1 - 0.4)], rtol=1e-5)
    np.testing.assert_allclose(
        this.critic_terms["bound"].value(inputs), [0.64], rtol=1e-5
    )


@pytest.mark.slow
def test_a_total_variation_that_is_known_is_recovered():
    """Normal images are N(0, 1), the history N(-1, 1) and N(2, 1), one to three."""
    draw = np.random.default_rng(0)
    real = draw.standard_normal((40_000, 1, 1, 1)).astype(np.float32)
    feed = resident({"real": ArraySource("normal", real)}, 512, 0)
    past = History(shifts(-1.0, 2.0), jnp.array([0.25, 0.75]))
    grid = np.linspace(-12, 12, 24_001)
    mixed = 0.25 * stats.norm.pdf(grid, -1) + 0.75 * stats.norm.pdf(grid, 2)
    wanted = np.abs(stats.norm.pdf(grid) - mixed).sum() * 0.001 / 2

    this = method(Scale())
    step = make_detector_step(this, feed.batch, 16, "map")
    advance = jax.jit(make_stretch(step, 3000))
    variables = first_weights(this.critic, jax.random.key(1), jnp.zeros((1, 1, 1, 1)))
    state = initial_detector_state(this, variables, jax.random.key(2))
    arrays = feed.load(0, 1, 1)
    state, logs = advance(state, arrays, jnp.int32(3000), past)
    assert set(logs.values) >= {"critic/adversarial", "critic/bound"}

    unseen = draw.standard_normal((40_000, 1, 1, 1)).astype(np.float32)
    latents = jnp.asarray(draw.standard_normal((40_000, 1)), jnp.float32)
    fake = history.sample_history(Shift(), past, latents, jax.random.key(9), 8000)
    scores = [
        this.critic.apply(state.critic.variables, one)
        for one in (jnp.asarray(unseen), fake)
    ]
    found = float(anomaly.distance(*scores))
    assert found == pytest.approx(wanted, abs=0.03), wanted
    again, _ = advance(
        initial_detector_state(this, variables, jax.random.key(2)),
        arrays,
        jnp.int32(3000),
        past,
    )
    same = jax.tree.map(np.array_equal, state.critic, again.critic)
    assert all(jax.tree.leaves(same))
