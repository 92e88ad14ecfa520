"""Grids of images, enlarged and titled."""

import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

Colour = tuple[int, int, int]

PAPER: Colour = (250, 249, 246)
INK: Colour = (43, 45, 48)


def to_uint8(
    images: Float[np.ndarray, "*batch height width channels"],
) -> UInt8[np.ndarray, "*batch height width channels"]:
    """Return images in [-1, 1] as rounded levels 0 to 255; values outside are clipped.

    Raises:
        ValueError: If a value is NaN.
    """
    if np.isnan(images).any():
        raise ValueError("an image with NaN cannot be shown")
    levels = (np.clip(images.astype(np.float64), -1, 1) + 1) * 127.5
    return np.rint(levels).astype(np.uint8)


def tile(
    images: UInt8[np.ndarray, "rows columns height width channels"],
    scale: int | None = None,
    gap: int = 6,
    column_titles: Sequence[str] | None = None,
    row_titles: Sequence[str] | None = None,
) -> UInt8[np.ndarray, "grid_height grid_width 3"]:
    """Draw a grid of images on light paper, each pixel enlarged to a square.

    Args:
        images: Images of 1 (grey) or 3 (RGB) channels.
        scale: Screen pixels per image pixel; None makes the longer side of an image
            about 104.
        gap: Screen pixels between images.
        column_titles: Titles above the columns, wrapped to their width.
        row_titles: Titles left of the rows.

    Raises:
        ValueError: If there are no images, or the number of channels or of titles is
            wrong.
    """
    if scale is None:
        scale = max(1, round(104 / (max(images.shape[2:4]) or 1)))
    cells = enlarge(images, scale)
    canvas, _ = mount(cells, gap, column_titles, row_titles)
    return np.array(canvas)


def glow(
    values: Float[np.ndarray, "*batch height width"],
) -> UInt8[np.ndarray, "*batch height width 3"]:
    """Return numbers from 0 (dark) to 1 (bright) as colours; others are clipped."""
    import matplotlib

    colours: np.ndarray = matplotlib.colormaps["inferno"](values.clip(0, 1))
    return np.rint(colours[..., :3] * 255).astype(np.uint8)


def rgb(
    images: UInt8[np.ndarray, "*batch height width channels"],
) -> UInt8[np.ndarray, "*batch height width 3"]:
    """Return grey images with three equal channels, and RGB images unchanged.

    Raises:
        ValueError: If the images have another number of channels.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {images.shape[-1]}")
    return np.broadcast_to(images, (*images.shape[:-1], 3))


def enlarge(
    images: UInt8[np.ndarray, "rows columns height width channels"], scale: int
) -> UInt8[np.ndarray, "rows columns cell_height cell_width 3"]:
    """Return RGB images in which every pixel is a square of `scale` pixels."""
    return rgb(images).repeat(scale, axis=2).repeat(scale, axis=3)


def mount(
    cells: UInt8[np.ndarray, "rows columns cell_height cell_width 3"],
    gap: int,
    column_titles: Sequence[str] | None,
    row_titles: Sequence[str] | None,
    breaks: Sequence[int] = (),
) -> tuple[Any, list[list[tuple[int, int]]]]:
    """Lay cells out on paper, with wider gaps before the columns in `breaks`.

    Returns:
        The PIL image, and the (left, top) corner of every cell on it.
    """
    from PIL import Image, ImageDraw

    rows, columns, height, width, _ = cells.shape
    if 0 in cells.shape:
        raise ValueError(f"a grid needs images; these have the shape {cells.shape}")
    for titles, count in ((column_titles, columns), (row_titles, rows)):
        if titles is not None and len(titles) != count:
            raise ValueError(f"{len(titles)} titles for {count} rows or columns")

    # In proportion to the images: a page may show the grid reduced.
    size = min(24, max(13, height // 8))
    font = font_of(size)
    above = [_wrap(title, font, width) for title in column_titles or ()]
    beside = [_wrap(title, font, 12 * size) for title in row_titles or ()]
    line = round(1.3 * size)
    margin = 2 * gap
    left = margin
    if any(beside):
        lengths = [font.getlength(text) for lines in beside for text in lines]
        left += round(max(lengths)) + 2 * gap
    top = margin + max([len(lines) for lines in above], default=0) * line
    top += gap // 2 if top > margin else 0

    wider = [
        gap * sum(place <= column for place in breaks) for column in range(columns)
    ]
    lefts = [left + column * (width + gap) + wider[column] for column in range(columns)]
    tops = [top + row * (height + gap) for row in range(rows)]
    shape = (lefts[-1] + width + margin, tops[-1] + height + margin)
    canvas = Image.new("RGB", shape, PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, lines in enumerate(above):
        for number, text in enumerate(lines):
            # Titles of one line stand next to their images, not at the upper edge.
            bottom = top - gap // 2 - (len(lines) - 1 - number) * line
            place = (lefts[column] + width / 2, bottom)
            draw.text(place, text, INK, font, anchor="md")
    for row, lines in enumerate(beside):
        for number, text in enumerate(lines):
            middle = tops[row] + height / 2 + (number - (len(lines) - 1) / 2) * line
            draw.text((left - 2 * gap, middle), text, INK, font, anchor="rm")
    for row in range(rows):
        for column in range(columns):
            cell = Image.fromarray(cells[row, column])
            canvas.paste(cell, (lefts[column], tops[row]))
    return canvas, [[(x, y) for x in lefts] for y in tops]


@functools.cache
def font_of(size: int) -> Any:
    """Return a sans serif font with the Greek letters and signs that titles need.

    matplotlib carries one; Pillow's own, the fallback, has little more than ASCII.
    """
    from PIL import ImageFont

    package = importlib.util.find_spec("matplotlib")
    if package is not None and package.origin is not None:
        fonts = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
        if (file := fonts / "DejaVuSans.ttf").is_file():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)


def _wrap(text: str, font: Any, width: int) -> list[str]:
    """Break a text between words into lines; a word that is too long is cut."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        while font.getlength(word) > width and len(word) > 2:
            word = word[:-2] + "…"
        lines.append(word)
    return lines
