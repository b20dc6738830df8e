"""ROUGE-L: how much of two texts' words comes in the same order.

Source: Lin, 2004 (https://aclanthology.org/W04-1013): the F-measure of the longest common subsequence of words. That is
found a machine word at a time (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from tasks.text.words import tokenize

Words = Sequence[int]
"""A text's words, as the hashes by which all of Flywheel tells words apart."""


def words(text: str) -> Words:
    """The words of a text."""
    return words_of([text])[0]


def words_of(texts: Sequence[str]) -> list[Words]:
    """The words of many texts, in one pass."""
    hashes, _, offsets = tokenize(pl.Series(texts, dtype=pl.String))
    flat = hashes.tolist()
    return [flat[start:end] for start, end in pairwise(offsets.tolist())]


def rouge_l(left: Words, right: Words) -> float:
    """F-measure of the longest common subsequence of two texts' words, 0 to 1."""
    if not left or not right:
        return 0.0
    return 2 * common_subsequence(left, right) / (len(left) + len(right))


def common_subsequence(left: Words, right: Words) -> int:
    """Length of the longest common subsequence."""
    places: defaultdict[int, int] = defaultdict(int)
    for at, word in enumerate(left):
        places[word] |= 1 << at
    everywhere = (1 << len(left)) - 1
    row = everywhere  # a zero at a position: the subsequence grows there
    for word in right:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everywhere
    return len(left) - row.bit_count()
