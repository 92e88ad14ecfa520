"""Packaged priors: the networks of a run in one file, opened by name.

The file is an .npz without pickled objects: the arrays of the networks under flat names
such as `generator/params/Conv_0/kernel`, and `about`, a text in JSON. Arrays of two or
more axes, which are nearly all of the size, are in half precision; the others are few
and small, and statistics among them need more range.
"""

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from gan_jax.config.checks import read_config
from gan_jax.config.errors import InputError, printable
from gan_jax.config.names import closest
from gan_jax.data.memory import check_fits, read_file
from gan_jax.runs.prior import (
    Prior,
    blank_prior,
    check_summary,
    open_prior,
    with_networks,
)
from gan_jax.runs.workdir import written_config
from gan_jax.training.state import Trained, bytes_of, digest

FOLDER = Path(__file__).parent
"""Folder of the files."""

LARGEST = 2**24
"""Bytes of a file, at most."""

FORMAT = "gan_jax.prior/1"
ABOUT = "about"
"""Format of a file, and the name of the text about the prior in it."""

_HEADER = 2**14  # bytes of the header of an array, and more
_KINDS = frozenset(map(np.dtype, (np.float16, np.float32, np.int32, np.uint8)))


def names() -> list[str]:
    """Return the names of the packaged priors."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))


def flat_name(place: Any) -> str:
    """Return the name in a file of an array at a place in the tree of variables."""
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
    with _opened(name) as archive:
        return _read(archive, name, memory)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[zipfile.ZipFile]:
    """Open the file of a prior.

    Raises:
        InputError: There is no such prior, or its file proves to be damaged.
    """
    if name not in names():
        raise InputError(_unknown(name, "prior"))
    try:
        content = io.BytesIO(read_file(FOLDER / f"{name}.npz", LARGEST))
        with zipfile.ZipFile(content) as archive:
            yield archive
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file leads to
        reason = printable(str(error) or type(error).__name__)[:200]
        raise InputError(
            f"the packaged prior {name} cannot be read ({reason}): install gan_jax anew"
        ) from None


def _about(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the text about a prior.

    Raises:
        ValueError: If it is of another format.
    """
    about = json.loads(_member(archive, ABOUT).tobytes().decode())
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"it is not of the format {FORMAT}")
    return about


def _read(archive: zipfile.ZipFile, name: str, memory: int | None) -> Prior:
    about = _about(archive)
    check_summary(about)
    blank = blank_prior(Path(name), read_config(about["config"], "train"), about)
    held = {entry.removesuffix(".npy") for entry in archive.namelist()}
    like = {"generator": blank.networks.generator}
    if any(entry.startswith("critic/") for entry in held):
        like["critic"] = blank.networks.critic
    check_fits(f"prior {name}", bytes_of(like), "raise --config.memory", memory)
    shapes = jax.tree_util.tree_leaves_with_path(like)
    wanted = {flat_name(place): leaf for place, leaf in shapes}
    if held != {ABOUT, *wanted}:
        raise ValueError("its arrays are not those of its config")
    arrays = {
        entry: _member(archive, entry, tuple(leaf.shape))
        for entry, leaf in wanted.items()
    }
    if digest(arrays) != about["arrays_sha256"]:
        raise ValueError("its arrays are not those that were packed")
    leaves = [single(array) for array in arrays.values()]
    read: PyTree = jax.tree.unflatten(jax.tree.structure(like), leaves)
    step = jnp.int32(about["step"])
    networks = Trained(step, read["generator"], read.get("critic", {}))
    return with_networks(blank, networks)


def single(array: np.ndarray) -> jax.Array:
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


def config_of(path: str) -> dict[str, Any] | None:
    """Return the flat config of a run of any program, or of a packaged prior.

    It is None where there is neither. Nothing in it has been checked.

    Args:
        path: As `open_any` takes it.

    Raises:
        InputError: If the file of the packaged prior is damaged.
        OSError: If the config of the run cannot be read.
        ValueError: If it is damaged.
    """
    if _is_run(path):
        return written_config(Path(path).expanduser())
    if path not in names():
        return None
    with _opened(path) as archive:
        config: dict[str, Any] = _about(archive)["config"]
        return config


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
