"""The latent search: what it finds, what it keeps, and whom it does not disturb."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.search.completion import diverse
from gan_jax.search.latent import Search, minimise
from gan_jax.search.natural_gradient import natural_gradient
from tests.problems import SIZE, bowl, counting, network_search, problems, starts


def test_it_finds_the_minimum_of_every_problem():
    search = Search(bowl, optax.sgd(0.1), iterations=200)
    given = problems(10)
    found = minimise(search, starts(2, 10), given, slots=4, length=20)
    np.testing.assert_allclose(found.latent, given[0], atol=1e-4)
    assert found.loss.max() < 1e-7 and found.residual.max() < 1e-4
    assert found.restarts.latent.shape == (10, 2, SIZE)
    assert (found.loss == found.restarts.loss.min(axis=1)).all()
    assert (found.restarts.steps == 200).all()


def test_it_makes_the_steps_of_the_optimiser_written_out():
    optimizer = optax.adam(0.05)
    search = Search(bowl, optimizer, iterations=7)
    given, start = problems(1), starts(1, 1)
    found = minimise(search, start, given, slots=2, length=7)
    latent, losses = start[0, 0], []
    state = optimizer.init(latent)
    for _ in range(7):
        (loss, _), gradient = jax.value_and_grad(bowl, has_aux=True)(
            latent, (given[0][0], given[1][0])
        )
        losses.append(float(loss))
        updates, state = optimizer.update(gradient, state, latent)
        latent = optax.apply_updates(latent, updates)
    np.testing.assert_allclose(found.history[0], losses, rtol=1e-5)
    assert found.best_step[0] == int(np.argmin(losses))


def test_the_best_latent_is_kept_and_not_the_last():
    # A rate at which every step overshoots further.
    search = Search(bowl, optax.sgd(1.2), iterations=20)
    given = jnp.zeros((1, SIZE)), jnp.ones(1)
    start = jnp.full((1, 1, SIZE), 0.5)
    found = minimise(search, start, given, slots=1, length=10)
    assert found.best_step[0] == 0 and found.history[0, -1] > found.loss[0]
    np.testing.assert_array_equal(found.latent[0], start[0, 0])


def test_latents_stay_in_the_box():
    search = Search(
        bowl, optax.sgd(0.1), lambda latent: jnp.clip(latent, -0.25, 0.25), 200
    )
    given = problems(6)
    found = minimise(search, starts(1, 6), given, slots=4, length=25)
    np.testing.assert_allclose(found.latent, np.clip(given[0], -0.25, 0.25), atol=1e-3)
    assert np.abs(found.latent).max() <= 0.25


def test_of_the_restarts_the_one_of_the_smallest_loss_is_chosen():
    def valleys(latent, problem):
        """Two valleys along the first axis, the right one deeper."""
        x = latent[0]
        return jnp.square(x * x - 1) - 0.1 * x + jnp.square(latent[1:]).sum(), x

    search = Search(valleys, optax.sgd(0.05), iterations=200)
    start = jnp.array([[[-1.0, 0, 0]], [[0.9, 0, 0]], [[-0.5, 0, 0]]])
    found = minimise(search, start, jnp.zeros(1), slots=3, length=50)
    assert found.restart[0] == 1 and found.residual[0] > 0.9
    assert (found.restarts.residual[0, [0, 2]] < 0).all()


def test_a_search_that_is_not_finite_says_so_and_spoils_no_other():
    def broken(latent, problem):
        loss, residual = bowl(latent, problem)
        return jnp.where(problem[1] > 2.9, jnp.nan, loss), residual

    targets, _ = problems(3)
    given = targets, jnp.array([1.0, 3.0, 2.0])
    search = Search(broken, optax.sgd(0.1), iterations=200, patience=20)
    found = minimise(search, starts(2, 3), given, slots=2, length=20)
    assert np.isinf(found.loss[1]) and np.isfinite(found.latent).all()
    np.testing.assert_allclose(
        found.latent[[0, 2]], targets[jnp.array([0, 2])], atol=1e-3
    )


def test_what_has_converged_leaves_and_the_queue_costs_the_mean():
    given = jnp.zeros((12, SIZE)), jnp.where(jnp.arange(12) % 6 == 0, 0.01, 2.0)
    turns = []
    search = Search(bowl, optax.sgd(0.2), iterations=1000, patience=20)
    found = minimise(
        search, starts(1, 12), given, slots=4, length=10, compiled=counting(turns)
    )
    steps = found.restarts.steps[:, 0]
    assert steps.max() > 10 * np.median(steps) and found.loss.max() < 1e-3
    # Three rounds of four, each as long as its slowest, would take more.
    waves = steps.reshape(3, 4).max(axis=1).sum()
    assert len(turns) * 10 < 0.8 * waves
    assert np.isnan(found.history[1, steps[1] :]).all()
    assert np.isfinite(found.history[1, : steps[1]]).all()


@pytest.mark.parametrize("patience", [0, 5])
def test_an_image_does_not_see_its_neighbours(patience):
    search = network_search(patience)
    images = jnp.tanh(jax.random.normal(jax.random.key(3), (12, 8, 8, 1)))
    start = jax.random.normal(jax.random.key(4), (2, 12, 5))
    found = minimise(search, start, images, slots=8, length=10)
    order = np.random.default_rng(0).permutation(12)
    other = minimise(search, start[:, order], images[order], slots=8, length=10)
    few = minimise(search, start[:, :3], images[:3], slots=8, length=10)
    for name in ("latent", "loss", "residual", "best_step", "restart", "history"):
        one, two = getattr(found, name), getattr(other, name)
        np.testing.assert_array_equal(one[order], two)
        np.testing.assert_array_equal(one[:3], getattr(few, name))
    alone = minimise(search, start[:, :1], images[:1], slots=1, length=10)
    np.testing.assert_allclose(alone.residual, found.residual[:1], rtol=1e-2)


def test_a_search_without_images_or_slots_is_refused():
    search = Search(bowl, optax.sgd(0.1))
    for start, slots in ((starts(1, 0), 4), (starts(0, 2), 4), (starts(1, 2), 0)):
        with pytest.raises(ValueError, match="a search needs one of each"):
            minimise(search, start, problems(2), slots=slots)


def test_diverse_completions_begin_with_the_best_and_then_the_farthest():
    values = np.array([0.0, 0.1, 1.0, -0.8, 0.9])
    completions = np.ones((5, 2, 2, 1)) * values.reshape(-1, 1, 1, 1)
    loss = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    assert diverse(completions, loss, 3).tolist() == [1, 2, 3]
    assert sorted(diverse(completions, loss, 5).tolist()) == [0, 1, 2, 3, 4]
    same = diverse(np.zeros((3, 2, 2, 1)), np.arange(3.0), 3)
    assert sorted(same.tolist()) == [0, 1, 2]
    with pytest.raises(ValueError, match="6 of 5"):
        diverse(completions, loss, 6)


def test_it_ends_where_known_values_are_met():
    given = jnp.zeros((4, SIZE)), jnp.array([0.1, 0.5, 1.0, 2.0])
    search = Search(bowl, optax.sgd(0.1), iterations=500, tolerance=0.01)
    found = minimise(search, starts(1, 4), given, slots=2, length=1)
    assert (found.residual <= 0.01).all() and (found.residual > 0.005).all()
    assert (np.diff(found.restarts.steps[:, 0]) < 0).all()


def test_an_optimiser_may_measure_the_loss_elsewhere():
    def valley(latent, problem):
        """A bent valley that plain descent follows slowly (Rosenbrock)."""
        x, y, _ = latent
        loss = jnp.square(problem - x) + 100 * jnp.square(y - x * x)
        return loss, loss

    start = jnp.array([[[-1.0, 1.0, 0.0]] * 2])
    losses = [
        minimise(Search(valley, optimizer, iterations=40), start, jnp.ones(2), 2).loss
        for optimizer in (optax.sgd(1e-3), optax.lbfgs())
    ]
    assert (losses[0] > 0.1).all() and (losses[1] < 1e-6).all()


def steep(latent, problem):
    """A bowl a thousand times as steep along one slanted direction as along others."""
    along = jnp.array([0.6, 0.64, 0.48])
    error = latent - problem
    loss = jnp.square(error).sum() + 1e3 * jnp.square(error @ along)
    return loss, jnp.abs(error).mean()


def test_whitened_gradients_do_not_mind_how_steep_a_direction_is():
    targets, _ = problems(8)
    rate = optax.cosine_decay_schedule(0.05, 150)
    errors = [
        minimise(
            Search(steep, optimizer, iterations=150), starts(1, 8), targets, 8
        ).residual
        for optimizer in (optax.adam(rate), natural_gradient(rate))
    ]
    assert np.median(errors[1]) < 0.1 * np.median(errors[0])
    assert errors[1].max() < 1e-2


def test_a_whitened_step_is_as_long_as_its_rate_and_by_hand():
    optimizer = natural_gradient(0.1, momentum=0.5, decay=0.9, damping=0.01)
    gradients = [jnp.array([3.0, 0.0, 4.0]), jnp.array([0.0, -2.0, 0.0])]
    state = optimizer.init(jnp.zeros(3))
    moment, mean = 0.01 * np.eye(3), np.zeros(3)
    for gradient in gradients:
        step, state = optimizer.update(gradient, state)
        direction = np.asarray(gradient) / np.linalg.norm(gradient)
        moment = 0.9 * moment + 0.1 * np.outer(direction, direction)
        inverse = np.linalg.inv(moment)
        # On the average the inverse is kept at 1 / damping.
        inverse /= max(1, np.trace(inverse) * 0.01 / 3)
        moment = np.linalg.inv(inverse)
        mean = 0.5 * mean + 0.5 * direction
        expected = inverse @ mean
        expected *= -0.1 / np.sqrt(np.square(expected).mean())
        np.testing.assert_allclose(step, expected, rtol=1e-3, atol=1e-5)
        assert np.sqrt(np.square(step).mean()) == pytest.approx(0.1, rel=1e-4)
    # A gradient of nothing moves nothing out of its numbers.
    still, _ = optimizer.update(jnp.zeros(3), state)
    assert np.isfinite(still).all()
