"""The latents that explain what is known of images: searched once, then kept."""

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images as targets
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.observations import START, key_of
from gan_jax.apps.inpaint.results import Task
from gan_jax.apps.inpaint.search_cache import (
    read_found,
    read_trace,
    write_found,
    write_trace,
)
from gan_jax.build import searches
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.data.degradations import Degradation
from gan_jax.losses import inpainting
from gan_jax.networks.compilation import compiled
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.search.completion import Observation, completion_loss, for_one
from gan_jax.search.latent import Found, Search, Turns, compile_turns, run
from gan_jax.search.trace import Trace, trace

Weights: TypeAlias = Callable[[Array], Array]
"""Gives known values their weights in a loss, from a mask."""
Prepared: TypeAlias = tuple[Weights, Turns]
"""The weights, made from a mask, that a loss gives known values; and its search, which
is compiled once for all kinds of holes."""


class Searched(NamedTuple):
    """Images and the latents that explain what is known of them."""

    task: Task
    found: Found
    seconds: float
    """Of the search, compilation included."""


def prepare_search(
    prior: Prior,
    settings: ConfigDict,
    how: ConfigDict,
    key: str,
    degradation: Degradation | None = None,
) -> Prepared:
    """Make the search of a loss for many calls, and the loss's weights.

    Raises:
        InputError: as `make_search`.
    """
    weights, search = make_search(prior, settings, how, key, degradation)
    return weights, compile_turns(search, how.length, compiled)


def make_search(
    prior: Prior,
    settings: ConfigDict,
    how: ConfigDict,
    key: str,
    degradation: Degradation | None = None,
) -> tuple[Weights, Search]:
    """Describe the search of a loss, and give the loss's weights.

    Args:
        prior: under which latents are searched.
        settings: of the loss, as `config.COMPLETION` has them.
        how: the `search` of a config.
        key: of the loss in the config.
        degradation: what images went through; None = nothing.

    Raises:
        InputError: a name in the settings is unknown, or they do not fit together.
    """
    if settings.composite and degradation is not None:
        raise InputError(
            f"{key}.composite puts known pixels into images, and a degradation leaves "
            f"none: give --config.{key}.composite=False"
        )
    method, networks = prior.method, prior.networks
    weights = look_up(inpainting.WEIGHTS, f"{key}.weights", settings.weights)
    if prior.method.objective.paired and math.isnan(prior.real_score):
        raise InputError(
            f"prior {prior.workdir} has not kept the median score of real images, and "
            "its data cannot be read to measure it: put them back, or train it anew"
        )
    terms = searches.terms(prior.config, settings, key, prior.real_score)
    generate = for_one(method.generator, networks.generator)
    score = for_one(method.critic, networks.critic)
    measure = _unchanged if degradation is None else degradation.apply
    search = Search(
        completion_loss(generate, score, measure, terms),
        searches.descent(how),
        searches.support(prior.config),
        how.iterations,
        how.patience,
        how.progress,
        how.tolerance,
    )
    return weights, search


def _unchanged(image: Array) -> Array:
    return image


def found_for(
    config: ConfigDict,
    prior: Prior,
    task: Task,
    prepared: Prepared,
    path: Path,
    title: str,
    signals: Signals,
) -> Searched:
    """Search the latents of a task, or read those found before.

    Args:
        config: `search` and `seed` of it.
        prior: under which latents are searched.
        task: the images.
        prepared: the search.
        path: where the latents are kept.
        title: of the search, as it is shown.
        signals: that interrupt it.

    Raises:
        Interrupted: by a signal; nothing is kept.
        OSError: what was found cannot be written.
    """
    images = targets.digest(task.targets)
    text = f"{prior.digest}{images}"
    if prior.method.objective.paired:
        text += f"{prior.real_score:.9g}"
    identity = hashlib.sha256(text.encode()).hexdigest()
    kept = read_found(path, identity)
    if kept is not None:
        say(f"{title}: searched before")
        return Searched(task, *kept)
    start = time.monotonic()
    found = _search(config, prior, task, prepared, title, signals)
    seconds = time.monotonic() - start
    write_found(path, found, seconds, identity)
    return Searched(task, found, seconds)


def _search(
    config: ConfigDict,
    prior: Prior,
    task: Task,
    prepared: Prepared,
    title: str,
    signals: Signals,
) -> Found:
    """Search a latent for every image of a task."""
    settings = config.search
    weights, turns = prepared
    every = len(task.targets) * settings.restarts
    done = 0
    with Progress(every, 0, title, "latent") as progress:

        def advanced(count: int) -> None:
            nonlocal done
            done += count
            progress.advance(done)
            signals.obey()

        asked = question(config, prior, task, weights)
        return run(turns, *asked, settings.slots, advanced)


def traced_for(
    config: ConfigDict,
    prior: Prior,
    searched: Searched,
    prepared: Prepared,
    path: Path,
    title: str,
    signals: Signals,
) -> Trace:
    """Watch the first searches of a task, or read where their latents were before.

    Of each image it is the search from the start that led to the best latent.

    Args:
        config: `along`, above 0, is how many; `search` and `seed` of it as before.
        prior: under which latents were searched.
        searched: what was found.
        prepared: the search that found it.
        path: where the latents are kept.
        title: of the search, as it is shown.
        signals: that interrupt it.

    Raises:
        Interrupted: by a signal; nothing is kept.
        OSError: the latents cannot be written.
    """
    found, (weights, turns) = searched.found, prepared
    some = np.arange(min(config.along, len(found.latent)))
    parts = (prior.digest.encode(), found.latent.tobytes(), some.tobytes())
    identity = hashlib.sha256(b"".join(parts)).hexdigest()
    kept = read_trace(path, identity)
    if kept is not None:
        return kept
    iterations = config.search.iterations
    with Progress(iterations, 0, f"{title}, watched", "iteration") as progress:

        def turned(step: int) -> None:
            progress.advance(min(step, iterations))
            signals.obey()

        asked = question(config, prior, searched.task, weights)
        restarts = found.restart[some]
        seen = trace(turns, *asked, some, restarts, config.search.slots, turned)
    write_trace(path, seen, identity)
    return seen


def question(
    config: ConfigDict, prior: Prior, task: Task, weights: Weights
) -> tuple[Float[Array, "restarts images latent"], Observation]:
    """Return what a search is asked of a task: where it starts, and what is known.

    Args:
        config: `search` and `seed` of it.
        prior: under which latents are searched.
        task: the images.
        weights: of the known values.
    """
    settings = config.search

    def starts(target: MaskedImage) -> Float[Array, "restarts latent"]:
        key = key_of(config.seed, target, START)
        drawn = prior.method.latent(key, settings.restarts)
        return jnp.clip(drawn, -settings.spread, settings.spread)

    return (
        jnp.stack([starts(target) for target in task.targets], axis=1),
        task.known._replace(weights=jax.vmap(weights)(task.known.mask)),
    )
