"""Variants: named changes of a config's defaults, chosen by `--config=NAME:a,b`.

All training configs have the variants of `DATA`, plain GANs those of `IMAGES` or
`GENERATION` (images, or points in the plane too), and configs that search latents those
of `SEARCHES`. A config's own variants are in its file. An entry under several names,
e.g. `"a,b"`, holds if all of them are chosen. Imports no JAX.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.names import closest

Variant = Mapping[str, Any]
"""Values by dotted key, e.g. `{"data.name": "mnist"}`."""

DATA: Mapping[str, Variant] = {
    "digits": {"data.name": "digits"},
    "photos": {"data.name": "photos"},
    "channels": {"data.name": "channels", "data.size": 32, "network.depth": 3},
    "mnist": {"data.name": "mnist"},
    "fashion_mnist": {"data.name": "fashion_mnist"},
    "cifar10": {"data.name": "cifar10", "data.size": 32, "network.depth": 3},
    "svhn": {"data.name": "svhn_cropped", "data.size": 32, "network.depth": 3},
    "celeba": {
        "data.name": "celeb_a",
        "data.size": 64,
        "data.crop": 108,
        "network.depth": 4,
    },
}
"""Variants of all training configs: the data set."""

_NARROW: Variant = {
    "network.width": 16,
    "network.critic_width": 24,
    "network.kernel": 4,
    # At the published rates, narrow networks learn little in 3,000 steps.
    "optimizer.learning_rate": 1e-3,
    "optimizer.warmup": 300,
    "steps": 3000,
    "evaluation.every": 300,
    "evaluation.classifier.width": 32,
    "evaluation.classifier.epochs": 3,
}
"""Small networks and short runs: minutes on two CPU cores."""

# The set has 1,797 images.
_DIGITS: Variant = {
    **_NARROW,
    "evaluation.final_count": 2000,
    "evaluation.classifier.width": 16,
    "evaluation.classifier.features": 64,
    "evaluation.classifier.epochs": 20,
}

_CROPS: Variant = {**_DIGITS, "data.size": 32, "network.depth": 3}

NARROW = ("digits", "photos", "channels", "narrow")
"""Variants of `IMAGES` whose networks are narrow."""

_PLANE: Variant = {
    "task": "points",
    "batch_size": 256,
    "data.size": 1,
    "latent.size": 2,
    "network.generator": "perceptron",
    "network.critic": "perceptron",
    "network.width": 128,
    "network.critic_width": 128,
    "network.depth": 3,
    "network.normalisation": "none",
    "network.critic_normalisation": "none",
    "optimizer.learning_rate": 1e-3,
    "steps": 6000,
    "fused_steps": 200,
    "log_every": 50,
    "sample_every": 2000,
    "evaluation.every": 1000,
}

POINTS = ("gaussians8", "gaussians8_imbalanced", "gaussians25")
"""Variants whose data are points in the plane."""

LARGE: Variant = {
    "steps": 50_000,
    "evaluation.every": 1000,
    "fused_steps": 50,
    "log_every": 50,
}
"""Long runs with the networks of the papers, for an accelerator."""

IMAGES: Mapping[str, Variant] = {
    "digits": _DIGITS,
    "photos": _CROPS,
    "channels": _CROPS,
    **dict.fromkeys(("mnist", "fashion_mnist", "cifar10", "svhn"), LARGE),
    "celeba": {**LARGE, "steps": 75_000, "evaluation.every": 2500},
    "narrow": _NARROW,
    "smoke": {
        "steps": 100,
        "batch_size": 16,
        "network.width": 8,
        "network.critic_width": 8,
        "evaluation.every": 50,
        "evaluation.count": 200,
        "evaluation.final_count": 200,
        "evaluation.classifier.width": 8,
        "evaluation.classifier.features": 32,
        "evaluation.classifier.epochs": 4,
        "fused_steps": 10,
        "checkpoint_every": 50,
        "sample_every": 50,
    },
}
"""Variants of all GANs of images, beside those of `DATA`."""

GENERATION: Mapping[str, Variant] = {
    **IMAGES,
    **{name: {**_PLANE, "data.name": name} for name in POINTS},
}
"""Variants of GANs of images or of points in the plane."""


# What both published searches have in common.
_PUBLISHED: Variant = {
    "search.optimizer.learning_rate": 0.01,
    "search.optimizer.beta1": 0.9,
    "search.optimizer.beta2": 0.999,
    "search.patience": 0,
}

SEARCHES: Mapping[str, Variant] = {
    "adam": {
        **_PUBLISHED,
        "search.optimizer.name": "adam",
        "search.optimizer.schedule": "constant",
        "search.iterations": 1000,
    },
    "momentum": {
        **_PUBLISHED,
        "search.optimizer.name": "momentum",
        "search.optimizer.schedule": "stairs",
        "search.iterations": 1500,
    },
    # Finds the latent itself if the image is one that the generator can make.
    "exact": {
        "search.iterations": 4000,
        "search.restarts": 8,
        "search.spread": 0.1,
        "search.patience": 0,
    },
}
"""Variants of all configs that search latents: the search."""


def with_variants(
    config: ConfigDict, names: str, data: str, *tables: Mapping[str, Variant]
) -> ConfigDict:
    """Return a training config changed by variants, and locked.

    Args:
        config: The defaults; they are changed in place.
        names: Variants joined by commas.
        data: The variant of the data set if `names` has none.
        tables: Variants beside those of `DATA`. If several tables have a name, the
            values of later tables win.

    Raises:
        InputError: A variant is unknown, or two variants choose the data set.
    """
    tables = (DATA, *tables)
    chosen = _known(names, config.name, *tables)
    sets = [
        name
        for name in chosen
        if any("data.name" in table.get(name, {}) for table in tables)
    ]
    if len(sets) > 1:
        raise InputError(f"variants {' and '.join(sets)} are two data sets: take one")
    # The data set comes first, so that other variants may change its values.
    order = (sets or [data]) + [name for name in chosen if name not in sets]
    return _applied(config, order, *tables)


def with_losses(
    config: ConfigDict,
    names: str,
    default: str,
    losses: Mapping[str, Variant],
    variants: Mapping[str, Variant],
    comparisons: Mapping[str, Mapping[str, Variant]],
) -> ConfigDict:
    """Return a config with the chosen losses, changed by variants, and locked.

    Args:
        config: The defaults; they are changed in place.
        names: Names of losses and variants, joined by commas.
        default: The loss if `names` has none.
        losses: Losses by name.
        variants: Variants by name.
        comparisons: Groups of named losses, by the name that chooses the group. A
            variant of the same name is applied as well.

    Raises:
        InputError: A name is unknown.
    """
    groups = {name: {name: loss} for name, loss in losses.items()} | dict(comparisons)
    chosen = _known(names, config.name, groups, variants)
    for group in [name for name in chosen if name in groups] or [default]:
        for name, loss in groups[group].items():
            config.losses[name] = ConfigDict(dict(loss))
    return _applied(config, [name for name in chosen if name in variants], variants)


def with_named(
    config: ConfigDict, names: str, variants: Mapping[str, Variant]
) -> ConfigDict:
    """Return a config changed by variants in their order, and locked.

    Args:
        config: The defaults; they are changed in place.
        names: Variants joined by commas.
        variants: Variants by name.

    Raises:
        InputError: A name is unknown.
    """
    return _applied(config, _known(names, config.name, variants), variants)


def _known(names: str, config_name: str, *tables: Mapping[str, Any]) -> list[str]:
    """Return the chosen names.

    Raises:
        InputError: A name is in none of the tables.
    """
    keys = (key.split(",") for table in tables for key in table)
    known = {name: None for key in keys for name in key}  # in their order
    chosen = [name for name in names.split(",") if name]
    for name in chosen:
        if name not in known:
            raise InputError(
                f"unknown variant '{name}' of {config_name}{closest(name, known)}; "
                f"known: {', '.join(known)}"
            )
    return chosen


def _applied(
    config: ConfigDict, chosen: Sequence[str], *tables: Mapping[str, Variant]
) -> ConfigDict:
    """Return a config changed by variants in turn, and locked."""
    for variant in _in_effect(chosen, *tables):
        config.update_from_flattened_dict(dict(variant))
    return config.lock()


def _in_effect(
    chosen: Sequence[str], *tables: Mapping[str, Variant]
) -> Iterator[Variant]:
    """Yield the chosen entries of the tables, in the order of the names.

    An entry under several names takes effect at the last of them, after that name's own
    entry. Names that follow may change its values.
    """
    entries = [
        ({*key.split(",")}, variant)
        for table in tables
        for key, variant in table.items()
    ]
    entries.sort(key=lambda entry: len(entry[0]))  # stable: later tables stay later
    for place, name in enumerate(chosen):
        asked = {*chosen[: place + 1]}
        for names, variant in entries:
            if name in names and names <= asked:
                yield variant
