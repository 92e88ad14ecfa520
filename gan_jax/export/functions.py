"""The network of a trained run as one function of plain arrays."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from gan_jax.apps.detect.detector import (
    anomaly_scores,
    describe_detector,
    open_detector_run,
)
from gan_jax.build.networks import UNBOUNDED_GENERATORS
from gan_jax.config.command_line import FIRST_COMMANDS
from gan_jax.config.errors import InputError
from gan_jax.config.limits import size_of
from gan_jax.data import color
from gan_jax.data.files.levels import FLOAT, trained_ranges
from gan_jax.data.grids import geometry
from gan_jax.data.grids.units import LEVELS, Units
from gan_jax.data.masks import Known
from gan_jax.export.arrays import ArraySpec
from gan_jax.priors.packaged import open_any
from gan_jax.runs.inference import images_of
from gan_jax.runs.prior import (
    Prior,
    blank_images,
    describe,
    open_colorizer,
    units_of,
)
from gan_jax.runs.workdir import written_config
from gan_jax.tasks.hints import GIVEN, conditioned, takes_hints
from gan_jax.tasks.task import ConditionArray
from gan_jax.training.method import Method
from gan_jax.training.state import Variables

_COMMANDS = FIRST_COMMANDS["export"]
_BATCH = "batch"
_SIGNED = (-1.0, 1.0)
_EXAMPLES = 4  # batch size of the example call


class NetworkFunction(NamedTuple):
    """The network of a run as a function of plain arrays."""

    kind: str
    """`generator`, `colorizer` or `detector`."""
    function: Callable[..., Array]
    """`function(variables, *inputs)`: pure, and independent for each example."""
    variables: Variables
    inputs: Sequence[ArraySpec]
    output: ArraySpec
    run: Mapping[str, Any]
    """Identity of the run, from its summary."""
    facts: Mapping[str, Any]
    """Further metadata of this kind; entries that are None are left out."""

    def metadata(self) -> dict[str, Any]:
        """Return its entries in `metadata.json`."""
        dataset = self.run["dataset"]
        grid = geometry.from_json(dataset)
        return {
            "kind": self.kind,
            "inputs": [array.metadata() for array in self.inputs],
            "output": self.output.metadata(),
            "data": {
                "name": dataset.get("name"),
                **({} if grid is None else grid.as_json()),
            },
            **{name: fact for name, fact in self.facts.items() if fact is not None},
            "run": dict(self.run),
        }


def open_function(path: str) -> NetworkFunction:
    """Open the generator, colorizer or detector of a run, by its workdir.

    Raises:
        InputError: If there is no such run, it is incomplete, or its program trains no
            network.
    """
    program = _program(path)
    if program not in _PROGRAMS:
        raise InputError(
            f"prior {path} is a run of '{program}', which is not one network: name a "
            f"run of {', '.join(_PROGRAMS)} (those of a study lie in its runs/). "
            f"{_COMMANDS}"
        )
    return _PROGRAMS[program](path)


def stored_units(dataset: Mapping[str, Any]) -> Units:
    """Return the units in which the files of a summary's dataset store its images.

    They are the levels that became 0 and 255, such as 0 to 4095 of a scan. Files that
    were scaled by several ranges have none in common: theirs are levels 0 to 255.
    """
    own, ranges = units_of(dataset), trained_ranges(dataset.get("read"))
    if own != LEVELS or len({*ranges.values()}) != 1:
        return own
    (taken,) = {*ranges.values()}
    whole = not any(kind.startswith(FLOAT) for kind in ranges)
    return Units("linear", tuple(taken), whole)


def _program(path: str) -> str:
    """Return the program of a workdir; the opening of another folder fails later."""
    try:
        written = written_config(Path(path).expanduser()) or {}
    except (OSError, ValueError):
        written = {}
    return str(written.get("program", "train"))


def _generator(path: str) -> NetworkFunction:
    prior = open_any(path, _COMMANDS)
    config, task, method = prior.config, prior.task, prior.method
    drawn = method.has_latent
    example = jax.eval_shape(
        method.present, jax.random.key(0), blank_images(config, task, prior.channels)
    )
    condition = example.condition if task.conditional else None
    maps, structure = jax.tree.flatten(condition)
    images = images_of(method, task.render)

    def generate(variables: Variables, *inputs: Array) -> Array:
        latent = inputs[0] if drawn else None
        condition = jax.tree.unflatten(structure, inputs[1:] if drawn else inputs)
        return images(variables, latent, condition)

    latents = [_latent(config.latent.prior, _latent_shape(method))] if drawn else []
    units = stored_units(prior.summary.get("dataset") or {})
    conditions = [
        _condition(description, leaf.shape[1:], units)
        for description, leaf in zip(task.condition_arrays, maps, strict=True)
    ]
    bounded = config.network.generator not in UNBOUNDED_GENERATORS
    sides = (*size_of(config.data.size), prior.channels)
    return NetworkFunction(
        "generator",
        generate,
        prior.networks.generator,
        [*latents, *conditions],
        ArraySpec(
            "images",
            (_BATCH, *sides),
            _SIGNED if bounded else None,
            "images as those of the data set: -1 is black, 1 is white"
            if bounded
            else "values as those of the data set",
            units=units if bounded else None,
        ),
        _of_prior(prior),
        {
            "latent": dict(config.latent) if drawn else None,
            **task.training_conditions,
        },
    )


_LATENTS: Mapping[str, tuple[tuple[float, float] | None, str, str]] = {
    "normal": (
        None,
        "independent numbers of mean 0 and variance 1",
        "np.random.default_rng(0).standard_normal({shape}, np.float32)",
    ),
    "uniform": (
        _SIGNED,
        "independent numbers, each uniform in [-1, 1]",
        "2 * np.random.default_rng(0).random({shape}, np.float32) - 1",
    ),
}
"""Interval, meaning and example by latent distribution."""


def _latent_shape(method: Method) -> tuple[int, ...]:
    """Return the shape of one latent of a run, at the size of its training images."""
    drawn = jax.eval_shape(lambda: method.latent(jax.random.key(0), 1))
    return tuple(drawn.shape[1:])


def _latent(prior: str, shape: tuple[int, ...]) -> ArraySpec:
    interval, meaning, example = _LATENTS[prior]
    shown = example.format(shape=(_EXAMPLES, *shape))
    return ArraySpec("latent", (_BATCH, *shape), interval, meaning, shown)


def _condition(
    array: ConditionArray, shape: tuple[int, ...], units: Units
) -> ArraySpec:
    example = f"np.zeros({(_EXAMPLES, *shape)}, np.float32)"
    facts = (array.interval, array.meaning, example)
    held = units if array.of_images else None
    return ArraySpec(array.name, (_BATCH, *shape), *facts, held)


def _colorizer(path: str) -> NetworkFunction:
    prior = open_colorizer(path, _COMMANDS)
    size = size_of(prior.config.data.size)
    task, paint = prior.task, images_of(prior.method)

    def colorize(
        variables: Variables,
        images: Float[Array, "batch height width 3"],
        *given: Array,
    ) -> Float[Array, "batch height width 3"]:
        # As `apps.colorize.colorizer.Colorizer`, with the same filter.
        lightness, _ = color.split(images)
        small = _resized(lightness, *size)
        seen = conditioned(small, Known(*given)) if given else small
        ab = paint(variables, None, seen)
        return color.merge(lightness, _resized(ab, *images.shape[1:3]))

    hints = [
        _condition(description, (*size, channels), LEVELS)
        for description, channels in zip(GIVEN, (2, 1), strict=True)
        if takes_hints(task)
    ]
    shape = (_BATCH, "height", "width", 3)
    return NetworkFunction(
        "colorizer",
        colorize,
        prior.networks.generator,
        [
            ArraySpec(
                "images",
                shape,
                _SIGNED,
                "sRGB of any size, -1 for level 0 to 1 for level 255, of which only "
                "CIE lightness is looked at; a grey image three times over",
                f"np.zeros({(_EXAMPLES, 48, 64, 3)}, np.float32)",
                LEVELS,
            ),
            *hints,
        ],
        ArraySpec(
            "colorized",
            shape,
            _SIGNED,
            "the same in new colours, as light as it was",
            units=LEVELS,
        ),
        _of_prior(prior),
        {"colours_made_at": list(size), **task.training_conditions},
    )


def _resized(
    planes: Float[Array, "batch height width channels"], height: Any, width: Any
) -> Float[Array, "batch new_height new_width channels"]:
    shape = (planes.shape[0], height, width, planes.shape[3])
    return jax.image.resize(planes, shape, "lanczos3")


def _detector(path: str) -> NetworkFunction:
    opened = open_detector_run(path, _COMMANDS)
    detector, size = opened.detector, size_of(opened.gan.data.size)

    def score(
        variables: Variables, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch"]:
        return anomaly_scores(opened.method, detector.scale, variables, images)

    rate = opened.config.anomaly.false_positive_rate
    shape = (*size, opened.channels)
    return NetworkFunction(
        "detector",
        score,
        detector.critic,
        [
            ArraySpec(
                "images",
                (_BATCH, *shape),
                _SIGNED,
                "images as those of the data set: -1 is black, 1 is white",
                f"np.zeros({(_EXAMPLES, *shape)}, np.float32)",
                stored_units(opened.summary["dataset"]),
            )
        ],
        ArraySpec(
            "scores", (_BATCH,), None, "how anomalous each image is: high for odd ones"
        ),
        {
            **describe_detector(opened),
            "dataset": opened.summary["dataset"],
        },
        {
            "false_positive_rate": rate,
            "threshold": detector.threshold(rate),
            "quantiles": [float(f"{quantile:.7g}") for quantile in detector.quantiles],
        },
    )


def _of_prior(prior: Prior) -> dict[str, Any]:
    """Return the identity of a prior's run, and the step of its networks."""
    networks = describe(prior)
    return {
        "workdir": networks["workdir"],
        "config_name": networks["config_name"],
        "parameters_sha256": prior.summary["parameters_sha256"],
        "step": networks["step"],
        "networks_sha256": networks["parameters_sha256"],
        "dataset": prior.summary["dataset"],
    }


_PROGRAMS: Mapping[str, Callable[[str], NetworkFunction]] = {
    "train": _generator,
    "colorize": _colorizer,
    "detect": _detector,
}
