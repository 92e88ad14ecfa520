"""The latent search of one loss: prepared once, run for images, kept on disk."""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.observations import ObservedImages
from gan_jax.apps.inpaint.placement import placed_digest
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
from gan_jax.runs.inference import in_chunks
from gan_jax.runs.prior import Prior
from gan_jax.runs.signals import Signals
from gan_jax.search.completion import completion_loss, for_one
from gan_jax.search.latent import Found, Search, compile_search
from gan_jax.search.latent import run as run_searches
from gan_jax.search.observation import Observation
from gan_jax.search.trace import Trace, trace

_CHUNK = 250  # images whose starts are drawn in one call


class LatentSearch:
    """The latent search of one loss under a prior, compiled once for all images."""

    def __init__(
        self,
        config: ConfigDict,
        prior: Prior,
        settings: ConfigDict,
        key: str,
        degradation: Degradation | None = None,
    ):
        """Prepare the search; nothing is compiled yet.

        The settings of the loss have the keys of `schema.COMPLETION`. They lie at `key`
        in the config. Without a degradation only pixels are missing.

        Raises:
            InputError: If a name in the settings is unknown, or they do not fit
                together.
        """
        if settings.composite and degradation is not None:
            raise InputError(
                f"--config.{key}.composite puts known pixels into images, and a "
                f"degradation leaves none: give --config.{key}.composite=False"
            )
        method, networks, limits = prior.method, prior.networks, config.search
        if method.objective.paired and math.isnan(prior.real_score):
            raise InputError(
                f"prior {prior.workdir} has not kept the median score of real images, "
                "and its data cannot be read to measure it: put them back, or train it "
                "anew"
            )
        weights = look_up(inpainting.WEIGHTS, f"{key}.weights", settings.weights)
        search = Search(
            completion_loss(
                for_one(method.generator, networks.generator),
                for_one(method.critic, networks.critic),
                _unchanged if degradation is None else degradation.apply,
                searches.terms(prior.config, settings, key, prior.real_score),
            ),
            searches.descent(limits),
            searches.support(prior.config),
            limits.iterations,
            limits.patience,
            limits.progress,
            limits.tolerance,
        )
        # Between two checks a search that has ended stands still.
        length = min(limits.length, limits.iterations)
        self.compiled_search = compile_search(search, length, compiled)
        self._prior, self._settings = prior, config.search
        self._weights = compiled(jax.vmap(weights))
        self._seed = config.seed
        self._starts = make_starts(method.latent, limits.restarts, limits.spread)

    def inputs(
        self,
        images: ObservedImages,
        restarts: int | None = None,
        seed: int | None = None,
    ) -> tuple[Float[Array, "restarts images latent"], Observation]:
        """Return the starts and the weighted observations of images.

        Args:
            images: The images.
            restarts: Number of the starts that are taken, the first ones; None = all.
            seed: Seed of the starts; None = that of the config.
        """
        names = [source.masked.name for source in images.sources]
        starts = self._starts(names, self._seed if seed is None else seed)[:restarts]
        mask = images.known.mask
        assert mask is not None
        return starts, images.known._replace(weights=self._weights(mask))

    def run(
        self,
        images: ObservedImages,
        path: Path,
        title: str,
        signals: Signals,
        restarts: int | None = None,
    ) -> tuple[Found, float]:
        """Search the latents of images, or read the results of an earlier search.

        The results are kept in the file `path`; `title` is for progress. The first
        `restarts` of the starts are taken; None = all.

        Returns:
            The results, and the seconds of the search, compilation included.

        Raises:
            Interrupted: By a signal, and nothing is written; or because time is over,
                once the results are written.
            OSError: If the results cannot be written.
        """
        text = f"{self._prior.digest}{placed_digest(images.sources)}"
        if restarts is not None:
            text += f"{restarts} restarts"
        if self._prior.method.objective.paired:
            text += f"{self._prior.real_score:.9g}"
        identity = hashlib.sha256(text.encode()).hexdigest()
        cached = read_found(path, identity)
        if cached is not None:
            say(f"{title}: searched before")
            return cached
        start = time.monotonic()
        starts, observations = self.inputs(images, restarts)
        total = len(images.sources) * len(starts)
        with Progress(total, 0, title, "latent") as progress:
            found = run_searches(
                self.compiled_search,
                starts,
                observations,
                self._settings.slots,
                _advancing(progress, signals, total),
            )
        seconds = time.monotonic() - start
        write_found(path, found, seconds, identity)
        signals.obey()
        return found, seconds

    def trace(
        self,
        images: ObservedImages,
        found: Found,
        count: int,
        path: Path,
        title: str,
        signals: Signals,
    ) -> Trace:
        """Repeat the best restarts of the first `count` images, or read their trace.

        The trace is kept in the file `path`; `title` is for progress.

        Raises:
            Interrupted: By a signal; nothing is written.
            OSError: If the trace cannot be written.
        """
        first = np.arange(min(count, len(found.latent)))
        parts = (self._prior.digest.encode(), found.latent.tobytes(), first.tobytes())
        identity = hashlib.sha256(b"".join(parts)).hexdigest()
        cached = read_trace(path, identity)
        if cached is not None:
            return cached
        total = self._settings.iterations
        with Progress(total, 0, f"{title}, watched", "iteration") as progress:
            latents = trace(
                self.compiled_search,
                *self.inputs(images),
                first,
                found.restart[first],
                self._settings.slots,
                _advancing(progress, signals, total),
            )
        write_trace(path, latents, identity)
        return latents


def _unchanged(image: Array) -> Array:
    return image


def make_starts(
    latent: Callable[..., Array], restarts: int, spread: float
) -> Callable[[Sequence[str], int], Float[Array, "restarts images latent"]]:
    """Return `starts(names, seed)`, which draws the starts of images.

    An image's starts depend on its name and the seed, not on the other images. They are
    clipped to [-spread, spread].
    """

    @compiled
    def draw(key: PRNGKeyArray, hashes: Array) -> Array:
        keys = masked_images.keys_of(hashes, key, masked_images.STARTS)
        drawn = jax.vmap(lambda key: latent(key, restarts))(keys)
        return jnp.clip(drawn, -spread, spread)

    def starts(
        names: Sequence[str], seed: int
    ) -> Float[Array, "restarts images latent"]:
        key, hashes = jax.random.key(seed), masked_images.name_hashes(names)
        drawn = in_chunks(lambda at: draw(key, hashes[at]), len(names), _CHUNK)
        return jnp.asarray(drawn.swapaxes(0, 1))

    return starts


def _advancing(
    progress: Progress, signals: Signals, total: int
) -> Callable[[int], None]:
    """Return the function that shows the work done, of `total`, and obeys signals."""

    def advanced(done: int) -> None:
        progress.advance(min(done, total))
        signals.obey(kept=False)

    return advanced
