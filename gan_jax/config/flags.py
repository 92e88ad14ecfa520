"""The flags of the command line; whatever is wrong with them is an `InputError`.

Imports no JAX, so that `--help` and a mistyped flag are answered at once.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from gan_jax.config import limits
from gan_jax.config.errors import EXPECTED, InputError, explain
from gan_jax.config.keys import flatten, unknown_key

_CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="configs/NAME.py[:variant[,variant]].", lock_config=True
)
_VERBOSE = flags.DEFINE_bool("verbose", False, "Show the traceback of an error.")
_OVERRIDE = re.compile(r"--?config\.([\w.]+)")
_EXAMPLES = "configs/ for files that can be named"
_KINDS = {bool: "True or False", int: "a whole number", float: "a number"}


def answer(arguments: list[str], program: Callable[[ConfigDict], None]) -> int:
    """Parse the flags, run a program on the config, and say in a line why it failed.

    Args:
        arguments: as in `sys.argv`.
        program: what is run.

    Returns:
        The exit code.
    """
    try:
        config = parse(arguments)
        # What Orbax and Grain log as errors, tracebacks in all, they also raise.
        logging.set_verbosity(logging.ERROR if _VERBOSE.value else logging.FATAL)
        program(config)
        return 0
    except EXPECTED as error:
        if flags.FLAGS.is_parsed() and _VERBOSE.value:
            raise
        line, code = explain(error)
        print(f"gan_jax: {line}", file=sys.stderr)
        return code
    except KeyboardInterrupt:
        return 130


def parse(arguments: list[str]) -> ConfigDict:
    """Parse the flags and give the config, its numbers checked.

    Args:
        arguments: as in `sys.argv`.

    Raises:
        InputError: a flag, the config file, a key or a value cannot be used.
    """
    app.define_help_flags()
    try:
        config = _load(arguments)
    except InputError:
        raise
    except Exception as error:  # a config file is a program: it may raise anything
        raise InputError(_explain(arguments, error)) from error
    if not isinstance(config, ConfigDict):
        raise InputError(f"{_place(arguments)} gives no ConfigDict: see {_EXAMPLES}")
    limits.check(config)
    return config


def default_workdir(config: ConfigDict) -> Path:
    """Return where a run goes that names no workdir: `runs/<config>[-<variants>]`.

    Args:
        config: as `parse` returned it; its variants are read from the flag.
    """
    given = config_flags.get_config_filename(flags.FLAGS[_CONFIG.name])
    _, _, variants = given.partition(":")
    names = [config.name, *filter(None, variants.split(","))]
    # A config of the user's may take any text for a variant: it makes no folders.
    return Path("runs") / re.sub(r"[/\\]", "_", "-".join(names))


def _load(arguments: list[str]) -> ConfigDict:
    rest = flags.FLAGS(arguments)[1:]
    if rest:
        raise InputError(f"what is '{rest[0]}'? Every argument is a --flag=value")
    config = _CONFIG.value
    if config is None:
        raise InputError("which experiment? e.g. --config=configs/pixelcgan.py")
    config.program  # noqa: B018 - a config that failed to load fails only here
    return config


def _explain(arguments: list[str], error: Exception) -> str:
    """Say what was wrong: an override if the config loads without any, else its file.

    Raises:
        InputError: loading it without overrides says so itself.
    """
    if isinstance(error, flags.UnrecognizedFlagError):
        return _line(error)
    keys = [_OVERRIDE.match(argument) for argument in arguments]
    # The library reads the overrides from here, whatever it is asked to parse.
    sys.argv = [each for each, key in zip(arguments, keys, strict=True) if not key]
    try:
        config = _load(sys.argv)
        known = flatten(config)
    except InputError:
        raise
    except Exception as cause:
        return f"{_place(arguments)} cannot be loaded ({_line(cause)}): see {_EXAMPLES}"
    for key in (found[1] for found in keys if found):
        if key not in known:
            return unknown_key(config, key)
        if str(error).startswith(f"flag --config.{key}="):
            kind = _KINDS.get(type(known[key]), "a value")
            return (
                f"--config.{key} cannot be used ({_line(error)}): give {kind}, e.g. "
                f"--config.{key}={known[key]}"
            )
    return _line(error)


def _place(arguments: list[str]) -> str:
    given = re.search(r"--?config[=\n]([^:\n]*)", "\n".join(arguments))
    return f"config file {given[1] if given else ''}"


def _line(error: Exception) -> str:
    """Return the words of an error on one line; of a traceback in them, the last."""
    words = str(error).strip()
    if "Traceback" in words or isinstance(error, OSError):
        words = words.splitlines()[-1]
    return " ".join(words.split()) or type(error).__name__
