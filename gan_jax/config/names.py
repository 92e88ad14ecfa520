"""Names in a config, and what they stand for."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from gan_jax.config.errors import InputError


def look_up(table: Mapping[str, Any], key: str, name: str) -> Any:
    """Find a name in a table.

    Raises:
        InputError: it is not there; the message lists the names that are.
    """
    if name not in table:
        raise InputError(f"{key} '{name}' is unknown; known: {', '.join(table)}")
    return table[name]


def made(table: Mapping[str, Callable[..., Any]], key: str, text: str) -> list[Any]:
    """Make what a text names, by commas; a number may follow a name and a colon.

    Args:
        table: of what makes things, of a text or of nothing.
        key: under which the text stands.
        text: e.g. `grey,downsample:4`.

    Raises:
        InputError: a name is unknown, or what follows it makes no sense.
    """
    found: list[Any] = []
    for part in filter(None, text.split(",")):
        name, colon, value = part.partition(":")
        make = look_up(table, key, name)
        if colon and not inspect.signature(make).parameters:
            raise InputError(f"{key} '{part}' makes no sense ({name} takes no number)")
        try:
            found.append(make(value) if colon else make())
        except (ValueError, OverflowError) as error:
            raise InputError(f"{key} '{part}' makes no sense ({error})") from None
    return found
