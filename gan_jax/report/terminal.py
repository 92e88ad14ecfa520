"""Lines and tables printed to the terminal."""

import os
import sys
from pathlib import Path
from typing import TextIO

from gan_jax.config.errors import printable
from gan_jax.report.formats import format_number
from gan_jax.report.page import Table, Value

_silent = False


def silence() -> None:
    """Print nothing more. Of several processes only the main one prints.

    Errors that end the process are still printed.
    """
    global _silent
    _silent = True


def say(text: str) -> None:
    """Print text as one line, unbuffered."""
    if not _silent:
        print(printable(text), flush=True)


def stream() -> TextIO:
    """Return the stream for progress: standard error, or nowhere when silenced."""
    return Path(os.devnull).open("w") if _silent else sys.stderr


_WIDEST = 10_000  # characters of a table


def show(table: Table) -> None:
    """Print a table at its full width; a narrow terminal breaks its lines."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title=printable(table.title), title_justify="left", title_style="bold")
    for place, name in enumerate(map(printable, table.header)):
        grid.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in table.rows:
        grid.add_row(*map(_cell, row))
    # A table takes what it needs of the width: cells are never cut, and brackets in
    # them are no markup.
    Console(width=_WIDEST, markup=False, emoji=False).print(grid)


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return format_number(value)
    return "" if value is None else printable(str(value))
