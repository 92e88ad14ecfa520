"""Generation from the latent alone: images like those of the data."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, UInt8

from gan_jax.data.feed import Batch, to_float
from gan_jax.data.splits import Part
from gan_jax.report.grids import tile, to_uint8
from gan_jax.report.page import Card
from gan_jax.tasks.cards import diversity_card, fid_card
from gan_jax.tasks.task import Asked, Model, Task
from gan_jax.training.method import Example

_ROWS, _COLUMNS = 6, 12


def present(key: PRNGKeyArray, batch: Batch) -> Example:
    """Return the real images; there is no condition."""
    return Example(to_float(jnp.asarray(batch["real"].image)), None, None)


def task() -> Task:
    """Make the task."""
    return Task(
        roles={"real": 1.0},
        told=(),
        present=present,
        generator_terms={},
        ask=lambda part, key, count: Asked(None, None),
        scores={},
        judge=None,
        criterion=("fid",),
        picture=_picture,
        cards=_cards,
        caption="Images generated from random latents, the same ones at every step.",
        published=lambda dataset, metrics: None,
    )


def _picture(model: Model, part: Part, key: PRNGKeyArray) -> UInt8[np.ndarray, "h w 3"]:
    images = to_uint8(model.sample(key, None, _ROWS * _COLUMNS))
    return tile(images.reshape(_ROWS, _COLUMNS, *images.shape[1:]), gap=3)


def _cards(metrics: Mapping[str, Any]) -> Sequence[Card]:
    return [
        fid_card(metrics),
        diversity_card("Diversity", "diversity", metrics),
        Card("Precision", metrics.get("precision"), "generated images that look real"),
        Card("Recall", metrics.get("recall"), "real images that could be generated"),
    ]
