"""Networks from a config: explicit tables, nothing else.

A new network is a module in `networks` and a row here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import DTypeLike
from ml_collections import ConfigDict

from gan_jax.config.limits import size_of
from gan_jax.config.names import look_up
from gan_jax.networks import (
    autoencoder,
    chroma,
    dcgan,
    patch,
    perceptron,
    residual,
    unet,
)
from gan_jax.networks import constant as blind
from gan_jax.networks.layers.normalisation import (
    GENERATOR_NORMALISATIONS,
    NORMALISATIONS,
)
from gan_jax.networks.packing import Packed
from gan_jax.networks.stages import Generator, base_size

PRECISIONS: Mapping[str, DTypeLike] = {
    "float32": jnp.float32,
    "bfloat16": jnp.bfloat16,
}
"""By name, the precision of computations; parameters and penalties are float32."""


def _unet(network: ConfigDict, **shape: Any) -> Generator:
    return unet.generator(
        margin=network.get("margin", 0),  # older runs have none
        width=network.width,
        depth=network.depth,
        kernel=network.kernel,
        normalisation=network.normalisation,
        **shape,
    )


GENERATORS: Mapping[str, Callable[..., Generator]] = {
    "dcgan": lambda network, **shape: dcgan.generator(
        width=network.width,
        depth=network.depth,
        kernel=network.kernel,
        normalisation=network.normalisation,
        **shape,
    ),
    "residual": lambda network, **shape: residual.generator(
        width=network.width,
        depth=network.depth,
        normalisation=network.normalisation,
        **shape,
    ),
    "perceptron": lambda network, **shape: perceptron.generator(
        width=network.width, depth=network.depth, **shape
    ),
    "latent_unet": lambda network, conditional, **shape: _unet(network, **shape),
}
"""Also called with `size`, `channels`, `conditional` and `dtype`."""

MAP_GENERATORS = ("latent_unet",)
"""Generators that also start from a map of latents; also called with `latent_map`."""

UNBOUNDED_GENERATORS = ("perceptron",)
"""Generators of points in the plane; the outputs of all others lie in [-1, 1]."""

TRANSLATORS: Mapping[str, Callable[..., Generator]] = {
    "unet": lambda network, classes, **shape: _unet(network, **shape),
    "chroma": lambda network, **shape: chroma.generator(
        width=network.width, normalisation=network.normalisation, **shape
    ),
}
"""Generators that start from a condition, without a latent; also called with `size`,
`channels`, `classes` and `dtype`."""

CONDITIONAL_GENERATORS = ("latent_unet", *TRANSLATORS)
"""Generators that cannot do without a condition."""

MARGIN_GENERATORS = ("latent_unet", "unet")
"""Generators that can make a margin that is cut off (`network.margin`)."""

CLASS_GENERATORS = ("chroma",)
"""Generators that also predict the class of an image."""


def linear_code(network: ConfigDict) -> int:
    """Return the number of values in a linear autoencoder's code."""
    code: int = network.code or network.critic_width
    return code


def _critic_depth(network: ConfigDict) -> int:
    depth: int = network.critic_depth or network.depth
    return depth


def _strided(critic: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Return a row for a critic whose convolutions have kernels of any width."""
    return lambda network, **shape: critic(
        width=network.critic_width,
        depth=_critic_depth(network),
        kernel=network.kernel,
        normalisation=network.critic_normalisation,
        **shape,
    )


CRITICS: Mapping[str, Callable[..., nn.Module]] = {
    "dcgan": _strided(dcgan.critic),
    "patch": _strided(patch.critic),
    "autoencoder": _strided(autoencoder.critic),
    "blind": lambda network, **shape: blind.Critic(),
    "residual": lambda network, **shape: residual.critic(
        width=network.critic_width,
        depth=_critic_depth(network),
        normalisation=network.critic_normalisation,
        **shape,
    ),
    "perceptron": lambda network, **shape: perceptron.critic(
        width=network.critic_width,
        depth=_critic_depth(network),
        normalisation=network.critic_normalisation,
        **shape,
    ),
    "dense_autoencoder": lambda network, **shape: perceptron.autoencoder(
        width=network.hidden or network.critic_width,
        depth=_critic_depth(network),
        code=network.code,
        **shape,
    ),
    "linear_autoencoder": lambda network, **shape: perceptron.autoencoder(
        depth=0, code=linear_code(network), **shape
    ),
}
"""Also called with `size`, `conditional` and `dtype`."""

ENERGY_CRITICS = ("autoencoder", "dense_autoencoder", "linear_autoencoder")
"""Critics whose score is an energy, low for real images; they make codes."""

MAP_SCORES: Mapping[str, Callable[[ConfigDict], int]] = {
    "patch": lambda config: (
        base_size(size_of(config.data.size), _critic_depth(config.network)).pixels
    ),
}
"""Number of scores per image of the critics that return a map of scores."""


def map_scores(config: ConfigDict) -> int:
    """Return the number of scores that a run's critic returns for one image."""
    count = MAP_SCORES.get(config.network.critic)
    return count(config) if count else 1


def generator(
    config: ConfigDict, channels: int, conditional: bool, classes: int = 0
) -> Generator:
    """Return the generator of a config.

    It makes images of `channels`, with a condition beside the latent if `conditional`;
    a translator predicts `classes`.

    Raises:
        InputError: A name is unknown, or the network cannot make images of the size.
    """
    network = config.network
    tables = {**GENERATORS, **TRANSLATORS}
    make = look_up(tables, "network.generator", network.generator)
    _check_normalisation(config, "normalisation", GENERATOR_NORMALISATIONS)
    is_translator = network.generator in TRANSLATORS
    special: dict[str, Any] = (
        {"classes": classes} if is_translator else {"conditional": conditional}
    )
    if network.generator in MAP_GENERATORS:
        special["latent_map"] = has_latent_map(config)
    return make(
        network,
        size=size_of(config.data.size),
        channels=channels,
        dtype=_precision(config.precision),
        **special,
    )


def critic(config: ConfigDict, precision: str = "") -> nn.Module:
    """Return the critic of a config, in its precision or another.

    Raises:
        InputError: A name is unknown, or the network cannot see images of the size.
    """
    network = config.network
    make = look_up(CRITICS, "network.critic", network.critic)
    _check_normalisation(config, "critic_normalisation", NORMALISATIONS)
    single = make(
        network,
        size=size_of(config.data.size),
        conditional=config.get("condition_critic", False),
        dtype=_precision(precision or config.precision),
    )
    packing = config.get("packing", 1)
    return single if packing == 1 else Packed(single, packing)


def has_latent_map(config: ConfigDict) -> bool:
    """Return whether a config's latents are maps."""
    form: str = config.latent.get("form", "vector")  # older runs have none
    return form == "map"


def cell(config: ConfigDict) -> int | None:
    """Return the number whose multiples are the sides of images that a generator makes.

    It is None where they have one size, because a dense layer makes maps of a vector.
    """
    return 2**config.network.depth if has_latent_map(config) else None


def gives_energies(config: ConfigDict) -> bool:
    """Return whether a config's critic returns energies, low for real images."""
    return config.network.critic in ENERGY_CRITICS


def _precision(name: str) -> DTypeLike:
    return look_up(PRECISIONS, "precision", name)


def _check_normalisation(config: ConfigDict, key: str, known: tuple[str, ...]) -> None:
    look_up(dict.fromkeys(known), f"network.{key}", config.network[key])
