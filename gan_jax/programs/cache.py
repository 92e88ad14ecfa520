"""What is computed once on a machine and kept for all runs: classifiers, programs."""

import hashlib
import os
import platform
from pathlib import Path

import jax

from gan_jax.errors import InputError


def cache_folder() -> Path:
    """Give the folder for what is computed once, whatever the run.

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
