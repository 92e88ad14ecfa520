"""The command line: python -m gan_jax.main --config=configs/pixelcgan.py."""

import sys
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from gan_jax import command

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's; runs/NAME by default.")
for _flag in ("config", "verbose"):
    flags.declare_key_flag(_flag)  # so that --help shows it too


def main(arguments: list[str]) -> int:
    """Run the program that a config names; returns the exit code."""
    return command.answer(arguments, _run)


def _run(config: ConfigDict) -> None:
    from gan_jax import recipe  # JAX starts here, after the flags are known good
    from gan_jax.programs.cache import keep_compiled
    from gan_jax.programs.memory import keep_memory

    keep_compiled()
    keep_memory()
    workdir = Path(_WORKDIR.value or Path("runs") / config.name)
    summary = recipe.program(config)(config, workdir)
    for name, value in summary["metrics"].items():
        if not isinstance(value, dict):
            print(f"{name:20s} {summary['metrics_failed'].get(name, value)}")
    print(f"report: {workdir / 'report.html'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
