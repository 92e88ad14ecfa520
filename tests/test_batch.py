"""Batch jobs as a user runs them: whole, killed, started again, on Ray, misused."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gan_jax.apps.batch import run as batch
from gan_jax.apps.batch.engine import Engine
from gan_jax.apps.batch.local import local
from gan_jax.apps.batch.table import Parts
from gan_jax.config.errors import InputError, Interrupted
from gan_jax.data.datasets.reading import Reading
from gan_jax.data.files.levels import InUse, choose
from gan_jax.runs.signals import Signals
from tests.jobs import parts, rows
from tests.programs import (
    KILLED,
    ROOT,
    STOPPED,
    assert_names_are_own,
    environment,
    run,
    run_batch,
    summary,
    wait_for,
)
from tests.runs import smoke

CONFIG = "--config=configs/inpaint.py:yeh,smoke"


@pytest.fixture(scope="module")
def prior(gan):
    return gan.workdir


def draw(folder, count):
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for index in range(count):
        image = random.integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(image).save(folder / f"{index:03d}.png")
    return folder


def started(images, out, *flags, **variables):
    """Start a job of inpainting in a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "launch.batch", f"--out={out}"),
            *(CONFIG, f"--images={images}", *flags),
        ],
        cwd=ROOT,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launch(images, out, *flags, **variables):
    process = started(images, out, *flags, **variables)
    output, errors = process.communicate(timeout=300)
    return process.returncode, output, errors


def stamps(out):
    return {path.name: path.stat().st_mtime_ns for path in (out / "images").iterdir()}


@pytest.fixture(scope="module")
def job(prior, tmp_path_factory):
    """Return a job that has ended, of images some of which cannot be used."""
    place = tmp_path_factory.mktemp("job")
    images = draw(place / "images", 14)
    (images / "broken.png").write_bytes(b"no image")
    Image.new("RGB", (9, 9), "red").save(images / "colour.png")
    shutil.copy(images / "003.png", images / "003.webp")
    flags = (f"--config.prior={prior}", "--block=4")
    finished = run_batch(images, place / "out", *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "15 images done, 2 failed" in finished.stdout
    assert "image 17/17" in finished.stderr
    return images, place / "out", flags


def scans(highest):
    """What is read of 16-bit scans up to a level."""
    found = {"16-bit TIFF": InUse(3, 0, highest)}
    return Reading(levels=found, scaling=choose("auto", found))


def test_a_job_goes_on_only_with_the_levels_of_its_finished_images(tmp_path):
    batch._check_levels(tmp_path, scans(4000))  # nothing is finished
    names = ("metrics", "metrics_failed", "timing", "environment")
    entries = {name: {} for name in names}
    ended = entries | {"dataset": {"read": scans(1000).as_json()}}
    (tmp_path / "summary.json").write_text(json.dumps(ended))
    batch._check_levels(tmp_path, scans(900))
    batch._check_levels(tmp_path, Reading())
    with pytest.raises(InputError, match=r"0:1023 .* 0:4095: choose another --out"):
        batch._check_levels(tmp_path, scans(4000))


def test_every_image_has_one_row_and_its_output(job):
    images, out, _ = job
    assert_names_are_own(out)
    found = rows(out)
    assert found.keys() == {path.name for path in images.iterdir()}
    reasons = {name: row["reason"] for name, row in found.items() if not row["done"]}
    assert reasons.keys() == {"broken.png", "colour.png"}
    assert "not an image" in reasons["broken.png"]
    assert "grey images" in reasons["colour.png"]
    for name, row in found.items():
        if not row["done"]:
            assert row["output"] is None and row["latent"] is None
            continue
        assert row["missing"] == 0.25
        given, made = (
            np.asarray(Image.open(path))
            for path in (images / name, out / row["output"])
        )
        made_of = name if name == "003.webp" else Path(name).stem
        assert row["output"] == f"images/{made_of}.png"
        hole = np.zeros((28, 28), bool)
        hole[7:21, 7:21] = True
        np.testing.assert_array_equal(made[~hole], given[~hole])
        assert (made[hole] != given[hole]).any()
        assert row["hole"] == "center" and row["loss"] == "yeh"
        assert row["iterations"] == 2 * 20 and row["restart"] in (0, 1)
        assert np.isfinite([row["loss_value"], row["residual"]]).all()
    told = summary(out)
    assert told["complete"] and told["inputs"] == {"done": 15, "failed": 2}
    assert told["timing"]["images"] == 17


def test_it_finds_what_the_program_does(job, prior, tmp_path):
    """The outputs are those of gan_jax.main, to the bit."""
    images, out, _ = job
    flags = (f"--config.prior={prior}", f"--config.images={images}")
    finished = run(tmp_path, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    for path in (out / "images").iterdir():
        assert path.read_bytes() == (tmp_path / "images" / path.name).read_bytes()


def test_a_part_that_is_damaged_inside_is_set_aside(tmp_path, capsys):
    columns = {"input": str, "done": bool}
    parts = Parts(tmp_path, columns, "prior")
    for turn in range(2):
        parts.write([{"input": f"{turn}-{at}", "done": True} for at in range(200)])
    assert len(Parts(tmp_path, columns, "prior").done) == 400
    damaged = tmp_path / "part-000000.parquet"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:4] + bytes(300) + content[304:])
    (tmp_path / "part-000001-copy.parquet").write_bytes(content)
    left = Parts(tmp_path, columns, "prior").done
    assert len(left) == 200 and all(name.startswith("1-") for name in left)
    assert "part-000000.unreadable" in capsys.readouterr().out


def test_flipped_bits_of_a_parts_rows_are_found(tmp_path):
    columns, path = {"input": str, "done": bool}, tmp_path / "part-000000.parquet"
    names = [f"image-{at}" for at in range(200)]
    Parts(tmp_path, columns, "prior").write([{"input": n, "done": True} for n in names])
    data = path.read_bytes()
    pages = len(data) - 8 - int.from_bytes(data[-8:-4], "little")  # the footer is last
    outcomes = set()
    for bit in range(40, 8 * pages, 211):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        done = Parts(tmp_path, columns, "prior").done
        outcomes.add(len(done))
        assert done in ({}, dict.fromkeys(names, True)), bit
    assert 0 in outcomes


def test_the_same_command_does_only_what_is_missing(job, tmp_path):
    images, out, flags = job
    images = shutil.copytree(images, tmp_path / "images")
    config = (out / "config.json").read_text().replace(str(job[0]), str(images))
    again = shutil.copytree(out, tmp_path / "out")
    # As if the folder had been this one from the beginning.
    (again / "config.json").write_text(config)
    for path in (again / "results").iterdir():
        table = pq.read_table(path)
        inputs = [f"{images}/{Path(name).name}" for name in table["input"].to_pylist()]
        pq.write_table(table.set_column(0, "input", [inputs]), path)
    before = stamps(again)
    finished = run_batch(images, again, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "17 images were done before" in finished.stdout
    assert "; 0 now" in finished.stdout
    assert stamps(again) == before
    lost, *_ = sorted((again / "results").iterdir())
    missing = [row for row in pq.read_table(lost).to_pylist() if row["done"]]
    lost.write_bytes(lost.read_bytes()[:-50])
    shutil.copy(images / "000.png", images / "new.png")
    made = {Path(row["output"]).name for row in missing}
    twin = Path(min(before.keys() - made)).with_suffix(".jpg")  # of a name that is done
    shutil.copy(images / "000.png", images / twin)
    finished = run_batch(images, again, *flags, config=CONFIG)
    assert finished.returncode == 0, finished.stderr
    assert "part-000000.unreadable" in finished.stdout
    after = stamps(again)
    done_now = {name for name, stamp in after.items() if before.get(name) != stamp}
    assert 0 < len(made) < 14 and done_now == made | {"new.png", f"{twin}.png"}
    found = rows(again)
    assert len(found) == 19 and found[str(twin)]["output"] == f"images/{twin}.png"
    old = rows(out)
    for name in ("000.png", "007.png", "013.png"):
        assert found[name]["latent"] == old[name]["latent"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, KILLED), (signal.SIGTERM, STOPPED)]
)
def test_what_was_whole_is_not_done_again(prior, tmp_path, number, code):
    images, out = draw(tmp_path / "images", 24), tmp_path / "out"
    flags = (
        f"--config.prior={prior}",
        *("--block=2", "--config.search.slots=4", "--config.search.iterations=2000"),
    )
    process = started(images, out, *flags)
    wait_for(lambda: parts(out), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert number == signal.SIGKILL or "the same command continues" in errors
    before, first = stamps(out), rows(out)
    assert 0 < len(first) < 24 and not (out / "summary.json").exists()
    code, output, errors = launch(images, out, *flags)
    assert code == 0, errors
    assert f"{len(first)} images were done before" in output
    after = stamps(out)
    for name in first:
        assert before[name] == after[name]
    assert len(rows(out)) == len(after) == 24


@pytest.mark.slow
def test_ray_does_the_same_though_an_actor_dies(prior, tmp_path):
    images = draw(tmp_path / "images", 24)
    (images / "broken.png").write_bytes(b"")
    (images / "dangling.png").symlink_to("nowhere")
    broken_name = images / os.fsdecode(b"\xe9.png")
    shutil.copy(images / "000.png", broken_name)
    flags = (f"--config.prior={prior}", "--block=4", "--config.search.slots=8")
    flags += ("--config.search.iterations=500",)
    threads = {"NPROC": "2"}  # how sums are rounded depends on their number
    code, _, errors = launch(images, tmp_path / "local", *flags, **threads)
    assert code == 0, errors
    workers = min(2, os.cpu_count())
    ray = (*flags, "--engine=ray", f"--workers={workers}")
    process = started(images, tmp_path / "ray", *ray, **threads)
    wait_for(lambda: parts(tmp_path / "ray"), process)
    actors = [
        each
        for each in psutil.Process(process.pid).children(recursive=True)
        if "MapWorker" in "".join(each.cmdline()[:1])
    ]
    assert len(actors) == workers
    actors[0].kill()
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "25 images done, 2 failed" in output
    assert "\\udce9.png" in rows(tmp_path / "local")
    one, two = rows(tmp_path / "local"), rows(tmp_path / "ray")
    for row in (*one.values(), *two.values()):
        row["input"] = Path(row["input"]).name
    assert one == two and "does not exist" in one["dangling.png"]["reason"]
    for path in (tmp_path / "local" / "images").iterdir():
        other = tmp_path / "ray" / "images" / path.name
        assert path.read_bytes() == other.read_bytes()


def inpainting(prior, images, /, *, variants="yeh,smoke", **values):
    given = {"prior": str(prior), "images": str(images)}
    return smoke("inpaint", variants, **given | values)


def collaborating(prior, images, /, **values):
    given = {"prior": str(prior), "images": str(images)}
    unshaped = {"shaping.epochs": 0.0, "shaping.snapshots": ""}
    return smoke("collaborate", "inpainting,smoke", **given | unshaped | values)


@pytest.mark.slow
def test_completed_images_are_refined_by_the_priors_critic(prior, tmp_path):
    images, out = draw(tmp_path / "images", 5), tmp_path / "out"
    config = collaborating(prior, images, masks="squares:2")
    told = batch.run(config, out, local, 3)
    assert told["inputs"] == {"done": 5, "failed": 0}
    for row in rows(out).values():
        assert not row["refined"] or row["cost"] < row["cost_before"]
        assert 0 <= row["steps"] <= 5 and len(row["latent"]) > 1
    assert batch.run(config, out, local)["timing"]["images"] == 0


@pytest.mark.parametrize(
    ("make", "values", "says"),
    [
        (inpainting, {"masks": "center,left"}, "one kind of hole"),
        (inpainting, {"variants": "yeh,cooper,smoke"}, "one loss"),
        (
            inpainting,
            {"sweep.loss": "yeh", "sweep.key": "gradient", "sweep.over": "0,1"},
            "one setting in --config.sweep",
        ),
        (inpainting, {"masks": "centre"}, "known: none, center"),
        (inpainting, {"masks": "squares:2:29"}, "'squares:2:29': a hole of 29x29"),
        (inpainting, {"prior": ""}, "configs/wgan_gp.py"),
        (inpainting, {"images": ""}, "--images is empty"),
        (inpainting, {"images": "nowhere"}, "is no such folder"),
        (collaborating, {"shaping.epochs": 1.0}, "shaping.epochs=0"),
        (
            collaborating,
            {"refinement.stopping": "probabilistic"},
            "stopping=deterministic",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(job, prior, tmp_path, make, values, says):
    images, *_ = job
    with pytest.raises(InputError, match=says):
        batch.run(make(prior, images, **values), tmp_path / "no", local)
    assert not (tmp_path / "no").exists()


def test_results_of_another_kind_are_left_alone(job, prior):
    images, out, _ = job
    before = stamps(out), rows(out)
    for values, says in (
        ({"seed": 1}, "seed: 0 -> 1.*choose another --out"),
        ({"prior": str(out)}, "is the prior's"),
    ):
        with pytest.raises(InputError, match=says):
            batch.run(inpainting(prior, images, **values), out, local)
    assert (stamps(out), rows(out)) == before


def test_a_prior_that_was_trained_anew_is_noticed(job, prior, tmp_path):
    images, out, _ = job
    again = shutil.copytree(out, tmp_path / "out")
    for path in (again / "results").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({"prior": "another"}), path)
    with pytest.raises(InputError, match="another prior"):
        batch.run(inpainting(prior, images), again, local)
    (again / "results.jsonl").touch()
    with pytest.raises(InputError, match=r"a run of gan_jax\.main"):
        batch.run(inpainting(prior, images), again, local)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--engine=spark"], "engine"),
        (["--workers=2"], "give --engine=ray"),
        (["--workers=-1", "--engine=ray"], "workers"),
        (["--config=configs/gan.py", "--out=x"], "name configs/inpaint.py"),
        (["--config.search.slots=0"], "at least 1"),
    ],
)
def test_flags_that_make_no_sense_are_answered_in_a_line(tmp_path, flags, says):
    finished = run_batch("nowhere", tmp_path / "no", *flags, config=CONFIG)
    assert finished.returncode == 2 and says in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "no").exists()


def test_a_signal_keeps_the_rows_that_have_come(job, prior, tmp_path):
    """They are written, whoever does the work."""
    images = job[0]

    @contextlib.contextmanager
    def stopping(config, out):
        with local(config, out) as engine, Signals() as signals:

            def rows(blocks):
                yield engine.work.apply(next(blocks), lambda path: path.read_bytes())
                os.kill(os.getpid(), signal.SIGTERM)
                yield [{"input": str(images / "more.png"), "done": False}]

            yield Engine(engine.work, {}, rows)
        assert signals.received == signal.SIGTERM

    with pytest.raises(Interrupted):
        batch.run(inpainting(prior, images), tmp_path / "out", stopping, 2)
    assert len(rows(tmp_path / "out")) == 2 + 1
