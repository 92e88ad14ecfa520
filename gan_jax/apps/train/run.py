"""Train a prior: prepare, train, evaluate, report."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree, UInt32
from ml_collections import ConfigDict

from gan_jax.apps.train.identity import keep_identity
from gan_jax.apps.train.outputs import Outputs
from gan_jax.apps.train.results import conclude
from gan_jax.apps.train.setup import Run, prepare
from gan_jax.apps.train.teacher import keep_teacher
from gan_jax.config.errors import DivergedError
from gan_jax.networks.compilation import compiled, run_once
from gan_jax.runs.inference import taken
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
from gan_jax.training.schedules import Schedule
from gan_jax.training.state import TrainState
from gan_jax.training.step import initial_state, make_step, make_stretch
from gan_jax.training.updates import Log


def run(
    config: ConfigDict, workdir: Path, prepared: Run | None = None
) -> dict[str, Any]:
    """Train, or continue, the run of a config in a workdir; evaluate and report.

    Args:
        config: A training config.
        workdir: Workdir of the run.
        prepared: The run, if it has been prepared before; None = it is prepared here.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: The user can mend it; nothing was overwritten.
        OSError: The disk failed; the same call continues once it is mended.
        DivergedError: A value was not finite; the last good checkpoint is kept.
        Interrupted: By SIGINT or SIGTERM, after saving; the same call continues.
    """
    runs = None if prepared is None else [prepared]
    (outcome,) = run_together([config], [workdir], runs)
    if isinstance(outcome, DivergedError):
        raise outcome
    return outcome


def run_together(
    configs: Sequence[ConfigDict],
    workdirs: Sequence[Path],
    runs: Sequence[Run] | None = None,
) -> list[dict[str, Any] | DivergedError]:
    """Train runs that differ in their seed alone, as one program where that pays.

    Every run ends with the same files as if it had been trained alone. Runs that were
    stopped at different steps continue one after the other.

    Args:
        configs: Training configs.
        workdirs: The workdir of each.
        runs: The runs, if they have been prepared before; None = they are prepared
            here.

    Returns:
        The summary of each run, or why it diverged.

    Raises:
        InputError, OSError, Interrupted: As `run`.
    """
    began = time.monotonic()
    with all_succeeded():
        pairs = [*zip(configs, workdirs, strict=True)]
        earlier = [check_workdir(*pair) for pair in pairs]
        if runs is None:
            runs = [
                prepare(*pair, len(pairs), quiet=number > 0)
                for number, pair in enumerate(pairs)
            ]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        for prepared in runs:
            check_same(prepared.digest, "training images")
            with all_succeeded():
                enter(claimed(prepared.config, prepared.workdir, prepared.skipped))
            if prepared.teacher is not None:
                check_same(prepared.teacher["sha256"], "teacher")
                keep_teacher(prepared.teacher, prepared.workdir)
            with all_succeeded():
                check_shared(prepared.workdir)
                keep_identity(prepared.identity, prepared.workdir)
        outputs = [Outputs(prepared, stack) for prepared in runs]
        signals = enter(Signals())
        states = [output.restore(initialise(output.run)) for output in outputs]
        outcomes: dict[int, dict[str, Any] | DivergedError] = {}
        alone = any(run.unseen is not None for run in runs)
        for group in _groups(states, alone):
            if outcomes:
                signals.obey()
            ended, timing = train(
                [outputs[index] for index in group],
                [states[index] for index in group],
                signals,
            )
            # Now, so that an error in the next group costs no summary of this one.
            for index, state in zip(group, ended, strict=True):
                summary = earlier[index] or {}
                outcomes[index] = outputs[index].failure or conclude(
                    outputs[index], state, timing or summary.get("timing"), began
                )
            began = time.monotonic()
        return [outcomes[index] for index in range(len(runs))]


def _groups(states: Sequence[TrainState], alone: bool = False) -> list[list[int]]:
    """Return which runs are trained as one program, by index.

    A program has one set of frozen arrays: runs that have some of their own are trained
    `alone`.

    On accelerators all of them; on CPUs, which are slow at convolutions whose kernels
    differ within a batch (`launch.benchmark.populations`), networks without any.
    """
    indices = list(range(len(states)))
    networks = (states[0].generator.parameters, states[0].critic.parameters)
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(networks))
    abreast = len({int(state.step) for state in states}) == 1
    if abreast and not alone and (dense or jax.default_backend() != "cpu"):
        return [indices]
    return [[index] for index in indices]


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
    run, count = outputs[0].run, len(outputs)
    config = run.config
    calls = _calls(
        config,
        load_together([output.run.feed for output in outputs]),
        run.method.critic_steps,
        int(states[0].step),
        int(states[0].critic_step),
    )
    state, timing = iterate(
        states[0] if count == 1 else gather(states),
        int(states[0].step),
        config.steps,
        title=config.name,
        read=lambda step: next(calls),
        compile_advance=partial(_compile_advance, run),
        log=partial(_log, outputs),
        record=partial(_record, outputs),
        ended=lambda state: all(output.failure for output in outputs),
        saves=lambda step: due(step, config.checkpoint_every),
        save=partial(_save, outputs),
        signals=signals,
    )
    if timing is None:
        return list(states), None
    # The runs have shared this time, and each is credited with its part.
    speed = timing["steps_per_second"] * count
    return members(state), {
        **timing,
        "compile_seconds": timing["compile_seconds"] / count,
        "steps_per_second": speed,
        "images_per_second": speed * config.batch_size,
    }


def _calls(
    config: ConfigDict,
    load: Callable[[int, int, int], PyTree],
    schedule: Schedule,
    step: int,
    updates: int,
) -> Iterator[tuple[int, PyTree]]:
    """Yield the number of steps of each call of a run, and the arrays of its batches.

    The critic's updates are counted on the way: a table of all steps might not fit into
    memory. `updates` is their number before the first `step`.
    """
    periods = (
        config.fused_steps,
        config.checkpoint_every,
        config.sample_every,
        config.evaluation.every,
        config.history.every,
    )
    # Capacity for `fused_steps` ordinary steps, and at least for one boosted step.
    capacity = max(config.fused_steps * config.critic_steps, config.critic_boost.steps)
    while step < config.steps:
        end = step + min(steps_left(step, period) for period in periods)
        # As many steps in every call, since the schedule is compiled for their number.
        each = np.asarray(schedule(np.arange(step, step + config.fused_steps)))
        needed = np.cumsum(each, dtype=np.int64)[: min(end, config.steps) - step]
        count = int(np.searchsorted(needed, capacity, side="right"))
        following = int(needed[count - 1])
        yield count, load(updates, following, capacity)
        step, updates = step + count, updates + following


def _compile_advance(
    run: Run, state: TrainState | Population, arrays: PyTree
) -> Advance:
    """Compile several steps of a run, or of a population of such runs."""
    everywhere = NamedSharding(run.mesh, PartitionSpec())
    batched = NamedSharding(run.mesh, PartitionSpec("batch"))
    shard = partial(jax.lax.with_sharding_constraint, shardings=batched)
    step = make_step(run.method, run.feed.batch, partial(jax.tree.map, shard))
    stretch: Any = make_stretch(step, run.config.fused_steps)
    if isinstance(state, Population):
        stretch = make_population(stretch, "vmap")
    frozen = replicated(run.mesh, run.frozen)
    steps = (
        compiled(stretch, donate_argnums=0, out_shardings=everywhere)
        .lower(state, arrays, np.int32(run.config.fused_steps), frozen)
        .compile()
    )
    return lambda state, arrays, count: steps(state, arrays, np.int32(count), frozen)


def _log(
    outputs: Sequence[Outputs], logs: Log, first: int, count: int
) -> dict[str, Any]:
    """Write the logs of all runs; return the last values of one that has not failed."""
    shown: dict[str, Any] = {}
    for index, output in enumerate(outputs):
        if output.failure is None:
            own_logs = logs if len(outputs) == 1 else taken(logs, index)
            shown = output.log(own_logs, first, count)
    return shown


def _unfailed(
    outputs: Sequence[Outputs], state: Any
) -> Iterator[tuple[Outputs, TrainState]]:
    pairs = zip(outputs, members(state), strict=True)
    return ((output, state) for output, state in pairs if output.failure is None)


def _record(outputs: Sequence[Outputs], step: int, state: Any) -> Any:
    if outputs[0].is_due(step):
        for output, own_state in _unfailed(outputs, state):
            output.record(step, own_state)
    return state


def _save(outputs: Sequence[Outputs], step: int, state: Any, wait: bool) -> None:
    for output, own_state in _unfailed(outputs, state):
        output.save(step, own_state, wait)
