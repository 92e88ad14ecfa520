"""A trained run as one function of plain arrays, and what each of them means."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float

from gan_jax.apps.detect.detector import anomaly, describe_run, open_detection
from gan_jax.build import tasks
from gan_jax.config.errors import InputError
from gan_jax.data import color
from gan_jax.networks.stages import image_of
from gan_jax.runs.prior import Prior, blank_images, describe, open_colorizer, open_prior
from gan_jax.runs.workdir import read_summary
from gan_jax.tasks.task import ConditionArray
from gan_jax.training.state import Variables

_BATCH = "batch"
_SIGNED = (-1.0, 1.0)
_EXAMPLES = 4  # in the calls that an artefact shows


class Port(NamedTuple):
    """A float32 array that goes in or comes out."""

    name: str
    shape: tuple[int | str, ...]
    """A name stands for any size, the same wherever it stands."""
    interval: tuple[float, float] | None
    """In which its values lie; None = anywhere."""
    meaning: str
    example: str = ""
    """NumPy's words for values to try."""


class Portable(NamedTuple):
    """What of a run is used without this package."""

    kind: str
    """`generator`, `colorizer` or `detector`."""
    function: Callable[..., Array]
    """`function(variables, *inputs)`: pure, and an example's result is its own."""
    variables: Variables
    inputs: Sequence[Port]
    output: Port
    run: Mapping[str, Any]
    """Which run it was, by its summary."""
    facts: Mapping[str, Any]
    """What else a user of this kind needs to know."""


def open_portable(path: str, commands: str) -> Portable:
    """Open a run by what its program makes: a generator, a colorizer or a detector.

    Args:
        path: the run's workdir.
        commands: what to run instead where there is none.

    Raises:
        InputError: there is no such run, it is not complete, or its program trains
            nothing.
    """
    program = _program(path)
    if program not in _PROGRAMS:
        raise InputError(
            f"prior {path} is a run of '{program}', which is not one network: name a "
            f"run of {', '.join(_PROGRAMS)} (those of a study lie in its runs/). "
            f"{commands}"
        )
    return _PROGRAMS[program](path, commands)


def _program(path: str) -> str:
    """Find which program a workdir is of; what is no workdir is refused later."""
    try:
        config = json.loads((Path(path).expanduser() / "config.json").read_text())
        return str(config["program"])
    except (OSError, ValueError, LookupError, TypeError):
        return "train"


def _generator(path: str, commands: str) -> Portable:
    prior = open_prior(path, commands)
    config, method = prior.config, prior.method
    task = tasks.task(config)
    drawn = method.has_latent
    example = jax.eval_shape(
        method.present, jax.random.key(0), blank_images(config, prior.channels)
    )
    condition = example.condition if task.conditional else None
    maps, structure = jax.tree.flatten(condition)

    def generate(variables: Variables, *inputs: Array) -> Array:
        latent = inputs[0] if drawn else None
        told = jax.tree.unflatten(structure, inputs[1:] if drawn else inputs)
        generated: Any = method.generator.apply(variables, latent, told)
        return task.render(image_of(generated), told)

    latents = [_latent(config.latent.prior, config.latent.size)] if drawn else []
    conditions = [
        _condition(told, leaf.shape[1:])
        for told, leaf in zip(task.condition, maps, strict=True)
    ]
    # Of all generators only perceptrons, whose points lie anywhere, end without tanh.
    bounded = config.network.generator != "perceptron"
    sides = (config.data.size, config.data.size, prior.channels)
    return Portable(
        "generator",
        generate,
        prior.networks.generator,
        [*latents, *conditions],
        Port(
            "images",
            (_BATCH, *sides),
            _SIGNED if bounded else None,
            "images as those of the data set: -1 is black, 1 is white"
            if bounded
            else "values as those of the data set",
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
"""By prior: interval, meaning, example."""


def _latent(prior: str, size: int) -> Port:
    interval, meaning, example = _LATENTS[prior]
    shown = example.format(shape=(_EXAMPLES, size))
    return Port("latent", (_BATCH, size), interval, meaning, shown)


def _condition(told: ConditionArray, shape: tuple[int, ...]) -> Port:
    example = f"np.zeros({(_EXAMPLES, *shape)}, np.float32)"
    return Port(told.name, (_BATCH, *shape), told.interval, told.meaning, example)


def _colorizer(path: str, commands: str) -> Portable:
    prior = open_colorizer(path, commands)
    size = prior.config.data.size
    task = tasks.task(prior.config)

    def colorize(
        variables: Variables, images: Float[Array, "batch height width 3"]
    ) -> Float[Array, "batch height width 3"]:
        # As `colorizer.Colorizer` does, with the same filter.
        lightness, _ = color.split(images)
        small = _resized(lightness, size, size)
        made = image_of(prior.method.generator.apply(variables, None, small))
        return task.render(_resized(made, *images.shape[1:3]), lightness)

    shape = (_BATCH, "height", "width", 3)
    return Portable(
        "colorizer",
        colorize,
        prior.networks.generator,
        [
            Port(
                "images",
                shape,
                _SIGNED,
                "sRGB of any size, -1 for level 0 to 1 for level 255, of which only "
                "CIE lightness is looked at; a grey image three times over",
                f"np.zeros({(_EXAMPLES, 48, 64, 3)}, np.float32)",
            )
        ],
        Port(
            "colorized", shape, _SIGNED, "the same in new colours, as light as it was"
        ),
        _of_prior(prior),
        {"colours_made_at": [size, size]},
    )


def _resized(
    planes: Float[Array, "batch height width channels"], height: Any, width: Any
) -> Float[Array, "batch new_height new_width channels"]:
    shape = (planes.shape[0], height, width, planes.shape[3])
    return jax.image.resize(planes, shape, "lanczos3")


def _detector(path: str, commands: str) -> Portable:
    opened = open_detection(path, commands)
    detector, size = opened.detector, opened.gan.data.size

    def score(
        variables: Variables, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch"]:
        return anomaly(opened.method, detector.scale, variables, images)

    rate = opened.config.anomaly.false_positive_rate
    shape = (size, size, opened.channels)
    return Portable(
        "detector",
        score,
        detector.critic,
        [
            Port(
                "images",
                (_BATCH, *shape),
                _SIGNED,
                "-1 for level 0 to 1 for level 255",
                f"np.zeros({(_EXAMPLES, *shape)}, np.float32)",
            )
        ],
        Port(
            "scores", (_BATCH,), None, "how anomalous each image is: high for odd ones"
        ),
        {
            **describe_run(opened.workdir, opened.summary),
            "dataset": opened.summary["dataset"],
        },
        {
            "false_positive_rate": rate,
            "threshold": detector.threshold(rate),
            "quantiles": [float(f"{one:.7g}") for one in detector.quantiles],
        },
    )


def _of_prior(prior: Prior) -> dict[str, Any]:
    """Tell of which run, and which of its epochs, a prior is."""
    summary, networks = read_summary(prior.workdir), describe(prior)
    assert summary is not None  # a prior is of a complete run
    return {
        "workdir": networks["workdir"],
        "config_name": networks["config_name"],
        "parameters_sha256": summary["parameters_sha256"],
        "step": networks["step"],
        "networks_sha256": networks["parameters_sha256"],
        "dataset": summary["dataset"],
    }


_PROGRAMS: Mapping[str, Callable[[str, str], Portable]] = {
    "train": _generator,
    "colorize": _colorizer,
    "detect": _detector,
}
