"""One update of the critic or of the generator, for every method.

An update computes the player's loss and its gradient, and applies the optimiser.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from gan_jax.losses.overfitting import real_sign
from gan_jax.networks.stages import image_of
from gan_jax.training.method import (
    Batch,
    Condition,
    Images,
    LossInputs,
    Method,
    Scores,
    Term,
)
from gan_jax.training.state import Player, Variables

CAUSES = (
    "critic parameter",
    "critic statistic",
    "generator parameter",
    "generator statistic",
    "critic batch",
    "critic term",
    "critic gradient",
    "critic update",
    "generator term",
    "generator gradient",
    "generator update",
)
"""Kinds of tensors, in the order in which a value that is not finite spreads."""


class Log(NamedTuple):
    """The log of a step: values to plot, and which tensors were finite."""

    values: dict[str, Float[Array, ""]]
    finite: dict[tuple[str, str], Bool[Array, ""]]
    """By one of `CAUSES` and the path of the tensor."""


def critic_update(
    method: Method,
    critic: Player,
    weights: Mapping[str, Array],
    batch: Batch,
    fake: Images,
    key: PRNGKeyArray,
    frozen: PyTree[Array] = None,
) -> tuple[Player, Log]:
    """Update a critic once on real images and fakes; return it with its log."""

    def loss(parameters: PyTree) -> tuple[Array, tuple[dict[str, Array], Any]]:
        inputs, statistics = _loss_inputs(
            method, parameters, critic.statistics, batch, fake, key, frozen
        )
        total, addends = _total(
            method.objective.critic(inputs.real_scores, inputs.fake_scores),
            method.critic_terms,
            weights,
            inputs,
        )
        means = {
            "real_score": inputs.real_scores.mean(),
            "fake_score": inputs.fake_scores.mean(),
        }
        if method.is_adaptive and method.objective.boundary is not None:
            seen = real_sign(inputs.real_scores, method.objective.boundary)
            means["real_sign"] = seen.ratio
        return total, (addends, (means, statistics))

    return _descend(
        "critic", method.critic_optimizer, critic, loss, method.critic_projection
    )


def generator_update(
    method: Method,
    generator: Player,
    critic: Player,
    weights: Mapping[str, Array],
    batch: Batch,
    key: PRNGKeyArray,
    frozen: PyTree[Array] = None,
    probability: Float[Array, ""] | float = 1.0,
) -> tuple[Player, Log]:
    """Update a generator once under the batch's conditions; return it with its log.

    The critic sees its images augmented with the probability, where the method does so;
    the terms see them as they were generated.
    """
    latent_key, term_key = jax.random.split(key)
    dropout_key = jax.random.fold_in(key, 1)
    view_key = jax.random.fold_in(key, 2)
    latent = method.latent(latent_key, len(jax.tree.leaves(batch.real)[0]))

    def loss(parameters: PyTree) -> tuple[Array, tuple[dict[str, Array], Any]]:
        generated, statistics = generate(
            method,
            parameters,
            generator.statistics,
            latent,
            batch.condition,
            dropout_key,
        )
        fake = image_of(generated)
        seen, seen_fake = critic_view(method, batch, fake, view_key, probability)
        inputs, _ = _loss_inputs(
            method,
            critic.parameters,
            critic.statistics,
            seen,
            seen_fake,
            term_key,
            frozen,
        )
        inputs = inputs._replace(fake=fake, generated=generated, **batch._asdict())
        adversarial = method.objective.generator(inputs.fake_scores, inputs.real_scores)
        total, addends = _total(
            method.adversarial_weight * adversarial,
            method.generator_terms,
            weights,
            inputs,
        )
        return total, (addends, ({}, statistics))

    return _descend("generator", method.generator_optimizer, generator, loss)


def critic_view(
    method: Method,
    batch: Batch,
    fake: Images,
    key: PRNGKeyArray,
    probability: Float[Array, ""] | float,
) -> tuple[Batch, Images]:
    """Return a batch and fakes as the critic sees them in training.

    They are augmented where the method says so, real images and fakes independently,
    and every condition with the image that it goes with.
    """
    batch = batch._replace(condition=method.critic_condition(batch.condition))
    if method.augmentation is None:
        return batch, fake
    keys, augment = jax.random.split(key), method.augmentation.augment
    chance = jnp.asarray(probability, jnp.float32)
    real, real_condition = augment(keys[0], chance, batch.real, batch.real_condition)
    fake, condition = augment(keys[1], chance, fake, batch.condition)
    return Batch(real, condition, real_condition), fake


def critic_scores(
    method: Method, critic: Player, images: Images, condition: Condition
) -> Scores:
    """Return a critic's scores in training mode; its statistics stay."""
    parameters, statistics = critic.parameters, critic.statistics
    return _apply(method.critic, parameters, statistics, images, condition)[0]


def generate(
    method: Method,
    parameters: PyTree[Array],
    statistics: Variables,
    latent: Array | None,
    condition: Condition,
    key: PRNGKeyArray,
) -> tuple[Any, Variables]:
    """Return the generator's output in training mode, and its new statistics."""
    generated, changed, _ = _apply(
        method.generator, parameters, statistics, latent, condition, key=key
    )
    return generated, changed


def finite(cause: str, tree: PyTree[Array]) -> dict[tuple[str, str], Bool[Array, ""]]:
    """Return for every tensor of a tree whether all its values are finite."""
    return {
        (cause, jax.tree_util.keystr(path, simple=True, separator="/")): (
            jnp.isfinite(leaf).all()
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    }


def _descend(
    name: str,
    optimizer: optax.GradientTransformation,
    player: Player,
    loss: Callable[[PyTree], tuple[Array, tuple[dict[str, Array], Any]]],
    project: Callable[[PyTree], PyTree] = lambda parameters: parameters,
) -> tuple[Player, Log]:
    (total, (addends, (means, statistics))), gradients = jax.value_and_grad(
        loss, has_aux=True
    )(player.parameters)
    updates, optimizer_state = optimizer.update(
        gradients, player.optimizer, player.parameters
    )
    parameters = project(optax.apply_updates(player.parameters, updates))
    updated = Player(parameters, statistics, optimizer_state)
    values = {"loss": total, **addends, **means}
    log = Log(
        {f"{name}/{term}": value for term, value in values.items()},
        finite(f"{name} term", addends)
        | finite(f"{name} gradient", gradients)
        # The next step would find these too, but a checkpoint may come before it.
        | finite(f"{name} update", updated),
    )
    return updated, log


def _apply(
    module: nn.Module,
    parameters: PyTree,
    statistics: Variables,
    *inputs: Any,
    key: PRNGKeyArray | None = None,
) -> tuple[Any, Variables, Any]:
    """Return a network's output in training mode, its new statistics and its codes."""
    output, changed = module.apply(
        {"params": parameters, **statistics},
        *inputs,
        train=True,
        mutable=[*statistics, "codes"],
        rngs=None if key is None else {"dropout": key},
    )
    changed = dict(changed)
    codes = changed.pop("codes", None)
    return output, changed, codes


def _total(
    adversarial: Array,
    terms: Mapping[str, Term],
    weights: Mapping[str, Array],
    inputs: LossInputs,
) -> tuple[Array, dict[str, Array]]:
    """Return the sum of the addends of a loss, and each addend by name."""
    addends = {"adversarial": adversarial.mean()}
    for name, term in terms.items():
        addends[name] = weights[name] * jnp.mean(term.value(inputs))
    return sum(addends.values(), jnp.zeros(())), addends


def _loss_inputs(
    method: Method,
    parameters: PyTree,
    statistics: Variables,
    batch: Batch,
    fake: Images,
    key: PRNGKeyArray,
    frozen: PyTree[Array],
) -> tuple[LossInputs, Variables]:
    """Return the inputs of the losses, and the critic's new statistics.

    All images are as the critic sees them.
    """

    def score(images: Images, condition: Condition) -> Scores:
        module = method.penalised or method.critic
        return _apply(module, parameters, statistics, images, condition)[0]

    # Real and fake pass separately: batch normalisation must not mix the two.
    real_scores, changed, _ = _apply(
        method.critic, parameters, statistics, batch.real, batch.real_condition
    )
    fake_scores, changed, codes = _apply(
        method.critic, parameters, changed, fake, batch.condition
    )
    inputs = LossInputs(
        real=batch.real,
        fake=fake,
        real_scores=real_scores,
        fake_scores=fake_scores,
        codes=codes,
        condition=batch.condition,
        real_condition=batch.real_condition,
        critic=score,
        frozen=frozen,
        key=key,
    )
    return inputs, changed
