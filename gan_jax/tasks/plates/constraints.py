"""Plates of known pixels beside images generated from them."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8

from gan_jax.report.grids import (
    INK,
    PAPER,
    Colour,
    enlarge,
    font_of,
    mount,
    rgb,
    to_uint8,
)

GROUND: Colour = (218, 217, 213)
"""Unknown pixels: a neutral grey, unlike any value of the colour map."""
HONOURED: Colour = (32, 201, 178)
MISSED: Colour = (255, 122, 26)
"""Teal and orange stay apart for every kind of colour blindness, and in width too."""

_HALO = (16, 18, 22, 210)
# Values from -1 to 1, from dark to bright in even steps, saturated so that every value
# stands out from the grey ground (five points of matplotlib's plasma).
_VALUE_COLOURS = np.array(
    [(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)],
    np.float64,
)
_VALUE_RANGE = 2.0


def constraint_grid(
    values: Float[np.ndarray, "rows height width channels"],
    mask: Shaped[np.ndarray, "rows height width 1"],
    generated: Float[np.ndarray, "rows columns height width channels"],
    tolerance: float | int | Float[np.ndarray, "rows height width"] = 0.1,
    original: Float[np.ndarray, "rows height width channels"] | None = None,
    scale: int | None = None,
    titles: Sequence[str] = (),
    maps: Mapping[str, UInt8[np.ndarray, "rows height width _"]] = {},
    interval: tuple[float, float] = (-1.0, 1.0),
) -> UInt8[np.ndarray, "grid_height grid_width 3"]:
    """Draw known pixels beside the images generated from them.

    There is one row for each set of known pixels. The first column shows the known
    pixels alone, enlarged, on neutral grey: values of grey images in colours from dark
    blue (-1) to yellow (1), those of RGB images in their own colours. Then come the
    original image, if given, and the generated images. On these a ring surrounds every
    known pixel: thin and teal where it is honoured, thick and orange where it is
    missed. A legend with the counts is below.

    Args:
        values: Images in [-1, 1], of which only known pixels are read; 1 or 3 channels.
        mask: 1 or True where a pixel is known.
        generated: Images in [-1, 1], `columns` of them for each set of known pixels.
        tolerance: Share of the value range (2) by which every channel of an honoured
            pixel may deviate; 0.1 allows a deviation of 0.2. Known pixels of different
            tolerances have a map of them.
        original: Images that the known pixels were taken from, in [-1, 1].
        scale: Screen pixels per image pixel; None makes the longer side about 140.
        titles: Titles of the generated columns, where each is of another generator.
        maps: Further pictures for each row, grey or RGB, by title.
        interval: What -1 and 1 stand for, in the legend of grey values.

    Raises:
        ValueError: There are no images, the number of channels is wrong, or a known
            pixel is NaN.
    """
    known = mask[..., 0].astype(bool)
    if scale is None:
        # At least 2 pixels, so that there is an inside for the ring to leave free.
        scale = max(2, math.ceil(140 / max(1, *generated.shape[2:4])))
    gap = max(8, scale + 3)
    known_values = np.where(known[..., None], values, 0).astype(np.float64)
    if np.isnan(known_values).any():
        raise ValueError("a known pixel is NaN")
    deviation = np.abs(generated - known_values[:, None]).max(axis=-1)
    # The last term forgives the rounding of the float32 subtraction, nothing visible.
    is_map = isinstance(tolerance, np.ndarray)
    allowed: Any = np.expand_dims(tolerance, 1) if is_map else tolerance
    honoured = deviation <= allowed * _VALUE_RANGE + 1e-6

    ground = np.full((*known_values.shape[:3], 3), GROUND, np.uint8)
    shown = [rgb(to_uint8(generated))]
    columns = generated.shape[1]
    together = f"{columns} generated" if columns > 1 else "generated"
    heads = ["known pixels", *(titles or (together, *[""] * (columns - 1))), *maps]
    shown += [rgb(pictures)[:, None] for pictures in maps.values()]
    if original is not None:
        shown.insert(0, rgb(to_uint8(original))[:, None])
        heads.insert(1, "original")
    images = np.concatenate([ground[:, None], *shown], axis=1)
    first = images.shape[1] - columns - len(maps)
    breaks = [*range(1, first + 1), *[first + columns] * bool(maps)]
    canvas, corners = mount(enlarge(images, scale), gap, heads, None, breaks=breaks)

    is_grey = values.shape[-1] == 1
    colours = (
        _value_colours(known_values[..., 0]) if is_grey else to_uint8(known_values)
    )
    for row in range(len(images)):
        _mark_known(canvas, corners[row][0], known[row], colours[row], scale)
        for column in range(generated.shape[1]):
            corner = corners[row][first + column]
            picture = images[row, first + column]
            _ring(canvas, corner, known[row], honoured[row, column], picture, scale)

    total = int(known.sum()) * generated.shape[1]
    count = int((honoured & known[:, None]).sum())
    share = "" if is_map else f"{100 * float(tolerance):.3g}%"
    within = f"{share} of the value range" if share else "its tolerance"
    entries = [
        (
            _ring_sample(HONOURED, missed=False),
            f"honoured, within {within}: {count} of {total}",
        ),
        (_ring_sample(MISSED, missed=True), f"missed: {total - count}"),
    ]
    if is_grey:
        ends = "{:g} to {:g}".format(*interval)
        entries.append((_value_bar(), f"known value, {ends}"))
    return _with_legend(np.asarray(canvas), entries, gap)


def _value_colours(
    values: Float[np.ndarray, "*shape"],
) -> UInt8[np.ndarray, "*shape 3"]:
    points = np.linspace(-1, 1, len(_VALUE_COLOURS))
    channels = [np.interp(values, points, channel) for channel in _VALUE_COLOURS.T]
    colours: np.ndarray = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def _mark_known(
    canvas: Any,
    corner: tuple[int, int],
    known: Bool[np.ndarray, "height width"],
    colours: UInt8[np.ndarray, "height width 3"],
    scale: int,
) -> None:
    """Draw known pixels as squares, enlarged and outlined where they are few."""
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
    """Draw a ring round every known pixel, those of missed ones on top."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(canvas)
    for missed in (False, True):
        stamp = _ring_stamp(MISSED if missed else HONOURED, missed, scale)
        shift = (stamp.width - scale) // 2
        for y, x in np.argwhere(known & (honoured != missed)):
            place = (int(x) * scale - shift, int(y) * scale - shift)
            canvas.paste(stamp, (corner[0] + place[0], corner[1] + place[1]), stamp)
    # The ring of a known pixel covers a neighbouring one, so all are drawn once more.
    for y, x in np.argwhere(known):
        left, top = corner[0] + int(x) * scale, corner[1] + int(y) * scale
        fill = tuple(int(level) for level in picture[y, x])
        draw.rectangle((left, top, left + scale - 1, top + scale - 1), fill)


@functools.cache
def _ring_stamp(colour: Colour, missed: bool, scale: int) -> Any:
    """Return a smooth ring with a dark halo, visible on black and on white.

    Its side has the parity of `scale`, so that it can be centred on a pixel.
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
    """Return the ring of the legend, round a grey pixel on black."""
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
    """Return a grid with (picture, text) entries below, in as many lines as needed."""
    from PIL import Image, ImageDraw

    font = font_of(15)
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
