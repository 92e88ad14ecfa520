"""The command line: python -m gan_jax.main --config=configs/pixelcgan.py."""

import sys
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from gan_jax.config import flags as command

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run's; runs/CONFIG-VARIANTS by default."
)
for _flag in ("config", "verbose"):
    flags.declare_key_flag(_flag)  # so that --help shows it too
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "HOST:PORT of the first of several processes of this run."
)
_PROCESSES = flags.DEFINE_integer("processes", 1, "How many train this run.")
_PROCESS = flags.DEFINE_integer("process", 0, "Which of them this is, from 0.")
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "This is one of several, as SLURM or a TPU pod tells."
)


def main(arguments: list[str]) -> int:
    """Run the program that a config names; returns the exit code."""
    return command.answer(arguments, _run)


def workdir_of(config: ConfigDict) -> Path:
    """Return the workdir that the flags name, or the default of their config."""
    return Path(_WORKDIR.value or command.default_workdir(config))


def _run(config: ConfigDict) -> None:
    # JAX starts here, after the flags are known good.
    from gan_jax.apps.programs import program_of
    from gan_jax.report.terminal import say
    from gan_jax.runs import cluster
    from gan_jax.runs.startup import keep_compiled, keep_memory

    keep_compiled()
    keep_memory()
    with cluster.joined(
        _COORDINATOR.value, _PROCESSES.value, _PROCESS.value, _DISTRIBUTED.value
    ):
        program = program_of(config)
        cluster.check_program(config)
        workdir = workdir_of(config)
        summary = program(config, workdir)
        for name, value in summary["metrics"].items():
            if not isinstance(value, dict):
                say(f"{name:20s} {summary['metrics_failed'].get(name, value)}")
        say(f"report: {workdir / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
