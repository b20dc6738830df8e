"""What of the holdout may be known when mixing."""

import polars as pl

from tasks.text.contamination import contaminated, index_of
from tasks.text.sealed import sealed_rows

KEY = b"key"
ASKED = "My printer in the kitchen prints every second page upside down since Monday. What can I do?"
ANSWER = "Switch it off, wait for ten seconds and switch it on again. If that does not help, write to us again."


def row(id: str, *turns: str, split: str = "holdout") -> dict:
    roles = ["user", "assistant"] if len(turns) > 1 else ["document"]
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=True)]
    return {"id": id, "messages": messages, "split": split}


def found(text: str) -> list[str]:
    rows = [
        row("a", ASKED, ANSWER),
        row("b", "It is all in vain, is it not, my dear?"),
        row("c", "x y", "z", split="train"),
    ]
    return contaminated(pl.Series([text]), index_of(sealed_rows(pl.DataFrame(rows), KEY)), KEY)["item"].to_list()


def test_the_question_must_not_be_in_what_is_trained_on():
    assert found(ASKED) == ["a"]
    assert found(f"Somebody wrote this: {ASKED} Well?") == ["a"]


def test_an_answer_may_be_given_to_others_too():
    assert found(f"Why does it not print?\n{ANSWER}") == []


def test_the_same_conversation_is_known_as_a_whole():
    assert found(f"{ASKED}\n{ANSWER}") == ["a", "a/said"]


def test_documents_are_known_and_what_is_trained_on_is_not_sealed():
    assert found("Think: it is all in vain, is it not, my dear!") == ["b"]
    assert found("x y\nz") == []


def test_no_holdout():
    assert sealed_rows(pl.DataFrame([row("c", "x", "y", split="train")]), KEY).is_empty()
