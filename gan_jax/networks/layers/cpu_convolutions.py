"""Convolutions and their gradients in the forms that XLA's CPU backend runs fast.

* A strided convolution (`convolve`) is fast as it is, unless it has few channels.
* A transposed convolution (`convolve_transposed`) is computed by phases: stride^2
  convolutions of stride 1, each with its share of the kernel's taps, are interleaved.
* The gradient with respect to the kernel (`kernel_gradient`) is a convolution with
  batch and channels exchanged; the stride dilates the cotangent.

`convolve_directly` and `convolve_dilated` call `jax.lax` for other devices.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from gan_jax.networks.layers.phases import Axis

Pads = tuple[tuple[int, int], tuple[int, int]]
"""Low and high padding of height, and of width."""
Sizes = tuple[int, int]
"""Height and width."""

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_FEW_INPUTS = 2  # channels of a grey image and its mask
# From 64 to 3 channels at 32x32, 2 cores: 18 ms at once, 46 ms phase by phase.
_FEW_OUTPUTS = 16
# Keeps XLA from fusing a transpose into a convolution, which would not be fast.
_barrier = lax.optimization_barrier


def convolve_directly(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Return a strided convolution by `jax.lax`."""
    image, pads = _cropped(image, pads)
    return lax.conv_general_dilated(
        image, kernel, (stride, stride), pads, dimension_numbers=_DIMENSIONS
    )


def _cropped(image: Array, pads: Pads) -> tuple[Array, Pads]:
    """Return an image cropped by its negative pads, and the other pads.

    XLA's CPU backend (jax 0.10) computes wrong values at the border for negative pads
    such as (0, 0) and (-1, 1).
    """
    ends = [
        (max(-low, 0), size - max(-high, 0))
        for size, (low, high) in zip(spatial_shape(image), pads, strict=True)
    ]
    (top, bottom), (left, right) = [(max(low, 0), max(high, 0)) for low, high in pads]
    return cut(image, ends[0], ends[1]), ((top, bottom), (left, right))


def cut(image: Array, rows: Sizes, columns: Sizes, stride: int = 1) -> Array:
    """Return rows and columns of images, from the first up to, not including, the last.

    It is a slice even where the number of images is free, as in an export, for which
    the brackets of `jax.numpy` write a gather.
    """
    return lax.slice(
        image,
        (0, rows[0], columns[0], 0),
        (image.shape[0], rows[1], columns[1], image.shape[3]),
        None if stride == 1 else (1, stride, stride, 1),
    )


def convolve(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Return a strided convolution in the form that is fast on a CPU."""
    high, _, inputs, outputs = kernel.shape
    if inputs <= _FEW_INPUTS:
        return _convolve_from_few(image, kernel, stride, pads)
    if stride == 1 and outputs <= _FEW_OUTPUTS and high * outputs <= inputs:
        return _convolve_to_few(image, kernel, pads)
    return convolve_directly(image, kernel, stride, pads)


def _convolve_from_few(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Return a convolution of few input channels: gathered windows times the kernel.

    XLA gathers windows as well, but channel by channel, which is slower.
    """
    high, wide, _, outputs = kernel.shape
    image, pads = _cropped(image, pads)
    image = jnp.pad(image, ((0, 0), *pads, (0, 0)))
    rows, columns = (
        size - taps + 1
        for size, taps in zip(spatial_shape(image), (high, wide), strict=True)
    )
    windows = jnp.concatenate(
        [
            cut(image, (row, row + rows), (column, column + columns), stride)
            for row in range(high)
            for column in range(wide)
        ],
        axis=-1,
    )
    return jnp.tensordot(_barrier(windows), kernel.reshape(-1, outputs), 1)


def _convolve_to_few(image: Array, kernel: Array, pads: Pads) -> Array:
    """Return a convolution to few output channels at stride 1: multiply, shift, sum.

    XLA gathers the window of every output pixel before it multiplies, which pays off
    for many outputs only. Here the taps of the kernel become outputs of a product,
    which are shifted and summed: all taps, or those of a column if all are more than
    inputs.
    """
    high, wide, inputs, outputs = kernel.shape
    image, ((top, bottom), (left, right)) = _cropped(image, pads)
    if high * wide * outputs > inputs:
        rows = kernel.transpose(1, 2, 0, 3).reshape(1, wide, inputs, -1)
        products = convolve_directly(image, rows, 1, ((0, 0), (left, right)))
        left, right, wide = 0, 0, 1
    else:
        flat = kernel.transpose(2, 0, 1, 3).reshape(inputs, -1)
        products = jnp.tensordot(image, flat, 1)
    products = _barrier(products).reshape(*products.shape[:3], high, wide, outputs)
    products = jnp.pad(products, ((0, 0), (top, bottom), (left, right), *[(0, 0)] * 3))
    batch = products.shape[0]
    lines, columns = products.shape[1] - high + 1, products.shape[2] - wide + 1

    def shift(row: int, column: int) -> Array:
        tap = lax.slice(
            products,
            (0, row, column, row, column, 0),
            (batch, row + lines, column + columns, row + 1, column + 1, outputs),
        )
        return tap.squeeze((3, 4))

    shifted = [shift(row, column) for row in range(high) for column in range(wide)]
    return functools.reduce(jnp.add, shifted)


def convolve_dilated(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Return a convolution of a dilated image, i.e. a transposed one, by `jax.lax`."""
    return lax.conv_general_dilated(
        image,
        kernel,
        (1, 1),
        pads,
        lhs_dilation=(stride, stride),
        dimension_numbers=_DIMENSIONS,
    )


def convolve_transposed(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Return a transposed convolution, computed phase by phase.

    The output consists of blocks of stride x stride pixels. The pixels at one position
    of all blocks are a phase: a convolution of stride 1 with every stride-th tap of the
    kernel. The phases are interleaved to the output.
    """
    if stride == 1:
        return convolve(image, kernel, 1, pads)
    if kernel.shape[-1] <= _FEW_OUTPUTS:
        return _convolve_phases_at_once(image, kernel, stride, pads)
    return convolve_by_phases(image, kernel, stride, pads)


def convolve_by_phases(image: Array, kernel: Array, stride: int, pads: Pads) -> Array:
    """Return a transposed convolution as convolutions of stride 1, one for each phase.

    Nothing else that depends on the image is computed, not even padding.
    """
    rows, columns = _axes(image, kernel, stride, pads)
    batch, outputs = image.shape[0], kernel.shape[-1]

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
    image: Array, kernel: Array, stride: int, pads: Pads
) -> Array:
    """Return a transposed convolution whose phases are outputs of one convolution.

    With few outputs, a pass over the image for each phase costs more than the zeros
    that pad the taps of all phases to one size.
    """
    rows, columns = axes = _axes(image, kernel, stride, pads)
    fronts = [
        (axis.front, axis.window * stride - axis.front - axis.taps) for axis in axes
    ]
    kernel = jnp.pad(kernel, (*fronts, (0, 0), (0, 0)))
    kernel = kernel.reshape(
        rows.window, stride, columns.window, stride, *kernel.shape[2:]
    )
    # The later a pixel in its block, the earlier its first tap in the kernel.
    kernel = jnp.flip(kernel, (1, 3)).transpose(0, 2, 4, 1, 3, 5)
    phases = convolve(
        image,
        _barrier(kernel.reshape(*kernel.shape[:3], -1)),
        1,
        (rows.pads, columns.pads),
    )
    phases = phases.reshape(*phases.shape[:3], stride, stride, -1)
    return _interleaved(phases.transpose(0, 1, 3, 2, 4, 5), rows, columns)


def _interleaved(phases: Array, rows: Axis, columns: Axis) -> Array:
    """Return the image of phases, cut to its height and width.

    The phases have the shape `[batch, blocks, stride, blocks, stride, outputs]`.
    """
    batch, outputs = phases.shape[0], phases.shape[-1]
    joined = phases.reshape(batch, rows.blocks * rows.stride, -1, outputs)
    return cut(joined, (0, rows.length), (0, columns.length))


def _axes(image: Array, kernel: Array, stride: int, pads: Pads) -> tuple[Axis, Axis]:
    """Return the geometry of rows and of columns."""
    rows, columns = (
        Axis(size, taps, stride, low, high)
        for size, taps, (low, high) in zip(
            spatial_shape(image), spatial_shape(kernel, 0), pads, strict=True
        )
    )
    return rows, columns


def kernel_gradient(
    image: Array, cotangent: Array, stride: int, pads: Pads, taps: Sizes
) -> Array:
    """Return the gradient of a convolution with respect to its kernel.

    It is a convolution with batch and channels exchanged. The cotangent of the output
    is its kernel, dilated by the stride. `taps` are height and width of the kernel.
    """
    if stride == 1 and cotangent.shape[-1] < image.shape[-1]:
        # The gradient is symmetric in the two: take the one with fewer channels as the
        # image, whose windows are gathered.
        back = transpose_pads(
            pads, taps, spatial_shape(image), spatial_shape(cotangent)
        )
        return transpose_kernel(kernel_gradient(cotangent, image, 1, back, taps))
    sizes, spans = spatial_shape(image), dilated_shape(cotangent, stride)
    (top, _), (left, _) = pads
    image, pads = _cropped(
        image,
        (
            (top, taps[0] - 1 + spans[0] - sizes[0] - top),
            (left, taps[1] - 1 + spans[1] - sizes[1] - left),
        ),
    )
    if any(span > size for span, size in zip(spans, spatial_shape(image), strict=True)):
        # XLA leaves its fast path if a kernel is larger than the unpadded image.
        image = jnp.pad(image, ((0, 0), *pads, (0, 0)))
        pads = ((0, 0), (0, 0))
    gradient = lax.conv_general_dilated(
        _batch_last(image),
        _barrier(cotangent.transpose(1, 2, 0, 3)),
        (1, 1),
        pads,
        rhs_dilation=(stride, stride),
        dimension_numbers=_DIMENSIONS,
    )
    return _barrier(gradient).transpose(1, 2, 0, 3)


def _batch_last(image: Array) -> Array:
    """Exchange batch and channels of an image, for `kernel_gradient`.

    XLA would fuse the computation of the image into the transpose and read its inputs
    in strides, at 2 to 4 times the cost. It fuses nothing into the branch of a
    condition that is only known when the program runs.
    """
    batch, height, width, channels = image.shape
    first = image[0, 0, 0, 0]
    moved: Array = lax.cond(
        first == first,
        lambda image: image.transpose(3, 1, 2, 0),
        # Taken only if the first value is NaN; then all values become NaN.
        lambda image: jnp.full((channels, height, width, batch), first),
        image,
    )
    return _barrier(moved)


def transpose_kernel(kernel: Array) -> Array:
    """Return a kernel flipped in height and width, inputs and outputs exchanged."""
    return _barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))


def spatial_shape(array: Array, axis: int = 1) -> Sizes:
    """Return height and width of an array whose height is a given axis."""
    return array.shape[axis], array.shape[axis + 1]


def dilated_shape(array: Array, stride: int) -> Sizes:
    """Return height and width of an image with stride - 1 zeros between its pixels."""
    height, width = spatial_shape(array)
    return (height - 1) * stride + 1, (width - 1) * stride + 1


def transpose_pads(pads: Pads, taps: Sizes, start: Sizes, end: Sizes) -> Pads:
    """Return the padding of the transposed map.

    Args:
        pads: Padding of the map from `start` to `end`.
        taps: Height and width of the kernel.
        start: Height and width of the map's input.
        end: Height and width of the map's output.
    """
    (top, _), (left, _) = pads
    return (
        (taps[0] - 1 - top, start[0] - end[0] + top),
        (taps[1] - 1 - left, start[1] - end[1] + left),
    )
