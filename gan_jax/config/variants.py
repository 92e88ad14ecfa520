"""Variants: named changes of a config's defaults, asked for as `config.py:a,b`.

`DATA` belongs to every training config, `IMAGES` to those of plain GANs, whatever they
are used for, `GENERATION` to those that also learn points in the plane, `SEARCHES` to
whatever searches latents; what only one config changes stands in its own file. An
entry under several names, e.g. `"a,b"`, holds where all are asked for. Imports no JAX.
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
"""Variants of every training config that choose the data."""

_NARROW: Variant = {
    "network.width": 16,
    "network.critic_width": 24,
    "network.kernel": 4,
    # At the published rates, narrow networks have hardly begun after 3,000 steps.
    "optimizer.learning_rate": 1e-3,
    "optimizer.warmup": 300,
    "steps": 3000,
    "evaluation.every": 300,
    "evaluation.classifier.width": 32,
    "evaluation.classifier.epochs": 3,
}
"""For two CPU cores and minutes in place of hours."""

# 1,797 images.
_DIGITS: Variant = {
    **_NARROW,
    "evaluation.final_count": 2000,
    "evaluation.classifier.width": 16,
    "evaluation.classifier.features": 64,
    "evaluation.classifier.epochs": 20,
}

NARROW = ("digits", "photos", "narrow")
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
"""Data that are points in the plane."""

LARGE: Variant = {
    "steps": 50_000,
    "evaluation.every": 1000,
    "fused_steps": 50,
    "log_every": 50,
}
"""For the networks of the papers, on an accelerator."""

IMAGES: Mapping[str, Variant] = {
    "digits": _DIGITS,
    "photos": {**_DIGITS, "data.size": 32, "network.depth": 3},
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
"""Variants that the configs of all GANs of images share, beside those of `DATA`."""

GENERATION: Mapping[str, Variant] = {
    **IMAGES,
    **{name: {**_PLANE, "data.name": name} for name in POINTS},
}
"""The same, and data that are points in the plane."""


# The rates of both published searches.
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
    # Of images in the generator's range, or nearly: the latent itself is found.
    "exact": {
        "search.iterations": 4000,
        "search.restarts": 8,
        "search.spread": 0.1,
        "search.patience": 0,
    },
}
"""Variants of every config that searches latents: how they are searched."""


def with_variants(
    config: ConfigDict, names: str, data: str, *tables: Mapping[str, Variant]
) -> ConfigDict:
    """Apply comma-separated variants, then lock the config.

    Args:
        config: the defaults.
        names: as given after the config file's name and a colon.
        data: the data set where no variant names one.
        tables: the config's own variants, beside the data sets of `DATA`; where a name
            is in several, a later table's values win.

    Raises:
        InputError: a variant is unknown, or two name data sets.
    """
    tables = (DATA, *tables)
    chosen = _known(names, config.name, *tables)
    sets = [
        name
        for name in chosen
        if any("data.name" in table.get(name, {}) for table in tables)
    ]
    if len(sets) > 1:
        raise InputError(f"variants {' and '.join(sets)} name two data sets: take one")
    # The data first: what other variants change is changed knowingly.
    order = (sets or [data]) + [name for name in chosen if name not in sets]
    return _applied(config, order, *tables)


def with_choice(
    config: ConfigDict,
    names: str,
    default: str,
    losses: Mapping[str, Variant],
    variants: Mapping[str, Variant],
    comparisons: Mapping[str, Mapping[str, Variant]],
) -> ConfigDict:
    """Put the losses that are named into a config, apply variants, and lock it.

    Args:
        config: the defaults, with a place for `losses`.
        names: of losses and variants, as given after the config file's name.
        default: the loss where none is named.
        losses: by name.
        variants: by name.
        comparisons: several losses that one name stands for, each by a name of its
            own; a variant of the same name is applied too.

    Raises:
        InputError: a name is unknown.
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
    """Apply comma-separated variants in their order, then lock the config.

    Args:
        config: the defaults.
        names: as given after the config file's name.
        variants: by name.

    Raises:
        InputError: a name is unknown.
    """
    return _applied(config, _known(names, config.name, variants), variants)


def _known(names: str, config_name: str, *tables: Mapping[str, Any]) -> list[str]:
    """Return the names that are asked for.

    Raises:
        InputError: one of them is in no key of the tables.
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
    """Change a config by variants in turn, then lock it."""
    for variant in _in_effect(chosen, *tables):
        config.update_from_flattened_dict(dict(variant))
    return config.lock()


def _in_effect(
    chosen: Sequence[str], *tables: Mapping[str, Variant]
) -> Iterator[Variant]:
    """Yield the entries of tables that names choose, in their order.

    An entry under several names takes effect where the last of them stands, after the
    entry of that name alone; names that follow may change it.
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
