"""Sweeps: one arm for each value of a key, or each setting of several keys."""

from typing import NamedTuple

from ml_collections import ConfigDict

from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.names import closest
from gan_jax.config.schema import find

_MOST = 1000  # settings of a sweep


class Loss(NamedTuple):
    """One loss of latent searches, with its settings."""

    key: str
    """The loss's key in the config, e.g. `losses.yeh`."""
    settings: ConfigDict


def settings(text: str) -> list[str]:
    """Return the settings in `sweep.over`, as text.

    Raises:
        InputError: They are more than anyone would train or search for.
    """
    found = [part for part in text.split(",") if part]
    if len(found) > _MOST:
        raise InputError(
            f"sweep.over has {len(found)} settings: give {_MOST} at most, and the "
            "others in a --workdir of their own"
        )
    return found


def number(text: str) -> float:
    """Return the number in a part of `sweep.over`.

    Raises:
        InputError: The text is not a number.
    """
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"sweep.over: '{text}' is not a number; give numbers joined by commas"
        ) from None


def arm_name(name: str, *values: float) -> str:
    """Return the name of an arm with swept values, e.g. `ballester_0.1_0.9_1`.

    The name can be part of a path.
    """
    return "_".join([name, *(repr(value).removesuffix(".0") for value in values)])


def losses_of(config: ConfigDict) -> dict[str, Loss]:
    """Return the losses of a config by name, a swept loss once for every setting.

    `sweep.loss` names losses and `sweep.key` their swept keys, both joined by commas.
    `sweep.over` lists the settings, joined by commas; the numbers of a setting are
    joined by colons, e.g. `0.1:0.9,0.5:0.5` for `context,gradient`.

    Raises:
        InputError: A loss or key is unknown, or a setting is not allowed.
    """
    losses = {name: Loss(f"losses.{name}", own) for name, own in config.losses.items()}
    sweep = config.get("sweep", ConfigDict())
    if not any(sweep.values()):
        return losses
    names = _names("loss", sweep.loss, list(losses))
    numbers = [
        key
        for key, value in flatten(losses[names[0]].settings).items()
        if isinstance(value, float)
    ]
    keys = _names("key", sweep.key, numbers)
    swept = _settings(sweep.over, keys)
    found: dict[str, Loss] = {}
    for name, loss in losses.items():
        if name not in names:
            found[name] = loss
            continue
        for values in swept:
            own = loss.settings.copy_and_resolve_references()
            with own.unlocked():
                own.update(dict(zip(keys, values, strict=True)))
            found[arm_name(name, *values)] = Loss(loss.key, own)
    return found


def _names(key: str, text: str, known: list[str]) -> list[str]:
    """Return the names in a key of the sweep, each of them known and named once."""
    names = [name for name in text.split(",") if name]
    if not names:
        raise InputError(
            f"sweep.{key} is empty: name some of {', '.join(known)} with "
            f"--config.sweep.{key}, joined by commas"
        )
    for name in names:
        if name not in known:
            raise InputError(
                f"sweep.{key}: '{name}' is unknown{closest(name, known)}; known: "
                f"{', '.join(known)}"
            )
        if names.count(name) > 1:
            raise InputError(f"sweep.{key}: '{name}' is named twice")
    return names


def _settings(text: str, keys: list[str]) -> list[tuple[float, ...]]:
    """Return the settings of a sweep, each with one number for every key."""
    found: list[tuple[float, ...]] = []
    for part in settings(text):
        values = tuple(map(number, part.split(":")))
        if len(values) != len(keys):
            raise InputError(
                f"sweep.over: '{part}' has {len(values)} numbers for the {len(keys)} "
                f"keys {','.join(keys)}; join those of a setting by colons"
            )
        for key, value in zip(keys, values, strict=True):
            wanted = find(f"losses.any.{key}").limits
            if not wanted.hold(value):
                raise InputError(
                    f"sweep.over: {key} is {value:g} in '{part}': give a number "
                    f"{wanted}"
                )
        if values in found:
            raise InputError(f"sweep.over: the setting '{part}' is given twice")
        found.append(values)
    if not found:
        raise InputError(
            f"sweep.over is empty: give values of {':'.join(keys)} joined by commas"
        )
    return found
