"""What the judge says becomes scores of both models, and length does not win."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import expit, logit

from tasks.evaluate.judged import at_equal_length, judged
from tasks.inference.client import Client
from tasks.inference.endpoint import connect
from tasks.inference.journal import open_journal
from tests.tasks.inference.scripted_api import scripted_api

PROMPT = [{"role": "user", "content": "What is 2 + 3?"}]
MARKS = '{"relevance": 5, "accuracy": %d, "fluency": 4, "completeness": 4, "safety": 5}'


def judge(text: str) -> str:
    """Likes the answer that says five; does not understand riddles."""
    if shown := re.search(r"<answer A>\n(.*)\n</answer A>\n\n<answer B>\n(.*)\n</answer B>", text, re.DOTALL):
        first, second = shown.groups()
        if "?" in first + second:
            return "I cannot tell."
        better = "tie" if ("5" in first) == ("5" in second) else "A" if "5" in first else "B"
        return f'{{"better": "{better}"}}'
    return MARKS % (5 if "5</answer>" in text.replace("\n", "") else 1)


def test_wins_and_marks_are_scores_of_both(tmp_path: Path) -> None:
    items = {"item": ["a", "b", "c"], "messages": [PROMPT] * 3}
    old = pl.DataFrame(items | {"answer": ["It is 6", "It is 5", "Is it?"]})
    new = pl.DataFrame(items | {"answer": ["It is 5", "5", "It is 5"]})
    with scripted_api(lambda body, _: judge(body["messages"][0]["content"])) as api, open_journal(tmp_path) as journal:
        client = Client(connect([api.url], model=None, key=None, retries=0), journal)
        before, after, figures = judged(old, new, client, 1)
    assert dict(after.filter(metric="judge_win").select("item", "value").iter_rows()) == {"a": 1, "b": 0.5}
    assert dict(before.filter(metric="judge_win").select("item", "value").iter_rows()) == {"a": 0, "b": 0.5}
    assert before.filter(metric="judged_accuracy")["value"].to_list() == [1, 5, 1]
    assert after.filter(metric="judged_accuracy")["value"].to_list() == [5, 5, 5]
    assert figures["judge_win_rate"] == 0.75
    assert figures["judge:not_parsed"] == 2


def test_what_length_explains_is_no_win() -> None:
    generator = np.random.default_rng(1)
    longer = generator.normal(100, 300, 20_000)
    for theta in (0.0, 0.7):
        chance = expit(theta + 2 * np.tanh(longer / longer.std()))
        won = (generator.random(len(longer)) < chance).astype(float)
        assert won.mean() > expit(theta)
        assert logit(at_equal_length(won, longer)) == pytest.approx(theta, abs=0.06)


def test_without_a_difference_in_length_the_rate_is_the_rate() -> None:
    won = np.array([1.0, 0.5, 0.0, 1.0] * 100)
    assert at_equal_length(won, np.zeros(400)) == pytest.approx(won.mean(), abs=1e-3)
    assert at_equal_length(np.ones(0), np.ones(0)) == 0.5
