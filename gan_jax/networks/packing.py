"""A critic of several images at once: PacGAN (Lin et al. 2018, arXiv 1712.04086).

The critic sees how the images of a pack differ, so that it detects mode collapse.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


class Packed(nn.Module):
    """Critic with one score for every pack of `samples` images.

    Attributes:
        critic: Critic of an image with the channels of a whole pack, unconditional.
        samples: Number of images per pack.
    """

    critic: nn.Module
    samples: int

    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "packs *map"]:
        """Return the scores of packs of neighbouring images.

        The batch must be a multiple of `samples`; the condition is ignored.
        """
        batch, height, width, channels = image.shape
        packs = image.reshape(-1, self.samples, height, width, channels)
        side_by_side = jnp.moveaxis(packs, 1, 3).reshape(
            batch // self.samples, height, width, self.samples * channels
        )
        return self.critic(side_by_side, None, train)
