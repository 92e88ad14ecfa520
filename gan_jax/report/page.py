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

from gan_jax.report.formats import format_number

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
    return _FRAME.format(title=_escape(title), style=_STYLE, body=body)


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


_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --panel: #faf9f6; --ink: #26282b; --quiet: #6a6f76;
  --line: #e2dfd8; --accent: #2c6e91; --good: #1f7a5c; --bad: #b4472f;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua",
    "URW Palladio L", P052, Charter, Georgia, serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
    sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #17191c; --panel: #1f2226; --ink: #e4e2dd; --quiet: #9a9fa6;
    --line: #33373d; --accent: #7fb6d3; --good: #62c4a0; --bad: #ec8b73;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 var(--serif); overflow-wrap: break-word;
}
main { max-width: 70rem; margin: 0 auto; padding: 4.5rem 2rem 6rem; }
h1, h2, h3 { font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: 2.5rem; letter-spacing: -0.015em; margin: 0; }
h2 { font-size: 1.6rem; margin: 0 0 1rem; }
h3 { font-size: 1.1rem; margin: 2.25rem 0 0.6rem; }
p { margin: 0 0 1rem; max-width: 42rem; text-wrap: pretty; }
.subtitle { margin: 0.75rem 0 0; font-size: 1.2rem; color: var(--quiet); }
section { margin-top: 4rem; padding-top: 2.25rem; border-top: 1px solid var(--line); }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr));
  gap: 1rem; margin-top: 2.75rem;
}
.card {
  background: var(--panel); border: 1px solid var(--line); border-radius: 0.5rem;
  padding: 1rem 1.15rem 1.05rem; border-top: 3px solid var(--line);
}
.card.good { border-top-color: var(--good); }
.card.bad { border-top-color: var(--bad); }
.label, .note, .facts, nav, table, figcaption { font-family: var(--sans); }
.label {
  display: flex; justify-content: space-between; gap: 0.5rem;
  font-size: 0.85rem; color: var(--quiet);
}
.good .mark { color: var(--good); }
.bad .mark { color: var(--bad); }
.value {
  font-size: 2rem; line-height: 1.25; margin-top: 0.2rem;
  font-variant-numeric: lining-nums tabular-nums;
}
.note { font-size: 0.8rem; line-height: 1.4; color: var(--quiet); margin-top: 0.25rem; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr));
  gap: 0.9rem 2rem; margin: 2.75rem 0 0; font-size: 0.9rem; line-height: 1.4;
}
.facts dt { color: var(--quiet); font-size: 0.8rem; }
.facts dd { margin: 0.1rem 0 0; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: 0.3rem 1.5rem; margin-top: 2.75rem; }
nav a { font-size: 0.9rem; color: var(--accent); text-underline-offset: 0.2em; }
figure { margin: 2rem 0; }
figure img {
  display: block; max-width: 100%; height: auto; border-radius: 0.4rem;
  background: #faf9f6; border: 1px solid var(--line);
}
.pairs {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr));
  gap: 2rem; margin: 2rem 0;
}
.pairs figure { margin: 0; }
.pairs img { width: 100%; }
figcaption {
  font-size: 0.875rem; line-height: 1.5; color: var(--quiet); max-width: 42rem;
}
img + figcaption { margin-top: 0.7rem; }
figcaption strong { color: var(--ink); font-weight: 600; }
.table { margin-top: 0.7rem; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; line-height: 1.4; }
th, td { text-align: left; padding: 0.5rem 1.1rem; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0.2rem; }
th { font-weight: 600; border-bottom: 1px solid var(--quiet); white-space: nowrap; }
td { border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: lining-nums tabular-nums; }
td.number { white-space: nowrap; }
pre {
  font: 0.85rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",
    monospace;
  background: var(--panel); border: 1px solid var(--line); border-radius: 0.4rem;
  margin: 1rem 0; padding: 0.9rem 1.1rem; white-space: pre-wrap; overflow-x: auto;
}
code { font: inherit; }
code span { white-space: nowrap; }
@media (max-width: 40rem) {
  main { padding: 2.25rem 1.1rem 4rem; }
  h1 { font-size: 1.9rem; }
  h2 { font-size: 1.4rem; }
  .subtitle { font-size: 1.05rem; }
  section { margin-top: 2.75rem; padding-top: 1.75rem; }
  .cards { grid-template-columns: repeat(2, 1fr); gap: 0.7rem; }
  .card { padding: 0.8rem 0.9rem 0.85rem; }
  .value { font-size: 1.55rem; }
  .facts { grid-template-columns: repeat(2, 1fr); gap: 0.9rem 1.2rem; }
  th, td { padding: 0.45rem 0.65rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --panel: #fff; --ink: #000; --quiet: #444; --line: #bbb;
    --accent: #000; --good: #1f7a5c; --bad: #b4472f;
  }
  @page { margin: 18mm 16mm; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  .pairs { grid-template-columns: 1fr 1fr; gap: 1rem; }
  section { margin-top: 1.5rem; padding-top: 1rem; }
  h2, h3 { break-after: avoid; }
  img, .card, .facts div, tr, pre { break-inside: avoid; }
  figcaption { break-after: avoid; }
  img + figcaption { break-before: avoid; break-after: auto; }
  .table { overflow: visible; }
}
"""

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
