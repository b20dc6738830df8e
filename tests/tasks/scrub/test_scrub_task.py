"""The door of scrubbing on a small lake: what comes out, what is refused, and that the books add up."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.settings import NameEngine, Recognizer, ScrubSettings
from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import Snapshot, digest
from storage.tables import TABLES
from tasks.scrub.engines import MissingEngineError
from tasks.scrub.task import scrub

SETTINGS = ScrubSettings(workers=1, recheck=10)


def row(id_: str, *texts: str, **more: Any) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(texts)
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    base = {"id": id_, "kind": "conversation", "source": "log", "conversation_id": id_, "language": "en"}
    return {**base, "messages": messages, "domain": "product", "consent": True, **more}


def put(lake: Lake, table: str, rows: list[dict[str, Any]], batch: str = "0001") -> Snapshot:
    schema = TABLES[table].schema
    frame = pl.DataFrame(rows, schema={name: schema[name] for name in schema if any(name in r for r in rows)})
    if not rows:
        frame = pl.DataFrame(schema={"id": pl.String})
    return publish(lake, table, frame, step="test", batch=batch, key=digest(batch, str(len(rows))))


def run(lake: Lake, rows: list[dict[str, Any]], settings: ScrubSettings = SETTINGS, **more: Any) -> pl.DataFrame:
    batch = more.get("batch", "0001")
    snapshot = put(lake, more.get("table", "interactions"), rows, batch)
    duplicates = put(lake, "duplicates", more.get("duplicates", []), batch)
    return lake.scan(scrub.fn(lake, snapshot, duplicates, settings)).sort("id").collect()


def books(lake: Lake, kind: str) -> dict[str, float]:
    rows = lake.read("books", step="scrub").filter(pl.col("kind") == kind).collect()
    return dict(zip(rows["name"], rows["value"], strict=True))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def texts(frame: pl.DataFrame, id_: str) -> list[str]:
    messages = frame.filter(pl.col("id") == id_)["messages"][0]
    return [message["content"] for message in messages]


def test_the_same_entity_has_the_same_placeholder_in_a_conversation(lake: Lake) -> None:
    out = run(lake, [row("a", "I am jane.roe@example.org, not joe@example.org.", "Noted, JANE.ROE@example.org.")])
    assert texts(out, "a") == [
        "I am <EMAIL_ADDRESS_1>, not <EMAIL_ADDRESS_2>.",
        "Noted, <EMAIL_ADDRESS_1>.",
    ]
    assert out["entities"][0].to_list() == [{"type": "EMAIL_ADDRESS", "count": 3}]
    assert books(lake, "fact")["entity:EMAIL_ADDRESS"] == 3


def test_tool_calls_and_tools_stay_json(lake: Lake) -> None:
    arguments = json.dumps({"card": 4111111111111111, "to": "jane@example.org", "password": "hunter2!"})
    call = [{"id": "c1", "type": "function", "function": {"name": "pay", "arguments": arguments}}]
    rows = [row("a", "Pay, please")]
    rows[0]["messages"].append({"role": "assistant", "content": None, "tool_calls": json.dumps(call)})
    rows[0]["tools"] = json.dumps([{"function": {"name": "pay", "description": "ask joe@example.org"}}])
    out = run(lake, rows)
    (made,) = json.loads(out["messages"][0][1]["tool_calls"])
    assert json.loads(made["function"]["arguments"]) == {
        "card": "<CREDIT_CARD_1>",
        "to": "<EMAIL_ADDRESS_1>",
        "password": "<PASSWORD_1>",
    }
    assert made["function"]["name"] == "pay"
    assert json.loads(out["tools"][0])[0]["function"]["description"] == "ask <EMAIL_ADDRESS_2>"


def test_tool_calls_with_surrogates_stay_json(lake: Lake) -> None:
    arguments = json.dumps({"card": 4111111111111111, "to": 'Jane "J" Roe <jane@example.org>', "note": "née Äß"})
    rows = [row("a", "Pay, please")]
    call = [{"id": "c1", "function": {"name": "pay", "arguments": arguments}}]
    rows[0]["messages"].append({"role": "assistant", "content": None, "tool_calls": json.dumps(call)})
    out = run(lake, rows, SETTINGS.model_copy(update={"replacement": "surrogate"}))
    (made,) = json.loads(out["messages"][0][1]["tool_calls"])
    paid = json.loads(made["function"]["arguments"])
    assert paid["card"].startswith("400000")
    assert "jane@" not in paid["to"]
    assert paid["note"] == "née Äß"


def test_nothing_clear_is_left_in_any_table_but_raw_ones(lake: Lake, tmp_path: Path) -> None:
    run(lake, [row("a", "My name is Amelia Hartwell, card 4111 1111 1111 1111, phone +1 415 555 2671.")])
    for table in ("scrubbed", "placeholders", "findings", "books"):
        said = str(lake.read(table).collect().to_dicts())
        assert not [clear for clear in ("Hartwell", "4111 1111", "555 2671") if clear in said], table


def test_feedback_shares_the_placeholders_of_what_it_is_about(lake: Lake) -> None:
    put(
        lake,
        "feedback",
        [{"id": "f", "target_id": "a", "kind": "edit", "preferred": "Write to joe@x.org", "comment": "mail ann@x.org"}],
    )
    out = run(lake, [row("a", "I am ann@x.org", "Write to joe@x.org")])
    (feedback,) = out.filter(pl.col("origin") == "feedback").to_dicts()
    assert feedback["conversation_id"] == "a"
    assert [(m["role"], m["content"]) for m in feedback["messages"]] == [
        ("preferred", "Write to <EMAIL_ADDRESS_2>"),
        ("comment", "mail <EMAIL_ADDRESS_1>"),
    ]


def test_who_did_not_consent_and_duplicates_are_left_out(lake: Lake) -> None:
    rows = [row("a", "Hello there"), row("b", "Hello there"), row("c", "No", consent=False), row("d", "Hello there")]
    put(lake, "feedback", [{"id": "f", "target_id": "d", "kind": "thumb", "value": 1.0}])
    out = run(lake, rows, duplicates=[{"id": "b", "kept_id": "a"}, {"id": "d", "kept_id": "a"}])
    assert out["id"].to_list() == ["a", "d"]  # somebody liked d
    assert books(lake, "in") == {"rows": 4}
    assert books(lake, "out") == {"scrubbed": 2, "duplicates": 1, "no_consent": 1, "quarantined": 0}


def test_a_later_night_goes_on_with_the_placeholders(lake: Lake) -> None:
    run(lake, [row("a", "I am ann@x.org")])
    put(lake, "feedback", [{"id": "f", "target_id": "a", "kind": "edit", "preferred": "bob@x.org, ann@x.org"}], "0002")
    out = run(lake, [row("b", "Me too", conversation_id="a")], batch="0002")
    assert texts(out, "f") == ["<EMAIL_ADDRESS_2>, <EMAIL_ADDRESS_1>"]


def test_an_earlier_row_is_scrubbed_once_feedback_points_at_it(lake: Lake) -> None:
    run(lake, [row("a", "Hello there"), row("b", "Hello there")], duplicates=[{"id": "b", "kept_id": "a"}])
    put(lake, "feedback", [{"id": "f", "target_id": "b", "kind": "thumb", "value": 1.0}], "0002")
    out = run(lake, [row("c", "Good day")], batch="0002")
    assert out["id"].to_list() == ["b", "c"]


def test_a_language_without_an_engine_fails_closed(lake: Lake) -> None:
    rows = [row("a", "Меня зовут Иван Петров, я живу в Москве", language="ru"), row("b", "Hi")]
    rows.append(row("c", "Меня зовут Иван Петров, я живу в Москве", language="und"))
    assert run(lake, rows)["id"].to_list() == ["b"]
    reasons = lake.read("quarantine").sort("id").collect()["reason"].to_list()
    assert reasons == [
        "scrub: no name engine for the language ru",
        "scrub: no name engine for the script it is written in",
    ]
    assert books(lake, "out")["quarantined"] == 2


def test_a_text_on_which_a_pattern_hangs_goes_to_quarantine_alone(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.scrub.patterns.TIMEOUT", 0.2)
    deadly = Recognizer(entity="SLOW", pattern=r"(?:a|aa|aaa)+$", score=0.6)
    rows = [row("a", "a" * 80 + "!"), row("b", "Hi, ann@example.org")]
    out = run(lake, rows, SETTINGS.model_copy(update={"recognizers": (deadly,)}))
    assert texts(out, "b") == ["Hi, <EMAIL_ADDRESS_1>"]
    assert out["id"].to_list() == ["b"]
    (reason,) = lake.read("quarantine").collect()["reason"]
    assert "pattern SLOW took over" in reason


def test_patterns_only_is_a_choice(lake: Lake) -> None:
    rows = [row("a", "Пишите на ivan@example.org", language="ru")]
    out = run(lake, rows, SETTINGS.model_copy(update={"other_languages": "patterns"}))
    assert texts(out, "a") == ["Пишите на <EMAIL_ADDRESS_1>"]


def test_synthetic_rows_keep_the_placeholders_they_were_made_with(lake: Lake) -> None:
    rows = [row("s", "I am <EMAIL_ADDRESS_1>, write to joe@x.org", source="synthetic")]
    out = run(lake, rows, table="synthetic", batch="0001-synthetic")
    assert texts(out, "s") == ["I am <EMAIL_ADDRESS_1>, write to <EMAIL_ADDRESS_2>"]
    assert out["origin"].to_list() == ["synthetic"]


def test_a_second_run_leaves_the_same_rows(lake: Lake) -> None:
    rows = [row("a", "I am Amelia Hartwell, ann@x.org")]
    assert run(lake, rows).equals(run(lake, rows))
    assert lake.read("scrubbed").collect().height == 1


def test_the_same_paragraph_is_not_looked_at_on_the_next_night(lake: Lake) -> None:
    run(lake, [row("a", "I am Amelia Hartwell, ann@x.org")])
    out = run(lake, [row("b", "I am Amelia Hartwell, ann@x.org")], batch="0002")
    assert texts(out, "b") == ["I am <PERSON_1>, <EMAIL_ADDRESS_1>"]
    facts = lake.read("books", step="scrub", batch="0002").filter(pl.col("name") == "paragraphs_reused").collect()
    assert facts["value"].to_list() == [1]


def test_an_empty_batch_is_fine(lake: Lake) -> None:
    rows = [row("a", "no", consent=False)]
    assert run(lake, rows).is_empty()


def test_an_engine_that_is_not_installed_stops_the_run_with_one_sentence(lake: Lake) -> None:
    settings = ScrubSettings(engines=(NameEngine(languages=("en",), model="no_such_model"),))
    with pytest.raises(MissingEngineError, match="no_such_model is not installed"):
        run(lake, [row("a", "Hello there")], settings)


def test_a_pattern_that_is_none_is_refused_with_the_settings() -> None:
    with pytest.raises(ValueError, match="no regular expression"):
        Recognizer(entity="X", pattern="(")


def test_processes_scrub_as_this_one_does(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.scrub.workers.FEW", 0)
    rows = [row(str(n), f"I am Amelia Hartwell, card 4111 1111 1111 1111, visit {n}") for n in range(5)]
    apart = run(Lake(str(tmp_path / "other")), rows, SETTINGS.model_copy(update={"workers": 2}))
    assert run(lake, rows).drop("step").equals(apart.drop("step"))
