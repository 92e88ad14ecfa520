"""Completion of a photograph, in a browser."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.page.browser.photographs import digit, png

pytestmark = pytest.mark.browser


@pytest.fixture
def painter(tab):
    """Return a tab with a photograph, of which nothing is missing."""
    tab.show("digits_latent")
    tab.drop(("three.png", "image/png", png(digit(3))))
    tab.part("stage").wait_for()
    return tab


def missing(tab):
    return tab.requests("complete")[-1].arrays["missing"]


def completions(tab):
    """Wait for completions of the newest hole, and return them."""
    number = tab.until(lambda: tab.requests("complete"))[-1].request
    return tab.until(
        lambda: [each for each in tab.answers("completions") if each.request == number]
    )


def finish(tab):
    tab.until(lambda: tab.part("shown").inner_text() in ("Done", "Stopped"))
    return tab.answers("completions")[-1]


def test_a_painted_hole_is_completed_while_one_watches(painter):
    assert painter.answers("completions") == []
    painter.drag((10, 12), (18, 12))
    first = completions(painter)[0]
    painter.until(lambda: len(completions(painter)) > 2)
    latest = completions(painter)[-1]
    assert latest.entries["iteration"] > first.entries["iteration"]
    assert latest.entries["losses"][0][0] <= first.entries["losses"][0][0]
    assert latest.entries["losses"][0] == sorted(latest.entries["losses"][0])
    assert missing(painter)[12, 10:19].all()
    assert 0 < missing(painter).mean() < 0.5
    painter.page.get_by_role("button", name="Stop").click()
    answer = finish(painter)
    assert len(painter.pictures(".ranked canvas")) == 16
    best = painter.colors(painter.part("best"), (14, 12), (1, 1))[:, 0].tolist()
    shown = answer.arrays["best"]
    assert best == [shown[12, 14, 0], shown[1, 1, 0]]
    kept = missing(painter) == 0
    assert answer.entries["blended"]
    assert (shown[kept, 0] == digit(3)[kept]).all()


def test_one_of_the_sixteen_is_chosen_blended_or_plain(painter):
    painter.drag((10, 12), (18, 12))
    completions(painter)
    painter.page.get_by_role("button", name="Stop").click()
    finish(painter)
    first = painter.pictures(".large")
    painter.page.get_by_role("button", name="Completion 6").click()
    painter.until(lambda: painter.answers("completions")[-1].entries["rank"] == 5)
    painter.until(lambda: painter.pictures(".large") != first)
    blended = painter.pictures(".large")
    pressed = painter.page.locator(".ranked [aria-pressed=true]")
    assert pressed.get_attribute("aria-label").startswith("Completion 6,")
    painter.page.get_by_role("radio", name="Plain").check()
    painter.until(lambda: not painter.answers("completions")[-1].entries["blended"])
    answer = painter.answers("completions")[-1]
    assert answer.entries["rank"] == 5
    painter.until(lambda: painter.pictures(".large") != blended)
    kept = missing(painter) == 0
    assert (answer.arrays["best"][kept, 0] == digit(3)[kept]).all()


def test_new_starts_find_other_completions(painter):
    painter.drag((10, 12), (18, 12))
    completions(painter)
    painter.page.get_by_role("button", name="Stop").click()
    finish(painter)
    seed = painter.requests("complete")[-1].entries["seed"]
    old = painter.pictures(".ranked canvas")
    painter.page.get_by_role("button", name="New starts").click()
    painter.until(lambda: painter.requests("complete")[-1].entries["seed"] != seed)
    completions(painter)
    painter.until(lambda: painter.pictures(".ranked canvas") != old)


def test_the_hole_is_painted_by_keys(painter):
    painter.page.get_by_role("radio", name="Rectangle").check()
    painter.board.focus()
    painter.press("Enter", "ArrowRight", "ArrowRight", "ArrowDown", "Enter")
    completions(painter)
    assert np.argwhere(missing(painter)).tolist() == [
        [y, x] for y in (14, 15) for x in (14, 15, 16)
    ]
    painter.page.get_by_role("radio", name="Brush").check()
    painter.board.focus()
    painter.press("-", "-", "-", "-", "ArrowUp", "Delete")
    painter.until(lambda: missing(painter).sum() == 5)
    painter.press("Control+z")
    painter.until(lambda: missing(painter).sum() == 6)
    painter.press("Control+y")
    painter.until(lambda: missing(painter).sum() == 5)
    painter.press("Shift+ArrowUp", " ")
    painter.until(lambda: missing(painter)[9, 16] == 1)


def test_transparent_parts_and_masks_are_the_hole(tab):
    tab.show("digits_latent")
    alpha = np.full((28, 28), 255, np.uint8)
    alpha[10:14, 12:20] = 0
    tab.drop(("hole.png", "image/png", png(np.dstack([digit(5), alpha]))))
    completions(tab)
    assert (missing(tab) == (alpha == 0)).all()
    mask = np.full((28, 28), 255, np.uint8)
    mask[5:9, 5:9] = 0
    tab.drop(
        ("five_mask.png", "image/png", png(mask)),
        ("five.png", "image/png", png(digit(5))),
    )
    tab.until(lambda: (missing(tab) == (mask == 0)).all())
    tab.page.get_by_role("button", name="Stop").click()
    finish(tab)
    saves = tab.page.get_by_label("Save completions")
    _, saved = tab.download(saves.get_by_text("Mask").click)
    assert (np.asarray(Image.open(io.BytesIO(saved)).convert("L")) == mask).all()
    _, saved = tab.download(saves.get_by_text("Completion").click)
    assert Image.open(io.BytesIO(saved)).size == (28, 28)
    _, saved = tab.download(saves.get_by_text("All sixteen").click)
    assert np.load(io.BytesIO(saved)).files


def test_a_hole_that_is_refused_has_no_completions(painter):
    painter.drag((10, 12), (18, 12))
    completions(painter)
    painter.part("results").wait_for()
    painter.page.get_by_role("radio", name="Rectangle").check()
    painter.drag((0, 0), (27, 27))
    painter.until(painter.errors)
    painter.part("results").wait_for(state="hidden")
    assert not painter.part("windows").is_visible()
    painter.page.get_by_role("button", name="Undo").click()
    painter.part("results").wait_for()


def test_what_changes_nothing_cannot_be_undone_and_what_is_held_is_ended(painter):
    undo = painter.part("undo")
    painter.page.get_by_role("radio", name="Eraser").check()
    painter.drag((10, 12), (18, 12))
    assert undo.get_attribute("aria-disabled") == "true"
    painter.page.get_by_role("radio", name="Rectangle").check()
    painter.board.focus()
    painter.press("Enter", "ArrowRight", "Control+z")
    painter.until(
        lambda: painter.part("redo").get_attribute("aria-disabled") == "false"
    )
    assert undo.get_attribute("aria-disabled") == "true"
    painter.press("Control+y", "Enter", "ArrowDown", "Escape")
    painter.until(lambda: missing(painter).sum() == 2)
    painter.press("Enter", "ArrowDown")
    painter.drop(("five.png", "image/png", png(digit(5, 40))))
    painter.until(lambda: painter.size == (40, 40))
    painter.press("ArrowDown", "Enter", "ArrowDown", "Enter")
    painter.until(lambda: missing(painter).shape == (40, 40))
    assert missing(painter).sum() == 2


def test_without_a_hole_there_is_nothing_to_see(painter):
    painter.drag((10, 12))
    completions(painter)
    painter.part("results").wait_for()
    painter.page.get_by_role("button", name="Clear").click()
    painter.part("results").wait_for(state="hidden")
    painter.page.get_by_role("button", name="Undo").click()
    painter.part("results").wait_for()
