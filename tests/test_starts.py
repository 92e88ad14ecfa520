"""Starts of latent searches: drawn for many images at once, the same as one by one."""

import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.apps.inpaint.masked_images import keys_of, name_hashes
from gan_jax.apps.inpaint.search import make_starts
from gan_jax.build.methods import LATENT_DISTRIBUTIONS

NAMES = ["00000", "00001", "a", "\udce9", "with space", *map(str, range(300))]


def key_of(name, seed):
    """The key of one image, made eagerly."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(os.fsencode(name)))


def one_by_one(latent, seed, restarts, spread, name):
    """The starts of one image, drawn eagerly."""
    key = key_of(name, seed)
    drawn = latent(jax.random.fold_in(key, 2), restarts)
    return jnp.clip(drawn, -spread, spread)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(("seed", "restarts", "size"), [(0, 1, 100), (7, 4, 33)])
def test_starts_are_those_of_each_image_by_itself(distribution, seed, restarts, size):
    """Bit for bit, and whichever others are there."""

    def latent(key, count):
        return LATENT_DISTRIBUTIONS[distribution](key, (count, size))

    starts = make_starts(latent, restarts, spread=0.9)
    drawn = np.asarray(starts(NAMES, seed))
    assert drawn.shape == (restarts, len(NAMES), size)
    for at in (*range(8), *range(240, 260), len(NAMES) - 1):
        wanted = one_by_one(latent, seed, restarts, 0.9, NAMES[at])
        np.testing.assert_array_equal(drawn[:, at], wanted)
    for some in (NAMES[3:4], NAMES[250:4:-1]):
        at = [NAMES.index(name) for name in some]
        np.testing.assert_array_equal(starts(some, seed), drawn[:, at])


def test_keys_of_many_images_are_those_of_one():
    keys = keys_of(name_hashes(NAMES), jax.random.key(3), 1)
    for at in (0, 3, 200):
        assert keys[at] == jax.random.fold_in(key_of(NAMES[at], 3), 1)
