"""What users want, and where they are not served well: the first page of the report.

Topics are clusters of what users wrote on the training side, over the newest rows of all batches, named by the words
that set them apart. With score.embedding_model they go by meaning, without it by words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from storage.by_id import distinct
from storage.lake import Lake
from storage.newest import newest
from tasks.text.conversation import user_text
from tasks.text.topics import clusters, keywords, word_vectors

MOST_ROWS = 4000
"""The newest rows that topics are made from: a report must not take longer every night."""
EMBEDDED = 0.9
"""Share of the rows that must have an embedding for topics to go by it."""
FEW = 20
"""Rows that a batch needs before its diversity means something."""
SAMPLE = 400
"""Rows that diversity is measured on, so that a larger batch is not more diverse for its size alone."""
CONFIDENCE = 1.64  # one-sided 95%
EXAMPLES, MOST_CHARS = 3, 220
SEED = 1


@dataclass(frozen=True)
class Topic:
    """A topic of the page.

    Args:
        number: 0 is the largest.
        words: what sets it apart, best first.
        rows: of this batch.
        share: of this batch's rows.
        before: its share of the rows of earlier batches; None in the first batch.
        shares: of each batch, oldest first.
        rated: answers of any batch that somebody judged, and `disliked`: those judged badly or rewritten.
        reward: mean of this batch's rows, or None.
        examples: what users wrote, in the middle of the topic first.
        complaints: of which somebody disliked the answer.
    """

    number: int
    words: tuple[str, ...]
    rows: int
    share: float
    before: float | None
    shares: tuple[float, ...]
    rated: int
    disliked: int
    reward: float | None
    examples: tuple[str, ...]
    complaints: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its words, or what to call it where it has none."""
        return ", ".join(self.words) or "everything else"

    @property
    def growth(self) -> float:
        """Points of share that it gained since the earlier batches; 0 in the first batch."""
        return self.share - self.before if self.before is not None else 0.0

    @property
    def badness(self) -> float:
        """The least share of disliked answers that one can be sure of: Wilson's lower bound (1927)."""
        return wilson(self.disliked, self.rated)


@dataclass(frozen=True)
class Dot:
    """A row on the map."""

    topic: int
    new: bool
    mood: str  # liked | disliked | ""


@dataclass(frozen=True)
class Insight:
    """What the page shows.

    Args:
        rows: of this batch, on the training side.
        earlier: rows of earlier batches that it is compared with.
        by_meaning: whether topics go by embeddings.
        topics: largest first.
        dots: one for each row.
        diversity: batch and its number of effectively different prompts, oldest first.
        new: share of this batch's rows that are unlike any earlier one; None in the first batch.
        rated: judged answers to this batch's rows, and `disliked` of them.
        centres: where topics lie (topics x d).
    """

    rows: int
    earlier: int
    by_meaning: bool
    topics: tuple[Topic, ...]
    dots: tuple[Dot, ...]
    diversity: tuple[tuple[str, float], ...]
    new: float | None
    rated: int
    disliked: int
    centres: np.ndarray

    @property
    def growing(self) -> list[Topic]:
        """Topics that gained the most, if they gained anything to speak of."""
        gaining = [topic for topic in self.topics if topic.growth >= 0.01]
        return sorted(gaining, key=lambda topic: -topic.growth)[:5]

    @property
    def worst(self) -> list[Topic]:
        """Topics whose answers are disliked most surely; a single dislike is no topic's fault."""
        bad = [topic for topic in self.topics if topic.disliked > 1]
        return sorted(bad, key=lambda topic: -topic.badness)[:5]


def insight(lake: Lake, batch: str) -> Insight | None:
    """The insight of a batch; None where it has no user's rows on the training side."""
    rows = _rows(lake, batch)
    rows, vectors, by_meaning = _vectors(lake, rows)
    now = (rows["batch"] == batch).to_numpy()
    if not now.any():
        return None
    labels = clusters(vectors, SEED)
    rows = rows.with_columns(topic=pl.Series(labels), new=pl.Series(now))
    count = int(labels.max()) + 1
    centres = np.array([vectors[labels == at].mean(axis=0) for at in range(count)])
    rows = rows.with_columns(near=pl.Series((vectors * centres[labels]).sum(axis=1)))
    names = keywords(rows["text"], labels)
    mood = pl.when("disliked").then(pl.lit("disliked")).when("liked").then(pl.lit("liked")).otherwise(pl.lit(""))
    this = rows.filter("new")
    return Insight(
        rows=this.height,
        earlier=rows.height - this.height,
        by_meaning=by_meaning,
        topics=tuple(_topic(at, names[at], rows) for at in range(count)),
        dots=tuple(Dot(*row) for row in rows.select("topic", "new", mood.alias("mood")).iter_rows()),
        diversity=_diversity(rows["batch"], vectors),
        new=_unlike(vectors[now], vectors[~now], by_meaning=by_meaning) if not now.all() else None,
        rated=int((this["liked"] | this["disliked"]).sum()),
        disliked=int(this["disliked"].sum()),
        centres=centres,
    )


def vendi(vectors: np.ndarray) -> float:
    """How many effectively different rows there are: exp of the entropy of the similarity matrix's eigenvalues.

    Source: Friedman and Dieng 2022, The Vendi Score, https://arxiv.org/abs/2210.02410. With cosine similarity the
    eigenvalues are those of the d x d matrix, which is the smaller one.
    """
    values = np.linalg.eigvalsh((vectors.T @ vectors).astype(np.float64))
    shares = np.clip(values, 0, None) / max(float(values.clip(0).sum()), 1e-12)
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def wilson(hits: int, of: int) -> float:
    """Lower 95% bound (one-sided) of a share; 0 of none."""
    if not of:
        return 0.0
    share, square = hits / of, CONFIDENCE**2
    middle = share + square / (2 * of)
    reach = CONFIDENCE * float(np.sqrt(share * (1 - share) / of + square / (4 * of**2)))
    return (middle - reach) / (1 + square / of)


def _rows(lake: Lake, batch: str) -> pl.DataFrame:
    """`id`, `batch`, `text`, `reward`, `liked`, `disliked` of the newest rows that users wrote."""
    said = lake.read("preferences").filter(pl.col("batch") <= batch, pl.col("origin") != "best_of_n")
    judged = said.group_by(id="target_id").agg(
        disliked=((pl.col("kind") == "pair") | ~pl.col("label").fill_null(True)).any(),
        liked=(pl.col("kind") == "label").any() & pl.col("label").fill_null(False).any(),
    )
    found = newest(
        lake,
        "curated",
        MOST_ROWS,
        pl.col("batch") <= batch,
        pl.col("origin") == "user",
        pl.col("kind") == "conversation",
        pl.col("split") == "train",
        pl.col("domain").ne_missing("general"),
    )
    return (
        found.select("id", "batch", "reward", text=user_text().str.strip_chars())
        .filter(pl.col("text") != "")
        .join(judged, on="id", how="left")
        .with_columns(pl.col("liked", "disliked").fill_null(False))
        .sort("batch", "id")
        .collect()
    )


def _vectors(lake: Lake, rows: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray, bool]:
    """The rows that have a vector, their vectors, and whether these are embeddings."""
    known = lake.read("embeddings").filter(pl.col("id").is_in(rows["id"].implode()))
    found = distinct(known.select("id", "model", "vector"), "id", "model").collect()
    model = found["model"].value_counts().sort("count", "model", descending=True)["model"].head(1)
    of_one = found.filter(pl.col("model").is_in(model.implode()))
    if rows.height and of_one.height >= EMBEDDED * rows.height:
        both = rows.join(of_one.select("id", "vector"), on="id", maintain_order="left")
        return both.drop("vector"), np.array(both["vector"].to_list(), dtype=np.float32), True
    return rows, word_vectors(rows["text"], SEED), False


def _topic(number: int, words: Sequence[str], rows: pl.DataFrame) -> Topic:
    mine = rows.filter(pl.col("topic") == number)
    now, earlier = mine.filter("new"), rows.filter(~pl.col("new")).height
    per_batch = rows.group_by("batch").agg(share=(pl.col("topic") == number).mean()).sort("batch")
    best = mine.sort("new", "near", descending=True)
    text = pl.col("text").str.replace_all(r"\s+", " ").str.head(MOST_CHARS)
    return Topic(
        number=number,
        words=tuple(words),
        rows=now.height,
        share=now.height / int(rows["new"].sum()),
        before=(mine.height - now.height) / earlier if earlier else None,
        shares=tuple(per_batch["share"]),
        rated=int((mine["liked"] | mine["disliked"]).sum()),
        disliked=int(mine["disliked"].sum()),
        reward=_mean(now["reward"]),
        examples=tuple(best.select(text)["text"].unique(maintain_order=True).head(EXAMPLES)),
        complaints=tuple(best.filter("disliked").select(text)["text"].unique(maintain_order=True).head(EXAMPLES)),
    )


def _diversity(batches: pl.Series, vectors: np.ndarray) -> tuple[tuple[str, float], ...]:
    found = []
    for name in batches.unique().sort():
        mine = vectors[(batches == name).to_numpy()]
        if len(mine) >= FEW:
            chosen = np.random.default_rng(SEED).permutation(len(mine))[:SAMPLE]
            found.append((str(name), vendi(mine[chosen])))
    return tuple(found)


def _unlike(now: np.ndarray, earlier: np.ndarray, *, by_meaning: bool) -> float:
    """The share of rows whose nearest earlier row is far away: below what two unlike questions of one topic have."""
    return float(((now @ earlier.T).max(axis=1) < (0.6 if by_meaning else 0.5)).mean())


def _mean(values: pl.Series) -> float | None:
    found = values.mean()
    return float(found) if isinstance(found, float) else None
