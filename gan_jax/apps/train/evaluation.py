"""Measure and draw generated images, whatever the task."""

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped, UInt8

from gan_jax.apps.train.report import copies_figure
from gan_jax.apps.train.setup import Run
from gan_jax.config.errors import InputError
from gan_jax.data.feed import first_images, to_float
from gan_jax.data.splits import Part
from gan_jax.evaluation import classes, features
from gan_jax.evaluation.features import Embedding, FeatureNetwork, Nearest
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

_MIRRORED = "train, mirrored"  # beside the names of parts
_SEARCHED, _SHOWN = 1000, 12  # samples among which copies are sought, and are shown
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
        self._nearest: dict[tuple[str, int], Nearest] = {}
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

    def copies(self, networks: Trained, count: int) -> Sequence[Figure]:
        """Return a figure of the samples nearest to training images, beside these.

        It shows the nearest of at most 1,000 samples; `count` is that of the training
        images. There is none where no features can be computed, or of points.
        """
        if self._feature_network is None or self._run.task.points:
            return []
        _, _, samples = self._sampled(networks, "test", min(count, _SEARCHED))
        try:
            found = features.nearest(
                self._features()(samples).features, self._training_features(count)
            )
        except ValueError as error:  # as of values that are not finite
            say(f"copies of training images cannot be sought: {error}")
            return []
        order = np.argsort(found.distance)[:_SHOWN]
        training = [self._training_image(int(found.place[at]), count) for at in order]
        return [copies_figure(samples[order], np.stack(training), len(samples))]

    def measure(self, networks: Trained, part: str, count: int) -> Measured:
        """Measure a generator on a part of the data, by `count` generated images."""
        keys, request, generated = self._sampled(networks, part, count)
        generate, count = self._open_model(networks).sample, len(generated)

        def diversity_within() -> float:
            conditions, repeats = min(count, _WITHIN[0]), _WITHIN[1]
            repeated = jax.tree.map(
                lambda maps: jnp.repeat(maps[:conditions], repeats, axis=0),
                request.condition,
            )
            images = generate(keys[2], repeated, conditions * repeats)
            groups = images.reshape(conditions, repeats, *images.shape[1:])
            return float(np.mean([*map(diversity, groups)]))

        def again(varied: Request) -> Samples:
            return generate(keys[1], varied.condition, count)

        several = self._run.task.conditional and self._run.method.has_latent
        within = {"diversity_within": diversity_within} if several else {}
        measured = self.compare(generated, request, part, count, within)
        measured.add(self._varied(request, keys[2], again))
        return measured

    def baselines(self, part: str, count: int) -> dict[str, Measured]:
        """Measure the task's images that need no network, by name."""
        keys, request = self._request(part, count)
        found = {}
        for name, make in self._run.task.evaluation.baselines.items():
            again = functools.partial(_without_network, make, self._run.parts["train"])
            found[name] = self.compare(again(request), request, part, count)
            found[name].add(self._varied(request, keys[2], again))
        return found

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

    def _varied(
        self,
        request: Request,
        key: PRNGKeyArray,
        make: Callable[[Request], Samples],
    ) -> Measured:
        """Measure images made under other conditions, one variation after the other."""
        found = Measured({}, {})
        for place, variation in enumerate(self._run.task.evaluation.variations):
            varied = variation.vary(request, jax.random.fold_in(key, place))
            generated = make(varied)
            found.add(
                measure(
                    {
                        name: functools.partial(value, generated, varied)
                        for name, value in variation.measures.items()
                    }
                )
            )
        return found

    @property
    def _key(self) -> PRNGKeyArray:
        return jax.random.key(self._run.config.seed)

    def _sampled(
        self, networks: Trained, part: str, count: int
    ) -> tuple[Shaped[Array, "3"], Request, Samples]:
        """Return keys, of which two are used, and images under a part's conditions."""
        keys, request = self._request(part, count)
        leaves = jax.tree.leaves(request.condition)
        count = len(leaves[0]) if leaves else count
        generate = self._open_model(networks).sample
        return keys, request, generate(keys[1], request.condition, count)

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
            "memorised": lambda: features.memorised(
                features.nearest(fake().features, self._training_features(count)),
                self._nearest_of_real(part, count),
            ),
            "classes": lambda: classes.class_count(probabilities()),
            "inception_score": lambda: classes.inception_score(probabilities()),
        }

    def _nearest_of_real(self, part: str, count: int) -> Nearest:
        """Return the training images nearest to real ones of a part."""
        if (part, count) not in self._nearest:
            held_out = self._real_features(part, count).features
            training = self._training_features(count)
            self._nearest[part, count] = features.nearest(held_out, training)
        return self._nearest[part, count]

    def _training_features(self, count: int) -> Float[np.ndarray, "_ features"]:
        """Return the features of `count` training images at most, as in training.

        Where training mirrors images, their mirrored features follow.
        """
        plain = self._real_features("train", count).features
        if self._run.config.data.flip == "none":
            return plain
        return np.concatenate([plain, self._real_features(_MIRRORED, count).features])

    def _training_image(self, index: int, count: int) -> Float[np.ndarray, "h w c"]:
        """Return an image by its place among `_training_features`."""
        source = self._run.parts["train"]["real"]
        mirrored, place = divmod(index, min(count, len(source)))
        image = np.asarray(to_float(source[place].image))
        return image[:, ::-1] if mirrored else image

    def _features(self) -> FeatureNetwork:
        if self._feature_network is None:
            raise ValueError(self._reason)
        return self._feature_network

    def _real_features(self, part: str, count: int) -> Embedding:
        if (part, count) not in self._real:
            mirrored = part == _MIRRORED
            source = self._run.parts["train" if mirrored else part]["real"]
            with all_succeeded():
                images = np.asarray(first_images(source, count))
            seen = images[:, :, ::-1] if mirrored else images
            self._real[part, count] = self._features()(seen)
        return self._real[part, count]


def _without_network(
    make: Callable[[Request, Part], Samples], training: Part, request: Request
) -> Samples:
    return make(request, training)


def _collapsed(measured: Measured, count: int, width: int) -> bool:
    """Return whether a generator has collapsed, by as many images as FID needs."""
    features.check_count(count, width)
    diverse, real = (measured.metrics[name] for name in ("diversity", "diversity_real"))
    if not isinstance(diverse, float) or not isinstance(real, float):
        raise ValueError("the diversity is unknown")
    return diverse < COLLAPSED * real
