"""A constant critic, for training by loss terms without an adversary."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


class Critic(nn.Module):
    """Critic that gives every image the same score, without a gradient."""

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Return the constant score of each image."""
        score = self.param("score", nn.initializers.zeros_init(), (1,))
        return jnp.broadcast_to(score, image.shape[:1])
