"""The command line: python -m gan_jax.main --config=pixelcgan, or gan-jax."""

if __name__ == "__main__":
    from gan_jax.runs.startup import begin

    begin()

import sys
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from gan_jax.config.flags import default_workdir, run_program

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "The folder of the run; runs/EXPERIMENT-VARIANTS by default."
)
for _flag in ("config", "verbose"):
    flags.declare_key_flag(_flag)  # so that --help lists it
_PROCESSES = flags.DEFINE_integer(
    "processes", 1, "The number of processes that train this run."
)
_PROCESS = flags.DEFINE_integer("process", 0, "The number of this process, from 0.")
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "HOST:PORT of process 0, if there are several."
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Join the other processes of a SLURM job or a TPU pod."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the program that a config names; return the exit code.

    Args:
        arguments: As `sys.argv`, the default.
    """
    return run_program(sys.argv if arguments is None else arguments, _run)


def workdir_of(config: ConfigDict) -> Path:
    """Return the workdir that the flags name, or the default of their config."""
    return Path(_WORKDIR.value or default_workdir(config))


def _run(config: ConfigDict) -> None:
    # JAX starts here: an error in the flags is answered before.
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
        cluster.check_processes(config)
        workdir = workdir_of(config)
        summary = program(config, workdir)
        for name, value in summary["metrics"].items():
            if not isinstance(value, dict):
                say(f"{name:20s} {summary['metrics_failed'].get(name, value)}")
        say(f"report: {workdir / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main())
