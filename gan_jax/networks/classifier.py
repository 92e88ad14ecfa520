"""The small classifier whose features measure generated images.

Ruffino, Herault, Laloy & Gasso 2019 (arXiv 1911.00689), section 4, measure with a
classifier trained on the same data set instead of one of ImageNet photographs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.config.errors import InputError
from gan_jax.networks.layers.modules import Conv

_LEVELS = 3


class Classified(NamedTuple):
    """What a classifier says of images."""

    logits: Float[Array, "batch classes"]
    features: Float[Array, "batch features"]
    """The last hidden layer, rectified."""


class Classifier(nn.Module):
    """Three times two 3x3 convolutions, max-pool and BatchNorm; two dense layers.

    Attributes:
        classes: how many there are.
        width: filters of the first level, doubled at each of the next; 64 published.
        features: of the last hidden layer; 256 published.
    """

    classes: int
    width: int = 64
    features: int = 256

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width channels"], train: bool = False
    ) -> Classified:
        """Classify a batch of images in [-1, 1], 8x8 pixels or larger."""
        for level in range(_LEVELS):
            for _ in range(2):
                image = nn.relu(Conv(self.width * 2**level)(image))
            image = nn.BatchNorm(use_running_average=not train, momentum=0.9)(
                _pool(image)
            )
        flat = image.reshape(image.shape[0], -1)
        features = nn.relu(nn.Dense(self.features)(flat))
        return Classified(nn.Dense(self.classes)(features), features)


def _pool(image: Array) -> Array:
    # A reshape and a maximum: the gradient of XLA's own max-pooling is slow on a CPU.
    batch, height, width, channels = image.shape
    image = image[:, : height // 2 * 2, : width // 2 * 2]
    image = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return image.max(axis=(2, 4))


def fitting(variables: Mapping[str, Any]) -> Classifier:
    """Return the classifier that variables belong to, by their shapes.

    Raises:
        InputError: they are no such classifier's.
    """
    try:
        parameters = variables["params"]
        features, classes = parameters["Dense_1"]["kernel"].shape
        return Classifier(classes, parameters["Conv_0"]["kernel"].shape[-1], features)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError("these are not the weights of a classifier") from None


def expects(variables: Mapping[str, Any], shape: tuple[int, int, int]) -> None:
    """Check that a classifier takes images of a shape: height, width, channels.

    Raises:
        InputError: it takes others, or the variables are no classifier's.
    """
    module = fitting(variables)
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    try:
        jax.eval_shape(module.apply, variables, image)
    except flax.errors.ScopeParamShapeError:
        raise InputError(
            f"this classifier takes other images than {shape[1]}x{shape[0]} ones with "
            f"{shape[2]} channel{'s' if shape[2] > 1 else ''}"
        ) from None
    except flax.errors.FlaxError:
        raise InputError("these are not the weights of a classifier") from None
