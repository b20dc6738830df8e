"""Scoring on a lake, with a tiny model: books, scores, and a reward head from feedback."""

import logging
import math
from pathlib import Path

import pytest
import torch

from configs.settings import ScoreSettings
from storage import registry
from storage.lake import Lake
from tasks.lm.load import load
from tasks.lm.reward import answer_rewards, newest_reward_head
from tasks.lm.template import encode
from tasks.score.task import score
from tests.rows import write
from tests.tiny_model import make_tiny_model

SETTINGS = ScoreSettings(min_feedback=20, max_tokens=64)
GOOD, BAD = "Of course: here is the address.", "xq zzv wkp!"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("score") / "model"))


def talk(id: str, answer: str = GOOD, origin: str = "user") -> dict:
    messages = [{"role": "user", "content": f"Question {id}?"}, {"role": "assistant", "content": answer}]
    return {"id": id, "kind": "conversation", "origin": origin, "messages": messages}


def thumbs(count: int, split: str = "train", prefix: str = "p") -> list[dict]:
    return [
        {
            "id": f"{prefix}{at}", "kind": "label", "origin": "thumb", "target_id": f"t{at}", "split": split,
            "prompt": [{"role": "user", "content": f"Question {at}?"}],
            "chosen": f"{GOOD} {at}" if at % 2 else f"{BAD} {at}", "label": bool(at % 2),
        }
        for at in range(count)
    ]  # fmt: skip


def scored(lake: Lake, model: str, rows: list[dict], labels: list[dict], settings: ScoreSettings = SETTINGS, batch="1"):
    scrubbed = write(lake, "scrubbed", batch, rows)
    sides = [{"id": row["id"], "group": row["id"], "split": "train"} for row in rows if row["origin"] != "feedback"]
    splits = write(lake, "splits", batch, sides)
    preferences = write(lake, "preferences", batch, labels) if labels else None
    found = score.fn(lake, scrubbed, [], splits, preferences, settings, model, 3)
    return {row["id"]: row for row in lake.scan(found).collect().iter_rows(named=True)}


def test_only_unique_conversations_and_documents_are_curated(tmp_path, model):
    lake = Lake(str(tmp_path / "lake"))
    write(lake, "duplicates", "0", [{"id": "b", "kept_id": "a"}])
    document = {**talk("d"), "kind": "document", "messages": [{"role": "document", "content": "The printer is off."}]}
    found = scored(lake, model, [talk("a"), talk("b"), document, talk("f", origin="feedback")], [])
    assert sorted(found) == ["a", "d"]
    assert found["a"]["split"] == "train"
    assert found["a"]["chars"] == len("Question a?\n" + GOOD)
    assert found["d"]["answer_loss"] is None
    assert found["a"]["ifd"] is None
    assert found["a"]["reward"] is None
    books = lake.read("books").select("kind", "name", "value").collect().rows()
    assert sorted(books) == [("in", "rows", 3.0), ("out", "curated", 2.0), ("out", "duplicates", 1.0)]


def test_perplexity_and_ifd_are_those_of_a_direct_calculation(tmp_path, model):
    settings = SETTINGS.model_copy(update={"ifd": True})
    found = scored(Lake(str(tmp_path / "lake")), model, [talk("a"), talk("b", answer=BAD)], [], settings)
    lm = load(model)
    double = lm.model.double()
    for id, answer in (("a", GOOD), ("b", BAD)):
        row = encode(lm.tokenizer, talk(id, answer)["messages"], SETTINGS.max_tokens)
        with torch.no_grad():
            logs = torch.log_softmax(double(torch.tensor([row.input_ids])).logits[0, :-1], -1)
        losses = [-float(logs[at, token]) for at, token in enumerate(row.input_ids[1:])]
        text = [loss for loss, on in zip(losses, row.text[1:], strict=True) if on]
        said = [loss for loss, on in zip(losses, row.answer[1:], strict=True) if on]
        assert found[id]["perplexity"] == pytest.approx(math.exp(sum(text) / len(text)), rel=1e-4)
        assert found[id]["answer_loss"] == pytest.approx(sum(said) / len(said), rel=1e-4)

        alone = lm.tokenizer(f"<|bos|>{answer}<|im_end|>")["input_ids"]
        with torch.no_grad():
            logs = torch.log_softmax(double(torch.tensor([alone])).logits[0, :-1], -1)
        losses = [-float(logs[at, token]) for at, token in enumerate(alone[1:])]
        assert found[id]["ifd"] == pytest.approx(sum(said) / len(said) / (sum(losses) / len(losses)), rel=1e-4)


def test_a_reward_head_is_trained_on_feedback_and_used(tmp_path, model):
    lake = Lake(str(tmp_path / "lake"))
    found = scored(lake, model, [talk("a"), talk("b", answer=BAD)], thumbs(60))
    assert found["a"]["reward"] > 0.8 > 0.2 > found["b"]["reward"]
    registered, head = newest_reward_head(lake)
    assert registered.settings["model"] == model
    assert registered.metrics["accuracy"] > 0.9
    lm = load(registered.settings["model"])
    rows = [encode(lm.tokenizer, talk(id, answer)["messages"], 64) for id, answer in (("a", GOOD), ("b", BAD))]
    assert answer_rewards(lm, head, rows) == pytest.approx([found["a"]["reward"], found["b"]["reward"]], abs=1e-5)


def test_the_same_feedback_trains_no_second_head(tmp_path, model):
    lake = Lake(str(tmp_path / "lake"))
    first = scored(lake, model, [talk("a")], thumbs(60), batch="1")
    again = scored(lake, model, [talk("b")], [], batch="1-synthetic")
    assert registry.models(lake).height == 1
    assert again["b"]["reward"] == pytest.approx(first["a"]["reward"], abs=0.1)
    scored(lake, model, [talk("c")], thumbs(10, prefix="q"), batch="2")
    assert registry.models(lake).height == 2


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (thumbs(10), "10 pieces of feedback on the training side, 20 are needed"),
        (thumbs(60, split="holdout"), "0 pieces of feedback on the training side"),
        ([row for row in thumbs(60) if row["label"]], "all feedback says the same"),
        ([{**row, "origin": "best_of_n"} for row in thumbs(60)], "0 pieces of feedback"),
    ],
)
def test_without_enough_feedback_there_is_no_head_and_the_log_says_why(tmp_path, model, labels, reason, caplog):
    with caplog.at_level(logging.INFO):
        found = scored(Lake(str(tmp_path / "lake")), model, [talk("a")], labels)
    assert found["a"]["reward"] is None
    assert f"no reward head: {reason}" in caplog.text


def test_nothing_that_is_switched_off_is_computed(tmp_path):
    settings = ScoreSettings(perplexity=False, reward=False)
    found = scored(Lake(str(tmp_path / "lake")), "/no/such/model", [talk("a")], thumbs(60), settings)
    assert found["a"]["perplexity"] is None
    assert found["a"]["chars"] > 0


def test_reward_without_perplexity(tmp_path, model):
    settings = ScoreSettings(perplexity=False, min_feedback=20, max_tokens=64)
    found = scored(Lake(str(tmp_path / "lake")), model, [talk("a")], thumbs(60), settings)
    assert found["a"]["reward"] > 0.8
    assert found["a"]["perplexity"] is None


def test_scoring_leaves_no_work_behind(tmp_path, model):
    lake = Lake(str(tmp_path / "lake"))
    scored(lake, model, [talk("a")], [])
    assert list(lake.folder("work").iterdir()) == []


def test_an_empty_batch(tmp_path):
    assert scored(Lake(str(tmp_path / "lake")), "/no/such/model", [], []) == {}


def test_a_conversation_that_the_template_refuses_has_no_scores(tmp_path):
    folder = make_tiny_model(tmp_path / "model")
    template = Path(folder / "chat_template.jinja")
    refusing = "{% if messages[0]['role'] == 'tool' %}{{ raise_exception('no') }}{% endif %}"
    template.write_text(refusing + template.read_text())
    tool = {**talk("b"), "messages": [{"role": "tool", "content": "x"}, {"role": "assistant", "content": "y"}]}
    found = scored(Lake(str(tmp_path / "lake")), str(folder), [talk("a"), tool], [])
    assert found["b"]["perplexity"] is None
    assert found["a"]["perplexity"] > 0
