"""Normalisation of activations and of weights, and initial weights."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

NORMALISATIONS = ("batch", "layer", "spectral", "none")
"""Normalisations of critics: batch and layer normalisation, spectral norm, or none."""
GENERATOR_NORMALISATIONS = ("batch", "none")
"""Normalisations of generators."""

MOMENTUM = 0.9
"""Momentum of the running statistics."""

_EPSILON = 1e-5  # added to variances

_small = nn.initializers.normal(0.02)


def normalise(
    activation: Float[Array, "batch *shape"], kind: str, train: bool
) -> Float[Array, "batch *shape"]:
    """Return normalised activations, inside a compact module.

    Layer normalisation acts on every example alone. Spectral norm acts on weights, in
    `apply_layer`: here it returns the activations as they are, as `none` does.
    """
    if kind == "batch":
        normed: Array = BatchNorm()(activation, train)
        return normed
    if kind == "layer":
        axes = tuple(range(1, activation.ndim))
        normed = nn.LayerNorm(reduction_axes=axes, dtype=activation.dtype)(activation)
        return normed
    return activation


class BatchNorm(nn.Module):
    """Batch normalisation of each channel (Ioffe & Szegedy 2015, arXiv 1502.03167).

    It computes the same as `flax.linen.BatchNorm`, with the variance in two passes:
    E[x^2] - E[x]^2 is inaccurate for nearly constant images. The gradient is in closed
    form, which takes half of the passes of automatic differentiation.
    """

    @nn.compact
    def __call__(
        self, activation: Float[Array, "batch *shape"], train: bool
    ) -> Float[Array, "batch *shape"]:
        """Return normalised activations; statistics are computed in float32.

        In training they are the batch's, and the running statistics are updated.
        """
        shape = activation.shape[-1:]
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        variance = self.variable("batch_stats", "var", jnp.ones, shape)
        scale = self.param("scale", _near_one, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        values = activation.astype(jnp.float32)
        if not train:
            normed = _standardised(values, mean.value, variance.value)
            return _affine(normed, scale, bias).astype(activation.dtype)
        if not self.is_initializing():
            batch_moments = _moments(jax.lax.stop_gradient(values))
            for running, new in zip((mean, variance), batch_moments, strict=True):
                running.value = MOMENTUM * running.value + (1 - MOMENTUM) * new
        return _by_batch(values, scale, bias).astype(activation.dtype)


def _near_one(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    return 1 + 0.02 * jax.random.normal(key, shape)


def _moments(values: Array) -> tuple[Array, Array]:
    axes = tuple(range(values.ndim - 1))
    mean = values.mean(axes)
    return mean, jnp.square(values - _wide(mean, values)).mean(axes)


def _standardised(values: Array, mean: Array, variance: Array) -> Array:
    inverse = jax.lax.rsqrt(variance + _EPSILON)
    return (values - _wide(mean, values)) * _wide(inverse, values)


def _affine(values: Array, scale: Array, bias: Array) -> Array:
    return values * _wide(scale, values) + _wide(bias, values)


def _wide(channels: Array, values: Array) -> Array:
    return channels.reshape((1,) * (values.ndim - 1) + channels.shape)


@jax.custom_vjp
def _by_batch(values: Array, scale: Array, bias: Array) -> Array:
    return _affine(_standardised(values, *_moments(values)), scale, bias)


def _by_batch_forward(values: Array, scale: Array, bias: Array) -> tuple[Array, Any]:
    moments = _moments(values)
    normed = _affine(_standardised(values, *moments), scale, bias)
    return normed, (values, scale, *moments)


def _by_batch_backward(saved: Any, cotangent: Array) -> tuple[Array, Array, Array]:
    values, scale, mean, variance = saved
    axes = tuple(range(values.ndim - 1))
    standard = _standardised(values, mean, variance)
    bias_gradient = cotangent.sum(axes)
    scale_gradient = (cotangent * standard).sum(axes)
    share = values.shape[-1] / values.size
    through_moments = _affine(standard, share * scale_gradient, share * bias_gradient)
    slope = _wide(scale * jax.lax.rsqrt(variance + _EPSILON), values)
    return slope * (cotangent - through_moments), scale_gradient, bias_gradient


_by_batch.defvjp(_by_batch_forward, _by_batch_backward)


def removes_mean(kind: str) -> bool:
    """Return whether a normalisation removes the mean, and with it any bias before."""
    return kind in ("batch", "layer")


def initial_weights(kind: str) -> Callable[..., Array]:
    """Return the initialiser of weights.

    Normal of deviation 0.02 as in DCGAN, or He's for networks without normalisation.
    """
    return nn.initializers.he_normal() if kind == "none" else _small


def apply_normalised(
    make: Callable[..., nn.Module],
    kind: str,
    train: bool,
    *activations: Float[Array, "batch height width _"],
    weights: Callable[..., Array] | None = None,
) -> Float[Array, "batch new_height new_width features"]:
    """Return normalised outputs of a convolution, inside a compact module.

    The convolution has no bias if the normalisation would remove it.

    Args:
        make: Function that returns the convolution, with the arguments `use_bias` and
            `kernel_init`.
        kind: One of `NORMALISATIONS`.
        train: Whether to normalise with the batch's own statistics.
        activations: Inputs of the convolution, concatenated along their channels.
        weights: Initialiser of the kernel; by default that of `initial_weights`.
    """
    layer = make(
        use_bias=not removes_mean(kind), kernel_init=weights or initial_weights(kind)
    )
    return normalise(apply_layer(layer, kind, train, *activations), kind, train)


def apply_layer(
    layer: nn.Module, kind: str, train: bool, *activations: Float[Array, "batch *_"]
) -> Array:
    """Return the output of a layer, with spectral norm if `kind` is `spectral`.

    Spectral norm divides the weights by their largest singular value (Miyato et al.
    2018, arXiv 1802.05957, section 2.1).

    Args:
        layer: Layer to run.
        kind: One of `NORMALISATIONS`.
        train: Whether to update the estimate of the singular value.
        activations: Inputs of the layer.
    """
    if kind == "spectral":
        normed: Array = nn.SpectralNorm(layer)(*activations, update_stats=train)
        return normed
    output: Array = layer(*activations)
    return output
