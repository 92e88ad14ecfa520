"""What a process does first: where compiled programs are kept, how memory is."""

import ctypes
import hashlib
import os
import platform
from pathlib import Path

import jax

from gan_jax.config.errors import InputError

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h of glibc


def cache_folder() -> Path:
    """Return the folder for what is computed once, whatever the run.

    It is $GAN_JAX_CACHE, else `gan_jax` under $XDG_CACHE_HOME, else under ~/.cache.

    Raises:
        InputError: there is no such home.
    """
    system = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    chosen = os.environ.get("GAN_JAX_CACHE") or f"{system}/gan_jax"
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise InputError(f"no folder {chosen} ({error}): set GAN_JAX_CACHE") from None


def keep_compiled() -> None:
    """Let JAX keep what it compiles, and find it again in later processes.

    Whoever has chosen a place (`JAX_COMPILATION_CACHE_DIR`) keeps it; where there is
    none, nothing is kept. Programs for CPUs are those of one kind of machine: a home
    that machines share has a folder for each.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    try:
        folder = cache_folder() / "compiled" / _machine()
    except InputError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Most of what a start compiles are small programs, and there are hundreds.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        lines = [platform.processor(), platform.machine()]
    kind = sorted({line for line in lines if line.startswith(("flags", "model name"))})
    return hashlib.sha256("\n".join(kind or lines).encode()).hexdigest()[:12]


def keep_memory() -> None:
    """Keep what is freed for what needs as much next, as a train step's every layer.

    The C library gives large pieces back to the system at once, and the next one is
    made of pages that are new, each of them cleared first: on two cores up to a fifth
    of a step. Where the library is not glibc nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
