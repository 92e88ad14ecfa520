"""Images side by side, enlarged and titled, to be looked at."""

import functools
import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

Colour = tuple[int, int, int]

PAPER: Colour = (250, 249, 246)
INK: Colour = (43, 45, 48)
GROUND: Colour = (218, 217, 213)
"""Where nothing is known: a neutral grey that no value of the colour map comes near."""
HONOURED: Colour = (32, 201, 178)
MISSED: Colour = (255, 122, 26)
"""Teal and orange stay apart for every kind of colour blindness, and in width too."""

_HALO = (16, 18, 22, 210)
# Values from -1 to 1, dark to bright in even steps, saturated all the way so that
# every value stands out from the grey ground (five points of matplotlib's plasma).
_VALUE_COLOURS = np.array(
    [(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)],
    np.float64,
)
_VALUE_RANGE = 2.0


def to_uint8(
    images: Float[np.ndarray, "*batch height width channels"],
) -> UInt8[np.ndarray, "*batch height width channels"]:
    """Images in [-1, 1] as 0 to 255, rounded; values outside are clipped.

    Raises:
        ValueError: a value is NaN.
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
    """A grid of images on light paper, each pixel enlarged to a square.

    Args:
        images: 1 (grey) or 3 (RGB) channels.
        scale: screen pixels per image pixel; None makes the longer side of an image
            about 104.
        gap: screen pixels between images.
        column_titles: above the columns, wrapped to their width; one per column.
        row_titles: left of the rows; one per row.

    Raises:
        ValueError: no images, another number of channels, or of titles.
    """
    if scale is None:
        scale = _scale(images.shape, side=104)
    cells = _enlarge(images, scale)
    canvas, _ = _mount(cells, gap, column_titles, row_titles)
    return np.array(canvas)


def constraint_grid(
    values: Float[np.ndarray, "rows height width channels"],
    mask: Shaped[np.ndarray, "rows height width 1"],
    generated: Float[np.ndarray, "rows columns height width channels"],
    tolerance: float | int = 0.1,
    original: Float[np.ndarray, "rows height width channels"] | None = None,
    scale: int | None = None,
) -> UInt8[np.ndarray, "grid_height grid_width 3"]:
    """Known pixels beside the images generated from them, each pixel judged.

    One row per constraint. The first column shows the known pixels alone, enlarged, on
    neutral grey: values of grey images in colours from dark blue (-1) to yellow (1),
    those of RGB images in their own. Then, if given, the image they come from, then
    the generated images, on which every known pixel wears a ring: thin and teal where
    it is honoured, thick and orange where it is missed. The pixel itself is never
    covered. A legend with the counts lies below.

    Args:
        values: images in [-1, 1] of which only the known pixels are read; 1 or 3
            channels.
        mask: 1 or True where known.
        generated: images in [-1, 1]; `columns` of them for each constraint.
        tolerance: the share of the value range (2) by which every channel of a pixel
            may be off and still count as honoured; 0.1 allows a deviation of 0.2.
        original: the images that the known pixels were taken from, in [-1, 1].
        scale: screen pixels per image pixel; None makes the longer side 140 or
            somewhat more.

    Raises:
        ValueError: no images, another number of channels, or NaN among them.
    """
    known = mask[..., 0].astype(bool)
    if scale is None:
        # At least 2 pixels, so that there is an inside for the ring to leave free.
        scale = max(2, math.ceil(140 / max(1, *generated.shape[2:4])))
    gap = max(8, scale + 3)
    kept = np.where(known[..., None], values, 0).astype(np.float64)
    if np.isnan(kept).any():
        raise ValueError("a known pixel is NaN")
    deviation = np.abs(generated - kept[:, None]).max(axis=-1)
    # The last term forgives the rounding of the float32 subtraction, nothing visible.
    honoured = deviation <= tolerance * _VALUE_RANGE + 1e-6

    ground = np.full((*kept.shape[:3], 3), GROUND, np.uint8)
    shown = [_rgb(to_uint8(generated))]
    titles = [
        f"{generated.shape[1]} generated" if generated.shape[1] > 1 else "generated"
    ]
    if original is not None:
        shown.insert(0, _rgb(to_uint8(original))[:, None])
        titles.insert(0, "original")
    images = np.concatenate([ground[:, None], *shown], axis=1)
    first = images.shape[1] - generated.shape[1]
    titles = ["known pixels", *titles, *[""] * (generated.shape[1] - 1)]
    canvas, corners = _mount(
        _enlarge(images, scale), gap, titles, None, breaks=range(1, first + 1)
    )

    colours = _known_colours(kept)
    for row in range(len(images)):
        _mark_known(canvas, corners[row][0], known[row], colours[row], scale)
        for column in range(generated.shape[1]):
            corner = corners[row][first + column]
            picture = images[row, first + column]
            _ring(canvas, corner, known[row], honoured[row, column], picture, scale)

    total = int(known.sum()) * generated.shape[1]
    count = int((honoured & known[:, None]).sum())
    entries = [
        (
            _ring_sample(HONOURED, missed=False),
            f"honoured, within {100 * tolerance:.3g}% of the value range:"
            f" {count} of {total}",
        ),
        (_ring_sample(MISSED, missed=True), f"missed: {total - count}"),
    ]
    if values.shape[-1] == 1:
        entries.append((_value_bar(), "known value, -1 to 1"))
    return _with_legend(np.asarray(canvas), entries, gap)


def _scale(shape: tuple[int, ...], side: int) -> int:
    longer = max(shape[-3:-1])
    return max(1, round(side / longer)) if longer else 1


def _rgb(
    images: UInt8[np.ndarray, "*batch height width channels"],
) -> UInt8[np.ndarray, "*batch height width 3"]:
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {images.shape[-1]}")
    return np.broadcast_to(images, (*images.shape[:-1], 3))


def _enlarge(
    images: UInt8[np.ndarray, "rows columns height width channels"], scale: int
) -> UInt8[np.ndarray, "rows columns cell_height cell_width 3"]:
    return _rgb(images).repeat(scale, axis=2).repeat(scale, axis=3)


def _known_colours(
    values: Float[np.ndarray, "rows height width channels"],
) -> UInt8[np.ndarray, "rows height width 3"]:
    """What each known pixel looks like when shown alone."""
    if values.shape[-1] > 1:
        return to_uint8(values)
    return _value_colours(values[..., 0])


def _value_colours(
    values: Float[np.ndarray, "*shape"],
) -> UInt8[np.ndarray, "*shape 3"]:
    points = np.linspace(-1, 1, len(_VALUE_COLOURS))
    channels = [np.interp(values, points, channel) for channel in _VALUE_COLOURS.T]
    colours: np.ndarray = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def _mount(
    cells: UInt8[np.ndarray, "rows columns cell_height cell_width 3"],
    gap: int,
    column_titles: Sequence[str] | None,
    row_titles: Sequence[str] | None,
    breaks: Sequence[int] = (),
) -> tuple[Any, list[list[tuple[int, int]]]]:
    """Lays cells out on paper, with wider gaps before the columns in `breaks`.

    Returns:
        The picture (PIL's), and the (left, top) corner of every cell on it.
    """
    from PIL import Image, ImageDraw

    rows, columns, height, width, _ = cells.shape
    if 0 in cells.shape:
        raise ValueError(f"a grid needs images; these have the shape {cells.shape}")
    for titles, count in ((column_titles, columns), (row_titles, rows)):
        if titles is not None and len(titles) != count:
            raise ValueError(f"{len(titles)} titles for {count} rows or columns")

    size = _text_size(height)
    font = _font(size)
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


def _text_size(cell_height: int) -> int:
    """In proportion to the images, because a page may show the grid reduced."""
    return min(24, max(13, cell_height // 8))


@functools.cache
def _font(size: int) -> Any:
    """A sans serif that has Greek letters and signs, which titles of studies need.

    matplotlib carries one; Pillow's own, the fallback, has hardly more than ASCII.
    """
    from PIL import ImageFont

    package = importlib.util.find_spec("matplotlib")
    if package is not None and package.origin is not None:
        fonts = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf"
        if (file := fonts / "DejaVuSans.ttf").is_file():
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)


def _wrap(text: str, font: Any, width: int) -> list[str]:
    """Breaks a text between words into lines; a word that is too long is cut."""
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


def _mark_known(
    canvas: Any,
    corner: tuple[int, int],
    known: Bool[np.ndarray, "height width"],
    colours: UInt8[np.ndarray, "height width 3"],
    scale: int,
) -> None:
    """Draws known pixels as outlined squares, larger than life where they are few."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(canvas)
    few = known.mean() <= 0.03
    extra = max(3, round(0.6 * scale)) if few else 0
    for y, x in np.argwhere(known):
        left = corner[0] + int(x) * scale - extra
        top = corner[1] + int(y) * scale - extra
        side = scale + 2 * extra - 1
        box = (left, top, left + side, top + side)
        fill = tuple(int(level) for level in colours[y, x])
        draw.rectangle(box, fill, INK if few else None)


def _ring(
    canvas: Any,
    corner: tuple[int, int],
    known: Bool[np.ndarray, "height width"],
    honoured: Bool[np.ndarray, "height width"],
    picture: UInt8[np.ndarray, "height width 3"],
    scale: int,
) -> None:
    """Draws a ring round every known pixel; missed ones lie above honoured ones."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(canvas)
    for missed in (False, True):
        stamp = _ring_stamp(MISSED if missed else HONOURED, missed, scale)
        shift = (stamp.width - scale) // 2
        for y, x in np.argwhere(known & (honoured != missed)):
            place = (int(x) * scale - shift, int(y) * scale - shift)
            canvas.paste(stamp, (corner[0] + place[0], corner[1] + place[1]), stamp)
    # Where known pixels are neighbours, the ring of one lies on the other: every known
    # pixel is put back, so that what is judged can always be seen.
    for y, x in np.argwhere(known):
        left, top = corner[0] + int(x) * scale, corner[1] + int(y) * scale
        fill = tuple(int(level) for level in picture[y, x])
        draw.rectangle((left, top, left + scale - 1, top + scale - 1), fill)


@functools.cache
def _ring_stamp(colour: Colour, missed: bool, scale: int) -> Any:
    """A ring with a dark halo, to be seen on black and on white, smooth at its edges.

    Its side has the parity of `scale`, so that it sits centred on a pixel.
    """
    from PIL import Image, ImageDraw

    fine = 8  # drawn larger and reduced, which smooths the edges
    # Half the diagonal of the pixel, and a little air.
    inner = 0.71 * scale + max(0.75, 0.2 * scale)
    width = max(2.6, 0.6 * scale) if missed else max(1.4, 0.33 * scale)
    halo = 0.9
    side = scale + 2 * math.ceil(inner + width + halo - scale / 2)
    stamp = Image.new("RGBA", (side * fine, side * fine))
    draw = ImageDraw.Draw(stamp)
    middle = side * fine / 2
    for outside, inside, fill in (
        (inner + width + halo, inner - halo / 2, _HALO),
        (inner + width, inner, (*colour, 255)),
    ):
        radius = outside * fine
        box = (middle - radius, middle - radius, middle + radius, middle + radius)
        draw.ellipse(box, outline=fill, width=round((outside - inside) * fine))
    return stamp.resize((side, side), Image.Resampling.BOX)


def _ring_sample(colour: Colour, missed: bool) -> Any:
    """The ring as the legend shows it: round a grey pixel on black."""
    from PIL import Image

    scale = 5
    stamp = _ring_stamp(colour, missed, scale)
    side = 27
    sample = Image.new("RGB", (side, side), (0, 0, 0))
    shift = (side - stamp.width) // 2
    sample.paste(stamp, (shift, shift), stamp)
    pixel = (side - scale) // 2
    sample.paste((160, 160, 160), (pixel, pixel, pixel + scale, pixel + scale))
    return sample


def _value_bar() -> Any:
    from PIL import Image

    row = _value_colours(np.linspace(-1, 1, 96))
    return Image.fromarray(np.broadcast_to(row, (14, 96, 3)).copy())


def _with_legend(
    grid: UInt8[np.ndarray, "height width 3"],
    entries: Sequence[tuple[Any, str]],
    gap: int,
) -> UInt8[np.ndarray, "taller wider 3"]:
    """Adds a strip of (picture, text) entries below, in as many lines as it takes."""
    from PIL import Image, ImageDraw

    font = _font(15)
    margin, line = 2 * gap, 34
    places: list[tuple[int, int]] = []
    x, y = margin, 0
    wide = grid.shape[1]
    for picture, text in entries:
        length = picture.width + 10 + round(font.getlength(text))
        if x > margin and x + length > grid.shape[1] - margin:
            x, y = margin, y + line
        places.append((x, y))
        wide = max(wide, x + length + margin)
        x += length + 32
    canvas = Image.new("RGB", (wide, grid.shape[0] + y + line + gap), PAPER)
    canvas.paste(Image.fromarray(grid), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for (picture, text), (x, y) in zip(entries, places, strict=True):
        middle = grid.shape[0] - gap // 2 + y + line // 2
        canvas.paste(picture, (x, middle - picture.height // 2))
        place = (x + picture.width + 10, middle)
        draw.text(place, text, INK, font, anchor="lm")
    return np.array(canvas)
