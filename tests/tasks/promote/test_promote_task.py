"""From scores in the lake to a verdict in the registry."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from configs.settings import PromoteSettings, SelectSettings
from storage.evidence import Evidence
from storage.lake import Lake, LakeError
from storage.publish import publish
from storage.registry import Model, register
from storage.snapshot import Snapshot
from storage.verdicts import Decision, champion, decide, promotions
from tasks.promote.by_hand import BY_HAND
from tasks.promote.evidence import SHOWN
from tasks.promote.task import judged_until, promote
from tests.rows import write

OLD = Model("old", "lm", "base", "/nowhere", "template")
NEW = replace(OLD, id="new", stage="sft", parent="old")
SETTINGS = PromoteSettings(resamples=500, smoke=())  # these models have no weights
SELECT = SelectSettings()


def replace_settings(**changes: Any) -> PromoteSettings:
    return SETTINGS.model_copy(update=changes)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    decide(found, Decision("old", None, "promote", ["The first one."]), batch="base")
    return found


def evaluated(lake: Lake, *, gain: float, batch: str = "0001", **fields: float) -> Snapshot:
    """Scores of old and new: `gain` on endorsed answers; in `fields` how much is forgotten, of how many items ..."""
    generator = np.random.default_rng(5)
    rows = []
    forgotten, general = fields.get("forgotten", 0.0), int(fields.get("general", 30))
    for metric, count, change in (("holdout_loss", 40, -gain), ("general_loss", general, forgotten)):
        for item in range(count):
            value = generator.normal(2, 0.3)
            shifts = {"old": 0.0, "new": change + generator.normal(0, 0.01)}
            if metric == "general_loss":
                shifts["first"] = -fields.get("forgotten_before", 0.0)
            language = "de" if item % 4 == 0 else "en"
            rows += [
                (model, metric, f"{metric}{item}", f"g{item}", language, value + shift, 20.0, None, batch)
                for model, shift in shifts.items()
            ]
    for item in range(int(fields.get("earlier", 0))):
        for model, shift in (("old", 0.0), ("new", fields.get("unlearned", 0.0) + generator.normal(0, 0.01))):
            row = (model, "holdout_loss", f"before{item}", f"b{item}", "en", 2 + shift, 20.0, None, "0000-earlier")
            rows.append(row)
    for model, text, silent in (("old", "Yes.", "silent_before"), ("new", "Of course.", "silent")):
        for item in range(int(fields.get("asked", 1))):
            said = text if item >= fields.get(silent, 0) else ""
            output = f'{{"prompt": "May I?", "answer": "{said}"}}'
            rows += [
                (model, metric, f"asked{item}", f"g{item}", "en", value, 1.0, written, batch)
                for metric, value, written in (("answer_tokens", 2.0, output), ("empty_rate", float(not said), None))
            ]
        stops = 1.0 if model == "old" else fields.get("stops", 1.0)
        rows += [(model, "stop_rate", f"a{item}", f"g{item}", "en", stops, 1.0, None, batch) for item in range(8)]
    rows.append(
        ("new", "merge_agreement", "holdout_loss1", "g1", "en", fields.get("agreement", 1.0), 20.0, None, batch)
    )
    names = ["model", "metric", "item", "group", "language", "value", "weight", "output", "since"]
    frame = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
    frame = frame.with_columns(id=pl.concat_str("model", "metric", "item", separator="/"))
    return publish(lake, "evaluations", frame, step="evaluate", batch=batch, key="ab" * 16)


def test_a_better_model_becomes_champion_with_its_evidence(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1), NEW, OLD, SETTINGS, SELECT, 1)
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
    first = promote.fn(lake, scores, NEW, OLD, SETTINGS, SELECT, 1)
    assert promote.fn(lake, scores, NEW, OLD, SETTINGS, SELECT, 1) == first
    assert promotions(lake).height == 2


def test_a_model_that_forgot_is_rejected(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, forgotten=0.2), NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert "Loss on general text" in decision.reasons[0]
    assert champion(lake) == "old"


def test_without_general_text_the_gate_holds_and_says_what_to_do(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, general=0), NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "hold"
    assert "domain: general" in decision.reasons[0]


def test_another_chat_template_is_rejected(lake: Lake) -> None:
    other = Model("new", "lm", "sft", "/nowhere", "another", parent="old")
    decision = promote.fn(lake, evaluated(lake, gain=0.1), other, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert "template" in decision.reasons[0]


def test_forgetting_adds_up_over_generations(lake: Lake) -> None:
    for model in (replace(OLD, id="first"), replace(OLD, parent="first")):
        register(lake, model, batch="base")
    fine = evaluated(lake, gain=0.1, forgotten=0.02, forgotten_before=0.02)
    assert promote.fn(lake, fine, NEW, OLD, SETTINGS, SELECT, 1).verdict == "promote"
    decide(lake, Decision("old", "new", "rollback", ["To try again."]), batch="rollback")
    too_much = evaluated(lake, gain=0.1, forgotten=0.02, forgotten_before=0.2, batch="0002")
    decision = promote.fn(lake, too_much, NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert decision.reasons[0].startswith("Loss on general text since the first model")


def test_every_failed_challenger_makes_the_next_one_prove_more(lake: Lake) -> None:
    notes = [
        promote.fn(lake, evaluated(lake, gain=-0.002, batch=batch), NEW, OLD, SETTINGS, SELECT, 1).reasons
        for batch in ("0001", "0001", "0002", "0003")
    ]
    sure = [next(reason for reason in reasons if reason.startswith("Sure means")) for reasons in notes]
    assert [words.split(" here")[0] for words in sure] == [
        "Sure means 97.6%",
        "Sure means 97.6%",
        "Sure means 99.4%",
        "Sure means 99.7%",
    ]
    alone = replace_settings(repeated_nights="ignore")
    reasons = promote.fn(lake, evaluated(lake, gain=-0.002, batch="0004"), NEW, OLD, alone, SELECT, 1).reasons
    assert any("Sure means 95.0%" in reason for reason in reasons)


def test_a_merge_that_lost_its_adapter_is_rejected(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, agreement=0.9), NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert "another token than its adapter in 10.0% of cases" in decision.reasons[0]


def test_a_model_that_does_not_stop_is_rejected(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, stops=0.0), NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert decision.reasons[0].startswith("Share of answers that end by themselves 1.000 -> 0.000 (worse")


def test_a_model_that_says_nothing_is_rejected(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1, asked=3, silent=3), NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert decision.reasons[0] == "The challenger gave an empty answer to each of 3 prompts."


def test_a_model_that_says_nothing_in_the_samples_that_are_shown_may_say_much_elsewhere(lake: Lake) -> None:
    quiet = evaluated(lake, gain=0.1, asked=SHOWN + 1, silent=SHOWN, silent_before=SHOWN - 3)
    assert promote.fn(lake, quiet, NEW, OLD, SETTINGS, SELECT, 1).verdict == "promote"


def test_better_on_the_new_batch_but_worse_on_what_it_was_judged_on_is_rejected(lake: Lake) -> None:
    """Poison that users endorse is tested by its like: only older answers show the harm."""
    decide(lake, Decision("old", "old", "promote", ["It was better then."]), batch="0000-earlier")
    poisoned = evaluated(lake, gain=0.5, earlier=20, unlearned=0.2)
    decision = promote.fn(lake, poisoned, NEW, OLD, SETTINGS, SELECT, 1)
    assert decision.verdict == "reject"
    assert decision.reasons[0].startswith("Loss on answers that the champion was judged on already")
    honest = evaluated(lake, gain=0.5, earlier=20, unlearned=0.01, batch="0002")
    assert promote.fn(lake, honest, NEW, OLD, SETTINGS, SELECT, 1).verdict == "promote"


def test_the_first_model_was_judged_on_the_nights_that_it_won(lake: Lake) -> None:
    assert judged_until(lake, "old", "0002-b") is None
    for batch in ("0001-a", "0002-b"):
        write(lake, "runs", batch, [{"id": batch}], step="start")
    assert judged_until(lake, "old", "0002-b") == "0001-a"
    assert judged_until(lake, "old", "0001-a") is None


def test_who_promotes_by_hand_trusts_what_came_until_then(lake: Lake) -> None:
    decided = datetime(2026, 1, 2, tzinfo=UTC)
    for batch, at in (("0001-a", decided - timedelta(hours=1)), ("0002-b", decided)):
        write(lake, "runs", batch, [{"id": batch, "at": at}], step="start")
    decide(lake, Decision("new", "old", "promote", ["I have looked."]), batch=f"{BY_HAND}20260102")
    write(lake, "runs", "0003-c", [{"id": "0003-c", "at": datetime.now(UTC) + timedelta(hours=1)}], step="start")
    assert judged_until(lake, "new", "0003-c") == "0002-b"


def test_each_language_of_enough_conversations_is_shown(lake: Lake) -> None:
    decision = promote.fn(lake, evaluated(lake, gain=0.1), NEW, OLD, SETTINGS, SELECT, 1)
    shown = {metric.name: metric.items for metric in Evidence.from_dict(decision.evidence).metrics}
    assert (shown["holdout_loss:de"], shown["holdout_loss:en"]) == (10, 30)


def test_who_was_overtaken_is_told(lake: Lake) -> None:
    decide(lake, Decision("newest", "old", "promote", ["Better."]), batch="0002")
    with pytest.raises(LakeError, match="newest is the champion now"):
        promote.fn(lake, evaluated(lake, gain=0.1), NEW, OLD, SETTINGS, SELECT, 1)
    assert champion(lake) == "newest"
