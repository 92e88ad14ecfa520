"""Config files on the command line: where they are, and commands that name them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = _PACKAGE / "configs"

FOLDER = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "configs"
"""The config files: those of an installed package, or of the checkout."""


def experiments() -> dict[str, Path]:
    """Return the config files by name, sorted."""
    return {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py"))}


def located(text: str) -> str:
    """Return a config's path and variants, where its name may stand for the path.

    Args:
        text: `PATH[:VARIANTS]`. Where there is no such file, `pixelcgan` and
            `configs/pixelcgan.py` stand for the file in `FOLDER`.
    """
    given, colon, variants = text.partition(":")
    found = experiments().get(Path(given).stem)
    if found and given in (found.stem, f"configs/{found.name}"):
        given = given if Path(given).is_file() else str(found)
    return f"{given}{colon}{variants}"


def command(name: str, values: Mapping[str, Any]) -> str:
    """Return the command of a config with every key set, so that it needs no variant.

    Args:
        name: The config's name.
        values: The flat config.
    """
    flags = [
        f"  --config.{key}={value!r}" if value != "" else f"  --config.{key}=''"
        for key, value in values.items()
        if key != "name"
    ]
    first = f"python -m gan_jax.main --config=configs/{name}.py"
    return " \\\n".join([first, *flags])
