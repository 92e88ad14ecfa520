"""Strict modes for every test: 4 CPU devices, no rank promotion, checked shapes."""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

# What is computed once for all runs is neither taken from the user's caches nor left;
# runs of one test session, and the processes that share it, share what they compile.
if "PYTEST_XDIST_WORKER" in os.environ:
    CACHE = os.environ["GAN_JAX_CACHE"]
    # Two workers that train one classifier at once come to two of them.
    os.environ["GAN_JAX_CACHE"] += f"/{os.environ['PYTEST_XDIST_WORKER']}"
else:
    CACHE = os.environ["GAN_JAX_CACHE"] = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{CACHE}/compiled"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
# Most of the tests' time is compilation of programs that run once. Without LLVM's
# optimisation and without XLA's emitters of fused loops a train step compiles in a
# fifth of the time. XLA_FLAGS="" compiles as users do, as some of .ci/run's slow tests.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
)

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
install_import_hook("gan_jax", "beartype.beartype")


STARTS = Path(CACHE) / "starts"
MOST = 60
"""Processes that the default test command may start. `git` is not counted: every
summary asks it for the commit, which takes milliseconds."""
DEFAULT = "not slow and not endurance and not browser"
"""The markers of pyproject.toml."""


def _count_starts(event, arguments):
    if event == "subprocess.Popen" and Path(str(arguments[0])).name != "git":
        with STARTS.open("a") as file:
            file.write(f"{os.environ.get('PYTEST_CURRENT_TEST')}\n")


def _starts():
    return STARTS.read_text().splitlines() if STARTS.exists() else []


def pytest_configure(config):
    if config.option.numprocesses is None or "PYTEST_XDIST_WORKER" in os.environ:
        sys.addaudithook(_count_starts)


def pytest_sessionfinish(session):
    default = session.config.option.markexpr == DEFAULT
    if "PYTEST_XDIST_WORKER" not in os.environ and default and len(_starts()) > MOST:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    terminalreporter.line(f"{len(_starts())} processes started; at most {MOST} may be")
    _show_endurance(terminalreporter)


def _show_endurance(terminalreporter):
    """Show the table of `tests/endurance`, and write it to $ENDURANCE_REPORT."""
    from tests.endurance.report import table

    rows = [
        (report.nodeid.removeprefix("tests/endurance/"), value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == "endurance"
    ]
    if not rows:
        return
    text = table(rows)
    terminalreporter.line(text)
    if path := os.environ.get("ENDURANCE_REPORT"):
        Path(path).write_text(text + "\n")


LONGEST = (
    "endurance.test_surroundings",
    "endurance.test_kills",
    "test_processes",
    "test_colorize",
    "test_main",
    "test_batch",
    "test_collaborate",
    "test_inpaint",
    "test_detect",
    "test_study",
    "test_colors",
    "test_score_losses",
    "test_export",
    "test_launch_scripts",
)


def pytest_collection_modifyitems(items):
    """The longest modules come first, lest one worker is left with one of them.

    The benchmark forgets all that is compiled: it comes last.
    """
    places = {f"tests.{name}": place for place, name in enumerate(LONGEST)}
    places["tests.test_benchmark"] = len(LONGEST) + 1
    items.sort(key=lambda item: places.get(item.module.__name__, len(LONGEST)))


@pytest.fixture(scope="session")
def gan(tmp_path_factory):
    """Return the `Prior` of a run of configs/gan.py; tests leave its workdir alone."""
    from tests.runs import kept, smoke

    return kept(tmp_path_factory.mktemp("gan"), smoke("gan"))
