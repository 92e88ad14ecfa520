"""The table of everything that was tried."""

import time
from collections.abc import Iterable
from typing import Any

COLUMNS = ("kills", "faults", "inputs", "right", "tracebacks", "lost")


class Tally:
    """What one test has tried, and how often the outcome was right."""

    def __init__(self) -> None:
        """Start with nothing, and the clock."""
        self._counts = dict.fromkeys(COLUMNS, 0)
        self._memory, self._began = 0, time.monotonic()

    def add(self, memory: int = 0, **counts: int) -> None:
        """Add to columns by name, and the peak memory of a process in bytes."""
        for name, count in counts.items():
            self._counts[name] += count
        self._memory = max(self._memory, memory)

    def row(self) -> dict[str, Any]:
        """Return the counts, the seconds so far and the peak memory in bytes."""
        seconds = time.monotonic() - self._began
        return {**self._counts, "seconds": seconds, "memory": self._memory}


def table(rows: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """Return the table of named rows, those of one name added up, and their total."""
    added: dict[str, dict[str, Any]] = {}
    for name, row in rows:
        for key in (name, "total"):
            old = added.pop(key, None) or dict.fromkeys(row, 0)
            new = {column: old[column] + row[column] for column in row}
            added[key] = new | {"memory": max(old["memory"], row["memory"])}
    lines = [["", *COLUMNS, "seconds", "peak MiB"]]
    for name, row in added.items():
        numbers = [*(row[column] for column in COLUMNS), row["seconds"]]
        memory = row["memory"] // 2**20 or "-"
        lines.append([name, *(f"{number:.0f}" for number in numbers), str(memory)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([first.ljust(widths[0]), *map(str.rjust, rest, widths[1:])]).rstrip()
        for first, *rest in lines
    )
