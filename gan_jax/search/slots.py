"""Places in a batch that are taken again by what waits."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Shaped


def replaced(
    where: Bool[Array, " slots"],
    old: Shaped[Array, "slots ..."],
    new: Shaped[Array, "slots ..."],
) -> Shaped[Array, "slots ..."]:
    """Take the new content of some slots and the old one of the others."""
    return jnp.where(where.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
