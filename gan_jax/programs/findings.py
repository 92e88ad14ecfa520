"""What searches have found, kept on disk: those that ended are not made twice."""

import io
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from gan_jax.report import files
from gan_jax.report.terminal import say
from gan_jax.search.latent import Found, Restarts


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
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = found._asdict()
    arrays |= {"identity": np.array(identity), "seconds": np.array(seconds)}
    arrays |= {f"restarts.{k}": v for k, v in arrays.pop("restarts")._asdict().items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    files.write_bytes(path, buffer.getvalue())


def read_found(path: Path, identity: str) -> tuple[Found, float] | None:
    """Read what a search came to, and its seconds.

    None where there is no such file, or, with a line that says so, where it is broken
    or of another identity.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["identity"]) != identity:
                raise ValueError("it is of another prior or of other images")
            restarts = Restarts(*(arrays[f"restarts.{k}"] for k in Restarts._fields))
            own = {k: arrays[k] for k in Found._fields if k != "restarts"}
            return Found(**own, restarts=restarts), float(arrays["seconds"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        say(f"{path} cannot be used ({error}): searching anew")
        return None
