"""The doors of synthesis, on a lake, with a scripted model; and with a tiny real one in the process."""

import json
import random
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model, register
from storage.snapshot import Snapshot, digest
from storage.tables import TABLES
from tasks.inference.engine import EngineError
from tasks.lm.load import load
from tasks.lm.reward import RewardHead, answer_rewards, newest_reward_head
from tasks.lm.template import encode
from tasks.synthesize.task import synthesize, synthesize_pairs
from tests.tasks.inference.scripted_api import scripted_api
from tests.tiny_model import make_tiny_model

THINGS = ["invoice", "printer", "calendar", "password", "backup", "template", "webhook", "notebook", "table", "export"]
VERBS = [f"{one}{thing}" for one in ("re", "un", "pre") for thing in THINGS]
SYSTEM = "You are the assistant of Quillbay."


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


def curated_row(number: int, **changes) -> dict:
    thing = THINGS[number % len(THINGS)]
    return {
        "id": f"row-{number:03d}",
        "kind": "conversation",
        "source": "chats",
        "occurred_at": datetime(2026, 3, 1, tzinfo=UTC),
        "conversation_id": f"conversation-{number}",
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Where do I find my {thing} in version {number}?"},
            {"role": "assistant", "content": f"The {thing} is in Settings."},
        ],
        "language": "en",
        "domain": "product",
        "origin": "user",
        "split": "train",
        "refusal": False,
        "repetition": 0.0,
    } | changes


def curate(lake: Lake, rows: list[dict], batch: str = "0001-abc") -> Snapshot:
    schema = {name: kind for name, kind in TABLES["curated"].schema.items() if name in rows[0]}
    frame = pl.DataFrame(rows, schema=schema)
    return publish(lake, "curated", frame, step="score", batch=batch, key=digest(str(rows)))


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def writer(body, before):
    """A model that always has a new idea, and answers."""
    asked = body["messages"][-1]["content"]
    if asked != "Write a new message.":
        return f"Here is how: {asked.lower()}"
    return "Invented: " + " ".join(random.Random(body["seed"]).sample(VERBS, 5)) + "?"


def settings(url: str, **changes) -> SynthesizeSettings:
    return SynthesizeSettings(**{"engine": "openai", "endpoints": (url,), "instructions": 12, "pairs": 6} | changes)


def books(lake: Lake, step: str) -> dict[tuple[str, str], float]:
    rows = lake.read("books", step=step).collect()
    return {(row["kind"], row["name"]): row["value"] for row in rows.iter_rows(named=True)}


def test_new_conversations_have_the_canonical_shape_and_their_provenance(lake):
    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(writer) as api:
        snapshot = synthesize.fn(lake, "0001-abc", "unused", [curated], settings(api.url), 17)
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
        synthesize.fn(lake, "b", "unused", [curated], settings(api.url, instructions=2), 17)
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
        synthesize.fn(lake, "b", "unused", [curate(lake, rows)], settings(api.url), 17)
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
        snapshot = synthesize.fn(lake, "b", "unused", [curate(lake, english + german)], settings(api.url), 17)
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
        snapshot = synthesize.fn(lake, "b", "unused", [curated], settings(api.url, instructions=60), 17)
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
        first = synthesize.fn(lake, "b", "unused", [curated], settings(api.url), 17)
        asked = len(api.asked)
        assert synthesize.fn(lake, "b", "unused", [curated], settings(api.url), 17) == first
        assert len(api.asked) == asked
        # under another key the step works again, but every answer is in the journal
        again = synthesize.fn(lake, "b", "unused", [curated], settings(api.url, timeout=99), 17)
        assert len(api.asked) == asked
    assert lake.scan(again).collect().height == lake.scan(first).collect().height


def test_later_rounds_show_what_earlier_ones_wrote(lake):
    curated = curate(lake, [curated_row(number) for number in range(30)])
    with scripted_api(writer) as api:
        synthesize.fn(lake, "b", "unused", [curated], settings(api.url, instructions=70), 17)
    asking = [body["messages"] for body in api.asked if body["messages"][-1]["content"] == "Write a new message."]
    shown = [sum("Invented" in turn["content"] for turn in messages) for messages in asking]
    assert shown == [0] * 64 + [2] * 6


def test_nothing_to_start_from(lake, tiny_model):
    curated = curate(lake, [curated_row(1, split="holdout")])
    snapshot = synthesize.fn(lake, "b", tiny_model, [curated], in_process(), 17)
    assert lake.scan(snapshot).collect().height == 0


def test_mistakes_in_the_settings_are_one_sentence(lake):
    curated = curate(lake, [curated_row(number) for number in range(9)])
    with pytest.raises(EngineError, match=r"its endpoints name no address"):
        synthesize.fn(lake, "b", "x", [curated], SynthesizeSettings(engine="openai"), 17)
    with pytest.raises(EngineError, match="make vllm-cpu"):
        synthesize.fn(lake, "b", "x", [curated], SynthesizeSettings(engine="vllm", vllm_python="no/python"), 17)


def in_process(**changes) -> SynthesizeSettings:
    return SynthesizeSettings(
        **{"engine": "transformers", "instructions": 4, "pairs": 6, "max_new_tokens": 8} | changes
    )


def test_a_tiny_model_in_the_process_writes_the_same_twice(lake, tiny_model, tmp_path):
    rows = [curated_row(number) for number in range(12)]
    made = []
    for home in (lake, Lake(str(tmp_path / "other"))):
        snapshot = synthesize.fn(home, "b", tiny_model, [curate(home, rows)], in_process(), 17)
        quarantine = home.read("quarantine").sort("id").select("id", "reason", "content").collect()
        made.append((home.scan(snapshot).sort("id").collect(), quarantine))
    assert made[0][0].equals(made[1][0])
    assert made[0][1].equals(made[1][1])
    assert made[0][1].height + made[0][0].height == 4


def register_judge(lake: Lake, folder: str) -> None:
    lm = load(folder)
    size = lm.model.config.hidden_size
    head = RewardHead(np.linspace(-1, 1, size), 0.0, np.zeros(size), np.full(size, 0.1))
    home = lake.folder("models", "reward-1")
    head.save(home)
    judge = Model(
        id="reward-1",
        kind="reward",
        stage="reward",
        path=str(home),
        template_hash=lm.template_hash,
        settings={"model": folder, "max_tokens": 128},
    )
    register(lake, judge, batch="b")


def model_of(folder: str) -> Model:
    return Model(id="sft-1", kind="lm", stage="sft", path=folder, template_hash="t")


def test_pairs_prefer_what_the_reward_head_prefers(lake, tiny_model):
    curate(lake, [curated_row(number, split="train" if number % 2 else "holdout") for number in range(12)], batch="b")
    register_judge(lake, tiny_model)
    snapshot = synthesize_pairs.fn(lake, "b", model_of(tiny_model), in_process(max_new_tokens=32, samples=6), 17)
    rows = lake.scan(snapshot).collect()
    found = books(lake, "synthesize_pairs")
    assert found["in", "rows"] == 6
    assert found.get(("out", "pairs"), 0) == rows.height
    assert found["fact", "sent"] == 36
    for row in rows.iter_rows(named=True):
        assert (row["kind"], row["origin"], row["split"], row["model"]) == ("pair", "best_of_n", "train", "sft-1")
        assert row["off_policy"] is False
        assert row["chosen"] != row["rejected"]
        assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]
        assert int(row["target_id"].removeprefix("row-")) % 2


def test_pairs_are_sampled_from_the_model_itself_even_when_there_is_an_endpoint(lake, tiny_model):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    register_judge(lake, tiny_model)
    with scripted_api(writer) as api:
        auto = in_process(engine="auto", endpoints=(api.url,), vllm_python="no/python", pairs=2)
        synthesize_pairs.fn(lake, "b", model_of(tiny_model), auto, 17)
        assert not api.asked


def judging(body, before):
    """A model that answers, and as a judge prefers the answer that comes first in the alphabet."""
    asked = body["messages"][-1]["content"]
    if "<answer A>" not in asked:
        return random.Random(body["seed"]).choice(["Open Settings.", "Ask support.", "Write to them."])
    first, second = (asked.split(f"<answer {name}>\n")[1].split("\n</answer")[0] for name in "AB")
    return '{"better": "A"}' if first < second else '{"better": "B"}'


def test_an_endpoint_may_write_pairs_and_judge_them_and_then_they_are_off_policy(lake, tiny_model):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    with scripted_api(judging) as api:
        asked = settings(api.url, pairs_from="engine", judge="comparisons")
        rows = lake.scan(synthesize_pairs.fn(lake, "b", model_of(tiny_model), asked, 17)).collect()
    assert rows.height >= 3
    assert set(rows["off_policy"]) == {True}
    assert set(rows["model"]) == {"scripted"}
    assert all(row["chosen"] < row["rejected"] for row in rows.iter_rows(named=True))
    assert books(lake, "synthesize_pairs")["fact", "judge_sent"] > 0


def test_the_best_of_n_goes_by_the_reward_head(lake, tiny_model):
    register_judge(lake, tiny_model)
    curated = curate(lake, [curated_row(number) for number in range(12)])
    with scripted_api(judging) as api:
        asked = settings(api.url, instructions=0, best_of_n=6)
        rows = lake.scan(synthesize.fn(lake, "b", "unused", [curated], asked, 17)).collect()
    assert rows.height >= 3
    assert set(rows["method"]) == {"best_of_n"}
    assert rows["prompt_of"].to_list() == rows["seed_ids"].list.first().to_list()
    lm, (_, head) = load(tiny_model), newest_reward_head(lake)
    texts = [encode(lm.tokenizer, messages, 128) for messages in rows["messages"].to_list()]
    found = [json.loads(details)["score"] for details in rows["metadata"]]
    assert found == pytest.approx(answer_rewards(lm, head, texts).tolist(), abs=1e-4)


def test_without_a_reward_head_there_are_no_pairs_and_nothing_is_asked(lake):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    snapshot = synthesize_pairs.fn(lake, "b", model_of("nowhere"), in_process(), 17)
    assert lake.scan(snapshot).collect().height == 0
    assert books(lake, "synthesize_pairs") == {("in", "rows"): 6, ("out", "no_reward_head"): 6}
