"""What requests of the page hold, checked before it is used."""

from typing import TypeVar

import numpy as np

from gan_jax.apps.serve.messages import Message
from gan_jax.config.errors import InputError, printable

Entry = TypeVar("Entry")


def number(message: Message, name: str, least: int = 0, most: int = 2**32 - 1) -> int:
    """Return a whole number among the entries of a request.

    Raises:
        InputError: If there is none, or it lies outside of the bounds.
    """
    words = f"a whole number from {least} to {most}"
    value = _entry(message, name, int, words)
    if not least <= value <= most:
        raise InputError(f"the request {_shown(message)} needs {name}, {words}")
    return value


def image(message: Message) -> int | None:
    """Return the number of the photograph that a request names; None without one.

    Raises:
        InputError: If the entry is no number.
    """
    return number(message, "image") if "image" in message.entries else None


def flag(message: Message, name: str) -> bool:
    """Return a truth value among the entries of a request.

    Raises:
        InputError: If there is none.
    """
    return _entry(message, name, bool, "true or false")


def text(message: Message, name: str) -> str:
    """Return a text among the entries of a request.

    Raises:
        InputError: If there is none.
    """
    return _entry(message, name, str, "a text")


def _entry(message: Message, name: str, kind: type[Entry], words: str) -> Entry:
    value = message.entries.get(name)
    if type(value) is not kind:
        raise InputError(f"the request {_shown(message)} needs {name}, {words}")
    return value


def array(message: Message, name: str, kind: str, *shape: int | None) -> np.ndarray:
    """Return an array of a request.

    Args:
        message: The request.
        name: Name of the array.
        kind: `uint8` or `float32`.
        *shape: The sides that it must have; None = any.

    Raises:
        InputError: If there is none of this kind and shape.
    """
    found = message.arrays.get(name)
    fits = (
        found is not None
        and found.dtype == np.dtype(kind)
        and found.ndim == len(shape)
        and all(
            side in (None, given)
            for side, given in zip(shape, found.shape, strict=True)
        )
    )
    if found is None or not fits:
        sides = ", ".join("any" if side is None else f"{side}" for side in shape)
        raise InputError(
            f"the request {_shown(message)} needs the array {name}, {kind} of the "
            f"shape [{sides}]"
        )
    return found


def _shown(message: Message) -> str:
    return printable(message.type[:40])
