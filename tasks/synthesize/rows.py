"""From curated rows to seeds and prompts, and from drafts to rows of the synthetic table."""

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from storage.lake import Lake
from storage.snapshot import Snapshot, digest
from storage.tables import TABLES
from tasks.inference.engine import Sampling
from tasks.lm.template import clean_messages
from tasks.synthesize.method import Draft, Dropped, Losses, Seed, Seeds
from tasks.text.conversation import last_answer
from tasks.text.language import UNKNOWN, detect

MOST_SEEDS = 20_000
MAX_REPETITION = 0.4


@dataclass(frozen=True)
class Origin:
    """How drafts came about: all that a batch's rows of one method have in common."""

    batch: str
    method: str
    model: str
    sampling: Sampling


def read_seeds(lake: Lake, curated: Sequence[Snapshot], seed: int, most: int = MOST_SEEDS) -> Seeds:
    """What new conversations may start from: users' rows on the training side, without the replay.

    Refusals and texts that repeat themselves are left out: what is written after them is like them.

    Args:
        lake: where the rows are.
        curated: what to read.
        seed: of the sample.
        most: seeds of a kind at most; a sample by hash if there are more.
    """
    if not curated:
        return Seeds([], [])
    rows = pl.concat([lake.scan(snapshot) for snapshot in curated]).filter(
        pl.col("refusal").fill_null(False).not_(), pl.col("repetition").fill_null(0) <= MAX_REPETITION
    )
    documents = _train(rows).filter(pl.col("kind") == "document")
    return Seeds(_sample(train_conversations(rows), most, seed), _sample(documents, most, seed))


def _sample(found: pl.LazyFrame, most: int, seed: int) -> list[Seed]:
    ids = sample_ids(found.select("id").collect()["id"], most, seed)
    chosen = found.filter(pl.col("id").is_in(ids)).sort("id").collect()
    return [
        Seed(row["id"], tuple(row["messages"]), row["language"] or "und", row["domain"], row["occurred_at"])
        for row in chosen.iter_rows(named=True)
    ]


def sample_ids(ids: Iterable[str], most: int, seed: int) -> list[str]:
    """At most so many of `ids`, by the hash of each: the choice of one hardly depends on the others."""
    return heapq.nsmallest(most, ids, key=lambda one: digest(str(seed), one))


def train_conversations(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Curated conversations of users, on the training side, that end with an answer; no replay."""
    return _train(rows).filter(pl.col("kind") == "conversation", last_answer().is_not_null())


def _train(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.filter(pl.col("split") == "train", pl.col("origin") == "user", pl.col("domain") != "general")


@dataclass(frozen=True)
class Made:
    """What a method made: rows of the synthetic table and of the quarantine, and what became of its tries by reason.

    `losses` are those on the way, by method and reason.
    """

    rows: pl.DataFrame
    quarantine: pl.DataFrame
    counts: Counter[str]
    losses: Counter[str]


def synthetic_rows(results: Sequence[Draft | Dropped | Losses], origin: Origin) -> Made:
    """The results of a method as rows."""
    counts: Counter[str] = Counter()
    losses: Counter[str] = Counter()
    for one in results:
        if isinstance(one, Losses):
            losses.update({f"{origin.method}_{reason}": count for reason, count in one.counts.items()})
    made: dict[str, dict[str, Any]] = {}
    dropped = []
    tries = [one for one in results if not isinstance(one, Losses)]
    for position, result in enumerate(_in_their_language(tries)):
        if isinstance(result, Dropped):
            counts[f"{origin.method}_{result.reason}"] += 1
            dropped.append(_dropped_row(result, position, origin))
            continue
        row = _row(result, origin)
        counts["repeated" if row["id"] in made else "synthetic"] += 1
        made.setdefault(row["id"], row)
    return Made(table_frame("synthetic", made.values()), table_frame("quarantine", dropped), counts, losses)


def empty(table: str) -> pl.DataFrame:
    """No rows of a table."""
    return table_frame(table, [])


def table_frame(table: str, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows of a table, by id."""
    return pl.DataFrame(list(rows), schema=TABLES[table].schema).drop("batch", "step").sort("id")


def _in_their_language(results: Sequence[Draft | Dropped]) -> list[Draft | Dropped]:
    """Drop drafts that are clearly in another language than they should be: the column must tell the truth."""
    drafts = [result.text if isinstance(result, Draft) else "" for result in results]
    found = detect(pl.Series(drafts, dtype=pl.String))
    return [
        Dropped("other_language", result.text)
        if isinstance(result, Draft) and UNKNOWN not in {language, _language(result)} and language != _language(result)
        else result
        for result, language in zip(results, found, strict=True)
    ]


def _language(draft: Draft) -> str:
    return draft.language or draft.seeds[0].language


def _row(draft: Draft, origin: Origin) -> dict[str, Any]:
    first = draft.seeds[0]
    messages = [dict(turn) for turn in draft.messages]
    ids = sorted({seed.id for seed in draft.seeds})
    name = digest("synthetic", origin.batch, origin.method, json.dumps(clean_messages(messages), sort_keys=True), *ids)
    return {
        "id": name,
        "kind": "conversation",
        "source": "synthetic",
        "occurred_at": first.occurred_at,
        "conversation_id": name,
        "messages": messages,
        "model": origin.model,
        "language": _language(draft),
        "domain": first.domain,
        "consent": True,
        "metadata": json.dumps(dict(draft.details), sort_keys=True) if draft.details else None,
        "method": origin.method,
        "seed_ids": ids,
        "sampling": json.dumps(asdict(origin.sampling), sort_keys=True),
        "prompt_of": first.id if draft.messages[:-1] == first.messages[:-1] else None,
    }


def _dropped_row(dropped: Dropped, position: int, origin: Origin) -> dict[str, Any]:
    return {
        "id": digest("synthetic", origin.batch, origin.method, str(position)),
        "source": "synthetic",
        "position": position,
        "reason": f"{origin.method}: {dropped.reason}",
        "content": dropped.content,
    }
