"""Whether what came since the champion was judged looks like what came before, or somebody may have tampered with it.

What a night teaches is tested on answers of that night, too: who hands round its answers, and has them liked, spoils
both. But few answers are odd, and a night that has more of them than earlier ones is seen in its rows, whatever model
learned them. How many of them chance explains says the precedence test, which asks nothing of how scores are
distributed (Balakrishnan and Ng, "Precedence-Type Tests and Applications", 2006).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl
from scipy.stats import betabinom

from configs.quality import SelectSettings
from storage.by_id import distinct, of_ids
from storage.columns import SCORES
from storage.lake import Lake
from storage.opinions import until
from tasks.text.conversation import last_answer, user_text
from tasks.text.language import UNKNOWN, detect
from tasks.text.rules import with_reason
from tasks.text.signals import overlap

ODD = 0.01
"""The share of earlier rows below which a score counts as odd."""
LEAST, MOST = 50, 5000
"""Rows that a comparison needs, and as many as it takes."""
CHANCE = 0.001
"""How often an honest batch is doubted."""
MARKS: Mapping[str, tuple[pl.Expr, str]] = {
    "overlap": (pl.col("overlap"), "take up hardly a word of their question"),
    "ifd": (-pl.col("ifd"), "are not explained by their question"),
    "perplexity": (-pl.col("perplexity"), "are hard to predict"),
    "repetition": (-pl.col("repetition"), "repeat themselves"),
    "length": (pl.col("said").str.len_chars().cast(pl.Float64), "are very short"),
    "refusal": (-pl.col("refusal").cast(pl.Float64), "refuse"),
    "language": (-pl.col("other_language").cast(pl.Float64), "are in another language than their question"),
}
"""What may be odd about an answer: a figure that is low then, and what is said of such answers."""
DECIDED = ("disliked", "rejected_in_review")
"""Rules that a person stands behind: such rows are not learned from, and nobody need be warned of them."""


@dataclass(frozen=True)
class Odd:
    """How many rows of a batch have an odd figure.

    Args:
        mark: of `MARKS`.
        share: of the batch's rows, 0 to 1.
        before: the same of earlier rows.
        chance: how likely so many are in a batch like those before.
    """

    mark: str
    share: float
    before: float
    chance: float


def doubts(lake: Lake, batch: str, trusted: str | None, most: float, select: SelectSettings) -> list[str]:
    """What is unusual in the rows that came after those that the champion was judged on.

    Of the batch itself all rows are looked at, of those between only what the rules of mixing let pass: what they leave
    out is not learned. Rows that a person decided on are trusted.

    Args:
        lake: where the tables are.
        batch: the newest one that counts.
        trusted: the newest batch that the champion was judged on; None: there is none to compare with.
        most: by how much the share of odd rows may be above that of earlier ones, 0 to 1.
        select: the rules of mixing.

    Returns:
        A sentence for each batch and kind of oddity; none where there are too few rows to compare with.
    """
    if trusted is None:
        return []
    rows = _rows(lake, batch, select)
    known = pl.col("batch") <= trusted + "~"
    before = _figures(lake, rows.filter(known))
    late = rows.filter(~known, (pl.col("batch") == batch) | pl.col("reason").is_null())
    batches = late.partition_by("batch", as_dict=True)
    level = CHANCE / (len(MARKS) * max(1, len(batches)))
    return [
        f"{odd.share:.1%} of the answers of batch {name} {MARKS[odd.mark][1]} ({odd.before:.1%} of earlier ones): "
        "somebody may have tampered with them. Look at them (`flywheel review export`), or promote by hand."
        for (name,), part in sorted(batches.items(), key=lambda pair: str(pair[0]))
        for odd in compared(before, _figures(lake, part))
        if odd.chance < level and odd.share - odd.before > most
    ]


def compared(before: pl.DataFrame, after: pl.DataFrame) -> Iterator[Odd]:
    """Each figure of `MARKS` that both have enough rows of.

    Args:
        before: columns as in `MARKS`.
        after: the same of what is doubted.
    """
    for mark in MARKS:
        old, new = before[mark].drop_nulls().sort(), after[mark].drop_nulls()
        if min(len(old), len(new)) >= LEAST:
            limit = old[int(ODD * len(old))]
            below, odd = int((old < limit).sum()), int((new < limit).sum())
            chance = betabinom.sf(odd - 1, len(new), below + 1, len(old) - below)
            yield Odd(mark, odd / len(new), below / len(old), float(chance))


def _rows(lake: Lake, batch: str, select: SelectSettings) -> pl.DataFrame:
    """Users' answers that are or may be learned from: id, batch, reason (of a rule that leaves it out) and scores."""
    curated = (
        until(lake.read("curated"), batch)
        .filter(pl.col("kind") == "conversation", pl.col("domain") != "general", pl.col("origin") != "synthetic")
        .select("id", "batch", "source", "language", "domain", *SCORES)
    )
    return (
        with_reason(lake, curated, batch, select, answers=True)
        .filter(
            ~pl.col("reason").is_in(DECIDED).fill_null(False),
            ~pl.col("edited").fill_null(False),
            pl.col("decision").ne_missing("keep"),
        )
        .collect()
    )


def _figures(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """The figures of `MARKS`, of at most `MOST` rows: ids are hashes, so that the first ones are a fair sample."""
    taken = rows.sort("id").head(MOST)
    texts = of_ids(lake, "curated", taken["id"])
    read = distinct(texts.select("id", asked=user_text(), said=last_answer()), "id").collect()
    found = taken.join(read, on="id")
    asked, said = detect(found["asked"]), detect(found["said"])
    other = pl.select(((asked != said) & (asked != UNKNOWN) & (said != UNKNOWN)).alias("other_language"))
    figures = found.with_columns(other.to_series(), overlap=overlap(pl.col("asked"), pl.col("said")))
    return figures.select(figure.alias(mark) for mark, (figure, _) in MARKS.items())
