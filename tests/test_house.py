"""The house rules: who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gan_jax"
FLOORS = [
    {"errors"},
    {"names"},
    {"losses"},
    {"networks", "data"},
    {"search", "evaluation", "report"},
    {"training"},
    {"tasks"},
    {"keys"},
    {"config"},
    {"variants"},
    {"limits", "architectures"},
    {"requirements"},
    {"recipe", "command"},
    {"searches"},
    {"programs"},
    {"main", "export"},
]
"""From the ground up; rooms on one floor do not import each other."""
SINGLE = [path.stem for path in sorted(PACKAGE.glob("*.py")) if path.stem[0] != "_"]


def room(module):
    """The package or single module under gan_jax that a dotted name lies in."""
    return module.split(".")[1] if "." in module else None


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "gan_jax":
                yield from (f"gan_jax.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def floor(name):
    return next(level for level, rooms in enumerate(FLOORS) if name in rooms)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE]
    + [PACKAGE / f"{name}.py" for name in SINGLE],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_modules_import_only_from_lower_floors(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imports(path):
        if module.split(".")[0] == "gan_jax" and room(module) not in (own, None):
            assert floor(room(module)) < floor(own), f"{path} imports {module}"


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


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("gan_jax", {"jax", "tensorflow", "matplotlib"}),
        ("gan_jax.main", {"jax", "tensorflow", "matplotlib"}),
        ("gan_jax.recipe", {"tensorflow", "matplotlib"}),
    ],
)
def test_importing_is_cheap(module, absent):
    code = f"import sys, {module}; print(sorted(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {f"'{name}'" for name in absent} & set(
        found.stdout.strip("[]\n").split(", ")
    )
