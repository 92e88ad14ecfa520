"""What is missing of images: its share, whether masks mean it, and its picture."""

import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from ml_collections import ConfigDict

from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.config.names import look_up
from gan_jax.data.decode import BrokenImageError
from gan_jax.data.mask_files import WHITE_IS_KNOWN, read_mask
from gan_jax.report.grids import PAPER, rgb, tile
from gan_jax.report.terminal import say

_SAID = 50  # images that have a line in the terminal
_SHOWN, _SIDE = 8, 208  # images of the picture; their longer side at most
_SAMPLED = 50  # masks that are read to see what they mean, at most
_TINT = np.array([230, 30, 60])
_STRENGTH = 0.6  # of the tint

_HOLES = re.compile(
    "(?<![a-z])(holes?(?![a-z])|missing|remov|eras|delet|inpaint|iopaint|lama(?![a-z])"
    "|cleanup|unwanted|damag|defect|scratch|watermark)"
)
_KNOWN = re.compile("(?<![a-z])(known|valid|keep|kept|visible)")
_LAMA = re.compile(r".+_mask\d+")


def say_missing(images: Sequence[MaskedImage], hole: str = "") -> None:
    """Print the missing share of images, a line for each of the first.

    Lines have the name of the `hole` that is cut into the images, if there is one.
    """
    under = f" ({hole})" if hole else ""
    for masked in images[:_SAID]:
        say(f"{masked.source}: {percent(masked.missing)} missing{under}")
    if len(images) > _SAID:
        mean = percent(float(np.mean([masked.missing for masked in images])))
        say(f"{mean} missing on average of {len(images)} images, see results.jsonl")


def percent(share: float) -> str:
    """Return a share in per cent, with three digits at most."""
    return f"{100 * share:.3g}%"


def doubt(white: str, shares: Sequence[float], names: Collection[str]) -> str:
    """Return a warning that masks may mean the opposite; empty if they do not seem to.

    Args:
        white: What white pixels of the masks are taken for, as in `WHITE_IS_KNOWN`.
        shares: The missing share of each image.
        names: Names of the masks' folder and files, as far as they are not those of
            the images.
    """
    (other,) = (each for each in WHITE_IS_KNOWN if each != white)
    speaking = _HOLES if other == "missing" else _KNOWN
    speaks = [
        name
        for name in names
        if speaking.search(name.lower())
        or (other == "missing" and _LAMA.fullmatch(name))
    ]
    half = sum(share > 0.5 for share in shares)
    if shares and (2 * half > len(shares) or np.mean(shares) > 0.5):
        of = f"{half} of {len(shares)} images" if len(shares) > 1 else "the image"
        why = f"most pixels of {of} are missing with white read as {white}"
    elif speaks:
        why = f"the name {speaks[0]} suggests that white is {other}, not {white}"
    else:
        return ""
    tools = " (as for LaMa, IOPaint, Stable Diffusion)" if other == "missing" else ""
    return (
        f"warning: {why}: if white is {other} in your masks{tools}, give "
        f"--config.masks_white={other}"
    )


def doubt_files(config: ConfigDict, files: Mapping[Path, Sequence[Path]]) -> str:
    """Return the warning of `doubt` about the masks of files, of which some are read.

    Args:
        config: A config with `masks` and `masks_white`.
        files: The images, each with its masks.

    Raises:
        InputError: If `masks_white` is unknown.
    """
    white_is_known = look_up(WHITE_IS_KNOWN, "masks_white", config.masks_white)
    pairs = [(image, masks[0]) for image, masks in files.items() if len(masks) == 1]
    if not pairs:
        return ""
    shares = []
    for _, mask in pairs[:: -(-len(pairs) // _SAMPLED)]:
        with contextlib.suppress(BrokenImageError):  # its image's row has the reason
            known = read_mask(mask, white_is_known)
            # Transparent pixels are missing, whatever white is.
            if (known != read_mask(mask, not white_is_known)).any():
                shares.append(1 - float(known.mean()))
    if not shares:
        return ""
    place = Path(config.masks).expanduser().resolve()
    beside = sorted({mask.stem for image, mask in pairs if mask.stem != image.stem})
    names = [place.stem if place.is_file() else place.name, *beside]
    return doubt(config.masks_white, shares, names)


def missing_plate(
    images: Sequence[MaskedImage],
) -> UInt8[np.ndarray, "plate_height plate_width 3"]:
    """Draw the first images beside themselves with their missing part tinted."""
    first = images[:_SHOWN]
    pairs = [_tinted(masked) for masked in first]
    height, width = (max(pair.shape[axis] for pair in pairs) for axis in (1, 2))
    cells = np.full((len(pairs), 2, height, width, 3), PAPER, np.uint8)
    for cell, pair in zip(cells, pairs, strict=True):
        cell[:, : pair.shape[1], : pair.shape[2]] = pair
    rows = [f"{masked.name}: {percent(masked.missing)} missing" for masked in first]
    return tile(cells, column_titles=["image", "missing"], row_titles=rows)


def _tinted(masked: MaskedImage) -> UInt8[np.ndarray, "2 height width 3"]:
    """Return a reduced image, and the same with its missing pixels tinted."""
    step = -(-max(masked.known.shape) // _SIDE)
    image = rgb(masked.image[::step, ::step])
    missing = ~masked.known
    # A cell is missing if any of its pixels is: thin scratches stay visible.
    for axis in (0, 1):
        starts = np.arange(0, masked.known.shape[axis], step)
        missing = np.logical_or.reduceat(missing, starts, axis=axis)
    mixed = (1 - _STRENGTH) * image + _STRENGTH * _TINT
    tinted = np.where(missing[..., None], np.rint(mixed).astype(np.uint8), image)
    return np.stack([image, tinted])
