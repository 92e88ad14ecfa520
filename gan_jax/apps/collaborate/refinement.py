"""Refinement of many samples, in chunks of one compiled program."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from gan_jax.build import networks as architectures
from gan_jax.data.splits import Part
from gan_jax.losses import inpainting
from gan_jax.networks.compilation import compiled
from gan_jax.runs.inference import in_chunks, make_model, taken
from gan_jax.runs.prior import Prior, unseen_batch
from gan_jax.runs.signals import Signals
from gan_jax.search.collaboration import (
    Collaboration,
    Standard,
    Stops,
    improve,
    paint,
    propose,
    scores,
    standard,
    stops,
    trusted,
    visits,
)
from gan_jax.search.observation import Observation
from gan_jax.search.refinement import pasted
from gan_jax.training.state import Variables

_CHUNK = 500  # samples refined, generated or scored in one call

Images = Float[np.ndarray, "count height width channels"]


class Refinements(NamedTuple):
    """Refined samples."""

    images: Images
    """With known pixels put over them, if there are any."""
    generated: Images
    """Without known pixels."""
    cost: Float[np.ndarray, " count"]
    proposed: Float[np.ndarray, " count"]
    """The cost of the proposals."""
    steps: Int[np.ndarray, " count"]
    """Number of steps made."""
    trusted: Bool[np.ndarray, " count"]
    """Whether the sample is better than its proposal, see `collaboration.trusted`."""


class Refiner:
    """Refines samples of a prior with any critic of the prior's kind."""

    def __init__(
        self,
        prior: Prior,
        settings: Collaboration,
        part: Part,
        slack: float = 0.0,
        signals: Signals | None = None,
        chunk: int = _CHUNK,
    ):
        """Prepare the compiled programs.

        The real images of `part` have the median cost that ends a refinement, and
        `collaboration.trusted` describes `slack`. Signals are obeyed between chunks.
        """
        self._how, self._generator = settings, prior.networks.generator
        self.model = make_model(prior.method)(prior.networks)
        self._signals, self._chunk = signals, chunk
        self._sign = -1.0 if architectures.gives_energies(prior.config) else 1.0
        self._real = unseen_batch(prior.method, part)
        bounded = not prior.task.points
        self._refine = compiled(functools.partial(_refined, settings, bounded, slack))
        self._visits = compiled(functools.partial(_visits, settings))
        self._score = compiled(functools.partial(scores, settings))

    def propose(
        self, latents: np.ndarray, condition: PyTree[Array | np.ndarray] = None
    ) -> Images:
        """Return the images of latents, not refined."""
        return self.model.generate(latents, condition, _CHUNK)

    def standard(self, critic: Variables) -> Standard:
        """Return the medians of unseen real images by a critic."""
        real = jnp.asarray(self._raw_scores(critic, *self.real()))
        return standard(self._how.score_loss, real)

    def scores(
        self,
        critic: Variables,
        images: Images,
        condition: PyTree[Array | np.ndarray] = None,
    ) -> Float[np.ndarray, " count"]:
        """Return a critic's scores, high for real images: energies are negated."""
        return self._sign * self._raw_scores(critic, images, condition)

    def real(self) -> tuple[Images, PyTree[np.ndarray]]:
        """Return real images that no critic has learned from, and their conditions."""
        real: tuple[Images, PyTree[np.ndarray]]
        real = jax.device_get((self._real.real, self._real.real_condition))
        return real

    def _raw_scores(
        self, critic: Variables, images: Images, condition: PyTree[Array | np.ndarray]
    ) -> Float[np.ndarray, " count"]:
        raw_scores: np.ndarray = in_chunks(
            lambda at: self._score(critic, *taken((images, condition), at)),
            len(images),
            _CHUNK,
        )
        return raw_scores

    def _moved(self, critic: Variables) -> Variables:
        """Return a critic on the generator's device: shaping leaves it on all."""
        place = jax.tree.leaves(self._generator)[0].sharding
        moved: Variables = jax.device_put(critic, place)
        return moved

    def visits(
        self,
        critic: Variables,
        latents: np.ndarray,
        known: Observation,
        key: PRNGKeyArray,
        count: int,
    ) -> Float[np.ndarray, "visits count height width channels"]:
        """Return images of the first proposals and of every step of their refinement.

        `refine` describes the arguments; the first `count` examples are followed.
        """
        real = self.standard(critic)
        ends = stops(self._how, key, len(latents), real)
        first = np.arange(min(count, len(latents)))
        ends = ends._replace(limits=ends.limits[first])
        examples = taken((latents, known), first)
        images: np.ndarray = jax.device_get(
            self._visits(
                self._moved(critic), self._generator, *examples, ends, real.score
            )
        )
        return images

    def refine(
        self,
        critic: Variables,
        latents: np.ndarray,
        known: Observation,
        key: PRNGKeyArray,
        real: Standard | None = None,
    ) -> Refinements:
        """Refine the images of latents.

        The key draws numbers of steps. The medians of `real` images are by the critic;
        None = they are measured.

        Raises:
            Interrupted: By a signal.
        """
        if real is None:
            real = self.standard(critic)
        limits, threshold = stops(self._how, key, len(latents), real)
        jobs = latents, known, np.asarray(limits)
        moved = self._moved(critic)

        def piece(at: Int[np.ndarray, " size"]) -> Refinements:
            if self._signals:
                self._signals.obey(kept=False)
            latents, known, limits = taken(jobs, at)
            ends = Stops(jnp.asarray(limits), threshold)
            return Refinements(
                *self._refine(moved, self._generator, latents, known, ends, real.score)
            )

        refined: Refinements = in_chunks(piece, len(latents), self._chunk)
        return refined


def _refined(
    settings: Collaboration,
    bounded: bool,
    slack: float,
    critic: Variables,
    generator: Variables,
    latents: PyTree[Array | np.ndarray],
    known: Observation,
    ends: Stops,
    real_score: Array,
) -> tuple[Array, ...]:
    """Return the fields of `Refinements` for a chunk of samples; pure."""
    proposals = propose(settings, generator, latents, known.condition)
    refined = improve(settings, generator, critic, proposals, known, ends, real_score)
    bare = known._replace(values=None, mask=None)
    after = paint(settings, generator, refined.activation, bare)
    if bounded:  # activations at the last stage are not bounded otherwise
        after = after.clip(-1, 1)
    images = pasted(after, known)
    before = _seams(paint(settings, generator, proposals, known), known)
    is_trusted = trusted(refined, before, _seams(images, known), slack)
    costs = refined.cost, refined.proposed
    return images, after, *costs, refined.steps, is_trusted


def _seams(images: Array, known: Observation) -> Array:
    if known.mask is None:
        return jnp.zeros(len(images))
    return jax.vmap(inpainting.seam)(images, known.mask)


def _visits(
    settings: Collaboration,
    critic: Variables,
    generator: Variables,
    latents: PyTree[Array | np.ndarray],
    known: Observation,
    ends: Stops,
    real_score: Array,
) -> Array:
    proposals = propose(settings, generator, latents, known.condition)
    return visits(settings, generator, critic, proposals, known, ends, real_score)
