"""Convolution modules with flax's parameters, on `convolutions`."""

import functools
import itertools
from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.networks.layers.convolutions import Padding, convolve, convolve_transposed


class _Convolution(nn.Module):
    """Base of both modules; its parameters are named as those of flax's `Conv`.

    Attributes:
        features: Number of output channels.
        kernel: Height and width of the kernel.
        stride: Stride along height and width.
        padding: Padding, as in `convolutions`.
        use_bias: Whether to add a bias.
        kernel_init: Initialiser of the kernel.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    padding: Padding = "SAME"
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
        operation = functools.partial(
            type(self).operation, stride=self.stride, padding=self.padding
        )
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
