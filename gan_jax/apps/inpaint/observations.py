"""Observations of images, under holes and degradations, for a search."""

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
from gan_jax.apps.inpaint.masked_images import MaskedImage, masked_files
from gan_jax.apps.inpaint.missing import doubt_files, say_missing
from gan_jax.apps.inpaint.placement import (
    PLACES,
    PlacedImage,
    Placement,
    lay_all,
    lay_whole,
    reduced,
    training_sizes,
    windows_of_each,
)
from gan_jax.apps.train.identity import unseen_parts
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size, memory_limit, size_of
from gan_jax.config.names import look_up
from gan_jax.data.datasets.dataset import Skipped
from gan_jax.data.degradations import Degradation, known_values
from gan_jax.data.holes import Hole
from gan_jax.data.mask_files import WHITE_IS_KNOWN
from gan_jax.data.splits import Part
from gan_jax.data.user_images import (
    UsersImages,
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
    sources: Sequence[PlacedImage]
    """The same images at their own size, under the windows that are observed."""
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
        InputError: If the prior generates under conditions, or points, or has been
            packaged without its critic.
    """
    for wrong, what in (
        (prior.task.conditional, "generates under conditions"),
        (prior.task.points, "generates points in the plane"),
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


def check_fits(name: str, hole: Hole, size: Size) -> None:
    """Refuse a hole that is too large for images of a size.

    Raises:
        InputError: If nothing would be known of the images.
    """
    try:
        hole(jax.random.key(0), *size)
    except ValueError as error:
        raise InputError(f"--config.masks '{name}': {error}") from None


class Observer(NamedTuple):
    """Observes the images that a config names, under one kind of hole."""

    config: ConfigDict
    """A config with `images`, `masks`, `place`, `count` and `seed`."""
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
    parts: Mapping[str, Part] | None = None
    """The parts of the prior's data, if they are open; None = they are opened here."""

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
            say_missing(masked, "" if self.hole is None else self.name)
        elif self.hole is None:
            raise InputError(
                f"--config.masks {config.masks} holds masks of your images: name their "
                "folder with --config.images"
            )
        else:
            self._checked_size()
            self._white_is_known()
            self.placement()
            parts = self.parts or unseen_parts(self.prior, config.data.changed)
            source = parts["test"]["real"]
            masked = masked_images.of_data(source, config.count, self.hole, config.seed)
            if (count := len(masked)) < config.count:
                say(f"there are {count} test images, less than count {config.count}")
        observed, unusable = self.observe(masked)
        skipped += unusable
        return required(observed, skipped), skipped

    def masker(self, files: Mapping[Path, Sequence[Path]]) -> masked_images.Masker:
        """Return the function that masks the user's images, files with their masks.

        Raises:
            InputError: If the degradation does not fit the prior's images, the hole is
                too large for them, `masks_white` is unknown, or there is no such
                placement.
        """
        config, masks = self.config, files if self.hole is None else self.hole
        size, channels = self._checked_size()
        return masked_images.masker(
            masks,
            size,
            channels,
            config.seed,
            self._white_is_known(),
            self.placement().hole_window,
        )

    def _white_is_known(self) -> bool:
        """Return whether white pixels of mask files are known; raise as `masker`."""
        known: bool = look_up(WHITE_IS_KNOWN, "masks_white", self.config.masks_white)
        return known

    def placement(self) -> Placement:
        """Return how the user's images are laid under the prior.

        Raises:
            InputError: If there is no such placement, or none but the largest central
                window for measurements of a degradation, of which the prior makes the
                whole.
        """
        place, data = self.config.place or "auto", self.prior.config.data
        look_up(dict.fromkeys(PLACES), "place", place)
        size, _ = _observed_size(self.prior, self.degradation)
        if self.degradation is not None:
            if place not in ("auto", "square"):
                raise InputError(
                    f"--config.place={place} is for missing pixels alone, and "
                    "--config.degradation measures whole images: give "
                    "--config.place=square"
                )
            place = "square"
        return Placement(place, size, data.crop, training_sizes(self.prior))

    def _checked_size(self) -> tuple[Size, int]:
        """Return the size and channels of an observation; raise as `masker`."""
        size, channels = _observed_size(self.prior, self.degradation)
        if self.hole is not None:
            own = size_of(self.prior.config.data.size)
            check_fits(self.name, self.hole, size if self.config.images else own)
        return size, channels

    def observe(
        self, masked: Sequence[MaskedImage]
    ) -> tuple[ObservedImages | None, list[Skipped]]:
        """Return the usable images, None if there are none, and the others."""
        unusable: list[Skipped] = []
        is_users = bool(self.config.images)
        if self.degradation is None:
            masked, unusable = masked_images.with_holes(masked)
        if is_users:
            placed, outside = lay_all(self.placement(), masked)
            unusable += outside
        else:
            placed = lay_whole(masked)
        if self.degradation is None and self.config.get("blend", False):
            placed, large = blendable(placed)
            unusable += large
        observed, blank = self.observe_placed(placed)
        return observed, [*unusable, *blank]

    def observe_placed(
        self, placed: Sequence[PlacedImage]
    ) -> tuple[ObservedImages | None, list[Skipped]]:
        """Return images under given windows, as `observe` returns them."""
        is_users = bool(self.config.images)
        # What lies in the holes of a user's files, under masks, is not the truth.
        has_truth = self.degradation is None and all(
            each.masked.has_truth for each in placed
        )
        return observe_masked(
            self.prior,
            self.name,
            placed,
            self.degradation,
            simulated=not is_users,
            has_truth=has_truth or not is_users,
            seed=self.config.seed,
        )


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
    images: Sequence[PlacedImage],
    degradation: Degradation | None = None,
    simulated: bool = False,
    has_truth: bool = True,
    seed: int = 0,
) -> tuple[ObservedImages | None, list[Skipped]]:
    """Return the observations of masked images at the prior's size.

    Args:
        prior: The prior under which the images are searched.
        name: Name of their holes.
        images: The images under their windows.
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
    own = size_of(prior.config.data.size)
    size = own if simulated else _observed_size(prior, degradation)[0]
    observed = [reduced(placed, size) for placed in images]
    small, masks, truth = (np.stack(field) for field in zip(*observed, strict=True))
    values, known = jnp.asarray(small), jnp.asarray(masks)
    if degradation is not None and simulated:
        hashes = masked_images.name_hashes([placed.masked.name for placed in images])
        keys = masked_images.keys_of(hashes, jax.random.key(seed), masked_images.NOISE)
        values = jax.vmap(degradation.measure)(keys, values)
        known = jax.vmap(lambda mask: known_values(degradation, mask, prior.channels))(
            known
        )
    seen = np.asarray(known).reshape(len(images), -1).max(axis=1) > 0
    reason = f"nothing is known of it at the prior's size of {own}"
    blank: list[Skipped] = []
    for numbers in windows_of_each(images):
        if not seen[numbers].all():  # one of its windows
            seen[numbers] = False
            blank.append(Skipped(images[numbers[0]].masked.source, reason))
    if not seen.any():
        return None, blank
    return ObservedImages(
        name,
        [images[at] for at in np.flatnonzero(seen).tolist()],
        truth[seen] if has_truth else None,
        masks[seen] if degradation is None else None,
        Observation(jnp.where(known > 0, values, 0)[seen], known[seen], known[seen]),
    ), blank


def _observed_size(prior: Prior, degradation: Degradation | None) -> tuple[Size, int]:
    """Return the size and channels of an image of the prior, after a degradation.

    Raises:
        InputError: If the degradation does not fit the prior's images.
    """
    size = size_of(prior.config.data.size)
    if degradation is None:
        return size, prior.channels
    image = jax.ShapeDtypeStruct((*size, prior.channels), jnp.float32)
    try:
        rows, columns, parts = jax.eval_shape(degradation.apply, image).shape
    except ValueError as error:
        raise InputError(f"--config.degradation: {error}") from None
    return Size(rows, columns), parts
