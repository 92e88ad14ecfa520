"""Measure and draw generated images, whatever the task."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped, UInt8

from gan_jax.apps.train.setup import Run
from gan_jax.config.errors import InputError
from gan_jax.data.feed import first_images
from gan_jax.evaluation import classes, features
from gan_jax.evaluation.features import Embedding, FeatureNetwork
from gan_jax.evaluation.image import diversity
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.report.page import Figure
from gan_jax.report.terminal import say
from gan_jax.runs.feature_network import open_feature_network
from gan_jax.runs.inference import make_model
from gan_jax.tasks.task import Request, Samples
from gan_jax.training.distributed import all_succeeded
from gan_jax.training.state import Trained

COLLAPSED = 0.2
"""A generator of less than this share of the real diversity has collapsed."""

_PAIRED = 500  # images whose pairwise distances are averaged
_WITHIN = (64, 8)  # conditions, and generations for each


class Evaluation:
    """Measures and pictures of a run's generators, under fixed keys.

    The features of real images are computed once for each part of the data.
    """

    def __init__(self, run: Run):
        """Open the feature network; measures of features fail where that fails."""
        self._run = run
        self._feature_network: FeatureNetwork | None = None
        self._reason = ""
        try:
            settings = run.config.evaluation.classifier
            self._feature_network = (
                run.task.evaluation.feature_network
                or open_feature_network(run.dataset, settings)
            )
        except (InputError, OSError) as error:
            self._reason = str(error)
            say(f"FID and its like cannot be measured: {error}")
        self._real: dict[tuple[str, int], Embedding] = {}
        self._open_model = make_model(run.method, run.task.render)

    def draw(self, networks: Trained) -> UInt8[np.ndarray, "h w 3"]:
        """Return the task's plate on validation images, the same ones at every step."""
        key = jax.random.fold_in(self._key, 1_000_002)
        part = self._run.parts["validation"]
        return self._run.task.draw(self._open_model(networks), part, key)

    def figures(self, networks: Trained) -> Sequence[Figure]:
        """Return the task's further plots on test images."""
        key = jax.random.fold_in(self._key, 1_000_004)
        part = self._run.parts["test"]
        return self._run.task.report.figures(self._open_model(networks), part, key)

    def measure(self, networks: Trained, part: str, count: int) -> Measured:
        """Measure a generator on a part of the data, by `count` generated images."""
        keys, request = self._request(part, count)
        generate = self._open_model(networks).sample
        shapes = jax.tree.leaves(request.condition)
        count = len(shapes[0]) if shapes else count
        generated = generate(keys[1], request.condition, count)

        def diversity_within() -> float:
            conditions, repeats = min(count, _WITHIN[0]), _WITHIN[1]
            repeated = jax.tree.map(
                lambda maps: jnp.repeat(maps[:conditions], repeats, axis=0),
                request.condition,
            )
            images = generate(keys[2], repeated, conditions * repeats)
            groups = images.reshape(conditions, repeats, *images.shape[1:])
            return float(np.mean([*map(diversity, groups)]))

        varied = shapes and self._run.method.has_latent
        within = {"diversity_within": diversity_within} if varied else {}
        return self.compare(generated, request, part, count, within)

    def baselines(self, part: str, count: int) -> dict[str, Measured]:
        """Measure the task's images that need no network, by name."""
        task = self._run.task
        _, request = self._request(part, count)
        return {
            name: self.compare(
                make(request, self._run.parts["train"]), request, part, count
            )
            for name, make in task.evaluation.baselines.items()
        }

    def compare(
        self,
        generated: Samples,
        request: Request,
        part: str,
        count: int,
        more: Mapping[str, Callable[[], float]] = {},
    ) -> Measured:
        """Measure generated images against `count` real ones, at most, of a part.

        `request` holds their conditions; `more` are measures beside all others.
        """
        source = self._run.parts[part]["real"]
        measured = measure(
            {
                name: functools.partial(value, generated, request)
                for name, value in self._run.task.evaluation.measures.items()
            }
            | {
                "diversity": lambda: diversity(generated[:_PAIRED]),
                "diversity_real": lambda: diversity(
                    np.asarray(first_images(source, _PAIRED))
                ),
            }
            | dict(more)
            | self._feature_measures(generated, part, count)
        )
        real_count = min(count, len(source))
        least = min(len(generated), real_count)
        width = self._run.config.evaluation.classifier.features
        collapsed = measure({"collapsed": lambda: _collapsed(measured, least, width)})
        metrics = measured.metrics | collapsed.metrics
        if self._feature_network is not None:
            metrics["fid_count"] = len(generated)
            metrics["fid_real_count"] = real_count
            metrics["fid_features"] = self._feature_network.description
        return Measured(metrics, measured.failed | collapsed.failed)

    @property
    def _key(self) -> PRNGKeyArray:
        return jax.random.key(self._run.config.seed)

    def _request(self, part: str, count: int) -> tuple[Shaped[Array, "3"], Request]:
        """Return keys, the first of them used, and the conditions of a part."""
        keys = jax.random.split(jax.random.fold_in(self._key, 1_000_001), 3)
        return keys, self._run.task.ask(self._run.parts[part], keys[0], count)

    def _feature_measures(
        self,
        generated: Float[np.ndarray, "count height width channels"],
        part: str,
        count: int,
    ) -> dict[str, Callable[[], float]]:
        """Return the measures that need features, still to be computed."""

        @functools.cache
        def fake() -> Embedding:
            return self._features()(generated)

        def probabilities() -> Float[np.ndarray, "count classes"]:
            odds = fake().probabilities
            if odds is None:
                raise ValueError("the dataset has no labels")
            return odds

        def compared(
            distance: Callable[[np.ndarray, np.ndarray], float],
        ) -> Callable[[], float]:
            return lambda: distance(
                self._real_features(part, count).features, fake().features
            )

        return {
            "fid": compared(features.frechet_distance),
            "kid": compared(features.kernel_distance),
            "precision": compared(features.precision),
            "recall": compared(features.recall),
            "classes": lambda: classes.class_count(probabilities()),
            "inception_score": lambda: classes.inception_score(probabilities()),
        }

    def _features(self) -> FeatureNetwork:
        if self._feature_network is None:
            raise ValueError(self._reason)
        return self._feature_network

    def _real_features(self, part: str, count: int) -> Embedding:
        if (part, count) not in self._real:
            with all_succeeded():
                images = first_images(self._run.parts[part]["real"], count)
            self._real[part, count] = self._features()(np.asarray(images))
        return self._real[part, count]


def _collapsed(measured: Measured, count: int, width: int) -> bool:
    """Return whether a generator has collapsed, by as many images as FID needs."""
    features.check_count(count, width)
    diverse, real = (measured.metrics[name] for name in ("diversity", "diversity_real"))
    if not isinstance(diverse, float) or not isinstance(real, float):
        raise ValueError("the diversity is unknown")
    return diverse < COLLAPSED * real
