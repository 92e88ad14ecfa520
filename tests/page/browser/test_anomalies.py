"""Images and their anomaly scores, in a browser."""

import numpy as np
import pytest

from tests.page.browser.photographs import digit, png
from tests.page.browser.served import DETECTOR

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>.png"


def test_images_are_sorted_by_score_and_names_are_text(tab):
    tab.show(DETECTOR)
    noise = np.random.default_rng(0).integers(0, 256, (28, 28))
    images = {
        "three.png": digit(3),
        HOSTILE: digit(8),
        "noise.png": noise,
    }
    files = [(name, "image/png", png(each)) for name, each in images.items()]
    tab.drop(*files, ("broken.png", "image/png", b"nothing"))
    rows = tab.page.locator(".score")
    tab.until(lambda: rows.count() == 3 and tab.errors())
    assert "broken.png" in tab.errors()[0]
    answers = tab.answers("scored")
    order = np.argsort([-each.entries["score"] for each in answers], kind="stable")
    names = rows.locator("h3").all_inner_texts()
    assert names == [[*images][place] for place in order]
    verdicts = rows.locator(".verdict").all_inner_texts()
    assert verdicts == [
        "Anomalous" if answers[place].entries["anomalous"] else "Normal"
        for place in order
    ]
    assert tab.page.locator("main img").count() == 0
    shown = len({*tab.pictures(".score canvas")})
    assert shown > 3
    name, content = tab.download(rows.first.get_by_text("Save map").click)
    assert name.endswith(".png")
    assert content.startswith(b"\x89PNG")
    rows.first.get_by_text("Remove").click()
    assert rows.locator("h3").all_inner_texts() == names[1:]
    tab.page.get_by_role("button", name="Clear").click()
    assert rows.count() == 0


SAVE_ALL = "all => all.forEach((button) => button.click())"


def test_maps_that_are_saved_at_once_are_those_of_their_images(tab):
    tab.show(DETECTOR)
    tab.drop(*[(f"{each}.png", "image/png", png(digit(each))) for each in range(3)])
    rows = tab.page.locator(".score")
    tab.until(lambda: rows.count() == 3)
    stored = []
    tab.page.on("download", lambda download: stored.append(download))
    buttons = rows.get_by_role("button", name="Save the map")
    buttons.evaluate_all(SAVE_ALL)
    tab.until(lambda: len(stored) == 3)
    assert len({each.suggested_filename for each in stored}) == 3
    assert len({each.path().read_bytes() for each in stored}) == 3
    names = [name.removesuffix(".png") for name in rows.locator("h3").all_inner_texts()]
    for each, name in zip(stored, names, strict=True):
        assert name in each.suggested_filename


def test_images_that_are_cleared_while_they_are_scored_stay_away(tab):
    tab.show(DETECTOR)
    tab.drop(*[(f"{each}.png", "image/png", png(digit(each))) for each in range(8)])
    rows = tab.page.locator(".score")
    tab.until(rows.count)
    tab.page.get_by_role("button", name="Clear").click()
    assert rows.count() == 0
    tab.drop(("last.png", "image/png", png(digit(9))))
    tab.until(rows.count)
    tab.page.wait_for_timeout(100)
    assert rows.locator("h3").all_inner_texts() == ["last.png"]
    assert len(tab.requests("score")) < 9
