"""The report: right figures, one file that loads nothing, whatever is missing."""

import base64
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from storage.evidence import Comparison
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model, register
from storage.verdicts import Decision, decide
from tasks.report import charts, content, descent, judged, tables
from tasks.report.card import model_card
from tasks.report.changes import changes
from tasks.report.insight import insight, vendi, wilson
from tasks.report.pictures import pictures
from tasks.report.selection import selections
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
    found = judged.verdict(lake, BATCHES[1])
    assert found is not None
    assert (found.verdict, found.champion) == ("reject", "dpo-0001")
    assert judged.comparison(lake, BATCHES[1])[0].name == "holdout_loss"


def test_the_judge_is_quoted_with_and_without_what_length_explains(lake: Lake, page: str) -> None:
    assert "the challenger's answer in 62% of prompts, ties half; if both answers were equally long, in 55%." in page
    assert judged.judge(lake, "0009-empty") is None


def test_a_challenger_that_waited_for_approval_is_one_point_of_the_trend(lake: Lake) -> None:
    promoted = judged.verdicts(lake)[0]
    drawn = str(content.trend([replace(promoted, verdict="wait"), promoted]))
    assert re.findall(r'<circle class="dot (\w+)"', drawn) == ["promote"]


def test_a_training_shows_what_it_read_and_what_it_left_out(page: str) -> None:
    assert "SFT as the model read it" in page
    assert "How do I sort &lt;notes&gt;? «By date.»" in page
    assert "4 left out: too long" in page


def test_the_lineage_of_the_champion_begins_with_the_first_model(lake: Lake) -> None:
    assert [row.model for row in tables.lineage(lake)] == ["base-1", "sft-0001", "dpo-0001"]


def test_what_changed_since_the_batch_before(lake: Lake, page: str) -> None:
    found = changes(lake, BATCHES[2])
    assert found is not None
    figures = {change.title: change for change in found.figures}
    collected = figures["Records collected"]
    assert (collected.before, collected.now, collected.notable) == (640, 900, True)
    assert figures["Quarantined"].now == pytest.approx(24 / 900)
    assert figures["Challenger"].relative == pytest.approx((2.28 - 2.43) / 2.43)
    assert not figures["SFT: tokens"].notable
    assert [setting[1:] for setting in found.settings] == [("mix.select.min_reward", 0.2, 0.3)] * 2
    assert found.new_entities == ("IBAN_CODE",)
    assert changes(lake, BATCHES[0]) is None
    assert "iban code" in page


def test_the_graph_has_the_way_to_the_champion_on_top_and_the_others_below(lake: Lake) -> None:
    found = descent.nodes(lake)
    assert [(node.model, node.parent, node.served, node.verdict) for node in found] == [
        ("base-1", None, True, "promote"),
        ("sft-0001", "base-1", True, ""),
        ("dpo-0001", "sft-0001", True, "promote"),
        ("sft-0003", "dpo-0001", False, ""),
        ("dpo-0003", "sft-0003", False, "hold"),
        ("sft-0002", "dpo-0001", False, ""),
        ("dpo-0002", "sft-0002", False, "reject"),
    ]
    drawn = ElementTree.fromstring(str(descent.graph(found)))
    kinds = [found.attrib["class"].removeprefix("model ") for found in drawn.iter("g")]
    assert kinds == ["served", "served", "champion", "", "hold", "", "reject"]


def test_of_a_long_history_the_newest_models_and_the_way_to_the_champion_are_drawn(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    for at in range(60):
        parent = f"m{at - 1}" if 0 < at < 20 else "m19" if at else None
        register(lake, Model(f"m{at:}", "lm", "sft", lake.path("models", f"m{at}"), "t", parent), batch="0")
    decide(lake, Decision("m19", None, "promote", ["It is."]), batch="0")
    found = descent.nodes(lake)
    assert len(found) == descent.MOST + 20
    assert [node.model for node in found if node.served] == [f"m{at}" for at in range(20)]


def test_the_key_charts_are_pictures_of_their_own(lake: Lake) -> None:
    found = {picture.name: picture.address for picture in pictures(lake, BATCHES[2])}
    assert list(found) == [
        "funnel-chart", "mixture-chart", "scores-chart", "loss-chart", "comparison-chart", "trend-chart",
    ]  # fmt: skip
    for name, address in found.items():
        drawn = base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")).decode()
        assert "nan" not in drawn
        assert len(list(ElementTree.fromstring(drawn))) > 2, name
    assert [picture.name for picture in pictures(lake, "0009-empty")] == ["trend-chart"]


def test_what_followed_a_promotion_is_under_its_verdict(lake: Lake) -> None:
    text = Path(report.fn(lake, BATCHES[0])).read_text(encoding="utf-8")
    assert "<b>1. webhook ci.example.org</b> done" in text
    assert "<b>served</b> flywheel serve" in text


def test_the_page_loads_nothing_and_shows_everything(page: str) -> None:
    assert not re.search(r"<(script|link|iframe|img)\b|url\(|https?://", page)
    for words in ("Held back", "It is a hold.", "near duplicates", "person", "Perplexity", "base-1", "+0.030"):
        assert words in page
    assert page.count("<svg") > 10


def test_topics_growth_and_unhappy_users_come_first(lake: Lake, page: str) -> None:
    found = insight(lake, BATCHES[2])
    assert found is not None
    assert (found.by_meaning, len(found.diversity)) == (False, 3)
    assert 0.88 * 509 < found.rows < 0.92 * 509
    assert sum(topic.share for topic in found.topics) == pytest.approx(1)
    assert "export" in found.growing[0].name or "pdf" in found.growing[0].name
    assert any("invoice" in text for text in found.worst[0].complaints)
    assert page.index("What users ask") < page.index("Champion against challenger")
    assert page.count('class="seed') > 500


def test_topics_go_by_meaning_where_there_are_embeddings(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    make_lake(lake)
    rows = lake.read("curated").select("id", text=pl.col("messages").list.first().struct.field("content")).collect()
    sides = [[1.0, 0.0] if "printer" in text else [0.0, 1.0] for text in rows["text"]]
    vectors = rows.select("id").with_columns(model=pl.lit("m"), vector=pl.Series(sides))
    publish(lake, "embeddings", vectors, step="score", batch=BATCHES[0], key="cd" * 16)
    found = insight(lake, BATCHES[0])
    assert found is not None
    assert found.by_meaning
    assert len(found.topics) == 2
    assert (found.new, found.earlier) == (None, 0)
    assert found.diversity[0][1] == pytest.approx(2, abs=0.1)


def test_the_holdout_stays_sealed_from_the_page(lake: Lake, page: str) -> None:
    train, holdout = (
        set(lake.read("curated").filter(split=side).select(pl.col("messages").list.first().struct.field("content"))
            .collect().to_series()) for side in ("train", "holdout")
    )  # fmt: skip
    assert any(text in page for text in train)
    assert not any(text in page for text in holdout - train)


def test_each_rule_shows_what_it_drops_and_the_baselines_stand_beside(lake: Lake, page: str) -> None:
    sft, dpo = selections(lake, BATCHES[1])
    assert [rule.rows for rule in sft.rules] == [60, 41, 19, 9, 4, 0]
    assert sft.rules[0].examples[0][1].startswith("You find it under Settings")
    assert not next(rule for rule in sft.rules if rule.name == "in holdout").examples
    assert sft.rules[-1].note.startswith("Not applied")
    assert dpo.baselines == ()
    assert "Rows in common" in page


def test_the_most_diverse_rows_are_all_different_and_the_least_all_equal() -> None:
    assert vendi(np.eye(9, dtype=np.float32)) == pytest.approx(9)
    assert vendi(np.ones((9, 1), dtype=np.float32)) == pytest.approx(1)


def test_one_dislike_of_one_is_less_sure_than_many() -> None:
    assert wilson(0, 0) == 0
    assert wilson(1, 1) < wilson(8, 10) < wilson(800, 1000) < 0.8


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
