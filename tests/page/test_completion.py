"""Completions behind the page: those of `inpaint`, as they improve."""

import io

import numpy as np
import pytest

from gan_jax.apps.inpaint.composites import restored
from gan_jax.apps.inpaint.masked_images import MaskedImage
from gan_jax.apps.inpaint.observations import observe_masked
from gan_jax.apps.inpaint.placement import Placement
from gan_jax.apps.serve.model import Session
from gan_jax.apps.serve.models import completion
from gan_jax.apps.serve.models.completion import RESTARTS, Completer
from gan_jax.config.errors import InputError
from gan_jax.config.limits import Size
from gan_jax.data.decode import decode
from gan_jax.data.mask_files import read_mask
from gan_jax.search.latent import run
from tests.page.asking import ask, asked, file_of, opened
from tests.runs import kept, smoke


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    """Return a prior whose networks are small."""
    narrow = dict.fromkeys(("network.width", "network.critic_width"), 4)
    config = smoke("gan", **narrow, **{"latent.size": 8})
    return kept(tmp_path_factory.mktemp("prior"), config)


@pytest.fixture(scope="module")
def completer(prior):
    made = Completer("run", prior)
    made.compile()
    return made


@pytest.fixture(scope="module")
def model(completer):
    return completer.model()


def picture(*shape):
    rows, columns = np.indices(shape)
    return (127 + 120 * np.sin(rows / 5) * np.cos(columns / 7)).astype(np.uint8)[
        ..., None
    ]


def holes(shape, *boxes):
    missing = np.zeros(shape, np.uint8)
    for top, left, bottom, right in boxes:
        missing[top:bottom, left:right] = 1
    return {"missing": missing}


MIDDLE = (10, 8, 18, 20)


def completions(model, session, missing, image=1, seed=5):
    return ask(model, session, "complete", missing, image=image, seed=seed)


@pytest.fixture(scope="module")
def finished(model):
    """Return a page whose digit was completed, and the answers."""
    session = Session()
    opened(model, session, picture(28, 28))
    answers = [*completions(model, session, holes((28, 28), MIDDLE))]
    return session, answers


def test_completions_improve_until_they_are_done(finished):
    _, answers = finished
    steps = [answer.entries["iteration"] for answer in answers]
    assert steps == sorted(set(steps))
    assert len(steps) > 1
    assert [answer.entries["done"] for answer in answers] == [
        *[False] * (len(answers) - 1),
        True,
    ]
    best = [answer.entries["losses"][0][0] for answer in answers]
    assert best == sorted(best, reverse=True)
    for answer in answers:
        (losses,) = answer.entries["losses"]
        assert losses == sorted(losses)
        assert len(losses) == RESTARTS
        assert answer.entries["windows"] == [[0, 0, 28, 28]]
        assert answer.arrays["images"].shape == (1, RESTARTS, 28, 28, 1)
        assert answer.arrays["spread"].shape == (1, 28, 28)
    assert best[-1] < best[0]


def test_the_result_is_that_of_the_search_of_inpaint(prior, completer, finished):
    session, answers = finished
    known = holes((28, 28), MIDDLE)["missing"] == 0
    masked = MaskedImage("photo", "photo", picture(28, 28), known)
    placement = Placement("auto", Size(28, 28), 0, frozenset())
    placed = placement.lay(masked)
    observed, _ = observe_masked(prior, "", placed)
    search = completer.search
    found = run(
        search.compiled_search, *search.inputs(observed, seed=5), slots=RESTARTS
    )
    order = found.restarts.loss[0].argsort(kind="stable")
    result = session.results["run"]
    np.testing.assert_array_equal(result.losses[0], found.restarts.loss[0][order])
    np.testing.assert_array_equal(result.latents[0], found.restarts.latent[0][order])
    generated = result.generated[0, 0]
    last = answers[-1].arrays["best"]
    wanted = restored(placed, [np.uint8(np.rint((generated + 1) * 127.5))], blend=True)
    assert np.abs(last.astype(int) - wanted).max() <= 1
    np.testing.assert_array_equal(last[known], picture(28, 28)[known])


def test_starts_follow_the_seed(model):
    session = Session()
    opened(model, session, picture(28, 28))
    missing = holes((28, 28), MIDDLE)
    first, second, again = (
        next(completions(model, session, missing, seed=seed)).arrays["images"]
        for seed in (1, 2, 1)
    )
    assert (first != second).any()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("size", [(28, 28), (61, 45), (900, 800)])
def test_nothing_is_compiled_while_answering(model, compilations, size):
    session = Session()
    answer = opened(model, session, picture(*size))
    shape = answer.arrays["preview"].shape[:2]
    answers = completions(
        model, session, holes(shape, (5, 3, 16, 12), (20, 14, 28, 21))
    )
    next(answers)
    asked(model, session, "choose", rank=3, blended=False)
    session.stopped = True
    assert [answer.entries["done"] for answer in answers] == [True]
    for what, form in (("completion", "png"), ("completions", "npz"), ("mask", "png")):
        file_of(model, session, what, form)
    assert not compilations


def test_known_pixels_stay_and_spread_lies_in_holes(finished):
    _, answers = finished
    last = answers[-1].arrays
    known = holes((28, 28), MIDDLE)["missing"] == 0
    assert not last["spread"][0][known].any()
    assert last["spread"].max() == 255
    assert answers[-1].entries["spread_largest"] > 0
    for image in last["images"][0]:
        np.testing.assert_array_equal(image[known], picture(28, 28)[known])


def test_another_completion_is_chosen_at_any_time(model):
    session = Session()
    opened(model, session, picture(28, 28))
    answers = completions(model, session, holes((28, 28), MIDDLE))
    first = next(answers)
    assert (first.entries["rank"], first.entries["blended"]) == (0, True)
    plain = asked(model, session, "choose", rank=2, blended=False)
    assert (plain.entries["rank"], plain.entries["blended"]) == (2, False)
    np.testing.assert_array_equal(plain.arrays["best"], plain.arrays["images"][0, 2])
    assert (plain.arrays["images"] != first.arrays["images"]).any()
    rest = [*answers]
    assert {(each.entries["rank"], each.entries["blended"]) for each in rest} == {
        (2, False)
    }
    after = asked(model, session, "choose", rank=15, blended=True)
    assert after.entries["done"]
    np.testing.assert_array_equal(after.arrays["best"], after.arrays["images"][0, 15])


def test_a_search_is_stopped_at_any_time(model):
    session = Session()
    opened(model, session, picture(28, 28))
    answers = completions(model, session, holes((28, 28), MIDDLE))
    first = next(answers)
    session.stopped = True
    (last,) = answers
    assert last.entries["done"]
    assert last.entries["iteration"] < last.entries["iterations"]
    assert last.entries["iteration"] > first.entries["iteration"]
    again = asked(model, session, "stop")
    assert again.entries == last.entries


def test_several_holes_are_completed_at_once(model):
    session = Session()
    image = picture(60, 200)
    opened(model, session, image)
    boxes = [(5, 5, 15, 15), (40, 150, 50, 165), (30, 80, 41, 90)]
    missing = holes((60, 200), *boxes)
    last = next(completions(model, session, missing))
    assert len(last.entries["windows"]) == 3
    assert len(last.entries["losses"]) == 3
    assert last.arrays["images"].shape == (3, RESTARTS, 28, 28, 1)
    for window in last.entries["windows"]:
        top, left, height, width = window
        inside = missing["missing"][top : top + height, left : left + width]
        assert inside.any()
    known = missing["missing"] == 0
    np.testing.assert_array_equal(last.arrays["best"][known], image[known])
    assert (last.arrays["best"][~known] != image[~known]).any()


def test_a_large_photograph_is_saved_at_its_own_size(model):
    session = Session()
    image = picture(1000, 1600)
    preview = opened(model, session, image).arrays["preview"]
    missing = holes(preview.shape[:2], (100, 200, 150, 260))
    answers = completions(model, session, missing)
    shown = next(answers).arrays["best"]
    known = missing["missing"] == 0
    np.testing.assert_array_equal(shown[known], preview[known])
    answers.close()
    name, media, content = file_of(model, session, "completion", "png")
    assert (name, media) == ("photo_completed.png", "image/png")
    whole = decode(content)
    _, _, mask = file_of(model, session, "mask", "png")
    known = read_mask(mask, image=whole)
    np.testing.assert_array_equal(whole[known], image[known])
    assert known.size - known.sum() == round(50 * 60 * (1600 / 768) ** 2, -2)


def test_files_hold_all_completions_and_the_mask(model, finished):
    session, answers = finished
    name, media, content = file_of(model, session, "completions", "npz")
    assert (name, media) == ("photo_completions.npz", "application/zip")
    with np.load(io.BytesIO(content), allow_pickle=False) as kept_arrays:
        found = dict(kept_arrays)
    np.testing.assert_array_equal(found["blended"], answers[-1].arrays["images"])
    np.testing.assert_allclose(found["losses"], answers[-1].entries["losses"])
    np.testing.assert_array_equal(found["windows"], [[0, 0, 28, 28]])
    name, media, content = file_of(model, session, "mask", "png")
    assert (name, media) == ("photo_mask.png", "image/png")
    known = read_mask(content, image=picture(28, 28))  # as inpaint reads it
    np.testing.assert_array_equal(~known, holes((28, 28), MIDDLE)["missing"])
    with pytest.raises(InputError, match="save a completion as"):
        file_of(model, session, "completion", "npz")
    assert file_of(model, session, "mask", "png", image=1)[2] == content
    with pytest.raises(InputError, match="another photograph was completed since"):
        file_of(model, session, "mask", "png", image=2)


SCATTERED = [(5, at, 8, at + 3) for at in range(5, 1500, 80)]


@pytest.mark.parametrize(
    ("size", "boxes", "reason"),
    [
        ((28, 28), [], "nothing is missing"),
        ((28, 28), [(0, 0, 28, 28)], "nothing is known"),
        ((28, 60), [(0, 0, 28, 60)], "nothing is known"),
        ((28, 60), [(3, 5, 20, 50)], "a hole extends over 17x45"),
        ((40, 768), SCATTERED, "its holes lie under 10 windows, and at most 8"),
    ],
)
def test_what_cannot_be_completed_is_one_line(model, size, boxes, reason):
    session = Session()
    opened(model, session, picture(*size))
    with pytest.raises(InputError, match=reason) as caught:
        next(completions(model, session, holes(size, *boxes)))
    assert "\n" not in str(caught.value)
    assert "--config" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "arrays", "entries", "reason"),
    [
        ("complete", holes((28, 28), MIDDLE), {"image": 2, "seed": 0}, "open it again"),
        ("complete", holes((28, 28), MIDDLE), {"image": 1}, "needs seed"),
        ("complete", holes((28, 27), MIDDLE), {"image": 1, "seed": 0}, r"\[28, 28\]"),
        ("complete", {}, {"image": 1, "seed": 0}, "the array missing"),
        ("choose", {}, {"rank": 16, "blended": True}, "from 0 to 15"),
        ("choose", {}, {"rank": True, "blended": True}, "needs rank"),
        ("choose", {}, {"rank": 1, "blended": 1}, "true or false"),
        ("choose", {}, {"rank": 1, "blended": True}, "paint a hole first"),
        ("stop", {}, {}, "paint a hole first"),
        ("save", {}, {"what": "mask", "form": "png"}, "paint a hole first"),
    ],
)
def test_bad_requests_are_one_line(model, kind, arrays, entries, reason):
    session = Session()
    opened(model, session, picture(28, 28))
    with pytest.raises(InputError, match=reason):
        next(ask(model, session, kind, arrays, **entries))


def test_losses_that_are_not_finite_have_no_number(model, completer, finished):
    session, _ = finished
    result = session.results["run"]
    losses = result.losses.copy()
    losses[0, -1] = np.inf
    other = Session(results={"run": result._replace(losses=losses)})
    answer = asked(model, other, "choose", rank=0, blended=True)
    assert answer.entries["losses"][0][-1] is None


def test_the_run_is_described(model):
    assert model.kind == "completion"
    assert model.entries["size"] == [28, 28]
    assert model.entries["channels"] == 1
    assert model.entries["iterations"] == 100
    assert decode(model.plate).shape[0] > 4 * 28


def test_other_runs_are_refused(tmp_path):
    kept(tmp_path / "known", smoke("pixelcgan"))
    with pytest.raises(InputError, match="generates under conditions"):
        completion.open_completion(str(tmp_path / "known"), "known")
    with pytest.raises(InputError, match="neither a run's workdir nor a packaged"):
        completion.open_completion("nothing", "nothing")
