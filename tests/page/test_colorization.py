"""Colorization behind the page."""

import jax
import numpy as np
import pytest

from gan_jax.apps.colorize.colorizer import Colorizer, in_strips
from gan_jax.apps.serve.model import Session
from gan_jax.apps.serve.models.colorization import Colorization, open_colorization
from gan_jax.config.errors import InputError
from gan_jax.data.decode import decode
from gan_jax.report.files import encode_png
from tests.page.asking import asked, file_of, opened
from tests.runs import kept, smoke

NONE = {"hints": np.zeros((0, 5), np.float32)}


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("colorizer"), smoke("colorize"), channels=3)


@pytest.fixture(scope="module")
def model(prior):
    made = Colorization("run", prior).model()
    made.compile()
    return made


def picture(*shape):
    rows, columns = np.indices(shape)
    return (127 + 120 * np.sin(rows / 9) * np.cos(columns / 17)).astype(np.uint8)[
        ..., None
    ]


def test_a_photograph_is_shown_in_colour_and_saved_at_its_size(prior, model):
    colorizer = Colorizer(prior)

    def colorized(image):
        paint = colorizer(image)
        strips = in_strips(lambda columns: paint(columns).image, *image.shape[:2])
        return np.concatenate(strips, axis=1)

    session, image = Session(), picture(400, 900)
    preview = opened(model, session, image).arrays["preview"]
    answer = asked(model, session, "colorize", NONE, image=1)
    assert answer.arrays["image"].shape == (341, 768, 3)
    assert (np.ptp(answer.arrays["image"], axis=-1) > 0).any()
    np.testing.assert_array_equal(answer.arrays["image"], colorized(preview))
    name, media, content = file_of(model, session, "colorized", "png")
    assert (name, media) == ("photo_colorized.png", "image/png")
    np.testing.assert_array_equal(decode(content), colorized(image))


@pytest.mark.parametrize("size", [(5, 7, 3), (300, 40, 1)])
def test_nothing_is_compiled_while_answering(model, size):
    compilations = []

    def note(event, seconds, **more):
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(more)

    session = Session()
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        opened(model, session, np.resize(picture(*size[:2]), size))
        asked(model, session, "colorize", NONE, image=1)
        file_of(model, session, "colorized", "png")
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert not compilations


def test_a_run_without_hints_refuses_them_in_one_line(model):
    session = Session()
    opened(model, session, picture(20, 30))
    hint = {"hints": np.array([[3, 4, 255, 0, 0]], np.float32)}
    assert model.entries["hints"] is False
    with pytest.raises(InputError, match="hints"):
        asked(model, session, "colorize", hint, image=1)


@pytest.mark.parametrize(
    ("kind", "arrays", "entries", "reason"),
    [
        ("colorize", NONE, {"image": 5}, "open it again"),
        ("colorize", {}, {"image": 1}, "the array hints"),
        ("colorize", {"hints": np.zeros((2, 4), np.float32)}, {"image": 1}, "any, 5"),
        ("save", {}, {"what": "colorized", "form": "png"}, "open a photograph first"),
    ],
)
def test_bad_requests_are_one_line(model, kind, arrays, entries, reason):
    session = Session()
    opened(model, session, picture(20, 30))
    with pytest.raises(InputError, match=reason):
        asked(model, session, kind, arrays, **entries)


def test_the_plate_is_that_of_the_run(prior, tmp_path):
    """Whatever lies at its place is decoded with care."""
    blank = Colorization("run", prior).model().plate
    folder = prior.workdir / "samples"
    folder.mkdir()
    (folder / "00000200.png").write_bytes(encode_png(picture(1000, 30)))
    (folder / "best.png").write_bytes(b"no picture")
    (folder / "notes.png").write_bytes(encode_png(picture(10, 10)))
    found = open_colorization(str(prior.workdir), "run").plate
    assert found != blank
    assert decode(found).shape == (768, 23, 1)


def test_a_run_of_another_program_is_refused(tmp_path):
    kept(tmp_path / "gan", smoke("gan"))
    with pytest.raises(InputError, match="not a complete run of 'colorize'"):
        open_colorization(str(tmp_path / "gan"), "run")
