"""Tasks: functions that training, evaluation and reports call.

A minimal task is `Task(present)`, where `present` returns `Batch(real)`. A task with
conditions is `Task(present, condition_arrays)`: without these descriptions the
generator has no condition. Everything else has a default.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray, UInt8

from gan_jax.data.feed import ImagesByRole, read
from gan_jax.data.splits import Part
from gan_jax.evaluation.features import FeatureNetwork
from gan_jax.report.cards import diversity_card, fid_card
from gan_jax.report.grids import tile, to_uint8
from gan_jax.report.page import Card, Figure, Table
from gan_jax.training.method import Batch, Condition, Images, Term

Samples = Float[np.ndarray, "count height width channels"]
Picture = UInt8[np.ndarray, "height width 3"]

_ROWS, _COLUMNS = 6, 12  # of the default plate


class Model(NamedTuple):
    """The two trained networks as functions of any number of inputs."""

    sample: Callable[[PRNGKeyArray, Condition, int], Samples]
    """`sample(key, conditions, count)`: images from fresh latents, one under each
    condition; the conditions are None where the task has none."""
    generate: Callable[..., Samples]
    """`generate(latents, conditions=None, chunk=100)`: images of given latents."""
    score: Callable[..., Float[np.ndarray, "count ..."]]
    """`score(images, conditions=None)`: the critic's raw scores."""


class Request(NamedTuple):
    """Conditions under which images are to be generated."""

    condition: Condition
    """A pytree with a leading axis of images; None where the task has none."""
    truth: Any = None
    """The real images that the conditions were taken from, where there are any."""


class ConditionArray(NamedTuple):
    """One array of a condition, as users of the generator need to know it."""

    name: str
    interval: tuple[float, float]
    """The bounds of its values."""
    meaning: str
    of_images: bool = False
    """Whether its values are those of images, in the units of the data."""


Measure = Callable[[Samples, Request], float]
"""`measure(generated, request)`, of images generated under conditions."""


class Variation(NamedTuple):
    """Other conditions for the same images, and what is measured under them."""

    vary: Callable[[Request, PRNGKeyArray], Request]
    """`vary(request, key)`: a request for the same images."""
    measures: Mapping[str, Measure]
    """Measures of images generated under it, by the names of their metrics."""


def _default_cards(metrics: Mapping[str, Any]) -> Sequence[Card]:
    return [
        fid_card(metrics),
        diversity_card("Diversity", "diversity", metrics),
        Card("Precision", metrics.get("precision"), "generated images that look real"),
        Card("Recall", metrics.get("recall"), "real images that could be generated"),
    ]


class TaskEvaluation(NamedTuple):
    """The measures of a task's generators."""

    measures: Mapping[str, Measure] = {}
    """The task's own measures, beside those of any set of generated images."""
    feature_network: FeatureNetwork | None = None
    """The network whose features FID compares; None = a classifier of the data."""
    criterion: Sequence[str] = ("fid",)
    """The measures, small for good, by which the best epoch is chosen."""
    baselines: Mapping[str, Callable[[Request, Part], Samples]] = {}
    """`baseline(request, part)`: images made without a network, from the training part
    alone."""
    variations: Sequence[Variation] = ()
    """Conditions under which images are generated again, and measured."""


class TaskReport(NamedTuple):
    """The parts of a report that depend on the task."""

    plate: Callable[[Model, Part, PRNGKeyArray], Picture] | None = None
    """`plate(model, part, key)`: a picture of what the networks make; None = a grid of
    generated images."""
    caption: str = "Generated images, from the same latents at every step."
    """The caption of the plate."""
    cards: Callable[[Mapping[str, Any]], Sequence[Card]] = _default_cards
    """The key figures among the metrics."""
    published: Callable[[str, Mapping[str, Any]], Table | None] = (
        lambda dataset, metrics: None
    )
    """`published(dataset, metrics)`: published figures beside the metrics."""
    published_along: Callable[[str], Mapping[float, Mapping[str, float]]] = (
        lambda dataset: {}
    )
    """`published_along(dataset)`: published figures by the weight of the task's term,
    then by measure, for a study that varies the weight."""
    figures: Callable[[Model, Part, PRNGKeyArray], Sequence[Figure]] = (
        lambda model, part, key: ()
    )
    """`figures(model, part, key)`: further plots of the best epoch."""
    comparison: Callable[[Mapping[str, Model], Part, PRNGKeyArray], Picture] | None = (
        None
    )
    """`comparison(models, part, key)`: images of several models side by side."""


class Task(NamedTuple):
    """The purpose of a prior; objectives and networks do not depend on it."""

    present: Callable[[PRNGKeyArray, ImagesByRole], Batch]
    """`present(key, images)`: real images and conditions, inside the train step."""
    condition_arrays: Sequence[ConditionArray] = ()
    """One for each array of a condition, in the order of its leaves; none where the
    generator has no condition."""
    generator_terms: Mapping[str, Term] = {}
    """Addends of the generator's loss beside the adversarial one."""
    roles: Mapping[str, float] = {"real": 1.0}
    """The roles that images play and their shares of every part of the data; generated
    images are compared with the `real` ones."""
    channels: Callable[[int], int] = lambda channels: channels
    """`channels(channels)`: channels of generated images, from those of the data."""
    render: Callable[[Images, Condition], Images] = lambda images, condition: images
    """`render(images, condition)`: generated images as the data hold images."""
    critic_condition: Callable[[Condition], Condition] = lambda condition: condition
    """`critic_condition(condition)`: the part of a fake's condition that a conditional
    critic sees; `present` gives its real images the like."""
    points: bool = False
    """Whether images are points of the plane, of unbounded coordinates, and not
    pictures in [-1, 1]."""
    in_colour: bool = False
    """Whether images without colour teach it nothing."""
    requests: Callable[[Part, PRNGKeyArray, int], Request] | None = None
    """`requests(part, key, count)`: conditions for evaluation, fewer than `count` where
    more would repeat them; None = those presented with the first images of a part."""
    training_conditions: Mapping[str, Any] = {}
    """Settings by which conditions are drawn in training, by name, for exports."""
    evaluation: TaskEvaluation = TaskEvaluation()
    report: TaskReport = TaskReport()

    @property
    def conditional(self) -> bool:
        """Whether the generator has a condition."""
        return bool(self.condition_arrays)

    def ask(self, part: Part, key: PRNGKeyArray, count: int) -> Request:
        """Return conditions from a part of the data, `count` at most."""
        if self.requests is not None:
            return self.requests(part, key, count)
        if not self.conditional:
            return Request(None)
        count = min(count, *map(len, part.values()))
        images = {role: read(source, np.arange(count)) for role, source in part.items()}
        return Request(self.present(key, images).condition)

    def draw(self, model: Model, part: Part, key: PRNGKeyArray) -> Picture:
        """Return the plate of a model, on a part of the data."""
        if self.report.plate is not None:
            return self.report.plate(model, part, key)
        conditions = self.ask(part, key, _ROWS * _COLUMNS).condition
        leaves = jax.tree.leaves(conditions)
        count = len(leaves[0]) if leaves else _ROWS * _COLUMNS
        columns = min(_COLUMNS, count)
        images = to_uint8(model.sample(key, conditions, count))
        images = images[: count // columns * columns]
        return tile(images.reshape(-1, columns, *images.shape[1:]), gap=3)
