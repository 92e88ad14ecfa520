"""Names in a config, and the objects that they stand for."""

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from gan_jax.config.errors import InputError

_MOST = 100  # names in one text


def look_up(table: Mapping[str, Any], key: str, name: str) -> Any:
    """Return the entry of a table under a name.

    Args:
        table: Known names and their objects.
        key: The config key that holds the name, for the error line.
        name: The name to look up.

    Raises:
        InputError: The name is unknown; the message lists the known ones.
    """
    if name not in table:
        raise InputError(f"{key} '{name}' is unknown; known: {', '.join(table)}")
    return table[name]


def closest(name: str, known: Collection[str]) -> str:
    """Return ` (did you mean NAME?)` for a mistyped name, or an empty text."""
    found = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {found[0]}?)" if found else ""


def made(table: Mapping[str, Callable[..., Any]], key: str, text: str) -> list[Any]:
    """Return the objects that a text names, e.g. `grey,downsample:4`.

    Args:
        table: Functions by name that make an object, with or without an argument.
        key: The config key that holds the text, for the error line.
        text: Names joined by commas; an argument may follow a name and a colon.

    Raises:
        InputError: A name is unknown, or its argument cannot be used.
    """
    found: list[Any] = []
    parts = [part for part in text.split(",") if part]
    if len(parts) > _MOST:
        raise InputError(f"{key} has {len(parts)} names: give {_MOST} at most")
    for part in parts:
        name, colon, value = part.partition(":")
        make = look_up(table, key, name)
        if colon and not inspect.signature(make).parameters:
            raise InputError(f"{key} '{part}' makes no sense ({name} takes no number)")
        try:
            found.append(make(value) if colon else make())
        except (ValueError, OverflowError) as error:
            raise InputError(f"{key} '{part}' makes no sense ({error})") from None
    return found
