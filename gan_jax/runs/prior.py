"""Priors: trained runs, opened for use."""

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

import gan_jax
from gan_jax.build import datasets, methods, tasks
from gan_jax.config.checks import read_config
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data.feed import ImagesByRole, LabelledImages, read
from gan_jax.data.grids import geometry, units
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.units import LEVELS, Units
from gan_jax.data.memory import check_fits
from gan_jax.data.splits import Part
from gan_jax.networks.packing import Packed
from gan_jax.report.terminal import say
from gan_jax.runs.inference import make_model
from gan_jax.runs.workdir import read_summary, written_config
from gan_jax.tasks.task import Task
from gan_jax.training.checkpoint import Checkpoints, about_run
from gan_jax.training.method import Batch, Method
from gan_jax.training.state import Trained, TrainState, bytes_of, digest, trained
from gan_jax.training.step import initial_state

PRIOR_FOLDER = "prior"
_COPIES = 2  # of arrays in memory while they are read
_REAL = 1000  # real images that are scored at most
_CHANNELS = (1, 2, 3)  # of grey images, of points in the plane, of colour


class Prior(NamedTuple):
    """A trained run, as searches and applications use it."""

    workdir: Path
    """Workdir of the run; the name alone of a prior that ships with the package."""
    config: ConfigDict
    task: Task
    method: Method
    networks: Trained
    """The critic is empty where it was left out."""
    channels: int
    """Channels of the data's images."""
    digest: str
    """SHA-256 of the networks."""
    real_score: float = math.nan
    """The critic's median score of validation images. NaN where the objective is not
    paired, so that nothing needs it, or where the data to measure it are missing."""
    summary: Mapping[str, Any] = {}
    """The content of the run's `summary.json`; of a packaged prior a part of it."""

    @property
    def units(self) -> Units:
        """Units of the run's data, which -1 to 1 stand for."""
        return units_of(self.summary.get("dataset") or {})

    @property
    def data_name(self) -> str:
        """Name of the run's data, of a file where it was trained on one."""
        return data_name_of(self.config, self.summary)

    @property
    def geometry(self) -> Geometry | None:
        """The grid of the training image; None for other data."""
        return geometry.from_json(self.summary.get("dataset") or {})


def measure_real_score(
    method: Method, networks: Trained, parts: Callable[[], Mapping[str, Part]]
) -> float:
    """Return a critic's median score of validation images, if anything is to read it.

    It is NaN where the objective is not paired, or the critic sees several images at
    once; `parts`, which opens the data of the run, is not called then.
    """
    if not method.objective.paired or isinstance(method.critic, Packed):
        return math.nan
    batch = unseen_batch(method, parts()["validation"])
    model = make_model(method)(networks)
    scores = model.score(batch.real, batch.real_condition)
    return float(np.median(scores.reshape(len(batch.real), -1).mean(axis=1)))


def unseen_batch(method: Method, part: Part) -> Batch:
    """Return a batch of a part of the data: its first images, 1,000 at most."""
    count = min(_REAL, *(len(source) for source in part.values()))
    images = {role: read(source, np.arange(count)) for role, source in part.items()}
    return method.present(jax.random.key(0), images)


def describe(prior: Prior) -> dict[str, Any]:
    """Return the entry of a prior in a summary."""
    return {
        "workdir": str(prior.workdir),
        "config_name": prior.config.name,
        "step": int(prior.networks.step),
        "parameters_sha256": prior.digest,
    }


def read_run(
    path: str, key: str, program: str, commands: str
) -> tuple[Path, ConfigDict, dict[str, Any]]:
    """Return the workdir, the config and the summary of a complete run.

    Args:
        path: The workdir.
        key: The config key that names it, for messages.
        program: The program that must have written it.
        commands: Commands that make such a run, for messages.

    Raises:
        InputError: There is no such run, or it is not complete.
    """
    if not path:
        raise InputError(f"--config.{key} is empty: name a run. {commands}")
    workdir = Path(path).expanduser()
    try:
        written, summary = written_config(workdir), read_summary(workdir)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{key} {workdir} cannot be used ({error}): run the command that made it "
            f"again, which writes the file anew. {commands}"
        ) from None
    if written is None:
        raise InputError(
            f"{key} {workdir} is no run's workdir: check its spelling. {commands}"
        )
    if summary is None or written.get("program") != program:
        raise InputError(
            f"{key} {workdir} cannot be used (it is not a complete run of '{program}'):"
            f" name the workdir of a run that has ended. {commands}"
        )
    if written.get("prior"):
        raise InputError(
            f"{key} {workdir} applies {written['prior']} to images: name that run"
        )
    try:
        config = read_config(written, program)
        check_summary(summary)
    except ValueError as error:
        raise InputError(unfit(key, workdir, error)) from None
    return workdir, config, summary


def check_summary(summary: Mapping[str, Any]) -> None:
    """Raise a `ValueError` if a summary lacks what is read to open a run."""
    shape = (summary["dataset"] or {}).get("shape")
    if not isinstance(shape, list) or not shape or shape[-1] not in _CHANNELS:
        raise ValueError(f"its summary.json says that images have the shape {shape!r}")
    units_of(summary["dataset"])
    geometry.from_json(summary["dataset"])
    for name in ("config_name", "parameters_sha256"):
        if not isinstance(summary.get(name), str):
            raise ValueError(f"its summary.json has no {name}")
    if not isinstance(summary.get("real_score"), int | float | None):
        raise ValueError("its summary.json has a real_score that is no number")


def units_of(dataset: Mapping[str, Any]) -> Units:
    """Return the units of a summary's dataset; levels in a run of an older version.

    Raises:
        ValueError: If the entry is damaged.
    """
    entry = dataset.get("units")
    return LEVELS if entry is None else units.from_json(entry)


def data_name_of(config: ConfigDict, summary: Mapping[str, Any]) -> str:
    """Return the name of a run's data, of a file where it was trained on one."""
    stated = (summary.get("dataset") or {}).get("name")
    return str(stated or config.data.name)


def unfit(key: str, workdir: Path, error: Exception) -> str:
    """Return the message for a run that cannot be used as it was written.

    Args:
        key: The config key that names it.
        workdir: Its workdir.
        error: The reason.
    """
    kept = about_run(workdir / PRIOR_FOLDER) or about_run(workdir / "checkpoints")
    version = kept.get("gan_jax", "an older version")
    return (
        f"{key} {workdir} is damaged, or of another version of gan_jax ({error}): run "
        "its command again, which writes it anew, if need be with the version that "
        f"wrote it ({version}; this is {gan_jax.__version__})"
    )


def blank_state(
    config: ConfigDict, task: Task, method: Method, channels: int
) -> TrainState:
    """Return a state of a run, made without its data, for its structure."""
    images = blank_images(config, task, channels)
    return initial_state(method, jax.random.key(0), images)


def blank_images(config: ConfigDict, task: Task, channels: int) -> ImagesByRole:
    """Return images like a run's, made without its data, for their structure.

    Under `jax.eval_shape` they take no memory.
    """
    size, count = size_of(config.data.size), config.get("packing", 1)
    image = jnp.zeros((count, *size, channels), jnp.uint8)
    return dict.fromkeys(task.roles, LabelledImages(image, jnp.zeros(count, jnp.int32)))


def read_arrays(
    workdir: Path, folder: str, like: PyTree, memory: int | None = None
) -> Any:
    """Return arrays that a complete run has kept; None where there are none.

    Nothing of the run is changed.

    Args:
        workdir: Workdir of the run.
        folder: Name of the folder of checkpoints in it.
        like: A tree of the same structure; only shapes are read.
        memory: Bytes that the arrays may take; None = those of the machine.

    Raises:
        InputError: They need more memory, or cannot be read.
    """
    if not (workdir / folder).is_dir():
        return None
    check_fits(
        f"prior {workdir}",
        _COPIES * bytes_of(like),
        "choose a smaller one, or raise --config.memory where there is more",
        memory,
    )
    try:
        with Checkpoints(workdir / folder, keep=None, read_only=True) as checkpoints:
            return checkpoints.restore(like, say)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever another version's arrays lead to
        raise InputError(unfit("prior", workdir, error)) from None


def open_prior(
    path: str, commands: str, program: str = "train", memory: int | None = None
) -> Prior:
    """Open a trained run for use; nothing of it is changed.

    Args:
        path: Workdir of the run.
        commands: Commands that train one, for messages.
        program: The program that must have written it.
        memory: Bytes that its networks may take; None = those of the machine.

    Raises:
        InputError: There is no such run of the program, it is not complete, or its
            networks need more memory or cannot be read.
    """
    workdir, config, summary = read_run(path, "prior", program, commands)
    try:
        blank = blank_prior(workdir, config, summary)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever another version's config leads to
        raise InputError(unfit("prior", workdir, error)) from None
    restored = read_arrays(workdir, PRIOR_FOLDER, blank.networks._asdict(), memory)
    if restored is None:
        raise InputError(f"prior {workdir} holds no networks. {commands}")
    prior = with_networks(blank, Trained(**restored))
    if summary.get("real_score") is not None:  # older runs have none
        return prior
    parts = functools.partial(datasets.parts, config)
    try:
        real_score = measure_real_score(prior.method, prior.networks, parts)
    except InputError:  # only some applications need it, and they say so
        return prior
    return prior._replace(real_score=real_score)


def blank_prior(workdir: Path, config: ConfigDict, summary: Mapping[str, Any]) -> Prior:
    """Return a prior whose networks are shapes alone; `with_networks` puts arrays in.

    The config and the summary have been checked. What they lead to raises errors of any
    kind where another version wrote them.
    """
    channels = summary["dataset"]["shape"][-1]
    classes = int((summary.get("teacher") or {}).get("classes", 0))
    task = tasks.task(config)
    method = methods.method(config, task, channels, classes)
    like = jax.eval_shape(lambda: trained(blank_state(config, task, method, channels)))
    kept = summary.get("real_score")
    real_score = math.nan if kept is None else kept
    return Prior(workdir, config, task, method, like, channels, "", real_score, summary)


def with_networks(blank: Prior, networks: Trained) -> Prior:
    """Return a prior with its networks, and their digest."""
    weights = {"generator": networks.generator, "critic": networks.critic}
    return blank._replace(networks=networks, digest=digest(weights))


def check_critic(prior: Prior, purpose: str, commands: str) -> None:
    """Refuse a prior that was packaged without its critic.

    Args:
        prior: The prior.
        purpose: What needs the critic, for the message, e.g. "a search".
        commands: Commands that train a prior, for the message.

    Raises:
        InputError: If it has no critic.
    """
    if not prior.networks.critic:
        raise InputError(
            f"prior {prior.workdir} ships without its critic, which {purpose} needs: "
            f"name a run. {commands}"
        )


def open_colorizer(path: str, commands: str, memory: int | None = None) -> Prior:
    """Open a run of `colorize` whose generator starts from lightness alone.

    Arguments are those of `open_prior`.

    Raises:
        InputError: There is no such run, it is not complete, or its generator starts
            from a latent.
    """
    prior = open_prior(path, commands, "colorize", memory)
    if prior.method.has_latent:
        raise InputError(
            f"prior {prior.workdir} starts from a latent, so a grey image has many "
            "colourings: train one with --config.network.generator=unet or chroma, and "
            "--config.latent.prior=none"
        )
    return prior
