"""Champion and challenger on held-out answers that somebody endorsed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForSequenceClassification

from configs.evidence import JudgeSettings
from configs.settings import EvaluateSettings, ScoreSettings, SelectSettings
from storage.lake import Lake
from storage.publish import conform, publish
from storage.registry import Model, register
from tasks.evaluate.task import evaluate
from tasks.lm.classify import load_classifier, rewards
from tasks.lm.load import load
from tests.tasks.inference.scripted_api import scripted_api
from tests.tiny_model import make_tiny_model

SETTINGS = EvaluateSettings(samples=4, max_new_tokens=8, max_tokens=64)
SELECT = SelectSettings(drop_thumbs_down=False)


def message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "name": None, "tool_calls": None, "tool_call_id": None}


def conversation(row_id: str, domain: str, *, kind: str = "conversation") -> dict[str, Any]:
    turns = [message("user", f"Question {row_id}?"), message("assistant", f"Answer {row_id}.")]
    return {
        "id": row_id,
        "kind": kind,
        "conversation_id": f"talk-{row_id}",
        "source": "app",
        "language": "en",
        "domain": domain,
        "origin": "user",
        "messages": turns if kind == "conversation" else [message("document", f"The text of {row_id}.")],
    }


def preference(target: str, **fields: Any) -> dict[str, Any]:
    given = {"id": f"p-{target}-{fields.get('origin')}-{fields.get('chosen')}", "target_id": target, "split": "holdout"}
    return {**given, "prompt": [message("user", f"Question {target}?")], "chosen": f"Answer {target}.", **fields}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Model]:
    folder = tmp_path_factory.mktemp("models")
    paths = [make_tiny_model(folder / name, hidden=32, layers=1, seed=seed) for seed, name in enumerate(("old", "new"))]
    return Model("new", "lm", "sft", str(paths[1]), "t"), Model("old", "lm", "base", str(paths[0]), "t")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    own = [conversation(name, "product") for name in ("liked", "edited", "disliked", "disputed", "trained", "silent")]
    general = [conversation("fact", "general"), conversation("page", "general", kind="document")]
    write(found, "scrubbed", own + general)
    write(found, "curated", [{**row, "split": "holdout"} for row in own + general])
    write(found, "splits", [{"id": row["id"], "group": "cluster", "split": "holdout"} for row in own[:1]])
    write(
        found,
        "preferences",
        [
            preference("liked", kind="label", origin="thumb", label=True),
            preference("edited", kind="pair", origin="edit", chosen="Better answer.", rejected="Answer edited."),
            preference("disliked", kind="label", origin="thumb", label=False),
            preference("disputed", kind="label", origin="thumb", label=True, id="up"),
            preference("disputed", kind="label", origin="thumb", label=False, id="down"),
            preference("trained", kind="label", origin="thumb", label=True, split="train"),
            preference("silent", kind="pair", origin="best_of_n", rejected="No."),
            preference("fact", kind="label", origin="thumb", label=True),
        ],
    )
    return found


def write(lake: Lake, table: str, rows: list[dict[str, Any]], batch: str = "0001") -> None:
    frame = conform(table, pl.DataFrame(rows, infer_schema_length=None))
    publish(lake, table, frame.drop("batch", "step"), step=table, batch=batch, key="ab" * 16)


def test_only_endorsed_held_out_answers_of_our_own_traffic_count(lake: Lake, models: tuple[Model, Model]) -> None:
    rows = lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1)).collect()
    assert rows["id"].is_unique().all()
    count = dict(rows.filter(model="new").group_by("metric").len().iter_rows())
    assert count["holdout_loss"] == 2
    assert count["general_loss"] == 2
    assert count["preference_accuracy"] == 1
    assert count["stop_rate"] == count["empty_rate"] == count["repetition"] == count["answer_tokens"] == 3
    assert set(rows.filter(metric="holdout_loss")["group"]) == {"cluster", "edited"}
    assert rows.filter(metric="holdout_loss")["value"].is_between(3, 9).all()
    slices = rows.filter(metric="holdout_loss").select("language", "domain", "source", "since").unique()
    assert slices.rows() == [("en", "product", "app", "0001")]


def test_both_models_are_scored_on_the_same_items(lake: Lake, models: tuple[Model, Model]) -> None:
    rows = lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1)).collect()
    old, new = (rows.filter(model=name).select("metric", "item", "group", "weight") for name in ("old", "new"))
    assert old.sort("metric", "item").equals(new.sort("metric", "item"))
    samples = [json.loads(text) for text in rows["output"].drop_nulls()]
    assert {sample["prompt"] for sample in samples} == {"Question liked?", "Question edited?", "Question fact?"}


def test_scores_that_are_there_are_taken_over(lake: Lake, models: tuple[Model, Model], tmp_path: Path) -> None:
    first = lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1)).collect()
    champion = models[1]
    gone = Model("new", "lm", "sft", str(tmp_path / "gone"), "t")
    third = Model("third", "lm", "sft", champion.path, "t")
    again = lake.scan(evaluate.fn(lake, "0002", third, gone, SETTINGS, SELECT, 1)).collect()
    assert again.filter(model="new").drop("batch").sort("id").equals(first.filter(model="new").drop("batch").sort("id"))
    facts = {row[0]: row[1] for row in lake.read("books", batch="0002").select("name", "value").collect().iter_rows()}
    assert facts["reused"] == 8


def test_the_same_batch_again_scores_nothing(lake: Lake, models: tuple[Model, Model]) -> None:
    first = evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1)
    gone = (Model("new", "lm", "sft", "/nowhere", "t"), Model("old", "lm", "base", "/nowhere", "t"))
    assert evaluate.fn(lake, "0001", *gone, SETTINGS, SELECT, 1).version == first.version


def test_nothing_held_out_is_no_error(tmp_path: Path, models: tuple[Model, Model]) -> None:
    lake = Lake(str(tmp_path / "empty"))
    assert lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1)).collect().is_empty()


def test_the_first_model_is_scored_on_general_text_only(lake: Lake, models: tuple[Model, Model]) -> None:
    challenger, champion = models
    beginning = Model("first", "lm", "base", champion.path, "t")
    register(lake, beginning, batch="base")
    child = replace(challenger, parent="first")
    rows = lake.scan(evaluate.fn(lake, "0001", child, champion, SETTINGS, SELECT, 1)).collect()
    assert rows.filter(model="first")["metric"].unique().to_list() == ["general_loss"]
    assert rows.filter(model="first").height == 2


def adapted(folder: Path, parent: Model, *, spoilt: bool = False) -> Path:
    """A model trained by an adapter: merged, with the adapter beside it."""
    lm = load(parent.path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        trained = get_peft_model(lm.model, config)
    trained.save_pretrained(str(folder / "adapter"))
    merged = load(parent.path).model if spoilt else trained.merge_and_unload()
    merged.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("spoilt", "least", "most"), [(False, 0.99, 1.0), (True, 0.0, 0.9)])
def test_a_merge_that_lost_its_adapter_is_seen(
    lake: Lake, models: tuple[Model, Model], tmp_path: Path, spoilt: bool, least: float, most: float
) -> None:
    champion = models[1]
    register(lake, champion, batch="base")
    path = adapted(tmp_path / "merged", champion, spoilt=spoilt)
    challenger = Model("merged", "lm", "sft", str(path), "t", parent="old")
    rows = lake.scan(evaluate.fn(lake, "0001", challenger, champion, SETTINGS, SELECT, 1)).collect()
    agree = rows.filter(metric="merge_agreement")
    assert agree["model"].unique().to_list() == ["merged"]
    assert least <= (agree["value"] * agree["weight"]).sum() / agree["weight"].sum() <= most


def test_an_item_that_a_model_was_trained_on_before_leaves_the_holdout(
    lake: Lake, models: tuple[Model, Model], caplog: pytest.LogCaptureFixture
) -> None:
    challenger, champion = models
    asked = [message("user", "  QUESTION liked ?")]
    row = {"id": "old", "stage": "sft", "prompt": asked, "completion": [message("assistant", "Other words.")]}
    write(lake, "mixtures", [row], "mixture-1")
    page = {"id": "doc", "stage": "cpt", "text": "The text of page."}
    write(lake, "mixtures", [page], "mixture-2")
    write(lake, "mixtures", [{**row, "id": "x", "prompt": [message("user", "Question edited?")]}], "of nobody")
    register(lake, replace(champion, id="grandparent", mixture="mixture-2"), batch="0000")
    register(lake, replace(champion, id="old", parent="grandparent", mixture="mixture-1"), batch="0000")
    taught = replace(champion, parent="grandparent", mixture="mixture-1")
    register(lake, challenger, batch="0000")
    evaluations = lake.scan(
        evaluate.fn(lake, "0001", replace(challenger, parent="old"), taught, SETTINGS, SELECT, 1)
    ).collect()
    assert evaluations.filter(metric="holdout_loss")["item"].n_unique() == 1
    assert evaluations.filter(metric="general_loss")["item"].n_unique() == 1
    assert "trained on before" in caplog.text
    facts = lake.read("books", step="evaluate").filter(pl.col("name") == "trained_before").collect()
    assert facts["value"].to_list() == [3.0]


def test_an_answer_that_nobody_may_learn_from_is_no_test_either(lake: Lake, models: tuple[Model, Model]) -> None:
    refused = conversation("refused", "product") | {"split": "holdout", "refusal": True, "chars": 50}
    write(lake, "scrubbed", [conversation("refused", "product")], "0002")
    write(lake, "curated", [refused], "0002")
    write(lake, "preferences", [preference("refused", kind="label", origin="thumb", label=True)], "0002")
    rows = lake.scan(evaluate.fn(lake, "0002", *models, SETTINGS, SELECT, 1)).collect()
    assert set(rows.filter(metric="holdout_loss")["since"]) == {"0001"}
    facts = dict(lake.read("books", batch="0002", step="evaluate").select("name", "value").collect().iter_rows())
    assert facts["left_out:refusal"] == 1
    trusting = SELECT.model_copy(update={"drop_refusals": False})
    rows = lake.scan(evaluate.fn(lake, "0002", *models, SETTINGS, trusting, 1)).collect()
    assert set(rows.filter(metric="holdout_loss")["since"]) == {"0001", "0002"}


def test_what_came_later_is_no_item_of_an_earlier_batch(lake: Lake, models: tuple[Model, Model]) -> None:
    write(lake, "preferences", [preference("silent", kind="label", origin="thumb", label=True)], "0002")
    rows = lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1)).collect()
    assert rows.filter(model="new", metric="holdout_loss").height == 2


def test_a_judge_compares_the_answers_of_both_models(lake: Lake, models: tuple[Model, Model]) -> None:
    marks = '{"relevance": 5, "accuracy": 4, "fluency": 4, "completeness": 3, "safety": 5}'

    def judge(body: dict[str, Any], _: int) -> str:
        return '{"better": "A"}' if "<answer B>" in body["messages"][0]["content"] else marks

    with scripted_api(judge) as api:
        settings = SETTINGS.model_copy(update={"judge": JudgeSettings(enabled=True, endpoints=(api.url,))})
        rows = lake.scan(evaluate.fn(lake, "0001", *models, settings, SELECT, 1)).collect()
    assert rows.filter(metric="judge_win")["value"].to_list() == [0.5] * 6  # the first place always wins: ties
    assert rows.filter(metric="judged_completeness").group_by("model").len()["len"].to_list() == [3, 3]
    facts = dict(lake.read("books", step="evaluate").select("name", "value").collect().iter_rows())
    assert facts["judge_win_rate"] == 0.5


def test_without_its_judge_a_night_goes_on(
    lake: Lake, models: tuple[Model, Model], caplog: pytest.LogCaptureFixture
) -> None:
    nobody = JudgeSettings(enabled=True, endpoints=("http://127.0.0.1:9/v1",))
    rows = lake.scan(
        evaluate.fn(lake, "0001", *models, SETTINGS.model_copy(update={"judge": nobody}), SELECT, 1)
    ).collect()
    assert rows.filter(metric="holdout_loss", model="new").height == 2
    assert rows.filter(metric="judge_win").is_empty()
    assert "the judge says nothing: No OpenAI-compatible API answers at http://127.0.0.1:9/v1" in caplog.text


def test_a_reward_model_rewards_the_answers_of_both(lake: Lake, models: tuple[Model, Model], tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "likes")
    torch.manual_seed(3)
    LlamaForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    scoring = ScoreSettings(reward_model=str(folder), max_tokens=64)
    rows = lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1, scoring)).collect()
    likes = load_classifier(str(folder))
    for row in rows.filter(metric="answer_tokens").iter_rows(named=True):
        told = json.loads(row["output"])
        asked = [{"role": "user", "content": told["prompt"]}, {"role": "assistant", "content": told["answer"]}]
        found = rows.filter(metric="answer_reward", model=row["model"], item=row["item"])["value"].item()
        assert found == pytest.approx(rewards(likes, [asked], max_tokens=64)[0], abs=1e-5)
    assert rows.filter(metric="answer_reward").height == 6


def test_without_its_reward_model_a_night_goes_on(lake: Lake, models: tuple[Model, Model], tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "away")
    scoring = ScoreSettings(reward_model=str(folder), reward_endpoint="http://127.0.0.1:9")
    rows = lake.scan(evaluate.fn(lake, "0001", *models, SETTINGS, SELECT, 1, scoring)).collect()
    assert rows.filter(metric="holdout_loss", model="new").height == 2
    assert rows.filter(metric="answer_reward").is_empty()
    facts = dict(lake.read("books", step="evaluate").select("name", "value").collect().iter_rows())
    assert facts["reward:unreachable"] == 1
