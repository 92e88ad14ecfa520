"""The inputs of a batch job, by the program that is applied to them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ml_collections import ConfigDict

from gan_jax.apps.colorize.hints import hint_files
from gan_jax.apps.detect.scoring.labels import scored_files
from gan_jax.apps.generate.sets import known_files
from gan_jax.apps.inpaint.masked_images import masked_files
from gan_jax.data.files.listing import list_users_images
from gan_jax.data.user_images import InputFile, named_files, user_images

Files: TypeAlias = Mapping[InputFile, Sequence[Path]]
"""Input files, each with the files of its masks or hints."""


class Inputs(NamedTuple):
    """Where a config names the inputs of a job, and which files they are."""

    key: str
    """Key of the config."""
    files: Callable[[ConfigDict], Files]
    """`files(config)`; it raises `InputError` if there are none."""
    fixed: Sequence[str] = ()
    """Keys that may change when a run continues, but not when a job does: what has a
    row is not done again."""


def _images(config: ConfigDict) -> Files:
    masks = masked_files(config, list_users_images(config.images).images)
    files = named_files(masks, Path(config.images).expanduser())
    return {file: masks[file.path] for file in files}


def _known(config: ConfigDict) -> Files:
    return {
        InputFile(file.path, file.name): [file.mask] if file.mask else []
        for file in known_files(config.known)
    }


def _hinted(config: ConfigDict) -> Files:
    hints = hint_files(config)
    return {
        file: [hints[file.path]] if file.path in hints else []
        for file in user_images(config.images)
    }


IMAGES = Inputs("images", _images)
"""A folder of images."""

_OTHERS: Mapping[str, Inputs] = {
    "generate": Inputs("known", _known, ("count",)),
    "colorize": Inputs("images", _hinted),
    "detect": Inputs("images", lambda config: dict.fromkeys(scored_files(config), ())),
}


def inputs_of(program: str) -> Inputs:
    """Return the inputs of a job that applies a program."""
    return _OTHERS.get(program, IMAGES)
