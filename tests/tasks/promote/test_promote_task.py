"""From scores in the lake to a verdict in the registry."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.settings import PromoteSettings
from storage.evidence import Evidence
from storage.lake import Lake, LakeError
from storage.publish import publish
from storage.registry import Decision, Model, champion, decide, promotions
from storage.snapshot import Snapshot
from tasks.promote.task import promote

OLD = Model("old", "lm", "base", "/nowhere", "template")
NEW = Model("new", "lm", "sft", "/nowhere", "template", parent="old")
SETTINGS = PromoteSettings(resamples=500)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    decide(found, Decision("old", None, "promote", ["The first one."]), batch="base")
    return found


def evaluated(lake: Lake, *, gain: float, forgotten: float = 0.0, general: int = 30) -> Snapshot:
    generator = np.random.default_rng(5)
    rows = []
    for metric, count, change in (("holdout_loss", 40, -gain), ("general_loss", general, forgotten)):
        for item in range(count):
            value = generator.normal(2, 0.3)
            for model, shift in (("old", 0.0), ("new", change + generator.normal(0, 0.01))):
                rows.append((model, metric, f"{metric}{item}", f"g{item}", value + shift, 20.0, None))
    for model, text in (("old", "Yes."), ("new", "Of course.")):
        output = f'{{"prompt": "May I?", "answer": "{text}"}}'
        rows += [(model, "answer_tokens", "a1", "g1", 2.0, 1.0, output)]
    names = ["model", "metric", "item", "group", "value", "weight", "output"]
    frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    frame = frame.with_columns(id=pl.concat_str("model", "metric", "item", separator="/"))
    return publish(lake, "evaluations", frame, step="evaluate", batch="0001", key="ab" * 16)


def test_a_better_model_becomes_champion_with_its_evidence(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1), NEW, OLD, SETTINGS, 1)
    assert decision.verdict == "promote"
    assert champion(lake) == "new"
    row = promotions(lake).row(-1, named=True)
    assert row["batch"] == "0001"
    evidence = Evidence.from_dict(pl.Series([row["evidence"]]).str.json_decode(infer_schema_length=None).to_list()[0])
    assert evidence.metrics[0].name == "holdout_loss"
    assert evidence.metrics[0].delta == pytest.approx(0.1, abs=0.01)
    assert evidence.samples[0].challenger == "Of course."


def test_running_again_decides_once(lake: Lake) -> None:
    scores = evaluated(lake, gain=0.1)
    first = promote.fn(lake, scores, NEW, OLD, SETTINGS, 1)
    assert promote.fn(lake, scores, NEW, OLD, SETTINGS, 1) == first
    assert promotions(lake).height == 2


def test_a_model_that_forgot_is_rejected(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, forgotten=0.2), NEW, OLD, SETTINGS, 1)
    assert decision.verdict == "reject"
    assert "Loss on general text" in decision.reasons[0]
    assert champion(lake) == "old"


def test_without_general_text_the_gate_holds_and_says_what_to_do(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, general=0), NEW, OLD, SETTINGS, 1)
    assert decision.verdict == "hold"
    assert "domain: general" in decision.reasons[0]


def test_another_chat_template_is_rejected(lake: Lake) -> None:
    other = Model("new", "lm", "sft", "/nowhere", "another", parent="old")
    decision = promote.fn(lake, evaluated(lake, gain=0.1), other, OLD, SETTINGS, 1)
    assert decision.verdict == "reject"
    assert "template" in decision.reasons[0]


def test_who_was_overtaken_is_told(lake: Lake) -> None:
    decide(lake, Decision("newest", "old", "promote", ["Better."]), batch="0002")
    with pytest.raises(LakeError, match="newest is the champion now"):
        promote.fn(lake, evaluated(lake, gain=0.1), NEW, OLD, SETTINGS, 1)
    assert champion(lake) == "newest"
