"""Colorization behind the page."""

import numpy as np
import pytest

from gan_jax.apps.colorize.colorizer import Colorizer, in_strips
from gan_jax.apps.colorize.hints import NO_HINTS
from gan_jax.apps.serve.model import Session
from gan_jax.apps.serve.models import photographs
from gan_jax.apps.serve.models.colorization import Colorization, open_colorization
from gan_jax.apps.serve.remedies import for_page
from gan_jax.config.errors import InputError
from gan_jax.data.decode import decode
from gan_jax.report.files import encode_png
from tests.page.asking import asked, file_of, opened
from tests.runs import kept, smoke

NONE = {"hints": NO_HINTS}


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("colorizer"), smoke("colorize"), channels=3)


@pytest.fixture(scope="module")
def model(prior):
    made = Colorization("run", prior)
    made.compile()
    return made.model()


def picture(*shape):
    rows, columns = np.indices(shape)
    return (127 + 120 * np.sin(rows / 9) * np.cos(columns / 17)).astype(np.uint8)[
        ..., None
    ]


def test_a_photograph_is_shown_in_colour_and_saved_at_its_size(
    prior, model, monkeypatch
):
    monkeypatch.setattr(photographs, "SIDE", 96)
    colorizer = Colorizer(prior)

    def colorized(image):
        paint = colorizer(image)
        strips = in_strips(lambda columns: paint(columns).image, *image.shape[:2])
        return np.concatenate(strips, axis=1)

    session, image = Session(), picture(100, 225)
    preview = opened(model, session, image).arrays["preview"]
    answer = asked(model, session, "colorize", NONE, image=1)
    assert answer.arrays["image"].shape == (43, 96, 3)
    assert (np.ptp(answer.arrays["image"], axis=-1) > 0).any()
    np.testing.assert_array_equal(answer.arrays["image"], colorized(preview))
    name, media, content = file_of(model, session, "colorized", "png")
    assert (name, media) == ("photo_colorized.png", "image/png")
    np.testing.assert_array_equal(decode(content), colorized(image))
    assert file_of(model, session, "colorized", "png", image=1)[2] == content
    with pytest.raises(InputError, match="another photograph was colorized since"):
        file_of(model, session, "colorized", "png", image=2)


@pytest.fixture(scope="module")
def hinted(tmp_path_factory):
    """Return a run that was trained with hints, behind the page."""
    folder = tmp_path_factory.mktemp("hinted")
    kept(folder, smoke("colorize", "hints,smoke"), channels=3)
    return open_colorization(str(folder), "run")


def hints(*rows):
    return {"hints": np.array(rows, np.float32).reshape(-1, 5)}


@pytest.mark.parametrize("size", [(5, 7, 3), (300, 40, 1)])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_nothing_is_compiled_while_answering(hinted, compilations, size, count):
    session = Session()
    opened(hinted, session, np.resize(picture(*size[:2]), size))
    given = hints(*[[at, 1, 200, 10, 10] for at in range(count)])
    asked(hinted, session, "colorize", given, image=1)
    file_of(hinted, session, "colorized", "png")
    assert not compilations


def test_colours_follow_hints_in_the_preview_and_in_the_file(hinted, monkeypatch):
    """A hint of the preview lies in the middle of the pixels that its pixel shows."""
    monkeypatch.setattr(photographs, "SIDE", 96)
    calls, colorize = [], Colorizer.__call__

    def noted(self, image, hints):
        calls.append((image.shape[:2], hints.tolist()))
        return colorize(self, image, hints)

    monkeypatch.setattr(Colorizer, "__call__", noted)
    session = Session()
    opened(hinted, session, picture(192, 120))
    plain, shown, again = (
        asked(hinted, session, "colorize", given, image=1).arrays["image"]
        for given in (NONE, hints([50, 80, 250, 10, 20]), NONE)
    )
    assert (shown != plain).any()
    np.testing.assert_array_equal(again, plain)
    asked(hinted, session, "colorize", hints([50, 80, 250, 10, 20]), image=1)
    file_of(hinted, session, "colorized", "png")
    assert calls[-2:] == [
        ((96, 60), [[50, 80, 250, 10, 20]]),
        ((192, 120), [[100.5, 160.5, 250, 10, 20]]),
    ]


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        ([30, 4, 255, 0, 0], "hint 1 .* lies outside the image"),
        ([3, np.nan, 255, 0, 0], "lies outside the image"),
        ([3, 4, 256, 0, 0], "is no colour"),
    ],
)
def test_hints_that_are_none_are_one_line(hinted, hint, reason):
    session = Session()
    opened(hinted, session, picture(20, 30))
    with pytest.raises(InputError, match=reason):
        asked(hinted, session, "colorize", hints(hint), image=1)
    with pytest.raises(InputError, match="give 1000 at most"):
        asked(hinted, session, "colorize", hints(*[[1] * 5] * 1001), image=1)


def test_a_run_without_hints_refuses_them_in_one_line(model):
    session = Session()
    opened(model, session, picture(20, 30))
    assert model.entries["hints"] is False
    with pytest.raises(InputError) as caught:
        asked(model, session, "colorize", hints([3, 4, 255, 0, 0]), image=1)
    line = for_page(str(caught.value))
    assert line.endswith("takes no hints: remove the hints")


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
