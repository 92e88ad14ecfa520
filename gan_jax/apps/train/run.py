"""Train a prior: prepare, train, evaluate, report."""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree, UInt32
from ml_collections import ConfigDict

from gan_jax.apps.train.outputs import Outputs
from gan_jax.apps.train.results import conclude
from gan_jax.apps.train.setup import Run, prepare
from gan_jax.apps.train.teacher import keep_teacher
from gan_jax.config.errors import DivergedError
from gan_jax.networks.compilation import compiled, run_once
from gan_jax.runs.loop import Advance, due, iterate, steps_left
from gan_jax.runs.signals import Signals
from gan_jax.runs.workdir import check_shared, check_workdir, claimed
from gan_jax.training.distributed import all_succeeded, check_same
from gan_jax.training.mesh import replicated
from gan_jax.training.population import (
    Population,
    gather,
    load_together,
    make_population,
    members,
)
from gan_jax.training.state import TrainState
from gan_jax.training.step import initial_state, make_step, make_stretch
from gan_jax.training.updates import Log


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train, or continue, the run of a config in a workdir; evaluate and report.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: The user can mend it; nothing was overwritten.
        OSError: The disk failed; the same call continues once it is mended.
        DivergedError: A value was not finite; the last good checkpoint is kept.
        Interrupted: By SIGINT or SIGTERM, after saving; the same call continues.
    """
    (outcome,) = run_together([config], [workdir])
    if isinstance(outcome, DivergedError):
        raise outcome
    return outcome


def run_together(
    configs: Sequence[ConfigDict], workdirs: Sequence[Path]
) -> list[dict[str, Any] | DivergedError]:
    """Train runs that differ in their seed alone, as one program where that pays.

    Every run ends with the same files as if it had been trained alone. Runs that were
    stopped at different steps continue one after the other.

    Returns:
        The summary of each run, or why it diverged.

    Raises:
        InputError, OSError, Interrupted: As `run`.
    """
    began = time.monotonic()
    with all_succeeded():
        pairs = [*zip(configs, workdirs, strict=True)]
        earlier = [check_workdir(*each) for each in pairs]
        runs = [prepare(*each) for each in pairs]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        for run in runs:
            check_same(run.digest, "training images")
            with all_succeeded():
                enter(claimed(run.config, run.workdir, run.skipped))
            if run.teacher is not None:
                check_same(run.teacher["sha256"], "teacher")
                keep_teacher(run.teacher, run.workdir)
            with all_succeeded():
                check_shared(run.workdir)
        outputs = [Outputs(run, stack) for run in runs]
        signals = enter(Signals())
        states = [each.restore(initialise(each.run)) for each in outputs]
        outcomes: dict[int, dict[str, Any] | DivergedError] = {}
        for group in _groups(states):
            ended, timing = train(
                [outputs[at] for at in group], [states[at] for at in group], signals
            )
            # Now, so that an error in the next group costs no summary of this one.
            for at, state in zip(group, ended, strict=True):
                summary = earlier[at] or {}
                outcomes[at] = outputs[at].failure or conclude(
                    outputs[at], state, timing or summary.get("timing"), began
                )
            began = time.monotonic()
        return [outcomes[at] for at in range(len(runs))]


def _groups(states: Sequence[TrainState]) -> list[list[int]]:
    """Return which runs are trained as one program, by index.

    On accelerators all of them; on CPUs, which are slow at convolutions whose kernels
    differ within a batch (`launch.benchmark.populations`), networks without any.
    """
    everyone = list(range(len(states)))
    networks = (states[0].generator.parameters, states[0].critic.parameters)
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(networks))
    abreast = len({int(state.step) for state in states}) == 1
    if abreast and (dense or jax.default_backend() != "cpu"):
        return [everyone]
    return [[at] for at in everyone]


def initialise(run: Run) -> TrainState:
    """Return the state of step 0, replicated over the mesh."""
    arrays = run.feed.load(0, 1, 1)
    everywhere = NamedSharding(run.mesh, PartitionSpec())

    def init(words: UInt32[Array, "words"], arrays: PyTree) -> TrainState:
        key = jax.random.wrap_key_data(words)
        return initial_state(run.method, key, run.feed.batch(arrays, jnp.int32(0)))

    # Several processes cannot pass a typed key, only its words.
    words = np.asarray(jax.random.key_data(jax.random.key(run.config.seed)))
    state: TrainState = run_once(init, words, arrays, out_shardings=everywhere)
    return state


def train(
    outputs: Sequence[Outputs], states: Sequence[TrainState], signals: Signals
) -> tuple[list[TrainState], dict[str, float] | None]:
    """Train runs of one config, but for the seed, from one step to the last.

    A run that diverges stays at its last good checkpoint; its `failure` says why.

    Returns:
        The runs' last states, and rates and times of each run; None where the runs
        were trained to the last step already.
    """
    run, alone = outputs[0].run, len(outputs) == 1
    config, begun = run.config, int(states[0].step)
    load = load_together([each.run.feed for each in outputs])
    # Batches that one call has room for: at least those of a single, boosted step.
    room = max(config.fused_steps * config.critic_steps, config.critic_boost.steps)
    updates = np.asarray(run.method.critic_steps(np.arange(config.steps)))
    turns = np.append(0, np.cumsum(updates))  # critic updates before each step

    def read(step: int) -> tuple[int, PyTree]:
        every = (
            config.fused_steps,
            config.checkpoint_every,
            config.sample_every,
            config.evaluation.every,
            config.history.every,
        )
        end = step + min(steps_left(step, each) for each in every)
        needed = turns[step + 1 : end + 1] - turns[step]
        count = int(np.searchsorted(needed, room, side="right"))
        return count, load(int(turns[step]), int(needed[count - 1]), room)

    def compile_steps(state: TrainState | Population, arrays: PyTree) -> Advance:
        everywhere = NamedSharding(run.mesh, PartitionSpec())
        batched = NamedSharding(run.mesh, PartitionSpec("batch"))

        def shard(tree: PyTree) -> PyTree:
            return jax.tree.map(
                lambda leaf: jax.lax.with_sharding_constraint(leaf, batched), tree
            )

        step = make_step(run.method, run.feed.batch, shard)
        stretch: Any = make_stretch(step, config.fused_steps)
        if not alone:
            stretch = make_population(stretch, "vmap")
        frozen = replicated(run.mesh, run.frozen)
        steps = (
            compiled(stretch, donate_argnums=0, out_shardings=everywhere)
            .lower(state, arrays, np.int32(config.fused_steps), frozen)
            .compile()
        )
        return lambda state, arrays, first, count: steps(
            state, arrays, np.int32(count), frozen
        )

    def log(logs: Log, first: int, count: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for at, each in enumerate(outputs):
            if each.failure is None:
                own = (
                    logs if alone else jax.tree.map(lambda rows, at=at: rows[at], logs)
                )
                shown = each.log(own, first, count)
        return shown

    def sound(state: Any) -> list[tuple[Outputs, TrainState]]:
        pairs = zip(outputs, members(state), strict=True)
        return [(each, own) for each, own in pairs if each.failure is None]

    def mark(step: int, state: Any) -> Any:
        if outputs[0].marks(step):
            for each, own in sound(state):
                each.mark(step, own)
        return state

    def save(step: int, state: Any, wait: bool) -> None:
        for each, own in sound(state):
            each.save(step, own, wait)

    state, timing = iterate(
        states[0] if alone else gather(states),
        begun,
        config.steps,
        title=config.name,
        read=read,
        prepare=compile_steps,
        log=log,
        mark=mark,
        ended=lambda state: all(each.failure for each in outputs),
        saves=lambda step: due(step, config.checkpoint_every),
        save=save,
        signals=signals,
    )
    if timing is None:
        return list(states), None
    # The runs have shared this time, and each is credited with its part.
    speed = timing["steps_per_second"] * len(outputs)
    return members(state), {
        **timing,
        "compile_seconds": timing["compile_seconds"] / len(outputs),
        "steps_per_second": speed,
        "images_per_second": speed * config.batch_size,
    }
