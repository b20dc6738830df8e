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

import numpy as np
import polars as pl
import pyarrow as pa

from tasks.text.hashing import I64, U64, siphash
from tasks.text.kernel import kernel
from tasks.text.words import OPERATOR_FLAG, U8, tokenize

GRAM, LONG_GRAM = 8, 13
MOST_COVERED = 0.5
COMMON = 10
SLICE = 20_000  # texts at a time
BITMAP_BITS = 24
FACTOR = np.uint64(0x9FB21C651E98DF25)
SEALED = {"id": pl.String(), "exact": pl.Int64(), "grams": pl.List(pl.Int64())}
FOUND = {"row": pl.Int64(), "item": pl.String(), "reason": pl.String(), "covered": pl.Float64()}


@dataclass(frozen=True)
class Index:
    """8-grams of all items, to look up.

    Args:
        names: ids of the items; elsewhere an item is a position in it.
        hashes: distinct, sorted.
        bitmap: whether any of them ends in these BITMAP_BITS bits: most 8-grams need no further look.
        places: `gram` (position in `hashes`), `item`, `position` (in the item).
        words: `item`, `words`.
        exact: `exact`, `item`.
    """

    names: pl.Series
    hashes: U64
    bitmap: np.ndarray
    places: pl.DataFrame
    words: pl.DataFrame
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
    if not len(texts) or not index.words.height:
        return pl.DataFrame(schema=FOUND)
    same, found = [], []
    for start in range(0, len(texts), SLICE):
        exact, hashes, offsets = _grams(texts[start : start + SLICE], key)
        rows = pl.DataFrame({"row": np.arange(start, start + len(exact)), "exact": exact.view(np.int64)})
        same.append(rows.join(index.exact, on="exact").select("row", "item"))
        found.append(_look_up(hashes, offsets, index).with_columns(pl.col("row") + start))
    rare = pl.concat(found).filter(pl.col("row").n_unique().over("gram") <= COMMON)
    return _verdicts(pl.concat(same), rare.join(index.places, on="gram").drop("gram"), index)


def index_of(sealed: pl.DataFrame) -> Index:
    """Items as they are looked up: see `seal`."""
    lengths = sealed["grams"].list.len().fill_null(0).cast(pl.Int64).to_numpy()
    every = sealed["grams"].explode().drop_nulls().to_numpy().view(np.uint64)
    order = pl.Series(every).arg_sort().to_numpy()
    places = pl.DataFrame(
        {
            "item": np.repeat(np.arange(len(lengths)), lengths)[order],
            "position": (np.arange(len(every)) - np.repeat(np.cumsum(lengths) - lengths, lengths))[order],
            "hash": every[order],
        }
    )
    places = places.join(_phrases(places), on="hash", how="anti", maintain_order="left")
    ordered = places["hash"].to_numpy()
    is_new = np.concatenate([np.ones(min(1, len(ordered)), bool), ordered[1:] != ordered[:-1]])
    hashes = ordered[is_new]
    bitmap = np.zeros(1 << BITMAP_BITS, dtype=bool)
    bitmap[_low_bits(hashes)] = True
    items = sealed.select("exact", item=pl.int_range(pl.len()), words=pl.col("grams").list.len() + GRAM - 1)
    return Index(
        sealed["id"],
        hashes,
        bitmap,
        places=places.select("item", "position", gram=pl.Series(np.cumsum(is_new) - 1, dtype=pl.Int64)),
        words=items.select("item", "words"),
        exact=items.filter(pl.col("exact") != 0).select("exact", "item"),
    )


def _phrases(places: pl.DataFrame) -> pl.DataFrame:
    """`hash` of the 8-grams that more than ten items have, of all `places`, which are sorted by it."""
    ordered = places["hash"]
    often = ordered.filter(ordered == ordered.shift(-COMMON)).unique()  # most come up so seldom that nothing is counted
    counts = places.filter(pl.col("hash").is_in(often.implode())).group_by("hash").agg(pl.col("item").n_unique())
    return counts.filter(pl.col("item") > COMMON).select("hash")


def _look_up(hashes: U64, offsets: I64, index: Index) -> pl.DataFrame:
    """Which 8-grams of the texts are in the index: `row`, `at` (in the text), `gram`."""
    maybe = np.flatnonzero(index.bitmap[_low_bits(hashes)])
    places = np.searchsorted(index.hashes, hashes[maybe])
    real = places < len(index.hashes)
    real[real] = index.hashes[places[real]] == hashes[maybe[real]]
    found = maybe[real]
    rows = np.searchsorted(offsets, found, side="right") - 1
    return pl.DataFrame({"row": rows, "at": found - offsets[rows], "gram": places[real].astype(np.int64)})


def _verdicts(same: pl.DataFrame, hits: pl.DataFrame, index: Index) -> pl.DataFrame:
    """One line for each text and item, with the strongest reason.

    Args:
        same: `row`, `item` of equal texts.
        hits: `row`, `at`, `item`, `position` of 8-grams that they share.
        index: of the items.
    """
    shares = _covered(hits, index)
    reasons = [
        same.select("row", "item", reason=pl.lit("same_text"), order=0),
        shares.filter(pl.col("covered") > MOST_COVERED).select("row", "item", reason=pl.lit("covered"), order=1),
        _long_runs(hits).select("row", "item", reason=pl.lit(f"shared_{LONG_GRAM}_words"), order=2),
    ]
    first = pl.concat(reasons).sort("row", "item", "order").unique(["row", "item"], keep="first", maintain_order=True)
    covered = pl.when(pl.col("reason") == "same_text").then(1.0).otherwise("covered")
    joined = first.join(shares, on=["row", "item"], how="left", maintain_order="left").with_columns(covered=covered)
    named = joined.with_columns(item=index.names.gather(joined["item"]))
    return named.select(pl.col(name).cast(kind) for name, kind in FOUND.items())


def _covered(hits: pl.DataFrame, index: Index) -> pl.DataFrame:
    """The share of an item's words that shared 8-grams cover: `row`, `item`, `covered`."""
    places = hits.select("row", "item", "position").unique().sort("row", "item", "position")
    to_next = pl.when(_same_after(1, "row", "item")).then(pl.col("position").shift(-1) - pl.col("position"))
    steps = places.with_columns(covers=to_next.fill_null(GRAM).clip(upper_bound=GRAM))
    sums = steps.group_by("row", "item").agg(pl.col("covers").sum()).join(index.words, on="item")
    return sums.select("row", "item", covered=pl.col("covers") / pl.col("words"))


def _long_runs(hits: pl.DataFrame) -> pl.DataFrame:
    """`row` and `item` that share 13 words in a row, which is six 8-grams in a row."""
    more = LONG_GRAM - GRAM
    places = hits.select("row", "item", "position", diagonal=pl.col("at") - pl.col("position"))
    ordered = places.sort("row", "item", "diagonal", "position")
    run = _same_after(more, "row", "item", "diagonal") & (pl.col("position").shift(-more) == pl.col("position") + more)
    return ordered.filter(run).select("row", "item").unique()


def _same_after(steps: int, *columns: str) -> pl.Expr:
    """Whether the line so many further down has the same values."""
    return pl.all_horizontal(pl.col(name).shift(-steps) == pl.col(name) for name in columns)


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


def _low_bits(hashes: U64) -> I64:
    return (hashes & np.uint64((1 << BITMAP_BITS) - 1)).astype(np.int64)
