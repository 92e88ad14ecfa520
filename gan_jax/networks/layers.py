"""Convolutions in the one form that XLA runs fast everywhere, loops included.

XLA's CPU backend runs a convolution at full speed inside a loop body (`scan`,
`fori_loop`) only in its canonical form: stride 1, undilated, NHWC x HWIO (jax
issue 12868). What automatic differentiation writes is not in that form, and the
gradient of a strided or transposed convolution is slow even outside loops. So:

* `correlate` is the primitive: its gradients are written as canonical correlations
  again, so the set is closed under differentiation of any order (the gradient
  penalties need the second). It supports reverse mode and `vmap`; there is no
  forward mode on a CPU, because `jax.custom_vjp` has none.
* `convolve` and `convolve_transposed` reduce strides to it by phases: a strided
  convolution is a stride-1 correlation of the space-to-depth image, a transposed one
  a stride-1 correlation to stride^2 times the channels, then depth-to-space. The
  parameters and the values (to rounding) are those of the direct forms.
* `Conv` and `ConvTranspose` are their modules, with flax's parameter names and shapes.

On GPU and TPU the vendor's libraries handle strides and loops: there the same
functions call `jax.lax` directly. The form is chosen once, when tracing.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Padding = str | Sequence[tuple[int, int]]
"""`"SAME"`, `"VALID"` or (low, high) for height and width, as in `jax.lax`."""
Pads = tuple[tuple[int, int], tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def runs_by_phases() -> bool:
    """Whether convolutions take the canonical form on the default backend."""
    return jax.default_backend() == "cpu"


def _correlate_directly(image: Array, kernel: Array, pads: Pads) -> Array:
    return lax.conv_general_dilated(
        image, kernel, (1, 1), pads, dimension_numbers=_LAYOUT
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _correlate_canonically(image: Array, kernel: Array, pads: Pads) -> Array:
    return _correlate_directly(image, kernel, pads)


def _correlate_forward(
    image: Array, kernel: Array, pads: Pads
) -> tuple[Array, tuple[Array, Array]]:
    return _correlate_canonically(image, kernel, pads), (image, kernel)


def _correlate_backward(
    pads: Pads, saved: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    image, kernel = saved
    # The barriers keep XLA from folding a transpose back into the convolution, which
    # would take it out of the canonical form.
    hold = lax.optimization_barrier
    height, width = kernel.shape[:2]
    full = tuple(
        (size - 1 - low, size - 1 - high)
        for size, (low, high) in zip((height, width), pads, strict=True)
    )
    flipped = hold(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))
    image_gradient = _correlate_canonically(cotangent, flipped, full)
    # Channels play the batch, the batch plays the channels: the weight gradient is
    # a correlation of the image with its output's cotangent.
    if any(cotangent.shape[axis] > image.shape[axis] for axis in (1, 2)):
        # XLA leaves its fast path where a kernel is larger than the unpadded image.
        edges = [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)]
        image = lax.pad(image, jnp.zeros((), image.dtype), edges)
        pads = ((0, 0), (0, 0))
    kernel_gradient = _correlate_canonically(
        hold(image.transpose(3, 1, 2, 0)), hold(cotangent.transpose(1, 2, 0, 3)), pads
    )
    return image_gradient, hold(kernel_gradient).transpose(1, 2, 0, 3)


_correlate_canonically.defvjp(_correlate_forward, _correlate_backward)


def correlate(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    pads: Pads,
) -> Float[Array, "batch new_height new_width outputs"]:
    """Correlate an image with a kernel at stride 1, zeros padded by `pads`."""
    form = _correlate_canonically if runs_by_phases() else _correlate_directly
    return form(image, kernel, pads)


def convolve(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    stride: int = 1,
    padding: Padding = "SAME",
) -> Float[Array, "batch new_height new_width outputs"]:
    """Convolve with a stride: equal to `jax.lax.conv_general_dilated`.

    With K = ceil(k / s) and the kernel padded to K*s taps, output o is the sum over
    a < K and p < s of image[(o + a)*s + p] * kernel[a*s + p]: a stride-1 correlation
    of the image whose s^2 phases became channels.
    """
    taps = kernel.shape[:2]
    sizes = image.shape[1:3]
    pads = _pads(padding, sizes, taps, stride)
    if not runs_by_phases():
        return lax.conv_general_dilated(
            image, kernel, (stride, stride), pads, dimension_numbers=_LAYOUT
        )
    if stride == 1:
        return correlate(image, kernel, pads)
    blocks = [math.ceil(size / stride) for size in taps]
    outputs = [
        (size + low + high - tap) // stride + 1
        for size, (low, high), tap in zip(sizes, pads, taps, strict=True)
    ]
    # Negative where the last rows are never read: lax.pad crops them.
    edges = [
        (low, (output + block - 1) * stride - size - low, 0)
        for output, block, size, (low, _) in zip(
            outputs, blocks, sizes, pads, strict=True
        )
    ]
    image = lax.pad(image, jnp.zeros((), image.dtype), [(0, 0, 0), *edges, (0, 0, 0)])
    image = _space_to_depth(image, stride)
    kernel = jnp.pad(
        kernel,
        [
            *(
                (0, block * stride - tap)
                for block, tap in zip(blocks, taps, strict=True)
            ),
            (0, 0),
            (0, 0),
        ],
    )
    high, wide = blocks
    kernel = kernel.reshape(high, stride, wide, stride, *kernel.shape[2:])
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(
        high, wide, -1, kernel.shape[-1]
    )
    return correlate(image, kernel, ((0, 0), (0, 0)))


def convolve_transposed(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    stride: int = 2,
    padding: Padding = "SAME",
) -> Float[Array, "batch new_height new_width outputs"]:
    """Convolve with a fractional stride: equal to `jax.lax.conv_transpose`.

    Phase p of output block o collects image[o + m] * kernel[m*s - p + pad]: one
    stride-1 correlation to s^2 times the channels, then depth-to-space. The blocks
    are shifted where that needs fewer taps, and the surplus rows cropped.
    """
    taps = kernel.shape[:2]
    sizes = image.shape[1:3]
    pads = _transposed_pads(padding, taps, stride)
    if not runs_by_phases():
        return lax.conv_general_dilated(
            image,
            kernel,
            (1, 1),
            pads,
            lhs_dilation=(stride, stride),
            dimension_numbers=_LAYOUT,
        )
    rows, columns = (
        min(
            (_phases(size, tap, stride, pair, shift) for shift in range(stride)),
            key=lambda plan: plan.taps,
        )
        for size, tap, pair in zip(sizes, taps, pads, strict=True)
    )
    inputs, outputs = kernel.shape[2:]
    edges = [rows.kernel_pad, columns.kernel_pad, (0, 0, 0), (0, 0, 0)]
    kernel = lax.pad(kernel, jnp.zeros((), kernel.dtype), edges)
    kernel = kernel.reshape(rows.taps, stride, columns.taps, stride, inputs, outputs)
    kernel = kernel[:, ::-1, :, ::-1].transpose(0, 2, 4, 1, 3, 5)
    kernel = kernel.reshape(rows.taps, columns.taps, inputs, stride**2 * outputs)
    image = correlate(image, kernel, (rows.image_pad, columns.image_pad))
    image = _depth_to_space(image, stride)
    return image[:, slice(*rows.crop), slice(*columns.crop)]


class _Phases(NamedTuple):
    """How one axis of a transposed convolution falls into phases."""

    taps: int
    kernel_pad: tuple[int, int, int]
    image_pad: tuple[int, int]
    crop: tuple[int, int]


def _phases(
    size: int, tap: int, stride: int, pads: tuple[int, int], shift: int
) -> _Phases:
    """Plan one axis; its output blocks start `shift` pixels before the image."""
    low = pads[0] + shift
    length = (size - 1) * stride + 2 + sum(pads) - tap
    blocks = math.ceil((length + shift) / stride)
    # Phase p uses the taps m*s + low - p in [0, tap): m runs from first to last.
    first = -(low // stride)
    last = (tap - 1 - low + stride - 1) // stride
    taps = last - first + 1
    before = stride - 1 - low - first * stride
    return _Phases(
        taps,
        (before, taps * stride - tap - before, 0),
        (-first, blocks - size + last),
        (shift, shift + length),
    )


def _space_to_depth(image: Array, stride: int) -> Array:
    batch, height, width, channels = image.shape
    image = image.reshape(
        batch, height // stride, stride, width // stride, stride, channels
    )
    image = image.transpose(0, 1, 3, 2, 4, 5)
    return image.reshape(batch, height // stride, width // stride, -1)


def _depth_to_space(image: Array, stride: int) -> Array:
    batch, height, width, channels = image.shape
    image = image.reshape(batch, height, width, stride, stride, channels // stride**2)
    image = image.transpose(0, 1, 3, 2, 4, 5)
    return image.reshape(batch, height * stride, width * stride, -1)


def _pads(
    padding: Padding, sizes: Sequence[int], taps: Sequence[int], stride: int
) -> Pads:
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(sizes, taps, (stride, stride), padding)
    (top, bottom), (left, right) = padding
    return (top, bottom), (left, right)


def _transposed_pads(padding: Padding, taps: Sequence[int], stride: int) -> Pads:
    """Padding of the dilated image, as `jax.lax.conv_transpose` defines it."""
    if not isinstance(padding, str):
        (top, bottom), (left, right) = padding
        return (top, bottom), (left, right)

    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding {padding!r} is neither 'SAME' nor 'VALID'")

    def pair(tap: int) -> tuple[int, int]:
        if padding == "VALID":
            return tap - 1, tap - 1 + max(stride - tap, 0)
        total = tap + stride - 2
        low = tap - 1 if stride > tap - 1 else math.ceil(total / 2)
        return low, total - low

    return pair(taps[0]), pair(taps[1])


class _Convolution(nn.Module):
    """What the two modules share: parameters as flax's `Conv` names them."""

    features: int
    kernel: int = 3
    stride: int = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()

    operation: ClassVar[Callable[..., Array]]

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch new_height new_width features"]:
        """Convolve an image."""
        shape = (self.kernel, self.kernel, image.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        image = type(self).operation(image, kernel, self.stride, self.padding)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
            image = image + bias.reshape(1, 1, 1, -1)
        return image


class Conv(_Convolution):
    """A convolution: flax's `Conv` with a square kernel, by `convolve`."""

    operation = staticmethod(convolve)


class ConvTranspose(_Convolution):
    """A transposed convolution: flax's `ConvTranspose`, by `convolve_transposed`."""

    operation = staticmethod(convolve_transposed)
