"""The command line that sets every key of a config."""

from collections.abc import Mapping
from typing import Any


def full_command(name: str, values: Mapping[str, Any]) -> str:
    """Return a command that gives every key its value; it names no variant.

    Args:
        name: Name of the config's file.
        values: Values by dotted key.
    """
    flags = [
        f"  --config.{key}={value!r}" if value != "" else f"  --config.{key}=''"
        for key, value in values.items()
        if key != "name"
    ]
    first = f"python -m gan_jax.main --config=configs/{name}.py"
    return " \\\n".join([first, *flags])
