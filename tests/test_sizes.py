"""Sizes of images: squares as a number, oblong ones as height x width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_jax.apps.colorize.colorizer import Colorizer
from gan_jax.apps.train.memory import data_demands
from gan_jax.build import datasets, methods, tasks
from gan_jax.build import networks as architectures
from gan_jax.config.checks import check_numbers, difference, read_config
from gan_jax.config.errors import InputError
from gan_jax.config.keys import flatten
from gan_jax.config.limits import WORD, Size, side_of, size_of
from gan_jax.data import masks
from gan_jax.data.decode import crop_and_resize
from gan_jax.export import artefact as export
from gan_jax.networks import chroma
from gan_jax.runs.classification import turned_by
from gan_jax.runs.prior import blank_images, blank_state, open_prior
from tests.programs import run, summary
from tests.runs import kept, kept_detector, smoke
from tests.test_export import call

SIZE = Size(16, 32)


@given(st.integers(1, WORD), st.integers(1, WORD))
def test_a_size_is_read_as_it_is_written(height, width):
    size = Size(height, width)
    assert size_of(str(size)) == size_of(size) == size
    assert size_of(f"{height}X{width}") == size
    assert size_of(height) == size_of(str(Size(height, height))) == (height, height)


@given(
    st.one_of(
        st.integers(max_value=0),
        st.integers(min_value=WORD + 1),
        st.floats(),
        st.booleans(),
        st.text()
        .filter(lambda text: not text.isascii() or "x" not in text.lower())
        .filter(lambda text: not text.isdecimal()),
        st.sampled_from(
            [
                "48x",
                "x96",
                "48x96x1",
                "0x4",
                "4x0",
                "-4x4",
                "4 x4",
                "4.0x4",
                "9" * 11,
                "9" * 5000,
                "٣",
            ]
        ),
        st.none(),
    )
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InputError, match=r"data.size is .*such as 48x96, with --conf"):
        size_of(text)


def test_a_square_is_a_square_in_either_form():
    assert side_of(64, "inpaint") == side_of("64x64", "inpaint") == 64
    with pytest.raises(InputError, match=r"data.size is 48x96, and inpaint takes squa"):
        side_of("48x96", "inpaint")


def test_a_config_holds_a_number_or_a_text():
    config = smoke("pixelcgan", **{"data.size": "16x32"})
    check_numbers(config)
    flat = flatten(config)
    assert flat["data.size"] == "16x32"
    assert flatten(read_config(flat, "train"))["data.size"] == "16x32"
    assert flatten(read_config({**flat, "data.size": 28}, "train"))["data.size"] == 28
    # A default is no one's to change.
    assert smoke("pixelcgan").data.size == 28
    for wrong in ("16x", "big", 2.5):
        with pytest.raises(ValueError, match=r"data.size is"):
            read_config({**flat, "data.size": wrong}, "train")
        with pytest.raises(InputError, match=r"data.size is .*such as 48x96"):
            check_numbers(smoke("pixelcgan", **{"data.size": wrong}))
    assert difference(flat, {**flat, "data.size": "32x16"}) == [
        "data.size: '16x32' -> '32x16'"
    ]
    square = {**flat, "data.size": 64}
    assert difference(square, {**flat, "data.size": "64x64"}) == []
    assert difference({**flat, "data.size": "64x64"}, square) == []


@pytest.mark.parametrize("size", ["16x", "abc", "2.5", "0", "4x0", "", "True"])
def test_a_flag_that_is_no_size_is_one_line(tmp_path, size):
    finished = run(tmp_path / "run", f"--config.data.size={size}")
    assert finished.returncode == 2
    assert "data.size" in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1


def test_a_size_that_no_network_fits_is_one_line(tmp_path):
    finished = run(tmp_path / "run", "--config.data.size=28x30")
    assert finished.returncode == 2
    assert "images of 28x30 do not fit networks of depth 2" in finished.stderr


NETWORKS = {
    "geostatistics": ("geostatistics", {}),
    "a map": ("geostatistics", {"latent.form": "vector"}),
    "pixels": ("pixelcgan", {}),
    "residual": (
        "pixelcgan",
        {
            "network.generator": "residual",
            "network.critic": "residual",
            "network.critic_normalisation": "layer",
            "critic_penalty": 0.0,
        },
    ),
    "patches": ("pixelcgan", {"network.critic": "patch"}),
    "perceptrons": (
        "gan",
        {"network.generator": "perceptron", "network.critic": "perceptron"},
    ),
    "energies": ("ebgan", {}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_oblong_images(name):
    experiment, values = NETWORKS[name]
    size = Size(32, 64) if experiment == "geostatistics" else SIZE
    config = smoke(experiment, **values, **{"data.size": str(size)})
    task = tasks.task(config)
    method = methods.method(config, task, 1)
    state = jax.eval_shape(lambda: blank_state(config, task, method, 1))
    given = {"params": state.generator.parameters, **state.generator.statistics}
    images = jax.eval_shape(lambda: blank_images(config, task, 1))
    batch = jax.eval_shape(method.present, jax.random.key(0), images)
    latent = jax.eval_shape(lambda: method.latent(jax.random.key(0), 1))
    made = jax.eval_shape(method.generator.apply, given, latent, batch.condition)
    assert made.shape == (1, *size, 1)
    given = {"params": state.critic.parameters, **state.critic.statistics}
    scores = jax.eval_shape(method.critic.apply, given, made, batch.real_condition)
    assert scores.size == architectures.map_scores(config)


def test_colours_of_oblong_images():
    size = Size(32, 64)
    network = chroma.generator(size, 2, classes=5, width=2)
    lightness = jnp.zeros((1, *size, 1))
    made = jax.eval_shape(
        lambda key: network.init_with_output(key, None, lightness)[0],
        jax.random.key(0),
    )
    assert made.image.shape == (1, *size, 2) and made.logits.shape == (1, 5)
    with pytest.raises(InputError, match=r"48x64 do not fit .* multiple of 32"):
        chroma.generator(Size(48, 64), 2)


def test_points_are_no_oblong_images():
    oblong = smoke("gan", "gaussians8")
    oblong.update_from_flattened_dict({"data.size": "32x64"})
    with pytest.raises(InputError, match="32x64, and task points takes square"):
        tasks.task(oblong)


@pytest.mark.parametrize("kind", ["detector", "colorizer"])
def test_an_oblong_run_is_exported(kind, tmp_path):
    size = {"data.size": "32x64", "network.width": 4, "network.critic_width": 4}
    if kind == "detector":
        kept_detector(tmp_path / "run", **size)
    else:
        kept(tmp_path / "run", smoke("colorize", **size), channels=3)
    export.export(tmp_path / "run", tmp_path / "out", ["cpu"])
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 64, 3))
    if kind == "detector":
        scores = call(tmp_path / "out")(jnp.asarray(images[..., :1], jnp.float32))
        assert scores.shape == (2,)
        return
    painted = call(tmp_path / "out")(jnp.asarray(images, jnp.float32))
    image = np.uint8(127.5 * (images[0] + 1))
    colorizer = Colorizer(open_prior(str(tmp_path / "run"), "", "colorize"))
    own = colorizer(image)(slice(0, 64)).image
    assert np.abs(np.float32(127.5 * (painted[0] + 1)) - own).max() < 6


def test_known_pixels_of_oblong_images(tmp_path):
    mask = masks.random_pixels(jax.random.key(0), 200, SIZE, 5)
    assert mask.shape == (200, *SIZE, 1)
    np.testing.assert_array_equal(mask.sum(axis=(1, 2, 3)), 5)
    assert (np.asarray(mask).sum(axis=(0, 3))[:, 16:]).any()
    assert masks.pixel_count(SIZE, fraction=0.5) == 256
    with pytest.raises(InputError, match="image of 16x32: choose 1 to 512"):
        masks.pixel_count(SIZE, count=513)
    path = tmp_path / "mask.png"
    Image.fromarray(np.uint8(255 * (np.arange(512).reshape(SIZE) < 40))).save(path)
    np.testing.assert_array_equal(
        masks.pattern(str(path), SIZE).sum(axis=1)[:2], (32, 8)
    )
    with pytest.raises(InputError, match=r"16x32 pixels .* images are 32x16"):
        masks.pattern(str(path), Size(32, 16))


def test_the_centre_of_an_image_keeps_its_proportions():
    rows, columns = np.mgrid[:60, :200]
    image = np.uint8(np.stack([rows, columns, columns // 100 * 255], axis=-1))
    np.testing.assert_array_equal(
        crop_and_resize(image, Size(60, 120)), image[:, 40:160]
    )
    small = crop_and_resize(image, Size(30, 60))
    assert small.shape == (30, 60, 3)
    assert small[:, 0, 1].mean() == pytest.approx(40.5, abs=1)
    assert small[:, -1, 1].mean() == pytest.approx(158.5, abs=1)
    np.testing.assert_array_equal(
        crop_and_resize(image, Size(20, 10), crop=20), image[20:40, 95:105]
    )


@pytest.mark.parametrize("name", ["digits", "photos", "folder", "arrays", "crops"])
def test_data_of_oblong_images(name, tmp_path):
    draw = np.random.default_rng(0)
    values = {"data.size": str(SIZE), "data.path": ""}
    if name in ("digits", "photos"):
        values["data.name"] = name
    elif name == "folder":
        for number in range(3):
            picture = np.uint8(draw.integers(256, size=(40, 50)))
            Image.fromarray(picture).save(tmp_path / f"{number}.png")
        values["data.path"] = str(tmp_path)
    elif name == "arrays":
        np.save(tmp_path / "train.npy", np.uint8(draw.integers(256, size=(4, 20, 20))))
        values["data.path"] = str(tmp_path)
    else:
        lines = ["120 40", "1", "facies", *map(str, draw.integers(2, size=4800))]
        (tmp_path / "grid.gslib").write_text("\n".join(lines))
        values["data.path"] = str(tmp_path / "grid.gslib")
    config = smoke("pixelcgan", **values)
    train = datasets.source(config.data).train
    assert train.shape[:2] == SIZE
    batch = data_demands(config)[1].size
    channels = 1 if name in ("digits", "crops") else 3  # at most, in files
    assert batch == config.batch_size * SIZE.pixels * channels * 4
    first = np.asarray(train.images[:3])
    assert first.shape[1:3] == SIZE and first.std() > 10
    if name == "digits":  # in the middle, between margins
        assert not first[:, :, :8].any() and not first[:, :, 24:].any()
        assert first[:, :, 8:24].any()


def test_quarter_turns_of_oblong_images_are_stretched():
    image = jnp.linspace(-1, 1, 8 * 16).reshape(1, 8, 16, 1)
    turned = turned_by(jnp.arange(4), image.repeat(4, axis=0))
    assert turned.shape == (4, 8, 16, 1)
    np.testing.assert_array_equal(turned[0], image[0])
    np.testing.assert_array_equal(turned[2], image[0, ::-1, ::-1])
    # What rose slowly from row to row rises slowly from column to column.
    assert (np.diff(turned[1, :, ::2], axis=1)[0] > 0).all()
    np.testing.assert_allclose(turned[3], turned[1, ::-1, ::-1], atol=1e-6)


def test_an_oblong_generator_is_exported(tmp_path):
    config = smoke("pixelcgan", **{"data.size": str(SIZE), "network.width": 4})
    kept(tmp_path / "run", config)
    found = export.export(tmp_path / "run", tmp_path / "out", ["cpu"])
    assert found["output"]["shape"] == ["batch", *SIZE, 1]
    draw = np.random.default_rng(0)
    inputs = [
        jnp.asarray(draw.uniform(-1, 1, (2, *port["shape"][1:])), jnp.float32)
        for port in found["inputs"]
    ]
    assert call(tmp_path / "out")(*inputs).shape == (2, *SIZE, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["geostatistics", "pixelcgan"])
def test_an_oblong_run_ends_with_its_report(name, tmp_path):
    size = "32x48" if name == "geostatistics" else "16x24"
    flags = (
        f"--config.data.size={size}",
        "--config.steps=20",
        "--config.evaluation.every=10",
        "--config.evaluation.count=100",
        "--config.evaluation.final_count=100",
        "--config.evaluation.classifier.epochs=1",
    )
    config = f"--config=configs/{name}.py:smoke"
    finished = run(tmp_path, *flags, config=config)
    assert finished.returncode == 0, finished.stderr
    found = summary(tmp_path)
    assert found["complete"] and found["dataset"]["shape"] == [*size_of(size), 1]
    assert "fid" in found["metrics"] and "honoured" in found["metrics"]
    assert (tmp_path / "report.html").read_text().count("<img") > 1
    again = run(tmp_path, *flags, config=config)
    assert again.returncode == 0, again.stderr
