"""The memory of a training run, estimated before anything is allocated."""

import math

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax.build import datasets
from gan_jax.config.limits import GIB, size_of
from gan_jax.data.datasets.dataset import ArraySource, Dataset, Source
from gan_jax.networks.classifier import Classifier
from gan_jax.networks.layers.convolutions import trace_for
from gan_jax.runs.classification import TURNS
from gan_jax.runs.memory import (
    FLOAT,
    NETWORK_KEYS,
    PASSES,
    Demand,
    Networks,
    device_memory,
    network_sizes,
    traced,
)
from gan_jax.tasks.task import Task
from gan_jax.training.distributed import is_multiprocess
from gan_jax.training.mesh import make_mesh
from gan_jax.training.method import Method
from gan_jax.training.state import bytes_of

RESIDENT_LIMIT = 4 * GIB
"""Bytes of all images, test part included, beyond which `data.feed=auto` streams."""

_STATES = 3  # of a run: while it is updated, and while a checkpoint is written
_DATA = 3  # copies of the data: as read, as split, and on the device
_MADE = 2  # copies of generated images: in chunks, and joined
_PROBABILITIES = 7  # floats per image and class: logits, and three arrays of float64
_CLASSIFIED = 250  # images that a classifier sees at once


def data_demands(config: ConfigDict) -> list[Demand]:
    """Return what a training config alone says of the memory of its data.

    It is checked before the data are opened: embedded data are drawn at any size.

    Raises:
        InputError: There are no data at `data.path`.
    """
    count, channels = datasets.foreseen(config.data)
    image = size_of(config.data.size).pixels * channels
    return [
        Demand(count * image * _DATA, "the data", ["data.size"]),
        Demand(
            config.batch_size * image * FLOAT,
            "the images of a batch",
            ["batch_size", "data.size"],
        ),
    ]


def training_demands(
    config: ConfigDict, task: Task, method: Method, dataset: Dataset, runs: int = 1
) -> list[Demand]:
    """Return the memory that the training and the evaluation of a config take.

    Args:
        config: A training config.
        task: Its task.
        method: Its method.
        dataset: Its data, of which only the sizes are read.
        runs: Number of runs that are prepared at once, under different seeds.
    """
    networks = network_sizes(config, task, method, dataset.train.shape[-1])
    return [
        *_feed_demands(config, dataset, runs),
        *_batch_demands(config, networks, runs),
        Demand(
            runs * _STATES * networks.state,
            "the networks and their optimisers",
            NETWORK_KEYS,
            on_device=True,
        ),
        *_evaluation_demands(config, dataset.train),
    ]


def feed_kind(config: ConfigDict, dataset: Dataset) -> str:
    """Return the kind of a run's feed, `resident` or `streamed`."""
    kind: str = config.data.feed
    if kind != "auto":
        return kind
    # From a stream each process reads only its share.
    fits = _data_bytes(dataset) <= RESIDENT_LIMIT and not is_multiprocess()
    return "resident" if fits else "streamed"


def _data_bytes(dataset: Dataset) -> int:
    return sum(len(part) * math.prod(part.shape) for part in dataset.parts)


def _feed_demands(config: ConfigDict, dataset: Dataset, runs: int) -> list[Demand]:
    if feed_kind(config, dataset) == "resident":
        size = runs * _DATA * _data_bytes(dataset)
        # What is in memory already takes no less there in a stream.
        in_files = not isinstance(dataset.train, ArraySource)
        stream = "use --config.data.feed=streamed"
        return [
            Demand(
                size,
                "the data",
                ["data.size"],
                on_device=True,
                otherwise=stream if in_files or device_memory() else "",
            )
        ]
    called = max(config.fused_steps * config.critic_steps, config.critic_boost.steps)
    image = math.prod(dataset.train.shape)
    return [
        Demand(
            runs * called * config.batch_size * image * _DATA,
            "the batches of one compiled call",
            ["fused_steps", "critic_steps", "critic_boost.steps", "batch_size"],
            on_device=True,
        )
    ]


def _batch_demands(config: ConfigDict, networks: Networks, runs: int) -> list[Demand]:
    """Return the memory of one batch in training, on one device.

    Accelerators train all runs as one program.
    """
    share = config.batch_size
    if device_memory() is not None:
        share = runs * share // make_mesh(share).size
    penalties = ("critic_penalty", "fake_penalty", "gradient_penalty")
    # Real and fake; a penalty differentiates the critic once more.
    passes = 2 + 3 * sum(config[penalty] > 0 for penalty in penalties)
    layers = networks.generator + passes * networks.critic
    return [
        Demand(
            share * PASSES * layers,
            "the activations of a batch",
            ["batch_size", *NETWORK_KEYS],
            on_device=True,
        )
    ]


def _evaluation_demands(config: ConfigDict, train: Source) -> list[Demand]:
    """Return the memory of generated images, and of the classifiers that see them."""
    evaluation, image = config.evaluation, math.prod(train.shape)
    during = evaluation.count if evaluation.every else 0
    classes = len(train.classes) or TURNS
    count = max(evaluation.final_count, during)
    counts = ["evaluation.final_count", "evaluation.count"]
    floats = _MADE * image + 5 * evaluation.classifier.features
    demands = [
        Demand(
            count * floats * FLOAT,
            "the images of an evaluation",
            [*counts, "data.size"],
        ),
        Demand(
            count * classes * _PROBABILITIES * FLOAT,
            f"the probabilities of {classes} classes",
            counts,
            otherwise="number the classes from 0 without gaps",
        ),
        *_classifier_demands(config, "evaluation", train.shape, classes),
    ]
    if config.get("class_weight", 0) and not config.teacher.path:
        grey = (*train.shape[:2], 1)
        demands += _classifier_demands(config, "teacher", grey, classes)
    return demands


def _classifier_demands(
    config: ConfigDict, group: str, shape: tuple[int, ...], classes: int
) -> list[Demand]:
    """Return the memory of training a classifier and of classifying with it."""
    settings = config[group].classifier
    if settings.epochs < 1 or min(shape[:2]) < 8:
        return []
    module = Classifier(classes, settings.width, settings.features)
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    with trace_for("shapes"):
        variables, layers = traced(module, key, image)
    name = f"{group}.classifier"
    return [
        Demand(
            3 * _STATES * bytes_of(variables) + _CLASSIFIED * PASSES * layers,
            "a classifier of the data",
            [f"{name}.width", f"{name}.features", "data.size"],
            on_device=True,
        )
    ]
