"""What searches have found, kept on disk: those that ended are not made twice."""

import io
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.search.latent import Found, Restarts
from gan_jax.search.trace import Trace


def write_found(path: Path, found: Found, seconds: float, identity: str) -> None:
    """Keep what a search came to, whole or not at all.

    Args:
        path: of the file, in a folder that may still be missing.
        found: what is kept.
        seconds: that the search took.
        identity: a hash of all that the search depended on.

    Raises:
        OSError: it cannot be written.
    """
    arrays = found._asdict() | {"seconds": np.array(seconds)}
    arrays |= {f"restarts.{k}": v for k, v in arrays.pop("restarts")._asdict().items()}
    write_arrays(path, arrays, identity)


def read_found(path: Path, identity: str) -> tuple[Found, float] | None:
    """Read what a search came to, and its seconds.

    None where there is no such file, or, with a line that says so, where it is broken
    or of another identity.
    """
    every = [f"restarts.{name}" for name in Restarts._fields]
    own = [name for name in Found._fields if name != "restarts"]
    arrays = read_arrays(path, identity, [*own, *every, "seconds"])
    if arrays is None:
        return None
    restarts = Restarts(*(arrays[name] for name in every))
    found = Found(**{name: arrays[name] for name in own}, restarts=restarts)
    return found, float(arrays["seconds"])


def write_trace(path: Path, trace: Trace, identity: str) -> None:
    """Keep where latents were on their way; otherwise as `write_found`."""
    write_arrays(path, trace._asdict(), identity)


def read_trace(path: Path, identity: str) -> Trace | None:
    """Read where latents were on their way; otherwise as `read_found`."""
    arrays = read_arrays(path, identity, Trace._fields)
    return None if arrays is None else Trace(**arrays)


def write_arrays(path: Path, arrays: Mapping[str, Any], identity: str) -> None:
    """Keep arrays by name; otherwise as `write_found`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, identity=np.array(identity), **arrays)
    files.write_bytes(path, buffer.getvalue())


def read_arrays(
    path: Path, identity: str, names: Collection[str]
) -> dict[str, np.ndarray] | None:
    """Read arrays by name; otherwise as `read_found`."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["identity"]) != identity:
                raise ValueError("it is of another prior or of other images")
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        say(f"{path} cannot be used ({error}): searching anew")
        return None
