"""Observations of images, for searches and refinements."""

from typing import NamedTuple

from jaxtyping import Array, Float, PyTree


class Observation(NamedTuple):
    """The known values of one image, or of many along a leading axis.

    A latent search needs values, mask and weights; a refinement uses values and mask,
    if they are known, and the condition.
    """

    values: Float[Array, "*images rows columns parts"] | None = None
    """Measured values, in [-1, 1] but for noise."""
    mask: Float[Array, "*images rows columns 1"] | None = None
    """1 where a value was measured, 0 elsewhere."""
    weights: Float[Array, "*images rows columns 1"] | None = None
    """Weights of the measured values in a loss, 0 elsewhere. An observer sets the mask;
    `LatentSearch.inputs` replaces it by the weights of a loss."""
    condition: PyTree[Array] = None
    """The condition of a conditional generator."""
