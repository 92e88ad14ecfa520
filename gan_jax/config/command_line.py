"""The command line of a config."""

from collections.abc import Mapping
from typing import Any


def command(name: str, values: Mapping[str, Any]) -> str:
    """Return a command that sets every key, so that no variant needs to be known."""
    flags = [
        f"  --config.{key}={value!r}" if value != "" else f"  --config.{key}=''"
        for key, value in values.items()
        if key != "name"
    ]
    first = f"python -m gan_jax.main --config=configs/{name}.py"
    return " \\\n".join([first, *flags])
