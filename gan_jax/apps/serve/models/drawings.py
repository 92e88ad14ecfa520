"""What was drawn and the realisations under it, as pictures and as files."""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Num, UInt8

from gan_jax.apps.generate.realisations import Native
from gan_jax.apps.serve.models.plates import plate_of
from gan_jax.data.grids.points import KnownGrid
from gan_jax.data.grids.units import Units
from gan_jax.report.files import encode_png
from gan_jax.report.grids import to_uint8

NAME = "known"
"""Name of the files of what was drawn, and so of their set."""

_DEPTHS = (np.uint8, np.uint16)  # of pixels; colours have the first alone


def levels(
    native: Num[np.ndarray, "*shape"], units: Units
) -> UInt8[np.ndarray, "*shape"]:
    """Return native values as levels; codes of facies are equally far apart."""
    return to_uint8(units.scaled(native))


class Drawing(NamedTuple):
    """What was drawn, and the realisations under it."""

    known: KnownGrid
    native: Native
    units: Units

    def archive(self) -> bytes:
        """Return the realisations as `generate` writes them, an NPZ file."""
        grey = self.native.shape[-1] == 1
        buffer = io.BytesIO()
        images = self.native[..., 0] if grey else self.native
        np.savez_compressed(buffer, realisations=images)
        return buffer.getvalue()

    def plate(self) -> bytes:
        """Return the realisations as one picture (PNG)."""
        return plate_of(levels(self.native, self.units))

    def table(self) -> bytes:
        """Return what was drawn as a CSV file; its numbers are read back as they are.

        x is the column and y the row, from 0 at the upper left.
        """
        values, mask, _ = self.known
        names = ["value"] if values.shape[-1] == 1 else ["r", "g", "b"]
        lines = [",".join(["x", "y", *names])]
        for (y, x), cell in zip(np.argwhere(mask), values[mask], strict=True):
            numbers = (np.format_float_positional(each, trim="-") for each in cell)
            lines.append(",".join([f"{x}", f"{y}", *numbers]))
        return "\n".join([*lines, ""]).encode()

    def image(self) -> bytes | None:
        """Return what was drawn as an image (PNG), black where nothing is known.

        It is None where the values are not whole numbers that such an image holds.
        """
        from PIL import Image

        values = self.known.values
        for depth in _DEPTHS[: 1 if values.shape[-1] == 3 else None]:
            pixels = np.rint(values).clip(0, np.iinfo(depth).max)
            if (pixels == values).all():
                buffer = io.BytesIO()
                stored = pixels.astype(depth)
                picture = stored[..., 0] if stored.shape[-1] == 1 else stored
                Image.fromarray(picture).save(buffer, format="png")
                return buffer.getvalue()
        return None

    def mask(self) -> bytes:
        """Return the mask of what was drawn (PNG), white = known."""
        return encode_png(np.where(self.known.mask, 255, 0).astype(np.uint8)[..., None])
