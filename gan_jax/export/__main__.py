"""Write a trained network as a program that runs without this package.

python -m gan_jax.export --prior=runs/pixelcgan --out=exported/pixelcgan

The folder holds `program.jax`, which `jax.export.deserialize` reads (StableHLO, for any
number of images), `weights.npz`, its first argument, and `metadata.json`, which says
what goes in and comes out, and how to call it. A generator, with the known pixels that
it may be told, a colorizer or a detector: by what the run has trained.
"""

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export as jax_export
from jax import lax
from jaxtyping import Array, PyTree

import gan_jax
from gan_jax.config.errors import EXPECTED, InputError, explain
from gan_jax.export.functions import Port, Portable, open_portable
from gan_jax.networks.compilation import CPU_OPTIONS
from gan_jax.networks.layers.convolutions import trace_for
from gan_jax.report import files
from gan_jax.training.state import Variables

PLATFORMS = ("cpu", "cuda", "tpu")
"""For which a program is written by default."""
_KNOWN = (*PLATFORMS, "rocm")
_FORMAT = "gan_jax.export/1"
_PROGRAM, _WEIGHTS, _METADATA = "program.jax", "weights.npz", "metadata.json"
_COMMANDS = (
    "Train one, then export it: python -m gan_jax.main --config=configs/pixelcgan.py "
    "--workdir=runs/pixelcgan; python -m gan_jax.export --prior=runs/pixelcgan "
    "--out=exported/pixelcgan"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the arguments name; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="gan_jax.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prior", required=True, help="workdir of a trained run")
    parser.add_argument("--out", help="folder to write; exported/NAME by default")
    parser.add_argument(
        "--platforms", default=",".join(PLATFORMS), help=f"some of {', '.join(_KNOWN)}"
    )
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    options = parser.parse_args(arguments)
    name = Path(options.prior).expanduser().resolve().name
    out = Path(options.out or Path("exported") / name)
    try:
        found = export(options.prior, out, options.platforms.split(","))
    except EXPECTED as error:
        if options.verbose:
            raise
        line, code = explain(error)
        print(f"gan_jax: {line}", file=sys.stderr)
        return code
    for port in [*found["inputs"], found["output"]]:
        print(f"{port['name']:20s} {port['shape']}: {port['meaning']}")
    print(f"{found['kind']}: {out}, for {', '.join(found['platforms'])}")
    return 0


def export(
    prior: str | Path, out: str | Path, platforms: Sequence[str] = PLATFORMS
) -> dict[str, Any]:
    """Write what a run has trained as an artefact.

    Args:
        prior: the workdir of a complete run of train, colorize or detect.
        out: the folder to write: a new or empty one, or an earlier artefact's.
        platforms: on which the program is to run.

    Returns:
        The metadata, as written.

    Raises:
        InputError: there is no such run or platform, or the folder holds other things.
        OSError: the disk failed.
    """
    for name in platforms:
        if name not in _KNOWN:
            raise InputError(
                f"platform '{name}' is unknown; known: {', '.join(_KNOWN)}, joined by "
                "commas"
            )
    folder = Path(out).expanduser()
    _check_free(folder)
    portable = open_portable(str(prior), _COMMANDS)
    weights: dict[str, Any] = _named(portable.variables)
    with _nameless():
        program = lower(portable, platforms)
        # With first derivatives: latents are searched, and scores explained, by them.
        serialised = bytes(program.serialize(vjp_order=1))
    stored = io.BytesIO()
    np.savez(stored, **weights)
    metadata = _describe(portable, weights, program)
    # Only what is whole has metadata.
    (folder / _METADATA).unlink(missing_ok=True)
    files.write_bytes(folder / _PROGRAM, serialised)
    files.write_bytes(folder / _WEIGHTS, stored.getvalue())
    files.write_json(folder / _METADATA, metadata)
    files.remove_temporaries(folder)
    return metadata


@contextlib.contextmanager
def _nameless() -> Iterator[None]:
    """Leave out of programs by which files and lines they were traced.

    Where this machine keeps them is nobody's business, and a tenth of an artefact.
    """
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def _check_free(folder: Path) -> None:
    """Refuse a folder that is not ours to write over.

    Raises:
        InputError: it holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file: name a folder")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    others = {
        name
        for name in names - {_PROGRAM, _WEIGHTS, _METADATA}
        if not files.is_temporary(name)
    }
    if _METADATA in names and not _is_ours(folder / _METADATA):
        others.add(_METADATA)
    if others:
        raise InputError(
            f"--out {folder} holds {min(others)}, which is of no artefact: name "
            "another folder"
        )


def _is_ours(path: Path) -> bool:
    try:
        return str(json.loads(path.read_text())["format"]).startswith("gan_jax.export/")
    except (ValueError, LookupError, TypeError):
        return False


def lower(portable: Portable, platforms: Sequence[str]) -> jax_export.Exported:
    """Trace a function once for all sizes, and in the forms that suit each platform.

    Weights are an argument: XLA would fold convolutions of constants for minutes.
    """
    ports = portable.inputs
    every = [size for port in ports for size in port.shape]
    names = list(dict.fromkeys(size for size in every if isinstance(size, str)))
    # One call, because sizes of two calls cannot be compared with each other.
    sizes: dict[int | str, Any] = dict(
        zip(names, jax_export.symbolic_shape(", ".join(names)), strict=True)
    )
    inputs = [
        jax.ShapeDtypeStruct([sizes.get(size, size) for size in port.shape], np.float32)
        for port in ports
    ]
    named = _named(portable.variables)
    weights = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in named.items()
    }
    structure = jax.tree.structure(portable.variables)

    def call(weights: Mapping[str, Array], *inputs: Array) -> Array:
        variables = jax.tree.unflatten(structure, [weights[name] for name in named])
        return portable.function(variables, *inputs)

    form = _by_platform(call, platforms)
    return jax_export.export(jax.jit(form), platforms=platforms)(weights, *inputs)


def _by_platform(
    function: Callable[..., Array], platforms: Sequence[str]
) -> Callable[..., Array]:
    """Return a function that is computed in the fast forms for CPUs on those alone.

    Elsewhere the plain ones are the fast ones; on a CPU they take up to 25 times as
    long (DCGAN, 64x64). What is chosen is known when the program is compiled.
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


def _named(variables: Variables) -> dict[str, np.ndarray]:
    """Return a network's arrays by path, in the order of its leaves."""
    return {
        jax.tree_util.keystr(place, simple=True, separator="/"): np.asarray(leaf)
        for place, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }


def _describe(
    portable: Portable,
    weights: Mapping[str, np.ndarray],
    program: jax_export.Exported,
) -> dict[str, Any]:
    """Return what `metadata.json` says; what may be long comes last."""
    names = [port.name for port in portable.inputs]
    facts = {name: value for name, value in portable.facts.items() if value is not None}
    quantiles = facts.pop("quantiles", None)
    return {
        "format": _FORMAT,
        "kind": portable.kind,
        "call": f"{portable.output.name} = program.call(weights, {', '.join(names)})",
        "inputs": [_port(port) for port in portable.inputs],
        "output": _port(portable.output),
        **facts,
        "use": snippet(portable),
        "needs": ["jax", "numpy", "flatbuffers"],
        # 2 to 4 times as fast for a colorizer, where the release of JAX knows them.
        "cpu_compiler_options": CPU_OPTIONS,
        "platforms": list(program.platforms),
        "calling_convention": program.calling_convention_version,
        "run": dict(portable.run),
        "versions": {"gan_jax": gan_jax.__version__, "jax": jax.__version__},
        "weights": {
            name: {"shape": list(array.shape), "dtype": str(array.dtype)}
            for name, array in weights.items()
        },
        **({} if quantiles is None else {"quantiles": quantiles}),
    }


def _port(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "shape": list(port.shape),
        "dtype": "float32",
        "interval": port.interval,
        "meaning": port.meaning,
    }


def snippet(portable: Portable) -> list[str]:
    """Return the lines that load and run an artefact, from inside its folder."""
    examples = ", ".join(port.example for port in portable.inputs)
    return [
        "import jax, numpy as np; from jax import export",
        f"program = export.deserialize(open({_PROGRAM!r}, 'rb').read())",
        f"weights = dict(np.load({_WEIGHTS!r}))",
        f"inputs = [{examples}]",
        f"{portable.output.name} = jax.jit(program.call)(weights, *inputs)",
    ]


if __name__ == "__main__":
    sys.exit(main())
