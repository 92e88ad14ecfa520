"""Compile a program of networks with the options under which they run fastest."""

import functools
from collections.abc import Callable
from typing import Any

import jax

# XLA's CPU backend hands convolutions to the library YNNPACK by default. Its own are
# 1.5 to 4 times faster at our sizes (2 cores, jax 0.10: a kernel gradient of 14x14,
# 128 to 256 channels, takes 26 ms against 95), but for sums over pixels YNNPACK is
# the faster one.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}


def compiled(function: Callable[..., Any], **settings: Any) -> Any:
    """Return what `jax.jit` does; for the outermost function of a program.

    Args:
        function: pure; the options reach everything that it calls.
        settings: as `jax.jit` takes them.
    """
    return jax.jit(function, compiler_options=_options(), **settings)


def run_once(function: Callable[..., Any], *arguments: Any, **settings: Any) -> Any:
    """Compile a function in haste and call it: for what is only done once.

    On CPUs the drawing of a network's first weights compiles in a quarter of the time
    this way, to the same numbers, as most of it is what LLVM makes of the random bits.
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
    except jax.errors.JaxRuntimeError:  # another release, which knows no such option
        return {}
    return CPU_OPTIONS
