"""What a task is: functions that training and its report call, whatever the task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, PRNGKeyArray, UInt8

from gan_jax.data.feed import Batch
from gan_jax.data.splits import Part
from gan_jax.evaluation.features import FeatureNetwork
from gan_jax.report.page import Card, Figure, Table
from gan_jax.training.method import Condition, Example, Images, Term

Samples = Float[np.ndarray, "count height width channels"]


class Model(NamedTuple):
    """The two trained networks as functions of any number of inputs."""

    sample: Callable[[PRNGKeyArray, Condition, int], Samples]
    """`sample(key, conditions, count)`: images from fresh latents, one under each
    condition; the conditions are None where the task has none."""
    generate: Callable[..., Samples]
    """`generate(latents, conditions=None, chunk=100)`: images of given latents."""
    score: Callable[..., Float[np.ndarray, "count ..."]]
    """`score(images, conditions=None)`: the critic's raw scores."""


class Asked(NamedTuple):
    """What generators are asked for, and what it might have been."""

    condition: Condition
    """A pytree with a leading axis of images; None where the task has none."""
    truth: Samples | None
    """The real images that the conditions were taken from, where there are such."""


class Told(NamedTuple):
    """One array of a condition, as a user of the generator needs to know it."""

    name: str
    interval: tuple[float, float]
    """In which its values lie."""
    meaning: str


Score = Callable[[Samples, Asked], float]
"""`score(generated, asked)`: a figure of merit on images made as they were asked for.
"""


def _as_they_are(images: Images, condition: Condition) -> Images:
    return images


class Task(NamedTuple):
    """What a prior is trained for; objectives and networks do not know it."""

    roles: Mapping[str, float]
    """The roles that images play and their shares of every part of the data; `real`
    are those that generated images are compared with."""
    told: Sequence[Told]
    """The arrays of a condition, in the order of its leaves; none where the generator
    is told no condition."""
    present: Callable[[PRNGKeyArray, Batch], Example]
    """From a batch of the feed to real images and conditions, inside the step."""
    generator_terms: Mapping[str, Term]
    """Addends of the generator's loss beside the adversarial one."""
    ask: Callable[[Part, PRNGKeyArray, int], Asked]
    """`ask(part, key, count)`: draws conditions on a part of the data, fewer than
    `count` where more would be the same ones again."""
    scores: Mapping[str, Score]
    """The task's own measures, beside those of any set of generated images."""
    judge: FeatureNetwork | None
    """What tells the data apart; None = a classifier trained on it."""
    criterion: Sequence[str]
    """The measures, small for good, by which the best epoch is chosen."""
    picture: Callable[[Model, Part, PRNGKeyArray], UInt8[np.ndarray, "h w 3"]]
    """A plate to look at: what the networks make or think."""
    cards: Callable[[Mapping[str, Any]], Sequence[Card]]
    """The key figures for the report from the metrics."""
    caption: str
    """What there is to see on the plate."""
    published: Callable[[str, Mapping[str, Any]], Table | None]
    """`published(dataset, metrics)`: published figures with these beside."""
    channels: Callable[[int], int] = lambda channels: channels
    """From the channels of the data to those that a generator makes."""
    render: Callable[[Images, Condition], Images] = _as_they_are
    """From what a generator makes under conditions to images as the data hold them."""
    baselines: Mapping[str, Callable[[Asked, Part], Samples]] = {}
    """`baseline(asked, part)`: images made without a network, from what the training
    part alone tells."""
    training_conditions: Mapping[str, Any] = {}
    """How the conditions of training were drawn, by name, for those who use the
    generator."""
    published_along: Callable[[str], Mapping[float, Mapping[str, float]]] = (
        lambda dataset: {}
    )
    """`published_along(dataset)`: published figures by the task's weight, then by
    measure, for a study that sweeps it."""
    figures: Callable[[Model, Part, PRNGKeyArray], Sequence[Figure]] = (
        lambda model, part, key: ()
    )
    """Further plots of the networks of the best epoch, for the report."""
    comparison: (
        Callable[[Mapping[str, Model], Part, PRNGKeyArray], UInt8[np.ndarray, "h w 3"]]
        | None
    ) = None
    """A plate of several generators' images side by side, by name."""

    @property
    def conditional(self) -> bool:
        """Whether the generator is told a condition."""
        return bool(self.told)
