"""The wheel: installed away from the checkout, it trains and lists its experiments."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.name for path in (ROOT / "configs").glob("*.py"))

pytestmark = pytest.mark.slow


def finished(*command, cwd, **environment):
    """Run a command without the checkout on its path; return its standard output."""
    inherited = {key: each for key, each in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy: setuptools leaves a `build` folder beside it."""
    place = tmp_path_factory.mktemp("wheel")
    names = ("gan_jax", "configs", "setup.py", "pyproject.toml", "README.md", "LICENSE")
    for name in names:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, place / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    finished(*pip, f"--wheel-dir={place}", place, cwd=place)
    (found,) = place.glob("gan_jax-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel into a fresh environment; return the folder of its commands.

    A path file lends the environment the packages of this one: nothing is downloaded.
    """
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    python = place / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(finished(python, "-c", where, cwd=place).strip())
    lent = [path for path in sys.path if path.endswith("-packages")]
    (own / "lent.pth").write_text("\n".join(lent))
    finished(
        python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=place
    )
    return python.parent


def test_the_wheel_holds_the_package_its_configs_and_its_license(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(name for name in names if name.endswith("METADATA"))
        described = archive.read(metadata).decode()
    held = {name for name in names if ".dist-info/" not in name}
    files = {
        f"gan_jax/{path.relative_to(ROOT / 'gan_jax')}"
        for path in (ROOT / "gan_jax").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert held == files | {f"gan_jax/configs/{name}" for name in CONFIGS}
    assert "License-Expression: Apache-2.0" in described
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_installed_command_lists_experiments_and_trains(installed, tmp_path):
    command = installed / "gan-jax"
    listed = finished(command, "--help", cwd=tmp_path)
    assert listed == finished(
        installed / "python", "-m", "gan_jax.main", "--help", cwd=tmp_path
    )
    for name in CONFIGS:
        assert f"\n  {name.removesuffix('.py')} " in listed
    assert "lambda" in finished(command, "--config=pixelcgan", "--help", cwd=tmp_path)
    finished(
        command,
        "--config=gan:smoke",
        "--config.steps=20",
        "--config.evaluation.every=0",
        cwd=tmp_path,
    )
    run = tmp_path / "runs" / "gan-smoke"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["complete"] and summary["config_name"] == "gan"
    assert (run / "report.html").stat().st_size > 10_000
    # The documented path of a config means the same where there is no checkout.
    continued = finished(
        command,
        "--config=configs/gan.py:smoke",
        "--config.steps=20",
        "--config.evaluation.every=0",
        cwd=tmp_path,
    )
    assert "report: runs/gan-smoke/report.html" in continued
    assert "gan_jax" not in {path.name for path in tmp_path.iterdir()}
