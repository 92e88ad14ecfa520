"""Train a prior: the visible loop, then the evaluation and the report."""

import hashlib
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PRNGKeyArray, PyTree
from ml_collections import ConfigDict

from gan_jax import recipe as recipes
from gan_jax.config import flatten
from gan_jax.data.feed import Feed
from gan_jax.data.sources import Source, fingerprint, in_memory
from gan_jax.data.splits import Part, partition
from gan_jax.errors import DivergedError, InputError, Interrupted
from gan_jax.programs.workdir import check_workdir, claim_workdir
from gan_jax.report import files, training
from gan_jax.report.journal import Journal
from gan_jax.report.progress import Progress
from gan_jax.tasks.task import Generate, Task
from gan_jax.training.checkpoint import Checkpoints
from gan_jax.training.state import TrainState, Variables
from gan_jax.training.step import (
    CAUSES,
    Log,
    Recipe,
    initial_state,
    make_step,
    make_stretch,
)

RESIDENT_LIMIT = 4 * 2**30
"""With `data.feed` on auto, training images beyond this many bytes are streamed."""
_FIRST_STEPS = 20  # each of them is logged
_CHUNK = 100  # images generated at once


class Run(NamedTuple):
    """Everything of a run that does not change while it trains."""

    config: ConfigDict
    workdir: Path
    task: Task
    recipe: Recipe
    parts: Mapping[str, Part]
    feed: Feed
    mesh: jax.sharding.Mesh
    digest: str
    """Of the training images."""


def run(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Train, or continue, the run of a config in a workdir; evaluate and report.

    Returns:
        The summary, as written to `summary.json`.

    Raises:
        InputError: the user can mend it; nothing was overwritten.
        DivergedError: a value was not finite; the last good checkpoint is kept.
        Interrupted: by SIGINT or SIGTERM, after saving; the same call continues.
    """
    began = time.monotonic()
    before = check_workdir(config, workdir)
    this = prepare(config, workdir)
    claim_workdir(config, workdir)
    state = initialise(this)
    with Checkpoints(workdir / "checkpoints") as checkpoints, Signals() as signals:
        restored = checkpoints.restore(state, warn=_say)
        state = state if restored is None else restored
        step = int(state.step)
        if step >= config.steps:
            _say(f"{workdir} is trained to step {step}: evaluating it again")
        elif step:
            _say(f"{workdir} continues at step {step} of {config.steps}")
        with Journal(workdir, step if step else None) as journal:
            state, timing = train(this, state, checkpoints, journal, signals)
            if timing is None and before is not None:
                timing = before["timing"]
            return conclude(this, state, journal, timing or _no_timing(), began)


def prepare(config: ConfigDict, workdir: Path) -> Run:
    """Turn a config into functions and data on the devices."""
    if config.steps < 1 or config.batch_size < 1 or config.fused_steps < 1:
        raise InputError("steps, batch_size and fused_steps must be 1 or more")
    task = recipes.task(config)
    official = recipes.source(config.data)
    for path, reason in official.train.skipped:
        _say(f"skipped {path}: {reason}")
    parts: dict[str, dict[str, Source]] = {
        name: dict(part)
        for name, part in partition(official, config.seed, task.roles).items()
    }
    kind = config.data.feed
    if kind == "auto":
        fits = _bytes(parts["train"]) <= RESIDENT_LIMIT
        kind = "resident" if fits else "streamed"
    open_feed = recipes.look_up(recipes.FEEDS, "data.feed", kind)
    if kind == "resident":
        parts["train"] = {
            role: in_memory(source) for role, source in parts["train"].items()
        }
    mesh = make_mesh(config.batch_size)
    everywhere = NamedSharding(mesh, PartitionSpec())
    feed = open_feed(
        parts["train"],
        config.batch_size,
        config.seed,
        lambda tree: jax.device_put(tree, everywhere),
    )
    digest = hashlib.sha256()
    for source in parts["train"].values():
        digest.update(fingerprint(source).encode())
    channels = official.train.shape[-1]
    recipe = recipes.recipe(config, task, channels)
    return Run(config, workdir, task, recipe, parts, feed, mesh, digest.hexdigest())


def make_mesh(batch_size: int) -> jax.sharding.Mesh:
    """Lay the batch over as many local devices as divide it evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    # Explicit axes, the default, forbid permutation and slicing of a sharded batch.
    return jax.make_mesh(
        (count,),
        ("batch",),
        axis_types=(jax.sharding.AxisType.Auto,),
        devices=devices[:count],
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
    checkpoints: Checkpoints,
    journal: Journal,
    signals: "Signals",
) -> tuple[TrainState, dict[str, float] | None]:
    """Train to the last step: the loop, read top to bottom."""
    config = this.config
    step = int(state.step)
    if step >= config.steps:
        return state, None
    room = config.fused_steps * config.critic_steps
    advance, compiling = None, 0.0
    generate = Generator(this)
    marks = (
        config.fused_steps,
        config.checkpoint_every,
        config.sample_every,
        config.evaluation.every,
        config.history.every,
    )
    with (
        Progress(config.steps, step, config.name) as progress,
        Checkpoints(this.workdir / "history", keep=None) as history,
    ):
        first, start = step, time.monotonic()
        while step < config.steps:
            count = min(config.steps, *(_next(step, every) for every in marks)) - step
            turns = count * config.critic_steps
            arrays = this.feed.stretch(int(state.critic_step), turns, room)
            if advance is None:
                began = time.monotonic()
                advance = compile_stretch(this, state, arrays)
                compiling = time.monotonic() - began
            state, logs = advance(state, arrays, np.int32(count))
            logs = jax.device_get(logs)
            check(logs, step, count)
            _write(journal, logs, step, count, config)
            step += count
            progress.advance(step, {k: v[count - 1] for k, v in logs.values.items()})

            if _due(step, config.history.every):
                history.save(step, snapshot(state))
            if _due(step, config.evaluation.every) and step < config.steps:
                measured = evaluate(this, generate, state.average, "validation")
                journal.write(
                    step,
                    {
                        f"validation/{name}": value
                        for name, value in measured.metrics.items()
                        if value is not None
                    },
                )
            if _due(step, config.sample_every) or step == config.steps:
                picture = draw(this, generate, state.average)
                files.write_image(this.workdir / "samples" / f"{step:08d}.png", picture)
                journal.image(step, "samples", picture)
            stopping = signals.received if step < config.steps else None
            if _due(step, config.checkpoint_every) or step == config.steps or stopping:
                journal.flush()
                checkpoints.save(step, state)
            if stopping:
                checkpoints.wait()
                raise Interrupted(
                    stopping, f"stopped at step {step}; the same command continues"
                )
    seconds = time.monotonic() - start - compiling
    return state, {
        "compile_seconds": compiling,
        "steps_per_second": (step - first) / seconds,
        "images_per_second": (step - first) * config.batch_size / seconds,
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
        jax.jit(stretch, donate_argnums=0, out_shardings=everywhere)
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
        key=lambda name: CAUSES.index(name.split()[1]),
    )
    raise DivergedError(
        f"not finite at step {first + worst + 1}: {names[0]}"
        + (f" (and {len(names) - 1} tensors that follow from it)" if names[1:] else "")
        + "; the last good checkpoint is kept, a lower learning rate may help"
    )


class Generator:
    """Generates with given variables, in chunks of one compiled size."""

    def __init__(self, this: Run):
        """Compile nothing yet."""
        recipe = this.recipe

        def generate(
            variables: Variables, key: PRNGKeyArray, condition: PyTree[Array]
        ) -> Float[Array, "batch height width channels"]:
            latent = recipe.latent(key, _CHUNK)
            images: Any = recipe.generator.apply(variables, latent, condition)
            return images

        self._generate = jax.jit(generate)

    def using(self, variables: Variables) -> Generate:
        """Give the function of keys and conditions that a task evaluates."""

        def generate(
            key: PRNGKeyArray, conditions: PyTree[Array]
        ) -> Float[np.ndarray, "count height width channels"]:
            count = len(jax.tree.leaves(conditions)[0])
            chunks = []
            for start in range(0, count, _CHUNK):
                # The last chunk is filled by repeating, and cut after.
                at = np.arange(start, start + _CHUNK) % count
                chunk = jax.tree.map(lambda maps, at=at: maps[at], conditions)
                images = self._generate(
                    variables, jax.random.fold_in(key, start), chunk
                )
                chunks.append(np.asarray(images))
            return np.concatenate(chunks)[:count]

        return generate


def evaluate(this: Run, generate: Generator, average: Variables, part: str) -> Any:
    """Measure the averaged generator on a part of the data, under fixed keys."""
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_001)
    count = this.config.evaluation.count
    if part == "validation":
        count = min(count, 500)
    return this.task.evaluate(generate.using(average), this.parts[part], key, count)


def draw(this: Run, generate: Generator, average: Variables) -> np.ndarray:
    """Draw the task's plate on validation images, the same ones at every step."""
    key = jax.random.fold_in(jax.random.key(this.config.seed), 1_000_002)
    picture: np.ndarray = this.task.picture(
        generate.using(average), this.parts["validation"], key
    )
    return picture


def snapshot(state: TrainState) -> dict[str, Variables]:
    """Take what a history keeps of both networks: parameters and statistics."""
    return {"generator": state.generator.variables, "critic": state.critic.variables}


def parameters_digest(state: TrainState) -> str:
    """Hash the final generator's and critic's parameters (SHA-256)."""
    digest = hashlib.sha256()
    networks = {"generator": state.generator, "critic": state.critic}
    parameters = {name: player.parameters for name, player in networks.items()}
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def conclude(
    this: Run,
    state: TrainState,
    journal: Journal,
    timing: Mapping[str, float],
    began: float,
) -> dict[str, Any]:
    """Evaluate on the test part, write `summary.json` and `report.html`."""
    generate = Generator(this)
    measured = evaluate(this, generate, state.average, "test")
    plate = draw(this, generate, state.average)
    train_part = this.parts["train"]
    summary = {
        "program": this.config.program,
        "config_name": this.config.name,
        "dataset": {
            "name": next(iter(train_part.values())).name,
            "split": "train",
            "count": sum(len(source) for source in train_part.values()),
            "sha256": this.digest,
        },
        "metrics": measured.metrics,
        "metrics_failed": measured.failed,
        "evaluation": {"split": "test", "count": this.config.evaluation.count},
        "steps": int(state.step),
        "timing": {
            **{key: timing[key] for key in _no_timing()},
            "total_seconds": timing.get("total_seconds", time.monotonic() - began),
        },
        "environment": environment(this.mesh),
        "parameters_sha256": parameters_digest(state),
        "complete": True,
    }
    journal.flush()
    files.write_text(
        this.workdir / "report.html",
        training.report(
            summary, flatten(this.config), journal.rows, plate, this.task, this.workdir
        ),
    )
    files.write_json(this.workdir / "summary.json", summary)
    return summary


def environment(mesh: jax.sharding.Mesh) -> dict[str, Any]:
    """Tell what a run ran on; `git` is null outside a checkout."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "jax": jax.__version__,
        "flax": flax.__version__,
        "device": mesh.devices.flat[0].device_kind,
        "count": mesh.devices.size,
        "git": commit,
    }


class Signals:
    """Remembers SIGINT or SIGTERM while it is open, so that a step can be finished."""

    def __init__(self) -> None:
        """Prepare; nothing is caught before the context is entered."""
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        """Catch both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *exception: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == number:
            raise KeyboardInterrupt  # asked twice: do not wait for the step
        self.received = number


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


def _bytes(part: Part) -> int:
    return sum(len(source) * int(np.prod(source.shape)) for source in part.values())


def _no_timing() -> dict[str, float]:
    return dict.fromkeys(
        ("compile_seconds", "steps_per_second", "images_per_second"), 0.0
    )


def _say(text: str) -> None:
    print(text, flush=True)
