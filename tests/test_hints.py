"""Hints: how they are simulated, where the user's arrive, and what they change."""

import json
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export as jax_export
from PIL import Image
from sklearn.datasets import load_sample_images

from gan_jax.apps.batch.inputs import inputs_of
from gan_jax.apps.batch.workers import open_work
from gan_jax.apps.colorize import run as colorize
from gan_jax.apps.colorize.colorizer import Colorizer
from gan_jax.apps.colorize.hints import (
    NO_HINTS,
    check_hints,
    hint_files,
    on_grid,
    read_hints,
)
from gan_jax.build import methods, tasks
from gan_jax.config.checks import difference, read_config
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import Size
from gan_jax.data import color
from gan_jax.data.feed import LabelledImages
from gan_jax.data.masks import Known
from gan_jax.data.memory import UnreadableFileError
from gan_jax.export import artefact as export
from gan_jax.runs.prior import Prior, open_colorizer
from gan_jax.tasks import hints, simulated_hints
from gan_jax.training.state import Trained
from tests import runs
from tests.programs import results, run, summary
from tests.runs import kept

smoke = partial(runs.smoke, "colorize")


def colours(count=1, height=24, width=40, seed=0):
    shape = (count, height, width, 2)
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0)


def boxes(mask):
    """Yield the first row and column, and the sides, of what each mask marks."""
    for marked in np.asarray(mask[..., 0]) > 0:
        if not marked.any():
            yield 0, 0, 0, 0
            continue
        rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
        yield rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1


@pytest.fixture(scope="module")
def simulated():
    """Return colours, and hints simulated from them, of single pixels."""
    ab = colours(4000)
    draw = partial(
        simulated_hints.simulated, mean=3.0, patch=1, none=0.0, everything=0.05
    )
    return ab, *map(np.asarray, jax.jit(draw)(jax.random.key(0), ab))


def test_the_number_of_simulated_hints_is_geometric(simulated):
    _, _, mask = simulated
    numbers = mask.sum(axis=(1, 2, 3))
    numbers = numbers[numbers < 24 * 40]
    for number, share in enumerate((1 / 4, 3 / 16, 9 / 64)):  # a few coincide
        assert (numbers == number).mean() == pytest.approx(share, abs=0.03)
    assert numbers.mean() == pytest.approx(3, abs=0.2)
    assert 15 < numbers.max() <= 30


def test_all_colours_of_a_few_images_are_given(simulated):
    ab, values, mask = simulated
    whole = mask.all(axis=(1, 2, 3))
    assert whole.mean() == pytest.approx(0.05, abs=0.012)
    np.testing.assert_array_equal(values[whole], ab[whole])


def test_hints_are_true_colours_and_nothing_else_is_known(simulated):
    ab, values, mask = simulated
    assert {*np.unique(mask)} == {0, 1}
    np.testing.assert_allclose(values, ab * mask, atol=1e-6)


def test_hints_lie_around_the_middle():
    found = simulated_hints.at_random(jax.random.key(1), colours(4000), 1)
    corners = np.array([*boxes(found.mask)])
    assert (corners[:, 2:] == 1).all()
    for places, side in zip(corners.T, (24, 40), strict=False):
        assert places.mean() == pytest.approx((side - 1) / 2, abs=0.5)
        # A quarter of the side, and a little less because it is cut at the edge.
        assert places.std() == pytest.approx(side / 4, rel=0.1)
        assert places.min() == 0 and places.max() == side - 1


def test_a_simulated_hint_is_the_mean_colour_of_its_patch():
    ab = colours(400)
    draw = partial(
        simulated_hints.simulated, mean=0.2, patch=5, none=0.0, everything=0.0
    )
    found = Known(*map(np.asarray, jax.jit(draw)(jax.random.key(4), ab)))
    sides = []
    for at, (top, left, height, width) in enumerate(boxes(found.mask)):
        if not height or found.mask[at].sum() != height * width or height != width:
            continue  # none, or two patches
        sides.append(height)
        patch = slice(top, top + height), slice(left, left + width)
        wanted = np.broadcast_to(ab[at][patch].mean(axis=(0, 1)), (height, width, 2))
        np.testing.assert_allclose(found.values[at][patch], wanted, atol=1e-6)
    assert (np.bincount(sides, minlength=6)[1:] > 4).all()


def test_hints_for_measuring_stay_the_same():
    ab = colours(50)
    found, again = (
        simulated_hints.at_random(jax.random.key(5), ab, 50) for _ in range(2)
    )
    jax.tree.map(np.testing.assert_array_equal, found, again)
    counts = np.asarray(found.mask.sum(axis=(1, 2, 3)))
    assert (counts <= 50).all() and (counts >= 35).all()


def test_one_thing_of_an_image_gets_another_colour():
    """Where a hint is, and what is like it there; a far or unlike thing stays."""
    rows, columns = np.indices((32, 32))
    is_disk = np.hypot(rows - 12, columns - 10) < 5
    is_far = np.hypot(rows - 29, columns - 29) < 2
    ab = np.where((is_disk | is_far)[..., None], [0.4, 0.2], [-0.2, 0.3])
    light = np.where(is_disk | is_far, 0.1, -0.1)[..., None]
    hinted = (is_disk & (rows == 12) & (columns == 10))[..., None]
    given = [
        jnp.broadcast_to(jnp.float32(maps), (400, *maps.shape))
        for maps in (light, ab, hinted)
    ]
    change = jax.jit(partial(simulated_hints.recoloured, share=0.5))
    made = np.asarray(change(jax.random.key(0), *given))
    moved = np.abs(made - given[1]).max(axis=-1) > 1e-6
    changed = moved.any(axis=(1, 2))
    assert changed.mean() == pytest.approx(0.5, abs=0.08)
    assert not moved[:, ~(is_disk | is_far)].any()
    assert moved[changed][:, 12, 10].all()
    assert moved[changed][:, is_disk].mean() > 0.8
    assert moved[changed][:, is_far].mean() < 0.2
    assert np.ptp(made[changed][:, 12, 10], axis=0).min() > 1  # of 1.4: all hues
    same = change(jax.random.key(0), *given[:2], jnp.zeros_like(given[2]))
    np.testing.assert_array_equal(same, given[1])


@pytest.mark.parametrize(("side", "patch"), [(28, 1), (32, 2), (64, 3), (256, 9)])
def test_patches_grow_with_the_images(side, patch):
    assert simulated_hints.largest_patch(Size(side, side + 10)) == patch


def condition(lightness, places):
    """Return the condition of one image, with colours at (row, column)."""
    shape = (1, *np.shape(lightness))
    values, mask = np.zeros((*shape, 2), np.float32), np.zeros((*shape, 1), np.float32)
    for place, colour in places.items():
        values[(0, *place)], mask[(0, *place)] = colour, 1
    light = jnp.asarray(lightness, jnp.float32).reshape(*shape, 1)
    return filled(light, Known(jnp.asarray(values), jnp.asarray(mask)))


filled = jax.jit(hints.conditioned)


RED, BLUE = (0.5, 0.2), (0.1, -0.6)


@pytest.mark.parametrize("shape", [(16, 32), (13, 7)])
def test_gaps_between_hints_are_filled(shape):
    light = np.zeros(shape)
    nothing = condition(light, {})
    jax.tree.map(
        np.testing.assert_array_equal, nothing, hints.without_hints(nothing.lightness)
    )
    _, ab, nearness = map(np.asarray, condition(light, {(0, 3): RED}))
    np.testing.assert_allclose(ab, np.broadcast_to(RED, ab.shape), atol=1e-6)
    near = nearness[0, ..., 0]
    assert near[0, 3] == 1 and np.sort(near.ravel())[-2] <= 0.5
    assert 0 < near.min() <= near[-1, -1] < near[0, 2]
    two = condition(light, {(0, 3): RED, (12, 0): BLUE})
    ab = np.asarray(two.ab)[0]
    np.testing.assert_allclose(ab[0, 3], RED, atol=1e-6)
    np.testing.assert_allclose(ab[12, 0], BLUE, atol=1e-6)
    assert (ab[..., 0] >= 0.1 - 1e-6).all() and (ab[..., 0] <= 0.5 + 1e-6).all()
    assert ab[2, 3, 0] > 0.35 and ab[10, 0, 0] < 0.25
    assert np.argwhere(two.hints.mask)[:, 1:3].tolist() == [[0, 3], [12, 0]]


def test_all_colours_stay_as_they_are_given():
    every = Known(colours(2, 13, 7), jnp.ones((2, 13, 7, 1)))
    whole = filled(jnp.zeros((2, 13, 7, 1)), every)
    np.testing.assert_array_equal(whole.ab, every.values)
    np.testing.assert_array_equal(whole.nearness, 1)


def test_colours_spread_to_what_is_near_and_alike():
    halves = np.repeat([[-0.5] * 8 + [0.5] * 8], 16, axis=0)
    np.testing.assert_array_equal(hints.spread(condition(halves, {})), 0)
    alone = hints.spread(condition(halves, {(3, 3): RED}))
    np.testing.assert_allclose(alone, np.broadcast_to(RED, alone.shape), atol=1e-6)
    # The edge in lightness counts for more than the distance.
    both = hints.spread(condition(halves, {(8, 6): RED, (8, 15): BLUE}))[0]
    np.testing.assert_allclose(both[:, :8], np.broadcast_to(RED, (16, 8, 2)), atol=0.01)
    np.testing.assert_allclose(both[8, 8:], np.broadcast_to(BLUE, (8, 2)), atol=0.01)


@settings(deadline=None)
@given(st.data())
def test_a_hint_arrives_in_the_pixel_of_the_network_that_holds_it(data):
    sides = st.integers(1, 300)
    image = Size(data.draw(sides), data.draw(sides))
    grid = Size(data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70)))
    x = data.draw(st.integers(0, image.width - 1))
    y = data.draw(st.integers(0, image.height - 1))
    row = np.array([[x, y, 1, 2, 3]], np.float32)
    check_hints(row, image)
    ab = np.array([[0.25, -0.5]])
    placed = Known(*map(np.array, on_grid(row, ab, image, grid)))
    assert placed.values.shape == (1, *grid, 2) and placed.mask.sum() == 1
    ((_, at_row, at_column, _),) = np.argwhere(placed.mask)
    assert (
        at_row * image.height <= (y + 0.5) * grid.height < (at_row + 1) * image.height
    )
    middle = (x + 0.5) * grid.width
    assert at_column * image.width <= middle < (at_column + 1) * image.width
    assert placed.values[0, at_row, at_column].tolist() == [0.25, -0.5]
    assert np.abs(placed.values).sum() == 0.75


def test_hints_in_one_pixel_of_the_network_have_their_mean():
    rows = np.array([[0, 0, *[9] * 3], [3, 3, *[9] * 3], [4, 0, *[9] * 3]], np.float32)
    ab = np.array([[0.2, 0.0], [0.4, -0.2], [0.9, 0.9]], np.float32)
    placed = on_grid(rows, ab, Size(8, 8), Size(2, 2))
    np.testing.assert_allclose(placed.values[0, 0, 0], [0.3, -0.1], atol=1e-7)
    np.testing.assert_allclose(placed.values[0, 0, 1], [0.9, 0.9])
    np.testing.assert_array_equal(placed.mask[0, ..., 0], [[1, 1], [0, 0]])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([30, 0, 1, 2, 3], r"hint 2 \(x=30, y=0.*x \(column\) runs from 0 to 29"),
        ([0, 20, 1, 2, 3], r"y \(row\) from 0 to 19"),
        ([-1, 0, 1, 2, 3], "outside the image"),
        ([np.nan, 0, 1, 2, 3], "outside the image"),
        ([5, 5, 256, 2, 3], "is no colour"),
        ([5, 5, 0, -1, 3], "is no colour"),
        ([5, 5, 0, 1, np.nan], "is no colour"),
    ],
)
def test_hints_that_mean_nothing_are_refused(row, reason):
    with pytest.raises(InputError, match=reason):
        check_hints(np.float32([[0, 0, 0, 0, 0], row]), Size(20, 30))


def test_hints_of_another_form_are_refused():
    for shape in ((5,), (3, 4), (2, 2, 5)):
        with pytest.raises(InputError, match="give rows of x, y, red, green, blue"):
            check_hints(np.zeros(shape, np.float32), Size(20, 30))
    check_hints(NO_HINTS, Size(1, 1))


@pytest.mark.parametrize(
    "text",
    [
        "x,y,r,g,b\n3,5,200,10,0\n",
        "b;g;r;x;y\r\n0;10;200;3;5\r\n",
        "row,column,r,g,b\n5,3,200,10,0\n",
        '﻿"x"\t"y"\t"r"\t"g"\t"b"\n3\t5\t200\t10\t0\n\n',
    ],
)
def test_hints_are_read_from_tables(text):
    assert read_hints(text.encode()).tolist() == [[3, 5, 200, 10, 0]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x,y,value\n3,5,200\n", "name the columns x,y,r,g,b"),
        ("x,y,r,g\n3,5,200,1\n", "not all of r, g and b"),
        ("x,y,r,g,b\n3,5,red,1,1\n", "line 2: r is 'red', not a number"),
        ("x,y,r,g,b\n", "holds no point"),
        ("\0\0", "neither text"),
    ],
)
def test_files_that_hold_no_hints_are_refused(text, reason):
    with pytest.raises(UnreadableFileError, match=reason):
        read_hints(text.encode())


class CopyHints(nn.Module):
    """A generator by hand: the colours of hints where they are, grey elsewhere."""

    @nn.compact
    def __call__(self, latent, condition):
        return condition.hints.values


def by_hand(size, variant="smoke,hints"):
    """Return a prior whose generator shows the hints that it is given."""
    config = smoke(variant, **{"data.size": size})
    task = tasks.task(config)
    method = methods.method(config, task, 3)._replace(generator=CopyHints())
    networks = Trained(jnp.int32(0), {}, {}, None)
    return Prior(Path("runs/colors"), config, task, method, networks, 3, "")


@pytest.mark.parametrize("shape", [(33, 57), (90, 31), (16, 32), (64, 5)])
def test_a_colour_arrives_where_it_was_given(shape):
    height, width = shape
    colorizer = Colorizer(by_hand("16x32"))
    image = np.full((height, width, 1), 120, np.uint8)
    x, y = width - 2, 1
    colour = np.float32([180, 60, 60])
    plain = colorizer(image)(slice(None)).image
    assert np.ptp(np.int16(plain), axis=-1).max() <= 1  # grey
    strip = colorizer(image, np.float32([[x, y, *colour]]))(slice(None))
    redness = np.int16(strip.image)[..., 0] - strip.image[..., 2]
    assert redness[y, x] > 0.5 * redness.max() > 10
    far = np.hypot(*(np.indices(shape) - [[[y]], [[x]]]) / np.reshape(shape, (2, 1, 1)))
    assert np.abs(redness[far > 0.5]).max() < 0.15 * redness.max()


def test_only_the_ab_of_a_hint_counts():
    """A dark and a light tone of one ab colour an image alike."""
    colorizer = Colorizer(by_hand("32"))
    image = np.full((32, 32, 3), 128, np.uint8)
    made = []
    for lightness in (-0.3, 0.3):
        rgb = color.merge(jnp.array([[[lightness]]]), jnp.array([[[0.2, -0.1]]]))
        levels = np.asarray(rgb)[0, 0] * 127.5 + 127.5
        made.append(colorizer(image, np.float32([[9, 9, *levels]]))(slice(None)).image)
    assert np.abs(np.int16(made[0]) - made[1]).max() <= 2


def test_a_run_without_hints_refuses_them():
    colorizer = Colorizer(by_hand("32", "smoke"))
    with pytest.raises(InputError, match=r"takes no hints.*colorize\.py:hints"):
        colorizer(np.zeros((8, 8, 1), np.uint8), np.float32([[1, 1, 9, 9, 9]]))


@pytest.mark.parametrize("variant", ["ebgan", "wgan_gp", "chromagan"])
def test_the_generator_sees_lightness_colours_and_mask(variant):
    config = smoke(f"smoke,hints,{variant}", **{"network.width": 4})
    classes = 3 if config.class_weight else 0
    this = methods.method(config, tasks.task(config), 3, classes)
    images = {
        "real": LabelledImages(np.zeros((4, 32, 32, 3), np.uint8), np.zeros(4, int))
    }
    batch = jax.eval_shape(this.present, jax.random.key(0), images)
    shapes = jax.tree.map(lambda leaf: leaf.shape[1:], batch.condition)
    assert shapes == hints.Hinted((32, 32, 1), (32, 32, 2), (32, 32, 1))
    assert batch.real_condition.shape == (4, 32, 32, 1)  # all that the critic sees
    made, variables = jax.eval_shape(
        this.generator.init_with_output, jax.random.key(0), None, batch.condition
    )
    inputs = {leaf.shape[2] for leaf in jax.tree.leaves(variables) if leaf.ndim == 4}
    assert 4 in inputs
    assert getattr(made, "image", made).shape == (4, 32, 32, 2)


def test_a_run_without_hints_stays_what_it_was():
    plain, task = tasks.task(smoke("smoke")), tasks.task(smoke("smoke,hints"))
    assert not hints.takes_hints(plain) and hints.takes_hints(task)
    assert plain.evaluation.criterion == ("fid",) and not plain.evaluation.variations
    names = [array.name for array in task.condition_arrays]
    assert names == ["lightness", "ab", "nearness"]


def test_patches_fit_the_images():
    with pytest.raises(InputError, match=r"simulated_hints\.patch 33 is larger"):
        tasks.task(smoke("smoke,hints", **{"simulated_hints.patch": 33}))


def test_a_run_of_an_older_version_takes_no_hints():
    wanted = flatten(smoke("smoke"))
    new = ("hints", *(key for key in wanted if key.startswith("simulated_hints.")))
    written = {key: value for key, value in wanted.items() if key not in new}
    assert len(written) == len(wanted) - 6
    assert difference(written, wanted) == []
    assert not hints.takes_hints(tasks.task(read_config(written, "colorize")))


PHOTO = load_sample_images().images[1][100:157, 200:291]  # 57 x 91


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the workdir of a run with hints, of random weights."""
    workdir = tmp_path_factory.mktemp("hints") / "run"
    kept(workdir, smoke("smoke,hints", **NARROW), channels=3)
    return workdir


NARROW = {"network.width": 4, "network.critic_width": 4}


def write(folder, **texts):
    """Write CSV files of hints, by name."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(f"x,y,r,g,b\n{text}\n")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder of images and one of their hints."""
    root = tmp_path_factory.mktemp("given")
    images = root / "images"
    images.mkdir()
    for name in ("hinted", "plain", "outside", "broken"):
        Image.fromarray(PHOTO).save(images / f"{name}.png")
    texts = {"hinted": "80,50,200,30,30", "outside": "91,3,9,9,9", "broken": "1,2,3"}
    return images, write(root / "hints", **texts, other="1,2,3,4,5")


@pytest.fixture(scope="module")
def hinted_folder(trained, folders, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("hinted")
    images, own = folders
    colorize.run(smoke("smoke", prior=trained, images=images, hints=own), workdir)
    return workdir


def test_images_of_a_folder_get_their_own_hints(hinted_folder):
    rows = {Path(row["input"]).stem: row for row in results(hinted_folder)}
    numbers = {name: row["hints"] for name, row in rows.items() if row["done"]}
    assert numbers == {"hinted": 1, "plain": 0}
    assert "lies outside the image: x (column)" in rows["outside"]["reason"]
    assert "broken.csv: line 2 has 3 columns" in rows["broken"]["reason"]
    made = [
        np.asarray(Image.open(hinted_folder / "images" / f"{name}.png"), np.int16)
        for name in ("hinted", "plain")
    ]
    assert np.abs(made[0] - made[1]).max() > 3


def test_a_batch_job_reads_the_same_hints(trained, folders):
    config = smoke("smoke", prior=trained, images=folders[0], hints=folders[1])
    files = inputs_of("colorize").files(config)
    found = {file.name: [path.name for path in of] for file, of in files.items()}
    assert found == {
        "broken": ["broken.csv"],
        "hinted": ["hinted.csv"],
        "outside": ["outside.csv"],
        "plain": [],
    }
    assert open_work(config, folders[0].parent / "job").columns["hints"] is int


def test_names_find_their_hints(tmp_path):
    images, own = tmp_path / "images", tmp_path / "own"
    for name in ("a.png", "a.jpg", "sub/a.png", "caf\u00e9.png"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).touch()
    write(own, **{"a": "1,2,3,4,5", "a.jpg": "1,2,3,4,5", "cafe\u0301": "1,2,3,4,5"})
    config = smoke("smoke", images=images, hints=own)
    found = {
        image.relative_to(images).as_posix(): file.name
        for image, file in hint_files(config).items()
    }
    assert found == {
        "a.png": "a.csv",
        "a.jpg": "a.jpg.csv",
        "caf\u00e9.png": "cafe\u0301.csv",
    }
    config.hints = str(own / "a.csv")
    assert {*hint_files(config).values()} == {own / "a.csv"}
    assert len(hint_files(config)) == 4


def test_what_a_user_may_get_wrong(trained, folders, tmp_path):
    plain, empty = tmp_path / "plain", tmp_path / "empty"
    kept(plain, smoke("smoke", **NARROW), channels=3)
    bad = write(empty, other="1,2,3,4,5") / "bad.csv"
    bad.write_text("x,y,value\n1,2,3\n")
    images, own = folders
    for values, reason in (
        ({"prior": plain, "hints": own}, "takes no hints: leave them out, or train"),
        ({"hints": empty}, r"holds no hints of an image: .* NAME\.csv for NAME\.png"),
        ({"hints": bad}, r"bad\.csv: .* must name the columns x,y,r,g,b"),
        ({"hints": tmp_path / "none.csv"}, r"none\.csv: the file does not exist"),
    ):
        config = smoke("smoke", **{"prior": trained, "images": images, **values})
        with pytest.raises(InputError, match=reason):
            colorize.run(config, tmp_path / "out")


def test_an_export_takes_hints(trained, tmp_path):
    export.export(trained, tmp_path / "out", ["cpu"])
    program = jax_export.deserialize((tmp_path / "out" / "program.jax").read_bytes())
    weights = dict(np.load(tmp_path / "out" / "weights.npz"))
    listed = json.loads((tmp_path / "out" / "metadata.json").read_text())["inputs"]
    assert [each["name"] for each in listed] == ["images", "hints", "mask"]
    colorizer = Colorizer(open_colorizer(str(trained), ""))
    row = np.float32([[70, 20, 30, 60, 200]])
    ab = np.asarray(color.split(row[:, 2:] / 127.5 - 1)[1])
    given = on_grid(row, ab, Size(*PHOTO.shape[:2]), Size(32, 32))
    image = np.float32(PHOTO)[None] / 127.5 - 1
    made = np.asarray(jax.jit(program.call)(weights, image, *given))[0]
    wanted = colorizer(PHOTO, row)(slice(None)).image
    assert np.abs((made + 1) * 127.5 - wanted).max() < 0.52  # it is rounded there


@pytest.mark.slow
def test_a_run_with_hints_is_measured_under_them_and_continues(tmp_path):
    config = "--config=configs/colorize.py:smoke,hints"
    flags = ("--config.evaluation.every=20", "--config.checkpoint_every=20")
    for workdir, steps in (("whole", 40), ("parts", 20), ("parts", 40)):
        flag = f"--config.steps={steps}"
        finished = run(tmp_path / workdir, *flags, flag, config=config)
        assert finished.returncode == 0, finished.stderr
    whole, parts = (summary(tmp_path / workdir) for workdir in ("whole", "parts"))
    assert whole["parameters_sha256"] == parts["parameters_sha256"]
    names = [f"{name}_hints_{n}" for name in hints.MEASURES for n in hints.NUMBERS]
    spread = whole["baselines"]["hints spread"]
    assert all(np.isfinite(whole["metrics"][name]) for name in names)
    assert spread["ab_error_hints_50"] < spread["ab_error_hints_1"] < spread["ab_error"]
    assert whole["best"]["criterion"] == ["fid", "ab_error_hints_10"]
    page = (tmp_path / "whole" / "report.html").read_text()
    assert "hints spread" in page and "Colour error, 10 hints" in page
