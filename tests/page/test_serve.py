"""The command `python -m gan_jax.serve`: its lines, its exit codes, its runs."""

import contextlib
import importlib.util
import re
import signal
import socket
import subprocess
import sys
from unittest import mock

import pytest

from gan_jax import serve
from gan_jax.apps.serve import run
from gan_jax.apps.serve.model import Model
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.report.files import write_json
from gan_jax.runs import startup
from tests.page.serving import SECONDS, get
from tests.programs import ROOT, environment
from tests.runs import smoke


def line_of(capsys, *arguments):
    """Return the line of a command that is refused."""
    with mock.patch.object(startup, "keep_memory"):
        assert serve.main(arguments) == 2
    written = capsys.readouterr()
    assert written.err.startswith("gan_jax: ") and written.err.count("\n") == 1
    return written.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--port=65536"], "--port=65536"),
        (["--port=-1"], "--port=-1"),
        (["--sessions=0"], "--sessions=0"),
        (["--host=no.such.name.invalid"], "--host=no.such.name.invalid"),
        (["--port=0", "--prior="], "--prior= names no run"),
        (["--port=0", "--prior=digits", "--prior= "], "--prior= names no run"),
        (["--port=0", "--prior=digit"], "did you mean digits"),
        (["--port=0", "--prior=runs/no\x1b[2J"], r"runs/no\u001b[2J is no run's"),
    ],
)
def test_what_cannot_be_served_is_one_line(capsys, arguments, line):
    assert line in line_of(capsys, *arguments)


def test_a_port_in_use_is_refused_before_runs_are_opened(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        line = line_of(capsys, f"--port={port}", "--prior=nothing")
    assert f"port {port} of 127.0.0.1" in line and "--port" in line


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "websockets"])
def test_a_missing_package_is_named_with_its_extra(capsys, missing):
    def found(name, _find=importlib.util.find_spec):
        return None if name == missing else _find(name)

    with mock.patch.object(serve, "find_spec", found):
        assert f"{missing}: pip install 'gan-jax[page]'" in line_of(capsys)


def test_help_is_useful(capsys):
    with pytest.raises(SystemExit) as ended:
        serve.main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for words in ("--prior", "--host", "--port", "--sessions", "--token", "token"):
        assert words in text


@pytest.mark.parametrize("argument", ["--prot=1", "--port=a", "runs/x", "--prior"])
def test_a_mistyped_flag_is_refused(capsys, argument):
    with pytest.raises(SystemExit) as ended:
        serve.main([argument])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The configs of two runs of one name, and of one that starts from latents."""
    place = tmp_path_factory.mktemp("runs")
    named = {"a/pixels": "pixelcgan", "b/pixels": "pixelcgan", "gan": "gan"}
    for name, config in named.items():
        (place / name).mkdir(parents=True)
        write_json(place / name / "config.json", flatten(smoke(config)))
    return place


def test_the_kind_of_a_run_is_read_from_its_config(runs, tmp_path):
    assert run.kind_of(str(runs / "a" / "pixels")) == "generation"
    assert run.kind_of(str(runs / "gan")) == "completion"
    assert run.kind_of("digits") == run.kind_of("channels") == "generation"
    assert run.kind_of("digits_latent") == "completion"
    assert run.kind_of(str(tmp_path)) == "generation"  # which refuses it


def test_runs_of_one_name_are_told_apart(runs):
    def opened(path, name):
        return Model("generation", {"size": [1, 1]}, b"", {})

    with mock.patch.dict(run._OPENERS, generation=opened):
        models = run.open_models([str(runs / each / "pixels") for each in ("a", "b")])
    assert [*models] == ["pixels", "pixels-2"]
    listed = run.listed(models).entries
    assert listed["protocol"] == run.PROTOCOL
    assert [each["name"] for each in listed["runs"]] == [*models]
    assert {each["kind"] for each in listed["runs"]} == {"generation"}


def test_a_run_of_another_program_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"program": "inpaint"}')
    with pytest.raises(InputError, match="not a complete run of 'train'"):
        run.open_models([str(tmp_path)])


@contextlib.contextmanager
def started(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "gan_jax.serve", "--port=0", *arguments],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(number):
    with started("--prior=digits") as process:
        line = next(line for line in process.stdout if "http" in line)
        place = mock.Mock(port=int(re.search(r"127\.0\.0\.1:(\d+)/", line)[1]))
        status, _, content = get(place)
        assert status == 200 and b"<html" in content
        process.send_signal(number)
        assert process.wait(SECONDS) == 0
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_a_signal_before_it_serves_ends_it_too():
    with started("--prior=digits") as process:
        next(process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 128 + signal.SIGINT
        assert process.stderr.read() == ""
