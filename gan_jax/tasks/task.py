"""What a task is: functions that training and its report call, whatever the task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, UInt8

from gan_jax.data.feed import Batch
from gan_jax.data.splits import Part
from gan_jax.evaluation.judgement import Judge
from gan_jax.report.page import Card, Table
from gan_jax.training.method import Condition, Example, Term

Samples = Float[np.ndarray, "count height width channels"]


class Players(NamedTuple):
    """The two trained networks as plain functions, as a picture of them needs."""

    generate: Callable[[PRNGKeyArray, PyTree[Array], int], Samples]
    """`generate(key, conditions, count)`: that many images from fresh latents, one
    under each condition; the conditions are None where the task has none."""
    score: Callable[[Samples, PyTree[Array]], Float[np.ndarray, "count ..."]]
    """`score(images, conditions)`: the critic's raw scores."""


Score = Callable[[Samples, Condition], float]
"""`score(generated, conditions)`: a figure of merit on images made under conditions."""


class Task(NamedTuple):
    """What a prior is trained for; objectives and networks do not know it."""

    roles: Mapping[str, float]
    """The roles that images play and their shares of every part of the data; `real`
    are those that generated images are compared with."""
    conditional: bool
    """Whether the generator is told a condition."""
    present: Callable[[PRNGKeyArray, Batch], Example]
    """From a batch of the feed to real images and conditions, inside the step."""
    generator_terms: Mapping[str, Term]
    """Addends of the generator's loss beside the adversarial one."""
    conditions: Callable[[Part, PRNGKeyArray, int], Condition]
    """`conditions(part, key, count)`: draws some on a part of the data."""
    scores: Mapping[str, Score]
    """The task's own measures, beside those of any set of generated images."""
    judge: Judge | None
    """What tells the data apart; None = a classifier trained on it."""
    criterion: Sequence[str]
    """The measures, small for good, by which the best epoch is chosen."""
    picture: Callable[[Players, Part, PRNGKeyArray], UInt8[np.ndarray, "h w 3"]]
    """A plate to look at: what the networks make or think."""
    cards: Callable[[Mapping[str, Any]], Sequence[Card]]
    """The key figures for the report from the metrics."""
    caption: str
    """What there is to see on the plate."""
    published: Callable[[str, Mapping[str, Any]], Table | None]
    """`published(dataset, metrics)`: published figures with these beside."""
