"""What keeps activations in range: by batch, by image, by weight, or by the start."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

KINDS = ("batch", "layer", "spectral", "none")
"""Each penalty needs a critic whose normalisation suits it."""
OF_GENERATORS = ("batch", "none")
"""The other kinds are made for critics."""

MOMENTUM = 0.9
"""Of the running statistics."""

_EPSILON = 1e-5  # of variances

_small = nn.initializers.normal(0.02)


def normalise(
    activation: Float[Array, "batch *shape"], kind: str, train: bool
) -> Float[Array, "batch *shape"]:
    """Normalise inside a compact module: by batch, or every example alone, or not.

    Spectral norm acts on weights (`nn.SpectralNorm`): here it does nothing.
    """
    if kind == "batch":
        normed: Array = BatchNorm()(activation, train)
        return normed
    if kind == "layer":
        axes = tuple(range(1, activation.ndim))
        normalised: Array = nn.LayerNorm(reduction_axes=axes, dtype=activation.dtype)(
            activation
        )
        return normalised
    return activation


class BatchNorm(nn.Module):
    """Normalise by batch: channel by channel, over all else (arXiv 1502.03167).

    What `flax.linen.BatchNorm` computes, variance in two passes: E[x^2] - E[x]^2 loses
    the digits that mostly constant images need. The gradient is its closed form, which
    makes half as many passes over the activations as automatic differentiation does.
    """

    @nn.compact
    def __call__(
        self, activation: Float[Array, "batch *shape"], train: bool
    ) -> Float[Array, "batch *shape"]:
        """Normalise by the batch's own statistics, or the running ones if not `train`.

        Statistics and sums are of float32 whatever the activations are.
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
            own = _moments(jax.lax.stop_gradient(values))
            for running, new in zip((mean, variance), own, strict=True):
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
    of_bias = cotangent.sum(axes)
    of_scale = (cotangent * standard).sum(axes)
    share = values.shape[-1] / values.size
    through_moments = _affine(standard, share * of_scale, share * of_bias)
    slope = _wide(scale * jax.lax.rsqrt(variance + _EPSILON), values)
    return slope * (cotangent - through_moments), of_scale, of_bias


_by_batch.defvjp(_by_batch_forward, _by_batch_backward)


def centres(kind: str) -> bool:
    """Return whether a normalisation makes the bias before it useless."""
    return kind in ("batch", "layer")


def initial_weights(kind: str) -> Callable[..., Array]:
    """Return the initialiser: DCGAN's 0.02, or He's without normalisation."""
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
