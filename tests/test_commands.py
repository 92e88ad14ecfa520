"""Commands that are printed, run as far as their parsers and workdirs go, in order."""

import argparse
import importlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
from absl.testing import flagsaver

from gan_jax import main
from gan_jax.config import flags
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.report import files
from gan_jax.runs.workdir import check_workdir
from launch import batch as latent_search

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def blocks(text):
    """Return the bash blocks of a Markdown text, one after the other."""
    return "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))


def printed(text):
    """Return the commands of Python modules in a text: (module, arguments).

    What other launchers pass on to `gan_jax.main` is a command of its own.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True) if "python -m" in line else []
        for one in " ".join(map(shlex.quote, words)).split(" '&&' "):
            _, is_module, rest = one.partition("python -m ")
            if is_module:
                module, *arguments = shlex.split(rest)
                found.append((module, arguments))
                if module == "launch.processes":
                    passed_on = arguments[arguments.index("--") + 1 :]
                    found.append(("gan_jax.main", passed_on))
        if "launch/slurm.sh" in line:
            _, _, rest = line.partition("launch/slurm.sh")
            found.append(("gan_jax.main", shlex.split(rest)))
    return found


def claim(module, arguments, place):
    """Go as far as the workdir, and claim it below a place, as a run would."""
    argv = [module, *arguments]
    sys.argv = argv  # the library of configs reads overrides here
    with flagsaver.flagsaver():
        config = flags.parse(argv)
        if module == "gan_jax.main":
            workdir, flag = main.workdir_of(config), "--workdir"
        else:
            workdir, flag = latent_search.asked(config), "--out"
        check_workdir(config, place / workdir, flag)
        files.write_json(place / workdir / "config.json", flatten(config))
    return workdir


class Parsed(Exception):  # noqa: N818 - it is no error
    """The arguments of a program were understood."""


def parse_alone(module, arguments, monkeypatch):
    """Go as far as the parser of a program that has no config."""
    inner = argparse.ArgumentParser.parse_args

    def parse(parser, given=None):
        inner(parser, given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        package = importlib.util.find_spec(module).submodule_search_locations
        importlib.import_module(f"{module}.__main__" if package else module).main()
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", inner)


# How ml_collections loads a config file.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
CLAIMING = ("gan_jax.main", "launch.batch")
README = printed(blocks((ROOT / "README.md").read_text()))


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", sys.argv)


def test_commands_of_the_readme_do_not_refuse_each_other(here, tmp_path):
    claiming = [each for each in README if each[0] in CLAIMING]
    assert len(claiming) > 30
    workdirs = [claim(*each, tmp_path) for each in claiming]
    assert Path("runs/pixelcgan-fashion_mnist-cgan") in workdirs


def test_commands_of_the_readme_that_have_no_config_are_understood(here, monkeypatch):
    others = [each for each in README if each[0] not in (*CLAIMING, "pytest", "venv")]
    known = {module for module, _ in others}
    assert {"gan_jax.export", "launch.processes"} <= known
    for module, arguments in others:
        parse_alone(module, arguments, monkeypatch)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_commands_of_a_configs_header_do_not_refuse_each_other(here, tmp_path, path):
    found = printed(path.read_text().split('"""')[1])
    assert found, "its header shows how it is run"
    for module, arguments in found:
        claim(module, arguments, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "workdir"),
    [
        (["--config=configs/gan.py"], "runs/gan"),
        (["--config=configs/gan.py:"], "runs/gan"),
        (["--config=configs/gan.py:smoke"], "runs/gan-smoke"),
        (["--config", "configs/gan.py:mnist,smoke"], "runs/gan-mnist-smoke"),
        (["--config=configs/gan.py:,smoke,"], "runs/gan-smoke"),
        (["--config=configs/gan.py:smoke", "--workdir=here"], "here"),
        (["--config=configs/gan.py:smoke", "--workdir="], "runs/gan-smoke"),
    ],
)
def test_a_workdir_is_named_after_the_config_and_its_variants(
    here, tmp_path, arguments, workdir
):
    assert claim("gan_jax.main", arguments, tmp_path) == Path(workdir)


def test_a_variant_of_a_users_config_makes_no_folders(here, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config(variant=''):\n"
        "    return ConfigDict({'name': 'own', 'program': variant})\n"
    )
    found = claim("gan_jax.main", [f"--config={own}:../a/b"], tmp_path)
    assert found == Path("runs/own-.._a_b")


def test_a_workdir_that_is_taken_names_a_free_one(here, tmp_path):
    claim("gan_jax.main", ["--config=configs/gan.py:smoke"], tmp_path)
    (tmp_path / "runs" / "gan-smoke-2").symlink_to("nowhere")
    with pytest.raises(InputError) as error:
        claim(
            "gan_jax.main",
            ["--config=configs/gan.py:smoke", "--config.seed=1"],
            tmp_path,
        )
    said = str(error.value)
    assert "seed: 0 -> 1" in said and len(said.splitlines()) == 1
    assert f"e.g. --workdir={tmp_path}/runs/gan-smoke-3, or give" in said


def test_a_batch_job_names_its_own_flag(here, tmp_path):
    flags = ["--config=configs/inpaint.py:yeh", "--images=photos", "--out=filled"]
    claim("launch.batch", flags, tmp_path)
    with pytest.raises(InputError, match=f"e.g. --out={tmp_path}/filled-2, or give"):
        claim("launch.batch", [*flags, "--config.seed=1"], tmp_path)
