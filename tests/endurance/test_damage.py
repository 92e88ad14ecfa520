"""A damaged workdir is used as far as it is whole, and nothing else is lost."""

import random
import shutil
from functools import partial

import jax.numpy as jnp
import pytest

from gan_jax.training.checkpoint import Checkpoints
from tests.endurance.damage import ways
from tests.endurance.programs import train_points
from tests.endurance.readers import READERS, answered, same
from tests.endurance.workdirs import contents, files
from tests.test_sources import DATA

pytestmark = [pytest.mark.slow, pytest.mark.endurance]

STATES = ("checkpoints", "history")
ALONE = ("report.html", "samples/00000010.png", "tensorboard", "prior/")
"""What a run writes again, or never reads."""
TOLD = ("config.json", "summary.json", "metrics.jsonl")
REFUSED = ("config.json", "summary.json")
"""Of which some damage is told in one line, and nothing else done."""
KINDS = (*(f"{state}/{end}" for state in STATES for end in ("", "data")), *ALONE, *TOLD)
INSIDE = (
    "",
    "default/",
    "_CHECKPOINT_METADATA",
    "default/_METADATA",
    "manifest",
    "data",
)
"""What is damaged of one state: its folder, the one inside, and files of Orbax."""
SAMPLE = 1
"""Kinds of damage to each kind of file; the full run has all."""


def newest(folder):
    """Return the folder of the newest state."""
    return max(folder.glob("[0-9]*"), key=lambda path: int(path.name))


def located(state, name):
    """Return a file or folder of a state."""
    if name == "data":  # the largest file holds the arrays
        found = [path for path in state.rglob("*") if path.is_file()]
        return max(found, key=lambda path: path.stat().st_size)
    return min(state.rglob("manifest*")) if name == "manifest" else state / name


def target(workdir, kind):
    """Return the path of a kind of file of a workdir."""
    folder, _, name = kind.partition("/")
    if folder in (*STATES, "prior"):
        return located(newest(workdir / folder), name)
    return min((workdir / kind).iterdir()) if kind == "tensorboard" else workdir / kind


def check(wrong, late, tally):
    """Check that no damage had a wrong outcome, nor a traceback after it."""
    tally.add(tracebacks=bool(late))
    found = [*(f"{case}: {what}" for case, what in wrong.items()), *sorted({*late})]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_run_continues(kind, begun, tmp_path, tally, capfd, late, full):
    draw, every, wrong = random.Random(kind), list(ways(kind)), {}
    for way in every if full else draw.sample(every, SAMPLE):
        place = tmp_path / way
        place.mkdir()
        tally.add(faults=1)
        try:
            continued(kind, way, begun, place, capfd, draw)
            tally.add(right=1)
        except AssertionError as error:
            traceback = "Traceback" in str(error)
            tally.add(tracebacks=traceback, lost=not traceback)
            wrong[way] = str(error)[:300]
        except Exception as error:
            tally.add(tracebacks=1)
            wrong[way] = repr(error)[:300]
    check(wrong, late(), tally)


def continued(kind, way, begun, place, capfd, draw):
    """Damage a copy of the run, continue it, and check what comes of it."""
    before, whole = begun
    workdir, outside = shutil.copytree(before, place / "run"), place / "outside"
    outside.mkdir()
    (workdir / "notes.txt").write_text("the user's")
    ways(kind)[way](target(workdir, kind), outside, draw)
    kept, states = files(outside), files(workdir / "checkpoints")
    ended = train_points(workdir, 30)
    said = ended.stdout + ended.stderr + "".join(capfd.readouterr())
    assert "Traceback" not in said, said
    assert files(outside) == kept, "what lies outside is changed"
    assert (workdir / "notes.txt").read_text() == "the user's"
    # What no run makes of its names, a link or a folder, is refused.
    refused = "link" in way or "folder" in way or kind in REFUSED
    if ended.returncode and refused:
        assert ended.returncode == 2 and ended.stderr.count("\n") == 1, ended.stderr
        assert files(workdir / "checkpoints") == states, "checkpoints are changed"
        return
    assert ended.returncode == 0, ended.stderr
    found, wanted = contents(workdir), contents(whole)
    summaries = found["summary.json"], wanted["summary.json"]
    assert summaries[0]["parameters_sha256"] == summaries[1]["parameters_sha256"]
    if kind.startswith("checkpoints") or kind in ALONE:
        different = [name for name in wanted if found.get(name) != wanted[name]]
        assert set(different) <= {kind}, different


def state(step):
    """Return a state that tells its step."""
    return {"array": jnp.arange(5000.0) * step, "step": jnp.int32(step)}


@pytest.mark.parametrize("name", INSIDE)
def test_a_damaged_state_hides_no_older_one(name, tmp_path, tally, capfd, late, full):
    """The newest state is read as it was saved, or the one before it."""
    states = {step: state(step) for step in (10, 20)}
    with Checkpoints(tmp_path / "saved") as checkpoints:
        for step in states:
            checkpoints.save(step, states[step])
    wrong = {}
    end = "/" if located(tmp_path / "saved" / "20", name).is_dir() else ""
    for way, damage in ways(f"{name}{end}").items():
        for turn in range((60 if full else 10) if way == "flipped" else 1):
            place = tmp_path / f"{way} {turn}"
            shutil.copytree(tmp_path / "saved", place / "checkpoints")
            (outside := place / "outside").mkdir()
            damage(
                located(place / "checkpoints" / "20", name),
                outside,
                random.Random(turn),
            )
            kept, older = files(outside), files(place / "checkpoints" / "10")
            tally.add(faults=1)
            try:
                with Checkpoints(place / "checkpoints") as checkpoints:
                    found = checkpoints.restore(state(0), lambda line: None)
                assert found is not None, "the older state is hidden"
                right = same(found, states[int(found["step"])])
                assert right, "other numbers are read"
                assert files(outside) == kept, "what lies outside is changed"
                assert files(place / "checkpoints" / "10") == older
                assert "Traceback" not in "".join(capfd.readouterr())
                tally.add(right=1)
            except Exception as error:
                tally.add(lost=1)
                wrong[f"{way}, {turn}"] = repr(error)[:200]
    check(wrong, late(), tally)


# Readers, without a run around them.


def damaged(reader, made, file, cases, place, tally, turns):
    """Read a file in damaged copies of a folder; return what went wrong.

    Args:
        reader: The reader.
        made: The folder.
        file: Path in the folder of the file that is read.
        cases: Path in the folder, and name, of everything that happens.
        place: Folder of the copies.
        tally: The test's.
        turns: How often a bit is flipped.
    """
    wanted, wrong = reader.read(made / file), {}
    for path, way in cases:
        for turn in range(turns if way == "flipped" else 1):
            copy = place / f"{len(list(place.iterdir()))}"
            shutil.copytree(made, copy / "run", symlinks=True)
            (outside := copy / "outside").mkdir()
            ways(path)[way](copy / "run" / path, outside, random.Random(turn))
            kept = files(outside)
            tally.add(faults=1)
            try:
                value = answered(
                    partial(reader.read, copy / "run" / file), reader.errors
                )
                assert files(outside) == kept, "what lies outside is changed"
                known = not reader.exact or not value or same(value, wanted)
                assert known, "other values are read"
                tally.add(right=1)
            except AssertionError as error:
                tally.add(lost=1)
                wrong[f"{path}, {way}, {turn}"] = str(error)[:100]
            except Exception as error:
                tally.add(tracebacks=1)
                wrong[f"{path}, {way}, {turn}"] = repr(error)[:200]
            shutil.rmtree(copy / "run")
    return wrong


@pytest.fixture
def places(tmp_path):
    """Return a folder for valid files, and one for damaged copies."""
    made, copies = tmp_path / "made", tmp_path / "copies"
    made.mkdir()
    copies.mkdir()
    return made, copies


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused(name, places, tally, late, full):
    if name.startswith("TFDS") and not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    made, copies = places
    file = READERS[name].make(made).relative_to(made)
    cases = [(str(file), way) for way in ways(str(file))]
    turns = 20 if full else 2
    wrong = damaged(READERS[name], made, file, cases, copies, tally, turns)
    check(wrong, late(), tally)


@pytest.mark.parametrize("folder", ["prior", "detector"])
def test_damaged_states_are_refused(folder, places, tally, late, full):
    made, copies = places
    reader = READERS[f"arrays of a {folder}"]
    file = reader.make(made).relative_to(made)
    cases = []
    for inside in INSIDE:
        path = located(made / folder / "0", inside).relative_to(made)
        end = "/" if (made / path).is_dir() else ""
        cases += [(f"{path}{end}", way) for way in ways(f"{path}{end}")]
    turns = 20 if full else 5
    wrong = damaged(reader, made, file, cases, copies, tally, turns)
    check(wrong, late(), tally)
