"""Compilation of programs with the XLA options that are fastest for networks."""

import functools
from collections.abc import Callable
from typing import Any

import jax

# By default XLA's CPU backend leaves convolutions to the library YNNPACK. XLA's own
# are 1.5 to 4 times faster at our sizes (2 cores, jax 0.10: a kernel gradient of
# 14x14, 128 to 256 channels, takes 26 ms instead of 95). For sums over pixels YNNPACK
# is faster, so it keeps the reductions.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}


def compiled(function: Callable[..., Any], **settings: Any) -> Any:
    """Return `jax.jit` of a function, with the fastest compiler options.

    The function must be the outermost one of a program: the options apply to everything
    that it calls. Other arguments are those of `jax.jit`.
    """
    return jax.jit(function, compiler_options=_options(), **settings)


def run_once(function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """Compile a function quickly, with little optimisation, and call it once.

    On CPUs the initialisation of a network compiles in a quarter of the time, to the
    same numbers: LLVM spends most of the time on optimising the random bits. The
    settings are arguments of `jax.jit`.
    """
    cpu = jax.default_backend() == "cpu"
    options = {"xla_backend_optimization_level": 1} if cpu else {}
    return jax.jit(function, compiler_options=options, **settings)(*arguments)


@functools.cache
def _options() -> dict[str, str]:
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=CPU_OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError:  # another release, without this option
        return {}
    return CPU_OPTIONS
