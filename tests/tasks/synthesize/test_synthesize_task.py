"""The doors of synthesis, on a lake, with a scripted model; and with a tiny real one in the process."""

import json

import polars as pl
import pytest

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from tasks.inference.engine import EngineError
from tasks.synthesize.task import synthesize
from tests.tasks.inference.scripted_api import scripted_api
from tests.tasks.synthesize.lakes import (
    SYSTEM,
    THINGS,
    books,
    curate,
    curated_row,
    in_process,
    settings,
    writer,
    writing,
)


def test_new_conversations_have_the_canonical_shape_and_their_provenance(lake):
    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(writer) as api:
        snapshot = synthesize.fn(lake, "0001-abc", writing(), [curated], settings(api.url), 17)
    assert (snapshot.batch, snapshot.table, snapshot.step) == ("0001-abc-synthetic", "synthetic", "synthesize")
    rows = lake.scan(snapshot).collect()
    assert rows.height > 6
    assert rows["id"].is_unique().all()
    for row in rows.iter_rows(named=True):
        assert row["conversation_id"] == row["id"]
        assert (row["kind"], row["source"], row["domain"], row["language"]) == (
            "conversation",
            "synthetic",
            "product",
            "en",
        )
        assert row["user_hash"] is None
        assert row["consent"] is True
        assert (row["model"], row["method"]) == ("scripted", "self_instruct")
        assert len(row["seed_ids"]) == 8
        assert row["prompt_of"] is None
        assert json.loads(row["sampling"])["temperature"] == 0.8
        roles = [turn["role"] for turn in row["messages"]]
        assert roles == ["system", "user", "assistant"]
        assert row["messages"][0]["content"] == SYSTEM
    found = books(lake, "synthesize")
    assert found["in", "rows"] == 12 == sum(value for (kind, _), value in found.items() if kind == "out")
    assert found["fact", "sent"] == len(api.asked)


def test_prompts_show_eight_real_instructions_and_three_answers(lake):
    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(writer) as api:
        synthesize.fn(lake, "b", writing(), [curated], settings(api.url, instructions=2), 17)
    asking = [body["messages"] for body in api.asked if body["messages"][-1]["content"] == "Write a new message."]
    answering = [body["messages"] for body in api.asked if body["messages"][-1]["content"] != "Write a new message."]
    for messages in asking:
        assert sum(turn["role"] == "assistant" for turn in messages) == 8
    for messages in answering:
        assert messages[0] == {"role": "system", "content": SYSTEM}
        assert sum(turn["role"] == "assistant" for turn in messages) == 3


def test_only_sound_answered_conversations_of_users_on_the_training_side_are_shown(lake):
    hidden = [
        {"split": "holdout"},
        {"split": "validation"},
        {"origin": "synthetic"},
        {"domain": "general"},
        {"kind": "document", "messages": [{"role": "document", "content": "secret"}]},
        {"messages": [{"role": "user", "content": "secret without an answer, is it"}]},
        {"refusal": True},
        {"repetition": 0.9},
    ]
    for change in hidden:
        change.setdefault(
            "messages", [{"role": "user", "content": "a secret question?"}, {"role": "assistant", "content": "secret"}]
        )
    rows = [curated_row(number) for number in range(8)]
    rows += [curated_row(100 + number, **change) for number, change in enumerate(hidden)]
    with scripted_api(writer) as api:
        synthesize.fn(lake, "b", writing(), [curate(lake, rows)], settings(api.url), 17)
    assert api.asked
    assert "secret" not in json.dumps(api.asked)


def test_languages_are_not_mixed(lake):
    english = [curated_row(number) for number in range(10)]
    german = [
        curated_row(
            50 + number,
            language="de",
            messages=[
                {"role": "user", "content": f"Wo finde ich meine {thing} bitte?"},
                {"role": "assistant", "content": "In den Einstellungen."},
            ],
        )
        for number, thing in enumerate(THINGS)
    ]
    with scripted_api(writer) as api:
        snapshot = synthesize.fn(lake, "b", writing(), [curate(lake, english + german)], settings(api.url), 17)
    for body in api.asked:
        shown = json.dumps(body["messages"])
        assert ("Wo finde ich" in shown) != ("Where do I find" in shown)
    rows = lake.scan(snapshot).collect()
    assert set(rows["language"]) == {"de", "en"}
    assert rows.filter(pl.col("language") == "de")["messages"].list.len().unique().to_list() == [2]  # no system turn


def test_what_is_not_kept_is_counted_and_lies_in_the_quarantine(lake):
    replies = [
        "",
        "hm",
        "and so on " * 9,
        "Where do I find my invoice in version 0?",
        "A fine new question, is it not?",
    ]

    def script(body, before):
        if body["messages"][-1]["content"] == "Write a new message.":
            return replies[body["seed"] % len(replies)]
        return body["messages"][-1]["content"]

    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(script) as api:
        snapshot = synthesize.fn(lake, "b", writing(), [curated], settings(api.url, instructions=60), 17)
    assert lake.scan(snapshot).collect().height == 0
    found = books(lake, "synthesize")
    reasons = {name.removeprefix("self_instruct_") for (kind, name) in found if kind == "out"}
    assert reasons == {
        "instruction_empty",
        "instruction_too_short",
        "instruction_repetitive",
        "instruction_not_new",
        "answer_copies_question",
    }
    quarantine = lake.read("quarantine", batch="b-synthetic").collect()
    assert quarantine.height == 60
    assert "A fine new question" in " ".join(quarantine["content"])


def test_a_second_run_asks_nothing_and_writes_nothing(lake):
    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(writer) as api:
        first = synthesize.fn(lake, "b", writing(), [curated], settings(api.url), 17)
        asked = len(api.asked)
        assert synthesize.fn(lake, "b", writing(), [curated], settings(api.url), 17) == first
        assert len(api.asked) == asked
        # under another key the step works again, but every answer is in the journal
        again = synthesize.fn(lake, "b", writing(), [curated], settings(api.url, timeout=99), 17)
        assert len(api.asked) == asked
    assert lake.scan(again).collect().height == lake.scan(first).collect().height


def test_later_rounds_show_what_earlier_ones_wrote(lake):
    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(writer) as api:
        synthesize.fn(lake, "b", writing(), [curated], settings(api.url, instructions=70), 17)
    asking = [body["messages"] for body in api.asked if body["messages"][-1]["content"] == "Write a new message."]
    shown = [sum("Invented" in turn["content"] for turn in messages) for messages in asking]
    assert shown == [0] * 64 + [2] * 6


def test_nothing_to_start_from(lake, tiny_model):
    curated = curate(lake, [curated_row(1, split="holdout")])
    snapshot = synthesize.fn(lake, "b", writing(tiny_model), [curated], in_process(), 17)
    assert lake.scan(snapshot).collect().height == 0


def test_mistakes_in_the_settings_are_one_sentence(lake):
    curated = curate(lake, [curated_row(number) for number in range(9)])
    with pytest.raises(EngineError, match=r"its endpoints name no address"):
        synthesize.fn(lake, "b", writing(), [curated], SynthesizeSettings(engine="openai"), 17)
    with pytest.raises(EngineError, match="make vllm-cpu"):
        synthesize.fn(lake, "b", writing(), [curated], SynthesizeSettings(engine="vllm", vllm_python="no/python"), 17)


def test_a_tiny_model_in_the_process_writes_the_same_twice(lake, tiny_model, tmp_path):
    rows = [curated_row(number) for number in range(12)]
    made = []
    for home in (lake, Lake(str(tmp_path / "other"))):
        snapshot = synthesize.fn(home, "b", writing(tiny_model), [curate(home, rows)], in_process(), 17)
        quarantine = home.read("quarantine").sort("id").select("id", "reason", "content").collect()
        made.append((home.scan(snapshot).sort("id").collect(), quarantine))
    assert made[0][0].equals(made[1][0])
    assert made[0][1].equals(made[1][1])
    assert made[0][1].height + made[0][0].height == 4
