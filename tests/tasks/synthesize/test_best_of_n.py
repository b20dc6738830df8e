"""Best of n: the sample that the judge likes best is kept."""

import re
from itertools import cycle

from tests.tasks.synthesize.scripted import Scripted, drafts, reasons


def better_is_longer(content: str) -> str:
    first, second = re.search(
        r"<answer A>\n(.*)\n</answer A>.*<answer B>\n(.*)\n</answer B>", content, re.DOTALL
    ).groups()
    return '{"better": "A"}' if len(first) > len(second) else '{"better": "B"}'


def test_the_best_of_several_answers_is_kept(run):
    samples = cycle(["Click.", "Click on it twice.", "Click on it."])
    engine = Scripted(("<answer A>", better_is_longer), ("", lambda _: next(samples)))
    results = run("best_of_n", engine, count=3, samples=3, judge="comparisons")
    assert [draft.messages[-1]["content"] for draft in drafts(results)] == ["Click on it twice."] * 3
    assert drafts(results)[0].details == {"score": 1.0, "of": 3}


def test_best_of_n_needs_answers_that_differ_in_worth(run):
    same = Scripted(("", "Click on it."))
    assert reasons(run("best_of_n", same, count=2, judge="quality")) == {"too_few_answers"}
    samples = cycle(["Click on it.", "Press it."])
    mark = '{"helpful": 3, "honest": 3, "harmless": 3}'
    agreed = Scripted(("<answer>", mark), ("", lambda _: next(samples)))
    agreed.identity = "another"
    assert reasons(run("best_of_n", agreed, count=2, judge="conduct")) == {"answers_agree"}
    silent = Scripted(("<answer>", "Both are good."), ("", lambda _: next(samples)))
    silent.identity = "a third"
    assert reasons(run("best_of_n", silent, count=2, judge="conduct")) == {"judge_not_understood"}


def test_an_answer_whose_marks_are_not_understood_is_left_out(run):
    samples = cycle(["Click on it.", "Press it.", "Hold it down."])
    marks = {
        "Click": '{"helpful": 3, "honest": 3, "harmless": 3}',
        "Press": '{"helpful": 4, "honest": 3, "harmless": 3}',
    }
    engine = Scripted(
        ("<answer>", lambda content: next((mark for word, mark in marks.items() if word in content), "Five!")),
        ("", lambda _: next(samples)),
    )
    (draft,) = drafts(run("best_of_n", engine, count=1, samples=3, judge="conduct"))
    assert draft.messages[-1]["content"] == "Press it."
    assert draft.details["of"] == 2


def test_without_a_reward_head_there_is_no_best_of_n(run, caplog):
    assert run("best_of_n", Scripted()) == []
    assert "synthesize.judge" in caplog.text
