"""Pairs and the best of several answers, by what feedback taught and by a judge."""

import json
import random

import numpy as np
import pytest

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from storage.registry import Model, register
from storage.snapshot import Snapshot
from tasks.lm.load import load
from tasks.lm.reward import RewardHead, answer_rewards, newest_reward_head
from tasks.lm.template import encode
from tasks.synthesize import candidates
from tasks.synthesize.method import rounds
from tasks.synthesize.task import synthesize, synthesize_pairs
from tests.tasks.inference.scripted_api import scripted_api
from tests.tasks.synthesize.lakes import books, curate, curated_row, in_process, settings, writer, writing
from tests.tiny_model import make_tiny_model


def register_judge(lake: Lake, folder: str) -> None:
    lm = load(folder)
    size = lm.model.config.hidden_size
    head = RewardHead(np.linspace(-1, 1, size), 0.0, np.zeros(size), np.full(size, 0.1))
    home = lake.folder("models", "reward-1")
    head.save(home)
    judge = Model(
        id="reward-1",
        kind="head",
        stage="reward",
        path=str(home),
        template_hash=lm.template_hash,
        settings={"model": folder, "max_tokens": 128},
    )
    register(lake, judge, batch="b")


def make_pairs(lake: Lake, start: str, asked: SynthesizeSettings, champion: str | None = None) -> Snapshot:
    dpo_starts_from = Model(id="sft-1", kind="lm", stage="sft", path=start, template_hash="t")
    serves = Model(id="base-1", kind="lm", stage="base", path=champion or start, template_hash="t")
    return synthesize_pairs.fn(lake, "b", dpo_starts_from, serves, asked, 17)


def rewards(lake: Lake, folder: str, conversations: list[list[dict]]) -> list[float]:
    lm, (_, head) = load(folder), newest_reward_head(lake)
    return answer_rewards(lm, head, [encode(lm.tokenizer, messages, 128) for messages in conversations]).tolist()


def test_pairs_prefer_what_the_reward_head_prefers(lake, tiny_model):
    curate(lake, [curated_row(number, split="train" if number % 2 else "holdout") for number in range(12)], batch="b")
    register_judge(lake, tiny_model)
    snapshot = make_pairs(lake, tiny_model, in_process(max_new_tokens=128, samples=6))
    rows = lake.scan(snapshot).collect()
    found = books(lake, "synthesize_pairs")
    assert found["in", "rows"] == 6
    assert found["out", "pairs"] == rows.height > 0
    assert found["fact", "sent"] == 36
    for row in rows.iter_rows(named=True):
        assert (row["kind"], row["origin"], row["split"], row["model"]) == ("pair", "best_of_n", "train", "sft-1")
        assert row["off_policy"] is False
        answered = [[*row["prompt"], {"role": "assistant", "content": row[name]}] for name in ("chosen", "rejected")]
        better, worse = rewards(lake, tiny_model, answered)
        assert better > worse
        assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]
        assert int(row["target_id"].removeprefix("row-")) % 2


def test_pairs_are_sampled_from_the_model_itself_even_when_there_is_an_endpoint(lake, tiny_model):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    register_judge(lake, tiny_model)
    with scripted_api(writer) as api:
        auto = in_process(engine="auto", endpoints=(api.url,), vllm_python="no/python", pairs=2)
        make_pairs(lake, tiny_model, auto)
        assert not api.asked


def judging(body, before):
    """A model that answers, and as a judge prefers the answer that comes first in the alphabet."""
    asked = body["messages"][-1]["content"]
    if "<answer A>" not in asked:
        return random.Random(body["seed"]).choice(["Open Settings.", "Ask support.", "Write to them."])
    first, second = (asked.split(f"<answer {name}>\n")[1].split("\n</answer")[0] for name in "AB")
    return '{"better": "A"}' if first < second else '{"better": "B"}'


def test_an_endpoint_may_write_pairs_and_judge_them_and_then_they_are_off_policy(lake, tiny_model, caplog):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    with scripted_api(judging) as api, caplog.at_level("INFO"):
        asked = settings(api.url, pairs_from="engine", judge="comparisons")
        rows = lake.scan(make_pairs(lake, tiny_model, asked)).collect()
    assert rows.height >= 3
    assert set(rows["off_policy"]) == {True}
    assert set(rows["model"]) == {"scripted"}
    assert all(row["chosen"] < row["rejected"] for row in rows.iter_rows(named=True))
    assert books(lake, "synthesize_pairs")["fact", "sent"] == len(api.asked) > 24
    assert caplog.text.count("scripted answers, by openai") == 1  # opened once, for both


def test_the_champion_judges_what_the_start_of_dpo_wrote(lake, tiny_model, tmp_path, caplog):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    champion = str(make_tiny_model(tmp_path / "serving", seed=1))
    with caplog.at_level("INFO"):
        make_pairs(lake, tiny_model, in_process(judge="comparisons", pairs=2), champion)
    opened = [record.message for record in caplog.records if "answers, by" in record.message]
    assert opened == ["synthesize: tiny answers, by transformers", "synthesize: serving answers, by transformers"]


def test_the_engine_that_writes_pairs_is_by_default_the_champion(lake, tiny_model, tmp_path):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    register_judge(lake, tiny_model)
    champion = str(make_tiny_model(tmp_path / "serving", seed=1))
    asked = in_process(pairs_from="engine", max_new_tokens=128, samples=6)
    rows = lake.scan(make_pairs(lake, tiny_model, asked, champion)).collect()
    assert set(rows.select("model", "off_policy").iter_rows()) == {("serving", True)}


@pytest.mark.parametrize("pairs_from", ["start", "engine"])
def test_answers_and_judge_spend_from_one_budget(lake, tiny_model, pairs_from):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    asked = {"judge": "comparisons", "pairs_from": pairs_from, "samples": 6, "max_new_tokens": 128}
    with scripted_api(judging) as api:
        served = {"engine": "auto", "endpoints": (api.url,), "vllm_python": "no/python"}
        make_pairs(lake, tiny_model, in_process(**asked, **served, budget_requests=6 * 6))
    assert not any("<answer A>" in str(body) for body in api.asked)
    found = books(lake, "synthesize_pairs")
    assert found["fact", "sent"] == 36
    assert found["fact", "judge_no_answer"] > 0


def test_the_best_of_n_goes_by_the_reward_head(lake, tiny_model, monkeypatch):
    loaded = []
    monkeypatch.setattr(candidates, "load", lambda name: loaded.append(name) or load(name))
    monkeypatch.setattr(rounds, "__defaults__", (2,))  # prompts of a round
    register_judge(lake, tiny_model)
    curated = curate(lake, [curated_row(number) for number in range(12)])
    with scripted_api(judging) as api:
        asked = settings(api.url, instructions=0, best_of_n=6)
        rows = lake.scan(synthesize.fn(lake, "b", writing(), [curated], asked, 17)).collect()
    assert rows.height >= 3
    assert set(rows["method"]) == {"best_of_n"}
    assert rows["prompt_of"].to_list() == rows["seed_ids"].list.first().to_list()
    found = [json.loads(details)["score"] for details in rows["metadata"]]
    assert found == pytest.approx(rewards(lake, tiny_model, rows["messages"].to_list()), abs=1e-4)
    assert loaded == [tiny_model]  # once for all rounds


def test_the_books_say_what_best_of_n_lost_on_the_way(lake):
    curated = curate(lake, [curated_row(number) for number in range(12)])

    def of_few_words(body, before):
        judged = "<answer A>" in body["messages"][-1]["content"]
        return "Both." if judged else "" if body["seed"] % 2 else f"Open page {body['seed']}."

    with scripted_api(of_few_words) as api:
        asked = settings(api.url, instructions=0, best_of_n=6, judge="comparisons")
        synthesize.fn(lake, "b", writing(), [curated], asked, 17)
    answers = [body for body in api.asked if "<answer A>" not in str(body)]
    found = books(lake, "synthesize")
    assert found["fact", "best_of_n_answers_empty"] == sum(body["seed"] % 2 for body in answers) > 0
    assert found["fact", "best_of_n_judge_not_parsed"] == len(api.asked) - len(answers) > 0


def test_without_a_reward_head_there_are_no_pairs_and_nothing_is_asked(lake):
    curate(lake, [curated_row(number) for number in range(12)], batch="b")
    snapshot = make_pairs(lake, "nowhere", in_process())
    assert lake.scan(snapshot).collect().height == 0
    assert books(lake, "synthesize_pairs") == {("in", "rows"): 6, ("out", "no_reward_head"): 6}
