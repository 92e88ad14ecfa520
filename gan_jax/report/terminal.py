"""What a user reads while a program runs: lines and tables."""

import os
import sys
from pathlib import Path
from typing import TextIO

from gan_jax.report.formats import format_number
from gan_jax.report.page import Table, Value

_silent = False


def silence() -> None:
    """Say nothing more: of processes that work together only the first one speaks.

    Errors that end the process are still told.
    """
    global _silent
    _silent = True


def say(text: str) -> None:
    """Tell one line, at once."""
    if not _silent:
        print(text, flush=True)


def stream() -> TextIO:
    """Return where it is shown how far a program is."""
    return Path(os.devnull).open("w") if _silent else sys.stderr


_WIDEST = 10_000  # characters of a table


def show(table: Table) -> None:
    """Print a table, as wide as it is: a narrow terminal breaks its lines."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title=table.title, title_justify="left", title_style="bold")
    for place, name in enumerate(table.header):
        grid.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in table.rows:
        grid.add_row(*map(_cell, row))
    # A grid takes what it needs of the width: cells are never cut.
    Console(width=_WIDEST).print(grid)


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return format_number(value)
    return "" if value is None else str(value)
