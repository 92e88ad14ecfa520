"""What a user reads while a program runs: lines and tables."""

from gan_jax.report.formats import format_number
from gan_jax.report.page import Table, Value


def say(text: str) -> None:
    """Tell one line, at once."""
    print(text, flush=True)


def show(table: Table) -> None:
    """Print a table, as wide as it is: a narrow terminal breaks its lines."""
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid(title=table.title, title_justify="left", title_style="bold")
    for place, name in enumerate(table.header):
        grid.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in table.rows:
        grid.add_row(*map(_cell, row))
    Console(width=max(80, 14 * len(table.header))).print(grid)


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return format_number(value)
    return "" if value is None else str(value)
