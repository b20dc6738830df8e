"""Are test items found among what may be trained on? Planted copies and edits among texts that know nothing of them."""

import random
import time

import polars as pl

from tasks.text.contamination import contaminated, index_of, seal
from tests.bench._score_data import problems, prompts
from tests.bench._table import show

ITEMS = 1000
EVERY = 25  # one word in so many is changed
KEY = b"of the benchmark"


def edited(text: str, rng: random.Random) -> str:
    words = text.split(" ")
    for at in range(rng.randrange(EVERY), len(words), EVERY):
        words[at] = "something"
    return " ".join(words)


def found(texts: int) -> dict[str, float]:
    """Word problems are the items, each planted once verbatim and once edited; other problems and prompts are clean."""
    rng = random.Random(5)
    every = problems()
    items, clean = every[:ITEMS], every[ITEMS:] + prompts(27_000)
    pieces = [piece for text in clean for piece in text.replace(". ", ".\n").split("\n") if len(piece) > 60]
    clean += rng.sample(pieces, 80_000)
    clean = rng.sample(clean, texts - 2 * ITEMS)
    planted = [*items, *(edited(item, rng) for item in items)]
    series = pl.Series(planted + clean)
    sealed = seal(pl.Series([str(at) for at in range(ITEMS)]), pl.Series(items), KEY)
    contaminated(series[:100], index_of(sealed), KEY)  # compiles
    start = time.perf_counter()
    hits = contaminated(series, index_of(sealed), KEY)
    speed = len(series) / (time.perf_counter() - start)

    item = (pl.col("row") % ITEMS).cast(pl.String)
    right = hits.filter(pl.col("row") < 2 * ITEMS, pl.col("item") == item)
    verbatim = right.filter(pl.col("row") < ITEMS)["row"].n_unique() / ITEMS
    changed = right.filter(pl.col("row") >= ITEMS)["row"].n_unique() / ITEMS
    false = hits.filter(pl.col("row") >= 2 * ITEMS)["row"].n_unique() / len(clean)
    length = series.str.len_chars().sum() / len(series)
    show(
        f"{ITEMS:,} items, {len(series):,} texts of {length:.0f} characters",
        ["", ""],
        [
            ["verbatim copies found", f"{verbatim:.2%}"],
            [f"edited copies found (1 word in {EVERY})", f"{changed:.2%}"],
            ["other texts flagged", f"{false:.3%}"],
            ["texts/s", f"{speed:,.0f}"],
        ],
    )
    return {
        "decontam_verbatim": verbatim,
        "decontam_edited": changed,
        "decontam_false": round(false, 6),
        "decontam_texts_per_s": round(speed),
    }
