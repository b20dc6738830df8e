"""Metrics of answers, each on answers that show what it is for."""

import json
from typing import Any

import polars as pl
import pytest

from tasks.evaluate.answers import MEASURES, measures, written
from tasks.evaluate.score import SCORE


def value(
    metric: str, answer: str, prompt: str = "What is the capital of France, and why?", **more: Any
) -> float | None:
    """Of one answer."""
    row = {"item": "a", "prompt": prompt, "answer": answer, "finished": True, "reference": None} | more
    found: float | None = MEASURES[metric](pl.DataFrame([row])).item()
    return found


@pytest.mark.parametrize(
    ("metric", "answer", "expected"),
    [
        ("empty_rate", " \n", 1),
        ("empty_rate", "Paris.", 0),
        ("refusal_rate", "I am sorry, but I cannot help with that.", 1),
        ("refusal_rate", "It is Paris.", 0),
        ("language_match", "The capital of France is Paris.", 1),
        ("language_match", "法国的首都是巴黎，因为那里是政府所在地。", 0),
        ("language_match", "42", 1),
        ("repetition", "go on and go on and go on and", 4 / 7),
        ("repetition", "", 0),
    ],
)
def test_each_metric_says_what_it_is_for(metric: str, answer: str, expected: float) -> None:
    assert value(metric, answer) == pytest.approx(expected)


def test_an_answer_that_was_cut_did_not_stop() -> None:
    assert value("stop_rate", "And so on and", finished=False) == 0


def test_a_prompt_without_a_language_says_nothing_about_the_answer() -> None:
    assert value("language_match", "Five.", prompt="2 + 3 =") is None


def test_answers_are_read_back_with_their_references() -> None:
    output = json.dumps({"prompt": "Why?", "answer": "So.", "finished": True})
    row = {"metric": "answer_tokens", "item": "a", "value": 2.0, "weight": 1.0, "output": output}
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}]
    items = pl.DataFrame([{"item": "a", "messages": turns}])
    found = written(pl.DataFrame([row], schema=SCORE), items)
    assert found.row(0, named=True) == {
        "item": "a", "prompt": "Why?", "answer": "So.", "finished": True, "reference": "Because."
    }  # fmt: skip
    assert measures(found).height == len(MEASURES)
    assert measures(found.clear()).is_empty()
