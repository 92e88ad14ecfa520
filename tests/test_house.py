"""The house rules: who may import whom, and what importing costs."""

import ast
import json
import sys

import pytest

from tests.programs import ROOT, start

PACKAGE = ROOT / "gan_jax"
FLOORS = [
    {"config"},
    {"losses", "data.memory", "data.windows"},
    {"data.files"},
    {"networks.layers", "data.decode"},
    {"data.mask_files"},
    {"data.grids"},
    {"data.datasets"},
    {"networks", "data"},
    {"search", "evaluation", "report"},
    {"training"},
    {"tasks.plates"},
    {"tasks"},
    {"build"},
    {"runs"},
    {"priors"},
    {"apps.train"},
    {"apps.inpaint", "apps.colorize", "apps.generate"},
    {"apps.collaborate", "apps.detect", "apps.study"},
    {"apps.batch", "apps.serve"},
    {"apps"},
    {"main", "serve", "export", "priors.__main__"},
    {"__main__"},
]
"""From the ground up; rooms on one floor do not import each other.

A room is a package, a sub-package, or a single module of `gan_jax`. A module belongs to
the longest room that its dotted name begins with.
"""
ROOMS = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
LARGEST = 12
"""Modules in one folder, without its `__init__`."""
LONGEST = 360
"""Lines of a module."""


def room(module):
    """The room that a dotted name under gan_jax lies in; None for gan_jax itself."""
    parts = module.split(".")[1:]
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((name for name in names if name in ROOMS), None)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module and node.module.split(".")[0] == "gan_jax":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.rglob("*.py")) if path.stem != "__init__"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_modules_import_only_from_lower_floors(path):
    own = room(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
    assert own, f"{path} lies in no room"
    for module in imports(path):
        if module.split(".")[0] == "gan_jax" and room(module) not in (own, None):
            assert ROOMS[room(module)] < ROOMS[own], f"{path} imports {module}"


def test_no_folder_is_crowded():
    for folder in [PACKAGE, *(path.parent for path in PACKAGE.rglob("__init__.py"))]:
        modules = [each for each in folder.glob("*.py") if each.stem != "__init__"]
        assert len(modules) <= LARGEST, f"{folder} has {len(modules)} modules"


def test_no_module_is_long():
    for path in PACKAGE.rglob("*.py"):
        lines = path.read_text().count("\n")
        assert lines <= LONGEST, f"{path} has {lines} lines"


def test_losses_are_mathematics_alone():
    for path in (PACKAGE / "losses").glob("*.py"):
        roots = {module.split(".")[0] for module in imports(path)}
        assert roots <= {
            "collections",
            "typing",
            "jax",
            "jaxtyping",
            "optax",
            "gan_jax",
        }


def test_there_is_no_drawer_for_everything():
    names = {path.name for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils.py", "common.py", "helpers.py", "misc.py"}


HEAVY = {"jax", "jinja2", "matplotlib", "PIL", "rich", "sklearn", "tensorboardX"} | {
    "tensorflow",
    "tensorflow_datasets",
}
CHEAP = (
    ("gan_jax", HEAVY),
    ("gan_jax.runs.startup", HEAVY | {"absl", "ml_collections", "numpy"}),
    ("gan_jax.main", HEAVY),
    ("gan_jax.report.files", HEAVY),
    ("gan_jax.report.formats", HEAVY),
    ("gan_jax.report.grids", HEAVY),
    ("gan_jax.report.journal", HEAVY),
    ("gan_jax.report.page", HEAVY),
    ("gan_jax.report.plots", HEAVY),
    ("gan_jax.report.progress", HEAVY),
    ("gan_jax.tasks.plates.constraints", HEAVY),
    ("gan_jax.data.datasets.embedded", HEAVY),
    ("gan_jax.data.datasets.formats", HEAVY),
    ("gan_jax.build.methods", {"matplotlib", "tensorflow"}),
)
"""Modules, and what none of them may import, in the order in which one process does."""


def test_importing_is_cheap():
    code = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    print(json.dumps([*sys.modules]))
"""
    names = [name for name, _ in CHEAP]
    finished = start([sys.executable, "-c", code, *names])
    assert finished.returncode == 0, finished.stderr
    for (name, absent), line in zip(CHEAP, finished.stdout.splitlines(), strict=True):
        assert not absent & {*json.loads(line)}, name


def test_another_package_named_tests_is_in_nobodys_way(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("raise AssertionError('another')")
    some = ["tests/test_house.py", "tests/test_terms.py"]
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", *some]
    finished = start(collect, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert finished.returncode == 0, finished.stdout
    assert "test_another_package_named_tests" in finished.stdout
