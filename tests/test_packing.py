"""A critic of several images at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.build import methods, tasks
from gan_jax.config.errors import InputError
from gan_jax.data.feed import LabelledImages
from gan_jax.losses.penalties import zero_centred_penalty
from gan_jax.networks import dcgan
from gan_jax.networks.packing import Packed
from tests.runs import smoke
from tests.weights import first_weights

SIZE = 8


def test_a_score_is_of_neighbours_that_stand_side_by_side():
    one = dcgan.critic(SIZE, width=4, depth=1, kernel=3, normalisation="none")
    packed = Packed(one, 2)
    images = jax.random.normal(jax.random.key(0), (6, SIZE, SIZE, 3))
    variables = first_weights(packed, jax.random.key(1), images)
    scores = packed.apply(variables, images)
    assert scores.shape == (3,)
    inner = {"params": variables["params"]["critic"]}
    pair = jnp.concatenate([images[2], images[3]], axis=-1)[None]
    np.testing.assert_allclose(scores[1], one.apply(inner, pair)[0], rtol=1e-5)
    # The other images of a batch do not matter to a score, both of a pack do.
    for index, moved in ((2, True), (3, True), (4, False)):
        other = packed.apply(variables, images.at[index].multiply(-1.0))
        assert bool(jnp.abs(other[1] - scores[1]) > 1e-6) == moved


def test_a_slope_of_a_pack_is_that_in_all_of_its_images():
    slopes = jax.random.normal(jax.random.key(0), (2, SIZE, SIZE, 1))

    def critic(images):
        packs = images.reshape(-1, 2, SIZE, SIZE, 1)
        return (packs * slopes[None]).sum(axis=(1, 2, 3, 4))

    images = jnp.zeros((6, SIZE, SIZE, 1))
    penalty = zero_centred_penalty(critic, images).mean()
    assert penalty == pytest.approx(float(jnp.square(slopes).sum()), rel=1e-5)


def test_the_images_of_a_pack_are_made_under_one_condition():
    made = smoke("pixelcgan", "digits", packing=2)
    task = tasks.task(made)
    plain = methods.method(smoke("pixelcgan", "digits"), task, channels=1)
    packed = methods.method(made, task, channels=1)
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8)
    batch = {
        role: LabelledImages(images, np.zeros(8, np.int32))
        for role in ("real", "constraint")
    }
    one, two = (each.present(jax.random.key(0), batch) for each in (plain, packed))
    np.testing.assert_array_equal(one.real, two.real)
    for before, after in zip(one.condition, two.condition, strict=True):
        np.testing.assert_array_equal(after[0::2], before[:4])
        np.testing.assert_array_equal(after[1::2], before[:4])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"condition_critic": True}, "sees images alone"),
        ({"batch_size": 63}, "not a multiple of packing 2"),
        (
            {"gradient_penalty": 1.0, "network.critic_normalisation": "layer"},
            "is of single images",
        ),
    ],
)
def test_packs_that_mean_nothing_are_refused(values, reason):
    made = smoke("pixelcgan", "digits", packing=2, **values)
    with pytest.raises(InputError, match=reason):
        methods.method(made, tasks.task(made), channels=1)
