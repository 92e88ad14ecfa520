"""Generation under a handful of known pixels.

Ruffino, Herault, Laloy & Gasso 2019 (arXiv 1911.00689, 2002.01281): the generator sees
a sparse map of known pixels and is held to them by a weighted mean squared error; the
images that the constraints come from are never shown to the critic as real.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

from gan_jax.data.feed import Batch, to_float
from gan_jax.data.masks import Known, fixed_pixels, known, random_pixels
from gan_jax.data.splits import Part
from gan_jax.evaluation.image import diversity, pixel_mse
from gan_jax.evaluation.measure import Measured, measure
from gan_jax.losses.reconstruction import pixel_fidelity
from gan_jax.report.grids import constraint_grid
from gan_jax.report.page import Card
from gan_jax.tasks.task import Generate, Task
from gan_jax.training.method import Example, Play, Term

CONSTRAINT_SHARE = 0.2
"""Share of every part of the data that is set aside for constraints (section 4)."""
COLLAPSED = 0.2
"""A generator of less than this share of the real diversity has collapsed."""

_PAIRED = 500  # images whose pairwise distances are averaged
_WITHIN = (64, 8)  # conditions, and generations for each


def _draw_mask(
    key: PRNGKeyArray, batch: int, size: int, pixels: int | Float[Array, "size size"]
) -> Float[Array, "batch size size 1"]:
    if isinstance(pixels, int):
        return random_pixels(key, batch, size, pixels)
    return fixed_pixels(pixels, batch)


def _fidelity(play: Play) -> Float[Array, "batch"]:
    return pixel_fidelity(play.fake, play.condition.values, play.condition.mask)


def task(size: int, pixels: int | Float[Array, "size size"], weight: float) -> Task:
    """Make the task.

    Args:
        size: height and width of the images.
        pixels: how many pixels are known, other ones in every image, or a fixed
            pattern of them (1 = known).
        weight: lambda, of the mean squared error over known pixels; 0 with a critic
            that does not see the condition is the plain GAN.
    """

    def present(key: PRNGKeyArray, batch: Batch) -> Example:
        real, source = (to_float(batch[role].image) for role in ("real", "constraint"))
        keys = jax.random.split(key)
        masks = [_draw_mask(each, len(real), size, pixels) for each in keys]
        # Where the critic sees conditions, a real image comes with its own pixels.
        return Example(real, known(source, masks[0]), known(real, masks[1]))

    def draw(part: Part, key: PRNGKeyArray, count: int) -> tuple[Array, Known]:
        """Draw constraints from the images set aside, repeated under other masks."""
        source = part["constraint"]
        chosen = np.arange(count) % len(source)
        images = to_float(
            jnp.asarray(np.stack([source[int(at)].image for at in chosen]))
        )
        return images, known(images, _draw_mask(key, count, size, pixels))

    def evaluate(
        generate: Generate, part: Part, key: PRNGKeyArray, count: int
    ) -> Measured:
        keys = jax.random.split(key, 3)
        _, condition = draw(part, keys[0], count)
        generated = generate(keys[1], condition)
        conditions, repeats = _WITHIN
        few = jax.tree.map(
            lambda maps: jnp.repeat(maps[:conditions], repeats, axis=0), condition
        )
        within = generate(keys[2], few)
        within = within.reshape(-1, repeats, *within.shape[1:])
        source = part["real"]
        real = np.stack(
            [source[at].image for at in range(min(len(source), _PAIRED))]
        ).astype(np.float64)
        measured = measure(
            {
                "pixel_mse": lambda: pixel_mse(generated, *map(np.asarray, condition)),
                "diversity": lambda: diversity(generated[:_PAIRED]),
                "diversity_within": lambda: float(
                    np.mean([diversity(images) for images in within])
                ),
                "diversity_real": lambda: diversity(real / 127.5 - 1),
            }
        )
        metrics, failed = measured
        collapsed = measure(
            {
                "collapsed": lambda: bool(
                    metrics["diversity"] < COLLAPSED * metrics["diversity_real"]  # type: ignore[operator]
                )
            }
        )
        return Measured(metrics | collapsed.metrics, failed | collapsed.failed)

    def picture(
        generate: Generate, part: Part, key: PRNGKeyArray
    ) -> UInt8[np.ndarray, "h w 3"]:
        rows, columns = 6, 6
        keys = jax.random.split(key)
        originals, condition = draw(part, keys[0], rows)
        repeated = jax.tree.map(lambda maps: jnp.repeat(maps, columns, 0), condition)
        generated = generate(keys[1], repeated)
        return constraint_grid(
            np.asarray(condition.values),
            np.asarray(condition.mask),
            generated.reshape(rows, columns, *generated.shape[1:]),
            original=np.asarray(originals),
        )

    return Task(
        roles={"real": 1 - CONSTRAINT_SHARE, "constraint": CONSTRAINT_SHARE},
        present=present,
        generator_terms=(
            {"pixel_fidelity": Term(weight, _fidelity)} if weight > 0 else {}
        ),
        evaluate=evaluate,
        picture=picture,
        cards=_cards,
        caption=(
            "Each row: the known pixels alone, the unseen image they were taken from, "
            "and generations for the same pixels from different latents. A thin teal "
            "ring is a constraint met, a thick orange one a constraint missed."
        ),
    )


def _cards(metrics: Mapping[str, Any]) -> Sequence[Card]:
    def share(name: str) -> tuple[float | None, str]:
        value, real = metrics.get(name), metrics.get("diversity_real")
        if value is None or not real:
            return value, "not measured"
        return value, f"{value / real:.0%} of the real images' {real:.3f}"

    diverse, within = share("diversity"), share("diversity_within")
    return [
        Card(
            "Constraint error",
            metrics.get("pixel_mse"),
            "mean squared error on known pixels, images in [-1, 1]",
        ),
        Card("Diversity", *diverse, good=not metrics.get("collapsed", True)),
        Card("Diversity for the same pixels", *within),
    ]
