"""Does a text give away an item that models are tested on? Exhaustive matching of word n-grams, by keyed hashes only.

An item is known by the hashes of its 8-grams, and a text gives it away if it

- is the same text, punctuation, spacing and case aside (`same_text`), or
- has 8-grams of it that cover more than half of its words (`covered`), or
- shares 13 words in a row with it (`shared_13_words`).

An 8-gram that more than ten items or more than ten texts have is a phrase (a greeting, a template, a canned answer) and
counts for nothing. So do operators: the sums of all people look alike.
Sources: Brown et al. 2020, GPT-3, appendix C (13-grams, and the limit of ten); Touvron et al. 2023, Llama 2, appendix
A.6 (share of an item's words).
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from tasks.text.hashing import I64, U64, siphash
from tasks.text.kernel import kernel
from tasks.text.words import OPERATOR_FLAG, U8, tokenize

GRAM, LONG_GRAM = 8, 13
MOST_COVERED = 0.5
COMMON = 10
SLICE = 20_000  # texts at a time
SPARSE = 32  # places of a bitmap for each hash
FACTOR = np.uint64(0x9FB21C651E98DF25)
SEALED = {"id": pl.String(), "exact": pl.Int64(), "grams": pl.List(pl.Int64())}
FOUND = {"row": pl.Int64(), "item": pl.String(), "reason": pl.String(), "covered": pl.Float64()}


@dataclass(frozen=True)
class Index:
    """8-grams of all items, to look up.

    Args:
        names: ids of the items; elsewhere an item is a position in it.
        hashes: distinct, sorted.
        bitmap: whether any of them ends in these bits: most 8-grams need no further look.
        starts: n + 1 places where the places of each hash begin and end in the next two.
        items: which items have it.
        positions: at which 8-gram of the item.
        words: of each item.
        exact: `exact`, `item`.
    """

    names: pl.Series
    hashes: U64
    bitmap: npt.NDArray[np.bool_]
    starts: I64
    items: I64
    positions: I64
    words: I64
    exact: pl.DataFrame


def seal(ids: pl.Series, texts: pl.Series, key: bytes) -> pl.DataFrame:
    """What may be known of test items outside the evaluation: keyed hashes, from which no text can be read back.

    Args:
        ids: of the items.
        texts: their texts.
        key: the lake's secret.

    Returns:
        `id`, `exact` (hash of all words), `grams` (hashes of the 8-grams, in order; none in a shorter text).
    """
    exact, hashes, offsets = _grams(texts, key)
    grams = pl.Series(pa.LargeListArray.from_arrays(offsets, hashes.view(np.int64)))
    return pl.DataFrame({"id": ids, "exact": exact.view(np.int64), "grams": grams}, schema=SEALED)


def contaminated(texts: pl.Series, index: Index, key: bytes) -> pl.DataFrame:
    """Which texts give away which items.

    Args:
        texts: what may be trained on.
        index: of the items, see `index_of`.
        key: the lake's secret.

    Returns:
        `row` (position in `texts`), `item`, `reason`, `covered` (share of the item's words), by row and item.
    """
    if not len(texts) or not len(index.words):
        return pl.DataFrame(schema=FOUND)
    same, found = [], []
    for start in range(0, len(texts), SLICE):
        exact, hashes, offsets = _grams(texts[start : start + SLICE], key)
        rows = pl.DataFrame({"row": np.arange(start, start + len(exact)), "exact": exact.view(np.int64)})
        same.append(rows.join(index.exact, on="exact").select("row", "item"))
        found.append(_look_up(hashes, offsets, index).with_columns(pl.col("row") + start))
    rare = pl.concat(found).filter(pl.col("row").n_unique().over("gram") <= COMMON)
    return _verdicts(pl.concat(same), _shared(rare, index), index)


def index_of(sealed: pl.DataFrame) -> Index:
    """Items as they are looked up: see `seal`."""
    lengths = sealed["grams"].list.len().fill_null(0).cast(pl.Int64).to_numpy()
    every = sealed["grams"].explode().drop_nulls().to_numpy().view(np.uint64)
    order = pl.Series(every).arg_sort().to_numpy()
    ordered = every[order]
    items = np.repeat(np.arange(len(lengths)), lengths)[order]
    positions = (np.arange(len(every)) - np.repeat(np.cumsum(lengths) - lengths, lengths))[order]
    counts = np.diff(np.append(_first_of_each(ordered), len(ordered)))
    kept = ~np.repeat(_phrases(counts, items), counts)
    ordered = ordered[kept]
    first = _first_of_each(ordered)
    return Index(
        sealed["id"],
        hashes=ordered[first],
        bitmap=_bitmap(ordered[first]),
        starts=np.append(first, len(ordered)),
        items=items[kept],
        positions=positions[kept],
        words=lengths + GRAM - 1,
        exact=sealed.select("exact", item=pl.int_range(pl.len())).filter(pl.col("exact") != 0),
    )


def _first_of_each(ordered: U64) -> I64:
    """Where each value of a sorted array begins."""
    return np.flatnonzero(np.concatenate([np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1]]))


def _phrases(counts: I64, items: I64) -> npt.NDArray[np.bool_]:
    """Which 8-grams more than ten items have; each comes up so often in `items`, one after the other."""
    phrases, ends = np.zeros(len(counts), bool), np.cumsum(counts)
    for gram in np.flatnonzero(counts > COMMON):
        phrases[gram] = len(np.unique(items[ends[gram] - counts[gram] : ends[gram]])) > COMMON
    return phrases


def _bitmap(hashes: U64) -> npt.NDArray[np.bool_]:
    """Whether any hash ends in these bits: about one in SPARSE is set."""
    bitmap = np.zeros(1 << max(10, (SPARSE * len(hashes)).bit_length()), bool)
    bitmap[_low_bits(hashes, bitmap)] = True
    return bitmap


def _look_up(hashes: U64, offsets: I64, index: Index) -> pl.DataFrame:
    """Which 8-grams of the texts are in the index: `row`, `at` (in the text), `gram`."""
    maybe = np.flatnonzero(index.bitmap[_low_bits(hashes, index.bitmap)])
    places = np.searchsorted(index.hashes, hashes[maybe])
    real = places < len(index.hashes)
    real[real] = index.hashes[places[real]] == hashes[maybe[real]]
    found = maybe[real]
    rows = np.searchsorted(offsets, found, side="right") - 1
    return pl.DataFrame({"row": rows, "at": found - offsets[rows], "gram": places[real].astype(np.int64)})


def _shared(found: pl.DataFrame, index: Index) -> pl.DataFrame:
    """What each text and item share: `row`, `item`, `covered` (share of the item's words), `run` (13 words in a row).

    Args:
        found: see `_look_up`.
        index: of the items.
    """
    grams = found["gram"].to_numpy()
    counts = index.starts[grams + 1] - index.starts[grams]
    every = np.arange(counts.sum()) + np.repeat(index.starts[grams] - (np.cumsum(counts) - counts), counts)
    hits = pl.DataFrame(
        {
            "row": np.repeat(found["row"].to_numpy(), counts),
            "item": index.items[every],
            "position": index.positions[every],
            "diagonal": np.repeat(found["at"].to_numpy(), counts) - index.positions[every],
        }
    ).sort("row", "item", "diagonal", "position")
    row, item, position, diagonal = (column.to_numpy() for column in hits)
    words, runs = np.empty(len(row), np.int64), np.empty(len(row), np.bool_)
    last = _share(row, item, position, diagonal, int(index.words.max()), words, runs)
    pairs = pl.DataFrame({"row": row[last], "item": item[last], "words": words[: len(last)], "run": runs[: len(last)]})
    return pairs.select("row", "item", "run", covered=pl.col("words") / index.words[item[last]])


@kernel
def _share(row: I64, item: I64, position: I64, diagonal: I64, longest: int, words: I64, runs: Any) -> Any:
    """How many words of the item each text covers, and whether it has 13 in a row, which is six 8-grams in a row.

    Args:
        row: of each hit; they are sorted by row, item, diagonal and position.
        item: of each hit.
        position: in the item.
        diagonal: of hits that go on from one another.
        longest: words of the longest item.
        words: gets the words, text and item after text and item.
        runs: gets whether there is such a run.

    Returns:
        The last hit of each text and item.
    """
    last, covered = np.empty(len(row), np.int64), np.full(longest, -1, np.int64)
    pairs = run = count = 0
    long = False
    for at in range(len(row)):
        for word in range(position[at], position[at] + GRAM):
            if covered[word] != pairs:
                covered[word] = pairs
                count += 1
        goes_on = run > 0 and diagonal[at] == diagonal[at - 1] and position[at] == position[at - 1] + 1
        run = run + 1 if goes_on else 1
        long |= run > LONG_GRAM - GRAM
        if at + 1 == len(row) or row[at + 1] != row[at] or item[at + 1] != item[at]:
            last[pairs], words[pairs], runs[pairs] = at, count, long
            pairs += 1
            run = count = 0
            long = False
    return last[:pairs]


def _verdicts(same: pl.DataFrame, shared: pl.DataFrame, index: Index) -> pl.DataFrame:
    """One line for each text and item, with the strongest reason.

    Args:
        same: `row`, `item` of equal texts.
        shared: see `_shared`.
        index: of the items.
    """
    both = same.with_columns(same=True).join(shared, on=["row", "item"], how="full", coalesce=True)
    reasons = {"same_text": pl.col("same"), "covered": pl.col("covered") > MOST_COVERED}
    reasons[f"shared_{LONG_GRAM}_words"] = pl.col("run")
    first = pl.coalesce(pl.when(holds).then(pl.lit(reason)) for reason, holds in reasons.items())
    told = both.with_columns(reason=first, covered=pl.when("same").then(1.0).otherwise("covered"))
    found = told.filter(pl.col("reason").is_not_null()).sort("row", "item")
    named = found.with_columns(item=index.names.gather(found["item"]))
    return named.select(pl.col(name).cast(kind) for name, kind in FOUND.items())


def _grams(texts: pl.Series, key: bytes) -> tuple[U64, U64, I64]:
    """Keyed hashes: of each whole text (0 without words), of all 8-grams, and n + 1 offsets into those."""
    words, flags, ends = tokenize(texts)
    secret = blake2b(b"contamination", key=blake2b(key).digest(), digest_size=16).digest()
    exact, grams, offsets = np.zeros(len(texts), np.uint64), np.empty_like(words), np.zeros_like(ends)
    found = _roll(words, flags, ends, exact, grams, offsets)
    hashed = siphash(exact, secret)
    hashed[exact == 0] = 0
    return hashed, siphash(grams[:found], secret), offsets


@kernel
def _roll(words: U64, flags: U8, ends: I64, exact: U64, grams: U64, offsets: I64) -> int:
    """Polynomials of whole texts and of their 8-grams, text after text; returns how many 8-grams there are.

    Operators are skipped, for sums of all kinds look alike: "= 3 * 5 = 15" is no text.
    """
    last, found = np.uint64(1), 0
    for _ in range(GRAM):
        last *= FACTOR
    recent = np.zeros(GRAM, np.uint64)
    for row in range(len(ends) - 1):
        count, power, whole, rolled = 0, np.uint64(1), np.uint64(0), np.uint64(0)
        for at in range(ends[row], ends[row + 1]):
            if flags[at] == OPERATOR_FLAG:
                continue
            word, place = words[at], count % GRAM
            power *= FACTOR
            whole += word * power
            rolled = rolled * FACTOR + word
            if count >= GRAM:
                rolled -= recent[place] * last
            recent[place] = word
            count += 1
            if count >= GRAM:
                grams[found] = rolled
                found += 1
        if count:
            exact[row] = whole + np.uint64(count)
        offsets[row + 1] = found
    return found


def _low_bits(hashes: U64, bitmap: npt.NDArray[np.bool_]) -> I64:
    return (hashes & np.uint64(len(bitmap) - 1)).astype(np.int64)
