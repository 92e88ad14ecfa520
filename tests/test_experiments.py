"""What `--help` prints, and where an experiment's name leads to."""

import importlib
import re
from pathlib import Path

import pytest

from gan_jax import main
from gan_jax.build import methods, networks, searches, tasks
from gan_jax.config import experiments, schema
from gan_jax.config.defaults import inpainting
from gan_jax.data import degradations, holes
from gan_jax.losses import inpainting as losses
from gan_jax.networks.layers import normalisation
from gan_jax.search.collaboration import STOPPINGS
from launch import batch
from tests.programs import called

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


def test_without_arguments_the_experiments_are_listed():
    listed = called(main.main, "gan_jax.main", "--help")
    assert listed.returncode == 0 and listed.stderr == ""
    refused = called(main.main, "gan_jax.main")
    assert refused.returncode == 2 and refused.stdout == ""
    assert refused.stderr.startswith(listed.stdout)
    assert "gan_jax: which experiment?" in refused.stderr.splitlines()[-1]


def test_help_with_a_config_lists_its_keys_and_runs_nothing(tmp_path):
    given = ("--config=gan:smoke", "--config.steps=7", f"--workdir={tmp_path}/run")
    listed = called(main.main, "gan_jax.main", *given, "--help")
    assert listed.returncode == 0 and listed.stderr == ""
    assert "\n  steps=7 " in listed.stdout and not (tmp_path / "run").exists()


def test_every_experiment_is_listed_with_its_first_line_and_its_needs():
    assert list(experiments.paths()) == NAMES
    text = experiments.overview("gan_jax.main")
    for name in NAMES:
        first = importlib.import_module(f"configs.{name}").__doc__.splitlines()[0]
        _, _, after = text.partition(f"\n  {name} ")
        assert " ".join(after.split()).startswith(first)
    assert "Prior: a trained GAN: --config.prior=WORKDIR" in text
    assert "Prior: none." not in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_flags_of_a_program_are_listed():
    text = experiments.overview("gan_jax.main")
    for flag in (
        "--config=",
        "--workdir=",
        "--processes=",
        "--distributed",
        "--verbose",
    ):
        assert f"\n  {flag}" in text
    assert "--out=" not in text
    assert "--out=" in experiments.overview(batch.__name__)


def described(name, variant=""):
    get_config = importlib.import_module(f"configs.{name}").get_config
    return experiments.describe(get_config(variant), experiments.paths()[name])


def test_a_configs_keys_are_listed_with_value_limits_and_meaning():
    text = " ".join(described("pixelcgan", "smoke").split())
    assert text.startswith(
        "Train a generator of images under a handful of known pixels"
    )
    assert "steps=150 training steps" in text
    assert "[at least 1; may change when a run continues]" in text
    assert "network.depth=2 halvings" in text and "[at least 1 and at most 16]" in text
    assert "2147483647" not in text
    assert "data.path='' " in text
    inpaint = " ".join(described("inpaint", "yeh").split())
    assert "count=200 test images [at least 1]" in inpaint
    assert "losses.yeh.context=1.0 alpha: weight" in inpaint
    study = " ".join(described("compare_objectives").split())
    assert "shared.steps=3000 training steps" in study
    assert "arms.ARM.KEY a training key of one arm; ARM is ebgan, hinge" in study


def test_keys_are_listed_in_the_schemas_order():
    found = [
        line.split("=")[0].strip()
        for line in described("gan").splitlines()
        if line.startswith("  ") and "=" in line and not line.startswith("   ")
    ]
    rows = [key for key in schema.TRAINING if key in found]
    assert found == rows and len(rows) > 50


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_a_config_has_a_meaning(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    for key in experiments.flatten(config):
        if not re.fullmatch(r"(arms\.\w+\.)?(name|program)", key):
            assert schema.find(key, config.program).meaning, key


@pytest.mark.parametrize(
    ("key", "table"),
    [
        ("task", tasks.TASKS),
        ("objective", methods.OBJECTIVES),
        ("precision", networks.PRECISIONS),
        ("network.generator", {**networks.GENERATORS, **networks.TRANSLATORS}),
        ("network.critic", networks.CRITICS),
        ("network.normalisation", normalisation.GENERATOR_NORMALISATIONS),
        ("network.critic_normalisation", normalisation.NORMALISATIONS),
        ("network.map", methods.MAPS),
        ("optimizer.name", methods.OPTIMIZERS),
        ("reconstruction.name", tasks.DISTANCES),
        ("search.optimizer.name", searches.DESCENTS),
        ("search.optimizer.schedule", searches.SCHEDULES),
        ("losses.any.weights", losses.WEIGHTS),
        ("losses.any.unlikely", losses.SCORE_LOSSES),
        ("masks", holes.HOLES),
        ("degradation", degradations.DEGRADATIONS),
        ("refinement.stopping", STOPPINGS),
    ],
)
def test_a_meaning_lists_the_names_that_its_key_may_have(key, table):
    program = "inpaint" if key == "masks" else ""
    words = {word.strip(",.;:()") for word in schema.find(key, program).meaning.split()}
    assert set(table) <= words | {word.partition(":")[0] for word in words}


def test_a_name_stands_for_the_config_file_where_there_is_no_such_file(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    packaged = str(ROOT / "configs" / "gan.py")
    assert experiments.located("gan") == packaged
    assert experiments.located("gan:mnist,smoke") == f"{packaged}:mnist,smoke"
    assert experiments.located("configs/gan.py:smoke") == f"{packaged}:smoke"
    for other in ("gam", "own/gan.py", "../configs/gan.py", "gan.py"):
        assert experiments.located(f"{other}:smoke") == f"{other}:smoke"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "gan.py").write_text("")
    assert experiments.located("configs/gan.py:smoke") == "configs/gan.py:smoke"
    assert experiments.located("gan") == packaged


def test_a_key_of_a_users_config_needs_no_row():
    config = inpainting("own")
    with config.unlocked():
        config.strange = 3
    assert "strange=3" in experiments.describe(config, ROOT / "README.md")
