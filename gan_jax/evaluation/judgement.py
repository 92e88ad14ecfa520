"""What tells images apart for a measure: features, and classes where there are any."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


class Judgement(NamedTuple):
    """What a judge says of images."""

    features: Float[np.ndarray, "count features"]
    """What FID and its like compare."""
    probabilities: Float[np.ndarray, "count classes"] | None
    """None where the data set has no labels."""


@runtime_checkable
class Judge(Protocol):
    """A function from images to what a measure compares."""

    @property
    def description(self) -> Mapping[str, Any]:
        """Whose features they are: `network`, its `sha256` and `accuracy`."""

    def __call__(
        self, images: Float[np.ndarray, "count height width channels"]
    ) -> Judgement:
        """Judge images."""
