"""Convolutions that are fast on every device, inside compiled loops as well.

XLA's CPU backend runs a convolution at full speed only in certain forms: NHWC x HWIO
with an image that is not dilated. Other forms may take a hundred times as long, above
all inside a loop body (`scan`, `fori_loop`; jax issue 12868). Automatic differentiation
writes other forms. Therefore, on CPUs:

* `convolve`, `convolve_transposed` and the gradient with respect to the kernel are
  three bilinear maps whose derivatives are these same maps. The set is closed under
  differentiation of any order; gradient penalties need the second order. The maps
  support reverse mode and `vmap`, but not forward mode, which `jax.custom_vjp` lacks.
* `cpu_convolutions` computes them in fast forms. Parameters and, up to rounding, values
  are those of `jax.lax`.

On GPUs and TPUs the same functions call `jax.lax`. The form is chosen when a function
is traced. The modules `Conv` and `ConvTranspose` have the parameters of flax's.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gan_jax.networks.layers import cpu_convolutions as cpu
from gan_jax.networks.layers.cpu_convolutions import (
    Pads,
    Sizes,
    dilated_shape,
    spatial_shape,
    transpose_kernel,
    transpose_pads,
)

_platform: ContextVar[str] = ContextVar("platform", default="")


@contextlib.contextmanager
def trace_for(platform: str) -> Iterator[None]:
    """Trace the functions in this context for a platform, e.g. `cpu` or `cuda`.

    Without it functions are traced for the default backend. An exported program may
    run on another one. For `onnx` transposed convolutions are written as convolutions
    that dilate nothing.
    """
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)


def use_cpu_forms() -> bool:
    """Return whether convolutions are traced in the forms that are fast on CPUs."""
    return (_platform.get() or jax.default_backend()) == "cpu"


def convolve(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    stride: int = 1,
) -> Float[Array, "batch new_height new_width outputs"]:
    """Return a strided convolution, as `jax.lax.conv_general_dilated` with "SAME"."""
    sizes, strides = image.shape[1:3], (stride, stride)
    rows, columns = lax.padtype_to_pads(sizes, kernel.shape[:2], strides, "SAME")
    form = _convolve if use_cpu_forms() else cpu.convolve_directly
    return form(image, kernel, stride, (rows, columns))


def convolve_transposed(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    stride: int = 2,
) -> Float[Array, "batch new_height new_width outputs"]:
    """Return a transposed convolution, as `jax.lax.conv_transpose` with "SAME".

    The stride enlarges height and width.
    """
    high, wide = (_transposed_pads(taps, stride) for taps in kernel.shape[:2])
    form = _convolve_transposed if use_cpu_forms() else cpu.convolve_dilated
    if _platform.get() == "onnx":
        form = cpu.convolve_by_phases
    return form(image, kernel, stride, (high, wide))


def _bilinear(
    form: Callable[..., Array],
    gradients: Callable[..., tuple[Array, Array]],
    statics: int,
) -> Callable[..., Array]:
    """Return a bilinear map with given gradients.

    Args:
        form: Function that computes the map, `form(left, right, *statics)`.
        gradients: Function that computes the gradients with respect to both arrays,
            `gradients(left, right, cotangent, *statics)`, by maps of the same kind.
        statics: Number of static arguments.
    """
    function = jax.custom_vjp(form, nondiff_argnums=tuple(range(2, 2 + statics)))

    def forward(left: Array, right: Array, *rest: Any) -> tuple[Array, Any]:
        return function(left, right, *rest), (left, right)

    def backward(*inputs: Any) -> tuple[Array, Array]:
        *rest, saved, cotangent = inputs
        return gradients(*saved, cotangent, *rest)

    function.defvjp(forward, backward)
    return function


def _convolve_gradients(
    image: Array, kernel: Array, cotangent: Array, stride: int, pads: Pads
) -> tuple[Array, Array]:
    taps = spatial_shape(kernel, 0)
    back = transpose_pads(
        pads, taps, spatial_shape(image), dilated_shape(cotangent, stride)
    )
    return (
        _convolve_transposed(cotangent, transpose_kernel(kernel), stride, back),
        _kernel_gradient(image, cotangent, stride, pads, taps),
    )


def _transposed_gradients(
    image: Array, kernel: Array, cotangent: Array, stride: int, pads: Pads
) -> tuple[Array, Array]:
    taps = spatial_shape(kernel, 0)
    back = transpose_pads(
        pads, taps, dilated_shape(image, stride), spatial_shape(cotangent)
    )
    return (
        _convolve(cotangent, transpose_kernel(kernel), stride, back),
        transpose_kernel(_kernel_gradient(cotangent, image, stride, back, taps)),
    )


def _kernel_gradient_gradients(
    image: Array,
    output: Array,
    cotangent: Array,
    stride: int,
    pads: Pads,
    taps: Sizes,
) -> tuple[Array, Array]:
    back = transpose_pads(
        pads, taps, spatial_shape(image), dilated_shape(output, stride)
    )
    return (
        _convolve_transposed(output, transpose_kernel(cotangent), stride, back),
        _convolve(image, cotangent, stride, pads),
    )


_convolve = _bilinear(cpu.convolve, _convolve_gradients, 2)
_convolve_transposed = _bilinear(cpu.convolve_transposed, _transposed_gradients, 2)
_kernel_gradient = _bilinear(cpu.kernel_gradient, _kernel_gradient_gradients, 3)


def _transposed_pads(taps: int, stride: int) -> tuple[int, int]:
    """Return the padding of an axis of the dilated image."""
    total = taps + stride - 2
    low = taps - 1 if stride > taps - 1 else math.ceil(total / 2)
    return low, total - low


class _Convolution(nn.Module):
    """Base of both modules; its parameters are named as those of flax's `Conv`."""

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    operation: ClassVar[Callable[..., Array]]

    @nn.compact
    def __call__(
        self, *images: Float[Array, "batch height width _"]
    ) -> Float[Array, "batch new_height new_width features"]:
        """Return the convolution of images, concatenated along their channels.

        Each image is convolved with its part of the kernel, as a concatenation would
        copy them. The computations have the type of the images.
        """
        ends = list(itertools.accumulate(image.shape[-1] for image in images))
        shape = (self.kernel, self.kernel, ends[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        precision = images[0].dtype
        parts = jnp.split(kernel.astype(precision), ends[:-1], axis=2)
        operation = functools.partial(type(self).operation, stride=self.stride)
        image = functools.reduce(jnp.add, map(operation, images, parts))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
            image = image + bias.astype(precision).reshape(1, 1, 1, -1)
        return image


class Conv(_Convolution):
    """Convolution with a square kernel, equal to flax's `Conv`."""

    operation = staticmethod(convolve)


class ConvTranspose(_Convolution):
    """Transposed convolution with a square kernel, equal to flax's `ConvTranspose`."""

    operation = staticmethod(convolve_transposed)
