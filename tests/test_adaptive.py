"""The adaptive probability of augmentation, and augmentation in the train step."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.data import augmentation
from gan_jax.data.feed import LabelledImages
from gan_jax.data.masks import random_pixels
from gan_jax.losses import adversarial, overfitting
from gan_jax.losses.overfitting import Overfitting
from gan_jax.networks.packing import Packed
from gan_jax.tasks import pixels
from gan_jax.training import terms
from gan_jax.training.method import Augmentation, Method, Term
from gan_jax.training.schedules import WINDOW, adaptive, adjusted
from gan_jax.training.state import TrainState, stored
from gan_jax.training.step import VALIDATION, make_step, make_stretch
from gan_jax.training.updates import critic_view
from tests.steps import BATCH, SIZE, begin, noise_feed


class Painter(nn.Module):
    """A generator that compiles at once: a dense layer; the condition is ignored."""

    @nn.compact
    def __call__(self, latent, condition=None, train=False):
        values = nn.tanh(nn.Dense(SIZE * SIZE)(latent))
        return values.reshape(-1, SIZE, SIZE, 1)


class Judge(nn.Module):
    """A critic of two dense layers that may see the condition."""

    conditional: bool = False

    @nn.compact
    def __call__(self, image, condition=None, train=False):
        maps = [image, *condition] if self.conditional else [image]
        flat = jnp.concatenate(maps, axis=3).reshape(len(image), -1)
        return nn.Dense(1)(nn.tanh(nn.Dense(8)(flat)))[:, 0]


@pytest.mark.parametrize("name, boundary", [("minimax", 0.0), ("lsgan", 0.5)])
def test_the_sign_of_real_scores_by_hand(name, boundary):
    assert getattr(adversarial, name).boundary == boundary
    scores = jnp.array([0.7, 0.6, 0.4, -1.0]) + 0 * boundary
    signs = np.sign(np.asarray(scores) - boundary)
    assert overfitting.real_sign(scores, boundary).ratio == pytest.approx(signs.mean())


def test_only_scores_with_a_sign_have_a_boundary():
    with_sign = {"minimax", "nonsaturating", "hinge", "lsgan"}
    for name in with_sign:
        assert getattr(adversarial, name).boundary is not None
    for objective in (
        adversarial.wgan,
        adversarial.relativistic,
        adversarial.ebgan(1.0),
    ):
        assert objective.boundary is None


def test_the_validation_shift_by_hand():
    real, fake, unseen = map(jnp.float32, (3.0, -1.0, 2.0))
    shift = overfitting.validation_shift(real, fake, unseen).ratio
    assert shift == pytest.approx(0.25)
    # Energies are low for real images, and a critic has any scale and offset.
    other = [-5 * score + 7 for score in (real, fake, unseen)]
    assert overfitting.validation_shift(*other).ratio == pytest.approx(0.25)
    assert overfitting.validation_shift(real, fake, real).ratio == 0
    assert overfitting.validation_shift(real, fake, fake).ratio == 1
    assert overfitting.validation_shift(real, real, unseen).ratio == 0


def test_the_probability_follows_the_mean_of_four_updates_by_hand():
    seen = [1.0, 1.0, 0.5, 0.1, 0.9, 0.6, 0.5, 0.4, 1.0, 1.0, 1.0, 1.0]
    state, found = adaptive(), []
    for step, value in enumerate(seen):
        state = adjusted(
            state,
            Overfitting(jnp.float32(value), jnp.ones(())),
            jnp.int32(step),
            change=0.25,
            target=0.62,
        )
        found.append(float(state.probability))
    # The means of fours are 0.65, 0.6 and 1: up, down, up.
    assert found == [0, 0, 0, 0.25, 0.25, 0.25, 0.25, 0, 0, 0, 0, 0.25]
    assert state.overfitting.part == state.overfitting.whole == 0


@pytest.mark.parametrize("value, end", [(1.0, 1.0), (-1.0, 0.0)])
def test_the_probability_stays_between_0_and_1(value, end):
    state, seen = adaptive(), Overfitting(jnp.float32(value), jnp.ones(()))
    for step in range(6 * WINDOW):
        state = adjusted(state, seen, jnp.int32(step), change=0.3, target=0.6)
    assert state.probability == end


def method(**changes):
    draw = partial(random_pixels, size=SIZE, count=3)
    task = pixels.task(draw, weight=5.0)
    values = {
        "generator": Painter(),
        "critic": Judge(),
        "objective": adversarial.nonsaturating,
        "latent": lambda key, count: jax.random.normal(key, (count, 5)),
        "present": task.present,
        "generator_optimizer": optax.sgd(0.1),
        "critic_optimizer": optax.sgd(0.1),
        "generator_terms": task.generator_terms,
        "augmentation": Augmentation(augmentation.augment),
    }
    return Method(**{**values, **changes})


@pytest.fixture(scope="module")
def feed():
    return noise_feed()


def unseen(count=5):
    images = np.random.default_rng(1).integers(0, 256, (count, SIZE, SIZE, 1), np.uint8)
    each = LabelledImages(jnp.asarray(images), jnp.full(count, -1))
    return {VALIDATION: {"real": each, "constraint": each}}


def test_the_critic_alone_sees_augmented_images(feed):
    """The image is blank to the critic; terms of the generator see it as it is."""

    def blank(key, probability, images, condition):
        return 0 * images, condition

    term = Term(1.0, lambda inputs: jnp.square(inputs.real).mean())
    this = method(
        augmentation=Augmentation(blank),
        generator_terms={"plain": term},
        critic_terms={"seen": term},
    )
    state, arrays = begin(this, feed)
    _, log = jax.jit(make_step(this, feed.batch))(state, arrays, None)
    assert log.values["critic/seen"] == 0
    assert log.values["generator/plain"] > 0.1
    assert log.values["critic/real_score"] == log.values["critic/fake_score"]


def test_the_generator_learns_through_the_augmentation(feed):
    """What every image loses to the augmentation cannot be learnt from the critic."""

    def half(key, probability, images, condition):
        return images.at[:, :, : SIZE // 2].set(0.0), condition

    def critic_sum(images):
        batch = this.present(jax.random.key(0), feed.batch(arrays, jnp.int32(0)))
        _, fake = critic_view(this, batch, images, jax.random.key(1), 1.0)
        return (fake**2).sum()

    this = method(augmentation=Augmentation(half))
    arrays = feed.load(0, 1, 1)
    gradients = jax.grad(critic_sum)(jnp.ones((BATCH, SIZE, SIZE, 1)))
    assert (gradients[:, :, : SIZE // 2] == 0).all()
    assert (gradients[:, :, SIZE // 2 :] == 2).all()


def test_real_images_and_fakes_change_apart_and_conditions_with_their_image():
    this = method()
    batch = this.present(
        jax.random.key(0),
        {
            role: LabelledImages(
                jax.random.randint(
                    key, (BATCH, SIZE, SIZE, 1), 0, 256, jnp.int32
                ).astype(jnp.uint8),
                jnp.full(BATCH, -1),
            )
            for role, key in zip(
                ("real", "constraint"), jax.random.split(jax.random.key(1)), strict=True
            )
        },
    )
    view, fake = critic_view(this, batch, batch.real, jax.random.key(2), 1.0)
    assert np.abs(np.asarray(view.real - fake)).max() > 0.1
    known = view.real_condition
    np.testing.assert_allclose(known.values, view.real * known.mask, atol=1e-5)
    assert np.abs(np.asarray(view.condition.mask - batch.condition.mask)).max() == 1


def test_a_probability_of_0_changes_no_image(feed):
    this = method(augmentation=None)
    state, arrays = begin(this, feed)
    wanted, _ = jax.jit(make_step(this, feed.batch))(state, arrays, None)
    assert state.augmentation is None and len(stored(state)) == len(state) - 1
    never = method(
        augmentation=Augmentation(
            lambda key, probability, images, condition: augmentation.augment(
                key, 0 * probability, images, condition
            )
        )
    )
    other, _ = jax.jit(make_step(never, feed.batch))(state, arrays, None)
    for left, right in zip(
        jax.tree.leaves(wanted.generator.parameters),
        jax.tree.leaves(other.generator.parameters),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_the_probability_rises_with_a_critic_that_is_always_right(feed):
    sure = Augmentation(augmentation.augment, target=0.6, ramp=10 * WINDOW * BATCH)
    this = method(
        augmentation=sure,
        critic_optimizer=optax.sgd(0.0),
        generator_optimizer=optax.sgd(0.0),
        objective=adversarial.nonsaturating._replace(boundary=-1e6),
    )
    state, arrays = begin(this, feed)
    stretch = jax.jit(make_stretch(make_step(this, feed.batch), 9))
    state, logs = stretch(state, arrays, jnp.int32(9), None)
    found = np.round(logs.values["augmentation/probability"], 4)
    np.testing.assert_allclose(found, [0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2])
    assert (logs.values["critic/real_sign"] == 1).all()
    assert state.augmentation.overfitting.whole == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="sign"),
        pytest.param({"objective": adversarial.wgan}, id="wasserstein"),
        pytest.param(
            {"objective": adversarial.relativistic},
            id="relativistic",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"objective": adversarial.ebgan(1.0)}, id="energies", marks=pytest.mark.slow
        ),
        pytest.param(
            {"critic": Packed(Judge(), 2)}, id="packed", marks=pytest.mark.slow
        ),
        pytest.param(
            {"critic": Judge(conditional=True)},
            id="conditional",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_run_that_is_divided_is_the_same_to_the_bit(feed, changes):
    """The probability is in the state, so that a checkpoint holds all of the run."""
    this = method(
        augmentation=Augmentation(augmentation.augment, target=0.3, ramp=200),
        critic_terms={"real_penalty": Term(0.1, terms.real_penalty)},
        **changes,
    )
    state, arrays = begin(this, feed)
    stretch = jax.jit(make_stretch(make_step(this, feed.batch), 7))
    whole, logs = stretch(state, arrays, jnp.int32(7), unseen())
    first, _ = stretch(state, arrays, jnp.int32(3), unseen())
    kept = stored(first)
    again, _ = stretch(TrainState(**kept), arrays, jnp.int32(4), unseen())
    for left, right in zip(*map(jax.tree.leaves, (whole, again)), strict=True):
        if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            left, right = map(jax.random.key_data, (left, right))
        np.testing.assert_array_equal(left, right)
    sign = this.objective.boundary is not None
    assert ("critic/real_sign" in logs.values) == sign
    assert ("critic/validation_score" in logs.values) != sign
    assert 0 <= whole.augmentation.probability <= 1


def test_validation_scores_are_those_of_the_critic_before_its_update(feed):
    """With one validation image and no chance of a change they can be repeated."""
    this = method(
        objective=adversarial.wgan,
        augmentation=Augmentation(augmentation.augment, target=0.3, ramp=2**30),
    )
    state, arrays = begin(this, feed)
    frozen = unseen(1)
    _, log = jax.jit(make_step(this, feed.batch))(state, arrays, frozen)
    image = frozen[VALIDATION]["real"].image.repeat(BATCH, axis=0)
    score = this.critic.apply(state.critic.variables, image / 127.5 - 1.0)
    wanted = pytest.approx(float(score.mean()), abs=1e-4)
    assert log.values["critic/validation_score"] == wanted
