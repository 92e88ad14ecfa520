"""A network function as a program of StableHLO, which `jax.export` reads."""

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import export as jax_export
from jax import lax
from jaxtyping import Array, PyTree

from gan_jax.config.errors import InputError
from gan_jax.export.arrays import shapes
from gan_jax.export.functions import NetworkFunction
from gan_jax.networks.compilation import CPU_OPTIONS
from gan_jax.networks.layers.convolutions import trace_for
from gan_jax.training.state import Variables

PLATFORMS = ("cpu", "cuda", "tpu")
"""Platforms of a program by default."""
KNOWN_PLATFORMS = (*PLATFORMS, "rocm")
PROGRAM, WEIGHTS = "program.jax", "weights.npz"


def check_platforms(platforms: Sequence[str]) -> None:
    """Raise an `InputError` if a platform is unknown."""
    for name in platforms:
        if name not in KNOWN_PLATFORMS:
            raise InputError(
                f"--platforms '{name}' is unknown; known: "
                f"{', '.join(KNOWN_PLATFORMS)}, joined by commas"
            )


def program_files(
    function: NetworkFunction, platforms: Sequence[str]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the program and its weights by file name, and their metadata."""
    weights: dict[str, Any] = _by_path(function.variables)
    with _without_source_locations():
        program = trace(function, platforms)
        # With first derivatives: users search latents and explain scores.
        serialised = bytes(program.serialize(vjp_order=1))
    stored = io.BytesIO()
    np.savez(stored, **weights)
    names = ", ".join(array.name for array in function.inputs)
    metadata = {
        "call": f"{function.output.name} = program.call(weights, {names})",
        "use": _snippet(function),
        "needs": ["jax", "numpy", "flatbuffers"],
        # 2 to 4 times as fast for a colorizer, if the release of JAX knows them.
        "cpu_compiler_options": CPU_OPTIONS,
        "platforms": list(program.platforms),
        "calling_convention": program.calling_convention_version,
        "versions": {"jax": jax.__version__},
        "weights": {
            name: {"shape": list(array.shape), "dtype": str(array.dtype)}
            for name, array in weights.items()
        },
    }
    return {PROGRAM: serialised, WEIGHTS: stored.getvalue()}, metadata


@contextlib.contextmanager
def _without_source_locations() -> Iterator[None]:
    """Leave file names and lines of this machine out of programs, a tenth of them."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def trace(function: NetworkFunction, platforms: Sequence[str]) -> jax_export.Exported:
    """Return a function as a program, traced once for all sizes.

    Weights are an argument: XLA would fold convolutions of constants for minutes.
    """
    inputs = shapes(function.inputs)
    arrays = _by_path(function.variables)
    weights = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in arrays.items()
    }
    structure = jax.tree.structure(function.variables)

    def call(weights: Mapping[str, Array], *inputs: Array) -> Array:
        variables = jax.tree.unflatten(structure, [weights[name] for name in arrays])
        return function.function(variables, *inputs)

    by_platform = jax.jit(_by_platform(call, platforms))
    return jax_export.export(by_platform, platforms=platforms)(weights, *inputs)


def _by_platform(
    function: Callable[..., Array], platforms: Sequence[str]
) -> Callable[..., Array]:
    """Return a function that uses the CPU forms of convolutions on CPUs alone.

    The plain forms are the fast ones elsewhere; on a CPU they take up to 25 times as
    long (DCGAN, 64x64). The choice is made when the program is compiled.
    """

    def traced(platform: str) -> Callable[..., Array]:
        def form(*arguments: PyTree[Array]) -> Array:
            with trace_for(platform):
                return function(*arguments)

        return form

    others = [name for name in platforms if name != "cpu"]
    if len(others) in (0, len(platforms)):
        return traced(platforms[0])
    cpu, other = traced("cpu"), traced(others[0])
    return lambda *arguments: lax.platform_dependent(*arguments, cpu=cpu, default=other)


def _by_path(variables: Variables) -> dict[str, np.ndarray]:
    """Return a network's arrays by path, in the order of its leaves."""
    return {
        jax.tree_util.keystr(place, simple=True, separator="/"): np.asarray(leaf)
        for place, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }


def _snippet(function: NetworkFunction) -> list[str]:
    """Return the lines that load and run an artefact, from inside its folder."""
    examples = ", ".join(array.example for array in function.inputs)
    return [
        "import jax, numpy as np; from jax import export",
        f"program = export.deserialize(open({PROGRAM!r}, 'rb').read())",
        f"weights = dict(np.load({WEIGHTS!r}))",
        f"inputs = [{examples}]",
        f"{function.output.name} = jax.jit(program.call)(weights, *inputs)",
    ]
