"""A critic of several images at once: PacGAN (Lin et al. 2018, arXiv 1712.04086).

It sees how a generator's images differ, so one that makes a single image gives itself
away.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


class Packed(nn.Module):
    """One score for every `samples` images, which stand side by side as channels."""

    critic: nn.Module
    """Of one image; it sees no condition."""
    samples: int

    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "packs *map"]:
        """Score the packs of a batch: its neighbours, which must fill them."""
        batch, height, width, channels = image.shape
        packs = image.reshape(-1, self.samples, height, width, channels)
        side_by_side = jnp.moveaxis(packs, 1, 3).reshape(
            batch // self.samples, height, width, self.samples * channels
        )
        return self.critic(side_by_side, None, train)
