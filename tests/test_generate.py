"""Images under the user's own known values."""

import json
import os
import shutil
import signal
import sys
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.generate import memory, outputs, run, storage
from gan_jax.apps.generate import realisations as images_of_sets
from gan_jax.apps.generate.agreement import Agreement, agreement, known_cells
from gan_jax.apps.generate.inversion import Inversion
from gan_jax.apps.generate.prior import Source, open_source
from gan_jax.apps.generate.sets import KnownFile, known_files, outline, read_set
from gan_jax.apps.generate.statistics import statistics
from gan_jax.apps.generate.storage import State, Store
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.data.grids.geometry import Geometry
from gan_jax.data.grids.points import KnownGrid
from gan_jax.data.grids.tables import read_table
from gan_jax.data.grids.units import LEVELS, Units, facies
from gan_jax.priors import packaged, packing
from gan_jax.search.realisations import compile_realiser, generate, places, realisations
from tests import programs
from tests.jobs import assert_a_batch_job_does_the_same
from tests.programs import assert_names_are_own, results, run_batch, summary
from tests.runs import kept, smoke

POINTS = "x,y,value\n14,14,255\n3,3,0\n14,7,200\n"


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    """A generator of 28x28 digits under known pixels."""
    workdir = tmp_path_factory.mktemp("prior")
    kept(workdir, smoke("pixelcgan"))
    return workdir


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """A generator of fields of any size."""
    workdir = tmp_path_factory.mktemp("fields")
    sizes = {"data.size": 16, "network.depth": 2, "network.critic_depth": 2}
    kept(workdir, smoke("geostatistics", **sizes))
    return workdir


@pytest.fixture
def known(tmp_path):
    path = tmp_path / "known.csv"
    path.write_text(POINTS)
    return path


def config(prior, known="", **values):
    return smoke("generate", "", prior=prior, known=known, **{"count": 20, **values})


def arrays(workdir, name="known"):
    with np.load(workdir / "realisations" / name / "realisations.npz") as file:
        return file["realisations"]


def contents(workdir):
    """Return the files of a run's sets, by their path."""
    root = workdir / "realisations"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(prior, tmp_path_factory):
    """A finished run."""
    place = tmp_path_factory.mktemp("made")
    (place / "known.csv").write_text(POINTS)
    run.run(config(prior, place / "known.csv"), place / "out")
    return place


def test_a_run_leaves_its_realisations_and_their_statistics(made):
    workdir = made / "out"
    images = arrays(workdir)
    assert images.shape == (20, 28, 28) and images.dtype == np.uint8
    folder = workdir / "realisations" / "known"
    pictures = sorted((folder / "images").iterdir())
    assert len(pictures) == 16
    for path, image in zip(pictures, images, strict=False):
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image)
    with np.load(folder / "statistics.npz") as found:
        np.testing.assert_allclose(found["mean"], images.mean(0), rtol=1e-6)
        np.testing.assert_allclose(found["spread"], images.std(0), atol=1e-4)
        for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
            np.testing.assert_allclose(
                found[name], np.quantile(images, share, axis=0), atol=1e-4
            )
    for name in ("mean", "spread", "p10", "p50", "p90", "plate"):
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size[0] >= 28
    (line,) = results(workdir)
    wanted = {(14, 14): 255, (3, 3): 0, (7, 14): 200}
    misses = [abs(images[:, y, x].astype(float) - v) for (y, x), v in wanted.items()]
    assert line["honoured"] == np.mean(np.array(misses) <= 25.5)
    assert line["largest_miss"] == np.max(misses) > 0
    assert line["known"] == 3 and line["done"] and line["count"] == 20
    found = summary(workdir)
    assert found["program"] == "generate" and found["complete"]
    assert found["metrics"]["honoured"] == line["honoured"]
    assert found["inputs"] == {"done": 1, "failed": 0}
    assert "Honoured" in (workdir / "report.html").read_text()
    assert_names_are_own(workdir)


def test_no_number_depends_on_the_batch(made, prior, tmp_path, monkeypatch):
    append, saved = Store.append, []

    def counted(self, images, stages):
        saved.append(len(images))
        append(self, images, stages)

    monkeypatch.setattr(Store, "append", counted)
    found = []
    for batch, wanted in ((0, [36]), (1, [16, 16, 4]), (17, [32, 4])):
        out = tmp_path / str(batch)
        known = made / "known.csv"
        run.run(config(prior, known, count=36, batch=batch), out)
        assert saved == wanted  # whole calls of the generator
        saved.clear()
        found.append(contents(out))
    assert found[0] == found[1] == found[2]


def test_more_realisations_begin_with_those_of_before(made, prior, tmp_path):
    known = made / "known.csv"
    for count in (5, 20):
        run.run(config(prior, known, count=count), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.json")}
    with pytest.raises(InputError, match="count=5 are fewer"):
        run.run(config(prior, known, count=5), tmp_path / "out")
    assert {path.name for path in before} >= {"summary.json", "config.json"}
    for path, content in before.items():  # a refusal changes nothing
        assert path.read_bytes() == content


def test_another_seed_and_another_name_make_other_images(made, prior, tmp_path):
    run.run(config(prior, made / "known.csv", seed=1), tmp_path / "out")
    assert (arrays(tmp_path / "out") != arrays(made / "out")).any()
    other = tmp_path / "other.csv"
    other.write_text(POINTS)
    run.run(config(prior, other), tmp_path / "other")
    assert (arrays(tmp_path / "other", "other") != arrays(made / "out")).any()


def killed_after(monkeypatch, saves):
    """Let a program die after so many saves, at the worst moments."""
    append = Store.append

    def dying(self, images, stages):
        nonlocal saves
        saves -= 1
        if saves < 0:
            # Half a batch is on the disk, and no state knows of it.
            with (self.folder / "realisations.raw").open("ab") as file:
                file.write(b"half")
            raise KeyboardInterrupt
        append(self, images, stages)

    monkeypatch.setattr(Store, "append", dying)


@pytest.mark.parametrize("saves", [0, 1])
def test_a_killed_run_continues_to_equal_files(
    made, prior, tmp_path, monkeypatch, saves
):
    wanted = config(prior, made / "known.csv", batch=7)
    with monkeypatch.context() as patch:
        killed_after(patch, saves)
        with pytest.raises(KeyboardInterrupt):
            run.run(wanted, tmp_path / "out")
    run.run(wanted, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")


def test_a_run_killed_among_its_outputs_continues(made, prior, tmp_path, monkeypatch):
    wanted = config(prior, made / "known.csv")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish", lambda *_: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            run.run(wanted, tmp_path / "out")
    run.run(wanted, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")


def test_a_signal_keeps_what_was_made(made, prior, tmp_path, monkeypatch):
    wanted = config(prior, made / "known.csv", batch=1)
    native = images_of_sets.Maker._native

    def signalled(self, scaled):
        os.kill(os.getpid(), signal.SIGINT)
        return native(self, scaled)

    with monkeypatch.context() as patch:
        patch.setattr(images_of_sets.Maker, "_native", signalled)
        with pytest.raises(Interrupted) as interrupted:
            run.run(wanted, tmp_path / "out")
    assert interrupted.value.signal == signal.SIGINT
    state = tmp_path / "out" / "realisations" / "known" / "state.json"
    assert json.loads(state.read_text())["state"]["done"] == 16
    run.run(wanted, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")


@pytest.mark.parametrize(
    ("name", "end"), [("realisations.npz", 9000), ("state.json", 50), ("state.json", 0)]
)
def test_a_damaged_file_is_made_anew(made, prior, tmp_path, name, end):
    shutil.copytree(made / "out", tmp_path / "out")
    path = tmp_path / "out" / "realisations" / "known" / name
    path.write_bytes(path.read_bytes()[:end])
    run.run(config(prior, made / "known.csv"), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")


@pytest.mark.parametrize("name", ["plate.png", "statistics.npz", "images/00003.png"])
def test_a_lost_file_is_written_again_and_no_image_is_made(
    made, prior, tmp_path, monkeypatch, name
):
    shutil.copytree(made / "out", tmp_path / "out")
    (tmp_path / "out" / "realisations" / "known" / name).unlink()
    monkeypatch.setattr(Store, "append", None)
    run.run(config(prior, made / "known.csv"), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")


def test_the_plain_file_of_a_complete_set_goes(made, prior, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:  # killed before the last step
        patch.setattr(Store, "discard", lambda self: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            run.run(config(prior, made / "known.csv"), tmp_path / "out")
    raw = tmp_path / "out" / "realisations" / "known" / "realisations.raw"
    assert raw.is_file()
    run.run(config(prior, made / "known.csv"), tmp_path / "out")
    assert not raw.exists()
    assert contents(tmp_path / "out") == contents(made / "out")


ROW = np.arange(3, dtype=np.uint8)


def stored(folder, identity="a"):
    """Return a store of two images, finished."""
    store = Store(folder, identity, (3,), np.dtype(np.uint8))
    store.begin()
    store.append(np.stack([ROW, ROW + 1]), {"written": Agreement(1, 2, 0.5)})
    store.finish({"set": "a"})
    return store


@pytest.mark.parametrize(
    "change",
    [
        {"done": None},
        {"done": -1},
        {"done": True},
        {"crc32": "0"},
        {"stages": {"written": [1, 2]}},
        {"stages": {"written": [None, 2, 3.0]}},
        {"line": 3},
        {"files": None},
        {"files": [1]},
        {"further": 1},
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_a_state_that_is_none_is_made_anew(tmp_path, capsys, change, signed):
    stored(tmp_path)
    path = tmp_path / "state.json"
    written = json.loads(path.read_text())
    entry = written["state"] | change
    crc32 = storage._checksum(entry) if signed else written["crc32"]
    path.write_text(json.dumps(written | {"state": entry, "crc32": crc32}))
    store = Store(tmp_path, "a", (3,), np.dtype(np.uint8))
    assert store.state == State() and not store.complete(2)
    store.begin()
    (line,) = capsys.readouterr().out.splitlines()
    assert "state.json cannot be used" in line and "making all anew" in line


@pytest.mark.parametrize("text", ["{}", "[]", "3", "null", "", "{"])
def test_a_state_of_other_json_is_made_anew(tmp_path, capsys, text):
    stored(tmp_path)
    (tmp_path / "state.json").write_text(text)
    store = Store(tmp_path, "a", (3,), np.dtype(np.uint8))
    store.begin()
    assert store.state.done == 0
    assert "cannot be used" in capsys.readouterr().out


def test_a_run_killed_before_its_first_save_has_lost_nothing(tmp_path, capsys):
    Store(tmp_path, "a", (3,), np.dtype(np.uint8)).begin()
    (tmp_path / "realisations.raw").unlink()
    Store(tmp_path, "a", (3,), np.dtype(np.uint8)).begin()
    assert capsys.readouterr().out == ""


def test_a_start_reads_the_images_once(tmp_path, monkeypatch):
    before = stored(tmp_path)
    opened, reading = [], storage._reading
    monkeypatch.setattr(
        storage, "_reading", lambda path: opened.append(path.name) or reading(path)
    )
    store = Store(tmp_path, "a", (3,), np.dtype(np.uint8))
    assert store.state == before.state and store.complete(2)
    assert opened == ["realisations.npz"]
    opened.clear()
    more = Store(tmp_path, "a", (3,), np.dtype(np.uint8))
    assert not more.complete(3)
    more.begin()
    assert opened == ["realisations.npz"]
    more.append(np.stack([ROW + 2]), {})
    np.testing.assert_array_equal(more.values(slice(1, 3)), [[1, 2], [2, 3], [3, 4]])
    np.testing.assert_array_equal(more.values(slice(1, 3), 2), [[1, 2], [2, 3]])


def test_a_complete_run_makes_nothing(made, monkeypatch, prior):
    before = contents(made / "out")
    monkeypatch.setattr(Store, "append", None)
    run.run(config(prior, made / "known.csv"), made / "out")
    assert contents(made / "out") == before


def test_exact_values_are_put_in(prior, known, tmp_path):
    run.run(config(prior, known, exact=True), tmp_path / "out")
    images = arrays(tmp_path / "out")
    assert (images[:, 14, 14] == 255).all() and (images[:, 7, 14] == 200).all()
    (line,) = results(tmp_path / "out")
    assert line["honoured"] == 1 and line["largest_miss"] == 0
    assert line["honoured_generated"] < 1


def test_refinement_honours_more(made, prior, tmp_path):
    images = arrays(made / "out").astype(float)
    y, x = np.unravel_index(images.std(0).argmax(), (28, 28))
    value, error = np.quantile(images[:, y, x], 0.9), images[:, y, x].std() / 2
    known = tmp_path / "known.csv"
    known.write_text(f"x,y,value,error\n{x},{y},{value},{error}\n")
    run.run(config(prior, known, refine=True, count=3), tmp_path / "out")
    (line,) = results(tmp_path / "out")
    assert line["honoured"] == line["honoured_refined"] > line["honoured_generated"]


def test_an_image_is_refined_the_same_whatever_the_count(prior, known, tmp_path):
    """And no image beyond the count is searched, nor many between two saves."""
    searched, made = [], []
    improved = Inversion.improved

    def counted(self, realiser, cells, known, latents, images, wanted):
        searched.append(len(images[wanted]))
        return improved(self, realiser, cells, known, latents, images, wanted)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inversion, "improved", counted)
        for count in (1, 6):
            wanted = config(prior, known, refine=True, count=count)
            run.run(wanted, tmp_path / str(count))
            made.append(arrays(tmp_path / str(count)))
    assert searched == [1, 4, 2]
    np.testing.assert_array_equal(made[0], made[1][:1])


def test_a_signal_keeps_the_images_that_were_refined(prior, known, tmp_path):
    """However often it comes, each call goes on from there."""
    wanted = config(prior, known, refine=True, count=6)
    improved = Inversion.improved

    def signalled(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return improved(*arguments)

    state = tmp_path / "out" / "realisations" / "known" / "state.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inversion, "improved", signalled)
        with pytest.raises(Interrupted):
            run.run(wanted, tmp_path / "out")
        assert json.loads(state.read_text())["state"]["done"] == 4
        with pytest.raises(Interrupted):
            run.run(wanted, tmp_path / "out")
        assert json.loads(state.read_text())["state"]["done"] == 6
    run.run(wanted, tmp_path / "out")
    run.run(wanted, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_known_values_do_not_replace_realisations(prior, known, tmp_path):
    wanted = config(prior, known, count=2)
    run.run(wanted, tmp_path / "out")
    before = contents(tmp_path / "out")
    known.write_text("x,y,value\n14,14,9\n")
    with pytest.raises(InputError, match="holds 2 realisations under other known"):
        run.run(wanted, tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert summary(tmp_path / "out")["complete"]
    shutil.rmtree(tmp_path / "out" / "realisations" / "known")
    run.run(wanted, tmp_path / "out")
    assert results(tmp_path / "out")[0]["known"] == 1


def test_data_have_the_name_of_their_file(prior, tmp_path):
    workdir = shutil.copytree(prior, tmp_path / "prior")
    path = workdir / "summary.json"
    written = json.loads(path.read_text())
    written["dataset"]["name"] = "strebelle"
    path.write_text(json.dumps(written))
    run.run(config(workdir, count=1), tmp_path / "out")
    assert summary(tmp_path / "out")["dataset"]["name"] == "strebelle"
    assert " on strebelle" in (tmp_path / "out" / "report.html").read_text()


def test_points_of_gslib_lie_on_the_grid_of_the_training_image(fields, tmp_path):
    wells = tmp_path / "wells.gslib"
    wells.write_text("wells\n3\nX\nY\nv\n305 105 200\n")
    wanted = config(fields, wells)
    source = open_source(wanted)
    grid = Geometry(24, 40, (10.0, 10.0), (5.0, 5.0)).as_json()
    dataset = source.prior.summary["dataset"] | grid
    summary = source.prior.summary | {"dataset": dataset}
    changed = source._replace(prior=source.prior._replace(summary=summary))
    changed = changed._replace(geometry=changed.prior.geometry)
    file = KnownFile("wells", wells)
    found = read_set(file, wanted, changed)
    assert found.size == (24, 40)
    assert np.argwhere(found.known.mask).tolist() == [[13, 30]]
    wanted.size = "16"
    with pytest.raises(InputError, match=r"--config\.size=16x31"):
        read_set(file, wanted, changed)
    wanted.size, wanted.grid.cell = "", "20"
    assert read_set(file, wanted, changed).geometry.cell == (20, 20)


def test_what_a_folder_cannot_be_read_for_is_said(tmp_path):
    hidden = tmp_path / ".ipynb_checkpoints"
    hidden.mkdir()
    for name in ("a.csv", ".b.csv", ".ipynb_checkpoints/a.csv"):
        (tmp_path / name).write_text(POINTS)
    for name in ("x_mask.png", "y.png", "y_mask.png", "z.npy"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing.csv")
    found = {each.path.name: each.mask for each in known_files(str(tmp_path))}
    assert found == {
        **dict.fromkeys(("a.csv", "gone.csv", "x_mask.png", "z.npy")),
        "y.png": tmp_path / "y_mask.png",
    }


def test_wells_in_a_field_of_another_size(fields, tmp_path):
    wells = tmp_path / "wells.gslib"
    wells.write_text("wells\n3\nX\nY\nv\n0 0 255\n290 180 0\n")
    values = {"size": "19x30", "grid.cell": "10,10", "count": 3}
    run.run(config(fields, wells, exact=True, **values), tmp_path / "out")
    images = arrays(tmp_path / "out", "wells")
    assert images.shape == (3, 19, 30)
    assert (images[:, 18, 0] == 255).all() and (images[:, 0, 29] == 0).all()
    written = tmp_path / "out" / "realisations" / "wells" / "realisations.gslib"
    table = read_table(str(written), "known")
    assert table.size == (30, 19, 1) and len(table.names) == 3
    assert table.cell[:2] == (10, 10) and table.origin[:2] == (0, 0)
    np.testing.assert_array_equal(
        table.values.T.reshape(3, 19, 30)[:, ::-1], images.astype(float)
    )


def test_a_known_grid_gives_the_size(fields, tmp_path):
    values, mask = np.zeros((18, 21)), np.zeros((18, 21), bool)
    values[4, 5], mask[4, 5] = 200, True
    np.savez(tmp_path / "known.npz", values=values, mask=mask)
    run.run(config(fields, tmp_path / "known.npz", count=2), tmp_path / "out")
    with pytest.raises(InputError, match="grid of 18x21"):
        run.run(config(fields, tmp_path / "known.npz", size="20"), tmp_path / "new")
    assert arrays(tmp_path / "out").shape == (2, 18, 21)


def test_a_folder_has_a_set_for_each_file(prior, tmp_path):
    folder = tmp_path / "sets"
    folder.mkdir()
    (folder / "a.csv").write_text(POINTS)
    (folder / "broken.csv").write_text("x,y,value\n99,1,1\n")
    (folder / "notes.md").write_text("not known values")
    pixels = np.zeros((28, 28), np.uint8)
    Image.fromarray(pixels + 9).save(folder / "b.png")
    pixels[3:6, 3:6] = 255
    Image.fromarray(pixels).save(folder / "b_mask.png")
    Image.fromarray(pixels).save(folder / "alone.png")
    Image.fromarray(pixels).save(folder / "c_mask.png")
    (folder / "gone.csv").symlink_to(folder / "nothing.csv")
    run.run(config(prior, folder, exact=True, count=2), tmp_path / "out")
    lines = results(tmp_path / "out")
    by_name = {Path(line["input"]).name: line for line in lines}
    assert {name: line["done"] for name, line in by_name.items()} == {
        "a.csv": True,
        "b.png": True,
        "alone.png": False,
        "c_mask.png": False,
        "gone.csv": False,
        "broken.csv": False,
    }
    assert "x=99, y=1" in by_name["broken.csv"]["reason"]
    assert (arrays(tmp_path / "out", "b")[:, 3:6, 3:6] == 9).all()
    assert summary(tmp_path / "out")["inputs"] == {"done": 2, "failed": 4}


def test_sets_of_sub_folders_keep_them(prior, tmp_path):
    folder, broken_name = tmp_path / "sets", os.fsdecode(b"\xe9")
    places = ("a.csv", "a.txt", "b/a.csv", "b.csv", "b/images.csv", "b/deep/a.csv")
    for place in (*places, f"{broken_name}.csv", f"{'n' * 250}.csv"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(POINTS)
    run.run(config(prior, folder, count=2), tmp_path / "out")
    lines = {
        Path(line["input"]).relative_to(folder).as_posix(): line
        for line in results(tmp_path / "out")
    }
    assert all(line["done"] for line in lines.values())
    assert {place: lines[place]["set"] for place in places} == {
        "a.csv": "a",
        "a.txt": "a.txt",
        "b/a.csv": "b/a",
        "b.csv": "b.csv",  # none in the folder of another
        "b/images.csv": "b/images",
        "b/deep/a.csv": "b/deep/a",
    }
    files = {tmp_path / "out" / line["output"] for line in lines.values()}
    assert len(files) == 8 and all(path.exists() for path in files)
    one, two = (arrays(tmp_path / "out", name) for name in ("a", "b/a"))
    assert (one != two).any()
    assert_a_batch_job_does_the_same(
        tmp_path / "out",
        tmp_path / "job",
        *("--config=configs/generate.py", f"--images={folder}"),
        *(f"--config.prior={prior}", "--config.count=2"),
    )


def test_a_file_that_is_lost_meanwhile_is_a_line(prior, tmp_path, monkeypatch):
    folder = tmp_path / "sets"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.csv").write_text(POINTS)
    sets = run.outlines

    def losing(*arguments):
        found = sets(*arguments)
        (folder / "a.csv").unlink()
        return found

    monkeypatch.setattr(run, "outlines", losing)
    run.run(config(prior, folder, count=2), tmp_path / "out")
    lost, made = results(tmp_path / "out")
    assert not lost["done"] and "a.csv" in lost["reason"]
    assert made["done"] and made["set"] == "b"


def test_a_pair_of_image_and_mask(prior, tmp_path):
    pixels = np.full((28, 28), 77, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    Image.fromarray((pixels > 100).astype(np.uint8) + 255).save(tmp_path / "mask.png")
    pair = f"{tmp_path / 'image.png'},{tmp_path / 'mask.png'}"
    run.run(config(prior, pair, exact=True, count=1), tmp_path / "out")
    assert (arrays(tmp_path / "out", "image") == 77).all()


def test_an_image_under_a_prior_of_facies_holds_codes(prior, tmp_path):
    bits = np.arange(28 * 28).reshape(28, 28) % 3 == 0
    Image.fromarray(bits).save(tmp_path / "image.png")
    Image.fromarray(np.full((28, 28), 255, np.uint8)).save(tmp_path / "mask.png")
    wanted = config(prior)
    source = open_source(wanted)
    file = KnownFile("a", tmp_path / "image.png", tmp_path / "mask.png")
    for units, white in ((facies((0, 1)), 1), (LEVELS, 255)):
        known = read_set(file, wanted, source._replace(units=units)).known
        np.testing.assert_array_equal(known.values[..., 0], white * bits)


def test_values_are_those_of_the_training_images_variable(fields, tmp_path):
    wells = tmp_path / "wells.gslib"
    wells.write_text("wells\n4\nX\nY\nporosity\nfacies\n3 4 20 200\n")
    wanted = config(fields, wells)
    source = open_source(wanted)
    file = KnownFile("wells", wells)
    for variable, stated, value in (
        ("porosity", "", 20),
        ("", "facies", 200),
        ("porosity", "facies", 20),
    ):
        wanted.variable = variable
        dataset = source.prior.summary["dataset"] | {"variable": stated}
        summary = source.prior.summary | {"dataset": dataset}
        changed = source._replace(prior=source.prior._replace(summary=summary))
        known = read_set(file, wanted, changed).known
        assert known.values[known.mask].tolist() == [[value]]
    wanted.variable = ""
    with pytest.raises(InputError, match="porosity, facies"):
        read_set(file, wanted, source)


def test_a_set_that_changes_while_others_are_made_is_refused(prior, known):
    wanted = config(prior, known)
    source = open_source(wanted)
    kept = outline(KnownFile("known", known), wanted, source)
    assert kept.read(wanted, source).known.mask.sum() == 3
    known.write_text("x,y,value\n14,14,9\n")
    with pytest.raises(InputError, match="changed meanwhile"):
        kept.read(wanted, source)


def test_inputs_and_outputs_lie_apart(prior, tmp_path):
    place = tmp_path / "out" / "realisations"
    place.mkdir(parents=True)
    for name in ("image", "mask"):
        Image.fromarray(np.full((28, 28), 255, np.uint8)).save(place / f"{name}.png")
    pair = f"{place / 'image.png'},{place / 'mask.png'}"
    with pytest.raises(InputError, match="lies where a run"):
        run.run(config(prior, pair), tmp_path / "out")
    with pytest.raises(InputError, match="lie in each other"):
        run.run(config(prior, place), place / "deeper")


def test_without_a_prior_one_is_asked_for_or_the_packaged_one_is_used(
    made, prior, tmp_path, monkeypatch
):
    wanted = config("", made / "known.csv")
    monkeypatch.setattr(packaged, "FOLDER", tmp_path / "priors")
    with pytest.raises(InputError, match="configs/pixelcgan"):
        run.run(wanted, tmp_path / "out")
    packing.pack(str(prior), tmp_path / "priors" / "digits.npz")
    run.run(wanted, tmp_path / "out")
    images = arrays(tmp_path / "out").astype(float)
    assert np.abs(images - arrays(made / "out")).mean() < 2  # half precision


def test_colours(tmp_path):
    kept(tmp_path / "prior", smoke("pixelcgan", "photos,smoke"), channels=3)
    known = tmp_path / "known.csv"
    known.write_text("x,y,r,g,b\n3,4,200,100,0\n")
    run.run(config(tmp_path / "prior", known, exact=True, count=2), tmp_path / "out")
    images = arrays(tmp_path / "out")
    assert images.shape[0] == 2 and images.shape[3] == 3
    assert (images[:, 4, 3] == [200, 100, 0]).all()


def test_nothing_known(prior, tmp_path):
    run.run(config(prior, count=2), tmp_path / "out")
    assert arrays(tmp_path / "out", "unconditional").shape == (2, 28, 28)
    (line,) = results(tmp_path / "out")
    assert line["honoured"] is None and line["known"] == 0


def test_a_plain_gan_makes_samples(tmp_path, known):
    kept(tmp_path / "gan", smoke("gan"))
    run.run(config(tmp_path / "gan", count=3), tmp_path / "out")
    assert arrays(tmp_path / "out", "unconditional").shape == (3, 28, 28)
    with pytest.raises(InputError, match="latents alone"):
        run.run(config(tmp_path / "gan", known), tmp_path / "other")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"known": "missing.csv"}, "does not exist"),
        ({"size": "28 x"}, "x width"),
        ({"size": "2000000000x2000000000"}, "GiB of memory"),
        ({"size": "0"}, "at least 1"),
        ({"size": "9" * 5000}, "at least 1"),
        ({"size": "²"}, "at least 1"),
        ({"size": "30x28"}, "28x28 alone"),
        ({"snap": "median"}, "snap"),
        ({"epoch": "first"}, "epoch"),
        ({"epoch": "last"}, "last epoch"),
        ({"grid.cell": "0,1"}, "above 0"),
        ({"grid.origin": "a"}, "two numbers"),
        ({"prior": "no-such"}, "configs/pixelcgan.py"),
        ({"memory": 0.5}, "memory"),
    ],
)
def test_bad_values_are_refused_in_one_line(prior, known, tmp_path, values, words):
    wanted = config(prior, known)
    wanted.update_from_flattened_dict(values)
    with pytest.raises(InputError, match=words) as error:
        run.run(wanted, tmp_path / "out")
    assert str(error.value).isprintable()
    assert not (tmp_path / "out").exists()


def test_the_command_line(prior, known, tmp_path):
    flags = [f"--config.prior={prior}", f"--config.known={known}", "--config.count=2"]
    generate = "--config=configs/generate.py"
    ended = programs.run(tmp_path / "out", *flags, config=generate)
    assert ended.returncode == 0 and "honoured" in ended.stdout
    known.write_text("x,y,value\n28,0,1\n")
    ended = programs.run(tmp_path / "new", *flags, config=generate)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("gan_jax: --config.known ")


def test_statistics_of_facies_are_codes_and_probabilities():
    units = facies((0, 2, 5))
    draw = np.random.default_rng(0)
    values = draw.choice([0, 2, 5], (101, 6)).astype(np.uint8)
    blocks = ((slice(at, at + 1), values[:, [at]]) for at in range(6))
    found = statistics(blocks, (2, 3, 1), units)
    for code, share in zip(units.codes, found.probabilities, strict=True):
        np.testing.assert_allclose(share.ravel(), (values == code).mean(0))
    for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9)):
        wanted = np.quantile(values, share, axis=0, method="inverted_cdf")
        np.testing.assert_array_equal(found.quantiles[name].ravel(), wanted)


def test_a_value_is_honoured_within_its_error_or_a_tenth_of_the_range():
    mask = np.ones((1, 2), bool)
    errors = np.array([[0.01, np.nan]])
    units = Units("linear", (0.1, 0.3))
    cells = known_cells(KnownGrid(np.full((1, 2, 1), 0.2), mask, errors), units)
    images = np.array([[0.2, 0.219], [0.212, 0.2], [0.19, 0.221]]).reshape(3, 1, 2, 1)
    found = agreement(cells, images)
    assert (found.honoured, found.total) == (4, 6)
    assert found.largest_miss == pytest.approx(0.021)
    np.testing.assert_allclose(cells.limits().ravel(), [0.1, 0.2], rtol=1e-6)


@pytest.mark.parametrize(
    ("value", "error", "wanted"),
    [
        (128, 60, 120 / 255),  # more than a tenth of the range
        (250, 60, 120 / 255),  # no value is above the range
        (5, 60, 120 / 255),
        (128, 200, 2),  # all values
        (128, 0, 0),
        (128, np.nan, 0.2),
    ],
)
def test_a_limit_is_the_error_in_the_scale_of_the_network(value, error, wanted):
    mask = np.ones((1, 1), bool)
    known = KnownGrid(np.full((1, 1, 1), float(value)), mask, np.full((1, 1), error))
    found = known_cells(known, LEVELS).limits().item()
    assert found == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("error", [np.nan, 0.0, 1.0, 4.0, 20.0])
def test_a_facies_is_within_its_limit_exactly_if_it_is_honoured(error):
    units = facies((0, 2, 3, 7, 30))
    scaled = np.linspace(-1, 1, 402)
    images = units.native(scaled).reshape(-1, 1, 1, 1)
    for code in units.codes:
        mask = np.ones((1, 1), bool)
        known = KnownGrid(np.full((1, 1, 1), code), mask, np.full((1, 1), error))
        cells = known_cells(known, units)
        near = np.abs(scaled - units.scaled(np.array([code]))) < cells.limits().item()
        honoured = cells.honoured(cells.of(images)).ravel()
        assert not (near & ~honoured).any()
        if not error > 0:  # errors may reach farther on one side
            np.testing.assert_array_equal(near, honoured)


def test_an_error_of_0_allows_no_difference():
    known = KnownGrid(np.full((1, 1, 1), 9.0), np.ones((1, 1), bool), np.zeros((1, 1)))
    cells = known_cells(known, LEVELS)
    images = np.array([9, 10], np.uint8).reshape(2, 1, 1, 1)
    assert agreement(cells, images).honoured == 1
    assert cells.limits().item() < 1e-5


def test_a_facies_is_honoured_by_the_same_facies_alone():
    units = facies(range(16))
    known = KnownGrid(
        np.full((1, 1, 1), 3.0), np.ones((1, 1), bool), np.full((1, 1), np.nan)
    )
    cells = known_cells(known, units)
    images = np.array([3, 4, 2], np.uint8).reshape(3, 1, 1, 1)
    assert agreement(cells, images).honoured == 1
    assert cells.limits().item() == pytest.approx(1 / 15)


def test_long_codes_have_names_of_their_own():
    units = facies((1_000_001, 1_000_002))
    values = np.array([[1_000_001, 1_000_002], [1_000_001, 1_000_001]], np.float32)
    found = statistics([(slice(0, 2), values)], (1, 2, 1), units)
    names = {*outputs.pictures(found, units)}
    assert names >= {"probability-1000001", "probability-1000002"}
    summary = {"dataset": {"proportions": [0.75, 0.25]}}
    prior = SimpleNamespace(summary=summary)
    source = Source.__new__(Source, prior, units, None, 1)
    assert source.proportions == {"1000001": 0.75, "1000002": 0.25}
    assert outputs._facies(found, source) == {
        "facies": {"1000001": 0.75, "1000002": 0.25},
        "facies_training": {"1000001": 0.75, "1000002": 0.25},
    }


def test_statistics_of_facies_that_are_not_rounded():
    units = facies((0, 2))
    values = np.array([[0.4, 1.9], [0.1, 1.2], [1.3, 0.7]], np.float32)
    found = statistics([(slice(0, 2), values)], (1, 2, 1), units)
    np.testing.assert_allclose(found.probabilities[1].ravel(), [1 / 3, 2 / 3])
    np.testing.assert_array_equal(found.quantiles["p50"].ravel(), [0, 2])


def test_the_memory_of_statistics_is_within_its_estimate(monkeypatch):
    values = np.random.default_rng(0).random((2000, 100), np.float32)
    tracemalloc.start()
    try:
        statistics([(slice(0, 100), values)], (10, 10, 1), LEVELS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert values.nbytes + peak < memory._SORTED * values.size


def test_realisations_are_rounded_on_request(made, prior, tmp_path):
    known = made / "known.csv"
    run.run(config(prior, known, count=20, rounded=False), tmp_path / "out")
    images = arrays(tmp_path / "out")
    assert images.dtype == np.float32 and (images != np.rint(images)).any()
    np.testing.assert_array_equal(np.rint(images), arrays(made / "out"))


def test_gslib_has_no_more_realisations_than_readers_take(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "GRIDS", 2)
    store = Store(tmp_path, "a", (2, 3), np.dtype(np.uint8))
    store.begin()
    images = np.arange(18, dtype=np.uint8).reshape(3, 2, 3)
    store.append(images, {})
    rows = [*outputs._rows(store, outputs.GRIDS)]
    np.testing.assert_array_equal(rows, images[:2, ::-1].swapaxes(0, 1))


def test_realisations_of_plain_callables():
    def generator(latents, conditions):
        return latents + conditions

    def draw(key):
        return jax.random.normal(key, (3,))

    key, known = jax.random.key(0), jnp.arange(3.0)
    whole = np.concatenate([*generate(generator, known, draw, 10, key, chunk=4)])
    wanted = [draw(jax.random.fold_in(key, place)) + known for place in range(10)]
    np.testing.assert_allclose(whole, np.stack(wanted), rtol=1e-6)
    realiser = compile_realiser(generator, draw, 4)
    assert [*places(5, 10, 4)] == [(4, slice(1, 6)), (8, slice(0, 2))]
    assert not [*places(10, 10, 4)]
    for start in range(10):
        rest = np.concatenate([*realisations(realiser, known, key, 10, start)])
        np.testing.assert_array_equal(rest, whole[start:])


def test_levels_are_stored_in_eight_bits_and_properties_in_floats():
    for units, dtype in (
        (LEVELS, np.uint8),
        (facies((0, 1)), np.uint8),
        (facies((0.5, 1)), np.float32),
        (Units("linear", (0.1, 0.3)), np.float32),
        (Units("linear", (-1.0, 3.0), whole=True), np.float32),
    ):
        assert images_of_sets.dtype_of(units) == dtype


def test_the_archive_is_as_numpy_would_read_it(made):
    path = made / "out" / "realisations" / "known" / "realisations.npz"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["realisations.npy"] and not archive.testzip()


def test_a_batch_job_does_the_same(prior, tmp_path):
    folder = tmp_path / "sets"
    folder.mkdir()
    (folder / "a.csv").write_text(POINTS)
    (folder / "broken.csv").write_text("x,y,value\n99,1,1\n")
    pixels = np.full((28, 28), 200, np.uint8)
    Image.fromarray(pixels).save(folder / "b.png")
    Image.fromarray(pixels).save(folder / "b_mask.png")
    run.run(config(prior, folder, count=18), tmp_path / "out")
    flags = [f"--config.prior={prior}", "--config.count=18"]
    generate = "--config=configs/generate.py"
    assert_a_batch_job_does_the_same(
        tmp_path / "out", tmp_path / "job", generate, f"--images={folder}", *flags
    )
    assert contents(tmp_path / "job") == contents(tmp_path / "out")
    (folder / "c.csv").write_text(POINTS)
    again = [f"--config.prior={prior}", "--config.count=18"]
    ended = run_batch(folder, tmp_path / "job", *again, config=generate)
    assert ended.returncode == 0 and "1 now" in ended.stdout
    again[1] = "--config.count=19"
    ended = run_batch(folder, tmp_path / "job", *again, config=generate)
    assert ended.returncode == 2 and "count=18" in ended.stderr


PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_count(prior, known, tmp_path):
    def peak(count):
        flags = (f"prior={prior}", f"known={known}", f"count={count}")
        command = programs.command(
            tmp_path / str(count),
            *(f"--config.{flag}" for flag in flags),
            config="--config=configs/generate.py",
        )
        ended = programs.start([sys.executable, "-c", PEAK, *command])
        assert ended.returncode == 0, ended.stderr
        return int(ended.stdout.split()[-1]) / 1024

    small, large = peak(2000), peak(60_000)
    assert large < small + 250  # MiB; all images take 45, a block's statistics 130
