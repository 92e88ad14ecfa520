"""A generator as a tuple of stages, so that it can be entered and left anywhere."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float, PyTree


class Generator(nn.Module):
    """Stages in sequence: each is called as `stage(activation, condition, train)`.

    `G(z, c, stop=l)` and then `G(h, c, start=l)` is exactly `G(z, c)`, for every l.
    """

    stages: Sequence[nn.Module]

    def __call__(
        self,
        activation: PyTree[Array],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        *,
        start: int = 0,
        stop: int | None = None,
        train: bool = False,
    ) -> Any:
        """Run the stages from `start` up to, not including, `stop`.

        Args:
            activation: the latent where `start` is 0, else stage `start`'s input.
            condition: maps at image size that some stage joins to its activation.
            start: the first stage to run.
            stop: the stage to stop before; all of them by default.
            train: normalise with the batch's statistics rather than the running ones.

        Returns:
            The image in [-1, 1], or the activation that stage `stop` takes.
        """
        for stage in self.stages[start:stop]:
            activation = stage(activation, condition, train)
        return activation
