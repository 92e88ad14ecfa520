"""Train a prior: the visible loop, then the evaluation and the report."""

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

from gan_jax.apps.train.population import TrainedTogether
from gan_jax.apps.train.record import Record
from gan_jax.apps.train.setup import Run, prepare
from gan_jax.apps.train.teacher import keep_teacher
from gan_jax.config.errors import DivergedError, Interrupted
from gan_jax.networks.compilation import run_once
from gan_jax.report.progress import Progress
from gan_jax.runs.signals import Signals
from gan_jax.runs.workdir import check_shared, check_workdir, claimed
from gan_jax.training.distributed import all_max, all_succeeded, check_same
from gan_jax.training.logs import due
from gan_jax.training.state import TrainState
from gan_jax.training.step import initial_state


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train, or continue, the run of a config in a workdir; evaluate and report.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        OSError: the disk failed; the same call continues once it is mended.
        DivergedError: a value was not finite; the last good checkpoint is kept.
        Interrupted: by SIGINT or SIGTERM, after saving; the same call continues.
    """
    (outcome,) = run_together([config], [workdir])
    if isinstance(outcome, DivergedError):
        raise outcome
    return outcome


def run_together(
    configs: Sequence[ConfigDict], workdirs: Sequence[Path]
) -> list[dict[str, Any] | DivergedError]:
    """Train runs that differ in their seed alone, as one program where that pays.

    Each is left as if it had been trained by itself. Runs that were stopped at
    different steps are gone on with one after the other.

    Returns:
        The summary of each run, or why it diverged.

    Raises:
        InputError, OSError, Interrupted: as `run`.
    """
    began = time.monotonic()
    with all_succeeded():
        pairs = [*zip(configs, workdirs, strict=True)]
        befores = [check_workdir(*each) for each in pairs]
        runs = [prepare(*each) for each in pairs]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        for this in runs:
            check_same(this.digest, "training images")
            with all_succeeded():
                enter(claimed(this.config, this.workdir, this.skipped))
            if this.teacher is not None:
                check_same(this.teacher.kept["sha256"], "teacher")
                keep_teacher(this.teacher, this.workdir)
            with all_succeeded():
                check_shared(this.workdir)
        records = [enter(Record(this)) for this in runs]
        signals = enter(Signals())
        states = [record.begin(initialise(record.this)) for record in records]
        outcomes: dict[int, dict[str, Any] | DivergedError] = {}
        for crew in _crews(states):
            ended, timing = train(
                [records[at] for at in crew], [states[at] for at in crew], signals
            )
            # At once: what stops the next crew must not cost this one its figures.
            for at, state in zip(crew, ended, strict=True):
                record, before = records[at], befores[at] or {}
                outcomes[at] = record.failure or record.conclude(
                    state, timing or before.get("timing"), began
                )
            began = time.monotonic()
        return [outcomes[at] for at in range(len(runs))]


def _crews(states: Sequence[TrainState]) -> list[list[int]]:
    """Choose which runs are trained as one program, by index.

    On accelerators all; on CPUs, which are slow at convolutions whose kernels differ
    within a batch (`launch.benchmark.populations`), networks without any.
    """
    everyone = list(range(len(states)))
    networks = (states[0].generator.parameters, states[0].critic.parameters)
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(networks))
    abreast = len({int(state.step) for state in states}) == 1
    if abreast and (dense or jax.default_backend() != "cpu"):
        return [everyone]
    return [[at] for at in everyone]


def initialise(this: Run) -> TrainState:
    """Make the state of step 0, replicated over the mesh."""
    arrays = this.feed.load(0, 1, 1)
    everywhere = NamedSharding(this.mesh, PartitionSpec())

    def init(words: UInt32[Array, "words"], arrays: PyTree) -> TrainState:
        key = jax.random.wrap_key_data(words)
        return initial_state(this.method, key, this.feed.batch(arrays, jnp.int32(0)))

    # A key as such cannot be given to several processes.
    words = np.asarray(jax.random.key_data(jax.random.key(this.config.seed)))
    state: TrainState = run_once(init, words, arrays, out_shardings=everywhere)
    return state


def train(
    records: Sequence[Record], states: Sequence[TrainState], signals: Signals
) -> tuple[list[TrainState], dict[str, float] | None]:
    """Train runs side by side to the last step: the loop, read top to bottom.

    A run that diverges is left at its last good checkpoint, and says so in its record.
    """
    this = records[0].this
    config = this.config
    begun = step = int(states[0].step)
    if step >= config.steps:
        return list(states), None
    crew = TrainedTogether(records, states)
    schedule = this.method.critic_steps
    # Batches in the arrays of one stretch: a single step's must fit, a boosted one's
    # too, and more than that need not.
    room = max(config.fused_steps * config.critic_steps, config.critic_boost.steps)
    critic_step = int(states[0].critic_step)
    marks = (
        config.fused_steps,
        config.checkpoint_every,
        config.sample_every,
        config.evaluation.every,
        config.history.every,
    )

    def stretch_from(step: int) -> tuple[int, PyTree]:
        """Read what the steps up to the next mark need; returns also their number."""
        nonlocal critic_step
        end = min(config.steps, *(_next(step, every) for every in marks))
        turns = np.cumsum(schedule(np.arange(step, end)))
        count = int(np.searchsorted(turns, room, side="right"))
        arrays = crew.arrays(critic_step, int(turns[count - 1]), room)
        critic_step += int(turns[count - 1])
        return count, arrays

    state = crew.state
    with Progress(config.steps, step, config.name) as progress:
        count, arrays = stretch_from(step)
        start = time.monotonic()
        advance = crew.compile(state, arrays)
        all_max(0)  # devices that are still compiling are not waited for long
        compiled = idle = time.monotonic()  # idle: since when the device waits
        host, pauses = 0.0, 0.0
        while step < config.steps and not crew.lost:
            host += time.monotonic() - idle
            state, logs = advance(state, arrays, np.int32(count))
            first, step = step, step + count
            if step < config.steps:
                count, arrays = stretch_from(step)  # while the device computes
            logs = jax.device_get(logs)
            idle = time.monotonic()
            shown = crew.log(logs, first, step - first)
            progress.advance(step, shown)
            pause = time.monotonic()
            crew.look(step, state)
            pause = time.monotonic() - pause
            pauses, idle = pauses + pause, idle + pause
            stopping = all_max(signals.received or 0) if step < config.steps else 0
            if due(step, config.checkpoint_every) or step == config.steps or stopping:
                crew.save(step, state, wait=bool(stopping))
            if stopping:
                raise Interrupted(
                    stopping, f"stopped at step {step}; the same command continues"
                )
    seconds = time.monotonic() - compiled - pauses
    # Each run's share of the time: together they are as many.
    speed = (step - begun) / seconds * len(records)
    return crew.members(state), {
        "compile_seconds": (compiled - start) / len(records),
        "steps_per_second": speed,
        "images_per_second": speed * config.batch_size,
        "host_share": host / seconds,
    }


def _next(step: int, every: int) -> int:
    """Return the next multiple of `every` after a step; never where `every` is 0."""
    return (step // every + 1) * every if every else step + 2**30
