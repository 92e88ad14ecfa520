"""Results of searches, kept on disk: a search that has ended is not repeated."""

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gan_jax.data.memory import check_arrays, open_file
from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.search.latent import Found, Restarts
from gan_jax.search.trace import Trace


def write_found(path: Path, found: Found, seconds: float, identity: str) -> None:
    """Write the result of a search, whole or not at all.

    The identity is a hash of the networks, the images and their masks; of a paired
    objective also of the median real score. The workdir's config and the file's name
    fix everything else the search depends on.

    Raises:
        OSError: If the file cannot be written.
    """
    arrays = found._asdict() | {"seconds": np.array(seconds)}
    arrays |= {f"restarts.{k}": v for k, v in arrays.pop("restarts")._asdict().items()}
    _write(path, arrays, identity)


def read_found(path: Path, identity: str) -> tuple[Found, float] | None:
    """Return the result of a search and its duration in seconds.

    Returns None if the file is missing, broken or has another identity; the last two
    are printed, and a broken one is set aside.
    """
    of_restarts = [f"restarts.{name}" for name in Restarts._fields]
    of_best = [name for name in Found._fields if name != "restarts"]
    arrays = _read(path, identity, [*of_best, *of_restarts, "seconds"])
    if arrays is None:
        return None
    restarts = Restarts(*(arrays[name] for name in of_restarts))
    found = Found(**{name: arrays[name] for name in of_best}, restarts=restarts)
    return found, float(arrays["seconds"])


def write_trace(path: Path, trace: Trace, identity: str) -> None:
    """Write the trace of a search; otherwise as `write_found`."""
    _write(path, trace._asdict(), identity)


def read_trace(path: Path, identity: str) -> Trace | None:
    """Return the trace of a search; otherwise as `read_found`."""
    arrays = _read(path, identity, Trace._fields)
    return None if arrays is None else Trace(**arrays)


def _write(path: Path, arrays: Mapping[str, Any], identity: str) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, identity=np.array(identity), **arrays)
    files.write_bytes(path, buffer.getvalue())


def _read(
    path: Path, identity: str, names: Collection[str]
) -> dict[str, np.ndarray] | None:
    if not path.exists():
        return None
    try:
        with open_file(path) as file:
            check_arrays("it", file, [*names, "identity"], "it is not read")
            # np.load leaves a path that it opened itself open where a file is damaged.
            with np.load(file, allow_pickle=False) as arrays:
                if str(arrays["identity"]) == identity:
                    return {name: arrays[name] for name in names}
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged file leads to
        aside = files.set_aside(path)
        say(f"{path} cannot be used ({error}): it is now {aside.name}; searching anew")
        return None
    say(f"{path} is of another prior or of other images: searching anew")
    return None
