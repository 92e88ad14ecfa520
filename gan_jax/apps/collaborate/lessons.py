"""Lessons of a critic that is shaped: real images and proposals."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.observations import ObservedImages, observe_masked, required
from gan_jax.apps.inpaint.placement import lay_whole, placed_digest
from gan_jax.apps.inpaint.search import LatentSearch
from gan_jax.apps.train.setup import Run
from gan_jax.data.datasets.dataset import ArraySource, in_memory, select
from gan_jax.data.feed import Feed, resident
from gan_jax.data.holes import Hole
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.runs.startup import cache_folder
from gan_jax.search.observation import Observation
from gan_jax.training.mesh import placement_over
from gan_jax.training.shaping import Lesson


class Lessons(NamedTuple):
    """The lessons of a critic, as a function of the step."""

    arrays: Callable[[int], PyTree]
    """`arrays(step)`: the arrays of a step, to be passed to a compiled function."""
    lesson: Callable[[PyTree, Int[Array, ""]], Lesson]
    """`lesson(arrays, step)`: the lesson of a step, within a compiled function."""
    epoch: int
    """Steps of an epoch."""
    key: PRNGKeyArray

    def keys(self, step: Int[Array, ""]) -> Array:
        """Return three random keys of a step; the third is for the update."""
        return _keys(self.key, step)


def drawn_lessons(training: Run, count: int, seed: int) -> Lessons:
    """Return lessons with proposals from latents that are drawn anew.

    The real images are the first `count` of the training part; 0 = all.
    """
    key = jax.random.key(seed)
    feed, part = training.feed, training.parts["train"]
    if count > 0:
        first = {
            role: select(source, np.arange(min(count, len(source))))
            for role, source in part.items()
        }
        feed, part = _resident(training, first, seed), first
    batch_size = training.config.batch_size

    def lesson(arrays: PyTree, step: Int[Array, ""]) -> Lesson:
        keys = _keys(key, step)
        batch = training.method.present(keys[0], feed.batch(arrays, step))
        latents = training.method.latent(keys[1], batch_size)
        return Lesson(batch, latents, Observation(condition=batch.condition))

    epoch = max(1, len(part["real"]) // batch_size)
    return Lessons(lambda step: feed.load(step, 1, 1), lesson, epoch, key)


def searched_lessons(
    config: ConfigDict,
    prior: Prior,
    training: Run,
    hole: Hole,
    search: LatentSearch,
    signals: Signals,
) -> Lessons:
    """Return lessons with proposals from latents searched for images with holes.

    The latents are searched under the prior, and the real images are those with holes.

    Raises:
        InputError: If nothing is known of any training image.
        Interrupted: By a signal.
    """
    part = training.parts["train"]["real"]
    count = config.shaping.images or len(part)
    masked = masked_images.of_data(part, count, hole, config.seed)
    observed, blank = observe_masked(prior, "training images", lay_whole(masked))
    observed = required(observed, blank)
    if blank:
        say(f"{len(blank)} training images are left out: {blank[0].reason}")
    path = latents_path(config, prior, observed)
    found, _ = search.run(observed, path, observed.hole, signals)
    images = np.stack([source.masked.image for source in observed.sources])
    # An image's label is its number here: it finds the image's mask and latent.
    source = ArraySource("searched", images, np.arange(len(images)), ())
    feed = _resident(training, {"real": source}, config.seed)
    everywhere = NamedSharding(training.mesh, PartitionSpec())
    beside = jax.device_put((np.asarray(observed.known.mask), found.latent), everywhere)
    key = jax.random.key(config.seed)

    def lesson(arrays: PyTree, step: Int[Array, ""]) -> Lesson:
        of_feed, (masks, latents) = arrays
        images = feed.batch(of_feed, step)
        # As the task presents them: mirrored images would not fit masks and latents.
        batch = training.task.present(_keys(key, step)[0], images)
        at = images["real"].label
        return Lesson(batch, latents[at], Observation(batch.real, masks[at]))

    epoch = max(1, len(images) // training.config.batch_size)
    return Lessons(lambda step: (feed.load(step, 1, 1), beside), lesson, epoch, key)


def latents_path(config: ConfigDict, prior: Prior, images: ObservedImages) -> Path:
    """Return the file of latents that all collaborations with the same search share.

    It lies in the cache folder, named by a hash of all that the latents depend on.
    """
    (name,) = config.losses
    identity = {
        "prior": prior.digest,
        "images": placed_digest(images.sources),
        "seed": config.seed,
        "loss": config.losses[name].to_dict(),
        "search": config.search.to_dict(),
    }
    text = json.dumps(identity, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    return cache_folder() / "latents" / f"{key}.npz"


def _resident(training: Run, sources: dict[str, Any], seed: int) -> Feed:
    size = training.config.batch_size
    return resident(
        {role: in_memory(source) for role, source in sources.items()},
        size,
        seed,
        placement_over(training.mesh, size),
    )


def _keys(key: PRNGKeyArray, step: Int[Array, ""]) -> Array:
    return jax.random.split(jax.random.fold_in(key, step), 3)
