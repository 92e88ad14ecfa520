"""The latent search of one loss: prepared once, run for images, kept on disk."""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.observations import ObservedImages
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
from gan_jax.search.latent import Found, Search, compile_turns, run
from gan_jax.search.observation import Observation
from gan_jax.search.trace import Trace, trace

_START = 2  # folded into an image's key, beside the use for noise
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

        Args:
            config: A config with `search` and `seed`.
            prior: The prior whose latents are searched.
            settings: Settings of the loss, as `config.COMPLETION` has them.
            key: Key of the loss in the config.
            degradation: The degradation of the images; None = only pixels are missing.

        Raises:
            InputError: a name in the settings is unknown, or they do not fit together.
        """
        if settings.composite and degradation is not None:
            raise InputError(
                f"{key}.composite puts known pixels into images, and a degradation "
                f"leaves none: give --config.{key}.composite=False"
            )
        method, networks, how = prior.method, prior.networks, config.search
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
            searches.descent(how),
            searches.support(prior.config),
            how.iterations,
            how.patience,
            how.progress,
            how.tolerance,
        )
        self.turns = compile_turns(search, how.length, compiled)
        self._prior, self._how, self._weights = prior, how, weights
        self._starts = make_starts(method.latent, config.seed, how.restarts, how.spread)

    def inputs(
        self, images: ObservedImages
    ) -> tuple[Float[Array, "restarts images latent"], Observation]:
        """Return the starts and the weighted observations of images."""
        starts = self._starts([source.name for source in images.sources])
        mask = images.known.mask
        assert mask is not None
        return starts, images.known._replace(weights=jax.vmap(self._weights)(mask))

    def run(
        self, images: ObservedImages, path: Path, title: str, signals: Signals
    ) -> tuple[Found, float]:
        """Search the latents of images, or read those found before.

        Args:
            images: The images.
            path: File in which the latents are kept.
            title: Title of the search, for progress.
            signals: Signals that interrupt the search.

        Returns:
            The latents found, and the seconds of the search, compilation included.

        Raises:
            Interrupted: by a signal; nothing is kept.
            OSError: the latents cannot be written.
        """
        text = f"{self._prior.digest}{masked_images.digest(images.sources)}"
        if self._prior.method.objective.paired:
            text += f"{self._prior.real_score:.9g}"
        identity = hashlib.sha256(text.encode()).hexdigest()
        kept = read_found(path, identity)
        if kept is not None:
            say(f"{title}: searched before")
            return kept
        start = time.monotonic()
        total = len(images.sources) * self._how.restarts
        with Progress(total, 0, title, "latent") as progress:
            shown = _shown(progress, signals, total)
            found = run(self.turns, *self.inputs(images), self._how.slots, shown)
        seconds = time.monotonic() - start
        write_found(path, found, seconds, identity)
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
        """Repeat the searches of the first images, or read their traces.

        Of each image the search from its best start is repeated.

        Args:
            images: The images.
            found: What their search has found.
            count: Largest number of images that are traced.
            path: File in which the trace is kept.
            title: Title of the search, for progress.
            signals: Signals that interrupt the search.

        Raises:
            Interrupted: by a signal; nothing is kept.
            OSError: the trace cannot be written.
        """
        some = np.arange(min(count, len(found.latent)))
        parts = (self._prior.digest.encode(), found.latent.tobytes(), some.tobytes())
        identity = hashlib.sha256(b"".join(parts)).hexdigest()
        kept = read_trace(path, identity)
        if kept is not None:
            return kept
        total, inputs = self._how.iterations, self.inputs(images)
        restarts, slots = found.restart[some], self._how.slots
        with Progress(total, 0, f"{title}, watched", "iteration") as progress:
            shown = _shown(progress, signals, total)
            seen = trace(self.turns, *inputs, some, restarts, slots, shown)
        write_trace(path, seen, identity)
        return seen


def _unchanged(image: Array) -> Array:
    return image


def make_starts(
    latent: Callable[..., Array], seed: int, restarts: int, spread: float
) -> Callable[[Sequence[str]], Float[Array, "restarts images latent"]]:
    """Return the function that draws the starts of images.

    An image's starts depend on its name and the seed, not on the other images.

    Args:
        latent: Draws latents: `latent(key, count)`.
        seed: Seed of the run.
        restarts: Number of starts of each image.
        spread: Latents are clipped to [-spread, spread].
    """

    @compiled
    def draw(hashes: Array) -> Array:
        keys = masked_images.keys_of(hashes, jax.random.key(seed), _START)
        drawn = jax.vmap(lambda key: latent(key, restarts))(keys)
        return jnp.clip(drawn, -spread, spread)

    def starts(names: Sequence[str]) -> Float[Array, "restarts images latent"]:
        hashes = masked_images.name_hashes(names)
        drawn = in_chunks(lambda at: draw(hashes[at]), len(names), _CHUNK)
        return jnp.asarray(drawn.swapaxes(0, 1))

    return starts


def _shown(progress: Progress, signals: Signals, total: int) -> Callable[[int], None]:
    """Return what shows the work done, of `total`, and obeys a signal."""

    def advanced(done: int) -> None:
        progress.advance(min(done, total))
        signals.obey()

    return advanced
