"""A generator and its critic that refine samples together, at any stage.

Liu, Kothari & Alahi 2019 (arXiv 1902.00633), and with known pixels Mortiniera 2020.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from gan_jax.losses import inpainting
from gan_jax.search.refinement import (
    Problem,
    Refined,
    Refinement,
    critic_cost,
    pasted,
    price,
    refine,
)

Images = Float[Array, "batch height width channels"]
Activations = Float[Array, "batch ..."]


class Collaboration(NamedTuple):
    """Who refines what, and how; no arrays."""

    generator: nn.Module
    critic: nn.Module
    layer: int = 1
    """The stage of the generator whose input is refined: 0 is the latent, the number
    of stages the image itself."""
    unlikely: Callable[..., Array] = inpainting.PRIORS["nonsaturating"]
    rate: float = 0.1
    momentum: float = 0.9
    steps: int = 50
    """At most."""
    probabilistic: bool = False
    """Whether examples end after numbers of steps drawn for each, which keeps more
    diversity, or where they are as good as the median real image, the best kept."""
    slots: int = 64
    """Refined at once."""


def propose(
    who: Collaboration,
    generator: PyTree[Array],
    latents: PyTree[Array],
    condition: PyTree[Array] = None,
) -> Activations:
    """Give what the first stages make of latents."""
    activations: Any = who.generator.apply(
        generator, latents, condition, stop=who.layer
    )
    return activations


def paint(
    who: Collaboration,
    generator: PyTree[Array],
    activations: Activations,
    problems: Problem,
) -> Images:
    """Give the images of activations, with the pixels that are known."""
    images: Any = who.generator.apply(
        generator, activations, problems.condition, start=who.layer
    )
    return pasted(images, problems)


def costs(
    who: Collaboration,
    critic: PyTree[Array],
    images: Images,
    condition: PyTree[Array] = None,
) -> Float[Array, " batch"]:
    """Give how unlikely each image is to a critic."""
    scores: Any = who.critic.apply(critic, images, condition)
    return jax.vmap(lambda one: price(who.unlikely, one))(scores)


class Stops(NamedTuple):
    """Where examples end."""

    limits: Int[Array, " batch"]
    """Steps at most."""
    threshold: Float[Array, ""]
    """A cost that is good enough."""


def stops(
    who: Collaboration,
    key: PRNGKeyArray,
    count: int,
    real_costs: Float[Array, " real"],
) -> Stops:
    """Choose where so many examples end.

    Args:
        who: whether by lot, or by what real images cost.
        key: of the lots.
        count: of examples.
        real_costs: what the critic that refines says of real images.
    """
    if who.probabilistic:
        limits = jax.random.randint(key, (count,), 0, who.steps + 1)
        return Stops(limits, jnp.float32(-jnp.inf))
    limits = jnp.full(count, who.steps, jnp.int32)
    return Stops(limits, jnp.median(real_costs).astype(jnp.float32))


def improve(
    who: Collaboration,
    generator: PyTree[Array],
    critic: PyTree[Array],
    activations: Activations,
    problems: Problem,
    stops: Stops,
) -> Refined:
    """Refine proposals at a stage of the generator.

    An example's result does not depend on those beside it.
    """

    def tail(activation: Array, condition: PyTree[Array]) -> Array:
        return _of_one(who.generator, generator, activation, condition, start=who.layer)

    def score(image: Array, condition: PyTree[Array]) -> Array:
        return _of_one(who.critic, critic, image, condition)

    cost = critic_cost(tail, score, who.unlikely)
    settings = Refinement(cost, who.rate, who.momentum, not who.probabilistic)
    return refine(settings, activations, problems, *stops, who.slots)


def _of_one(
    module: nn.Module,
    variables: PyTree[Array],
    one: Array,
    condition: PyTree[Array],
    **settings: Any,
) -> Array:
    """Apply a network to one example."""
    batch = jax.tree.map(lambda leaf: leaf[None], (one, condition))
    outputs: Any = module.apply(variables, *batch, **settings)
    return outputs[0]


def guarded(
    refined: Refined,
    before: Float[Array, " batch"],
    after: Float[Array, " batch"],
    slack: float = 0.0,
) -> Bool[Array, " batch"]:
    """Tell which examples are to be kept as refined: all that is known agrees.

    The critic must find the refined image likelier, and it must fit its known pixels no
    worse than the proposal does. What is missing is never looked at.

    Args:
        refined: what became of the proposals.
        before: the jump across the edges of holes in the proposals
            (`losses.inpainting.seam`); 0 where nothing is known.
        after: the same in the refined.
        slack: the part by which the jump may grow.
    """
    return (refined.cost < refined.proposed) & (after <= before * (1 + slack))
