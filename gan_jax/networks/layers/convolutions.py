"""Convolutions in the forms that XLA runs fast everywhere, loops included.

XLA's CPU backend runs a convolution at full speed only in certain forms: NHWC x HWIO,
the image not dilated; elsewhere it may take a hundred times as long, above all inside
a loop body (`scan`, `fori_loop`; jax issue 12868). What automatic differentiation
writes is not in these forms. So:

* `convolve`, `convolve_transposed` and the gradient in a kernel are three maps, linear
  in each of two arguments, that are each other's derivatives: the set is closed under
  differentiation of any order (the gradient penalties need the second). They support
  reverse mode and `vmap`; there is no forward mode on a CPU, because `jax.custom_vjp`
  has none.
* The forms in which they are computed lie in `forms`. The parameters and the values
  (to rounding) are those of the direct ones.

On GPU and TPU the vendor's libraries handle all of it: there the same functions call
`jax.lax` directly. The form is chosen once, when tracing.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import jax
from jax import lax
from jaxtyping import Array, Float

from gan_jax.networks.layers import cpu_convolutions as forms
from gan_jax.networks.layers.cpu_convolutions import (
    Pads,
    Sizes,
    pads_back,
    sizes_of,
    spans_of,
    turned,
)

Padding = str | Sequence[tuple[int, int]]
"""`"SAME"`, `"VALID"` or (low, high) for height and width, as in `jax.lax`."""


_platform: ContextVar[str] = ContextVar("platform", default="")


@contextlib.contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Let what is traced meanwhile be meant for a platform, e.g. `cpu` or `cuda`.

    Otherwise it is meant for the default backend, which is not where an exported
    program runs.
    """
    token = _platform.set(platform)
    try:
        yield
    finally:
        _platform.reset(token)


def runs_by_phases() -> bool:
    """Whether convolutions take their fast forms for CPUs."""
    return (_platform.get() or jax.default_backend()) == "cpu"


def convolve(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    stride: int = 1,
    padding: Padding = "SAME",
) -> Float[Array, "batch new_height new_width outputs"]:
    """Convolve with a stride: equal to `jax.lax.conv_general_dilated`."""
    pads = _pads(padding, image.shape[1:3], kernel.shape[:2], stride)
    form = _convolve if runs_by_phases() else forms.convolve_directly
    return form(image, kernel, stride, pads)


def convolve_transposed(
    image: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "taps_high taps_wide inputs outputs"],
    stride: int = 2,
    padding: Padding = "SAME",
) -> Float[Array, "batch new_height new_width outputs"]:
    """Convolve with a fractional stride: equal to `jax.lax.conv_transpose`."""
    pads = _transposed_pads(padding, kernel.shape[:2], stride)
    form = _convolve_transposed if runs_by_phases() else forms.convolve_dilated
    return form(image, kernel, stride, pads)


def _bilinear(
    form: Callable[..., Array],
    gradients: Callable[..., tuple[Array, Array]],
    statics: int,
) -> Callable[..., Array]:
    """Return a map of two arrays its gradients.

    Args:
        form: `form(one, other, *statics)`.
        gradients: `gradients(one, other, cotangent, *statics)`, in terms of maps that
            were made in this way too.
        statics: how many.
    """
    function = jax.custom_vjp(form, nondiff_argnums=tuple(range(2, 2 + statics)))

    def forward(one: Array, other: Array, *rest: Any) -> tuple[Array, Any]:
        return function(one, other, *rest), (one, other)

    def backward(*inputs: Any) -> tuple[Array, Array]:
        *rest, saved, cotangent = inputs
        return gradients(*saved, cotangent, *rest)

    function.defvjp(forward, backward)
    return function


def _convolve_gradients(
    image: Array, kernel: Array, cotangent: Array, stride: int, pads: Pads
) -> tuple[Array, Array]:
    taps = sizes_of(kernel, 0)
    back = pads_back(pads, taps, sizes_of(image), spans_of(cotangent, stride))
    return (
        _convolve_transposed(cotangent, turned(kernel), stride, back),
        _kernel_gradient(image, cotangent, stride, pads, taps),
    )


def _transposed_gradients(
    image: Array, kernel: Array, cotangent: Array, stride: int, pads: Pads
) -> tuple[Array, Array]:
    taps = sizes_of(kernel, 0)
    back = pads_back(pads, taps, spans_of(image, stride), sizes_of(cotangent))
    return (
        _convolve(cotangent, turned(kernel), stride, back),
        turned(_kernel_gradient(cotangent, image, stride, back, taps)),
    )


def _kernel_gradient_gradients(
    image: Array,
    output: Array,
    cotangent: Array,
    stride: int,
    pads: Pads,
    taps: Sizes,
) -> tuple[Array, Array]:
    back = pads_back(pads, taps, sizes_of(image), spans_of(output, stride))
    return (
        _convolve_transposed(output, turned(cotangent), stride, back),
        _convolve(image, cotangent, stride, pads),
    )


_convolve = _bilinear(forms.convolve, _convolve_gradients, 2)
_convolve_transposed = _bilinear(forms.convolve_by_phases, _transposed_gradients, 2)
_kernel_gradient = _bilinear(forms.correlate_batches, _kernel_gradient_gradients, 3)


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
