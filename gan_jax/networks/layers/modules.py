"""Layers of networks: flax's modules on the convolutions that are fast everywhere."""

import functools
import itertools
from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.networks.layers.convolutions import Padding, convolve, convolve_transposed


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
        self, *images: Float[Array, "batch height width _"]
    ) -> Float[Array, "batch new_height new_width features"]:
        """Convolve an image, or images as if joined along their channels.

        Each is convolved with its part of the kernel: joining would copy them. The
        parameters take the precision of the images.
        """
        ends = list(itertools.accumulate(image.shape[-1] for image in images))
        shape = (self.kernel, self.kernel, ends[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        precision = images[0].dtype
        parts = jnp.split(kernel.astype(precision), ends[:-1], axis=2)
        form = functools.partial(
            type(self).operation, stride=self.stride, padding=self.padding
        )
        image = functools.reduce(jnp.add, map(form, images, parts))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
            image = image + bias.astype(precision).reshape(1, 1, 1, -1)
        return image


class Conv(_Convolution):
    """A convolution: flax's `Conv` with a square kernel, by `convolve`."""

    operation = staticmethod(convolve)


class ConvTranspose(_Convolution):
    """A transposed convolution: flax's `ConvTranspose`, by `convolve_transposed`."""

    operation = staticmethod(convolve_transposed)
