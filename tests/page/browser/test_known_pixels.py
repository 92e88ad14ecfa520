"""Known pixels and wells, in a browser."""

import io
import time

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser


@pytest.fixture
def digits(tab):
    tab.show("digits").settle()
    return tab


def known(tab):
    """Return the places and values that the newest request states, as {(x, y): v}."""
    sent = tab.requests("draw")[-1].arrays
    rows, columns = np.nonzero(sent["mask"])
    values = sent["values"][rows, columns, 0]
    return dict(
        zip(
            zip(columns.tolist(), rows.tolist(), strict=True),
            values.tolist(),
            strict=True,
        )
    )


def test_a_stroke_changes_sixteen_realisations_their_mean_and_spread(digits):
    before = digits.pictures(), digits.pictures(".summary canvas")
    digits.drag((14, 6), (14, 9))
    answer = digits.settle()
    after = digits.pictures(), digits.pictures(".summary canvas")
    assert len(before[0]) == len(after[0]) == 16
    for old, new in zip(before, after, strict=True):
        assert all(one != other for one, other in zip(old, new, strict=True))
    assert known(digits) == {(14, y): 255 for y in (6, 7, 8, 9)}
    # What is seen is what the server has answered.
    seen = [
        digits.colors(canvas, (14, 6))[0, 0]
        for canvas in digits.page.locator(".pictures canvas").all()
    ]
    assert seen == answer.arrays["images"][:, 6, 14, 0].tolist()
    assert np.median(seen) > 230


def test_what_is_erased_or_undone_was_never_drawn(digits):
    blank = digits.pictures()
    digits.drag((10, 10))
    digits.settle()
    drawn = digits.pictures()
    assert drawn != blank
    digits.drag((10, 10), button="right")
    digits.settle()
    assert digits.pictures() == blank
    digits.page.get_by_role("button", name="Undo").click()
    digits.settle()
    assert digits.pictures() == drawn
    digits.page.get_by_role("button", name="Redo").click()
    digits.settle()
    assert digits.pictures() == blank
    digits.drag((3, 3), (9, 3))
    digits.page.get_by_role("radio", name="Erase").check()
    digits.drag((5, 3), (6, 3))
    digits.settle()
    assert set(known(digits)) == {(x, 3) for x in (3, 4, 7, 8, 9)}
    digits.page.get_by_role("button", name="Clear").click()
    digits.settle()
    assert digits.pictures() == blank


def seeds(tab):
    return [each.entries["seed"] for each in tab.requests("draw")]


def test_new_latents_are_drawn_when_asked_only(digits):
    digits.drag((14, 6))
    digits.settle()
    first = digits.pictures()
    digits.page.get_by_role("button", name="New", exact=True).click()
    digits.settle()
    assert all(a != b for a, b in zip(first, digits.pictures(), strict=True))
    assert known(digits) == {(14, 6): 255}
    seed = digits.page.get_by_label("Seed")
    typings = {"1e30": 2**31 - 1, "1.5": 2, "-3": 0, "": 0}
    for typed, taken in typings.items():
        seed.fill(typed)
        digits.press("Enter")
        digits.until(lambda wanted=taken: seeds(digits)[-1] == wanted)
        assert f"{taken} is taken" in digits.errors()[-1]
    digits.settle()
    assert digits.pictures() == first


def test_a_value_is_dragged_to_another_place(digits):
    digits.page.get_by_label("Value, exactly").fill("77")
    digits.press("Enter")
    digits.drag((5, 5))
    digits.page.get_by_role("radio", name="Move").check()
    digits.drag((5, 5), (12, 9), (20, 16))
    digits.settle()
    assert known(digits) == {(20, 16): 77}
    digits.page.get_by_role("button", name="Undo").click()
    digits.settle()
    assert known(digits) == {(5, 5): 77}


def test_a_stroke_that_leaves_the_board_sets_nothing_on_its_edge(digits):
    digits.drag((3, 14), (-5, 14), (-5, 20), (2, 20))
    digits.settle()
    assert set(known(digits)) == {
        *((x, 14) for x in range(4)),
        (0, 20),
        (1, 20),
        (2, 20),
    }
    digits.page.get_by_role("radio", name="Move").check()
    digits.drag((3, 14), (40, 40))
    digits.settle()
    assert (27, 27) in known(digits)


def test_a_missed_value_is_ringed_where_it_is_missed(digits):
    # No digit has white corners.
    digits.drag((0, 0))
    digits.drag((27, 27))
    answer = digits.settle()
    misses = answer.arrays["missed"].any((1, 2))
    assert misses.any()
    assert digits.ringed(".pictures canvas") == misses.tolist()
    assert digits.ringed(".board") == [True]
    count = int(answer.arrays["missed"][:, 27, 27].sum())
    assert count
    assert f"missed by {count} of 16" in digits.readout()
    first = int(np.flatnonzero(misses)[0])
    name = (
        digits.page.locator(".pictures button").nth(first).get_attribute("aria-label")
    )
    assert name.startswith(f"Realisation {first + 1}, misses ")
    assert "of known values honoured" in digits.part("honoured").inner_text()


CSV = b"x,y,value\n14,6,255\n14,20,230\n9,14,0\n"


def test_known_pixels_are_loaded_and_saved(digits):
    digits.part("load").set_input_files(
        {"name": "known.csv", "mimeType": "text/csv", "buffer": CSV}
    )
    wanted = {(14, 6): 255, (14, 20): 230, (9, 14): 0}
    digits.until(lambda: known(digits) == wanted)
    digits.settle()
    pictures = digits.pictures()
    name, saved = digits.download(digits.part("saves").get_by_text("CSV").click)
    assert name.endswith(".csv")
    assert digits.download(digits.part("saves").get_by_text("Mask").click)[0].endswith(
        ".png"
    )
    digits.page.get_by_role("button", name="Clear").click()
    digits.settle()
    assert digits.pictures() != pictures
    digits.drop(("again.csv", "text/csv", saved), pasted=True)
    digits.until(lambda: known(digits) == wanted)
    digits.settle()
    assert digits.pictures() == pictures


def png(levels):
    content = io.BytesIO()
    Image.fromarray(levels).save(content, "PNG")
    return content.getvalue()


def test_an_image_and_its_mask_are_dropped_in_either_order(digits):
    levels = np.full((28, 28), 40, np.uint8)
    mask = np.zeros((28, 28), np.uint8)
    mask[3, 4:7] = 255
    files = [
        ("a.png", "image/png", png(levels)),
        ("a_mask.png", "image/png", png(mask)),
    ]
    for order in (files, files[::-1]):
        digits.page.get_by_role("button", name="Clear").click()
        digits.drop(*order)
        digits.until(lambda: known(digits) == {(x, 3): 40 for x in (4, 5, 6)})


def test_the_saved_image_and_its_mask_are_read_in_either_order(digits):
    wanted = {(x, y): 5 * x + y for x in range(28) for y in range(9, 18)}
    rows = [f"{x},{y},{value}" for (x, y), value in wanted.items()]
    table = "\n".join(["x,y,value", *rows, ""]).encode()
    digits.drop(("drawn.csv", "text/csv", table))
    digits.until(lambda: known(digits) == wanted)
    digits.settle()
    saves = digits.part("saves")
    saved = [
        digits.download(saves.get_by_text(each).click) for each in ("Image", "Mask")
    ]
    files = [(name, "image/png", content) for name, content in saved]
    for order in (files, files[::-1]):
        digits.page.get_by_role("button", name="Clear").click()
        digits.until(lambda: known(digits) == {})
        digits.drop(*order)
        digits.until(lambda: known(digits) or digits.errors())
        assert known(digits) == wanted


def test_a_file_that_cannot_be_read_is_an_error_and_the_drawing_stays(digits):
    digits.drag((8, 8))
    digits.settle()
    digits.drop(("<b>bad</b>.csv", "text/csv", b"x,y,value\n1,1,a lot\n"))
    digits.until(digits.errors)
    [error] = digits.errors()
    assert "<b>bad</b>.csv" in error
    digits.drop(*[(f"{each}.csv", "text/csv", CSV) for each in range(3)])
    digits.until(lambda: len(digits.errors()) == 2)
    digits.page.get_by_role("button", name="Dismiss").first.click()
    assert len(digits.errors()) == 1
    assert known(digits) == {(8, 8): 255}


def test_realisations_are_saved(digits):
    digits.drag((14, 6))
    digits.settle()
    _, content = digits.download(digits.page.get_by_text("NPZ", exact=True).click)
    with np.load(io.BytesIO(content)) as arrays:
        assert any(16 in arrays[name].shape for name in arrays.files)
    _, content = digits.download(digits.page.get_by_text("PNG", exact=True).click)
    assert Image.open(io.BytesIO(content)).format == "PNG"


def test_wells_have_the_codes_of_the_facies(tab):
    tab.show("channels").settle()
    tab.page.get_by_role("radio", name="0").check()
    tab.drag((10, 10))
    tab.page.get_by_role("radio", name="1").check()
    tab.drag((40, 50))
    answer = tab.settle()
    assert known(tab) == {(10, 10): 0, (40, 50): 1}
    assert answer.arrays["images"].shape == (16, 64, 64, 1)
    tab.page.get_by_role("button", name="Mean").click()
    # The mean lies under the drawing.
    place = (33, 20)
    seen = tab.colors(tab.board, place)[0, 0]
    assert seen == answer.arrays["mean"][20, 33, 0]


def test_all_is_done_by_keys(tab):
    page = tab.page
    page.keyboard.press("Tab")
    for _ in range(30):
        focused = page.evaluate("document.activeElement.textContent")
        if focused == "digits":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    tab.until(tab.board.count)
    tab.settle()
    blank = tab.pictures()
    for _ in range(30):
        if page.evaluate("document.activeElement.classList.contains('board')"):
            break
        page.keyboard.press("Tab")
    tab.press("ArrowUp", "ArrowLeft", "ArrowLeft", "Enter", "-", "Shift+ArrowDown", " ")
    tab.settle()
    assert known(tab) == {(12, 13): 255, (12, 18): 250}
    tab.until(lambda: tab.readout().startswith("x 12, y 18: 250"))
    assert tab.pictures() != blank
    tab.press("Delete")
    tab.settle()
    assert known(tab) == {(12, 13): 255}
    tab.press("Control+z", "Control+z", "Control+z")
    tab.settle()
    assert tab.pictures() == blank
    tab.press("Control+y")
    page.get_by_role("radio", name="Draw").focus()
    tab.press("ArrowRight")  # to Move
    tab.board.focus()
    tab.press("Shift+ArrowUp", "Enter", "ArrowRight", "ArrowDown", "Enter", "ArrowDown")
    tab.settle()
    assert known(tab) == {(13, 14): 255}
    tab.press("ArrowUp", "Enter", "ArrowUp", "ArrowUp", "Escape")
    tab.settle()
    assert known(tab) == {(13, 14): 255}


def test_what_changes_nothing_cannot_be_undone(digits):
    undo = digits.part("undo")
    digits.drag((10, 10), button="right")
    assert undo.get_attribute("aria-disabled") == "true"
    digits.drag((10, 10), (12, 10))
    digits.drag((10, 10), (12, 10))
    digits.settle()
    digits.page.get_by_role("button", name="Undo").click()
    digits.until(lambda: known(digits) == {})
    assert undo.get_attribute("aria-disabled") == "true"


def test_a_value_that_is_held_is_put_down_before_anything_else_changes(digits):
    digits.drag((10, 10))
    digits.page.get_by_role("radio", name="Move").check()
    digits.board.focus()
    digits.press("Enter", "ArrowRight", "Control+z")
    digits.until(lambda: known(digits) == {(10, 10): 255})
    digits.press("ArrowRight", "Escape")
    digits.press("Control+y")
    digits.until(lambda: known(digits) == {(11, 10): 255})
    digits.press("ArrowLeft", "Enter", "ArrowDown")
    digits.until(lambda: known(digits) == {(11, 11): 255})
    digits.drop(("known.csv", "text/csv", CSV))
    digits.until(lambda: len(known(digits)) == 3)
    digits.press("ArrowDown", "Escape")
    digits.settle()
    assert len(known(digits)) == 3
    digits.press("Control+z")
    digits.until(lambda: known(digits) == {(11, 11): 255})


def test_small_wells_show_their_facies(tabs, served):
    tab = tabs(served.url, {"width": 360, "height": 740})
    tab.show("channels").settle()
    for code, well in [("0", (20, 30)), ("1", (40, 30))]:
        tab.page.get_by_role("radio", name=code).check()
        tab.drag(well)
    tab.settle()
    corners = [(-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)]
    for level, (x, y) in [(0, (20, 30)), (255, (40, 30))]:
        seen = tab.colors(
            tab.board, *[(x + right, y + down) for right, down in corners]
        )
        assert abs(seen.astype(int) - level).max() < 60


def test_a_finger_draws(tabs, served):
    tab = tabs(served.url, {"width": 360, "height": 740}, has_touch=True)
    tab.show("digits").settle()
    tab.page.touchscreen.tap(*tab.at(7, 9))
    tab.settle()
    assert known(tab) == {(7, 9): 255}


STROKES = """board => new Promise((resolve) => {
  const start = performance.now();
  let strokes = 0;
  board.focus();
  const press = (key) => board.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const timer = setInterval(() => {
    const due = Math.min(200, Math.floor((performance.now() - start) / 20));
    for (; strokes < due; strokes += 1) {
      press(strokes % 20 === 19 ? "ArrowDown"
        : Math.floor(strokes / 20) % 2 ? "ArrowRight" : "ArrowLeft");
      press("Enter");
    }
    if (strokes === 200) {
      clearInterval(timer);
      resolve((performance.now() - start) / 1000);
    }
  }, 5);
})"""


def test_nothing_queues_up_under_two_hundred_strokes_in_four_seconds(digits):
    digits.press("Tab")
    digits.board.focus()
    digits.press(*["ArrowRight"] * 10, *["ArrowUp"] * 5)
    seconds = digits.board.evaluate(STROKES)
    ended = time.monotonic()
    digits.until(lambda: len(known(digits)) == 200)
    digits.settle()
    assert time.monotonic() - ended < 2
    assert seconds < 6
    sent = [each.request for each in digits.requests("draw")]
    assert len(sent) < 200
    assert [each.request for each in digits.answers("realisations")] == sent


def test_one_request_is_on_its_way_at_most(digits):
    # In the order in which the browser has sent and received them.
    digits.drag((3, 3), *[(3 + step, 3 + step % 2) for step in range(1, 20)])
    digits.settle()
    flow = [each.type for each in digits.flow if each.type in ("draw", "realisations")]
    assert flow == ["draw", "realisations"] * (len(flow) // 2)
