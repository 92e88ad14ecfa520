"""A critic that sees nothing: what is trained against it is trained by terms alone."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree


class Critic(nn.Module):
    """Scores all images alike, so that there is nothing to learn or to please."""

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width channels"],
        condition: PyTree[Float[Array, "batch height width _"]] = None,
        train: bool = False,
    ) -> Float[Array, "batch"]:
        """Score a batch of images."""
        score = self.param("score", nn.initializers.zeros_init(), (1,))
        return jnp.broadcast_to(score, image.shape[:1])
