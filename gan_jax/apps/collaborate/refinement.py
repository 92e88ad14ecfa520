"""Many samples refined: in chunks of one compiled program, whatever the method."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from gan_jax.build import networks as architectures
from gan_jax.build import tasks
from gan_jax.config.errors import Interrupted
from gan_jax.data.splits import Part
from gan_jax.losses import inpainting
from gan_jax.networks.compilation import compiled
from gan_jax.runs.inference import chunks, in_chunks, taken
from gan_jax.runs.prior import Prior, unseen_batch
from gan_jax.runs.signals import Signals
from gan_jax.search.collaboration import (
    Collaboration,
    Standard,
    Stops,
    guarded,
    improve,
    paint,
    propose,
    scores,
    standard,
    stops,
    visits,
)
from gan_jax.search.refinement import Observation, Refined, pasted
from gan_jax.training.state import Variables

_CHUNK = 500  # refined in one call

Images = Float[np.ndarray, "count height width channels"]


class Refinements(NamedTuple):
    """What became of many samples."""

    images: Images
    """With known pixels, where there are any."""
    generated: Images
    """Without them."""
    cost: Float[np.ndarray, " count"]
    proposed: Float[np.ndarray, " count"]
    """The cost of the proposals."""
    steps: Int[np.ndarray, " count"]
    """Made in all."""
    trusted: np.ndarray
    """Whether critic and known pixels agree that the sample is better now."""


class Refiner:
    """Refines samples of a prior with any critic of the prior's kind."""

    def __init__(
        self,
        prior: Prior,
        who: Collaboration,
        part: Part,
        slack: float = 0.0,
        signals: Signals | None = None,
        together: int = _CHUNK,
    ):
        """Prepare.

        Args:
            prior: its generator.
            who: how.
            part: real images, whose median cost is good enough.
            slack: the part by which the jump between known and generated pixels may
                grow in a sample that is trusted.
            signals: that interrupt it between chunks.
            together: refined in one call.
        """
        self._prior, self._who, self._signals = prior, who, signals
        self._together = together
        self._sign = -1.0 if architectures.gives_energies(prior.config) else 1.0
        bounded = not tasks.task(prior.config).points
        self._real = unseen_batch(prior.method, part)

        def refined(
            critic: Variables,
            generator: Variables,
            latents: PyTree[Array],
            problems: Observation,
            stops: Stops,
            real_score: Array,
        ) -> tuple[Array, Array, Refined, Array]:
            proposals = propose(who, generator, latents, problems.condition)
            found = improve(
                who, generator, critic, proposals, problems, stops, real_score
            )
            bare = problems._replace(values=None, mask=None)
            after = paint(who, generator, found.activation, bare)
            if bounded:  # at the last stage nothing else keeps them in range
                after = after.clip(-1, 1)
            images = pasted(after, problems)
            before = seams(paint(who, generator, proposals, problems), problems)
            kept = guarded(found, before, seams(images, problems), slack)
            return images, after, found, kept

        def seams(images: Array, problems: Observation) -> Array:
            if problems.mask is None:
                return jnp.zeros(len(images))
            return jax.vmap(inpainting.seam)(images, problems.mask)

        self._refined = compiled(refined)

        def seen(
            critic: Variables,
            generator: Variables,
            latents: PyTree[Array],
            problems: Observation,
            stops: Stops,
            real_score: Array,
        ) -> Array:
            proposals = propose(who, generator, latents, problems.condition)
            return visits(
                who, generator, critic, proposals, problems, stops, real_score
            )

        self._visits = compiled(seen)
        self._painted = compiled(
            lambda generator, latents, problems: paint(
                who,
                generator,
                propose(who, generator, latents, problems.condition),
                problems,
            )
        )
        self._scores = compiled(functools.partial(scores, who))

    def propose(self, latents: np.ndarray, problems: Observation) -> Images:
        """Return the images of latents as they are."""
        generator = self._prior.networks.generator
        images: Images = in_chunks(
            lambda at: self._painted(generator, *taken((latents, problems), at)),
            len(latents),
            _CHUNK,
        )
        return images

    def standard(self, critic: Variables) -> Standard:
        """Return what unseen real images are to a critic."""
        return standard(
            self._who.score_loss, jnp.asarray(self._raw(critic, *self.real()))
        )

    def scores(
        self, critic: Variables, images: Images, condition: PyTree[Array] = None
    ) -> Float[np.ndarray, " count"]:
        """Return a critic's scores, high for real images: of energies the negative."""
        return self._sign * self._raw(critic, images, condition)

    def real(self) -> tuple[Images, Any]:
        """Return real images that no critic has learned from, and their conditions."""
        real: tuple[Images, Any]
        real = jax.device_get((self._real.real, self._real.real_condition))
        return real

    def _raw(
        self, critic: Variables, images: Images, condition: PyTree[Array]
    ) -> Float[np.ndarray, " count"]:
        found: np.ndarray = in_chunks(
            lambda at: self._scores(critic, *taken((images, condition), at)),
            len(images),
            _CHUNK,
        )
        return found

    def visits(
        self,
        critic: Variables,
        latents: np.ndarray,
        problems: Observation,
        key: PRNGKeyArray,
        count: int,
    ) -> Float[np.ndarray, "visits count height width channels"]:
        """Return images of the first proposals and of every step of their refinement.

        Args:
            critic: with which.
            latents: of all examples.
            problems: under which they are generated.
            key: as for `refine`.
            count: of examples that are followed, at most.
        """
        real = self.standard(critic)
        ends = stops(self._who, key, len(latents), real)
        first = np.arange(min(count, len(latents)))
        images: np.ndarray = jax.device_get(
            self._visits(
                critic,
                self._prior.networks.generator,
                *taken((latents, problems), first),
                Stops(ends.limits[first], ends.threshold),
                real.score,
            )
        )
        return images

    def refine(
        self,
        critic: Variables,
        latents: np.ndarray,
        problems: Observation,
        key: PRNGKeyArray,
        real: Standard | None = None,
    ) -> Refinements:
        """Refine the images of latents.

        Args:
            critic: with which.
            latents: whose images they are.
            problems: under which they are generated.
            key: of the lots, where stopping is probabilistic: by place.
            real: what real images are to the critic; None = it is measured.

        Raises:
            Interrupted: by a signal.
        """
        if real is None:
            real = self.standard(critic)
        ends = stops(self._who, key, len(latents), real)
        limits, threshold = np.asarray(ends.limits), ends.threshold
        parts = []
        for at in chunks(len(latents), self._together):
            if self._signals and self._signals.received:
                again = "the same command continues"
                raise Interrupted(self._signals.received, again)
            given = taken((latents, problems), at)
            found = self._refined(
                critic,
                self._prior.networks.generator,
                *given,
                Stops(jnp.asarray(limits[at]), threshold),
                real.score,
            )
            images, generated, refined, trusted = jax.device_get(found)
            parts.append(
                Refinements(
                    images,
                    generated,
                    refined.cost,
                    refined.proposed,
                    refined.steps,
                    trusted,
                )
            )
        joined = (np.concatenate(some) for some in zip(*parts, strict=True))
        return Refinements(*(some[: len(latents)] for some in joined))
