"""What is known of images: their holes and degradations, before a search."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.build import searches
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.datasets.folders import list_images
from gan_jax.data.degradations import Degradation, known_values
from gan_jax.data.holes import HOLES, Hole
from gan_jax.report.terminal import say
from gan_jax.runs.prior import Prior
from gan_jax.search.observation import Observation

Images = Float[np.ndarray, "count height width channels"]


class ObservedImages(NamedTuple):
    """Images under one kind of hole, at the prior's size."""

    hole: str
    """Name of the hole, or the folder of the masks."""
    sources: Sequence[MaskedImage]
    """The same images at their own size."""
    truth: Images | None
    """Whole images, in [-1, 1]; None where they are not known."""
    masks: Float[np.ndarray, "count height width 1"] | None
    """1 where a pixel is known; None where a degradation was measured instead."""
    known: Observation
    """The observation of each image; every known value has the weight 1."""


def check_prior(prior: Prior, commands: str) -> None:
    """Refuse a prior whose latents cannot be searched.

    Args:
        prior: The trained run.
        commands: The commands that make a prior, for the error.

    Raises:
        InputError: the prior generates under conditions, or points.
    """
    for wrong, what in (
        (prior.task.conditional, "generates under conditions"),
        (prior.task.points, "generates points in the plane"),
    ):
        if wrong:
            raise InputError(
                f"prior {prior.workdir} {what}: a search needs one that makes images "
                f"from latents alone. {commands}"
            )


def named_holes(masks: str) -> dict[str, Hole | None]:
    """Return holes by their names; None stands for a folder of masks.

    Args:
        masks: The config's `masks`: names joined by commas, or a folder.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    names = [name for name in masks.split(",") if name]
    if not names:
        raise InputError("--config.masks is empty: name holes, or a folder of masks")
    is_named = names[0].partition(":")[0] in HOLES
    if not is_named and Path(masks).expanduser().is_dir():
        return {masks: None}
    return dict(zip(names, searches.holes(masks), strict=True))


def check_fits(name: str, hole: Hole, size: int) -> None:
    """Refuse a hole that is too large for images of a size.

    Raises:
        InputError: names the hole: nothing would be known of the images.
    """
    try:
        hole(jax.random.key(0), size, size)
    except ValueError as error:
        raise InputError(f"masks '{name}': {error}") from None


class Observer(NamedTuple):
    """How the images that a config names are observed, under one kind of hole."""

    config: ConfigDict
    """A config with `images`, `masks`, `count` and `seed`."""
    prior: Prior
    """The prior under which the images are searched."""
    name: str
    """Name of the hole, or the folder of masks."""
    hole: Hole | None
    """The hole that is cut into the images; None = a folder of masks."""
    degradation: Degradation | None = None
    """The degradation of the images; None = only pixels are missing. Test images are
    degraded here; the user's images have been degraded before."""

    def gather(self) -> tuple[ObservedImages, list[Skipped]]:
        """Return the images, and those that cannot be used.

        Raises:
            InputError: no image can be used, or they do not fit the prior.
        """
        config, mask = self.config, self.masker()
        skipped: list[Skipped] = []
        if config.images:
            files = list_images(config.images)
            given, skipped = masked_images.read_files(files, mask)
        elif self.hole is None:
            raise InputError(
                "--config.masks is a folder: name one with --config.images"
            )
        else:
            given = masked_images.of_data(
                self.prior, "test", config.count, self.hole, config.seed
            )
            if len(given) < config.count:
                say(
                    f"there are {len(given)} test images, less than count "
                    f"{config.count}"
                )
        observed, more = self.observe(given)
        skipped += more
        return required(observed, skipped), skipped

    def masker(self) -> masked_images.Masker:
        """Return what gives the user's images their masks.

        Raises:
            InputError: the degradation does not fit the prior's images, or the hole is
                too large for them.
        """
        config, side = self.config, self.prior.config.data.size
        size, channels = _observed_size(self.prior, self.degradation)
        if self.hole is not None:
            check_fits(self.name, self.hole, size if config.images else side)
        masks = config.masks if self.hole is None else self.hole
        return masked_images.masker(masks, size, channels, config.seed)

    def observe(
        self, given: Sequence[MaskedImage]
    ) -> tuple[ObservedImages | None, list[Skipped]]:
        """Return some of the images, None where none can be used, and the others."""
        whole: list[Skipped] = []
        if self.degradation is None:
            given, whole = masked_images.with_holes(given)
        is_users = bool(self.config.images)
        # A user's file that has holes of its own does not show what they hide.
        has_truth = self.hole is not None and self.degradation is None
        observed, blank = observe(
            self.prior,
            self.name,
            given,
            self.degradation,
            simulated=not is_users,
            has_truth=has_truth or not is_users,
            seed=self.config.seed,
        )
        return observed, [*whole, *blank]


def required(
    observed: ObservedImages | None, skipped: Sequence[Skipped]
) -> ObservedImages:
    """Return observed images, or raise an `InputError` where there are none."""
    if observed is None:
        raise InputError(f"no image can be completed ({skipped[0].reason})")
    return observed


def observe(
    prior: Prior,
    name: str,
    given: Sequence[MaskedImage],
    degradation: Degradation | None = None,
    simulated: bool = False,
    has_truth: bool = True,
    seed: int = 0,
) -> tuple[ObservedImages | None, list[Skipped]]:
    """Return what is known of masked images at the prior's size.

    Args:
        prior: The prior under which the images are searched.
        name: Name of their holes.
        given: The images.
        degradation: The degradation of the images; None = only pixels are missing.
        simulated: Whether the images are degraded here, and were not before.
        has_truth: Whether the images hold the truth in their holes.
        seed: Seed of a simulated degradation's noise.

    Returns:
        The images, None where none can be used, and those of which nothing is known.

    Raises:
        InputError: the degradation does not fit the prior's images.
    """
    if not given:
        return None, []
    side = prior.config.data.size
    size = side if simulated else _observed_size(prior, degradation)[0]
    pairs = [masked_images.reduced(masked, size) for masked in given]
    images, masks, truth = (np.stack(part) for part in zip(*pairs, strict=True))
    values, known = jnp.asarray(images), jnp.asarray(masks)
    if degradation is not None and simulated:
        hashes = masked_images.name_hashes([masked.name for masked in given])
        keys = masked_images.keys_of(hashes, jax.random.key(seed), _NOISE)
        values = jax.vmap(degradation.measure)(keys, values)
        known = jax.vmap(lambda mask: known_values(degradation, mask, prior.channels))(
            known
        )
    seen = np.asarray(known).any(axis=(1, 2, 3))
    reason = f"nothing is known of it at the prior's size of {side}x{side}"
    lost: list[int] = np.flatnonzero(~seen).tolist()
    blank = [Skipped(given[index].source, reason) for index in lost]
    if len(blank) == len(given):
        return None, blank
    return ObservedImages(
        name,
        [given[index] for index in np.flatnonzero(seen).tolist()],
        truth[seen] if has_truth else None,
        masks[seen] if degradation is None else None,
        Observation(jnp.where(known > 0, values, 0)[seen], known[seen], known[seen]),
    ), blank


_NOISE = 1  # folded into an image's key, beside `search.START`


def _observed_size(prior: Prior, degradation: Degradation | None) -> tuple[int, int]:
    """Return the rows and channels of an image of the prior, after a degradation.

    Raises:
        InputError: the degradation does not fit the prior's images.
    """
    size = prior.config.data.size
    if degradation is None:
        return size, prior.channels
    image = jax.ShapeDtypeStruct((size, size, prior.channels), jnp.float32)
    try:
        rows, _, parts = jax.eval_shape(degradation.apply, image).shape
    except ValueError as error:
        raise InputError(f"config.degradation: {error}") from None
    return rows, parts
