"""A network function as an ONNX model, which has been checked with onnxruntime."""

import contextlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from types import ModuleType
from typing import Any

import jax
import numpy as np
from jax.extend import core
from jaxtyping import Array

import gan_jax
from gan_jax.config.errors import InputError, printable
from gan_jax.export.arrays import ArraySpec, shapes
from gan_jax.export.functions import NetworkFunction
from gan_jax.networks.layers.convolutions import trace_for
from gan_jax.report import files

MODEL = "network.onnx"
OPSET = 18
"""Version of the operators: the lowest that every network can be written in."""
TOLERANCE = 1e-4
"""Largest difference from the network's numbers, relative for those above 1."""
_IR_VERSION = 8  # of the file format, as it was when the opset was new
_BATCHES = (1, 3, 7)  # images that are compared at once
_FREE = ((48, 64), (41, 23), (32, 32))  # values of free sizes, for each batch
_OLDEST = (0, 17, 1)  # 0.13 converts transposed convolutions to wrong shapes
_LARGEST = 2**31 - 2**20  # bytes of weights: a file of protobuf holds 2 GiB
_LONGEST = 300  # characters of another program's error
_INSTALL = "pip install 'gan-jax[onnx]', in an environment of its own (docs/export.md)"


def model_file(function: NetworkFunction) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return a model by file name, and its metadata.

    The model contains the weights and, in `metadata_props`, the entries of
    `NetworkFunction.metadata`, those that are not texts as JSON.

    Raises:
        InputError: If the libraries are missing or too old, the network has an operator
            that they lack, or the model's numbers are not the network's.
    """
    converter, runtime = _libraries()
    model = _converted(function, converter)
    for name, value in function.metadata().items():
        text = value if isinstance(value, str) else files.encode_json(value)
        model.metadata_props.add(key=name, value=text)
    content: bytes = model.SerializeToString()
    difference = _largest_difference(function, content, runtime)
    if not difference <= TOLERANCE:
        raise InputError(
            f"the ONNX model of this {function.kind} is not written: its numbers "
            f"differ by {difference:.2g}, and {TOLERANCE:g} is allowed; choose "
            f"--format=jax ({_versions()})"
        )
    names = ", ".join(f"{array.name!r}: {array.name}" for array in function.inputs)
    facts = {
        "call": f"{function.output.name}, = session.run(None, {{{names}}})",
        "use": _snippet(function),
        "needs": ["onnxruntime", "numpy"],
        "opset": OPSET,
        "checked": {"batches": [*_BATCHES], "largest_difference": difference},
        "versions": {name: metadata.version(name) for name in ("jax", *_LIBRARIES)},
    }
    return {MODEL: content}, facts


_LIBRARIES = ("jax2onnx", "onnxruntime")


def _libraries() -> tuple[ModuleType, ModuleType]:
    """Return the converter and the runtime."""
    try:
        import jax2onnx
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"--format=onnx needs {' and '.join(_LIBRARIES)} ({error}): {_INSTALL}"
        ) from None
    found = metadata.version("jax2onnx")
    if tuple(map(int, re.findall(r"\d+", found)[:3])) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise InputError(
            f"--format=onnx needs jax2onnx {oldest} or later, and {found}, which "
            f"converts some networks wrongly, is installed: {_INSTALL}"
        )
    return jax2onnx, onnxruntime


def _versions() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)


def _converted(function: NetworkFunction, converter: ModuleType) -> Any:
    """Return a function as an `onnx.ModelProto`."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(function.variables))
    if size > _LARGEST:
        raise InputError(
            f"the networks take {size} bytes, and an ONNX file holds 2 GiB: choose "
            "--format=jax"
        )
    call, inputs = _traced(function)
    try:
        with _silent():
            model = converter.to_onnx(
                call,
                inputs,
                model_name=f"gan_jax {function.kind}",
                opset=OPSET,
                input_names=[array.name for array in function.inputs],
                output_names=[function.output.name],
            )
    except Exception as error:  # whatever an operator leads to
        lacking = re.search(r"primitive '([^']+)'", str(error))
        what = f"the operator {lacking[1]!r}" if lacking else _words(error)
        raise InputError(
            f"jax2onnx cannot write this {function.kind} as ONNX, because of {what}: "
            f"choose --format=jax ({_versions()})"
        ) from error
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version = "gan_jax", gan_jax.__version__
    return model


def _traced(
    function: NetworkFunction,
) -> tuple[Callable[..., Any], list[jax.ShapeDtypeStruct]]:
    """Return a function of primitives alone, and its inputs with their free sizes.

    It is traced here, because the converter replaces functions of `jax.numpy` by others
    when it traces, some of which take no free sizes.
    """
    inputs = shapes(function.inputs)
    with trace_for("onnx"):
        traced = jax.make_jaxpr(lambda *arrays: _called(function, *arrays))(*inputs)
    called = core.jaxpr_as_fun(traced)
    return lambda *arrays: called(*arrays)[0], inputs


def _called(function: NetworkFunction, *inputs: Array) -> Array:
    return function.function(function.variables, *inputs)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hold back the converter's remarks on its own code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _words(error: Exception) -> str:
    """Return another program's error as part of one line."""
    words = " ".join(str(error).split())[:_LONGEST]
    return printable(f"{type(error).__name__}: {words}")


def _largest_difference(
    function: NetworkFunction, content: bytes, runtime: ModuleType
) -> float:
    """Return how far a model's numbers are from the network's; NaN if some are NaN."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    try:
        session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        return max(
            _difference(function, session, count, sizes)
            for count, sizes in zip(_BATCHES, _FREE, strict=True)
        )
    except Exception as error:  # its errors have no common class
        raise InputError(
            f"onnxruntime cannot run the ONNX model of this {function.kind} "
            f"({_words(error)}): choose --format=jax ({_versions()})"
        ) from error


def _difference(
    function: NetworkFunction, session: Any, count: int, sizes: tuple[int, int]
) -> float:
    draw = np.random.default_rng(count)
    inputs = {
        array.name: _drawn(array, draw, (count, *sizes)) for array in function.inputs
    }
    (found,) = session.run(None, inputs)
    # Accelerators multiply matrices in lower precision by default.
    with jax.default_matmul_precision("highest"):
        wanted = np.asarray(
            jax.jit(function.function)(function.variables, *inputs.values())
        )
    if found.shape != wanted.shape:
        raise ValueError(f"the shape {found.shape} came out for {wanted.shape}")
    return float((np.abs(found - wanted) / np.maximum(1, np.abs(wanted))).max())


def _drawn(
    array: ArraySpec, draw: np.random.Generator, free: tuple[int, ...]
) -> np.ndarray:
    """Return values of an array; `free` are its free sizes, from the first on."""
    sizes = iter(free)
    shape = [next(sizes) if isinstance(size, str) else size for size in array.shape]
    if array.interval is None:
        return draw.standard_normal(shape, np.float32)
    return draw.uniform(*array.interval, shape).astype(np.float32)


def _snippet(function: NetworkFunction) -> list[str]:
    """Return the lines that load and run a model, from inside its folder."""
    examples = ", ".join(array.example for array in function.inputs)
    names = [array.name for array in function.inputs]
    return [
        "import numpy as np, onnxruntime",
        "providers = onnxruntime.get_available_providers()",
        f"session = onnxruntime.InferenceSession({MODEL!r}, providers=providers)",
        f"inputs = [{examples}]",
        f"{function.output.name}, = session.run(None, dict(zip({names}, inputs)))",
    ]
