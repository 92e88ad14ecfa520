"""The flags of a command line; an error in them is an `InputError`.

Imports no JAX, so that `--help` and a mistyped flag are answered at once.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from gan_jax.config import experiments
from gan_jax.config.checks import check_numbers, check_path
from gan_jax.config.errors import (
    EXPECTED,
    InputError,
    explain,
    print_error,
    printable_lines,
)
from gan_jax.config.keys import flatten, unknown_key
from gan_jax.config.names import closest

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    help_string="An experiment or the path of a config file, and its variants.",
    lock_config=True,
)
_VERBOSE = flags.DEFINE_bool("verbose", False, "Show the traceback of an error.")
_CONFIG_FLAG = re.compile(r"^(--?config=)(.*)", re.DOTALL)
_OVERRIDE = re.compile(r"--?config\.([\w.]+)")
_HELP = {"--help", "-help", "-h", "-?", "--helpshort"}
_LIST = "--help lists the experiments"
_RUNS = ("prior", "history_run")  # keys that name a workdir
_ILLEGAL = re.compile(r"flag (--([\w.]+)=.*?): (.*)", re.DOTALL)
_KINDS = {"bool": "True or False", "int": "a whole number", "float": "a number"}


def run_program(arguments: list[str], program: Callable[[ConfigDict], None]) -> int:
    """Parse the flags and run a program on the config; print an error as one line.

    Args:
        arguments: As `sys.argv`.
        program: The function to run; the flags of its module are listed by `--help`.

    Returns:
        The exit code.
    """
    rest = [argument for argument in arguments if argument not in _HELP]
    if len(rest) == 1:
        asked = rest != arguments
        text = experiments.overview(program.__module__)
        print(printable_lines(text), file=sys.stdout if asked else sys.stderr)
        if asked:
            return 0
    try:
        config = parse(rest)
        if rest != arguments:
            described = experiments.describe(config, _path(_located(rest)))
            print(printable_lines(described))
            return 0
        # What Orbax and Grain log as errors, tracebacks in all, they also raise.
        logging.set_verbosity(logging.ERROR if _VERBOSE.value else logging.FATAL)
        program(config)
        return 0
    except EXPECTED as error:
        if flags.FLAGS.is_parsed() and _VERBOSE.value:
            raise
        line, code = explain(error)
        print_error(line)
        return code
    except KeyboardInterrupt:
        return 130


def parse(arguments: list[str]) -> ConfigDict:
    """Parse the flags and return the config, with its numbers checked.

    Args:
        arguments: As `sys.argv`.

    Raises:
        InputError: A flag, the config file, a key or a value cannot be used.
    """
    app.define_help_flags()
    arguments = _located(arguments)
    try:
        config = _load(arguments)
    except InputError:
        raise
    except Exception as error:  # a config file is a program: it may raise anything
        raise InputError(_explain(arguments, error)) from error
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"config file {_path(arguments)} returns no ConfigDict; {_LIST}"
        )
    check_numbers(config)
    for key in _RUNS:
        check_path(f"--config.{key}", config.get(key) or "")
    return config


def default_workdir(config: ConfigDict) -> Path:
    """Return the workdir of a run that names none: `runs/<config>[-<variants>]`.

    Args:
        config: As `parse` returned it; its variants are read from the flag.
    """
    given = config_flags.get_config_filename(flags.FLAGS[_CONFIG.name])
    _, _, variants = given.partition(":")
    names = [config.name, *filter(None, variants.split(","))]
    # A variant of a user's config may be any text: it must not make folders.
    return Path("runs") / re.sub(r"[/\\]", "_", "-".join(names))


def _located(arguments: list[str]) -> list[str]:
    """Return the arguments with the config's path in place of its name.

    Raises:
        InputError: There is no such file.
    """
    # `--config NAME` becomes `--config=NAME`; no argument holds the character 0.
    joined = re.sub("(\0--?config)\0", r"\1=", "\0".join(arguments)).split("\0")
    found = [
        _CONFIG_FLAG.sub(lambda flag: flag[1] + experiments.located(flag[2]), argument)
        for argument in joined
        if argument.strip("-") not in ("config", "config=")  # nothing is named
    ]
    path = _path(found)
    if path != Path() and not path.is_file():
        known = experiments.paths()
        raise InputError(
            f"config file {path} cannot be loaded: there is no such file"
            f"{closest(path.stem, known)}; known experiments: {', '.join(known)}"
        )
    return found


def _path(arguments: list[str]) -> Path:
    """Return the path of the config file in located arguments; empty without one."""
    found = filter(None, map(_CONFIG_FLAG.match, arguments))
    return next((Path(flag[2].partition(":")[0]) for flag in found), Path())


def _load(arguments: list[str]) -> ConfigDict:
    rest = flags.FLAGS(arguments)[1:]
    if rest:
        raise InputError(f"what is '{rest[0]}'? Every argument is a --flag=value")
    config = _CONFIG.value
    if config is None:
        raise InputError(f"which experiment? e.g. --config=pixelcgan; {_LIST}")
    config.program  # noqa: B018 - a config that failed to load fails only here
    return config


def _explain(arguments: list[str], error: Exception) -> str:
    """Return the error line of a flag, of an override, or of the config file.

    Raises:
        InputError: Loading the config without overrides raises one.
    """
    if isinstance(error, flags.UnrecognizedFlagError):
        return _line(error)
    keys = [_OVERRIDE.match(argument) for argument in arguments]
    try:
        flags.FLAGS(
            [
                argument
                for argument, key in zip(arguments, keys, strict=True)
                if not (key or _CONFIG_FLAG.match(argument))
            ]
        )
    except (flags.Error, ValueError) as cause:
        return _flag_line(cause)
    # The library reads the overrides from here, whatever it is asked to parse.
    sys.argv = [each for each, key in zip(arguments, keys, strict=True) if not key]
    try:
        config = _load(sys.argv)
        known = flatten(config)
    except InputError:
        raise
    except Exception as cause:
        return (
            f"config file {_path(arguments)} cannot be loaded ({_line(cause)}); {_LIST}"
        )
    for key in (found[1] for found in keys if found):
        if key not in known:
            return unknown_key(config, key)
        if str(error).startswith(f"flag --config.{key}="):
            kind = _KINDS.get(type(known[key]).__name__, "a value")
            return (
                f"--config.{key} cannot be used ({_line(error)}): give {kind}, e.g. "
                f"--config.{key}={known[key]}"
            )
    return _line(error)


def _flag_line(error: Exception) -> str:
    """Return the error line of a flag that takes no such value."""
    found = _ILLEGAL.match(str(error))
    if found is None:
        return _line(error)
    flag, name, reason = found.groups()
    kind = _KINDS.get(flags.FLAGS[name].flag_type())
    return f"{flag} cannot be used ({reason})" + (f": give {kind}" if kind else "")


def _line(error: Exception) -> str:
    """Return an error's message in one line; of a traceback, its last line."""
    words = str(error).strip()
    if "Traceback" in words or isinstance(error, OSError):
        words = words.splitlines()[-1]
    return " ".join(words.split()) or type(error).__name__
