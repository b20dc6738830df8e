"""What a person does in Prefect's UI, in a real browser: start a night by its form, look at it, and approve a model."""

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect, sync_playwright
from prefect.settings import PREFECT_API_URL, temporary_settings

from configs.settings import PromoteSettings, Settings
from flows.promote import ask
from storage.lake import Lake
from storage.registry import Model, register
from storage.verdicts import Decision, champion, decide, promotions
from tests.flows.server import FINAL, wait
from tests.flows.small import small_settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: `apt install chromium`"),
]
PATIENCE = 60_000  # milliseconds
LAKE = "Folder or object-store URI of all tables"
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE)
    yield page
    page.screenshot(path=tmp_path / "last.png")
    page.close()


def test_a_night_is_started_by_its_form_and_looked_at(
    address: str, api: httpx.Client, page: Page, tmp_path: Path, tiny_model: Path
) -> None:
    settings = small_settings(tmp_path, tiny_model, stages=("sft",))
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"deployments": True})})
    nightly = api.get("/deployments/name/nightly/nightly").raise_for_status().json()
    told = {"parameters": {"settings": settings.model_dump(mode="json", exclude_unset=True)}}
    api.patch(f"/deployments/{nightly['id']}", json=told).raise_for_status()  # as a team has its own
    open_form(page, address, nightly["id"])
    expect(field(page, LAKE).locator("textarea")).to_have_value(settings.lake)
    expect(
        field(page, "Where deduplication, scrubbing and scoring run").get_by_role("button", name="local")
    ).to_be_visible()

    lake = Lake(str(tmp_path / "other"))
    field(page, "Run Name").locator("input").fill("by hand")
    field(page, "Every random choice follows from it").locator("input").fill("-1")
    field(page, LAKE).locator("textarea").fill(lake.uri)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text(re.compile("-1 is less than the minimum|greater than or equal")).first).to_be_visible()
    field(page, "Every random choice follows from it").locator("input").fill("23")
    press(page.get_by_role("button", name="Submit"))
    page.get_by_role("link", name=re.compile("^(by hand|nightly on .*other)$")).first.click()
    page.wait_for_url("**/runs/flow-run/**")
    watched = page.url
    page.goto("about:blank")  # drawing the run takes a core
    state = wait(api, watched.rpartition("/")[2].partition("?")[0], seconds=400)
    page.goto(watched)
    assert state["type"] == "COMPLETED", state["message"]
    assert lake.read("promotions").collect().height >= 1
    expect(page.get_by_text("Completed").first).to_be_visible()
    page.screenshot(path=tmp_path / "run.png")
    check_artifacts(api, page, tmp_path)
    assert_training_had_its_deployment(api)


def test_a_person_approves_by_a_form_that_shows_the_evidence(
    address: str, api: httpx.Client, page: Page, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    for name in ("old", "new"):
        register(lake, Model(name, "lm", "sft", str(lake.folder("models", name)), "t"), batch="0")
    decide(lake, Decision("old", None, "promote", ["The first one."]), batch="0")
    decide(lake, Decision("new", "old", "wait", ["Loss 2.3 -> 2.1: proven better."], {"metrics": []}), batch="1")
    settings = Settings(lake=lake.uri, promote=PromoteSettings(approval=True, smoke=()))  # these have no weights
    with ThreadPoolExecutor() as threads:  # Prefect would be asynchronous in the browser's
        threads.submit(ask_twice, f"{address}/api", settings, "new").result()
    (run,) = api.post("/flow_runs/filter", json={"flows": {"name": {"any_": ["approve"]}}}).raise_for_status().json()
    state = wait(api, run["id"], seconds=300, until=FINAL | {"PAUSED"})
    assert state["type"] == "PAUSED", state["message"]
    page.goto(f"{address}/runs/flow-run/{run['id']}")
    page.get_by_role("button", name="Resume").first.click()
    expect(page.get_by_text("Loss 2.3 -> 2.1: proven better.")).to_be_visible()
    page.screenshot(path=tmp_path / "form.png")
    field(page, "Who you are").locator("textarea").fill("Ann")
    field(page, "Why, for the history").locator("textarea").fill("Reads well.")
    choice = field(page, "Whether this model shall serve").locator(".p-select-button__control")
    choice.press("ArrowDown")
    choice.press("Enter")
    expect(choice).to_have_text("promote")
    press(page.get_by_role("button", name="Submit"))
    state = wait(api, run["id"], seconds=300)
    assert state["type"] == "COMPLETED", state["message"]
    assert champion(lake) == "new"
    assert promotions(lake).row(-1, named=True)["reasons"][0] == "Approved by Ann: Reads well."


def ask_twice(api_url: str, settings: Settings, model: str) -> None:
    """It is one question all the same."""
    with temporary_settings({PREFECT_API_URL: api_url}):
        ask(settings, model)
        ask(settings, model)


def open_form(page: Page, address: str, deployment: str) -> None:
    """As a person does: the deployment's page, its button, and the form it offers."""
    page.goto(f"{address}/deployments/deployment/{deployment}")
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text("Custom run").first.click()
    field(page, LAKE).wait_for()


def press(button: Locator) -> None:
    """Until the form is gone: while SQLite is locked, Prefect says that something went wrong, and one presses again."""
    for _ in range(6):
        button.click()
        try:
            button.wait_for(state="hidden", timeout=PATIENCE / 4)
        except TimeoutError:
            continue
        return


def field(page: Page, description: str) -> Locator:
    """The field of a form that has this description."""
    return page.locator(".p-label", has_text=description).last


def check_artifacts(api: httpx.Client, page: Page, folder: Path) -> None:
    """All are there, and the browser shows those of the run."""
    artifacts = api.post("/artifacts/filter", json={"limit": 200}).raise_for_status().json()
    kinds = {(artifact["key"], artifact["type"]) for artifact in artifacts}
    assert kinds >= {
        ("report", "markdown"), ("funnel", "table"), ("funnel-summary", "markdown"), ("mixture", "table"),
        ("verdict", "markdown"), ("comparison", "table"), ("comparison-chart", "image"), ("trend-chart", "image"),
    }  # fmt: skip
    page.get_by_text("Artifacts", exact=True).first.click()
    expect(page.get_by_text("funnel").first).to_be_visible()
    page.screenshot(path=folder / "artifacts.png")


def assert_training_had_its_deployment(api: httpx.Client) -> None:
    trainings = api.post("/flow_runs/filter", json={"flows": {"name": {"any_": ["train-sft"]}}}).json()
    assert [one["state"]["type"] for one in trainings] == ["COMPLETED"]
    assert trainings[0]["deployment_id"] is not None  # nightly left the training to the pool of its deployment
    assert trainings[0]["parent_task_run_id"] is not None
    logs = api.post("/logs/filter", json={"limit": 200}).raise_for_status().json()
    assert any("dedupe" in log["message"] for log in logs)
