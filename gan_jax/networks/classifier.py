"""The classifier whose features are compared by FID and similar metrics.

Ruffino, Herault, Laloy & Gasso 2019, section 4 (arXiv 1911.00689) train a classifier
on the same dataset in place of a network for ImageNet photographs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_jax.config.errors import InputError
from gan_jax.networks.layers.convolutions import Conv

_LEVELS = 3  # of resolution, each half of the one before


class ClassifierOutput(NamedTuple):
    """Output of the classifier."""

    logits: Float[Array, "batch classes"]
    """Class logits."""
    features: Float[Array, "batch features"]
    """Activations of the last hidden layer, after the ReLU."""


class Classifier(nn.Module):
    """Three levels of 3x3 convolutions with max-pooling, and two dense layers.

    Each level has two convolutions, max-pooling and BatchNorm.

    Attributes:
        classes: Number of classes.
        width: Filters of the first level, doubled at every further one; 64 in the
            paper.
        features: Units of the last hidden layer; 256 in the paper.
    """

    classes: int
    width: int = 64
    features: int = 256

    @nn.compact
    def __call__(
        self, image: Float[Array, "batch height width channels"], train: bool = False
    ) -> ClassifierOutput:
        """Classify a batch of images in [-1, 1], 8x8 pixels or larger."""
        for level in range(_LEVELS):
            for _ in range(2):
                image = nn.relu(Conv(self.width * 2**level)(image))
            image = nn.BatchNorm(use_running_average=not train, momentum=0.9)(
                _pool(image)
            )
        flat = image.reshape(image.shape[0], -1)
        features = nn.relu(nn.Dense(self.features)(flat))
        return ClassifierOutput(nn.Dense(self.classes)(features), features)


def _pool(image: Array) -> Array:
    # Reshape and maximum: the gradient of XLA's max-pooling is slow on CPUs.
    batch, height, width, channels = image.shape
    image = image[:, : height // 2 * 2, : width // 2 * 2]
    image = image.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return image.max(axis=(2, 4))


def classifier_for(variables: Mapping[str, Any]) -> Classifier:
    """Return the classifier module that fits the variables of a trained `Classifier`.

    Raises:
        InputError: If the variables are not those of a classifier.
    """
    try:
        parameters = variables["params"]
        features, classes = parameters["Dense_1"]["kernel"].shape
        return Classifier(classes, parameters["Conv_0"]["kernel"].shape[-1], features)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError("these are not the weights of a classifier") from None


def check_image_shape(
    variables: Mapping[str, Any], shape: tuple[int, int, int]
) -> None:
    """Check that a classifier accepts images of a shape `[height, width, channels]`.

    Raises:
        InputError: If the classifier expects another shape, or the variables are not
            those of a classifier.
    """
    module = classifier_for(variables)
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    try:
        jax.eval_shape(module.apply, variables, image)
    except flax.errors.ScopeParamShapeError:
        raise InputError(
            f"this classifier does not accept {shape[0]}x{shape[1]} images with "
            f"{shape[2]} channel{'s' if shape[2] > 1 else ''}: it was trained on others"
        ) from None
    except flax.errors.FlaxError:
        raise InputError("these are not the weights of a classifier") from None
