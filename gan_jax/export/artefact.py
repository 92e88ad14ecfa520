"""The folder of an exported network: its files, and the metadata that describe them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gan_jax
from gan_jax.config.errors import InputError
from gan_jax.config.names import look_up
from gan_jax.export import onnx_model, stablehlo
from gan_jax.export.functions import NetworkFunction, open_function
from gan_jax.export.stablehlo import PLATFORMS
from gan_jax.report import files

_FORMAT, _INCOMPLETE = "gan_jax.export/1", "gan_jax.export/incomplete"
_METADATA = "metadata.json"
_NAMES = frozenset({stablehlo.PROGRAM, stablehlo.WEIGHTS, onnx_model.MODEL, _METADATA})
_LAST = ("weights", "quantiles")  # long entries of the metadata

FORMATS: Mapping[
    str,
    Callable[[NetworkFunction, Sequence[str]], tuple[dict[str, bytes], dict[str, Any]]],
] = {
    "jax": stablehlo.program_files,
    "onnx": lambda function, platforms: onnx_model.model_file(function),
}
"""Functions that return files by name, and their metadata, by format."""


def export(
    prior: str | Path,
    out: str | Path,
    platforms: Sequence[str] = PLATFORMS,
    form: str = "jax",
) -> dict[str, Any]:
    """Write the network of a run as an artefact.

    Args:
        prior: Workdir of a complete run of train, colorize or detect, or the name of a
            packaged prior.
        out: Folder to write: a new or empty one, or an earlier artefact's.
        platforms: Platforms on which a program of JAX is to run; ONNX has none.
        form: A name in `FORMATS`.

    Returns:
        The metadata, as written.

    Raises:
        InputError: If there is no such run, platform or format, `out` holds other
            files, or the network has no such form.
        OSError: If the disk failed.
    """
    convert = look_up(FORMATS, "--format", form)
    stablehlo.check_platforms(platforms)
    folder = Path(out).expanduser()
    _check_free(folder)
    function = open_function(str(prior))
    contents, facts = convert(function, platforms)
    metadata = _metadata(function, contents, facts)
    # First, because it tells whose the folder is; last, because it then is complete.
    files.write_json(folder / _METADATA, {"format": _INCOMPLETE})
    for name, content in contents.items():
        files.write_bytes(folder / name, content)
    for name in _NAMES - {*contents, _METADATA}:  # of an earlier artefact
        (folder / name).unlink(missing_ok=True)
    files.write_json(folder / _METADATA, metadata)
    files.remove_temporaries(folder, _NAMES.__contains__)
    return metadata


def _check_free(folder: Path) -> None:
    """Raise an `InputError` if a folder holds anything but an artefact."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder} is a file: name a folder")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    own = _NAMES if _is_metadata(folder / _METADATA) else frozenset()
    others = {
        name
        for name in names
        if (folder / name).is_symlink()
        or not (name in own or files.is_temporary(name, own.__contains__))
    }
    if others:
        raise InputError(
            f"--out {folder} holds {min(others)}, which is of no artefact: name "
            "another folder"
        )


def _is_metadata(path: Path) -> bool:
    try:
        form = files.read_json(path).get("format")
        return isinstance(form, str) and form.startswith("gan_jax.export/")
    except (OSError, ValueError):
        return False


def _metadata(
    function: NetworkFunction, contents: Mapping[str, bytes], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `metadata.json`; long entries come last."""
    entries = {
        "format": _FORMAT,
        **function.metadata(),
        **facts,
        "versions": {"gan_jax": gan_jax.__version__, **facts["versions"]},
        "sha256": {
            name: hashlib.sha256(content).hexdigest()
            for name, content in contents.items()
        },
    }
    return dict(sorted(entries.items(), key=lambda entry: entry[0] in _LAST))
