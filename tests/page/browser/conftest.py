"""A browser, a server with a run of each kind, and tabs that tests open."""

import os
import shutil
from pathlib import Path

import pytest

from tests.page.browser.served import DETECTOR, Served
from tests.page.browser.tabs import Tab
from tests.runs import kept, kept_detector, smoke

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
REQUIRED = os.environ.get("PAGE_BROWSER") == "required"
"""Whether a test that finds no browser fails, as in .ci/run."""
DESKTOP = {"width": 1440, "height": 900}


def absent(reason):
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        absent("playwright is not installed: pip install 'gan-jax[test]'")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        absent("there is no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root, as in a container, chromium runs without its sandbox only.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def served(browser, tmp_path_factory):
    """Return a server of a run of each kind, the two packaged ones among them."""
    folder = tmp_path_factory.mktemp("runs")
    kept(folder / "colors", smoke("colorize", "hints,smoke"), channels=3)
    kept_detector(folder / DETECTOR)
    priors = ["digits", "channels", "digits_latent"]
    with Served([*priors, folder / "colors", folder / DETECTOR]) as server:
        yield server


@pytest.fixture
def tabs(browser):
    """Return a function that opens a tab; at the end none has had a problem."""
    opened = []

    def open_tab(url, viewport=DESKTOP, state="connected", **options):
        context = browser.new_context(viewport=viewport, **options)
        opened.append(Tab(context.new_page(), url, state))
        return opened[-1]

    yield open_tab
    problems = [problem for tab in opened for problem in tab.problems]
    for tab in opened:
        tab.page.context.close()
    assert problems == []


@pytest.fixture
def tab(tabs, served):
    return tabs(served.url)


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    """Return the folder of the screenshots, $PAGE_SCREENSHOTS where it is set."""
    named = os.environ.get("PAGE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
