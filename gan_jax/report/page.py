"""The report of a run as one HTML file that needs nothing else.

Images are inlined, the style is inline, there is no script, and the page forbids its
own browser to load anything. It reads on a phone, on paper, in light and in dark.

    page("pixelcgan on digits", "...", facts, [Section("Samples", [Figure(...)])])
"""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_jax.report.files import encode_png
from gan_jax.report.formats import format_number
from gan_jax.report.style import STYLE

Value = str | bool | int | float | np.generic | None
"""What a cell of a table or a card holds; None and NaN are shown as a dash."""


class Card(NamedTuple):
    """A key figure at the top of the page.

    Attributes:
        label: what it is, in a word or two.
        value: the figure; numbers are rounded to four digits.
        note: a line below, e.g. what it is to be compared with.
        good: whether the figure is as hoped; None where that is no question.
    """

    label: str
    value: Value
    note: str = ""
    good: bool | None = None


class Figure(NamedTuple):
    """An image with a caption.

    Attributes:
        title: begins the caption, and tells those who cannot see the image what it is.
        image: the bytes of a PNG, JPEG or SVG file.
        caption: what there is to see.
        half: takes half the width, so that two of them in succession stand side by
            side where the screen is wide enough, one below the other on a phone.
    """

    title: str
    image: bytes
    caption: str = ""
    half: bool = False


def picture(
    title: str, image: UInt8[np.ndarray, "height width 3"], caption: str
) -> Figure:
    """Bring a picture that is an array into a page."""
    return Figure(title, encode_png(image), caption)


class Table(NamedTuple):
    """A table with a caption.

    Attributes:
        title: begins the caption.
        header: one name per column.
        rows: as many values each as the header has names.
        caption: what the numbers are, in which units.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Value]]
    caption: str = ""


class Text(NamedTuple):
    """Paragraphs under a small heading, or none if `title` is empty."""

    title: str
    paragraphs: Sequence[str]


class Command(NamedTuple):
    """Lines to be typed into a terminal, or printed by one, exactly as they are."""

    title: str
    text: str


Block = Figure | Table | Text | Command


class Section(NamedTuple):
    """A heading, an introduction (none if empty), and blocks in their order."""

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
    """The whole page as HTML text; write it with `files.write_text`.

    Args:
        title: of the page and of its window.
        subtitle: one sentence below it.
        facts: what was run, on what, when: short names and values.
        sections: the body; three or more get a list of links at the top.
        cards: the key figures, above the facts.

    Raises:
        ValueError: a table's row has another length than its header, or an image is
            neither PNG, JPEG nor SVG.
    """
    parts = [
        f"<header><h1>{_escape(title)}</h1>",
        f'<p class="subtitle">{_escape(subtitle)}</p>' if subtitle else "",
        "</header>",
        _cards(cards),
        _facts(facts),
        _contents(sections),
        *(_section(number, section) for number, section in enumerate(sections, 1)),
    ]
    body = "\n".join(part for part in parts if part)
    return _FRAME.format(title=_escape(title), style=STYLE, body=body)


def _escape(text: str) -> str:
    return html.escape(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _cards(cards: Sequence[Card]) -> str:
    if not cards:
        return ""
    return f'<div class="cards">{"".join(_card(card) for card in cards)}</div>'


def _card(card: Card) -> str:
    kind, mark = {
        True: (" good", '<span class="mark" title="as hoped">✓</span>'),
        False: (" bad", '<span class="mark" title="not as hoped">✗</span>'),
        None: ("", ""),
    }[card.good]
    note = f'<div class="note">{_escape(card.note)}</div>' if card.note else ""
    return (
        f'<div class="card{kind}"><div class="label">{_escape(card.label)}{mark}</div>'
        f'<div class="value">{_escape(_format(card.value))}</div>{note}</div>'
    )


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    pairs = (
        f"<div><dt>{_escape(name)}</dt><dd>{_escape(text)}</dd></div>"
        for name, text in facts.items()
    )
    return f'<dl class="facts">{"".join(pairs)}</dl>'


def _contents(sections: Sequence[Section]) -> str:
    if len(sections) < 3:
        return ""
    links = (
        f'<a href="#section-{number}">{_escape(section.title)}</a>'
        for number, section in enumerate(sections, 1)
    )
    return f'<nav aria-label="Contents">{"".join(links)}</nav>'


def _section(number: int, section: Section) -> str:
    introduction = (
        f"<p>{_escape(section.introduction)}</p>" if section.introduction else ""
    )
    return (
        f'<section id="section-{number}"><h2>{_escape(section.title)}</h2>'
        f"{introduction}{_blocks(section.blocks)}</section>"
    )


def _blocks(blocks: Sequence[Block]) -> str:
    """The blocks, with successive half-width figures gathered into one grid."""
    parts: list[str] = []
    in_pairs = False
    for block in blocks:
        half = isinstance(block, Figure) and block.half
        if half != in_pairs:
            parts.append('<div class="pairs">' if half else "</div>")
            in_pairs = half
        parts.append(_block(block))
    return "\n".join([*parts, "</div>"] if in_pairs else parts)


def _block(block: Block) -> str:
    match block:
        case Figure():
            return _figure(block)
        case Table():
            return _table(block)
        case Text():
            paragraphs = (f"<p>{_escape(text)}</p>" for text in block.paragraphs)
            return _heading(block.title) + "".join(paragraphs)
        case Command():
            # Lines break between words only, never inside `--config`.
            words = re.sub(r"\S+", r"<span>\g<0></span>", _escape(block.text))
            code = f"<pre><code>{words}</code></pre>"
            return _heading(block.title) + code


def _heading(title: str) -> str:
    return f"<h3>{_escape(title)}</h3>" if title else ""


def _figure(figure: Figure) -> str:
    source = f"data:{_media_type(figure.image)};base64,"
    source += base64.b64encode(figure.image).decode("ascii")
    return (
        f'<figure><img src="{source}" alt="{_escape(figure.title)}">'
        f"<figcaption>{_caption(figure.title, figure.caption)}</figcaption></figure>"
    )


def _media_type(image: bytes) -> str:
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if image.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if b"<svg" in image[:1000]:
        return "image/svg+xml"
    raise ValueError("an image of a page is a PNG, JPEG or SVG file")


def _caption(title: str, caption: str) -> str:
    stop = "" if title.endswith((".", "?", "!")) else "."
    strong = f"<strong>{_escape(title)}{stop}</strong>" if title else ""
    return " ".join(part for part in (strong, _escape(caption)) if part)


def _table(table: Table) -> str:
    width = len(table.header)
    for row in table.rows:
        if len(row) != width:
            raise ValueError(
                f'table "{table.title}": a row has {len(row)} values, not {width}'
            )
    # A column of numbers is set to the right, its name and its gaps with it.
    columns = list(zip(*table.rows, strict=True)) or [()] * width
    kinds = [_column_kind(column) for column in columns]
    header = _cells("th", table.header, kinds)
    rows = "".join(f"<tr>{_cells('td', row, kinds)}</tr>" for row in table.rows)
    return (
        "<figure>"
        f"<figcaption>{_caption(table.title, table.caption)}</figcaption>"
        # A table that is too wide for the screen scrolls, without its caption.
        f'<div class="table"><table><thead><tr>{header}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></figure>"
    )


def _column_kind(column: Sequence[Value]) -> str:
    numbers = [value for value in column if value is not None]
    numeric = all(
        isinstance(value, int | float | np.number) and not isinstance(value, bool)
        for value in numbers
    )
    return ' class="number"' if numbers and numeric else ""


def _cells(tag: str, values: Sequence[Value], kinds: Sequence[str]) -> str:
    return "".join(
        f"<{tag}{kind}>{_escape(_format(value))}</{tag}>"
        for value, kind in zip(values, kinds, strict=True)
    )


def _format(value: Value) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value != value:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return format_number(value).replace("-", "\N{MINUS SIGN}")
    return str(value)


_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
