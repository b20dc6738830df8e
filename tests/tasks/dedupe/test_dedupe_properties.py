"""What must hold for any texts: a text meets itself; order, chunks, threads and secrets change nothing."""

import random
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.settings import DedupeSettings
from tasks.dedupe.batch import sign_batch
from tasks.dedupe.find import find
from tasks.text.words import words

WORDS = st.sampled_from(
    [
        "the",
        "cat",
        "dog",
        "sat",
        "on",
        "mat",
        "2",
        "3",
        "+",
        "not",
        "猫",
        "狗",
        "👍",
        "مرحبا",
        "é",
        "½",
        "-",
        ",",
        ".",
        "?",
        "\n",
    ]
)
SHORT = st.lists(WORDS, max_size=12).map(" ".join)
LONG = st.lists(st.integers(0, 400).map(lambda number: f"w{number}"), min_size=30, max_size=150).map(" ".join)


@st.composite
def batches(draw: st.DrawFn) -> list[str]:
    """Texts, some of them repeated, some of them slightly changed."""
    texts = draw(st.lists(st.one_of(SHORT, LONG, st.text(max_size=20)), min_size=1, max_size=12))
    for text in draw(st.lists(st.sampled_from(texts), max_size=8)):
        parts = text.split(" ")
        place = draw(st.integers(0, len(parts) - 1))
        change = draw(st.sampled_from(["same", "drop", "upper", "more"]))
        parts[place : place + 1] = {"same": [parts[place]], "drop": [], "upper": [parts[place].upper()]}.get(
            change, [parts[place], "more"]
        )
        texts.append(" ".join(parts))
    return texts


def kept(texts: dict[str, str], *, chunk: int = 100, threads: int = 1, secret: bytes = b"secret") -> dict[str, str]:
    """id -> kept id of what is left out."""
    frame = pl.DataFrame(
        {"id": list(texts), "text": list(texts.values())}, schema={"id": pl.String, "text": pl.String}
    ).with_columns(occurred_at=pl.lit(None, pl.Datetime("us", "UTC")))
    with tempfile.TemporaryDirectory() as folder:
        batch = sign_batch(
            frame.iter_slices(chunk), secret, purpose="test", near=True, threads=threads, folder=Path(folder)
        )
        found = find(
            batch,
            [],
            DedupeSettings(),
            owner=("test", "test"),
            with_feedback=lambda ids: ids.clear(),
            final=lambda ids: pl.DataFrame({"id": ids.clear(), "kept_id": ids.clear()}),
        )
    distinct = {tuple(words(text)) if len(text) < 10_000 else text for text in texts.values()}
    assert found.signatures.height == len(distinct)
    return dict(found.duplicates.select("id", "kept_id").iter_rows())


@given(batches(), st.randoms(use_true_random=False), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_order_chunks_threads_and_secret_change_nothing(
    texts: list[str], shuffler: random.Random, chunk: int, threads: int
) -> None:
    named = {f"id{number}": text for number, text in enumerate(texts)}
    names = list(named)
    shuffler.shuffle(names)
    expected = kept(named)
    assert kept({name: named[name] for name in names}, chunk=chunk, threads=threads, secret=b"another") == expected
    assert not set(expected.values()) & set(expected), "what is kept is not left out"


@given(st.one_of(SHORT, LONG, st.text()))
@settings(max_examples=150, deadline=None)
def test_a_text_and_itself_always_meet(text: str) -> None:
    assert kept({"a": text, "b": text}) == {"b": "a"}


@pytest.mark.parametrize(
    "text", ["", "x", "?", "👍", "👨‍👩‍👧", "مرحبا", "שלום", "\u202eabc", "\0", "字", "word " * 2_000_000]
)
def test_odd_texts_meet_themselves_and_nothing_else(text: str) -> None:
    assert kept({"a": text, "b": "another text", "c": text}) == {"c": "a"}


def test_two_texts_of_ten_megabytes_that_differ_little_or_much() -> None:
    numbers = random.Random(5)
    first = [f"w{numbers.randrange(10**9)}" for _ in range(900_000)]
    second = [word if numbers.random() > 0.01 else "changed" for word in first]
    third = [word if numbers.random() > 0.2 else "changed" for word in first]
    texts = {"a": " ".join(first), "b": " ".join(second) + " and so on", "c": " ".join(third)}
    assert kept(texts) == {"b": "a"}
