"""Train a prior: the visible loop, then the evaluation and the report."""

import contextlib
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax.errors import DivergedError, Interrupted
from gan_jax.networks.compilation import compiled
from gan_jax.programs.assembly import Run, prepare, say
from gan_jax.programs.evaluation import Evaluation
from gan_jax.programs.results import conclude, no_timing
from gan_jax.programs.selection import Epochs, epoch_row
from gan_jax.programs.signals import Signals
from gan_jax.programs.workdir import check_workdir, claimed
from gan_jax.report import files
from gan_jax.report.journal import Journal
from gan_jax.report.progress import Progress
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import TrainState, Variables
from gan_jax.training.step import (
    CAUSES,
    Log,
    initial_state,
    make_step,
    make_stretch,
)

_FIRST_STEPS = 20  # each of them is logged


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
    began = time.monotonic()
    before = check_workdir(config, workdir)
    this = prepare(config, workdir)
    with claimed(config, workdir, this.skipped):
        return _continue(this, before, began)


def _continue(this: Run, before: dict[str, Any] | None, began: float) -> dict[str, Any]:
    """Go on from the last checkpoint of the workdir, or from the start."""
    config, workdir = this.config, this.workdir
    evaluation = Evaluation(this)
    state = initialise(this)
    with (
        Checkpoints(workdir / "checkpoints") as checkpoints,
        Epochs(workdir, this.task.criterion) as epochs,
        Signals() as signals,
    ):
        restored = checkpoints.restore(state, warn=say)
        state = state if restored is None else restored
        step = int(state.step)
        if step >= config.steps:
            say(f"{workdir} is trained to step {step}: evaluating it again")
        elif step:
            say(f"{workdir} continues at step {step} of {config.steps}")
        with Journal(workdir, step if step else None) as journal:
            state, timing = train(
                this, state, evaluation, epochs, checkpoints, journal, signals
            )
            if timing is None and before is not None:
                timing = before["timing"]
            return conclude(
                this, state, evaluation, epochs, journal, timing or no_timing(), began
            )


def initialise(this: Run) -> TrainState:
    """Make the state of step 0, replicated over the mesh."""
    arrays = this.feed.stretch(0, 1, 1)
    everywhere = NamedSharding(this.mesh, PartitionSpec())

    def init(key: PRNGKeyArray, arrays: PyTree) -> TrainState:
        return initial_state(this.recipe, key, this.feed.batch(arrays, jnp.int32(0)))

    state: TrainState = jax.jit(init, out_shardings=everywhere)(
        jax.random.key(this.config.seed), arrays
    )
    return state


def train(
    this: Run,
    state: TrainState,
    evaluation: Evaluation,
    epochs: Epochs,
    checkpoints: Checkpoints,
    journal: Journal,
    signals: Signals,
) -> tuple[TrainState, dict[str, float] | None]:
    """Train to the last step: the loop, read top to bottom."""
    config = this.config
    begun = step = int(state.step)
    if step >= config.steps:
        return state, None
    room = config.fused_steps * config.critic_steps
    critic_step = int(state.critic_step)
    marks = (
        config.fused_steps,
        config.checkpoint_every,
        config.sample_every,
        config.evaluation.every,
        config.history.every,
    )

    def stretch_from(step: int) -> tuple[int, PyTree]:
        """Read what the steps up to the next mark need; returns also their number."""
        end = min(config.steps, *(_next(step, every) for every in marks))
        count = end - step
        turns = count * config.critic_steps
        first = critic_step + (step - begun) * config.critic_steps
        return count, this.feed.stretch(first, turns, room)

    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(Progress(config.steps, step, config.name))
        if config.history.every:
            history = stack.enter_context(
                Checkpoints(this.workdir / "history", keep=None)
            )
        count, arrays = stretch_from(step)
        start = time.monotonic()
        advance = compile_stretch(this, state, arrays)
        compiled = idle = time.monotonic()  # idle: since when the device waits
        host, pauses = 0.0, 0.0
        while step < config.steps:
            host += time.monotonic() - idle
            state, logs = advance(state, arrays, np.int32(count))
            first, step = step, step + count
            if step < config.steps:
                count, arrays = stretch_from(step)  # while the device computes
            logs = jax.device_get(logs)
            idle = time.monotonic()
            check(logs, first, step - first)
            _write(journal, logs, first, step - first, config)
            progress.advance(
                step, {k: v[step - first - 1] for k, v in logs.values.items()}
            )

            if _due(step, config.history.every):
                history.save(step, snapshot(state))
            pause = time.monotonic()
            if _due(step, config.evaluation.every) or (
                step == config.steps and config.evaluation.every
            ):
                measured = evaluation.measure(
                    state.average, "validation", config.evaluation.count
                )
                journal.write(step, epoch_row(measured.metrics))
                epochs.keep(journal.rows, state)
            if _due(step, config.sample_every) or step == config.steps:
                picture = evaluation.draw(state.average)
                files.write_image(this.workdir / "samples" / f"{step:08d}.png", picture)
                journal.image(step, "samples", picture)
            pause = time.monotonic() - pause
            pauses, idle = pauses + pause, idle + pause
            stopping = signals.received if step < config.steps else None
            if _due(step, config.checkpoint_every) or step == config.steps or stopping:
                journal.flush()
                checkpoints.save(step, state)
            if stopping:
                checkpoints.wait()
                raise Interrupted(
                    stopping, f"stopped at step {step}; the same command continues"
                )
    seconds = time.monotonic() - compiled - pauses
    return state, {
        "compile_seconds": compiled - start,
        "steps_per_second": (step - begun) / seconds,
        "images_per_second": (step - begun) * config.batch_size / seconds,
        "host_share": host / seconds,
    }


def compile_stretch(this: Run, state: TrainState, arrays: PyTree) -> Any:
    """Compile `advance(state, arrays, count)`: `fused_steps` or fewer in one call."""
    everywhere = NamedSharding(this.mesh, PartitionSpec())
    batched = NamedSharding(this.mesh, PartitionSpec("batch"))

    def shard(tree: PyTree) -> PyTree:
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(leaf, batched), tree
        )

    fused = this.config.fused_steps
    stretch = make_stretch(make_step(this.recipe, this.feed.batch, shard), fused)
    return (
        compiled(stretch, donate_argnums=0, out_shardings=everywhere)
        .lower(state, arrays, np.int32(fused))
        .compile()
    )


def check(logs: Log, first: int, count: int) -> None:
    """Stop at the first value of a stretch that is not finite.

    Raises:
        DivergedError: names the step, and the tensor that is the cause.
    """
    bad = {name: ~rows[:count] for name, rows in logs.finite.items()}
    steps = [int(np.argmax(rows)) for rows in bad.values() if rows.any()]
    if not steps:
        return
    worst = min(steps)
    names = sorted(
        (name for name, rows in bad.items() if rows[worst]),
        key=lambda name: CAUSES.index(" ".join(name.split()[:2])),
    )
    raise DivergedError(
        f"not finite at step {first + worst + 1}: {names[0]}"
        + (f" (and {len(names) - 1} tensors that follow from it)" if names[1:] else "")
        + "; the last good checkpoint is kept, a lower learning rate may help"
    )


def snapshot(state: TrainState) -> dict[str, Variables]:
    """Take what a history keeps of both networks: parameters and statistics."""
    return {"generator": state.generator.variables, "critic": state.critic.variables}


def _write(
    journal: Journal, logs: Log, first: int, count: int, config: ConfigDict
) -> None:
    for turn in range(count):
        step = first + turn + 1
        if step <= _FIRST_STEPS or _due(step, config.log_every):
            journal.write(
                step, {name: rows[turn] for name, rows in logs.values.items()}
            )


def _next(step: int, every: int) -> int:
    """Give the next multiple of `every` after a step; never where `every` is 0."""
    return (step // every + 1) * every if every else step + 2**30


def _due(step: int, every: int) -> bool:
    return bool(every) and step % every == 0
