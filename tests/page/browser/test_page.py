"""The page as a whole, in a browser."""

import base64

import numpy as np
import pytest

from gan_jax.apps.serve.messages import decode, encode
from tests.page.browser.photographs import digit, grey_photograph, png
from tests.page.browser.served import DETECTOR
from tests.page.serving import serving

pytestmark = pytest.mark.browser

PHONE, DESKTOP, LARGE = (360, 740), (1440, 900), (3840, 2160)
UNNAMED = """() => {
  const name = (element) => element.ariaLabel || element.title || element.alt
    || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join("")
    || element.textContent.trim();
  const all = document.querySelectorAll("a, button, input, canvas, img, progress");
  const shown = [...all].filter((each) => !each.parentElement.closest("button")
    && !each.closest("[hidden], [aria-hidden=true]"));
  return shown.filter((each) => !name(each)).map((each) => each.outerHTML);
}"""
SHOW = """(image, content) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
}"""
CONTRAST = """() => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const hex = style.getPropertyValue(`--${name}`).trim().slice(1);
    const digits = hex.length < 6 ? [...hex].map((each) => each + each).join("") : hex;
    const [red, green, blue] = [0, 2, 4].map((from) => {
      const share = parseInt(digits.slice(from, from + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  return (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
}"""


def test_the_first_view_lists_the_runs_with_figures_and_plates(tab):
    cards = tab.page.locator(".card")
    runs = tab.answers("runs")[0].entries["runs"]
    names = cards.locator("h2").all_inner_texts()
    assert names == [run["name"] for run in runs]
    assert {run["kind"] for run in runs} == {
        "generation",
        "completion",
        "colorization",
        "anomalies",
    }
    tab.until(
        lambda: cards.locator("img").evaluate_all(
            "all => all.every((image) => image.naturalWidth > 0)"
        )
    )
    # A tall plate takes no more room than another.
    tall = base64.b64encode(png(np.zeros((90, 9)))).decode()
    cards.first.locator("img").evaluate(SHOW, tall)
    tab.until(lambda: cards.first.locator("img").evaluate("i => i.naturalWidth") == 9)
    box = cards.first.locator(".plate").bounding_box()
    assert box["height"] == pytest.approx(box["width"], abs=1)
    assert (
        "28 \N{MULTIPLICATION SIGN} 28" in cards.nth(names.index("digits")).inner_text()
    )
    cards.nth(names.index("digits")).click()
    tab.settle()
    assert tab.page.title().startswith("digits")
    tab.page.go_back()
    tab.until(lambda: cards.count() == len(runs))


def test_tabs_have_a_drawing_each(tabs, served):
    one, other = tabs(served.url), tabs(served.url)
    for tab in (one, other):
        tab.show("digits").settle()
    blank = other.pictures()
    one.drag((14, 6), (14, 12))
    one.settle()
    other.page.wait_for_timeout(100)
    assert one.pictures() != blank
    assert other.pictures() == blank
    other.drag((14, 6), (14, 12))
    other.settle()
    assert other.pictures() == one.pictures()


def test_a_drawing_stays_while_another_run_is_in_view(tab):
    tab.show("digits").settle()
    tab.drag((14, 6))
    tab.settle()
    drawn = tab.pictures()
    tab.show("channels").settle()
    tab.show("digits")
    assert tab.pictures() == drawn


def test_a_photograph_is_opened_again_where_the_server_forgot_it(tab):
    tab.show("digits_latent")
    tab.drop(("three.png", "image/png", png(digit(3))))
    tab.part("stage").wait_for()
    tab.show(DETECTOR)
    # A page keeps eight photographs.
    files = [(f"{each}.png", "image/png", png(digit(each))) for each in range(9)]
    tab.drop(*files)
    tab.until(lambda: tab.page.locator(".score").count() == 9)
    tab.show("digits_latent")
    tab.drag((10, 12), (18, 12))
    tab.until(lambda: tab.answers("completions"))
    assert tab.errors() == []


def test_the_page_goes_on_after_the_server_was_killed(tab, served):
    tab.show("digits_latent")
    tab.drop(("three.png", "image/png", png(digit(3))))
    tab.part("stage").wait_for()
    tab.drag((10, 12), (18, 12))
    tab.until(lambda: tab.answers("completions"))
    hole = tab.requests("complete")[-1].arrays["missing"]
    tab.show("digits").settle()
    tab.drag((14, 6), (14, 12))
    tab.settle()
    drawn = tab.pictures()
    served.kill()
    tab.page.wait_for_selector("[data-state=connecting]")
    tab.drag((3, 3))
    tab.drop(("known.csv", "text/csv", b"x,y,value\n1,1,255\n"))
    tab.until(lambda: "could not be reached" in "".join(tab.errors()))
    served.start()
    tab.page.wait_for_selector("[data-state=connected]")
    tab.settle()
    assert tab.errors() == []
    assert tab.requests("draw")[-1].arrays["mask"].sum() == 8
    tab.page.get_by_role("button", name="Undo").click()
    tab.settle()
    assert tab.pictures() == drawn
    # Its photograph is opened again when it comes into view.
    before = len(tab.answers("completions"))
    tab.show("digits_latent")
    tab.until(lambda: len(tab.answers("completions")) > before)
    assert (tab.requests("complete")[-1].arrays["missing"] == hole).all()
    assert tab.problems
    tab.problems[:] = unexplained(tab.problems)


def unexplained(problems):
    """Return problems that a server which is away or refuses does not explain."""
    known = ("WebSocket connection to", "Failed to load resource")
    return [line for line in problems if not any(each in line for each in known)]


def test_what_was_drawn_stays_where_another_run_has_gone(tab):
    gone, sockets = [], []

    def through(socket):
        server = socket.connect_to_server()
        sockets.append((socket, server))

        def ask(frame):
            tab.sent.append(decode(frame))
            server.send(frame)

        def answer(frame):
            message = decode(frame)
            tab.received.append(message)
            listed = message.entries.get("runs", [])
            left = [run for run in listed if run["name"] not in gone]
            if left != listed:
                entries = {**message.entries, "runs": left}
                frame = encode(message._replace(entries=entries))
            socket.send(frame)

        socket.on_message(ask)
        server.on_message(answer)

    tab.page.route_web_socket("**/socket", through)
    tab.page.reload()
    tab.page.wait_for_selector("[data-state=connected]")
    tab.show("digits").settle()
    tab.drag((14, 6))
    tab.settle()
    tab.show("digits_latent")
    tab.drop(("three.png", "image/png", png(digit(3))))
    tab.part("stage").wait_for()
    tab.drag((10, 12), (18, 12))
    tab.until(lambda: tab.answers("completions"))
    gone.append("digits_latent")
    for each in reversed(sockets[0]):
        each.close(code=1001)
    tab.page.wait_for_selector(".card")
    assert tab.page.locator("nav a", has_text="digits_latent").count() == 0
    tab.show("digits")
    tab.until(lambda: tab.settle().type == "realisations")
    assert tab.requests("draw")[-1].arrays["mask"].sum() == 1
    # A search that was lost with the connection is not stopped.
    assert tab.requests("stop") == []
    assert tab.errors() == []


def test_a_page_whose_token_has_changed_says_what_to_do(tabs):
    with serving({}, token=True, idle=1.0) as (address, _):
        tab = tabs(address.url)
        page = tab.page
        assert "token" not in page.url
        page.reload()
        page.wait_for_selector("[data-state=idle]")
        page.context.clear_cookies()
        page.get_by_role("button", name="Connect").click()
        page.wait_for_selector("[data-state=refused]")
        assert "open the URL that was printed" in tab.errors()[0]
        page.context.request.get(address.url)
        page.get_by_role("button", name="Connect").click()
        page.wait_for_selector("[data-state=connected]")
        assert tab.errors() == []
        assert unexplained(tab.problems) == []
        tab.problems.clear()


def test_a_page_too_many_says_so_and_connects_when_asked(tabs, served):
    most = 8
    opened = [tabs(served.url) for _ in range(most)]
    late = tabs(served.url, state="refused")
    assert f"{most} pages are open" in late.page.locator("main").inner_text()
    opened[0].page.close()
    late.page.get_by_role("button", name="Connect").click()
    late.page.wait_for_selector("[data-state=connected]")
    late.page.wait_for_selector(".card")


def test_an_idle_page_goes_on_when_its_user_comes_back(tab):
    closed = []

    def through(socket):
        server = socket.connect_to_server()
        if not closed:
            closed.append(lambda: (server.close(), socket.close(code=4000)))

    tab.page.route_web_socket("**/socket", through)
    tab.page.reload()
    tab.page.wait_for_selector("[data-state=connected]")
    tab.show("digits")
    tab.until(lambda: tab.part("pictures").locator("canvas").count() == 16)
    closed[0]()
    tab.page.wait_for_selector("[data-state=idle]")
    tab.drag((14, 6))
    tab.page.wait_for_selector("[data-state=connected]")
    tab.until(lambda: "255" in tab.readout())
    blank = tab.pictures()
    tab.drag((10, 6))
    tab.until(lambda: tab.pictures() != blank)


def fill(tab, run):
    """Do on a workbench what its screenshot is to show."""
    tab.show(run)
    if run == "digits":
        tab.settle()
        for place in [(14, 6), (17, 8), (12, 13), (15, 20)]:
            tab.drag(place)
        tab.settle()
    elif run == "channels":
        tab.settle()
        for x, y in np.random.default_rng(0).integers(64, size=(9, 2)).tolist():
            tab.drag((x, y))
        tab.settle()
        tab.page.get_by_role("button", name="Mean").click()
    elif run == "digits_latent":
        tab.drop(("three.png", "image/png", png(digit(3))))
        tab.part("stage").wait_for()
        tab.drag((10, 12), (18, 12))
        tab.until(lambda: tab.answers("completions"))
    elif run == "colors":
        tab.drop(("old.png", "image/png", png(grey_photograph(240, 320))))
        tab.part("stage").wait_for()
        tab.drag((60, 40))
        tab.settle("colorize")
    else:
        files = [(f"{each}.png", "image/png", png(digit(each))) for each in range(3)]
        tab.drop(*files)
        tab.until(lambda: tab.page.locator(".score").count() == 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "window", [PHONE, DESKTOP, LARGE], ids=["phone", "desktop", "large"]
)
def test_it_fits_its_window_and_all_is_named(tabs, served, screenshots, window, scheme):
    width, height = window
    tab = tabs(served.url, {"width": width, "height": height}, color_scheme=scheme)
    runs = [run["name"] for run in tab.answers("runs")[0].entries["runs"]]
    for run in [None, *runs]:
        if run:
            fill(tab, run)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.page.evaluate(UNNAMED) == []
        view = "detector" if run == DETECTOR else run or "runs"
        name = f"{view}-{width}x{height}-{scheme}.png"
        tab.page.screenshot(path=screenshots / name, full_page=width < 500)
        assert (screenshots / name).stat().st_size > 5000


def test_it_fits_a_window_as_narrow_as_of_enlarged_text(tabs, served):
    tab = tabs(served.url, {"width": 305, "height": 500})
    for run in ("digits", "channels", "digits_latent"):
        fill(tab, run)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 305
        pressed = tab.page.locator(".bench").locator("button, .button, summary")
        shown = [box for each in pressed.all() if (box := each.bounding_box())]
        assert all(box["height"] >= 24 for box in shown)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(tabs, served, scheme):
    tab = tabs(served.url, color_scheme=scheme)
    contrast = tab.page.evaluate_handle(CONTRAST)
    texts = ["ink", "quiet", "accent", "bad", "good"]
    pairs = [(text, ground) for text in texts for ground in ("paper", "panel")]
    for one, other in [*pairs, ("on-accent", "accent")]:
        found = contrast.evaluate("(f, [one, other]) => f(one, other)", [one, other])
        assert found >= 4.5, (one, other)
    for ground in ("paper", "panel"):
        found = contrast.evaluate("(f, ground) => f('edge', ground)", ground)
        assert found >= 3, ground
