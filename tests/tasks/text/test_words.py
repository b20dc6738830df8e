"""Words in many scripts: what parts them, what bears meaning, and that any text can be read."""

import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.text.normalize import normalize
from tasks.text.words import NUMBER_FLAG, OPERATOR_FLAG, tokenize, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World! Don't", "hello|world|dont"),
        ("don’t well-known and/or (a) test_case", "dont|well|known|and|or|a|test|case"),
        ("STRASSE straße ΣΊΣΥΦΟΣ σίσυφος", "strasse|strasse|σίσυφοσ|σίσυφοσ"),
        ("ﬁne ﬀ Ⅷ ½ ㎏", "fine|ff|viii|1|⁄|2|kg"),
        ("e\u0301 é", "é|é"),
        ("iPhone15 B2B 10km", "iphone|15|b|2|b|10|km"),
        ("2+3=5", "2|+|3|=|5"),
        ("2 - 3, 4*5, 6/7, 2^3, 2**3, x-y", "2|-|3|4|*|5|6|/|7|2|^|3|2|*|*|3|x|-|y"),
        ("3×4 ÷ 5 − 6", "3|*|4|/|5|-|6"),
        ("- item\n- other\n* **bold**", "item|other|bold"),
        ("it is -5 degrees", "it|is|-|5|degrees"),
        ("1,000 1,2,3 1,000,000 3.5 10:30. 7", "1000|1|2|3|1000000|3|.|5|10|:|30|7"),
        ("5% of $20, €20", "5|%|of|$|20|€|20"),
        ("C C++ C# #5", "c|c|+|+|c|#|5"),
        ("a != b, a && b, wow!", "a|!|=|b|a|&|&|b|wow"),
        ("今天天气怎么样？", "今|天|天|气|怎|么|样"),
        ("iPhone15多少钱", "iphone|15|多|少|钱"),
        ("１２３　ＡＢＣ，２＋３", "123|abc|2|+|3"),
        ("ひらがな カタカナ", "ひ|ら|が|な|カ|タ|カ|ナ"),
        ("한국어 문장", "한국어|문장"),
        ("ไทย", "ไ|ท|ย"),
        ("مرحبا بك", "مرحبا|بك"),
        ("שלום עולם", "שלום|עולם"),
        ("नमस्ते दुनिया", "नमस्ते|दुनिया"),
        ("ok 👍🏽👍 ❤️", "ok|👍|👍|❤"),
        ("zero\u200bwidth soft\u00adhyphen", "zerowidth|softhyphen"),
        ("???", "?|?|?"),
        ("", ""),
        (" \t\n\u00a0", ""),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert "|".join(words(text)) == expected


@given(st.text(st.characters(exclude_categories=["Cs", "Cn"])))  # Polars may know newer letters than this Python
@settings(max_examples=300, deadline=None)
def test_compatible_forms_and_any_text_are_read_alike(text: str) -> None:
    assert words(text) == words(unicodedata.normalize("NFKC", text))
    assert words(text) == words(unicodedata.normalize("NFD", text))


@given(st.lists(st.text(alphabet=st.sampled_from("aB1 +-*/.,:#%'()é你好\u0301½👍\n"), max_size=30), max_size=8))
@settings(max_examples=200, deadline=None)
def test_hashes_follow_words(texts: list[str]) -> None:
    hashes, flags, offsets = tokenize(pl.Series(texts, dtype=pl.String))
    assert len(hashes) == len(flags) == offsets[-1]
    of_word: dict[str, int] = {}
    for row, text in enumerate(texts):
        found = words(text)
        own = hashes[offsets[row] : offsets[row + 1]].tolist()
        assert len(own) == len(found)
        for word, value in zip(found, own, strict=True):
            assert of_word.setdefault(word, value) == value
    assert len(set(of_word.values())) == len(of_word)


def test_flags() -> None:
    _, flags, _ = tokenize(pl.Series(["add 2 + 3"]))
    assert flags.tolist() == [0, NUMBER_FLAG, OPERATOR_FLAG, NUMBER_FLAG]


def test_null_is_empty_and_no_texts_are_fine() -> None:
    assert tokenize(pl.Series([None, "a"], dtype=pl.String))[2].tolist() == [0, 0, 1]
    assert tokenize(pl.Series([], dtype=pl.String))[2].tolist() == [0]


def test_ten_megabytes() -> None:
    hashes, _, offsets = tokenize(pl.Series(["many words " * 1_000_000]))
    assert offsets.tolist() == [0, 2_000_000]
    assert len(np.unique(hashes)) == 2


def test_only_texts_whose_characters_join_are_rewritten() -> None:
    data, offsets = normalize(pl.Series(["café", "cafe\u0301", "x½"]))
    assert bytes(data).decode() == "cafécaféx½"
    assert offsets.tolist() == [0, 5, 10, 13]
