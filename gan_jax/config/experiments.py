"""The experiments: config files by name, and what `--help` prints of them.

The list is read from the files' first lines; none of them is run.
"""

import ast
import re
import shutil
import textwrap
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from gan_jax.config.keys import flatten
from gan_jax.config.limits import WORD
from gan_jax.config.schema import KEYS, STUDY, find

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = _PACKAGE / "configs"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "configs"
"""The config files: those of an installed package, or of the checkout."""

_COLUMN = 26
_NEEDS = ("Prior", "Data")
_USAGE = "--config=EXPERIMENT[:VARIANT,...] [--config.KEY=VALUE ...] [--FLAG=VALUE ...]"


def paths() -> dict[str, Path]:
    """Return the config files by name, sorted."""
    return {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py"))}


def located(text: str) -> str:
    """Return a config flag with the path in place of an experiment's name.

    Args:
        text: `PATH[:VARIANTS]`. If there is no such file, `pixelcgan` and
            `configs/pixelcgan.py` stand for the file in `FOLDER`.
    """
    given, colon, variants = text.partition(":")
    found = paths().get(Path(given).stem)
    if found and given in (found.stem, f"configs/{found.name}"):
        given = given if Path(given).is_file() else str(found)
    return f"{given}{colon}{variants}"


def overview(module: str) -> str:
    """Return the experiments and the flags of a program.

    Args:
        module: The name of the module that defines the flags.
    """
    return "\n".join(
        [
            f"Usage: {_USAGE}",
            "",
            "Experiments:",
            *(line for path in paths().values() for line in _experiment(path)),
            "",
            "Flags:",
            *_flags(module),
            "",
            "The keys of an experiment: --config=EXPERIMENT[:VARIANT,...] --help",
        ]
    )


def describe(config: ConfigDict, path: Path) -> str:
    """Return the header of a config file and the keys of its config.

    Args:
        config: The config with its values.
        path: The config file.
    """
    values = flatten(config)
    lines: list[str] = []
    # In the order of the schema; what it does not name comes last.
    for key in dict.fromkeys([*KEYS.get(config.program, ()), *values]):
        own = key in values and not key.startswith("arms.")
        if own and key not in ("name", "program"):
            shown = "''" if values[key] == "" else values[key]
            lines += _row(f"{key}={shown}", _meaning(key, config.program), _COLUMN + 8)
    if "arms" in config:
        arms = f"{STUDY['arms.*.*'].meaning}; ARM is {', '.join(config.arms)}"
        lines += _row("arms.ARM.KEY", arms, _COLUMN + 8)
    title = "Keys (--config.KEY=VALUE), each with its value in this config:"
    return "\n".join([_header(path).strip(), "", title, *lines])


def _header(path: Path) -> str:
    """Return the docstring of a config file."""
    try:
        return ast.get_docstring(ast.parse(path.read_text())) or ""
    except (SyntaxError, ValueError):
        return ""


def _experiment(path: Path) -> list[str]:
    """Return the name of a config, what it does and what it needs."""
    header = _header(path)
    fields = dict(re.findall(r"^(\w+):[ ]+(.*(?:\n[ ]+.*)*)", header, re.MULTILINE))
    needs = (f"{key}: {fields[key]}" for key in _NEEDS if key in fields)
    return [
        *_row(path.stem, header.partition("\n")[0]),
        *(
            " " * _COLUMN
            + textwrap.shorten(need, _width() - _COLUMN, placeholder=" ...")
            for need in needs
            if "none." not in need
        ),
    ]


def _flags(module: str) -> list[str]:
    """Return the flags that a module defines or declares as its own."""
    lines: list[str] = []
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        boolean = isinstance(flag, flags.BooleanFlag)
        name = f"--{flag.name}" if boolean else f"--{flag.name}={flag.name.upper()}"
        default = f" (default: {flag.default})" if flag.default else ""
        lines += _row(name, f"{flag.help}{default}")
    return lines


def _meaning(key: str, program: str) -> str:
    """Return what a key means, the numbers it may hold and whether it may change."""
    row = find(key, program)
    limits = row.limits
    if limits.most == WORD:
        limits = limits._replace(most=None)
    notes = [str(limits)] if str(limits) else []
    if row.resumable:
        notes.append("may change when a run continues")
    return f"{row.meaning} [{'; '.join(notes)}]" if notes else row.meaning


def _row(left: str, right: str, column: int = _COLUMN) -> list[str]:
    """Return a name and its text in two columns, on a line of its own if it is long."""
    gap = " " * column
    lines = textwrap.wrap(right, _width() - column, break_on_hyphens=False)
    if len(left) + 4 > column or not lines:
        return [f"  {left}", *(gap + line for line in lines)]
    return [f"  {left}".ljust(column) + lines[0], *(gap + line for line in lines[1:])]


def _width() -> int:
    return max(72, min(shutil.get_terminal_size((100, 24)).columns, 120))
