"""Settings of a process at its start: compilation cache and memory."""

import ctypes
import hashlib
import os
import platform
from pathlib import Path

import jax

from gan_jax.config.errors import InputError

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h of glibc


def cache_folder() -> Path:
    """Return the folder of results that all runs share.

    It is $GAN_JAX_CACHE, else `gan_jax` under $XDG_CACHE_HOME, else under ~/.cache.

    Raises:
        InputError: The user has no home folder.
    """
    system = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    chosen = os.environ.get("GAN_JAX_CACHE") or f"{system}/gan_jax"
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise InputError(f"no folder {chosen} ({error}): set GAN_JAX_CACHE") from None


def keep_compiled() -> None:
    """Let JAX cache compiled programs on disk for later processes.

    A folder chosen by the user (`JAX_COMPILATION_CACHE_DIR`) stays; without a cache
    folder nothing is kept. Programs for CPUs fit one kind of machine, and each has a
    folder of its own in a shared home.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    try:
        folder = cache_folder() / "compiled" / _machine()
    except InputError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # A start compiles hundreds of small programs, which count too.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _machine() -> str:
    """Return a hash of the kind of CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        lines = [platform.processor(), platform.machine()]
    kind = sorted({line for line in lines if line.startswith(("flags", "model name"))})
    return hashlib.sha256("\n".join(kind or lines).encode()).hexdigest()[:12]


def keep_memory() -> None:
    """Let the C library reuse freed memory instead of returning it to the system.

    glibc returns large blocks at once. The next one consists of new pages that are
    cleared first, which costs up to a fifth of a train step on two cores. Other C
    libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
