"""Whether a text is new: ROUGE-L against all texts of a pool, without comparing it with most of them.

Source: ROUGE-L is the F-measure of the longest common subsequence of words (Lin, 2004). It can reach a threshold only
if the two texts share enough words, so candidates come from an index of each text's rarest words: the prefix filter of
set similarity joins (Chaudhuri et al., 2006). Unlike MinHash it never misses one.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from tasks.text.rouge import Words, rouge_l, words, words_of

Occurrence = tuple[int, int]
"""A word, and how often it was in the text before: so a text is a set of these."""


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
