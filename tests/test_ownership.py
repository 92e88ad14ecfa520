"""What is a user's stays: names, links, pictures and inputs beside those of a run."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_jax.config.errors import InputError
from gan_jax.report import files, ownership
from gan_jax.runs.workdir import check_workdir, claimed
from tests.runs import smoke

GREY = np.arange(20, dtype=np.uint8).reshape(5, 4, 1)


def claim(workdir, config=None):
    with claimed(config or smoke("gan"), workdir, []):
        return workdir


@pytest.mark.parametrize("name", sorted(ownership.NAMES - {"config.json"}))
def test_a_workdir_in_which_a_runs_name_is_taken_is_refused(tmp_path, name):
    path = tmp_path / name / "000.png" if name in ownership.FOLDERS else tmp_path / name
    files.write_bytes(path, b"a user's")
    with pytest.raises(InputError, match=f"holds {name} but no config.json.*choose"):
        claim(tmp_path)
    assert path.read_bytes() == b"a user's"
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_other_names_are_not_in_the_way(tmp_path):
    names = {"train.log", "notes", ".git", "my.png"}
    for name in names:
        (tmp_path / name).touch()
    claim(tmp_path)
    assert names < {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("is_claimed", [True, False])
@pytest.mark.parametrize("name", ["images", "metrics.jsonl", "config.json"])
def test_a_run_does_not_write_through_a_link(tmp_path, name, is_claimed):
    workdir, target = tmp_path / "run", tmp_path / "mine"
    workdir.mkdir()
    if is_claimed:
        claim(workdir)
        (workdir / name).unlink(missing_ok=True)
    (workdir / name).symlink_to(target)
    target.mkdir()
    with pytest.raises(InputError, match=rf"{name}.*choose another --workdir"):
        claim(workdir)
    assert not [*target.iterdir()]


def test_a_workdir_may_be_a_link_but_no_folder_in_it(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    workdir = claim(tmp_path / "link")
    (workdir / "searches").mkdir()
    (workdir / "searches" / "along").symlink_to(tmp_path)
    with pytest.raises(InputError, match="searches/along is a link"):
        claim(workdir)


def test_a_users_link_among_the_pictures_is_not_followed(tmp_path):
    workdir = claim(tmp_path / "run")
    (workdir / "images").mkdir()
    (workdir / "images" / "others").symlink_to(tmp_path)
    claim(workdir)
    ownership.write_image(workdir, workdir / "images" / "000.png", GREY)
    with pytest.raises(files.UnwritableError, match="its folder is a link"):
        ownership.write_image(workdir, workdir / "images" / "others" / "0.png", GREY)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(("name", "kind"), [("images", "file"), ("gan.json", "folder")])
def test_a_name_of_another_kind_is_refused(tmp_path, name, kind):
    path = claim(tmp_path) / name
    path.touch() if kind == "file" else path.mkdir()
    with pytest.raises(InputError, match=f"{name} is a {kind} in .*, which no run wr"):
        claim(tmp_path)


def test_only_what_killed_runs_left_is_removed(tmp_path):
    workdir, mine = claim(tmp_path / "run"), tmp_path / "mine"
    claim(workdir / "runs" / "arm" / "0")
    left = [
        ".gan_jax-0123abcd.tmp",
        "images/others/.gan_jax-0123abcd.tmp",
        # As earlier versions called them.
        ".summary.json.0123abcd.tmp",
        "images/.000.png.0123abcd.tmp",
    ]
    kept = [
        "x.deadbeef.tmp",
        ".x.deadbeef.tmp",
        "images/.x.deadbeef.tmp",
        "notes/.gan_jax-0123abcd.tmp",
        "notes/.summary.json.deadbeef.tmp",
        "runs/arm/0/.gan_jax-0123abcd.tmp",  # of a run that may be at work
    ]
    for name in (*left, *kept):
        files.write_bytes(workdir / name, b"")
    files.write_bytes(mine / ".gan_jax-0123abcd.tmp", b"")
    (workdir / "notes" / "link").symlink_to(mine)
    claim(workdir)
    assert all((workdir / name).exists() for name in kept)
    assert not any((workdir / name).exists() for name in left)
    assert (mine / ".gan_jax-0123abcd.tmp").exists()


def test_a_folder_that_is_refused_loses_nothing(tmp_path):
    (tmp_path / "samples").mkdir()
    left = tmp_path / "samples" / ".gan_jax-0123abcd.tmp"
    left.touch()
    with pytest.raises(InputError, match="holds samples"):
        claim(tmp_path)
    assert left.exists()


# Pictures


def test_a_run_writes_over_its_own_pictures_alone(tmp_path):
    workdir = claim(tmp_path / "run")
    path = workdir / "images" / "000.png"
    for image in (GREY, 255 - GREY):
        ownership.write_image(workdir, path, image)
        with Image.open(path) as written:
            np.testing.assert_array_equal(np.asarray(written), image[..., 0])
            assert written.info == {"Software": "gan_jax"}
    written.save(path)  # as a user's own editing does
    edited = path.read_bytes()
    with pytest.raises(files.UnwritableError) as refused:
        ownership.write_image(workdir, path, GREY)
    assert path.read_bytes() == edited
    assert ownership.unwritten(workdir, refused.value) == (
        "its output images/000.png cannot be written: something that no run wrote is "
        "there"
    )


def test_a_vector_picture_is_signed_too(tmp_path):
    path, picture = claim(tmp_path) / "samples" / "scores.svg", b"<svg></svg>\n"
    for _ in range(2):
        ownership.write_picture(tmp_path, path, picture)
    assert path.read_bytes().startswith(picture)
    path.write_bytes(picture)
    with pytest.raises(files.UnwritableError, match="no run wrote"):
        ownership.write_picture(tmp_path, path, picture)


@pytest.mark.parametrize("target", ["mine.png", "missing"])
def test_a_link_where_a_picture_would_go_stays(tmp_path, target):
    path = claim(tmp_path) / "samples" / "best.png"
    files.write_bytes(tmp_path / "mine.png", files.encode_png(GREY))
    path.parent.mkdir()
    path.symlink_to(tmp_path / target)
    with pytest.raises(files.UnwritableError, match="no run wrote"):
        ownership.write_image(tmp_path, path, GREY)
    assert path.is_symlink()


def test_pictures_of_earlier_versions_are_the_runs(tmp_path):
    """Their workdirs are not marked, and nothing in them is signed."""
    (claim(tmp_path) / ownership.SIGNED).unlink()
    path = tmp_path / "samples" / "best.png"
    files.write_bytes(path, files.encode_png(255 - GREY))
    claim(tmp_path)
    ownership.write_image(tmp_path, path, GREY)
    assert path.read_bytes() == ownership.signed(files.encode_png(GREY))


def test_a_copy_without_its_note_protects_a_users_pictures(tmp_path):
    """As `cp -r run/* copy/` makes it."""
    workdir, mine = claim(tmp_path), tmp_path / "images" / "001.png"
    ownership.write_image(workdir, workdir / "images" / "000.png", GREY)
    files.write_bytes(mine, files.encode_png(GREY))
    (workdir / ownership.SIGNED).unlink()
    claim(workdir)
    with pytest.raises(files.UnwritableError, match="no run wrote"):
        ownership.write_image(workdir, mine, 255 - GREY)
    ownership.write_image(workdir, workdir / "images" / "000.png", 255 - GREY)


def test_a_pipe_at_a_runs_name_is_refused(tmp_path):
    os.mkfifo(claim(tmp_path) / "metrics.jsonl")
    with pytest.raises(InputError, match=r"metrics\.jsonl is a pipe or device"):
        claim(tmp_path)


def test_a_signed_picture_is_whole():
    signed = ownership.signed(files.encode_png(GREY))
    Image.open(io.BytesIO(signed)).verify()  # compares the checksums


# Inputs


def photographs(folder):
    for level in range(3):
        files.write_bytes(folder / f"{level}.png", files.encode_png(GREY + level))
    return folder


@pytest.mark.parametrize(
    ("data", "workdir"),
    [("same", "same"), ("all", "all/run"), ("run/mine", "run"), (".", "runs/x")],
)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gan", "data.path"),
        ("colorize", "images"),
        ("inpaint", "masks"),
        ("collaborate", "images"),
        ("detect", "anomaly.others"),
        ("detect", "data.path"),
    ],
)
def test_inputs_and_outputs_lie_apart(tmp_path, monkeypatch, data, workdir, name, key):
    monkeypatch.chdir(tmp_path)
    photographs(Path(data))
    before = sorted(tmp_path.rglob("*"))
    for value in {data, f"{data}/../{Path(data).resolve().name}"}:
        config = smoke(name, **{key: value})
        with pytest.raises(InputError, match=f"{key} .* lie in each other"):
            check_workdir(config, Path(workdir))
    check_workdir(smoke(name, **{key: data}), tmp_path.parent / "another")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_base_rate_hides_no_input(tmp_path):
    others = f"noise,{photographs(tmp_path / 'run' / 'mine')}:0.3"
    with pytest.raises(InputError, match=r"anomaly\.others .* lie in each other"):
        check_workdir(smoke("detect", **{"anomaly.others": others}), tmp_path / "run")


def test_links_and_the_data_of_a_prior_count(tmp_path, gan):
    data = photographs(tmp_path / "data")
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(InputError, match=r"data\.path .* lie in each other"):
        check_workdir(smoke("gan", **{"data.path": data}), tmp_path / "link" / "run")
    prior = claim(tmp_path / "prior", smoke("gan", **{"data.path": data}))
    config = smoke("inpaint", prior=prior)
    with pytest.raises(InputError, match=f"data.path of {prior} .* lie in each other"):
        check_workdir(config, data / "completed")
    assert check_workdir(config, prior / "completed") is None
    assert (
        check_workdir(smoke("inpaint", prior=gan.workdir), data / "completed") is None
    )


def test_what_lies_beside_the_data_that_are_read_may_be_a_workdir(tmp_path):
    files.write_bytes(tmp_path / "train.npz", b"")
    config = smoke("gan", **{"data.path": tmp_path})
    assert check_workdir(config, tmp_path / "runs" / "x") is None
    (tmp_path / "train.npz").unlink()
    photographs(tmp_path / "train")
    with pytest.raises(InputError, match="lie in each other"):  # all of it is read
        check_workdir(config, tmp_path / "runs" / "x")
    photographs(tmp_path / "val")
    assert check_workdir(config, tmp_path / "runs" / "x") is None
    for workdir in (tmp_path, tmp_path / "train" / "x", tmp_path / "val" / "x"):
        with pytest.raises(InputError, match=r"data\.path .* lie in each other"):
            check_workdir(config, workdir)


def test_the_data_of_a_prior_do_not_count_beside_images(tmp_path):
    photographs(tmp_path / "all" / "mine")
    data = smoke("gan", **{"data.path": tmp_path / "all"})
    prior = claim(tmp_path / "prior", data)
    config = smoke("colorize", prior=prior, images=tmp_path / "all" / "mine")
    assert check_workdir(config, tmp_path / "all" / "x") is None
    with pytest.raises(InputError, match="lie in each other"):
        check_workdir(smoke("inpaint", prior=prior), tmp_path / "all" / "x")


def test_the_default_place_of_a_set_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
    config = smoke("gan", "mnist,smoke")
    with pytest.raises(InputError, match="lie in each other"):
        check_workdir(config, tmp_path / "mnist" / "run")
    assert check_workdir(config, tmp_path / "run") is None


@pytest.mark.parametrize("key", ["mask.pattern", "data.path"])
def test_a_single_file_may_lie_in_a_workdir_where_no_run_writes(tmp_path, key):
    workdir = claim(tmp_path / "run")
    for name, is_free in (("mine.npz", True), ("images/mine.npz", False)):
        files.write_bytes(workdir / name, b"")
        config = smoke("pixelcgan", **{key: workdir / name})
        says = "written with another config" if is_free else f"{key} .*lies where a run"
        with pytest.raises(InputError, match=says):
            check_workdir(config, workdir)


def test_arms_of_a_study_lie_apart_from_their_data(tmp_path):
    from gan_jax.apps.study import run as study

    data = photographs(tmp_path / "study" / "mine")
    config = smoke("study_pixelcgan", **{"shared.data.path": data})
    with pytest.raises(InputError, match=r"data\.path .* lie in each other"):
        study.run(config, tmp_path / "study")
    assert [*(tmp_path / "study").iterdir()] == [data]
