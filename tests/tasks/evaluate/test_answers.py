"""Metrics of answers, each on answers that show what it is for."""

import json
from typing import Any

import polars as pl
import pytest
import sacrebleu
from rouge_score import rouge_scorer

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
    compared = {"stop_rate", "empty_rate", "refusal_rate", "repetition", "bleu", "rouge_l"}
    assert set(measures(found)["metric"]) == compared  # the others say nothing of two words
    assert measures(found.clear()).is_empty()


@pytest.mark.parametrize(
    ("metric", "answer", "reference", "expected"),
    [
        ("exact_match", "So she has 3 + 4 = 7 apples.", "3 + 4 = 7\n#### 7", 1),
        ("exact_match", "She has 8 apples, not 7, so the answer is 8.", "3 + 4 = 7\n#### 7", 0),
        ("exact_match", "It costs $1,200.00 in all", "#### 1200", 1),
        ("exact_match", "\\boxed{-3/4} is what remains of 5", "The result is \\boxed{-3/4}.", 1),
        ("exact_match", "I do not know.", "42", 0),
        ("exact_match", "There are 12 months.", "A year has 12 months.", None),
        ("exact_match", '```json\n{"b": 2, "a": [1]}\n```', '{"a": [1], "b": 2}', 1),
        ("exact_match", "a is 1", '{"a": 1}', 0),
        ("json_shape", '{"name": "Ann", "age": 31}', '{"name": "Bo", "age": 4.5}', 1),
        ("json_shape", '{"name": "Ann", "age": "31"}', '{"name": "Bo", "age": 4}', 0),
        ("json_shape", '{"name": "Ann"}', "Ann", None),
        ("bleu", "the cat sat on the mat", "the cat sat on the mat", 1),
        ("rouge_l", "猫坐在垫子上", "猫坐在垫子上", 1),
        ("rouge_l", "dog", "the cat", 0),
    ],
)
def test_answers_are_compared_with_what_was_endorsed(
    metric: str, answer: str, reference: str, expected: float | None
) -> None:
    found = value(metric, answer, reference=reference)
    assert found == (None if expected is None else pytest.approx(expected))


def test_metrics_agree_with_the_reference_implementations() -> None:
    pairs = [
        ("It is the capital of France, Paris.", "The capital of France is Paris."),
        ("You can change a list but never a tuple.", "A list can be changed, a tuple cannot."),
        ("Nothing in common", "with this one here"),
    ]
    rouge = rouge_scorer.RougeScorer(["rougeL"])
    for answer, reference in pairs:
        expected = rouge.score(reference, answer)["rougeL"].fmeasure
        assert value("rouge_l", answer, reference=reference) == pytest.approx(expected)
        assert value("bleu", answer, reference=reference) == sacrebleu.sentence_bleu(answer, [reference]).score / 100
