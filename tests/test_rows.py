"""Rows of a batch job, here one that inverts images: what is done again."""

import contextlib
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gan_jax.apps.batch import run as batch
from gan_jax.apps.batch.engine import Engine
from gan_jax.apps.batch.inputs import inputs_of
from gan_jax.apps.batch.table import STATE, Parts
from gan_jax.apps.batch.workers import Work, failed
from gan_jax.data.user_images import InputFile
from gan_jax.runs.apply import apply_to_files, result_line
from tests.jobs import parts, rows
from tests.runs import smoke
from tests.test_apply import PRIOR, application


@contextlib.contextmanager
def engine(config, out):
    inverting = application()

    def apply(block, read):
        (applied,) = apply_to_files(inverting, block, out)
        done = [result_line(inverting, out, *pair) for pair in applied.done]
        return [*done, *failed(applied.skipped)]

    columns = {"input": str, "done": bool, "output": str, "reason": str, "mean": float}
    work = Work(PRIOR, columns, 2, apply, lambda: None)
    yield Engine(work, {}, lambda blocks: (apply(block, None) for block in blocks))


def invert(images, out):
    return batch.run(smoke("colorize", images=images), out, engine)


def draw(path, level):
    Image.fromarray(np.full((5, 4), level, np.uint8)).save(path, format="png")


@pytest.fixture
def job(tmp_path):
    """Return the images and the results of a job, one of whose images is broken."""
    images = tmp_path / "images"
    images.mkdir()
    for level in (10, 20, 30):
        draw(images / f"{level}.png", level)
    (images / "broken.png").write_bytes(b"no image")
    assert invert(images, tmp_path / "out")["inputs"] == {"done": 3, "failed": 1}
    return images, tmp_path / "out"


def test_a_repaired_image_is_done_and_nothing_else(job):
    images, out = job
    before = rows(out)
    assert invert(images, out)["timing"]["images"] == 0
    draw(images / "broken.png", 40)
    found = invert(images, out)
    assert found["inputs"] == {"done": 4, "failed": 0}
    assert found["timing"]["images"] == 1
    after = rows(out)
    assert after.pop("broken.png")["mean"] == 40.0
    assert not before.pop("broken.png")["done"] and after == before
    assert invert(images, out)["timing"]["images"] == 0


def test_a_changed_image_is_done_again(job):
    images, out = job
    status = (images / "20.png").stat()
    draw(images / "20.png", 99)
    os.utime(images / "20.png", ns=(0, status.st_mtime_ns + 1))
    assert invert(images, out)["timing"]["images"] == 1
    assert rows(out)["20.png"]["mean"] == 99.0
    with Image.open(out / "images" / "20.png") as made:
        assert made.getpixel((0, 0)) == 255 - 99


def test_a_job_that_was_killed_after_forgetting_a_row_does_it(job):
    images, out = job
    columns = {"input": str, "done": bool, "output": str, "reason": str, "mean": float}
    found = Parts(out / "results", columns, PRIOR["parameters_sha256"])
    found.forget({str(images / "10.png")})
    assert rows(out).keys() == {"20.png", "30.png", "broken.png"}
    assert invert(images, out)["timing"]["images"] == 1
    assert rows(out).keys() == {"10.png", "20.png", "30.png", "broken.png"}


def test_rows_of_earlier_versions_count_unless_they_failed(job):
    images, out = job
    for path in parts(out):
        pq.write_table(pq.read_table(path).drop_columns([*STATE]), path)
    draw(images / "10.png", 99)
    assert invert(images, out)["timing"]["images"] == 1  # the broken one
    assert rows(out)["10.png"]["mean"] == 10.0
    assert invert(images, out)["timing"]["images"] == 0


def test_a_table_of_all_parts_has_the_new_columns_last(job):
    table = pq.read_table(job[1] / "results")
    assert table.column_names[-2:] == [*STATE]
    by_name = {str(path): path.stat() for path in job[0].iterdir()}
    for row in table.to_pylist():
        status = by_name[row["input"]]
        assert row["input_bytes"] == status.st_size
        assert row["input_modified"] == status.st_mtime_ns


def test_a_mask_that_was_added_counts_as_a_change(job, tmp_path):
    images, _ = job
    holes = smoke("inpaint", images=images, masks="center,random:0.5")
    folder = smoke("inpaint", images=images, masks=tmp_path / "masks")
    (tmp_path / "masks").mkdir()
    draw(tmp_path / "masks" / "20.webp", 255)
    file = str(images / "10.png")

    def state(config):
        return batch.input_states(inputs_of(config.program).files(config))[file]

    before = state(folder)
    assert before == state(holes)
    draw(tmp_path / "masks" / "10.webp", 255)
    assert state(folder) != before == state(holes)
    missing = tmp_path / "nowhere.png"
    file = InputFile(missing, "nowhere")
    assert batch.input_states({file: []}) == {str(missing): (0, 0)}


def test_equal_names_are_done_and_outputs_of_before_are_kept(job):
    images, out = job
    for place, level in (("good/10.png", 50), ("crack/10.png", 60), ("40.tif", 70)):
        (images / place).parent.mkdir(exist_ok=True)
        draw(images / place, level)
    assert invert(images, out)["inputs"] == {"done": 6, "failed": 1}
    before = written(out)
    assert before == {
        **{f"{level}.png": 255 - level for level in (10, 20, 30)},
        **{"good/10.png": 205, "crack/10.png": 195, "40.png": 185},
    }
    draw(images / "10.bmp", 80)  # comes before the other one
    draw(images / "40.bmp", 90)
    (images / "40.tif").unlink()
    assert invert(images, out)["timing"]["images"] == 2
    assert written(out) == before | {"10.bmp.png": 175, "40.bmp.png": 165}
    draw(images / "10.png", 15)
    assert invert(images, out)["timing"]["images"] == 1
    assert written(out)["10.png"] == 240 and written(out)["10.bmp.png"] == 175


def written(out):
    """Return the level of every output by its path."""
    folder = out / "images"
    return {
        path.relative_to(folder).as_posix(): int(np.asarray(Image.open(path))[0, 0])
        for path in folder.rglob("*.png")
    }


def test_what_cannot_be_written_is_a_row_and_the_job_ends(job):
    images, out = job
    longest = "a" * 252
    draw(images / f"{longest}.bw", 50)
    shutil.copy(images / "20.png", images / "mine.png")
    mine = (images / "10.png").read_bytes()
    (out / "images" / "mine.png").write_bytes(mine)
    found = invert(images, out)
    assert found["inputs"] == {"done": 3, "failed": 3} and found["complete"]
    assert "File name too long" in rows(out)[f"{longest}.bw"]["reason"]
    assert "images/mine.png cannot be written" in rows(out)["mine.png"]["reason"]
    assert (out / "images" / "mine.png").read_bytes() == mine


def test_parts_set_aside_are_not_written_over(job, capsys):
    _, out = job
    (part, *_) = sorted(parts(out))
    for content in (b"one", b"two"):
        part.write_bytes(content)
        Parts(out / "results", {"input": str, "done": bool}, PRIOR["parameters_sha256"])
    aside = sorted((out / "results").glob(f"{part.stem}.unreadable-*"))
    assert [path.read_bytes() for path in aside] == [b"one", b"two"]


def test_a_part_with_a_name_that_is_no_text_is_set_aside(job, capsys):
    _, out = job
    part, *_ = parts(out)
    count = len(rows(out))
    part.write_bytes(part.read_bytes().replace(b"reason", b"re\xe4son"))
    columns = {"input": str, "done": bool}
    found = Parts(out / "results", columns, PRIOR["parameters_sha256"])
    assert len(found.done) < count
    assert "cannot be read" in capsys.readouterr().out
