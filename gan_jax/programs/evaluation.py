"""Measuring and drawing what a generator makes, whatever its task."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, UInt8

from gan_jax.data.feed import read, to_float
from gan_jax.data.sources import Source
from gan_jax.errors import InputError
from gan_jax.evaluation import classes, features
from gan_jax.evaluation.image import diversity
from gan_jax.evaluation.judgement import Judge, Judgement
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.networks.compilation import compiled
from gan_jax.programs.assembly import Run, say
from gan_jax.programs.chunks import chunks, taken
from gan_jax.programs.classifier import open_judge
from gan_jax.tasks.task import Players, Samples
from gan_jax.training.method import Condition
from gan_jax.training.state import Trained, Variables

COLLAPSED = 0.2
"""A generator of less than this share of the real diversity has collapsed."""

_CHUNK = 100  # images generated at once
_PAIRED = 500  # images whose pairwise distances are averaged
_WITHIN = (64, 8)  # conditions, and generations for each


class Evaluation:
    """Measures and draws generators of one run, under fixed keys.

    Real images are judged once for each part of the data.
    """

    def __init__(self, this: Run):
        """Open the classifier; where that fails, the measures that need it do."""
        self._this = this
        self._judge: Judge | None = None
        self._reason = ""
        try:
            settings = this.config.evaluation.classifier
            self._judge = this.task.judge or open_judge(this.official, settings)
        except (InputError, OSError) as error:
            self._reason = str(error)
            say(f"FID and its like cannot be measured: {error}")
        self._real: dict[tuple[str, int], Judgement] = {}
        recipe = this.recipe

        def generate(
            variables: Variables, key: PRNGKeyArray, condition: PyTree[Array]
        ) -> Float[Array, "batch height width channels"]:
            latent = recipe.latent(key, _CHUNK)
            images: Any = recipe.generator.apply(variables, latent, condition)
            return images

        self._generate = compiled(generate)
        self._score = compiled(recipe.critic.apply)

    def using(self, networks: Trained) -> Players:
        """Give networks as the functions that a task draws with."""

        def generate(
            key: PRNGKeyArray, conditions: PyTree[Array], count: int
        ) -> Samples:
            images = []
            for at in chunks(count, _CHUNK):
                chunk = taken(conditions, at)
                fresh = jax.random.fold_in(key, at[0])
                found = self._generate(networks.generator, fresh, chunk)
                images.append(np.asarray(found))
            return np.concatenate(images)[:count]

        def score(
            images: Samples, conditions: PyTree[Array]
        ) -> Float[np.ndarray, "count ..."]:
            scores = [
                np.asarray(
                    self._score(networks.critic, images[at], taken(conditions, at))
                )
                for at in chunks(len(images), _CHUNK)
            ]
            return np.concatenate(scores)[: len(images)]

        return Players(generate, score)

    def draw(self, networks: Trained) -> UInt8[np.ndarray, "h w 3"]:
        """Draw the task's plate on validation images, the same ones at every step."""
        key = jax.random.fold_in(self._key, 1_000_002)
        part = self._this.parts["validation"]
        return self._this.task.picture(self.using(networks), part, key)

    def measure(self, networks: Trained, part: str, count: int) -> Measured:
        """Measure a generator on a part of the data.

        Args:
            networks: the generator is one of them.
            part: `validation` or `test`.
            count: how many images are generated, and how many real ones at most they
                are compared with.
        """
        task = self._this.task
        keys = jax.random.split(jax.random.fold_in(self._key, 1_000_001), 3)
        generate = self.using(networks).generate
        condition = task.conditions(self._this.parts[part], keys[0], count)
        generated = generate(keys[1], condition, count)

        def diversity_within() -> float:
            conditions, repeats = min(count, _WITHIN[0]), _WITHIN[1]
            few = jax.tree.map(
                lambda maps: jnp.repeat(maps[:conditions], repeats, axis=0), condition
            )
            within = generate(keys[2], few, conditions * repeats)
            groups = within.reshape(conditions, repeats, *within.shape[1:])
            return float(np.mean([diversity(images) for images in groups]))

        within = {"diversity_within": diversity_within} if task.conditional else {}
        return self.compare(generated, condition, part, count, within)

    def compare(
        self,
        generated: Samples,
        condition: Condition,
        part: str,
        count: int,
        more: Mapping[str, Callable[[], float]] = {},
    ) -> Measured:
        """Compare generated images, from wherever, with a part of the data.

        Args:
            generated: the images.
            condition: under which they were generated.
            part: `validation` or `test`.
            count: with how many real images at most.
            more: measures beside the task's own and those of any images.
        """
        source = self._this.parts[part]["real"]
        found = measure(
            {
                name: functools.partial(score, generated, condition)
                for name, score in self._this.task.scores.items()
            }
            | {
                "diversity": lambda: diversity(generated[:_PAIRED]),
                "diversity_real": lambda: diversity(_images(source, _PAIRED)),
            }
            | dict(more)
            | self._judged(generated, part, count)
        )
        collapsed = measure({"collapsed": lambda: _collapsed(found)})
        metrics = found.metrics | collapsed.metrics
        if self._judge is not None:
            metrics["fid_count"] = len(generated)
            metrics["fid_real_count"] = min(count, len(source))
            metrics["fid_features"] = self._judge.description
        return Measured(metrics, found.failed | collapsed.failed)

    @property
    def _key(self) -> PRNGKeyArray:
        return jax.random.key(self._this.config.seed)

    def _judged(
        self,
        generated: Float[np.ndarray, "count height width channels"],
        part: str,
        count: int,
    ) -> dict[str, Callable[[], float]]:
        """Give the measures that need the classifier, still to be computed."""

        @functools.cache
        def fake() -> Judgement:
            return self._open_judge()(generated)

        def probabilities() -> Float[np.ndarray, "count classes"]:
            judged = fake().probabilities
            if judged is None:
                raise ValueError("the data set has no labels")
            return judged

        def compared(
            distance: Callable[[np.ndarray, np.ndarray], float],
        ) -> Callable[[], float]:
            return lambda: distance(
                self._judge_real(part, count).features, fake().features
            )

        return {
            "fid": compared(features.frechet_distance),
            "kid": compared(features.kernel_distance),
            "precision": compared(features.precision),
            "recall": compared(features.recall),
            "classes": lambda: classes.class_count(probabilities()),
            "inception_score": lambda: classes.inception_score(probabilities()),
        }

    def _open_judge(self) -> Judge:
        if self._judge is None:
            raise ValueError(self._reason)
        return self._judge

    def _judge_real(self, part: str, count: int) -> Judgement:
        if (part, count) not in self._real:
            images = _images(self._this.parts[part]["real"], count)
            self._real[part, count] = self._open_judge()(images)
        return self._real[part, count]


def _images(
    source: Source, count: int
) -> Float[np.ndarray, "count height width channels"]:
    """Read the first images of a source, in [-1, 1]."""
    first = np.arange(min(count, len(source)))
    return np.asarray(to_float(read(source, first).image))


def _collapsed(found: Measured) -> bool:
    diverse, real = (found.metrics[name] for name in ("diversity", "diversity_real"))
    if not isinstance(diverse, float) or not isinstance(real, float):
        raise ValueError("the diversity is not known")
    return diverse < COLLAPSED * real
