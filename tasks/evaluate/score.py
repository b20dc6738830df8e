"""Scores of one model on items: losses, preference accuracy, answers."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from configs.settings import EvaluateSettings
from tasks.evaluate.answers import ANSWERED
from tasks.evaluate.items import ANSWERS, LOSSES, PAIRS
from tasks.lm.generate import Completion, generate
from tasks.lm.likelihood import Likelihoods, likelihoods
from tasks.lm.load import LanguageModel
from tasks.lm.template import Encoded, Message, TemplateError, encode, render

SCORE = pl.Schema(
    {
        "metric": pl.String(),
        "item": pl.String(),
        "value": pl.Float64(),
        "weight": pl.Float64(),
        "output": pl.String(),
    }
)


def score(lm: LanguageModel, items: pl.DataFrame, settings: EvaluateSettings, *, seed: int, label: str) -> pl.DataFrame:
    """Score `items` (schema `ITEM`); those that the chat template refuses or that have no answer are left out.

    Args:
        lm: the model.
        items: of any metrics.
        settings: lengths.
        seed: of generation, which is greedy.
        label: what the progress lines say.

    Returns:
        Rows of schema `SCORE`; those of `ANSWERS` hold the answers, see `tasks.evaluate.answers`.
    """
    losses = [_losses(lm, name, items.filter(metric=name), settings.max_tokens, label) for name in LOSSES]
    pairs = _accuracy(lm, items.filter(metric=PAIRS), settings.max_tokens, label)
    answers = _answers(lm, items.filter(metric=ANSWERS), settings.max_new_tokens, seed, label)
    return pl.concat([*losses, pairs, answers])


def score_rows(metric: str | pl.Series, item: pl.Series, value: Any, weight: Any) -> pl.DataFrame:
    """Rows of schema `SCORE` without outputs: n items, values and weights of one metric, or of n."""
    columns = {"metric": metric, "item": item, "value": value, "weight": weight, "output": None}
    rows = pl.DataFrame(columns, strict=False)
    return rows.select(pl.col(name).cast(kind) for name, kind in SCORE.items())


def encoded(lm: LanguageModel, messages: Sequence[Message], max_tokens: int) -> Encoded:
    """Tokens of an item; none where the template refuses it, so that it counts as unscored."""
    try:
        return encode(lm.tokenizer, messages, max_tokens)
    except TemplateError:
        return Encoded([], [], [])


def _losses(lm: LanguageModel, metric: str, items: pl.DataFrame, max_tokens: int, label: str) -> pl.DataFrame:
    """Nats per token of the answer (of a document: of all its text), weighted by its tokens."""
    found = _likelihoods(lm, items["messages"].to_list(), max_tokens, f"{label}: {metric}")
    rows = score_rows(metric, items["item"], _per_token(found), found.answer_tokens)
    return rows.filter(pl.col("weight") > 0)


def _accuracy(lm: LanguageModel, pairs: pl.DataFrame, max_tokens: int, label: str) -> pl.DataFrame:
    """1 where the preferred answer is the likelier one, else 0; per token, or the shorter one would always win."""
    chosen = pairs["messages"].to_list()
    rejected = [
        [*messages[:-1], {**messages[-1], "content": other}]
        for messages, other in zip(chosen, pairs["rejected"].to_list(), strict=True)
    ]
    found = _likelihoods(lm, [*chosen, *rejected], max_tokens, f"{label}: preferences")
    loss, worse = np.split(_per_token(found), 2)
    scored = np.minimum(*np.split(found.answer_tokens, 2)) > 0
    return score_rows(PAIRS, pairs["item"], (loss < worse).astype(float), scored).filter(pl.col("weight") > 0)


def _answers(lm: LanguageModel, items: pl.DataFrame, max_new_tokens: int, seed: int, label: str) -> pl.DataFrame:
    """Greedy answers: how many tokens each has, and the text as output."""
    asked = items.filter(pl.Series([_askable(lm, turns[:-1]) for turns in items["messages"]], dtype=pl.Boolean))
    prompts = [messages[:-1] for messages in asked["messages"].to_list()]
    done = generate(
        lm, prompts, max_new_tokens=max_new_tokens, temperature=0, top_p=1, seed=seed, label=f"{label}: answers"
    )
    outputs = pl.Series([_output(*pair) for pair in zip(prompts, done, strict=True)], dtype=pl.String)
    rows = score_rows(ANSWERED, asked["item"], [float(answer.tokens) for answer in done], np.ones(len(done)))
    return rows.with_columns(output=outputs)


def _likelihoods(lm: LanguageModel, rows: Sequence[Sequence[Message]], max_tokens: int, label: str) -> Likelihoods:
    return likelihoods(lm, [encoded(lm, messages, max_tokens) for messages in rows], label=label)


def _askable(lm: LanguageModel, messages: Sequence[Message]) -> bool:
    try:
        return bool(render(lm.tokenizer, messages, generation=True))
    except TemplateError:
        return False


def _per_token(found: Likelihoods) -> np.ndarray[Any, np.dtype[np.float64]]:
    mean: np.ndarray[Any, np.dtype[np.float64]] = found.answer_loss / np.maximum(found.answer_tokens, 1)
    return mean


def _output(messages: Sequence[Message], answer: Completion) -> str:
    """The last question and the answer."""
    text = {"prompt": messages[-1]["content"] or "", "answer": answer.text, "finished": answer.finished}
    return json.dumps(text, ensure_ascii=False)
