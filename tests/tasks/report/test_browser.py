"""The page in a real browser: it loads nothing, fits wide and narrow windows, and can be read in light and dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from storage.lake import Lake
from tasks.report.page import write
from tasks.report.pictures import pictures
from tests.tasks.report.believable import BATCHES, make_lake

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: `apt install chromium`")
WINDOWS = {"wide": (1280, "light"), "tablet": (768, "dark"), "phone": (390, "light")}
TOO_WIDE = """
() => [...document.querySelectorAll("main *")]
    .filter(one => one.checkVisibility() && !one.closest(".scroll, svg"))
    .filter(one => one.getBoundingClientRect().right > innerWidth)
    .map(one => one.outerHTML.slice(0, 120))
"""
CONTRAST = """
() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map(part => {
      const one = part / 255; return one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = one => { for (let at = one; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (!/^rgba.*, 0\\)$/.test(color)) return color; }
    return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("h1, h2, h3, p, td, th, li, small, b, .note, code")]
    .filter(one => one.checkVisibility() && one.textContent.trim() && !one.closest("svg"))
    .map(one => { const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.outerHTML.slice(0, 100)]; })
    .filter(([ratio]) => ratio < 4); }
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = Lake(str(tmp_path_factory.mktemp("browser") / "lake"))
    make_lake(lake)
    return write(lake, BATCHES[2])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(params=WINDOWS)
def page(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Page]:
    """The report, open; any request but for itself and any complaint fails the test."""
    width, scheme = WINDOWS[request.param]
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url != report.as_uri() else None)
    page.on("console", lambda said: wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(report.as_uri())
    yield page
    assert not wrong
    context.close()


def test_both_pages_fit_the_window_and_can_be_read(page: Page) -> None:
    for name, shown in (("users", "What users ask"), ("run", "Champion against challenger")):
        page.locator(f"label[for=page-{name}]").click()
        assert page.get_by_role("heading", name=shown, exact=True).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(CONTRAST) == []


def test_the_pictures_for_prefect_are_drawn_without_the_page(browser: Browser, report: Path) -> None:
    lake = Lake(str(report.parent.parent))
    page = browser.new_page()
    for picture in pictures(lake, BATCHES[2]):
        page.set_content(f'<img src="{picture.address}">')
        page.wait_for_function("document.images[0].complete")
        wide, tall = page.evaluate("[document.images[0].naturalWidth, document.images[0].naturalHeight]")
        assert wide > 300, picture.name
        assert tall > 50, picture.name


def test_every_section_of_the_run_shows_something(page: Page) -> None:
    page.locator("label[for=page-run]").click()
    titles = page.locator("main.run h2").all_inner_texts()
    assert titles == [
        "Champion against challenger", "What changed since the batch before", "What became of the rows", "Duplicates",
        "Personal data and secrets replaced", "Scores", "Selection", "What was trained on, by tokens", "Training",
        "Answers side by side", "Batch by batch", "Where the champion comes from",
    ]  # fmt: skip
    for box in page.locator("main.run svg, main.run .stack").all():
        size = box.bounding_box()
        assert size is not None
        assert size["width"] >= 2
        assert size["height"] >= 6


def test_a_rule_opens_to_its_examples_and_can_be_reached_by_keyboard(page: Page) -> None:
    page.locator("#page-users").focus()
    page.keyboard.press("ArrowRight")
    rule = page.locator("details.rule").first
    rule.locator("summary").focus()
    page.keyboard.press("Enter")
    assert rule.locator("q").first.is_visible()
