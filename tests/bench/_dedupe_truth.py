"""Brute force: the exact similarity of every pair of some thousand texts, on sets of word strings, and who found it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from tasks.dedupe.compare import SAME_WORDS, WORDS_PER_EXTRA
from tasks.text.stopwords import NEGATIONS, SAME_AS, STOP_PHRASES, STOP_WORDS
from tasks.text.words import words

MARGIN = 0.05
STOPS, NOTS = set(STOP_WORDS.split()), set(NEGATIONS.split())
PHRASES = {tuple(phrase.split()) for phrase in STOP_PHRASES.split(",")}
CANONICAL = {other: word for word, others in SAME_AS.items() for other in others.split()}
Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """Pairs of texts (k x 2) that are duplicates, and those of them that are so by 0.05 more than they need."""

    pairs: Pairs
    clear: Pairs


def truth(texts: Sequence[str], short_threshold: float, long_threshold: float) -> Truth:
    """Compare every pair: short texts by 1-2-grams, numbers and content words, long ones by 5-grams."""
    tokens = [words(text) for text in texts]
    exact = _number([tuple(own) for own in tokens])
    size = np.array([len(own) for own in tokens])
    content = [_content(own) for own in tokens]
    sequence = _number([tuple(own) for own in content])
    guards = _number([tuple(word for word in own if _guards(word)) for own in content])
    short = _sets([_grams(own, 1) | _grams(own, 2) if len(own) <= 80 else set() for own in tokens])
    long = _sets([_grams(own, 5) if len(own) >= 40 else set() for own in tokens])
    numbers: dict[tuple[str, ...], int] = {}
    meaning = _sets([{(word,) for word in _marked(own)} if len(own) <= 80 else set() for own in tokens], numbers)
    said = _sets([_grams(own, 1) if len(own) <= 80 else set() for own in tokens], numbers)
    shorter, longer = np.minimum.outer(size, size), np.maximum.outer(size, size)
    use_short = (shorter <= 60) & (longer <= 80)
    short_similarity, _ = _jaccard(short)
    long_similarity, contained = _jaccard(long)
    width = len(numbers)
    meaning.resize(len(texts), width)
    said.resize(len(texts), width)
    only_a = np.diff(meaning.indptr)[:, None] - (meaning @ said.T).toarray()
    only_b = only_a.T
    extra = only_a + only_b
    same_words = np.where(extra > 0, extra * WORDS_PER_EXTRA <= longer, short_similarity >= SAME_WORDS)
    alike = (guards[:, None] == guards[None, :]) & ~((only_a > 0) & (only_b > 0)) & same_words
    has_content = np.array([bool(own) for own in content])
    equal_content = (sequence[:, None] == sequence[None, :]) & has_content[:, None] & has_content[None, :]

    def pairs(margin: float) -> Pairs:
        by_words = alike & (short_similarity >= short_threshold + margin) | equal_content
        by_grams = (shorter >= 40) & ((long_similarity >= long_threshold + margin) | (contained == 1) & (margin == 0))
        found = np.where(use_short, by_words, by_grams) | (exact[:, None] == exact[None, :])
        return np.argwhere(np.triu(found, 1))

    return Truth(pairs(0), pairs(MARGIN))


def quality(left_out: Sequence[int], known: Truth) -> tuple[float, float]:
    """Of the texts left out, the share that repeats another; of the clear pairs, the share that does not stay whole."""
    gone = np.zeros(1 + max(known.pairs.max(initial=0), *left_out, 0), np.bool_)
    gone[list(left_out)] = True
    right = np.isin(list(left_out), known.pairs.ravel()).mean() if len(left_out) else 1.0
    return float(right), float((gone[known.clear[:, 0]] | gone[known.clear[:, 1]]).mean())


def _content(tokens: list[str]) -> list[str]:
    kept, skip = [], False
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if skip:
            skip = False
        elif (word, following) in PHRASES:
            skip = True
        elif word not in STOPS:
            kept.append(CANONICAL.get(word, word))
    return kept


def _marked(tokens: list[str]) -> list[str]:
    """Content words as they are written."""
    kept, skip = [], False
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if skip:
            skip = False
        elif (word, following) in PHRASES:
            skip = True
        elif word not in STOPS:
            kept.append(word)
    return kept


def _guards(word: str) -> bool:
    return word in NOTS or word[0].isnumeric() or (len(word) == 1 and word in "+-*/=<>|~^%&#$€£¥.:!±≤≥≠√∑⁄")


def _grams(tokens: list[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(tokens[at : at + size]) for at in range(len(tokens) - size + 1)}


def _number(values: Sequence[tuple[str, ...]]) -> npt.NDArray[np.int64]:
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def _sets(sets: Sequence[set[tuple[str, ...]]], numbers: dict[tuple[str, ...], int] | None = None) -> csr_array:
    numbers = {} if numbers is None else numbers
    columns = [numbers.setdefault(gram, len(numbers)) for own in sets for gram in own]
    ends = np.cumsum([0, *map(len, sets)])
    return csr_array((np.ones(len(columns), np.float32), columns, ends), shape=(len(sets), max(len(numbers), 1)))


def _jaccard(sets: csr_array) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    common = (sets @ sets.T).toarray().astype(np.float64)
    sizes = np.diff(sets.indptr).astype(np.float64)
    union = sizes[:, None] + sizes[None, :] - common
    smaller = np.minimum.outer(sizes, sizes)
    return common / np.maximum(union, 1), common / np.maximum(smaller, 1)
