"""Packaged priors: the networks of a run in one file, opened by name.

The file is an .npz without pickled objects: the arrays of the networks under flat names
such as `generator/params/Conv_0/kernel`, and `about`, a text in JSON. Arrays of two or
more axes, which are nearly all of the size, are in half precision; the others are few
and small, and statistics among them need more range.
"""

import contextlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import gan_jax
from gan_jax.config.checks import read_config
from gan_jax.config.errors import InputError, printable
from gan_jax.config.keys import flatten
from gan_jax.config.names import closest
from gan_jax.data.memory import check_fits, read_file
from gan_jax.report import files
from gan_jax.runs.prior import (
    Prior,
    blank_prior,
    check_summary,
    open_prior,
    with_networks,
)
from gan_jax.training.state import Trained, Variables, bytes_of, digest

FOLDER = Path(__file__).parent
"""Folder of the files."""

LARGEST = 2**24
"""Bytes of a file, at most."""

_FORMAT = "gan_jax.prior/1"
_ABOUT = "about"
_HEADER = 2**14  # bytes of the header of an array, and more
_KINDS = frozenset(map(np.dtype, (np.float16, np.float32, np.int32, np.uint8)))
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEPT = ("config_name", "dataset", "teacher", "metrics", "parameters_sha256")
"""Entries of a run's summary that go into the file."""


def names() -> list[str]:
    """Return the names of the packaged priors."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def check_name(name: str) -> None:
    """Refuse a name that no packaged prior can have.

    Raises:
        InputError: If it is not a short word of small letters, digits and underscores.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name={printable(name)} names no packaged prior: give small letters, "
            "digits and underscores"
        )


def check_public(prior: Prior) -> None:
    """Refuse a prior whose config names files of its user.

    Raises:
        InputError: Names the key.
    """
    for key, value in flatten(prior.config).items():
        if isinstance(value, str) and (os.sep in value or "/" in value):
            raise InputError(
                f"run {prior.workdir} has {key} '{printable(value)}', a file of its "
                "user: package a run on data that everybody has"
            )


def halved(variables: Variables) -> Variables:
    """Return the variables of a network as a file stores them.

    Arrays of two or more axes whose values fit are in half precision.
    """

    def stored(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        half = array.dtype == np.float32 and array.ndim > 1
        fits = half and np.abs(array).max(initial=0) <= np.finfo(np.float16).max
        return array.astype(np.float16) if fits else array

    return jax.tree.map(stored, variables)


def as_packed(prior: Prior, critic: bool) -> Prior:
    """Return a prior as it will be opened once it has been packed.

    Args:
        prior: A trained run.
        critic: Whether its critic is kept.
    """

    def single(variables: Variables) -> Variables:
        return jax.tree.map(_single, halved(variables))

    networks = Trained(
        prior.networks.step,
        single(prior.networks.generator),
        single(prior.networks.critic) if critic else {},
    )
    return with_networks(prior, networks)


def pack(
    run: str,
    path: Path,
    critic: bool = False,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Write the networks of a run into one file.

    Args:
        run: Workdir of a complete run of `train`.
        path: The file; another one of this name is replaced.
        critic: Whether the critic is kept, which latent searches need.
        more: Further entries of the text about the prior.

    Returns:
        The SHA-256 of the arrays, which `open_packaged` compares.

    Raises:
        InputError: If there is no such run, it was trained on files of its user, or it
            is too large.
        OSError: If the file cannot be written.
    """
    prior = open_prior(run, "")
    check_public(prior)
    arrays = _arrays(prior.networks, critic)
    about = {
        "format": _FORMAT,
        "gan_jax": gan_jax.__version__,
        "config": flatten(prior.config),
        "step": int(prior.networks.step),
        **{key: prior.summary.get(key) for key in _KEPT},
        "real_score": None if math.isnan(prior.real_score) else prior.real_score,
        "networks_sha256": prior.digest,
        "arrays_sha256": digest(arrays),
        **(more or {}),
    }
    text = np.frombuffer(files.encode_json(about).encode(), np.uint8)
    buffer = io.BytesIO()
    entries: dict[str, Any] = {_ABOUT: text, **arrays}
    np.savez(buffer, **entries)
    content = buffer.getvalue()
    if len(content) > LARGEST:
        raise InputError(
            f"run {run} makes a file of {len(content)} bytes, and {LARGEST} at most "
            "are read: train narrower networks"
        )
    files.write_bytes(path, content)
    sha256: str = about["arrays_sha256"]
    return sha256


def _arrays(networks: Trained, critic: bool) -> dict[str, np.ndarray]:
    """Return the arrays of a file by their flat names."""
    kept = {"generator": networks.generator}
    if critic:
        kept["critic"] = networks.critic
    return {
        _flat_name(place): leaf
        for place, leaf in jax.tree_util.tree_leaves_with_path(halved(kept))
    }


def _flat_name(place: Any) -> str:
    return jax.tree_util.keystr(place, simple=True, separator="/")


def open_packaged(name: str, memory: int | None = None) -> Prior:
    """Open a prior that ships with the package.

    Its `workdir` is its name, and its critic is empty where the file holds none.

    Args:
        name: One of `names()`.
        memory: Bytes that its networks may take; None = those of the machine.

    Raises:
        InputError: If there is no such prior, its file is damaged, or its networks need
            more memory.
    """
    if name not in names():
        raise InputError(_unknown(name, "prior"))
    try:
        content = io.BytesIO(read_file(FOLDER / f"{name}.npz", LARGEST))
        with zipfile.ZipFile(content) as archive:
            return _read(archive, name, memory)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file leads to
        reason = printable(str(error) or type(error).__name__)[:200]
        raise InputError(
            f"the packaged prior {name} cannot be read ({reason}): install gan_jax anew"
        ) from None


def _read(archive: zipfile.ZipFile, name: str, memory: int | None) -> Prior:
    about = json.loads(_member(archive, _ABOUT).tobytes().decode())
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ValueError(f"it is not of the format {_FORMAT}")
    check_summary(about)
    blank = blank_prior(Path(name), read_config(about["config"], "train"), about)
    held = {entry.removesuffix(".npy") for entry in archive.namelist()}
    like = {"generator": blank.networks.generator}
    if any(entry.startswith("critic/") for entry in held):
        like["critic"] = blank.networks.critic
    check_fits(f"prior {name}", bytes_of(like), "raise --config.memory", memory)
    shapes = jax.tree_util.tree_leaves_with_path(like)
    wanted = {_flat_name(place): leaf for place, leaf in shapes}
    if held != {_ABOUT, *wanted}:
        raise ValueError("its arrays are not those of its config")
    arrays = {
        entry: _member(archive, entry, tuple(leaf.shape))
        for entry, leaf in wanted.items()
    }
    if digest(arrays) != about["arrays_sha256"]:
        raise ValueError("its arrays are not those that were packed")
    leaves = [_single(array) for array in arrays.values()]
    read: PyTree = jax.tree.unflatten(jax.tree.structure(like), leaves)
    step = jnp.int32(about["step"])
    networks = Trained(step, read["generator"], read.get("critic", {}))
    return with_networks(blank, networks)


def _single(array: np.ndarray) -> jax.Array:
    """Return an array of a file as networks take it."""
    half = array.dtype == np.float16
    return jnp.asarray(array, jnp.float32 if half else array.dtype)


def _member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Return an array of a file, of a known shape where one is given.

    The memory that it takes is bounded by the size of the file, whatever its header and
    the archive's say.

    Raises:
        ValueError: If it has another shape, or is none of the kinds in a file.
        Exception: If the file is damaged.
    """
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > LARGEST or entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed or too large")
    content = archive.read(entry)
    stream = io.BytesIO(content)
    npy = np.lib.format
    if npy.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is of another version of the format")
    found, fortran, kind = npy.read_array_header_1_0(stream, max_header_size=_HEADER)
    if fortran or kind not in _KINDS or (shape is not None and found != shape):
        raise ValueError(f"{name} is {found} of {kind}, and not {shape}")
    # Refuses a content that is shorter or longer than the shape says.
    return np.frombuffer(content, kind, offset=stream.tell()).reshape(found)


def open_any(
    path: str, commands: str, program: str = "train", memory: int | None = None
) -> Prior:
    """Open the run or the packaged prior that `--config.prior` names.

    A path with a separator, or of a folder, is a run: `./digits` where both a folder
    and a packaged prior have the name. Anything else is the name of a packaged prior.

    Args:
        path: Workdir of a run, or the name of a packaged prior.
        commands: Commands that train a run, for messages.
        program: The program that must have written the run.
        memory: Bytes that its networks may take; None = those of the machine.

    Raises:
        InputError: If there is neither, or it cannot be used.
    """
    if not path:
        raise InputError(
            f"--config.prior is empty: name a run{_or_packaged()}. {commands}"
        )
    if _is_run(path):
        return open_prior(path, commands, program, memory)
    if path not in names():
        raise InputError(f"{_unknown(path, '--config.prior')}. {commands}")
    return open_packaged(path, memory)


def _is_run(path: str) -> bool:
    if os.sep in path or "/" in path:
        return True
    with contextlib.suppress(OSError):  # it may be too long for a path
        return Path(path).is_dir()
    return False


def _unknown(name: str, key: str) -> str:
    """Return the message for a name that no prior has."""
    return (
        f"{key} '{printable(name)}' is neither a run's workdir nor a packaged prior"
        f"{closest(name, names())}: name a run{_or_packaged()}"
    )


def _or_packaged() -> str:
    known = names()
    return f", or one of {', '.join(known)}" if known else ""
