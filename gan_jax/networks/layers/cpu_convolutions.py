"""Forms in which XLA's CPU backend runs a convolution and its gradients fast.

* A strided convolution (`convolve`) is in a fast form as it is, unless channels are
  few.
* A transposed convolution (`convolve_by_phases`) is computed by phases: stride^2
  convolutions at stride 1, each with its share of the taps, interleaved.
* The gradient of either in its kernel (`correlate_batches`) is a convolution whose
  channels play the batch, and whose batch plays the channels: a stride is then a
  dilation of the kernel.

`convolve_directly` and `convolve_dilated` are the plain ones, for other devices.
"""

import functools
import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

Pads = tuple[tuple[int, int], tuple[int, int]]
"""Low and high, of height and of width."""
Sizes = tuple[int, int]

_LAYOUT = ("NHWC", "HWIO", "NHWC")
_GREY = 2  # channels, of an image or of it with a mask
_FEW = 16  # channels; 64 to 3 at 32x32, 2 cores: 18 ms at once, 46 phase by phase
# Keeps XLA from folding a transpose into a convolution, out of its fast forms.
_hold = lax.optimization_barrier


def convolve_directly(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Convolve with a stride as `jax.lax` does."""
    image, pads = _cropped(image, pads)
    return lax.conv_general_dilated(
        image, kernel, (stride, stride), pads, dimension_numbers=_LAYOUT
    )


def _cropped(image: Array, pads: Pads) -> tuple[Array, Pads]:
    """Crop an image where its pads are negative.

    XLA's CPU backend (jax 0.10) computes wrong values at the border for negative pads
    as e.g. (0, 0) and (-1, 1).
    """
    ends = [
        (max(-low, 0), size - max(-high, 0))
        for size, (low, high) in zip(sizes_of(image), pads, strict=True)
    ]
    (top, bottom), (left, right) = [(max(low, 0), max(high, 0)) for low, high in pads]
    image = image[:, slice(*ends[0]), slice(*ends[1])]
    return image, ((top, bottom), (left, right))


def convolve(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Convolve in the form that suits a CPU."""
    high, _, inputs, outputs = kernel.shape
    if inputs <= _GREY:
        return _convolve_from_few(image, kernel, stride, pads)
    if stride == 1 and outputs <= _FEW and high * outputs <= inputs:
        return _convolve_to_few(image, kernel, pads)
    return convolve_directly(image, kernel, stride, pads)


def _convolve_from_few(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Convolve an image of few channels: what a pixel sees, times the kernel.

    XLA gathers it as well, but channel by channel.
    """
    high, wide, _, outputs = kernel.shape
    image, pads = _cropped(image, pads)
    image = jnp.pad(image, ((0, 0), *pads, (0, 0)))
    rows, columns = (
        size - taps + 1
        for size, taps in zip(sizes_of(image), (high, wide), strict=True)
    )
    seen = jnp.concatenate(
        [
            image[:, row : row + rows : stride, column : column + columns : stride]
            for row in range(high)
            for column in range(wide)
        ],
        axis=-1,
    )
    return jnp.tensordot(_hold(seen), kernel.reshape(-1, outputs), 1)


def _convolve_to_few(image: Array, kernel: Array, pads: Pads) -> Array:
    """Convolve to few channels at stride 1: multiply, then shift and sum.

    XLA gathers what an output pixel sees before it multiplies, which only many
    outputs repay. So taps become outputs too, whose images are shifted and summed: all
    of them, or those above each other where all were more than inputs.
    """
    high, wide, inputs, outputs = kernel.shape
    image, ((top, bottom), (left, right)) = _cropped(image, pads)
    if high * wide * outputs > inputs:
        rows = kernel.transpose(1, 2, 0, 3).reshape(1, wide, inputs, -1)
        seen = convolve_directly(image, rows, 1, ((0, 0), (left, right)))
        left, right, wide = 0, 0, 1
    else:
        flat = kernel.transpose(2, 0, 1, 3).reshape(inputs, -1)
        seen = jnp.tensordot(image, flat, 1)
    seen = _hold(seen).reshape(*seen.shape[:3], high, wide, outputs)
    seen = jnp.pad(seen, ((0, 0), (top, bottom), (left, right), *[(0, 0)] * 3))
    lines, columns = seen.shape[1] - high + 1, seen.shape[2] - wide + 1
    shifted = [
        seen[:, row : row + lines, column : column + columns, row, column]
        for row in range(high)
        for column in range(wide)
    ]
    return functools.reduce(jnp.add, shifted)


def convolve_dilated(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Convolve with a fractional stride as `jax.lax` does."""
    return lax.conv_general_dilated(
        image,
        kernel,
        (1, 1),
        pads,
        lhs_dilation=(stride, stride),
        dimension_numbers=_LAYOUT,
    )


def convolve_by_phases(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Compute a transposed convolution phase by phase.

    The first pixels of all blocks of stride^2 output pixels see every stride-th tap
    of the kernel, the second ones those in between, and so on: each phase is a
    convolution at stride 1, and the phases are interleaved.
    """
    if stride == 1:
        return convolve(image, kernel, 1, pads)
    rows, columns = (
        _Axis(size, taps, stride, low, high)
        for size, taps, (low, high) in zip(
            sizes_of(image), sizes_of(kernel, 0), pads, strict=True
        )
    )
    batch, outputs = image.shape[0], kernel.shape[-1]
    if outputs <= _FEW:
        return _convolve_phases_at_once(image, kernel, rows, columns)

    def phase(row: int, column: int) -> Array:
        (top, high), (left, wide) = rows.phase(row), columns.phase(column)
        taps = kernel[top::stride, left::stride]
        if taps.size == 0:  # the kernel is smaller than the stride
            return jnp.zeros((batch, rows.blocks, columns.blocks, outputs), image.dtype)
        return convolve_directly(image, taps, 1, (high, wide))

    phases = jnp.stack(
        [
            jnp.stack([phase(row, column) for column in range(stride)], axis=3)
            for row in range(stride)
        ],
        axis=2,
    )
    return _interleaved(phases, rows, columns)


def _convolve_phases_at_once(
    image: Array, kernel: Array, rows: "_Axis", columns: "_Axis"
) -> Array:
    """Compute a transposed convolution with all phases as outputs of one convolution.

    Where outputs are few a pass over the image costs more than they do, so one for
    each phase costs more than the zeros for taps that only other phases have.
    """
    stride, axes = rows.stride, (rows, columns)
    fronts = [
        (axis.front, axis.seen * stride - axis.front - axis.taps) for axis in axes
    ]
    kernel = jnp.pad(kernel, (*fronts, (0, 0), (0, 0)))
    kernel = kernel.reshape(rows.seen, stride, columns.seen, stride, *kernel.shape[2:])
    # Pixels of a block that come later see a tap less far into the kernel.
    kernel = jnp.flip(kernel, (1, 3)).transpose(0, 2, 4, 1, 3, 5)
    phases = convolve(
        image,
        _hold(kernel.reshape(*kernel.shape[:3], -1)),
        1,
        (rows.pads, columns.pads),
    )
    phases = phases.reshape(*phases.shape[:3], stride, stride, -1)
    return _interleaved(phases.transpose(0, 1, 3, 2, 4, 5), rows, columns)


def _interleaved(phases: Array, rows: "_Axis", columns: "_Axis") -> Array:
    """Join blocks x pixels of both axes to an image, and cut what is beyond its end."""
    batch, outputs = phases.shape[0], phases.shape[-1]
    joined = phases.reshape(batch, rows.blocks * rows.stride, -1, outputs)
    return joined[:, : rows.length, : columns.length]


class _Axis(NamedTuple):
    """One axis of a transposed convolution: how its output falls into phases."""

    size: int
    taps: int
    stride: int
    low: int
    high: int

    @property
    def length(self) -> int:
        """Pixels of the output."""
        return (self.size - 1) * self.stride + 2 + self.low + self.high - self.taps

    @property
    def blocks(self) -> int:
        """Blocks of `stride` pixels, the last of which may be cut."""
        return math.ceil(self.length / self.stride)

    @property
    def front(self) -> int:
        """Zeros before the taps that let the first of all belong to the last pixel."""
        return self.stride - 1 - self.low % self.stride

    @property
    def seen(self) -> int:
        """Pixels of the image that a block sees."""
        return math.ceil((self.front + self.taps) / self.stride)

    @property
    def pads(self) -> tuple[int, int]:
        """Pads of the image that let every block see as many."""
        return self._pads(-(self.low // self.stride), self.seen)

    def phase(self, pixel: int) -> tuple[int, tuple[int, int]]:
        """Return the first tap that a block's pixel sees, and the image's pads."""
        tap = (self.low - pixel) % self.stride
        count = math.ceil((self.taps - tap) / self.stride)
        return tap, self._pads((pixel - self.low + tap) // self.stride, count)

    def _pads(self, start: int, count: int) -> tuple[int, int]:
        return -start, self.blocks - 1 + start + count - self.size


def correlate_batches(
    image: Array, cotangent: Array, stride: int, pads: Pads, taps: Sizes
) -> Array:
    """Compute the gradient in the kernel of a convolution of an image.

    Channels play the batch and the batch plays the channels: the cotangent of the
    output is the kernel, dilated by the stride.
    """
    if stride == 1 and cotangent.shape[-1] < image.shape[-1]:
        # The two may change places, and the one with fewer channels is seen by parts.
        back = pads_back(pads, taps, sizes_of(image), sizes_of(cotangent))
        return turned(correlate_batches(cotangent, image, 1, back, taps))
    sizes, spans = sizes_of(image), spans_of(cotangent, stride)
    (top, _), (left, _) = pads
    image, pads = _cropped(
        image,
        (
            (top, taps[0] - 1 + spans[0] - sizes[0] - top),
            (left, taps[1] - 1 + spans[1] - sizes[1] - left),
        ),
    )
    if any(span > size for span, size in zip(spans, sizes_of(image), strict=True)):
        # XLA leaves its fast path where a kernel is larger than the unpadded image.
        image = jnp.pad(image, ((0, 0), *pads, (0, 0)))
        pads = ((0, 0), (0, 0))
    gradient = lax.conv_general_dilated(
        _batch_last(image),
        _hold(cotangent.transpose(1, 2, 0, 3)),
        (1, 1),
        pads,
        rhs_dilation=(stride, stride),
        dimension_numbers=_LAYOUT,
    )
    return _hold(gradient).transpose(1, 2, 0, 3)


def _batch_last(image: Array) -> Array:
    """Move the channels to the front and the batch to the end, for a convolution.

    Left to itself XLA computes the image within the transpose, reading all that it is
    made of in strides, for 2 to 4 times the cost of both. It moves nothing into a
    branch, and what is compared is only known when the program runs.
    """
    batch, height, width, channels = image.shape
    first = image[0, 0, 0, 0]
    moved: Array = lax.cond(
        first == first,
        lambda image: image.transpose(3, 1, 2, 0),
        # Taken only where the result is no number either way.
        lambda image: jnp.full((channels, height, width, batch), first),
        image,
    )
    return _hold(moved)


def turned(kernel: Array) -> Array:
    """Turn a kernel around and swap what goes in and out."""
    return _hold(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))


def sizes_of(array: Array, axis: int = 1) -> Sizes:
    """Return height and width, the first of which is an axis."""
    return array.shape[axis], array.shape[axis + 1]


def spans_of(array: Array, stride: int) -> Sizes:
    """Return the sizes of an image with stride - 1 zeros between its pixels."""
    height, width = sizes_of(array)
    return (height - 1) * stride + 1, (width - 1) * stride + 1


def pads_back(pads: Pads, taps: Sizes, start: Sizes, end: Sizes) -> Pads:
    """Return the pads of the map back to `start`, by the turned kernel, from `end`."""
    (top, _), (left, _) = pads
    return (
        (taps[0] - 1 - top, start[0] - end[0] + top),
        (taps[1] - 1 - left, start[1] - end[1] + left),
    )
