"""Search of latents until the known values are honoured."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial
from jaxtyping import Array, Float, PyTree

from gan_jax.apps.generate.agreement import KnownCells
from gan_jax.apps.generate.prior import Source, chunk_of
from gan_jax.build import searches
from gan_jax.config.limits import Size
from gan_jax.data.masks import Known
from gan_jax.networks.compilation import compiled
from gan_jax.search.latent import Search, compile_search, run
from gan_jax.search.realisations import Realiser

# Set by hand. Half or twice the iterations, a fifth or four times the rate, and no pull
# or ten times as much leave 64 digits under 5 known pixels the same: 100% of the values
# honoured, of 79% before, in the same time.
ITERATIONS = 200
"""Largest number of iterations of a search."""
_PATIENCE, _LENGTH = 60, 10  # iterations without progress, and in a compiled call
SLOTS = 4
"""Searches at once; more stand idle where few images miss."""
_RATE = 0.05  # of Adam, at the start; falls to 0
_PULL = 1e-3  # weight of the mean squared latent, which is 1 in normal latents
_MARGIN = 0.9  # share of the tolerance at which a search ends, for rounding

Scaled = Float[np.ndarray, "chunk height width channels"]


class Inversion:
    """Searches the latents of images that miss known values.

    The loss is the mean squared error of the known values, in [-1, 1], and a small pull
    to where latents are drawn.
    """

    def __init__(self, source: Source, size: Size):
        """Prepare the search of images of a size; nothing is compiled yet."""
        generate, latent = source.function(size), source.draw(size)
        _, unravel = ravel_pytree(latent(jax.random.key(0)))

        def loss(function: Any, latent: Array, problem: PyTree[Array]) -> Any:
            known, limits = problem
            batch = jax.tree.map(lambda leaf: leaf[None], (unravel(latent), known))
            image = function(*batch)[0]
            misses = known.mask * (image - known.values)
            count = jnp.maximum(known.mask.sum() * image.shape[-1], 1)
            pull = _PULL * jnp.square(latent).mean()
            return jnp.square(misses).sum() / count + pull, (
                jnp.abs(misses) / limits
            ).max()

        search = Search(
            Partial(loss, generate),
            optax.adam(optax.cosine_decay_schedule(_RATE, ITERATIONS), 0.5, 0.99),
            searches.support(source.prior.config),
            ITERATIONS,
            _PATIENCE,
            tolerance=_MARGIN,
        )
        self._search = compile_search(search, _LENGTH, compiled)
        self._unravel = jax.vmap(unravel)
        self._units, self._slots = source.units, min(SLOTS, chunk_of(size))
        self._ravel = jax.vmap(lambda latent: ravel_pytree(latent)[0])

    def improved(
        self,
        realiser: Realiser,
        cells: KnownCells,
        known: Known,
        latents: PyTree[Array],
        images: Scaled,
        wanted: slice,
    ) -> Float[np.ndarray, "some height width channels"]:
        """Return some images of a chunk, those that miss a known value searched anew.

        An image keeps its latent where the search has found none that honours more. Its
        result does not depend on which other ones are wanted.

        Args:
            realiser: The generator.
            cells: The known cells.
            known: The condition of the images.
            latents: Latents of the images.
            images: The images, in [-1, 1].
            wanted: Which of them are returned.
        """
        before = self._honoured(cells, images)
        missing = np.arange(len(images))[wanted]
        missing = missing[before[missing] < len(cells.values)]
        if not len(missing):
            return images[wanted]
        # Slots that would stand idle repeat images: every number compiles anew.
        slots = self._slots
        searched = np.resize(missing, -(-len(missing) // slots) * slots)
        limits = cells.limits().astype(np.float32)
        problems = jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (len(searched), *leaf.shape)),
            (known, jnp.asarray(limits)),
        )
        flat = self._ravel(latents)
        found = run(self._search, flat[searched][None], problems, slots)
        moved = flat.at[missing].set(found.latent[: len(missing)])
        tried = np.asarray(realiser.images(self._unravel(moved), known))
        better = self._honoured(cells, tried) > before
        return np.where(better[:, None, None, None], tried, images)[wanted]

    def _honoured(self, cells: KnownCells, images: Scaled) -> np.ndarray:
        """Return how many known values each image honours."""
        native = self._units.rounded(self._units.native(cells.of(images)))
        return cells.honoured(native).sum(axis=1)
