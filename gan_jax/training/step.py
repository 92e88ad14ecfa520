"""One training step for every objective and every task.

What a method is, is a `Recipe`: networks and pure functions. The step makes fakes,
updates the critic on them as often as the recipe says, then updates the generator
once; it knows no method by name. Statics are closed over, arrays never are.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from gan_jax.data.feed import Batch
from gan_jax.networks.stages import image_of
from gan_jax.training.method import (
    Condition,
    Example,
    Images,
    Play,
    Recipe,
    Scores,
    Term,
)
from gan_jax.training.state import Player, TrainState, Variables, moving_average

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
"""Kinds of tensors in the order in which one that is not finite spoils the next."""


State = TypeVar("State")
"""What a step takes and gives: of a whole run, or of one network alone."""


class Log(NamedTuple):
    """What a step reports: numbers to plot, and what of it was finite."""

    values: dict[str, Float[Array, ""]]
    finite: dict[str, Bool[Array, ""]]
    """By the tensor's name: one of `CAUSES`, and which."""


def initial_state(
    recipe: Recipe, key: PRNGKeyArray, batch: Batch, step: int = 0
) -> TrainState:
    """Initialise every array of a run from a key and one batch (for its shapes)."""
    keys = jax.random.split(key, 4)
    example = recipe.present(keys[0], batch)
    count = len(jax.tree.leaves(example.real)[0])
    generator = recipe.generator.init(
        keys[1], recipe.latent(keys[0], count), example.condition, train=True
    )
    critic = recipe.critic.init(
        keys[2], example.real, example.real_condition, train=True
    )
    zero = jnp.zeros((), jnp.int32) + step
    return TrainState(
        step=zero,
        critic_step=zero,
        key=keys[3],
        generator=_player(dict(generator), recipe.generator_optimizer),
        critic=_player(dict(critic), recipe.critic_optimizer),
        average=jax.tree.map(jnp.copy, dict(generator)),
        weights={
            player: {name: jnp.float32(term.weight) for name, term in terms.items()}
            for player, terms in (
                ("generator", recipe.generator_terms),
                ("critic", recipe.critic_terms),
            )
        },
    )


def _player(variables: Variables, optimizer: optax.GradientTransformation) -> Player:
    statistics = {key: value for key, value in variables.items() if key != "params"}
    statistics.pop("codes", None)
    return Player(variables["params"], statistics, optimizer.init(variables["params"]))


def _apply(
    module: nn.Module,
    parameters: PyTree,
    statistics: Variables,
    *inputs: Any,
    key: PRNGKeyArray | None = None,
) -> tuple[Any, Variables, Any]:
    """Run a module in training mode; returns output, new statistics, codes.

    Args:
        module: a network.
        parameters: its own.
        statistics: its other collections.
        inputs: what it is called with.
        key: of dropout, where it has any.
    """
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
    play: Play,
) -> tuple[Array, dict[str, Array]]:
    """Sum the addends of a loss and keep each under its name."""
    addends = {"adversarial": adversarial.mean()}
    for name, term in terms.items():
        addends[name] = weights[name] * jnp.mean(term.value(play))
    return sum(addends.values(), jnp.zeros(())), addends


def _play(
    recipe: Recipe,
    parameters: PyTree,
    statistics: Variables,
    example: Example,
    fake: Images,
    key: PRNGKeyArray,
    frozen: PyTree[Array],
    generated: Any = None,
) -> tuple[Play, Variables]:
    """Let a critic see real and fake; returns also its new statistics."""

    def judge(images: Images, condition: Condition) -> Scores:
        module = recipe.penalised or recipe.critic
        return _apply(module, parameters, statistics, images, condition)[0]

    # Real and fake pass separately: batch normalisation must not mix the two.
    real_scores, changed, _ = _apply(
        recipe.critic, parameters, statistics, example.real, example.real_condition
    )
    fake_scores, changed, codes = _apply(
        recipe.critic, parameters, changed, fake, example.condition
    )
    play = Play(
        real=example.real,
        fake=fake,
        real_scores=real_scores,
        fake_scores=fake_scores,
        codes=codes,
        condition=example.condition,
        real_condition=example.real_condition,
        critic=judge,
        frozen=frozen,
        key=key,
        generated=generated,
    )
    return play, changed


def critic_update(
    recipe: Recipe,
    critic: Player,
    weights: Mapping[str, Array],
    example: Example,
    fake: Images,
    key: PRNGKeyArray,
    frozen: PyTree[Array] = None,
) -> tuple[Player, Log]:
    """Update a critic once on real images and given fakes, wherever those come from."""

    def loss(parameters: PyTree) -> tuple[Array, tuple[dict[str, Array], Any]]:
        play, statistics = _play(
            recipe, parameters, critic.statistics, example, fake, key, frozen
        )
        total, addends = _total(
            recipe.objective.critic(play.real_scores, play.fake_scores),
            recipe.critic_terms,
            weights,
            play,
        )
        means = {
            "real_score": play.real_scores.mean(),
            "fake_score": play.fake_scores.mean(),
        }
        return total, (addends, (means, statistics))

    return _descend(
        "critic", recipe.critic_optimizer, critic, loss, recipe.critic_projection
    )


def generator_update(
    recipe: Recipe,
    generator: Player,
    critic: Player,
    weights: Mapping[str, Array],
    example: Example,
    key: PRNGKeyArray,
    frozen: PyTree[Array] = None,
) -> tuple[Player, Log]:
    """Update a generator once against a critic."""
    latent_key, term_key = jax.random.split(key)
    dropout_key = jax.random.fold_in(key, 1)
    latent = recipe.latent(latent_key, len(jax.tree.leaves(example.real)[0]))

    def loss(parameters: PyTree) -> tuple[Array, tuple[dict[str, Array], Any]]:
        generated, statistics, _ = _apply(
            recipe.generator,
            parameters,
            generator.statistics,
            latent,
            example.condition,
            key=dropout_key,
        )
        play, _ = _play(
            recipe,
            critic.parameters,
            critic.statistics,
            example,
            image_of(generated),
            term_key,
            frozen,
            generated,
        )
        adversarial = recipe.objective.generator(play.fake_scores, play.real_scores)
        total, addends = _total(
            recipe.adversarial_weight * adversarial,
            recipe.generator_terms,
            weights,
            play,
        )
        return total, (addends, ({}, statistics))

    return _descend("generator", recipe.generator_optimizer, generator, loss)


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


def finite(name: str, tree: PyTree[Array]) -> dict[str, Bool[Array, ""]]:
    """Tell for every tensor of a tree, by name, whether all of it is finite."""
    return {
        f"{name} {jax.tree_util.keystr(path, simple=True, separator='/')}": (
            jnp.isfinite(leaf).all()
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    }


def make_step(
    recipe: Recipe,
    batch: Callable[[PyTree, Int[Array, ""]], Batch],
    shard: Callable[[PyTree], PyTree] = lambda tree: tree,
) -> Callable[[TrainState, PyTree, PyTree], tuple[TrainState, Log]]:
    """Make the step: critic updates by the recipe's schedule, one generator update.

    Args:
        recipe: the method.
        batch: `batch(arrays, critic_step)`, from the feed.
        shard: constrains a batched tree to its place on a mesh of devices.

    Returns:
        `step(state, arrays, frozen) -> (state, log)`, pure and compilable. The log
        holds the last critic update's numbers and the generator's.
    """

    def example_at(state: TrainState, arrays: PyTree, critic_step: Array) -> Example:
        key = jax.random.fold_in(jax.random.fold_in(state.key, 0), critic_step)
        return shard(recipe.present(key, batch(arrays, critic_step)))

    def step(
        state: TrainState, arrays: PyTree, frozen: PyTree = None
    ) -> tuple[TrainState, Log]:
        def update_critic(critic: Player, critic_step: Array) -> tuple[Player, Log]:
            key = jax.random.fold_in(jax.random.fold_in(state.key, 1), critic_step)
            latent_key, term_key = jax.random.split(key)
            example = example_at(state, arrays, critic_step)
            count = len(jax.tree.leaves(example.real)[0])
            generated, _, _ = _apply(
                recipe.generator,
                state.generator.parameters,
                state.generator.statistics,
                shard(recipe.latent(latent_key, count)),
                example.condition,
                key=jax.random.fold_in(key, 1),
            )
            critic, log = critic_update(
                recipe,
                critic,
                state.weights["critic"],
                example,
                image_of(generated),
                term_key,
                frozen,
            )
            return critic, Log(log.values, finite("critic batch", example) | log.finite)

        def again(turn: Array, carry: tuple[Player, Log]) -> tuple[Player, Log]:
            critic, before = carry
            critic, log = update_critic(critic, state.critic_step + turn)
            sound = jax.tree.map(jnp.logical_and, before.finite, log.finite)
            return critic, Log(log.values, sound)

        turns = recipe.critic_steps(state.step)
        shapes = jax.eval_shape(update_critic, state.critic, state.critic_step)[1]
        blank = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), shapes)
        critic, log = jax.lax.fori_loop(0, turns, again, (state.critic, blank))
        critic_step = state.critic_step + turns

        # The generator plays on the last critic step's batch.
        generator, generator_log = generator_update(
            recipe,
            state.generator,
            critic,
            state.weights["generator"],
            example_at(state, arrays, critic_step - 1),
            jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step),
            frozen,
        )
        average = moving_average(
            state.average, generator.variables, state.step, recipe.average_decay
        )
        entered = {
            f"{name} {kind}": tree
            for name, player in (
                ("generator", state.generator),
                ("critic", state.critic),
            )
            for kind, tree in (
                ("parameter", player.parameters),
                ("statistic", player.statistics),
            )
        }
        sound = log.finite | generator_log.finite
        for name, tree in entered.items():
            sound |= finite(name, tree)
        state = state._replace(
            step=state.step + 1,
            critic_step=critic_step,
            generator=generator,
            critic=critic,
            average=average,
        )
        return state, Log(log.values | generator_log.values, sound)

    return step


def make_stretch(
    step: Callable[[State, PyTree, PyTree], tuple[State, Log]], longest: int
) -> Callable[..., tuple[State, Log]]:
    """Fuse up to `longest` steps into one compiled call, without the host between.

    Returns:
        `stretch(state, arrays, count, frozen) -> (state, logs)`, where `logs` has a
        leading axis of `longest`, filled up to `count`. The number of steps is
        traced: one program serves every length, and as its body is the same, results
        do not depend on how a run is cut into stretches.
    """

    def stretch(
        state: State, arrays: PyTree, count: Int[Array, ""], frozen: PyTree = None
    ) -> tuple[State, Log]:
        def again(turn: Array, carry: tuple[State, Log]) -> Any:
            state, logs = carry
            state, log = step(state, arrays, frozen)
            return state, jax.tree.map(
                lambda rows, row: rows.at[turn].set(row), logs, log
            )

        shapes = jax.eval_shape(step, state, arrays, frozen)[1]
        logs = jax.tree.map(
            lambda leaf: jnp.ones((longest, *leaf.shape), leaf.dtype), shapes
        )
        return jax.lax.fori_loop(0, count, again, (state, logs))

    return stretch
