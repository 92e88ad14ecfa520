"""Packing: a trained run becomes the file of a packaged prior."""

import io
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import gan_jax
from gan_jax.config.errors import InputError, printable
from gan_jax.config.keys import flatten
from gan_jax.priors.packaged import ABOUT, FORMAT, LARGEST, flat_name, single
from gan_jax.report import files
from gan_jax.runs.prior import Prior, open_prior, with_networks
from gan_jax.training.state import Trained, Variables, digest

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_KEPT = ("config_name", "dataset", "teacher", "metrics", "parameters_sha256")
"""Entries of a run's summary that go into the file."""


def check_name(name: str) -> None:
    """Refuse a name that no packaged prior can have.

    Raises:
        InputError: If it is not a short word of small letters, digits and underscores.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"--name={printable(name)} names no packaged prior: give small letters, "
            "digits and underscores"
        )


def check_public(prior: Prior) -> None:
    """Refuse a prior whose config names files of its user.

    Raises:
        InputError: Names the key.
    """
    for key, value in flatten(prior.config).items():
        if isinstance(value, str) and (os.sep in value or "/" in value):
            raise InputError(
                f"run {prior.workdir} has {key} '{printable(value)}', a file of its "
                "user: package a run on data that everybody has"
            )


def halved(variables: Variables) -> Variables:
    """Return the variables of a network as a file stores them.

    Arrays of two or more axes whose values fit are in half precision.
    """

    def stored(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        half = array.dtype == np.float32 and array.ndim > 1
        fits = half and np.abs(array).max(initial=0) <= np.finfo(np.float16).max
        return array.astype(np.float16) if fits else array

    return jax.tree.map(stored, variables)


def as_packed(prior: Prior, critic: bool) -> Prior:
    """Return a prior as it will be opened once it has been packed.

    Args:
        prior: A trained run.
        critic: Whether its critic is kept.
    """

    def as_read(variables: Variables) -> Variables:
        return jax.tree.map(single, halved(variables))

    networks = Trained(
        prior.networks.step,
        as_read(prior.networks.generator),
        as_read(prior.networks.critic) if critic else {},
    )
    return with_networks(prior, networks)


def pack(
    run: str,
    path: Path,
    critic: bool = False,
    more: Mapping[str, Any] | None = None,
) -> str:
    """Write the networks of a run into one file.

    Args:
        run: Workdir of a complete run of `train`.
        path: The file; another one of this name is replaced.
        critic: Whether the critic is kept, which latent searches need.
        more: Further entries of the text about the prior.

    Returns:
        The SHA-256 of the arrays, which `open_packaged` compares.

    Raises:
        InputError: If there is no such run, it was trained on files of its user, or it
            is too large.
        OSError: If the file cannot be written.
    """
    prior = open_prior(run, "")
    check_public(prior)
    arrays = _arrays(prior.networks, critic)
    about = {
        "format": FORMAT,
        "gan_jax": gan_jax.__version__,
        "config": flatten(prior.config),
        "step": int(prior.networks.step),
        **{key: prior.summary.get(key) for key in _KEPT},
        "real_score": None if math.isnan(prior.real_score) else prior.real_score,
        "networks_sha256": prior.digest,
        "arrays_sha256": digest(arrays),
        **(more or {}),
    }
    text = np.frombuffer(files.encode_json(about).encode(), np.uint8)
    buffer = io.BytesIO()
    entries: dict[str, Any] = {ABOUT: text, **arrays}
    np.savez(buffer, **entries)
    content = buffer.getvalue()
    if len(content) > LARGEST:
        raise InputError(
            f"run {run} makes a file of {len(content)} bytes, and {LARGEST} at most "
            "are read: train narrower networks"
        )
    files.write_bytes(path, content)
    sha256: str = about["arrays_sha256"]
    return sha256


def _arrays(networks: Trained, critic: bool) -> dict[str, np.ndarray]:
    """Return the arrays of a file by their flat names."""
    kept = {"generator": networks.generator}
    if critic:
        kept["critic"] = networks.critic
    return {
        flat_name(place): leaf
        for place, leaf in jax.tree_util.tree_leaves_with_path(halved(kept))
    }
