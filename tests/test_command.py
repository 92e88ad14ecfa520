"""Flags: whatever is wrong with them is one line that says what would be right."""

import contextlib
import os
import shlex
import sys
from functools import partial

import pytest
from ml_collections import ConfigDict

from gan_jax.config import flags
from gan_jax.config.checks import check_path
from gan_jax.config.command_line import full_command
from gan_jax.config.errors import InputError
from gan_jax.export.__main__ import main as export
from gan_jax.runs.workdir import check_workdir
from tests.programs import called, run, start

REAL = "--config=configs/pixelcgan.py:smoke"
# The parser alone: neither JAX nor a data set is touched.
PARSE = """
import sys
from gan_jax.config import flags
print("parsed", flags.parse(sys.argv).name, "jax" in sys.modules)
"""


def parse(*arguments):
    """Return the line in which the command line says what is wrong."""
    program = partial(flags.run_program, program=lambda config: None)
    finished = called(program, "gan_jax", *arguments)
    assert finished.returncode == 2 and finished.stdout == ""
    assert finished.stderr.startswith("gan_jax: ")
    return finished.stderr.strip()


@pytest.mark.parametrize(
    "text", ["digits", "", "it's $(touch x) `y`", "a\\b", "'", "two\nlines", "~/a b;c"]
)
def test_a_printed_command_gives_every_value_as_it_is(text):
    command = full_command("gan", {"images": text, "seed": 3, "rate": 1e-05})
    words = shlex.split(command.replace(" \\\n", " "))
    assert words[:3] == ["python", "-m", "gan_jax.main"]
    assert words[3:] == [
        *("--config=configs/gan.py", f"--config.images={text}"),
        *("--config.seed=3", "--config.rate=1e-05"),
    ]


def test_a_printed_command_quotes_texts_alone():
    command = full_command("gan", {"data.name": "digits", "seed": 3})
    assert "--config.data.name='digits' \\\n  --config.seed=3" in command


def test_a_good_command_needs_no_jax():
    finished = start([sys.executable, "-c", PARSE, REAL, "--config.steps=7"])
    assert finished.stdout.strip() == "parsed pixelcgan False", finished.stderr


def test_a_mistake_is_one_line_of_a_program_that_fails(tmp_path):
    program = [sys.executable, "-m", "gan_jax.main"]
    finished = start([*program, REAL, "--config.stepz=3", f"--workdir={tmp_path}/no"])
    assert finished.returncode == 2 and finished.stdout == ""
    (said,) = finished.stderr.splitlines()
    assert said.startswith("gan_jax: ") and "did you mean steps?" in said
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--config="], "which experiment? e.g. --config=pixelcgan"),
        (["--config"], "which experiment? e.g. --config=pixelcgan"),
        (["pixelcgan"], "what is 'pixelcgan'? Every argument is a --flag=value"),
        (["--cfg=x"], "cfg"),
        (["--config=configs/nothing.py"], "cannot be loaded"),
        (["--config=README.md"], "cannot be loaded"),
        (["--config=gan_jax/config/errors.py"], "cannot be loaded"),
        ([REAL, "--config.stepz=3"], "did you mean steps?"),
        ([REAL, "--config.mask=3"], "mask"),
        ([REAL, "--config.mask.size=3"], "unknown key --config.mask.size"),
        ([REAL, "--config.steps=many"], "give a whole number, e.g. --config.steps="),
        ([REAL, "--config.steps=1.5"], "give a whole number"),
        ([REAL, "--config.pixel_weight=x"], "give a number"),
        ([REAL, "--config.data.download=maybe"], "give True or False"),
        ([REAL, "--config.steps=0"], "steps is 0: give a number at least 1"),
        ([REAL, "--config.pixel_weight=nan"], "give a number that is finite"),
        ([REAL, "--config.seed=-1"], "seed is -1: give a number at least 0"),
        ([REAL, "--engine=spark"], "--engine=spark cannot be used (value should be"),
        ([REAL, "--block=-1"], "--block=-1 cannot be used (-1 is not a non-negative"),
        ([REAL, "--workers=-1"], "--workers=-1 cannot be used"),
        ([REAL, "--processes=x"], "--processes=x cannot be used"),
        ([REAL, "--process=1.5"], "'1.5'): give a whole number"),
        ([REAL, "--distributed=perhaps"], "'perhaps')): give True or False"),
        ([REAL, "--verbose=2"], "--verbose=2 cannot be used"),
        ([REAL, "--workdir"], "gan_jax: Missing value for flag --workdir"),
        ([REAL, "--stderrthreshold=x"], "gan_jax: --stderrthreshold must be one of"),
        ([REAL, "--config.steps=many", "--block=x"], "--block=x cannot be used"),
        (["--config=configs/pixelcgan.py:mnits"], "did you mean mnist?"),
        (["--config=pixlcgan"], "did you mean pixelcgan?"),
        (["--config", "pixelcgan:mnits"], "did you mean mnist?"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, says):
    said = parse(*arguments)
    assert says in said
    assert len(said.splitlines()) == 1
    assert "Traceback" not in said


def test_a_folder_of_checkpoints_is_utf8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    finished = run(tmp_path / name)
    assert finished.returncode == 2
    assert r"caf\udce9" in finished.stderr and "is not UTF-8" in finished.stderr
    assert not (tmp_path / name).exists()
    with pytest.raises(InputError, match=r"^--out=.* is not UTF-8"):
        check_workdir(ConfigDict(), tmp_path / name, "--out")
    assert "is not UTF-8" in parse(
        "--config=configs/inpaint.py", f"--config.prior={tmp_path / name}"
    )
    assert export([f"--prior={tmp_path / name}"]) == 2
    (tmp_path / name).mkdir()
    with contextlib.chdir(tmp_path / name), pytest.raises(InputError, match="rename"):
        check_path("--workdir", "runs/gan")


def test_a_config_that_raises_or_gives_something_else(tmp_path):
    (tmp_path / "broken.py").write_text("def get_config(variant=''):\n    1 / 0\n")
    (tmp_path / "other.py").write_text("def get_config(variant=''):\n    return 3\n")
    said = parse(f"--config={tmp_path / 'broken.py'}")
    assert "division by zero" in said and len(said.splitlines()) == 1
    said = parse(f"--config={tmp_path / 'other.py'}")
    assert len(said.splitlines()) == 1 and "--help lists the experiments" in said
