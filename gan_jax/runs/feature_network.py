"""Feature networks: a classifier of each dataset, trained once and then kept."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree, UInt8
from ml_collections import ConfigDict

from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.data.datasets.dataset import ArraySource, Dataset, Source, fingerprint
from gan_jax.data.feed import read, resident, streamed, to_float
from gan_jax.data.memory import UnreadableFileError, read_file
from gan_jax.data.splits import partition
from gan_jax.evaluation.features import Embedding
from gan_jax.networks.classifier import Classifier, classifier_for
from gan_jax.networks.compilation import compiled, run_once
from gan_jax.report import files
from gan_jax.report.progress import Progress
from gan_jax.report.terminal import say
from gan_jax.runs.classification import (
    TURNS,
    classifier_update,
    shifted,
    turned,
    turned_by,
)
from gan_jax.runs.inference import chunks, in_chunks
from gan_jax.runs.startup import cache_folder
from gan_jax.training.distributed import broadcast
from gan_jax.training.state import Player, Variables, digest

_VERSION = 3  # raise it with any change to how a classifier is trained
_BATCH = 128  # at most
_UPDATES = 20  # of an epoch, at least: small datasets have smaller batches
_RATE = 2e-3
_FUSED = 20  # updates in one compiled call
_CHUNK = 250  # images classified at once


class TrainedFeatureNetwork:
    """A trained classifier, as a function from images to features and probabilities."""

    def __init__(self, saved: Mapping[str, Any]):
        """Wrap a classifier that was read from a file."""
        self._variables: Variables = saved["variables"]
        self._labels = bool(saved["labels"])
        self._apply = compiled(classifier_for(saved["variables"]).apply)
        self.description: dict[str, Any] = {
            "network": str(saved["network"]),
            "sha256": str(saved["sha256"]),
            "accuracy": float(saved["accuracy"]),
        }
        """Name of the network, its hash, and its accuracy on test images."""

    def __call__(
        self, images: Float[np.ndarray, "count height width channels"]
    ) -> Embedding:
        """Return the features of images in [-1, 1], and their class probabilities."""
        output = in_chunks(
            lambda at: self._apply(self._variables, images[at]), len(images), _CHUNK
        )
        if not self._labels:
            return Embedding(output.features, None)
        exact = output.logits.astype(np.float64)
        odds = np.exp(exact - exact.max(axis=1, keepdims=True))
        return Embedding(output.features, odds / odds.sum(axis=1, keepdims=True))


def feature_network_of(config: ConfigDict) -> TrainedFeatureNetwork | None:
    """Open the feature network of a run's dataset; if that fails, say why: None."""
    try:
        source = datasets.source(config.data)
        return open_feature_network(source, config.evaluation.classifier)
    except (InputError, OSError) as error:
        say(f"FID and KID cannot be measured: {error}")
        return None


def open_feature_network(
    dataset: Dataset, settings: ConfigDict
) -> TrainedFeatureNetwork:
    """Open the feature network of a dataset; train and keep it the first time.

    It is kept in `cache_folder()` under a hash of images, labels, size and settings.
    For a dataset without labels it is a classifier of quarter turns.

    Raises:
        InputError: The images are too few, or too small for the network.
    """
    if settings.epochs < 1:
        raise InputError(
            "evaluation.classifier.epochs is 0, so no classifier is trained"
        )
    saved = broadcast(lambda: open_classifier(dataset, settings, "to measure with"))
    return TrainedFeatureNetwork(saved)


def open_classifier(
    dataset: Dataset, settings: ConfigDict, purpose: str
) -> Mapping[str, Any]:
    """Read the classifier of a dataset, or train and keep it.

    Args:
        dataset: The dataset, in the size of the images that are classified.
        settings: `width`, `features` and `epochs` of the classifier.
        purpose: Its purpose, for the message.

    Returns:
        Its `variables`, `network`, `sha256` and `accuracy`, and whether it has learned
        `labels`.

    Raises:
        InputError: The images are too few, or too small for the network.
    """
    train, test = dataset.train, dataset.test
    if min(train.shape[:2]) < 8:
        raise InputError("images below 8x8 pixels are too small for the classifier")
    identity = {
        "train": fingerprint(train),
        "test": fingerprint(test) if test is not None else None,
        "settings": settings.to_dict(),
        "version": _VERSION,
    }
    name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / "classifiers" / f"{name}.msgpack"
    labels = bool(train.classes)
    module = Classifier(
        len(train.classes) if labels else TURNS, settings.width, settings.features
    )
    saved = _read(path)
    if saved is None:
        say(
            f"training a classifier of {train.name} {purpose}, once; it is kept in "
            f"{path.parent}"
        )
        saved = _train(module, dataset, settings, labels)
        say(f"the classifier is right on {saved['accuracy']:.2%} of the test images")
        try:
            write_classifier(path, saved)
        except OSError as error:
            say(f"it cannot be kept ({error}): it will be trained again next time")
    return saved


_ENTRIES: Mapping[str, type] = {
    "variables": dict,
    "labels": bool,
    "network": str,
    "sha256": str,
    "accuracy": float,
}
_CHECKED = "entries_sha256"


def write_classifier(path: Path, saved: Mapping[str, Any]) -> None:
    """Write a classifier to a file, with the SHA-256 of its entries."""
    content = {**saved, _CHECKED: _entries_digest(saved)}
    files.write_bytes(path, flax.serialization.msgpack_serialize(content))


def _entries_digest(saved: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all entries; that of the variables is one of them."""
    plain = {name: saved[name] for name in sorted(saved) if name != "variables"}
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def read_classifier(path: Path) -> Mapping[str, Any]:
    """Read a classifier that `write_classifier` wrote.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    try:
        saved: dict[str, Any] = flax.serialization.msgpack_restore(read_file(path))
        _check_entries(saved)
        # Files of older versions hold no second hash.
        entries = saved.pop(_CHECKED, None)
        if saved["sha256"] != digest(saved["variables"]) or (
            entries is not None and entries != _entries_digest(saved)
        ):
            raise ValueError("its contents are not what was written")
        classifier_for(saved["variables"])
    except UnreadableFileError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # whatever a damaged file leads to
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} cannot be used ({reason})") from None
    return saved


def _check_entries(saved: Mapping[str, Any]) -> None:
    """Raise a `ValueError` if an entry is missing, unknown, or not of its kind."""
    if unknown := saved.keys() - {*_ENTRIES, _CHECKED}:  # as of a damaged name
        raise ValueError(f"it holds {min(unknown)!r}, which is no entry")
    for name, kind in _ENTRIES.items():
        if type(saved.get(name)) is not kind:
            raise ValueError(f"it holds no {name}, or not as {kind.__name__}")
    if not 0 <= saved["accuracy"] <= 1:
        raise ValueError(f"its accuracy is {saved['accuracy']}")
    for leaf in jax.tree.leaves(saved["variables"]):
        if not isinstance(leaf, np.ndarray) or leaf.dtype != np.float32:
            raise ValueError("its variables are not arrays of float32")
        if not np.isfinite(leaf).all():
            raise ValueError("its variables are not finite")


def _read(path: Path) -> Mapping[str, Any] | None:
    if not path.exists():
        return None
    try:
        return read_classifier(path)
    except InputError as error:
        say(f"{error}: training it again")
        return None


def _train(
    module: Classifier, dataset: Dataset, settings: ConfigDict, labels: bool
) -> dict[str, Any]:
    """Train a classifier from fixed keys; measure its accuracy on the test part."""
    parts = partition(dataset, 0, {"real": 1.0})
    train, test = parts["train"]["real"], parts["test"]["real"]
    batch_size = max(1, min(_BATCH, len(train) // _UPDATES))
    steps = settings.epochs * (len(train) // batch_size)
    # A dataset in memory fits the device too; others may be too large for it.
    open_feed = resident if isinstance(train, ArraySource) else streamed
    feed = open_feed({"real": train}, batch_size, seed=0)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, _RATE, max(1, steps // 10), max(2, steps)
    )
    optimizer = optax.adam(schedule)

    def init(key: PRNGKeyArray) -> Player:
        variables = dict(module.init(key, jnp.zeros((1, *train.shape))))
        parameters = variables.pop("params")
        return Player(parameters, variables, optimizer.init(parameters))

    def stretch(
        player: Player, arrays: PyTree, first: Array, count: Array
    ) -> tuple[Player, Array]:
        def again(index: Array, carry: tuple[Player, Array]) -> tuple[Player, Array]:
            step = first + index
            key = jax.random.fold_in(jax.random.key(1), step)
            stored = feed.batch(arrays, step)["real"]
            images, answers = to_float(stored.image), jnp.asarray(stored.label)
            keys = jax.random.split(key)
            if not labels:
                images, answers = turned(keys[0], images)
            return classifier_update(
                module, optimizer, carry[0], shifted(keys[1], images), answers
            )

        return jax.lax.fori_loop(0, count, again, (player, jnp.zeros(())))

    player = run_once(init, jax.random.key(0))
    advance = compiled(stretch, donate_argnums=0)
    with Progress(steps, 0, "classifier") as progress:
        for first in range(0, steps, _FUSED):
            count = min(_FUSED, steps - first)
            arrays = feed.load(first, count, _FUSED)
            player, loss = advance(player, arrays, np.int32(first), np.int32(count))
            # Waiting here keeps the progress shown true.
            progress.advance(first + count, {"loss": float(loss)})
    variables = jax.tree.map(np.asarray, player.variables)
    return {
        "variables": variables,
        "accuracy": _accuracy(module, variables, test, labels),
        "labels": labels,
        "network": f"classifier of {'labels' if labels else 'quarter turns'} on "
        f"{train.name}, {module.features} features",
        "sha256": digest(variables),
    }


def _accuracy(
    module: Classifier, variables: Variables, test: Source, labels: bool
) -> float:
    """Return the share of test images whose label, or quarter turn, is found."""

    @compiled
    def classify(
        variables: Variables, images: UInt8[Array, "..."], turns: Int[Array, "batch"]
    ) -> Int[Array, "batch"]:
        shown = to_float(images)
        shown = shown if labels else turned_by(turns, shown)
        output: Any = module.apply(variables, shown)
        return output.logits.argmax(axis=-1)

    right: list[np.ndarray] = []
    for at in chunks(len(test), _CHUNK):
        images, answers = map(np.asarray, read(test, at))
        if not labels:
            answers = np.arange(_CHUNK) % TURNS
        right.append(np.asarray(classify(variables, images, answers)) == answers)
    return float(np.concatenate(right)[: len(test)].mean())
