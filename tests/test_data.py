"""Masks, splits and the feed: exact, disjoint, and the same however they are read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_jax.config.errors import InputError
from gan_jax.data import feed, masks
from gan_jax.data.datasets.dataset import ArraySource, Dataset, LazySource
from gan_jax.data.splits import partition


def numbered(count, size=4):
    """Images that carry their own index, so that every one can be told."""
    images = np.zeros((count, size, size, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(count) % 256
    images[:, 0, 1, 0] = np.arange(count) // 256
    labels = np.arange(count, dtype=np.int32) % 10
    return ArraySource("numbered", images, labels, tuple("0123456789"))


def identities(images):
    images = np.asarray(images)
    return images[..., 0, 0, 0].astype(int) + 256 * images[..., 0, 1, 0].astype(int)


@pytest.mark.parametrize("count", [1, 3, 60, 64])
def test_masks_know_exactly_so_many_pixels(count):
    mask = masks.random_pixels(jax.random.key(0), 50, 8, count)
    assert mask.shape == (50, 8, 8, 1)
    assert set(np.unique(mask)) <= {0.0, 1.0}
    np.testing.assert_array_equal(mask.sum(axis=(1, 2, 3)), count)


def test_masks_are_uniform_and_differ_between_images():
    mask = np.asarray(masks.random_pixels(jax.random.key(1), 20_000, 5, 3))
    assert scipy.stats.chisquare(mask.sum(axis=(0, 3)).ravel()).pvalue > 1e-3
    assert len(np.unique(mask.reshape(len(mask), -1), axis=0)) > 1500


def test_a_fraction_is_rounded_down():
    assert masks.pixel_count(28, fraction=0.005) == 3
    assert masks.pixel_count(10, fraction=0.29) == 29
    assert masks.pixel_count(28, count=5) == 5
    assert masks.pixel_count(28, most=20) == 0
    assert masks.pixel_count(28, count=5, most=20) == 5


@pytest.mark.parametrize(
    ("count", "fraction"),
    [(0, 0.0), (3, 0.1), (785, 0.0), (0, 1.5), (0, 0.001), (0, float("inf"))],
)
def test_an_impossible_mask_is_refused(count, fraction):
    with pytest.raises(InputError, match="mask"):
        masks.pixel_count(28, count, fraction)


def test_a_fixed_pattern_and_what_it_keeps():
    pattern = jnp.eye(4)
    mask = masks.fixed_pixels(pattern, 3)
    images = jax.random.normal(jax.random.key(0), (3, 4, 4, 2))
    values, same = masks.known(images, mask)
    assert bool((same == mask).all())
    np.testing.assert_array_equal(values[1, 2, 2], images[1, 2, 2])
    assert float(jnp.abs(values[:, 0, 1]).max()) == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 400), st.integers(0, 2**31))
def test_every_epoch_is_a_permutation(count, seed):
    # As many for every count: what is compiled is compiled once.
    positions = jnp.arange(2 * 400, dtype=jnp.uint32)
    drawn = np.asarray(feed.shuffled(positions, count, feed.round_keys(seed)))
    first, second = drawn[:count], drawn[count : 2 * count]
    for epoch in (first, second):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(count))
    if count >= 20:
        assert (first != second).any()
        assert (first != np.arange(count)).any()


def test_the_order_looks_shuffled():
    drawn = np.asarray(
        feed.shuffled(jnp.arange(5000, dtype=jnp.uint32), 5000, feed.round_keys(7))
    )
    assert abs(scipy.stats.spearmanr(drawn, np.arange(5000)).statistic) < 0.05
    assert abs(scipy.stats.spearmanr(drawn[1:], drawn[:-1]).statistic) < 0.05


def batches(open_feed, sources, cuts, batch_size=8, capacity=4):
    opened = open_feed(sources, batch_size, seed=3)
    batch = jax.jit(opened.batch)
    found = []
    for first, count in cuts:
        arrays = opened.load(first, count, capacity)
        found += [
            batch(arrays, jnp.int32(step)) for step in range(first, first + count)
        ]
    return found


@pytest.mark.parametrize("lazy", [False, True])
def test_streamed_and_resident_batches_are_the_same(lazy):
    real, condition = numbered(50), numbered(11)
    if lazy:
        kept = real
        real = LazySource(
            "numbered", kept.shape, 50, lambda at: [kept[i] for i in at], kept.classes
        )
    sources = {"real": real, "constraint": condition}
    cuts = [(0, 4), (4, 2), (6, 4)]
    resident = batches(feed.resident, sources, cuts)
    streamed = batches(feed.streamed, sources, cuts)
    resumed = batches(feed.streamed, sources, [(6, 4)])
    for one, other in zip(resident, streamed, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)
    for one, other in zip(resident[6:], resumed, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_labels_travel_with_their_images_and_roles_are_shuffled_apart():
    sources = {"real": numbered(300), "constraint": numbered(300)}
    found = batches(feed.resident, sources, [(0, 4)])
    for batch in found:
        np.testing.assert_array_equal(
            identities(batch["real"].image) % 10, batch["real"].label
        )
    one, other = (
        np.concatenate([identities(batch[role].image) for batch in found])
        for role in sources
    )
    assert (one != other).mean() > 0.9


@pytest.mark.parametrize("open_feed", [feed.resident, feed.streamed])
def test_a_batch_larger_than_the_data_is_refused(open_feed):
    with pytest.raises(InputError, match="batch_size 8 is larger than the 5"):
        open_feed({"real": numbered(5)}, 8, seed=0)


def test_eight_bits_become_minus_one_to_one():
    levels = jnp.array([0, 255], jnp.uint8).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(feed.to_float(levels).ravel(), [-1.0, 1.0])


ROLES = {"real": 0.8, "constraint": 0.2}


def everyone(parts):
    return {
        (name, role): set(identities(source.images).tolist())
        for name, part in parts.items()
        for role, source in part.items()
    }


def test_parts_are_disjoint_complete_and_of_the_stated_shares():
    found = everyone(partition(Dataset(numbered(1000), None), 0, ROLES))
    assert sum(map(len, found.values())) == 1000
    assert set().union(*found.values()) == set(range(1000))
    sizes = {place: len(images) for place, images in found.items()}
    assert sizes["test", "real"] == 80 and sizes["test", "constraint"] == 20
    assert sizes["validation", "real"] == 72 and sizes["validation", "constraint"] == 18
    assert sizes["train", "real"] == 648 and sizes["train", "constraint"] == 162


def test_the_official_test_part_stays_the_test_part():
    parts = partition(Dataset(numbered(500), numbered(100)), 0, ROLES)
    assert len(parts["test"]["real"]) + len(parts["test"]["constraint"]) == 100
    assert len(parts["train"]["real"]) + len(parts["train"]["constraint"]) == 450


def test_a_seed_draws_the_same_parts_and_another_seed_others():
    draws = [
        everyone(partition(Dataset(numbered(300), None), s, ROLES)) for s in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="at least 56 images"):
        partition(Dataset(numbered(20), None), 0, ROLES)
    partition(Dataset(numbered(56), None), 0, ROLES)
    with pytest.raises(InputError, match="at least 12 images"):
        partition(Dataset(numbered(5), None), 0, {"real": 1.0})
    partition(Dataset(numbered(12), None), 0, {"real": 1.0})
    with pytest.raises(InputError, match=r"its test part of 0 .* at least 100 imag"):
        partition(Dataset(numbered(99), None), 0, {"real": 1.0}, test_share=0.01)
    partition(Dataset(numbered(100), None), 0, {"real": 1.0}, test_share=0.01)


def test_the_first_images_of_a_part_stand_for_all_of_it():
    # A set as folders of classes give it: sorted by label.
    sets = [np.repeat(np.arange(10), count) for count in (600, 100)]
    dataset = Dataset(
        *(
            ArraySource("sorted", np.zeros((len(labels), 4, 4, 1), np.uint8), labels)
            for labels in sets
        )
    )
    for part in partition(dataset, 0, ROLES).values():
        for source in part.values():
            first = [int(source[index].label) for index in range(len(source) // 3)]
            assert len(set(first)) >= 4
            assert first != sorted(first)
