"""The command line: python -m gan_jax.main --config=configs/pixelcgan.py."""

import logging
import re
import sys
from pathlib import Path

from absl import app, flags
from absl import logging as absl_logging
from ml_collections import ConfigDict, config_flags

from gan_jax import config as configs
from gan_jax.errors import DivergedError, InputError, Interrupted

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "The experiment: configs/NAME.py[:variant[,variant]].",
    lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where the run is kept; runs/<config name> by default."
)
_VERBOSE = flags.DEFINE_bool("verbose", False, "Show the traceback of an error.")


def main(arguments: list[str]) -> int:
    """Run the program that a config names; returns the exit code."""
    try:
        config = _parse(arguments)
        absl_logging.set_verbosity(absl_logging.ERROR)
        logging.getLogger().setLevel(logging.ERROR)
        from gan_jax import recipe  # JAX starts here, after the flags are known good

        workdir = Path(_WORKDIR.value or Path("runs") / config.name)
        summary = recipe.program(config)(config, workdir)
        for name, value in summary["metrics"].items():
            print(f"{name:20s} {value}")
        print(f"report: {workdir / 'report.html'}")
        return 0
    except (InputError, DivergedError, Interrupted) as error:
        if flags.FLAGS.is_parsed() and _VERBOSE.value:
            raise
        print(f"gan_jax: {error}", file=sys.stderr)
        if isinstance(error, Interrupted):
            return 128 + error.signal
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 130


def _parse(arguments: list[str]) -> ConfigDict:
    """Parse the flags; whatever is wrong with them is an `InputError`."""
    app.define_help_flags()
    try:
        rest = flags.FLAGS(arguments)[1:]
        config = _CONFIG.value
        if config is None:
            raise InputError("which experiment? e.g. --config=configs/pixelcgan.py")
        config.program  # noqa: B018 - a config that failed to load fails only here
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as e:
        raise InputError(_explain(arguments, e)) from e
    if rest:
        raise InputError(f"what is '{rest[0]}'? Every argument is a --flag=value")
    return config


def _explain(arguments: list[str], error: Exception) -> str:
    """Find a mistyped key, whatever the flag parser makes of it."""
    keys = [re.match(r"--?config\.([\w.]+)", argument) for argument in arguments]
    if isinstance(error, AttributeError | KeyError) and any(keys):
        # The overrides stopped the config from loading; without them it does.
        flags.FLAGS(
            [each for each, key in zip(arguments, keys, strict=True) if not key]
        )
        known = configs.flatten(_CONFIG.value)
        for key in keys:
            if key and key[1] not in known:
                return configs.unknown_key(_CONFIG.value, key[1])
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
