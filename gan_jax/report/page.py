"""The report of a run as one HTML file that needs no other file.

Images and style are inline, there is no script, and the page's security policy forbids
the browser to load anything. The template is `page.html`, the style `page.css`: for
screens and phones, light and dark, and for paper.

    page("pixelcgan on digits", "...", facts, [Section("Samples", [Figure(...)])])
"""

import base64
import functools
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.config.errors import printable_lines
from gan_jax.report.files import encode_png
from gan_jax.report.formats import format_number

Value = str | bool | int | float | np.generic | None
"""The value of a cell or a card; None and NaN are shown as a dash."""


class Card(NamedTuple):
    """A key figure at the top of the page."""

    label: str
    value: Value
    note: str = ""
    """Line below, e.g. a value to compare with."""
    good: bool | None = None
    """Whether the figure is as hoped; None draws no mark."""


class Figure(NamedTuple):
    """An image with a caption."""

    title: str
    """Beginning of the caption, and the image's alternative text."""
    image: bytes
    """Content of a PNG, JPEG or SVG file."""
    caption: str = ""
    half: bool = False
    """Whether it takes half the width; two such figures stand side by side."""


def picture(
    title: str, image: UInt8[np.ndarray, "height width 3"], caption: str
) -> Figure:
    """Return a figure of an image given as an array."""
    return Figure(title, encode_png(image), caption)


def picture_file(path: Path, title: str, caption: str = "") -> Figure | None:
    """Return the figure of a PNG file; None where it is missing or damaged."""
    from PIL import Image

    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except Exception:  # Pillow raises anything on broken bytes
        return None
    return Figure(title, content, caption, half=True)


class Table(NamedTuple):
    """A table with a caption; every row has one value per column."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Value]]
    caption: str = ""


class Text(NamedTuple):
    """Paragraphs under a small heading; an empty `title` gives no heading."""

    title: str
    paragraphs: Sequence[str]


class Command(NamedTuple):
    """Lines to type into a terminal, or printed by one, shown exactly as they are."""

    title: str
    text: str


Block = Figure | Table | Text | Command


class Section(NamedTuple):
    """A heading, an introduction (may be empty), and blocks in order."""

    title: str
    blocks: Sequence[Block]
    introduction: str = ""


def page(
    title: str,
    subtitle: str,
    facts: Mapping[str, str],
    sections: Sequence[Section],
    cards: Sequence[Card] = (),
) -> str:
    """Return the whole page as HTML text; write it with `files.write_text`.

    Args:
        title: Title of the page and of its window.
        subtitle: One sentence below the title; empty for none.
        facts: What was run, on what, when: short names and values.
        sections: Body of the page; three or more get a list of links at the top.
        cards: Key figures, shown above the facts.

    Raises:
        ValueError: If a table's row and its header differ in length, or an image is
            neither PNG, JPEG nor SVG.
    """
    text: str = _template().render(
        title=title, subtitle=subtitle, facts=facts, sections=sections, cards=cards
    )
    return printable_lines(text)


@functools.cache
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True
    )
    environment.filters |= {
        "column_kinds": _column_kinds,
        "data_url": _data_url,
        "kind": lambda block: type(block).__name__,
        "shown": _shown,
        "unbroken_words": _unbroken_words,
    }
    return environment.get_template("page.html")


def _data_url(image: bytes) -> str:
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "png"
    elif image.startswith(b"\xff\xd8\xff"):
        kind = "jpeg"
    elif b"<svg" in image[:1000]:
        kind = "svg+xml"
    else:
        raise ValueError("an image of a page is a PNG, JPEG or SVG file")
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _unbroken_words(text: str) -> Any:
    """Wrap each word so that lines break between words, never inside `--config`."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"\S+", r"<span>\g<0></span>", str(escape(text))))


def _column_kinds(table: Table) -> list[Any]:
    """Return an attribute for each column: columns of numbers are set to the right."""
    from markupsafe import Markup

    width = len(table.header)
    for row in table.rows:
        if len(row) != width:
            raise ValueError(
                f'table "{table.title}": a row has {len(row)} values, not {width}'
            )
    columns = list(zip(*table.rows, strict=True)) or [()] * width
    return [Markup(' class="number"' if _numeric(column) else "") for column in columns]


def _numeric(column: Sequence[Value]) -> bool:
    values = [value for value in column if value is not None]
    return bool(values) and all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool)
        for value in values
    )


def _shown(value: Value) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return format_number(value).replace("-", "\N{MINUS SIGN}")
    return str(value)
