"""What a task is: functions that training and its report call, whatever the task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, UInt8

from gan_jax.data.feed import Batch
from gan_jax.data.splits import Part
from gan_jax.report.page import Card, Table
from gan_jax.training.method import Condition, Example, Term

Generate = Callable[
    [PRNGKeyArray, PyTree[Array]], Float[np.ndarray, "count height width channels"]
]
"""`generate(key, conditions)`: an image and a fresh latent for each condition."""

Score = Callable[[Float[np.ndarray, "count height width channels"], Condition], float]
"""`score(generated, conditions)`: a figure of merit on images made under conditions."""


class Task(NamedTuple):
    """What a prior is trained for; objectives and networks do not know it."""

    roles: Mapping[str, float]
    """The roles that images play and their shares of every part of the data; `real`
    are those that generated images are compared with."""
    present: Callable[[PRNGKeyArray, Batch], Example]
    """From a batch of the feed to real images and conditions, inside the step."""
    generator_terms: Mapping[str, Term]
    """Addends of the generator's loss beside the adversarial one."""
    conditions: Callable[[Part, PRNGKeyArray, int], Condition]
    """`conditions(part, key, count)`: draws some on a part of the data."""
    scores: Mapping[str, Score]
    """The task's own measures, beside those of any set of generated images."""
    criterion: Sequence[str]
    """The measures, small for good, by which the best epoch is chosen."""
    picture: Callable[[Generate, Part, PRNGKeyArray], UInt8[np.ndarray, "h w 3"]]
    """A plate of generated images to look at."""
    cards: Callable[[Mapping[str, Any]], Sequence[Card]]
    """The key figures for the report from the metrics."""
    caption: str
    """What there is to see on the plate."""
    published: Callable[[str, Mapping[str, Any]], Table | None]
    """`published(dataset, metrics)`: published figures with these beside."""
