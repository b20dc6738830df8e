"""The report: right figures, one file that loads nothing, whatever is missing."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from storage.evidence import Comparison
from storage.lake import Lake
from tasks.report import charts, tables
from tasks.report.card import model_card
from tasks.report.task import report
from tests.tasks.report.believable import BATCHES, make_lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    found = Lake(str(tmp_path_factory.mktemp("report") / "lake"))
    make_lake(found)
    return found


@pytest.fixture(scope="module")
def page(lake: Lake) -> str:
    return Path(report.fn(lake, BATCHES[2])).read_text(encoding="utf-8")


def test_the_funnel_is_in_the_order_of_the_pipeline_and_adds_up(lake: Lake) -> None:
    rows = tables.funnel(lake, BATCHES[0])
    assert [(row.step, row.synthetic) for row in rows[:5]] == [
        ("collect", False),
        ("dedupe", False),
        ("scrub", False),
        ("score", False),
        ("score", True),
    ]
    assert all(row.rows_in == sum(count for _, count in row.out) for row in rows)


def test_entities_are_the_facts_of_that_name(lake: Lake) -> None:
    assert tables.entities(lake, BATCHES[0]) == [("PERSON", 212), ("EMAIL_ADDRESS", 96), ("API_KEY", 9)]


def test_losses_mixtures_and_verdict_of_a_batch(lake: Lake) -> None:
    sft, dpo = tables.losses(lake, BATCHES[1])
    assert (sft.stage, dpo.stage) == ("sft", "dpo")
    assert sft.first > sft.last
    assert {row.part: row.trained_tokens for row in tables.mixture(lake, BATCHES[1]) if row.stage == "sft"} == {
        "user": 41_000,
        "synthetic": 5_000,
        "general": 5_000,
    }
    found = tables.verdict(lake, BATCHES[1])
    assert found is not None
    assert (found.verdict, found.champion) == ("reject", "dpo-0001")
    assert tables.comparison(lake, BATCHES[1])[0].name == "holdout_loss"


def test_the_lineage_of_the_champion_begins_with_the_first_model(lake: Lake) -> None:
    assert [row.model for row in tables.lineage(lake)] == ["base-1", "sft-0001", "dpo-0001"]


def test_the_page_loads_nothing_and_shows_everything(page: str) -> None:
    assert not re.search(r"<(script|link|iframe|img)\b|url\(|https?://", page)
    for words in ("Held back", "It is a hold.", "near duplicates", "person", "Perplexity", "base-1", "+0.030"):
        assert words in page
    assert page.count("<svg") > 10


def test_what_users_wrote_is_text_on_the_page(page: str) -> None:
    assert "How do I &lt;b&gt;export&lt;/b&gt; my notes?" in page


def test_a_batch_that_trained_nothing_has_a_page(tmp_path: Path) -> None:
    text = Path(report.fn(Lake(str(tmp_path / "empty")), "0001")).read_text(encoding="utf-8")
    assert "Nothing decided" in text


def test_a_second_report_replaces_the_first(lake: Lake) -> None:
    first = report.fn(lake, BATCHES[0])
    assert report.fn(lake, BATCHES[0]) == first
    assert len(list(Path(first).parent.glob("*.part"))) == 0


def test_a_model_card_says_where_a_model_comes_from_and_how_it_was_judged(lake: Lake) -> None:
    card = model_card(lake, "dpo-0001")
    for words in ("# dpo-0001", "| base | `base-1` |", "| user | 300 | 41,000 |", "**promote**", "+0.2100"):
        assert words in card
    assert "Not compared" in model_card(lake, "sft-0001")


@pytest.mark.parametrize("values", [[1.0], [2.0] * 50, list(np.linspace(0, 1, 300)), [0.0, 1e6]])
@pytest.mark.parametrize("log", [False, True])
def test_any_scores_make_a_whole_histogram(values: list[float], log: bool) -> None:
    drawn = str(charts.histogram(values, 'A "label" & more', low=0.5, high=10, log=log))
    assert "nan" not in drawn
    tree = ElementTree.fromstring(drawn)
    assert tree.attrib["aria-label"] == 'A "label" & more'


def test_bars_outside_the_thresholds_are_pale() -> None:
    drawn = charts.histogram(list(np.linspace(0, 1, 1000)), "Reward", low=0.5, bins=10)
    assert drawn.count('class="bar out"') == 5


@pytest.mark.parametrize(
    "points", [[(1.0, 2.0)], [(1.0, 2.0), (2.0, 2.0)], [(float(at), 1 / at) for at in range(1, 99)]]
)
def test_any_loss_makes_a_whole_curve(points: list[tuple[float, float]]) -> None:
    drawn = str(charts.curve(points, "Loss"))
    assert "nan" not in drawn
    ElementTree.fromstring(drawn)


def test_an_interval_without_width_is_drawn() -> None:
    drawn = str(charts.interval(Comparison("x", "info", "lower", 1, 1, 0, 0, 0, 5, 5)))
    assert "nan" not in drawn
    ElementTree.fromstring(drawn)


def test_the_report_says_what_the_second_look_found(lake: Lake) -> None:
    words = "A second look at 200 scrubbed rows found 4 more, in 3 rows: 2 mended, 1 kept out."
    assert words in Path(report.fn(lake, BATCHES[0])).read_text()
