"""Preference pairs: several answers of one model to each real prompt, told apart by the reward head."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from configs.settings import SynthesizeSettings
from storage.registry import Model
from storage.snapshot import digest
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.lm.generate import Completion
from tasks.lm.load import load
from tasks.lm.reward import RewardHead, answer_rewards
from tasks.lm.template import Message, encode
from tasks.synthesize.method import assistant, request_seed, sampling
from tasks.synthesize.pairs import choose_pair
from tasks.synthesize.rows import table_frame
from tasks.synthesize.rules import unusable, whole


@dataclass(frozen=True)
class Candidates:
    """The sound and different answers to one prompt."""

    id: str
    prompt: Sequence[Message]
    answers: Sequence[str]


def sample_answers(
    rows: pl.DataFrame, settings: SynthesizeSettings, client: Client, seed: int
) -> tuple[list[Candidates], Counter[str]]:
    """Sample `settings.samples` answers to the prompt of each row.

    Args:
        rows: `id` and `messages` of conversations that end with an answer.
        settings: how many, and how to sample.
        client: what to ask through.
        seed: of the sampling.

    Returns:
        The sound answers to each prompt, and how many were unsound, by reason.
    """
    prompts = [(row["id"], tuple(row["messages"][:-1])) for row in rows.iter_rows(named=True)]
    requests = [
        Request(prompt, request_seed(seed, "best_of_n", name, sample))
        for name, prompt in prompts
        for sample in range(settings.samples)
    ]
    outcomes = [whole(outcome) for outcome in client.ask(requests, sampling(settings), "answers to pair")]
    reasons = Counter(reason for outcome in outcomes if (reason := unusable(outcome)))
    found = []
    for at, (name, prompt) in enumerate(prompts):
        mine = outcomes[at * settings.samples : (at + 1) * settings.samples]
        texts = [one.text for one in mine if isinstance(one, Completion) and not unusable(one)]
        found.append(Candidates(name, prompt, list(dict.fromkeys(texts))))
    return found, reasons


def pair_rows(
    candidates: Sequence[Candidates], writer: Model, judge: Model, head: RewardHead
) -> tuple[pl.DataFrame, Counter[str]]:
    """Rows of the preferences table, and what became of the prompts by reason.

    Args:
        candidates: the answers to each prompt.
        writer: the model that wrote them.
        judge: the registered reward head, which names the model that its features come from.
        head: its weights.
    """
    counts: Counter[str] = Counter()
    rewards = _rewards(candidates, judge, head)
    rows = []
    for one, values in zip(candidates, rewards, strict=True):
        pair = choose_pair(one.answers, values) if len(one.answers) > 1 else "too_few_answers"
        counts[pair if isinstance(pair, str) else "pairs"] += 1
        if not isinstance(pair, str):
            rows.append(_row(one, one.answers[pair.chosen], one.answers[pair.rejected], writer))
    return table_frame("preferences", rows), counts


def _rewards(candidates: Sequence[Candidates], judge: Model, head: RewardHead) -> list[list[float]]:
    texts = [(*one.prompt, assistant(answer)) for one in candidates for answer in one.answers]
    if not texts:
        return [[] for _ in candidates]
    lm = load(judge.settings["model"])
    encoded = [encode(lm.tokenizer, text, judge.settings["max_tokens"]) for text in texts]
    values = iter(answer_rewards(lm, head, encoded).tolist())
    return [[next(values) for _ in one.answers] for one in candidates]


def _row(candidates: Candidates, chosen: str, rejected: str, writer: Model) -> dict[str, Any]:
    return {
        "id": digest("best_of_n", candidates.id, writer.id),
        "kind": "pair",
        "origin": "best_of_n",
        "target_id": candidates.id,
        "split": "train",
        "prompt": list(candidates.prompt),
        "chosen": chosen,
        "rejected": rejected,
        "model": writer.id,
    }
