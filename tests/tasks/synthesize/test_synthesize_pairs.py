"""Pairs and the best of several answers, by what feedback taught and by a judge."""

import json
import random

import numpy as np
import pytest

from storage.lake import Lake
from storage.registry import Model, register
from tasks.lm.load import load
from tasks.lm.reward import RewardHead, answer_rewards, newest_reward_head
from tasks.lm.template import encode
from tasks.synthesize.task import synthesize, synthesize_pairs
from tests.tasks.inference.scripted_api import scripted_api
from tests.tasks.synthesize.lakes import books, curate, curated_row, in_process, settings, writer


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
