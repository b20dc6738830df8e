"""Whether a text is new: ROUGE-L against all texts of a pool, without comparing it with most of them.

Source: ROUGE-L is the F-measure of the longest common subsequence of words (Lin, 2004). It can reach a threshold only
if the two texts share enough words, so candidates come from an index of each text's rarest words: the prefix filter of
set similarity joins (Chaudhuri et al., 2006). Unlike MinHash it never misses one. The subsequence itself is found a
machine word at a time (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from tasks.text.words import tokenize

Words = Sequence[int]
"""A text's words, as the hashes by which all of Flywheel tells words apart."""
Occurrence = tuple[int, int]
"""A word, and how often it was in the text before: so a text is a set of these."""


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


class Pool:
    """Texts that a new one must differ from."""

    def __init__(self, texts: Sequence[str], threshold: float) -> None:
        """`threshold`: a text is new when its ROUGE-L with every other one is below it; in (0, 1]."""
        split = words_of(texts)
        self._threshold = threshold
        self._counts = Counter(word for text in split for word in set(text))
        self._texts: list[Words] = []
        self._index: defaultdict[Occurrence, list[int]] = defaultdict(list)
        for text in split:
            self._add(text)

    def add_if_new(self, text: str) -> bool:
        """Take a text in if it is new. Returns whether it was."""
        parts = words(text)
        near = {at for word in self._prefix(parts) for at in self._index.get(word, ())}
        if any(rouge_l(parts, self._texts[at]) >= self._threshold for at in near):
            return False
        self._add(parts)
        return True

    def _add(self, text: Words) -> None:
        for word in self._prefix(text):
            self._index[word].append(len(self._texts))
        self._texts.append(text)

    def _prefix(self, text: Words) -> list[Occurrence]:
        """So many of the text's rarest words that a text near to it has one of them among its own.

        Near texts of m and n words share at least t/2 (m + n) of them, and m is at least t/(2 - t) n: so a near text
        shares at least t/(2 - t) n of these n words, and all but that many, plus one, cannot be missing from it.
        """
        seen: Counter[int] = Counter()
        occurrences = []
        for word in text:
            occurrences.append((word, seen[word]))
            seen[word] += 1
        shared = math.ceil(self._threshold / (2 - self._threshold) * len(text) - 1e-9)
        occurrences.sort(key=lambda word: (self._counts[word[0]], word))
        return occurrences[: len(text) - shared + 1]
