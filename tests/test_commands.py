"""Commands that are printed, run as far as their parsers and workdirs go, in order."""

import argparse
import importlib
import importlib.util
import itertools
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from absl.testing import flagsaver

from gan_jax import main
from gan_jax.build import methods, tasks
from gan_jax.config import flags
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.report import files
from gan_jax.runs.workdir import check_workdir
from launch import batch

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def blocks(text, language="bash"):
    """Return the blocks of a Markdown text in a language, one after the other."""
    return "\n".join(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL))


def printed(text):
    """Return the commands of Python modules in a text: (module, arguments).

    What launchers pass on to `gan_jax.main` is a command of its own.
    """
    found = []
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        if COMMAND.match(line) and "..." not in line:
            for words in commands(re.sub(r"(?<=\S)  .*", "", line)):
                found += passed_on(words)
    return found


COMMAND = re.compile(r"\s*(python3? |\.venv/bin/\w+ |gan-jax |launch/|sbatch )")
"""How a line begins that is a command and no prose."""


def commands(line):
    """Split a line of a shell into its commands, those inside quotes included."""
    words = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word == "&&":
            yield words
            words = []
        elif "python -m" in word and " " in word:
            yield from commands(word)
        else:
            words.append(word)


def passed_on(words):
    """Yield the commands of Python modules that a command is or starts."""
    starts = {Path(word).name: at for at, word in enumerate(words)}
    if "-m" in starts and words[starts["-m"] - 1].endswith("python"):
        module, *arguments = words[starts["-m"] + 1 :]
        yield module, arguments
        own, _, rest = " ".join(arguments).partition(" -- ")
        if module == "launch.processes":
            yield "gan_jax.main", rest.split()
        elif module == "launch.anomalies":
            workdir = re.search(r"--workdir=\S+", own)[0]
            one = ["--config.anomaly.label=0", "--config.seed=0", f"{workdir}/0/0"]
            yield "gan_jax.main", [*rest.split(), *one]
    elif "gan-jax" in starts:
        yield "gan_jax.main", words[starts["gan-jax"] + 1 :]
    elif "slurm.sh" in starts:
        yield "gan_jax.main", words[starts["slurm.sh"] + 1 :]
    elif "local.sh" in starts:
        name, *rest = words[starts["local.sh"] + 1 :]
        config, colon, variants = name.partition(":")
        flags = [word for word in rest if word.startswith("--")]
        yield "gan_jax.main", [f"--config=configs/{config}.py{colon}{variants}", *flags]


def claim(module, arguments, place):
    """Go as far as the workdir, and claim it below a place, as a run would."""
    argv = [module, *arguments]
    sys.argv = argv  # the library of configs reads overrides here
    with flagsaver.flagsaver():
        config = flags.parse(argv)
        if module == "gan_jax.main":
            workdir, flag = main.workdir_of(config), "--workdir"
        else:
            batch.set_images(config)
            workdir, flag = batch.results_folder(), "--out"
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
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
"""What a reader may run in one folder, page after page."""
TEXTS = (*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
SCRIPTS = sorted((ROOT / "launch").glob("*.sh"))
LAUNCHERS = [
    path for path in sorted((ROOT / "launch").rglob("*.py")) if path.stem != "peers"
]
FIELDS = ("Prior", "Data", "Variants", "Cost", "Expected")


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", sys.argv)


@pytest.fixture
def reader(here, tmp_path, monkeypatch):
    """Work in a reader's folder, with the file that docs/extending.md prints."""
    for module, table in ((methods, "OBJECTIVES"), (tasks, "TASKS")):
        monkeypatch.setattr(module, table, {**getattr(module, table)})
    extending = (ROOT / "docs" / "extending.md").read_text()
    (tmp_path / "my_method.py").write_text(blocks(extending, "python"))
    monkeypatch.chdir(tmp_path)


def test_commands_of_all_pages_do_not_refuse_each_other(reader, tmp_path):
    claimed = {}
    for page in PAGES:
        for module, arguments in printed(blocks(page.read_text())):
            if module in CLAIMING:
                workdir = claim(module, arguments, tmp_path)
                claimed.setdefault(page.name, []).append(workdir)
    assert Path("runs/pixelcgan-fashion_mnist-cgan") in claimed["training.md"]
    assert len(claimed["README.md"]) > 12
    assert {"tutorial.md", "batch.md", "clusters.md", "studies.md"} <= {*claimed}
    assert claimed["extending.md"] == [Path("runs/halves"), Path("runs/absolute")]


def test_commands_without_a_config_are_understood(here, monkeypatch):
    found = [each for page in TEXTS for each in printed(blocks(page.read_text()))]
    found += [each for path in LAUNCHERS for each in printed(header(path))]
    others = [each for each in found if each[0] not in (*CLAIMING, "pytest", "venv")]
    known = {module for module, _ in others}
    assert {"gan_jax.export", "launch.processes", "launch.benchmark"} <= known
    for module, arguments in others:
        parse_alone(module, arguments, monkeypatch)


def header(path):
    """Return the docstring of a Python module, or the first comment of a script."""
    text = path.read_text()
    if path.suffix == ".py":
        return next(iter(text.split('"""')[1:2]), "")
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines)


@pytest.mark.parametrize(
    "path", [*CONFIGS, *SCRIPTS, *LAUNCHERS], ids=lambda path: path.name
)
def test_commands_of_a_header_do_not_refuse_each_other(here, tmp_path, path):
    found = printed(header(path))
    assert found or path in LAUNCHERS, "its header shows how it is run"
    for module, arguments in found:
        if module in CLAIMING:
            claim(module, arguments, tmp_path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_configs_header_says_what_it_is_and_needs(path):
    first, fields, _ = header(path).split("\n\n", 2)
    assert re.fullmatch(r"[A-Z].{20,}\.", first), "one line, one sentence"
    names = re.findall(r"^(\w+):", fields, re.MULTILINE)
    assert [name for name in names if name in FIELDS] == [*FIELDS]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250


def anchors(text):
    """Return the anchors of the headings of a Markdown text, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
    }


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_links_pictures_and_paths_of_a_page_exist(path):
    text = path.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        found = (path.parent / place).resolve() if place else path
        assert found.is_file(), link
        assert not anchor or anchor in anchors(found.read_text()), link
    own = r"`((?:gan_jax|configs|launch|tests|docs)/[\w/.]*)`"
    for name in re.findall(own, text) if path.stem != "CHANGELOG" else ():
        assert (ROOT / name).exists(), name


@pytest.fixture(scope="module")
def keys():
    """Return the keys of all configs, whatever their arms and losses are called."""
    configs = [runpy.run_path(str(path))["get_config"]() for path in CONFIGS]
    found = {key for config in configs for key in flatten(config)}
    return {*found, *(re.sub(r"(arms|losses)\.\w+\.", "", key) for key in found)}


@pytest.mark.parametrize("path", TEXTS[:-1], ids=lambda path: path.stem)
def test_keys_named_on_a_page_exist(path, keys):
    rooms = "|".join({key.partition(".")[0] for key in keys if "." in key})
    words = re.findall(
        r"`([^`\n]+)`", re.sub(r"```.*?```", "", path.read_text(), flags=re.S)
    )
    for word in words:
        if word in ("teacher.msgpack", "network.onnx", "data.json"):  # files
            continue
        found = re.match(rf"--config\.([a-z][\w.]+)|((?:{rooms})\.[\w.]+)(?==|$)", word)
        key = found and (found[1] or found[2])
        assert not key or re.sub(r"^(arms|losses)\.\w+\.", "", key) in keys, word


def test_tables_to_extend_are_where_the_page_says():
    text, place = (ROOT / "CONTRIBUTING.md").read_text(), None
    rows = [line for line in text.splitlines() if line.startswith("| a")]
    for row in rows:
        register = row.split("|")[3]
        places = re.findall(r"`(gan_jax/[\w/.]+\.py)`", register)
        place = places[0] if places else place
        for name in re.findall(r"`([A-Z_]+)`", register):
            assert f"\n{name}: " in (ROOT / place).read_text(), row
    assert len(rows) > 8


@pytest.mark.parametrize(
    "page", ["README.md", pytest.param("docs/library.md", marks=pytest.mark.slow)]
)
def test_examples_of_the_library_run(page):
    exec(blocks((ROOT / page).read_text(), "python"), {})


def test_images_of_the_tutorial_are_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(blocks((ROOT / "docs" / "tutorial.md").read_text(), "python"), {})
    assert len(list(tmp_path.glob("digits/*/*.png"))) == 1785
    names = [{path.name for path in Path(folder).iterdir()} for folder in USED]
    assert names[0] == names[1] and len(names[0]) == 12


USED = ("damaged", "masks")


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
