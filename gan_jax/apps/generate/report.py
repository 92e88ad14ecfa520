"""The report of realisations: plates and figures of every set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_jax.report.page import (
    Block,
    Card,
    Command,
    Figure,
    Section,
    Table,
    Value,
    page,
    picture_file,
)

_PLATES = 20  # sets that are drawn


def report(
    title: str,
    facts: Mapping[str, str],
    lines: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    workdir: Path,
    command: str,
) -> str:
    """Return the report as a page.

    Args:
        title: Name of the config.
        facts: What was made, of what.
        lines: The lines of the sets in `results.jsonl`.
        metrics: Means over the sets.
        workdir: Folder with the plates.
        command: The command that makes it again.
    """
    tables: list[Block] = [_figures(lines)]
    if any("facies" in line for line in lines):
        tables.append(_facies(lines))
    return page(
        title,
        "Images generated under known values.",
        facts,
        [
            Section("Realisations", _plates(lines, workdir)),
            Section("Figures", tables),
            Section("Reproduce", [Command("Command", command)]),
        ],
        _cards(metrics),
    )


def _cards(metrics: Mapping[str, Any]) -> list[Card]:
    before = metrics.get("honoured_generated")
    after = metrics.get("honoured")
    note = "of the known values, within a tenth of the range or their error"
    if before is not None and before != after:
        note = f"{before:.1%} as generated"
    return [
        Card("Honoured", None if after is None else f"{after:.1%}", note),
        Card(
            "Largest miss",
            metrics.get("largest_miss"),
            "difference from a known value, in the units of the data",
        ),
        Card(
            "Diversity",
            metrics.get("diversity"),
            "mean distance of two realisations, of range 2",
        ),
    ]


def _plates(lines: Sequence[Mapping[str, Any]], workdir: Path) -> list[Figure]:
    """Return the plates of the first sets."""
    figures: list[Figure] = []
    for line in lines[:_PLATES]:
        path = (workdir / line["output"]).with_name("plate.png")
        caption = (
            "The known values, some realisations, their mean, and where they differ "
            "(bright: standard deviation, white at half the range or more)."
        )
        figure = picture_file(path, line["set"], caption)
        if figure is not None:
            figures.append(figure._replace(half=False))
    return figures


_COLUMNS = {
    "set": "set",
    "count": "realisations",
    "known": "known",
    "honoured_generated": "honoured, generated",
    "honoured_refined": "honoured, refined",
    "honoured": "honoured",
    "largest_miss": "largest miss",
    "diversity": "diversity",
}


def _figures(lines: Sequence[Mapping[str, Any]]) -> Table:
    names = [name for name in _COLUMNS if any(name in line for line in lines)]
    return Table(
        "Sets",
        [_COLUMNS[name] for name in names],
        [[line.get(name) for name in names] for line in lines],
        "Honoured: share of the known values, over all realisations, within a tenth of "
        "the range, or within their error where one was given; of facies, the same "
        "facies. Diversity: mean root-mean-square distance of two realisations in "
        "[-1, 1].",
    )


def _facies(lines: Sequence[Mapping[str, Any]]) -> Table:
    """Return the proportions of facies, beside those of the training image."""
    codes = list(dict.fromkeys(code for line in lines for code in line["facies"]))
    rows: list[list[Value]] = [
        [line["set"], *(line["facies"].get(code) for code in codes)] for line in lines
    ]
    if training := lines[0].get("facies_training"):
        rows.append(["training image", *(training.get(code) for code in codes)])
    return Table(
        "Proportions of facies", ["set", *codes], rows, "Share of the cells by code."
    )
