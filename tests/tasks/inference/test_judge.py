"""The judge: a preference counts only in both orders, marks are whole, and what is not understood is counted."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inference.client import Client
from tasks.inference.endpoint import connect
from tasks.inference.journal import open_journal
from tasks.inference.judge import Answer, Conduct, Pair, Quality, Wins, compare, rate, wins
from tests.tasks.inference.scripted_api import scripted_api

PROMPT = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 3?"})


@pytest.fixture
def judged(tmp_path):
    """Run a function with a client whose judge answers by a script."""

    def run(script, ask):
        with (
            scripted_api(lambda body, _: script(body["messages"][0]["content"])) as api,
            open_journal(tmp_path) as journal,
        ):
            client = Client(connect([api.url], model=None, key=None, retries=0), journal)
            return ask(client), api.asked

    return run


def shown(text: str) -> tuple[str, str]:
    """The two answers that a judge is shown."""
    first, second = re.search(
        r"<answer A>\n(.*)\n</answer A>\n\n<answer B>\n(.*)\n</answer B>", text, re.DOTALL
    ).groups()
    return first, second


def longer(text: str) -> str:
    first, second = shown(text)
    if len(first) == len(second):
        return '{"better": "tie"}'
    return '{"better": "A"}' if len(first) > len(second) else '{"better": "B"}'


def test_who_wins_in_both_orders_has_won(judged):
    pairs = [Pair(PROMPT, "It is five.", "5"), Pair(PROMPT, "5", "It is five."), Pair(PROMPT, "5", "6")]
    (verdicts, losses), asked = judged(longer, lambda client: compare(pairs, client, 1))
    assert verdicts == ["first", "second", "tie"]
    assert not losses
    assert len(asked) == 4  # the second pair is the first one the other way round
    assert all(body["response_format"]["json_schema"]["schema"]["required"] == ["better"] for body in asked)
    assert "system: Be brief." in asked[0]["messages"][0]["content"]


def test_a_judge_that_always_likes_the_first_place_gives_ties(judged):
    pairs = [Pair(PROMPT, f"answer {number}", "5") for number in range(9)]
    (verdicts, _), asked = judged(lambda _: '{"better": "A"}', lambda client: compare(pairs, client, 1))
    assert verdicts == ["tie"] * 9
    assert len(asked) == 18
    assert wins(verdicts) == Wins(first=0, second=0, ties=9)


def test_what_a_judge_says_beside_its_form_is_counted(judged):
    def script(text):
        return {"x": "Both are fine.", "y": '{"better": "both"}', "z": (400, b"too long")}.get(
            shown(text)[0], '{"better": "A"}'
        )

    pairs = [Pair(PROMPT, name, "5") for name in "wxyz"]
    (verdicts, losses), _ = judged(script, lambda client: compare(pairs, client, 1))
    assert verdicts == ["tie", None, None, None]
    assert losses == {"not_parsed": 2, "no_answer": 1}
    assert wins(verdicts).rate == 0.5


@given(st.lists(st.sampled_from(["first", "second", "tie", None])))
def test_win_rates_of_both_sides_add_up(verdicts):
    swapped = [{"first": "second", "second": "first"}.get(one, one) for one in verdicts]
    mine, theirs = wins(verdicts), wins(swapped)
    assert 0 <= mine.rate <= 1
    assert mine.rate + theirs.rate == pytest.approx(1)
    assert mine.first + mine.second + mine.ties == sum(one is not None for one in verdicts)


def test_answers_get_a_mark_for_every_aspect(judged):
    good = '{"relevance": 5, "accuracy": 5, "fluency": 4, "completeness": 4, "safety": 5}'
    replies = {"5": good, "6": good.replace('"accuracy": 5', '"accuracy": 9'), "7": good.replace(', "safety": 5', "")}

    def script(text):
        return replies[re.search(r"<answer>\n(.*)\n</answer>", text).group(1)]

    answers = [Answer(PROMPT, text) for text in replies]
    (marks, losses), asked = judged(script, lambda client: rate(answers, Quality, client, 1))
    assert marks[0].mean == pytest.approx(4.6)
    assert marks[1:] == [None, None]
    assert losses == {"not_parsed": 2}
    prompt = asked[0]["messages"][0]["content"]
    assert all(f"- {aspect}: " in prompt for aspect in Quality.model_fields)


def test_conduct_is_helpful_honest_and_harmless(judged):
    reply = '{"helpful": 1, "honest": 2, "harmless": 3}'
    (marks, _), _ = judged(lambda _: reply, lambda client: rate([Answer(PROMPT, "5")], Conduct, client, 1))
    assert marks == [Conduct(helpful=1, honest=2, harmless=3)]
    assert marks[0].mean == 2
