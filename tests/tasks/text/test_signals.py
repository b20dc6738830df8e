"""What texts tell by themselves."""

import polars as pl
import pytest

from tasks.text import signals


def of(signal, *texts):
    return (
        pl.DataFrame({"text": texts}, schema={"text": pl.String})
        .select(found=signal(pl.col("text")))["found"]
        .to_list()
    )


def test_chars_are_characters_not_bytes():
    assert of(signals.chars, "谢谢", "", "abc") == [2, 0, 3]


def test_repetition_is_the_share_of_word_triples_that_came_before():
    assert of(signals.repetition, "a b c d e", "a b c a b c", "one two", "", "Yes! yes, YES yes.") == [
        0.0,
        pytest.approx(1 / 4),  # abc bca cab abc
        0.0,
        0.0,
        pytest.approx(1 / 2),
    ]
    assert of(signals.repetition, "Buy now at our shop!\n" * 50)[0] > 0.95


def test_symbols_are_neither_letters_digits_nor_spaces():
    assert of(signals.symbol_share, "", "abc 12", "!?", "a!", "नमस्ते") == [0.0, 0.0, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I cannot assist with this request.",
        "Sorry about this. I can't provide that information.",
        "As an AI language model, I have no feelings.",
        "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudar con eso.",
        "抱歉，我无法回答这个问题。",
    ],
)
def test_refusals_are_seen(answer):
    assert of(signals.refusal, answer) == [True]


@pytest.mark.parametrize(
    "answer",
    [
        "You can't return an opened parcel, I am afraid, but you can swap it.",
        "Write: we are sorry that the parcel is late.",
        "Ich kann dir das gern erklären.",
        "To say no politely, ... " + "x" * 200 + " I cannot help with that.",
        "",
        None,
    ],
)
def test_answers_are_no_refusals(answer):
    assert of(signals.refusal, answer) == [False]
