"""Settings of a process at its start: Ctrl-C, streams, compilation cache and memory.

A program calls `begin` before it imports anything else, so this module imports no JAX.
"""

import ctypes
import hashlib
import io
import os
import platform
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from gan_jax.config.errors import InputError, printable_lines

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h of glibc


def begin() -> None:
    """Let this process end at Ctrl-C from its first moment, and outlive its output.

    Python's own answer to Ctrl-C, `KeyboardInterrupt`, is lost where a module that is
    being imported catches all exceptions, and prints a traceback elsewhere. What is
    written to a closed standard stream, or to one that nobody reads any more, is
    dropped: a program does its work to the end under `| head`.
    """
    signal.signal(signal.SIGINT, _quit)
    # In this order each gets its own number back. Otherwise the next file that is
    # opened gets it, and the messages of C libraries would be written into that file.
    sys.stdin = sys.stdin or Path(os.devnull).open()  # noqa: SIM115 - stays open
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)
    sys.excepthook = _print_traceback


def _quit(number: int, frame: FrameType | None) -> None:
    """End the process; files are whole at any moment."""
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")  # a progress bar hides the cursor
    os._exit(128 + number)


class _Lasting(io.FileIO):
    """A file that drops what cannot be written: its reader or terminal has gone."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _lasting(stream: Any) -> io.TextIOWrapper:
    if stream is None:
        return Path(os.devnull).open("w", errors="backslashreplace")
    raw = _Lasting(stream.fileno(), "w", closefd=False)
    # A character that the encoding lacks is escaped.
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=True
    )


def _print_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    lines = traceback.format_exception(kind, error, trace)
    print(printable_lines("".join(lines)), end="", file=sys.stderr)


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
    import jax

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
