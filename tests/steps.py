"""The data of small training steps, and the states that they begin with."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.datasets.dataset import ArraySource
from gan_jax.data.feed import resident
from gan_jax.networks.compilation import run_once
from gan_jax.training.step import initial_state

SIZE, BATCH = 8, 8


def noise_feed():
    """Return a feed of random images, which are real ones and conditions."""
    images = np.random.default_rng(0).integers(0, 256, (40, SIZE, SIZE, 1), np.uint8)
    sources = {role: ArraySource("noise", images) for role in ("real", "constraint")}
    return resident(sources, BATCH, seed=1)


def begin(method, feed):
    """Return the state of a run before its first step, and the arrays of its feed."""
    arrays = feed.load(0, 1, 1)
    batch = feed.batch(arrays, jnp.int32(0))
    state = run_once(partial(initial_state, method), jax.random.key(0), batch)
    return state, arrays
