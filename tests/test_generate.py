"""Images under the user's own known values."""

import json
import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.generate import making, run
from gan_jax.apps.generate.honouring import agreement, known_cells
from gan_jax.apps.generate.statistics import statistics
from gan_jax.apps.generate.storage import Store
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.data.grids.points import KnownGrid
from gan_jax.data.grids.tables import read_table
from gan_jax.data.grids.units import LEVELS, Units, facies
from gan_jax.priors import packaged
from gan_jax.search.realisations import compile_realiser, generate, realisations
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


@pytest.mark.parametrize("batch", [1, 7, 16])
def test_no_number_depends_on_the_batch(made, prior, tmp_path, batch):
    run.run(config(prior, made / "known.csv", batch=batch), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")


def test_more_realisations_begin_with_those_of_before(made, prior, tmp_path):
    known = made / "known.csv"
    for count in (5, 20):
        run.run(config(prior, known, count=count), tmp_path / "out")
    assert contents(tmp_path / "out") == contents(made / "out")
    with pytest.raises(InputError, match="count=5 are fewer"):
        run.run(config(prior, known, count=5), tmp_path / "out")


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

    def dying(self, images, tally):
        nonlocal saves
        saves -= 1
        if saves < 0:
            # Half a batch is on the disk, and no state knows of it.
            with (self.folder / "realisations.raw").open("ab") as file:
                file.write(b"half")
            raise KeyboardInterrupt
        append(self, images, tally)

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
    native = making.Maker._native

    def signalled(self, scaled):
        os.kill(os.getpid(), signal.SIGINT)
        return native(self, scaled)

    with monkeypatch.context() as patch:
        patch.setattr(making.Maker, "_native", signalled)
        with pytest.raises(Interrupted) as interrupted:
            run.run(wanted, tmp_path / "out")
    assert interrupted.value.signal == signal.SIGINT
    state = tmp_path / "out" / "realisations" / "known" / "state.json"
    assert json.loads(state.read_text())["done"] > 0
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
    run.run(config(prior, folder, exact=True, count=2), tmp_path / "out")
    lines = results(tmp_path / "out")
    by_name = {Path(line["input"]).name: line for line in lines}
    assert {name: line["done"] for name, line in by_name.items()} == {
        "a.csv": True,
        "b.png": True,
        "alone.png": False,
        "broken.csv": False,
    }
    assert "x=99, y=1" in by_name["broken.csv"]["reason"]
    assert (arrays(tmp_path / "out", "b")[:, 3:6, 3:6] == 9).all()
    assert summary(tmp_path / "out")["inputs"] == {"done": 2, "failed": 2}


def test_a_pair_of_image_and_mask(prior, tmp_path):
    pixels = np.full((28, 28), 77, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    Image.fromarray((pixels > 100).astype(np.uint8) + 255).save(tmp_path / "mask.png")
    pair = f"{tmp_path / 'image.png'},{tmp_path / 'mask.png'}"
    run.run(config(prior, pair, exact=True, count=1), tmp_path / "out")
    assert (arrays(tmp_path / "out", "image") == 77).all()


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
    packaged.pack(str(prior), tmp_path / "priors" / "digits.npz")
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
        assert making.dtype_of(units) == dtype


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
