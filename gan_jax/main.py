"""The command line: python -m gan_jax.main --config=configs/pixelcgan.py."""

import re
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from gan_jax import config as configs
from gan_jax.errors import DivergedError, InputError, Interrupted

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="configs/NAME.py[:variant[,variant]].", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "The run's; runs/NAME by default.")
_VERBOSE = flags.DEFINE_bool("verbose", False, "Show the traceback of an error.")


def main(arguments: list[str]) -> int:
    """Run the program that a config names; returns the exit code."""
    try:
        config = _parse(arguments)
        logging.set_verbosity(logging.ERROR)
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
        if rest:
            raise InputError(f"what is '{rest[0]}'? Every argument is a --flag=value")
        config = _CONFIG.value
        if config is None:
            raise InputError("which experiment? e.g. --config=configs/pixelcgan.py")
        config.program  # noqa: B018 - a config that failed to load fails only here
        return config
    except (AttributeError, KeyError) as error:
        raise InputError(_unknown_key(arguments) or str(error)) from error
    except (flags.Error, TypeError, ValueError, OSError) as error:
        raise InputError(" ".join(str(error).split())) from error


def _unknown_key(arguments: list[str]) -> str | None:
    """Name a mistyped key: the config loads once no flag overrides it."""
    keys = [re.match(r"--?config\.([\w.]+)", argument) for argument in arguments]
    # The library reads the overrides from here, whatever it is asked to parse.
    sys.argv = [each for each, key in zip(arguments, keys, strict=True) if not key]
    flags.FLAGS(sys.argv)
    known = configs.flatten(_CONFIG.value)
    unknown = [key[1] for key in keys if key and key[1] not in known]
    return configs.unknown_key(_CONFIG.value, unknown[0]) if unknown else None


if __name__ == "__main__":
    sys.exit(main(sys.argv))
