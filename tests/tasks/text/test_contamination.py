"""What gives a test item away is found; what does not, is not."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.text.contamination import COMMON, SEALED, contaminated, index_of, seal

KEY = b"secret of this lake"
WORDS = [a + b for a in ("ba", "ke", "li", "mo", "nu", "pa", "re", "si", "to", "wu") for b in "abcdefghijklmnopqrst"]


def prose(seed: int, length: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=length)


def found(texts, items, key=KEY):
    sealed = seal(pl.Series([f"item{at}" for at in range(len(items))]), pl.Series(items), KEY)
    return contaminated(pl.Series(texts), index_of(sealed), key).rows()


ITEM = prose(1, 60)
LONG = " ".join(ITEM)


def test_the_same_text_is_found_whatever_its_case_and_punctuation():
    texts = ["Nothing here.", LONG.upper(), f"({LONG.replace(' ', ',  ')})!"]
    assert found(texts, [LONG]) == [(1, "item0", "same_text", 1.0), (2, "item0", "same_text", 1.0)]


def test_an_item_inside_a_text_is_found():
    inside = " ".join([*prose(2, 200), *ITEM, *prose(3, 200)])
    assert found(["x", inside], [LONG]) == [(1, "item0", "covered", 1.0)]


def test_a_light_edit_is_found():
    edited = [word if at % 25 != 12 else "changed" for at, word in enumerate(ITEM)]
    [(row, item, reason, share)] = found([" ".join(edited)], [LONG])
    assert (row, item, reason) == (0, "item0", "covered")
    assert share == pytest.approx(58 / 60)


SHARED = [(12, []), (13, ["shared_13_words"]), (30, ["shared_13_words"]), (31, ["covered"])]


@pytest.mark.parametrize(("shared", "reasons"), SHARED)
def test_so_much_in_a_row_is_too_much(shared, reasons):
    text = " ".join([*prose(5, 40), *ITEM[10 : 10 + shared], *prose(6, 40)])
    assert [row[2] for row in found([text], [LONG])] == reasons


def test_thirteen_words_in_pieces_are_not_thirteen_in_a_row():
    inserted = " ".join([*ITEM[0:9], "between", *ITEM[9:18]])
    replaced = " ".join([*ITEM[0:12], "instead", *ITEM[13:25]])
    assert found([inserted, replaced], [LONG]) == []


@pytest.mark.parametrize("words", [1, 5, 7, 8])
def test_a_short_item_is_found_as_a_whole_text_only(words):
    item = " ".join(prose(7, words))
    assert [row[2] for row in found([item, f"{item} {LONG}"[: len(item) + 20]], [item])][:1] == ["same_text"]
    if words < 8:
        assert len(found([item, f"{item} and more"], [item])) == 1


def test_a_phrase_of_many_texts_gives_nothing_away():
    phrase = prose(8, 20)
    item = " ".join([*phrase, *prose(9, 60)])
    texts = [" ".join([*phrase, *prose(100 + at, 30)]) for at in range(COMMON + 1)]
    assert found(texts, [item]) == []
    assert len(found(texts[:COMMON], [item])) == COMMON


def test_a_phrase_of_many_items_gives_nothing_away():
    phrase = prose(8, 20)
    items = [" ".join([*phrase, *prose(200 + at, 60)]) for at in range(COMMON + 1)]
    assert found([" ".join([*phrase, *prose(10, 30)])], items) == []
    assert found([items[3]], items) == [(0, "item3", "same_text", 1.0)]


def test_another_key_finds_nothing():
    assert found([LONG], [LONG], key=b"another secret") == []


def test_nothing_gives_nothing():
    empty = seal(pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.String), KEY)
    assert empty.schema == pl.Schema(SEALED)
    assert contaminated(pl.Series([LONG]), index_of(empty), KEY).is_empty()
    assert contaminated(pl.Series([], dtype=pl.String), index_of(empty), KEY).is_empty()
    assert found(["", "   "], ["", LONG]) == []


def test_what_is_sealed_holds_no_text():
    sealed = seal(pl.Series(["a", "b"]), pl.Series([LONG, "short"]), KEY)
    assert sealed.schema == pl.Schema(SEALED)
    assert sealed["grams"].list.len().to_list() == [53, 0]


def test_texts_beyond_a_slice_keep_their_places(monkeypatch):
    monkeypatch.setattr("tasks.text.contamination.SLICE", 7)
    texts = [" ".join(prose(at, 30)) for at in range(300, 350)]
    items = [texts[at] for at in (0, 6, 7, 48, 49)]
    assert [(row, item) for row, item, _, _ in found(texts, items)] == [
        (0, "item0"), (6, "item1"), (7, "item2"), (48, "item3"), (49, "item4"),
    ]  # fmt: skip


def told(text: str, item: str) -> str | None:
    """The rules as they are written, word for word; for fewer texts and items than make a phrase."""
    here, there = text.split(), item.split()
    if here == there:
        return "same_text" if here else None
    grams = {tuple(here[at : at + 8]) for at in range(len(here) - 7)}
    shared = [tuple(there[at : at + 8]) in grams for at in range(len(there) - 7)]
    covered = {word for at, known in enumerate(shared) if known for word in range(at, at + 8)}
    if there and len(covered) / len(there) > 0.5:
        return "covered"
    runs = {tuple(here[at : at + 13]) for at in range(len(here) - 12)}
    in_a_row = any(tuple(there[at : at + 13]) in runs for at in range(len(there) - 12))
    return "shared_13_words" if in_a_row else None


pieces = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 25)), max_size=4)


@given(st.lists(pieces, max_size=COMMON // 2), st.lists(pieces, max_size=COMMON // 2))
@settings(max_examples=200, deadline=None)
def test_it_finds_what_the_rules_say(texts, items):
    source = prose(11, 12) + prose(12, 40)  # cut to pieces, put together anew: they overlap, and repeat themselves
    texts, items = ([" ".join(w for a, n in row for w in source[a : a + n]) for row in rows] for rows in (texts, items))
    expected = {
        (row, f"item{at}"): reason
        for row, text in enumerate(texts)
        for at, item in enumerate(items)
        if (reason := told(text, item)) is not None
    }
    assert {(row, item): reason for row, item, reason, _ in found(texts, items)} == expected
