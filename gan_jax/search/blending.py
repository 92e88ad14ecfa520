"""Poisson blending: generated pixels join known ones without a visible edge.

Perez, Gangnet & Blake 2003, "Poisson image editing": inside the hole the image has the
Laplacian of the generated image, on the hole's border the known values.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_ROUNDS = 3  # of refinement: one solve in single precision is good to about 1e-4


def poisson_blend(
    generated: Float[Array, "*batch height width channels"],
    known: Float[Array, "*batch height width channels"],
    mask: Float[Array, "*batch height width 1"],
    tolerance: float = 1e-6,
    iterations: int = 2000,
    inside: Float[Array, "*batch height width 1"] | None = None,
) -> Float[Array, "*batch height width channels"]:
    """Blend generated images into the holes of known ones.

    Channels are blended separately. Holes may have any shape; at the border of the
    image the boundary is free. Known pixels keep their values exactly. Where nothing is
    known the result is the generated image.

    Args:
        generated: Generated images.
        known: Images around the holes.
        mask: 1 where a pixel is known, 0 in holes.
        tolerance: Tolerance of conjugate gradients, relative to the right-hand side.
        iterations: Largest number of iterations in each round of refinement.
        inside: 1 in the image, 0 in padding that makes it larger, which changes nothing
            and is not blended; None = there is none.
    """
    leading = generated.shape[:-3]

    def flat(images: Array) -> Array:
        return images.reshape(-1, *images.shape[len(leading) :])

    def blend(generated: Array, known: Array, mask: Array, inside: Array) -> Array:
        return _blend(generated, known, mask, inside, tolerance, iterations)

    inside = jnp.ones_like(mask) if inside is None else inside
    arrays = map(flat, (generated, known, mask, inside))
    blended: Array = jax.vmap(blend)(*arrays)
    return blended.reshape(generated.shape)


def _blend(
    generated: Float[Array, "height width channels"],
    known: Float[Array, "height width channels"],
    mask: Float[Array, "height width 1"],
    inside: Float[Array, "height width 1"],
    tolerance: float,
    iterations: int,
) -> Float[Array, "height width channels"]:
    """Add the harmonic correction that removes the step at the hole's border."""
    hole = inside - mask
    step = jnp.where(mask > 0, known - generated, 0)

    def operator(correction: Array) -> Array:
        return hole * laplacian(hole * correction, inside)

    def improve(_: Array, correction: Array) -> Array:
        # Each round solves for the residual of the last one, which is exact: a sum of
        # differences of near values.
        residual = -hole * laplacian(step + hole * correction, inside)
        solution, _ = jax.scipy.sparse.linalg.cg(
            operator, residual, tol=tolerance, maxiter=iterations
        )
        return correction + solution

    # With fixed values 0 on the border the equation is symmetric and definite.
    correction = jax.lax.fori_loop(0, _ROUNDS, improve, jnp.zeros_like(step))
    blended = jnp.where(mask > 0, known, generated + correction)
    return jnp.where(mask.sum() > 0, blended, generated)


def laplacian(
    image: Float[Array, "height width channels"],
    inside: Float[Array, "height width 1"] | float = 1.0,
) -> Float[Array, "height width channels"]:
    """Return each pixel's sum of differences from its neighbours, four at most.

    Neighbours count where both are `inside`, which is 1 there and 0 elsewhere.
    """
    inside = jnp.broadcast_to(inside, (*image.shape[:2], 1))
    down = (image[1:] - image[:-1]) * inside[1:] * inside[:-1]
    right = (image[:, 1:] - image[:, :-1]) * inside[:, 1:] * inside[:, :-1]
    return (
        jnp.pad(down, ((1, 0), (0, 0), (0, 0)))
        - jnp.pad(down, ((0, 1), (0, 0), (0, 0)))
        + jnp.pad(right, ((0, 0), (1, 0), (0, 0)))
        - jnp.pad(right, ((0, 0), (0, 1), (0, 0)))
    )
