"""How well a prior fits images: the best of several windows, and what is far off."""

import contextlib
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.masked_images import Images8
from gan_jax.apps.inpaint.observations import (
    ObservedImages,
    Observer,
    observe_masked,
    required,
)
from gan_jax.apps.inpaint.placement import PlacedImage, lay_whole, windows_of_each
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, size_of
from gan_jax.data import holes, windows
from gan_jax.data.windows import HoleWindow
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.runs.startup import cache_folder
from gan_jax.search.latent import Found

_VALIDATED = 32  # validation images that are searched, at most
_FAR = 2.0  # standard deviations, or errors of a mean, that are far above validation
_FEW = 5  # images whose mean is compared, at least
_NAMED = 3  # images that are named in the terminal
_CLEARLY = 0.7  # of the residual under the first window, for another to be taken
_TOGETHER = 25  # windows over holes whose alternatives are searched in one call

Minimise = Callable[[ObservedImages, str], Found]
"""`minimise(images, name)` searches each image; `name` is that of the file in which the
results may be kept."""


class Fit(NamedTuple):
    """What a search reaches on a prior's validation images, under the same masks."""

    residuals: Float[np.ndarray, " images"]

    @property
    def mean(self) -> float:
        """Return the mean residual of the validation images."""
        return float(self.residuals.mean())

    @property
    def limit(self) -> float:
        """Return the residual above which the prior does not fit an image."""
        return self.mean + _FAR * float(self.residuals.std())

    def note(self, residual: float) -> str:
        """Return what is said of an image; empty if the prior fits it."""
        if residual <= self.limit:
            return ""
        return (
            f"the prior does not fit this image: its residual is {residual:.3f}, that "
            f"of the prior's own validation images {self.mean:.3f} on average"
        )

    def note_of_all(self, residuals: Float[np.ndarray, " others"]) -> str:
        """Return what is said of images together; empty if the prior fits them.

        The mean of many tells more than each of them: images under a wrong crop may all
        be a little worse.
        """
        far = int((residuals > self.limit).sum())
        error = np.sqrt(
            sum(each.var() / len(each) for each in (residuals, self.residuals))
        )
        above = float(residuals.mean()) - self.mean
        if not far and (len(residuals) < _FEW or above <= _FAR * error):
            return ""
        return (
            f"the prior does not fit {far} of {len(residuals)} images; their mean "
            f"residual is {residuals.mean():.3f}, that of its own validation images "
            f"{self.mean:.3f}: lay it otherwise by --config.place (search tries "
            "several windows), or train one on images like these"
        )


def measure_fit(
    observer: Observer, images: ObservedImages, minimise: Minimise, name: str
) -> Fit | None:
    """Return what a search reaches on validation images, under the masks of others.

    None for images of the prior's own data, or if its data can no longer be read.

    Args:
        observer: Observer of the images.
        images: The images whose masks are taken.
        minimise: The search of the images.
        name: Name of the search of the validation images.
    """
    if not observer.config.images:
        return None
    validation = _observe_validation(observer, images)
    if validation is None:
        return None
    return Fit(minimise(validation, name).residual)


def _observe_validation(
    observer: Observer, images: ObservedImages
) -> ObservedImages | None:
    """Return validation images of the prior's data, under the masks of other images.

    Which pixels are known matters as much as how many. After a degradation, which
    leaves no masks, holes are those of the observer. None if the prior's data can no
    longer be read.
    """
    try:
        whole = _validation_images(observer.prior)
    except InputError:
        return None
    seed = observer.config.seed
    masked = masked_images.with_hole(whole, observer.hole or holes.none, seed)
    if images.masks is not None:
        known = images.masks[np.arange(len(whole)) % len(images.masks), ..., 0] > 0
        masked = [
            each._replace(known=mask) for each, mask in zip(masked, known, strict=True)
        ]
    observed, _ = observe_masked(
        observer.prior,
        "validation images",
        lay_whole(masked),
        observer.degradation,
        simulated=True,
        seed=seed,
    )
    return observed


def _validation_images(prior: Prior) -> Images8:
    """Return the first validation images, kept in the cache folder of the machine.

    A folder of many images takes minutes to open.
    """
    path = cache_folder() / "validation" / f"{prior.digest}.npz"
    shape = (*size_of(prior.config.data.size), prior.channels)
    unreadable = OSError, ValueError, KeyError, zipfile.BadZipFile
    with contextlib.suppress(*unreadable), np.load(path) as kept:
        images: np.ndarray = kept["image"]
        if images.dtype == np.uint8 and len(images) and images.shape[1:] == shape:
            return images
    images = masked_images.read_part(prior, "validation", _VALIDATED)
    content = io.BytesIO()
    np.savez(content, image=images)
    with contextlib.suppress(OSError):  # it is read again then
        files.write_bytes(path, content.getvalue())
    return images


def say_misfits(images: Sequence[PlacedImage], found: Found, fit: Fit | None) -> None:
    """Name the images that the prior does not fit, the worst first."""
    if fit is None:
        return
    groups = windows_of_each(images)
    residuals = np.array([found.residual[numbers].max() for numbers in groups])
    for at in np.argsort(-residuals)[:_NAMED].tolist():
        if note := fit.note(float(residuals[at])):
            say(f"{images[groups[at][0]].masked.source}: {note}")
    if note := fit.note_of_all(residuals):
        say(note)


def best_windows(
    observer: Observer, images: ObservedImages, minimise: Minimise
) -> ObservedImages:
    """Return images under the windows whose known pixels a search explains best.

    At each of several scales and places, every window holds the same missing pixels. It
    is the residual, a mean absolute error of known values, that compares them. A window
    may have a smaller one because what it shows is easier, so the first window is left
    only where another is clearly better. Images of the prior's own data, and those of
    another `place` than `search`, stay under their windows. A search from one start is
    enough.
    """
    placement = observer.placement()
    if not observer.config.images or placement.place != "search":
        return images
    size = placement.size
    chosen: list[PlacedImage] = []
    for first in range(0, len(images.sources), _TOGETHER):
        part = [
            _alternatives(placed, size)
            for placed in images.sources[first : first + _TOGETHER]
        ]
        flat = [placed for group in part for placed in group]
        observed = required(*observer.observe_placed(flat))
        residuals = minimise(observed, f"windows-{first // _TOGETHER}").residual
        for group in part:
            own, residuals = residuals[: len(group)], residuals[len(group) :]
            best = int(np.argmin(own))
            chosen.append(group[best if own[best] <= _CLEARLY * own[0] else 0])
    return required(*observer.observe_placed(chosen))


def _alternatives(placed: PlacedImage, size: Size) -> list[PlacedImage]:
    """Return an image under all windows that are tried, in which something is known."""
    known = placed.masked.known
    missing = np.zeros(known.shape, bool)
    missing[placed.window.at] = placed.missing
    hole = HoleWindow(placed.window, placed.missing)
    return [
        placed._replace(window=window, missing=missing[window.at], place="search")
        for window in windows.alternatives(hole, Size(*known.shape), size)
        if windows.reduce_mask(known[window.at], size).any()
    ]
