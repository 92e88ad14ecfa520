"""Observations of images, under holes and degradations, for a search."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from gan_jax.apps.inpaint import masked_images
from gan_jax.apps.inpaint.composites import blendable
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.missing import doubt_files, say_missing
from gan_jax.build import searches
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import memory_limit, size_of
from gan_jax.config.names import closest, look_up
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.degradations import Degradation, known_values
from gan_jax.data.holes import HOLES, Hole
from gan_jax.data.mask_files import WHITE_IS_KNOWN
from gan_jax.data.user_images import (
    UsersImages,
    list_masked,
    named_files,
    without_clashes,
)
from gan_jax.priors.packaged import open_any
from gan_jax.report.terminal import say
from gan_jax.runs.apply import open_images, say_what_was_read, trained_levels
from gan_jax.runs.prior import Prior, check_critic
from gan_jax.search.observation import Observation

Images = Float[np.ndarray, "count height width channels"]


class ObservedImages(NamedTuple):
    """Images under one kind of hole, at the prior's size."""

    hole: str
    """Name of the hole, or the folder of the masks."""
    sources: Sequence[MaskedImage]
    """The same images at their own size."""
    truth: Images | None
    """Whole images, in [-1, 1]; None if they are unknown."""
    masks: Float[np.ndarray, "count height width 1"] | None
    """1 where a pixel is known; None where a degradation was measured instead."""
    known: Observation
    """The observation of each image; every known value has the weight 1."""


def open_latent_prior(config: ConfigDict) -> Prior:
    """Open the prior that a config names, for a search of its latents.

    Raises:
        InputError: As `open_any` and `check_prior`.
    """
    prior = open_any(
        config.prior, FIRST_COMMANDS[config.program], memory=memory_limit(config)
    )
    check_prior(prior, config.program)
    return prior


def check_prior(prior: Prior, program: str) -> None:
    """Refuse a prior whose latents cannot be searched.

    Raises:
        InputError: If the prior generates under conditions, points, or oblong images,
            or has been packaged without its critic.
    """
    size = size_of(prior.config.data.size)
    for wrong, what in (
        (prior.task.conditional, "generates under conditions"),
        (prior.task.points, "generates points in the plane"),
        (size.height != size.width, f"generates images of {size}, not squares"),
    ):
        if wrong:
            raise InputError(
                f"prior {prior.workdir} {what}: a search needs one that makes images "
                f"from latents alone. {FIRST_COMMANDS[program]}"
            )
    check_critic(prior, "a search", FIRST_COMMANDS[program])


def open_users_images(config: ConfigDict, prior: Prior) -> UsersImages | None:
    """Open the folder `images` of a config, and say what was read; None without one.

    Raises:
        InputError: As `runs.apply.open_images`.
    """
    if not config.images:
        return None
    images = open_images(config, trained_levels(prior.config, prior.summary))
    say_what_was_read(images, config.images)
    return images


def named_holes(masks: str) -> dict[str, Hole | None]:
    """Return holes by their names; None stands for mask files.

    Raises:
        InputError: If a name is unknown, or there is none.
    """
    names = [name for name in masks.split(",") if name]
    if not names:
        raise InputError("--config.masks is empty: name holes, or a folder of masks")
    if names[0].partition(":")[0] not in HOLES:
        if os.path.exists(Path(masks).expanduser()):  # noqa: PTH110 - too long: False
            return {masks: None}
        raise InputError(
            f"--config.masks {masks}: there is no such folder or file, and no hole of "
            f"that name{closest(names[0], HOLES)}; known: {', '.join(HOLES)}"
        )
    return dict(zip(names, searches.holes(masks), strict=True))


def masked_files(config: ConfigDict, files: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return the user's images, each with its mask files, and no masks among them.

    Args:
        config: A config with `images` and, perhaps, `masks`.
        files: The image files of the folder `images`.

    Raises:
        InputError: As `named_holes` and `list_masked`.
    """
    if config.get("masks", "") and None in named_holes(config.masks).values():
        return list_masked(files, config.images, config.masks)
    return {file: [] for file in files}


def check_fits(name: str, hole: Hole, size: int) -> None:
    """Refuse a hole that is too large for images of a size.

    Raises:
        InputError: If nothing would be known of the images.
    """
    try:
        hole(jax.random.key(0), size, size)
    except ValueError as error:
        raise InputError(f"--config.masks '{name}': {error}") from None


class Observer(NamedTuple):
    """Observes the images that a config names, under one kind of hole."""

    config: ConfigDict
    """A config with `images`, `masks`, `count` and `seed`."""
    prior: Prior
    """The prior under which the images are searched."""
    name: str
    """Name of the hole, or the folder of masks, or the mask."""
    hole: Hole | None
    """The hole that is cut into the images; None = they have mask files."""
    degradation: Degradation | None = None
    """The degradation of the images; None = only pixels are missing. Test images are
    degraded here; the user's images have been degraded before."""
    images: UsersImages | None = None
    """The folder of the user's images, opened; None for images of the data."""

    def gather(self) -> tuple[ObservedImages, list[Skipped]]:
        """Return the images, and those that cannot be used.

        Raises:
            InputError: If no image can be used, or they do not fit the prior.
        """
        config = self.config
        skipped: list[Skipped] = []
        if self.images is not None:
            masks = masked_files(config, self.images.files)
            if warning := doubt_files(config, masks):
                say(warning)
            root = Path(config.images).expanduser()
            masked, skipped = masked_images.read_files(
                without_clashes(named_files(masks, root)),
                self.masker(masks),
                self.images.reading.scaling,
            )
            say_missing(masked)
        elif self.hole is None:
            raise InputError(
                f"--config.masks {config.masks} holds masks of your images: name their "
                "folder with --config.images"
            )
        else:
            self._checked_size()
            self._white_is_known()
            masked = masked_images.of_data(
                self.prior, "test", config.count, self.hole, config.seed
            )
            if (count := len(masked)) < config.count:
                say(f"there are {count} test images, less than count {config.count}")
        observed, unusable = self.observe(masked)
        skipped += unusable
        return required(observed, skipped), skipped

    def masker(self, files: Mapping[Path, Sequence[Path]]) -> masked_images.Masker:
        """Return the function that masks the user's images, files with their masks.

        Raises:
            InputError: If the degradation does not fit the prior's images, the hole is
                too large for them, or `masks_white` is unknown.
        """
        config, masks = self.config, files if self.hole is None else self.hole
        return masked_images.masker(
            masks, *self._checked_size(), config.seed, self._white_is_known()
        )

    def _white_is_known(self) -> bool:
        """Return whether white pixels of mask files are known; raise as `masker`."""
        known: bool = look_up(WHITE_IS_KNOWN, "masks_white", self.config.masks_white)
        return known

    def _checked_size(self) -> tuple[int, int]:
        """Return the rows and channels of an observation; raise as `masker`."""
        size, channels = _observed_size(self.prior, self.degradation)
        if self.hole is not None:
            side = size if self.config.images else self.prior.config.data.size
            check_fits(self.name, self.hole, side)
        return size, channels

    def observe(
        self, masked: Sequence[MaskedImage]
    ) -> tuple[ObservedImages | None, list[Skipped]]:
        """Return the usable images, None if there are none, and the others."""
        unusable: list[Skipped] = []
        if self.degradation is None:
            masked, unusable = masked_images.with_holes(masked)
            if self.config.get("blend", False):
                masked, large = blendable(masked)
                unusable += large
        is_users = bool(self.config.images)
        # What lies in the holes of a user's files, under masks, is not the truth.
        has_truth = self.degradation is None and all(each.has_truth for each in masked)
        observed, blank = observe_masked(
            self.prior,
            self.name,
            masked,
            self.degradation,
            simulated=not is_users,
            has_truth=has_truth or not is_users,
            seed=self.config.seed,
        )
        return observed, [*unusable, *blank]


def required(
    observed: ObservedImages | None, skipped: Sequence[Skipped]
) -> ObservedImages:
    """Return observed images; raise an `InputError` if there are none."""
    if observed is None:
        for source, reason in skipped:
            say(f"skipped {source}: {reason}")
        raise InputError(f"no image can be completed ({skipped[0].reason})")
    return observed


def observe_masked(
    prior: Prior,
    name: str,
    images: Sequence[MaskedImage],
    degradation: Degradation | None = None,
    simulated: bool = False,
    has_truth: bool = True,
    seed: int = 0,
) -> tuple[ObservedImages | None, list[Skipped]]:
    """Return the observations of masked images at the prior's size.

    Args:
        prior: The prior under which the images are searched.
        name: Name of their holes.
        images: The images.
        degradation: The degradation of the images; None = only pixels are missing.
        simulated: Whether the images are degraded here, and were not before.
        has_truth: Whether the images hold the truth in their holes.
        seed: Seed of a simulated degradation's noise.

    Returns:
        The usable images, None if there are none, and the images without known pixels.

    Raises:
        InputError: If the degradation does not fit the prior's images.
    """
    if not images:
        return None, []
    side = prior.config.data.size
    size = side if simulated else _observed_size(prior, degradation)[0]
    reduced = [masked_images.reduced(masked, size) for masked in images]
    small, masks, truth = (np.stack(field) for field in zip(*reduced, strict=True))
    values, known = jnp.asarray(small), jnp.asarray(masks)
    if degradation is not None and simulated:
        hashes = masked_images.name_hashes([masked.name for masked in images])
        keys = masked_images.keys_of(hashes, jax.random.key(seed), masked_images.NOISE)
        values = jax.vmap(degradation.measure)(keys, values)
        known = jax.vmap(lambda mask: known_values(degradation, mask, prior.channels))(
            known
        )
    seen = np.asarray(known).any(axis=(1, 2, 3))
    reason = f"nothing is known of it at the prior's size of {side}x{side}"
    blank = [
        Skipped(images[at].source, reason) for at in np.flatnonzero(~seen).tolist()
    ]
    if len(blank) == len(images):
        return None, blank
    return ObservedImages(
        name,
        [images[at] for at in np.flatnonzero(seen).tolist()],
        truth[seen] if has_truth else None,
        masks[seen] if degradation is None else None,
        Observation(jnp.where(known > 0, values, 0)[seen], known[seen], known[seen]),
    ), blank


def _observed_size(prior: Prior, degradation: Degradation | None) -> tuple[int, int]:
    """Return the rows and channels of an image of the prior, after a degradation.

    Raises:
        InputError: If the degradation does not fit the prior's images.
    """
    size = prior.config.data.size
    if degradation is None:
        return size, prior.channels
    image = jax.ShapeDtypeStruct((size, size, prior.channels), jnp.float32)
    try:
        rows, _, parts = jax.eval_shape(degradation.apply, image).shape
    except ValueError as error:
        raise InputError(f"--config.degradation: {error}") from None
    return rows, parts
