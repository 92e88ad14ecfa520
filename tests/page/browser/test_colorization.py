"""A grey photograph in colour, in a browser."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.page.browser.photographs import grey_photograph, png

pytestmark = pytest.mark.browser


@pytest.fixture
def painter(tab):
    tab.show("colors")
    tab.drop(("old.png", "image/png", png(grey_photograph())))
    tab.until(lambda: tab.answers("colorized"))
    return tab


def hints(tab):
    return tab.requests("colorize")[-1].arrays["hints"].tolist()


def places(tab):
    return [each[:2] for each in hints(tab)]


def shown(tab):
    """Return the newest picture in colour."""
    return tab.settle("colorize").arrays["image"]


def test_the_photograph_is_coloured_right_of_the_divider(painter):
    image = shown(painter)
    grey = grey_photograph()
    assert image.shape == (96, 128, 3)
    left, right = (20, 50), (100, 50)
    colors = painter.colors(painter.board, left, right)
    assert colors[0].tolist() == [grey[50, 20]] * 3
    assert colors[1].tolist() == image[50, 100].tolist()
    painter.part("divider").focus()
    painter.press("Home")
    painter.until(
        lambda: (
            painter.colors(painter.board, left)[0].tolist() == image[50, 20].tolist()
        )
    )


def test_colours_follow_hints(painter):
    without = shown(painter)
    painter.part("color").evaluate(
        "input => { input.value = '#ff0000'; input.dispatchEvent(new Event('input')); }"
    )
    painter.drag((90, 40))
    painter.until(lambda: hints(painter) == [[90, 40, 255, 0, 0]])
    red = shown(painter)
    assert (red != without).any()
    row = painter.page.locator(".hints li")
    assert row.count() == 1
    row.locator("input").evaluate(
        "input => { input.value = '#0000ff'; input.dispatchEvent(new Event('input')); }"
    )
    painter.until(lambda: hints(painter) == [[90, 40, 0, 0, 255]])
    assert (shown(painter) != red).any()
    painter.drag((90, 40), (100, 60))
    painter.until(lambda: hints(painter) == [[100, 60, 0, 0, 255]])
    row.get_by_role("button").click()
    painter.until(lambda: hints(painter) == [])
    assert (shown(painter) == without).all()
    painter.page.get_by_role("button", name="Undo").click()
    painter.until(lambda: hints(painter) == [[100, 60, 0, 0, 255]])


def test_hints_are_placed_by_keys(painter):
    painter.board.focus()
    painter.press("Shift+ArrowLeft", "Shift+ArrowLeft", "Enter")
    painter.until(lambda: places(painter) == [[54, 48]])
    painter.press("Enter", "Shift+ArrowUp", "ArrowLeft", "Enter")
    painter.until(lambda: places(painter) == [[53, 43]])
    painter.press("Delete")
    painter.until(lambda: hints(painter) == [])


def test_a_hint_that_is_held_is_put_down_before_anything_else_changes(painter):
    painter.board.focus()
    painter.press("Enter", "Enter", "Shift+ArrowDown", "Control+z")
    painter.until(lambda: places(painter) == [[64, 48]])
    painter.press("Shift+ArrowDown", "Escape")
    painter.press("Control+y")
    painter.until(lambda: places(painter) == [[64, 53]])
    painter.press("Control+z", "Control+z")
    painter.until(lambda: places(painter) == [])
    assert painter.part("undo").get_attribute("aria-disabled") == "true"
    painter.press("Control+y", "Shift+ArrowUp", "Enter", "ArrowUp")
    painter.page.get_by_role("button", name="Clear").click()
    painter.board.focus()
    painter.press("ArrowUp", "Escape")
    painter.until(lambda: places(painter) == [])


def test_of_several_photographs_one_is_opened_and_it_is_said(tab):
    tab.show("colors")
    grey = png(grey_photograph())
    tab.drop(("one.png", "image/png", grey), ("two.png", "image/png", grey))
    tab.until(lambda: tab.answers("colorized"))
    assert "one.png" in tab.errors()[0]


def test_the_picture_is_saved(painter):
    painter.settle("colorize")
    _, content = painter.download(painter.page.get_by_text("Save in colour").click)
    saved = np.asarray(Image.open(io.BytesIO(content)))
    assert saved.shape == (96, 128, 3)
