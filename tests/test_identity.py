"""Data that changed since a run was trained on them, and data that are few."""

import gzip
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.apps.inpaint.observations import Observer
from gan_jax.apps.train.identity import identify, keep_identity, unseen_parts
from gan_jax.build import datasets
from gan_jax.config.errors import InputError
from gan_jax.data import holes
from gan_jax.data.datasets.dataset import ArraySource, Dataset
from gan_jax.data.files.contents import Content, as_json, differences, from_json
from gan_jax.data.splits import check_count
from gan_jax.report import files
from tests.programs import run, summary
from tests.runs import kept, smoke

COUNT = 60
TFDS = Path(os.environ.get("TFDS_DATA_DIR", "none"))
TRAINED_ON = ("have changed since it was trained", "data.changed=accept")
TINY = (
    "--config.steps=2",
    "--config.batch_size=8",
    "--config.data.size=16",
    "--config.evaluation.every=0",
    "--config.evaluation.classifier.epochs=0",
    "--config.evaluation.final_count=20",
)


def picture(number):
    draw = np.random.default_rng(number)
    return Image.fromarray(draw.integers(0, 256, (16, 16), np.uint8))


def folder_of(path, numbers=range(COUNT)):
    path.mkdir(parents=True)
    for number in numbers:
        picture(number).save(path / f"p{number:03d}.png")
    return path


def config_of(path, **values):
    return smoke("gan", **{"data.size": 16, "data.path": path, **values})


def opened(config, workdir):
    dataset = datasets.source(config.data)
    return identify(config, workdir, dataset, datasets.partition_of(config, dataset))


def trained(workdir, config):
    """Leave what a run has left that was killed after its first checkpoint."""
    workdir.mkdir()
    keep_identity(opened(config, workdir), workdir)
    (workdir / "checkpoints" / "2").mkdir(parents=True)
    return workdir


@pytest.fixture
def mine(tmp_path):
    """A folder of images, the config of a run on them, and its workdir."""
    folder = folder_of(tmp_path / "mine")
    config = config_of(folder)
    return folder, config, trained(tmp_path / "run", config)


def refused(config, workdir, *words):
    with pytest.raises(InputError) as found:
        opened(config, workdir)
    message = str(found.value)
    assert "\n" not in message
    for word in (*TRAINED_ON, str(workdir), *words):
        assert word in message, message


def test_differences_name_what_was_done_to_files():
    one, two, three, four = (Content(9, text * 32) for text in "abcd")
    before = {"a": one, "b": two, "c": three, "e/f": four}
    now = {"a": one, "b": three, "new/c": three, "d": one}
    assert differences(before, now) == [
        "1 added (d)",
        "1 gone (e/f)",
        "1 changed (b)",
        "1 renamed (c -> new/c)",
    ]
    assert differences(before, before) == []
    many = {f"{number:04d}": one for number in range(1200)}
    assert differences({}, many) == ["1,200 added (0000, 0001, 0002, ...)"]
    # Of equal files each is renamed once.
    assert differences({"a": one, "b": one}, {"c": one}) == [
        "1 gone (b)",
        "1 renamed (a -> c)",
    ]


def test_contents_are_read_as_they_were_written():
    contents = {
        "a b/\udcff.png": Content(12, "0" * 32),
        "train.npz": Content(2**40, "f" * 32, "1,200 images of 28x28"),
    }
    assert from_json(as_json(contents)) == contents
    for text in ("", "12", "x y", None):
        with pytest.raises(ValueError, match=r"int|unpack"):
            from_json({"a": text})


def test_a_folder_that_was_touched_moved_or_copied_is_the_same(mine, tmp_path):
    folder, _, workdir = mine
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "again"))
    shutil.rmtree(folder)
    (moved / "notes.txt").write_text("no image")
    (moved / "broken.png").write_text("no image either")
    found = opened(config_of(moved), workdir)
    assert not found.changes
    assert found == opened(config_of(moved), tmp_path / "fresh")


def test_files_that_hold_the_same_pixels_are_the_same(mine):
    folder, config, workdir = mine
    for file in [*folder.iterdir()]:
        # Written anew without loss, under names of the same order.
        Image.open(file).save(file.with_name(f"x{file.stem}.bmp"))
        file.unlink()
    assert not opened(config, workdir).changes


def test_changed_folders_are_refused_with_what_changed(mine):
    folder, config, workdir = mine
    for number in range(100, 110):
        picture(number).save(folder / f"new{number}.png")
    refused(config, workdir, "10 added (new100.png, new101.png, new102.png, ...)")
    for number in range(100, 110):
        (folder / f"new{number}.png").unlink()
    opened(config, workdir)
    (folder / "p003.png").unlink()
    refused(config, workdir, "1 gone (p003.png)")
    # Another image of as many bytes.
    size = len(Path(folder, "p004.png").read_bytes())
    content = next(
        content for content in map(encoded, range(1000, 2000)) if len(content) == size
    )
    picture(3).save(folder / "p003.png")
    opened(config, workdir)
    (folder / "p004.png").write_bytes(content)
    refused(config, workdir, "1 changed (p004.png)")


def encoded(number):
    from io import BytesIO

    stream = BytesIO()
    picture(number).save(stream, "png")
    return stream.getvalue()


def test_a_renamed_file_that_changes_the_order_is_named(mine):
    folder, config, workdir = mine
    (folder / "p000.png").rename(folder / "z.png")
    refused(config, workdir, "1 renamed (p000.png -> z.png)")


def test_an_image_in_another_class_is_a_change(tmp_path):
    folder = tmp_path / "mine"
    folder_of(folder / "cats", range(30))
    folder_of(folder / "dogs", range(30, 60))
    config = config_of(folder)
    workdir = trained(tmp_path / "run", config)
    (folder / "cats" / "p029.png").rename(folder / "dogs" / "p029.png")
    refused(config, workdir, "1 renamed (cats/p029.png -> dogs/p029.png)")


def test_accepted_changes_are_kept_and_said(mine, tmp_path, capsys):
    folder, config, workdir = mine
    (folder / "p003.png").unlink()
    accepting = config_of(folder, **{"data.changed": "accept"})
    found = opened(accepting, workdir)
    assert found.changes == ("1 gone (p003.png)",)
    assert "1 gone (p003.png)" in capsys.readouterr().out
    keep_identity(found, workdir)
    # Now these are the data of the run, and the change is not forgotten.
    assert opened(config, workdir) == found
    with pytest.raises(InputError, match=r"data.changed 'yes' is unknown; known: ref"):
        other = config_of(folder, **{"data.changed": "yes"})
        (folder / "p004.png").unlink()
        opened(other, workdir)


def test_data_that_nothing_was_trained_on_may_change(mine):
    folder, config, workdir = mine
    shutil.rmtree(workdir / "checkpoints")
    (folder / "p003.png").unlink()
    assert not opened(config, workdir).changes


def test_a_damaged_list_is_replaced_by_the_hash_of_the_summary(mine, capsys):
    folder, config, workdir = mine
    sha256 = opened(config, workdir).sha256["train"]
    older = {key: {} for key in ("metrics", "metrics_failed", "timing", "environment")}
    files.write_json(workdir / "summary.json", older | {"dataset": {"sha256": sha256}})
    for damage in ("{", "[]", '{"files": {}, "sha256": {}}', None):
        path = workdir / "data.json"
        path.unlink() if damage is None else path.write_text(damage)
        assert not opened(config, workdir).changes
        said = capsys.readouterr().out
        assert ("data.json cannot be used" in said) == (damage is not None)
    (folder / "p003.png").unlink()
    refused(config, workdir, "summary.json states another SHA-256")


def test_another_path_needs_to_be_known_for_the_same(mine, tmp_path):
    folder, config, workdir = mine
    (workdir / "data.json").unlink()
    files.write_json(workdir / "config.json", {"data.path": str(folder)})
    opened(config, workdir)  # nothing is known, and nothing is said to have changed
    copy = shutil.copytree(folder, tmp_path / "copy")
    refused(config_of(copy), workdir, f"data.path: '{folder}' -> '{copy}'")


def test_embedded_data_need_no_list_and_are_not_those_of_a_folder(mine, tmp_path):
    folder, config, workdir = mine
    embedded = smoke("gan", **{"data.size": 16})
    other = trained(tmp_path / "embedded", embedded)
    assert not (other / "data.json").exists()
    assert not opened(embedded, other).changes
    files.write_json(other / "config.json", {"data.path": ""})
    refused(config, other, f"data.path: '' -> '{folder}'")
    refused(embedded, workdir, f"{COUNT} gone (p000.png, ")


def grid(path, values):
    rows, columns = values.shape
    cells = "\n".join(f"{value:g}" for value in values[::-1].reshape(-1))
    path.write_text(f"{columns} {rows} 1\n1\nfacies\n{cells}\n")


@pytest.mark.parametrize("kind", ["npz", "idx", "training image"])
def test_arrays_and_grids_say_what_they_held(tmp_path, kind):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (60, 16, 16), np.uint8)
    labels = np.arange(60, dtype=np.uint8) % 3
    values = (draw.random((80, 120)) < 0.3).astype(float)
    place = tmp_path / "mine"
    place.mkdir()

    def idx(name, array):
        header = bytes([0, 0, 8, array.ndim])
        header += b"".join(length.to_bytes(4, "big") for length in array.shape)
        (place / name).write_bytes(gzip.compress(header + array.tobytes(), mtime=0))

    def write(changed, more):
        first = images.copy()
        first[0, 0, 0] ^= changed
        first = np.concatenate([first, first[:more]])
        if kind == "npz":
            np.savez(
                place / "train.npz", image=first, label=labels[:1].repeat(len(first))
            )
        elif kind == "idx":
            idx("train-images-idx3-ubyte.gz", first)
            idx("train-labels-idx1-ubyte.gz", np.resize(labels, len(first)))
        else:
            cells = values.copy()
            cells[0, 0] = (cells[0, 0] + changed) % 2
            grid(place / "ti.gslib", np.tile(cells, (1, 2)) if more else cells)

    write(0, 0)
    path = place / "ti.gslib" if kind == "training image" else place
    config = config_of(path)
    workdir = trained(tmp_path / "run", config)
    moved = shutil.copytree(place, tmp_path / "moved")
    assert not opened(config_of(moved / path.relative_to(place)), workdir).changes
    sizes = ("60 images of 16x16", "70 images of 16x16")
    name, held, other = {
        "npz": ("train.npz", *sizes),
        "idx": ("train-images-idx3-ubyte.gz", *sizes),
        "training image": ("ti.gslib", "80x120 cells", "80x240 cells"),
    }[kind]
    write(0, 10)
    refused(config, workdir, f"{name}: {held} before, {other} now")
    if kind != "training image":  # of which one cell need not be in any crop
        write(1, 0)
        refused(config, workdir, f"1 changed ({name}: {held} with other values)")
    write(0, 0)
    assert not opened(config, workdir).changes


@pytest.mark.skipif(not TFDS.is_dir(), reason="no prepared sets")
def test_a_prepared_set_is_told_by_the_sizes_of_its_files(tmp_path):
    found = []
    for name in ("mnist", "fashion_mnist"):
        (place,) = (TFDS / name).iterdir()
        config = smoke("gan", **{"data.name": name, "data.path": TFDS})
        contents = datasets.source(config.data).contents
        assert [*contents] == ["train", "test"]
        assert contents["train"].holds == f"60,000 images of version {place.name}"
        found.append(contents)
    (changed,) = differences(*found)
    assert changed.startswith("2 changed (train: 60,000 images of version 3.0.1 with ")
    moved = shutil.copytree(TFDS / "mnist", tmp_path / "mnist")
    config = smoke("gan", **{"data.name": "mnist", "data.path": moved})
    assert datasets.source(config.data).contents == found[0]


def test_test_images_of_a_prior_are_unseen_ones_only_of_unchanged_data(
    tmp_path, capsys
):
    folder = folder_of(tmp_path / "mine")
    config = config_of(folder)
    prior = kept(tmp_path / "prior", config)
    keep_identity(opened(config, tmp_path / "none"), prior.workdir)
    before = unseen_parts(prior, "refuse")["test"]["real"].images
    own = smoke("inpaint", "yeh,smoke", count=4)
    centre = holes.centre
    Observer(own, prior, "center", centre).gather()
    picture(100).save(folder / "new.png")
    with pytest.raises(InputError) as found:
        Observer(own, prior, "center", centre).gather()
    for word in (*TRAINED_ON, "1 added (new.png)", str(prior.workdir)):
        assert word in str(found.value)
    own.data.changed = "accept"
    Observer(own, prior, "center", centre).gather()
    assert "Some of its test images may have been trained on" in capsys.readouterr().out
    (folder / "new.png").unlink()
    after = unseen_parts(prior, "refuse")["test"]["real"].images
    np.testing.assert_array_equal(before, after)


def test_a_prior_whose_data_changed_in_training_says_so(tmp_path, capsys):
    config = config_of(folder_of(tmp_path / "mine"))
    prior = kept(tmp_path / "prior", config)
    found = opened(config, tmp_path / "none")
    keep_identity(found._replace(changes=("1 gone (a.png)",)), prior.workdir)
    unseen_parts(prior, "refuse")
    assert "its data changed: 1 gone (a.png). Some of its" in capsys.readouterr().out


def test_a_prior_of_an_earlier_version_is_told_by_its_summary(tmp_path):
    folder = folder_of(tmp_path / "mine")
    config = config_of(folder)
    prior = kept(tmp_path / "prior", config)
    path = prior.workdir / "summary.json"
    older = json.loads(path.read_text())
    older["dataset"]["sha256"] = opened(config, tmp_path / "none").sha256["train"]
    files.write_json(path, older)
    unseen_parts(prior, "refuse")
    (folder / "p003.png").unlink()
    with pytest.raises(InputError, match="another SHA-256"):
        unseen_parts(prior, "refuse")
    unseen_parts(prior, "accept")


@pytest.mark.slow
def test_a_run_on_a_folder_goes_on_with_the_same_images_alone(tmp_path):
    folder, workdir = folder_of(tmp_path / "mine"), tmp_path / "run"
    config = "--config=configs/gan.py:smoke"

    def go(*flags, path=folder):
        return run(workdir, *TINY, f"--config.data.path={path}", *flags, config=config)

    first = go()
    assert first.returncode == 0, first.stderr
    assert f"mine has {COUNT} images, which is few" in first.stdout
    assert "collapsed" in summary(workdir)["metrics_failed"]
    # As `kill -9` leaves it, before there is a summary.
    (workdir / "summary.json").unlink()
    moved = folder.rename(tmp_path / "moved")
    assert go("--config.steps=3", path=moved).returncode == 0
    (workdir / "summary.json").unlink()
    before = sorted((workdir / "checkpoints").iterdir())
    picture(100).save(moved / "new.png")
    more = go("--config.steps=4", path=moved)
    assert more.returncode == 2 and more.stderr.count("\n") == 1
    assert "1 added (new.png)" in more.stderr and "Traceback" not in more.stderr
    assert sorted((workdir / "checkpoints").iterdir()) == before
    accepted = go("--config.steps=4", "--config.data.changed=accept", path=moved)
    assert accepted.returncode == 0, accepted.stderr
    assert summary(workdir)["dataset"]["changes"] == ["1 added (new.png)"]
    assert summary(workdir)["dataset"]["count"] == 50
    # The same command goes on, whatever it accepted.
    assert go("--config.steps=4", path=moved).returncode == 0
    assert summary(workdir)["dataset"]["changes"] == ["1 added (new.png)"]


def test_few_images_are_refused_unless_they_are_wanted(tmp_path):
    folder = folder_of(tmp_path / "mine", range(30))
    flags = (*TINY, f"--config.data.path={folder}")
    config = "--config=configs/gan.py:smoke"
    finished = run(tmp_path / "run", *flags, config=config)
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1
    assert "mine has 30 images, and a GAN needs at least 50" in finished.stderr
    assert "--config.data.few=True" in finished.stderr
    assert not (tmp_path / "run").exists()
    few = run(tmp_path / "run", *flags, "--config.data.few=True", config=config)
    assert few.returncode == 0, few.stderr
    assert "which is few" in few.stdout
    # What goes on is not refused again.
    again = run(tmp_path / "run", *flags, config=config)
    assert again.returncode == 0 and "which is few" not in again.stdout


def test_images_are_counted_before_they_are_split():
    def dataset(count, test=None, **fields):
        parts = [
            None
            if count is None
            else ArraySource("mine", np.zeros((count, 2, 2, 1), np.uint8))
            for count in (count, test)
        ]
        return Dataset(*parts, **fields)

    files = {"a": Content(1, "0")}
    with pytest.raises(InputError, match="mine has 49 images, and"):
        check_count(dataset(49, contents=files), few=False)
    with pytest.raises(InputError, match="mine has 49 images for training, and"):
        check_count(dataset(49, test=100, contents=files), few=False)
    for count, few, warned in ((49, True, True), (50, False, True), (400, False, True)):
        assert bool(check_count(dataset(count, contents=files), few)) == warned
    assert check_count(dataset(401, contents=files), False) == ""
    assert check_count(dataset(5), False) == ""  # made here
