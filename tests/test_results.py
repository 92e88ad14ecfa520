"""The commit that a summary names: the package's own, never that around it."""

import re
import subprocess
from pathlib import Path

import pytest

import gan_jax
from gan_jax.runs.summary import commit


def git(folder, *arguments):
    who = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false")
    finished = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout.strip()


@pytest.fixture
def project(tmp_path):
    """Return a checkout of some project, in whose ignored folder packages lie."""
    installed = tmp_path / "venv" / "site-packages" / "gan_jax" / "__init__.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    (tmp_path / ".gitignore").write_text("venv\n")
    (tmp_path / "own.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    git(tmp_path, "tag", "-am", "one", "v1")
    return tmp_path


def test_a_tracked_file_has_its_checkouts_commit(
    project, tmp_path_factory, monkeypatch
):
    wanted = git(project, "rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", wanted)
    assert commit(project / "own.py") == wanted
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    git(elsewhere, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))  # as in a hook
    assert commit(project / "own.py") == wanted


def test_a_tree_that_was_changed_says_so(project):
    wanted = git(project, "rev-parse", "HEAD")
    (project / "notes.txt").write_text("untracked")
    assert commit(project / "own.py") == wanted
    (project / "own.py").write_text("changed = True")
    assert commit(project / "own.py") == f"{wanted}-dirty"


def test_an_installed_package_has_no_commit_of_the_project_around_it(
    project, monkeypatch
):
    installed = project / "venv" / "site-packages" / "gan_jax" / "__init__.py"
    monkeypatch.chdir(project)
    assert commit(installed) is None
    (project / ".gitignore").write_text("")
    assert commit(installed) is None  # untracked
    git(project, "add", ".")
    assert commit(installed).startswith(git(project, "rev-parse", "HEAD"))


def test_without_a_repository_a_commit_or_git_there_is_none(tmp_path, monkeypatch):
    file = tmp_path / "gan_jax" / "__init__.py"
    file.parent.mkdir()
    file.write_text("")
    assert commit(file) is None
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    assert commit(file) is None  # nothing is committed yet
    git(tmp_path, "commit", "-qm", "first")
    assert commit(file) == git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(file) is None


def test_this_checkout_is_found():
    top = Path(gan_jax.__file__).parents[1]
    if not (top / ".git").exists():
        pytest.skip("the tests do not run in a checkout")
    found = commit(Path(gan_jax.__file__))
    assert found is not None
    assert found.removesuffix("-dirty") == git(top, "rev-parse", "HEAD")
