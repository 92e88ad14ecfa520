"""What keeps activations in range: by batch, by image, by weight, or by the start."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

KINDS = ("batch", "layer", "spectral", "none")
"""Each penalty needs a critic whose normalisation suits it."""
OF_GENERATORS = ("batch", "none")
"""The other kinds are made for critics."""

MOMENTUM = 0.9
"""Of the running statistics."""

_small = nn.initializers.normal(0.02)


def normalise(
    activation: Float[Array, "batch *shape"], kind: str, train: bool
) -> Float[Array, "batch *shape"]:
    """Normalise inside a compact module: by batch, or every example alone, or not.

    Spectral norm acts on weights (`nn.SpectralNorm`): here it does nothing.
    """
    if kind == "batch":
        return _normalise_batch(activation, train)
    if kind == "layer":
        axes = tuple(range(1, activation.ndim))
        normalised: Array = nn.LayerNorm(reduction_axes=axes, dtype=activation.dtype)(
            activation
        )
        return normalised
    return activation


def _normalise_batch(activation: Array, train: bool) -> Array:
    normalised: Array = nn.BatchNorm(
        use_running_average=not train,
        momentum=MOMENTUM,
        dtype=activation.dtype,
        # E[x^2] - E[x]^2 loses the digits that mostly constant images need.
        use_fast_variance=False,
        scale_init=lambda key, shape, dtype=jnp.float32: (
            1 + 0.02 * jax.random.normal(key, shape, dtype)
        ),
    )(activation)
    return normalised


def centres(kind: str) -> bool:
    """Tell whether a normalisation makes the bias before it useless."""
    return kind in ("batch", "layer")


def initial_weights(kind: str) -> Callable[..., Array]:
    """Give the initialiser of weights: DCGAN's 0.02, or He's where nothing rescales."""
    return nn.initializers.he_normal() if kind == "none" else _small


def normalised(
    make: Callable[..., nn.Module],
    kind: str,
    train: bool,
    *activations: Float[Array, "batch height width _"],
    weights: Callable[..., Array] | None = None,
) -> Float[Array, "batch new_height new_width features"]:
    """Convolve and normalise inside a compact module, without a bias that is undone.

    Args:
        make: `make(use_bias=..., kernel_init=...)` of the convolution.
        kind: of the normalisation.
        train: whether a batch's own statistics are taken.
        activations: what is convolved, as if joined.
        weights: their initialiser; by default `initial_weights`.
    """
    layer = make(
        use_bias=not centres(kind), kernel_init=weights or initial_weights(kind)
    )
    return normalise(weighted(layer, kind, train, *activations), kind, train)


def weighted(
    layer: nn.Module, kind: str, train: bool, *activations: Float[Array, "batch *_"]
) -> Array:
    """Run a layer, with its weights over their largest singular value if spectral.

    Miyato et al. 2018, arXiv 1802.05957, section 2.1.
    """
    if kind == "spectral":
        normed: Array = nn.SpectralNorm(layer)(*activations, update_stats=train)
        return normed
    output: Array = layer(*activations)
    return output
