"""What a lake holds after nights that were shot at: what is lost, there twice, or does not add up."""

from collections.abc import Set

import polars as pl

from configs.settings import SmokePrompt
from storage import registry, verdicts
from storage.lake import Lake
from storage.tables import TABLES
from tasks.promote.smoke import in_process

ONCE = ("interactions", "feedback", "scrubbed", "splits", "curated", "synthetic")
"""Tables in which every id is there once, whatever batch brought it."""
ENDS = ("curated", "duplicates", "quarantine")
"""Where every interaction ends."""


def missing(lake: Lake, asked: Set[str], judged: Set[str]) -> int:
    """Records that were acknowledged, and are not in the lake though everything was collected.

    Args:
        lake: where they should be.
        asked: names that questions begin with, as `_night_data.conversations` has them.
        judged: names of those that got feedback, one each.
    """
    messages = lake.read("interactions").select("messages").collect()["messages"].to_list()
    found = {turns[0]["content"].partition(":")[0] for turns in messages}
    targets = lake.read("feedback").select(pl.col("target_id").n_unique()).collect().item()
    return len(asked - found) + max(0, len(judged) - int(targets))


def astray(lake: Lake) -> int:
    """Rows that were collected, and of which no step says what became of them."""
    ends = pl.concat([lake.read(table).select("id") for table in ENDS])
    rows = lake.read("interactions").select("id").join(ends, on="id", how="anti")
    return int(rows.select(pl.len()).collect().item())


def doubled(lake: Lake) -> int:
    """Rows that are there more often than once, and batches that are finished more often."""
    finished = lake.read("runs", step="finish").select("batch")
    ids = [lake.read(table).select("id") for table in ONCE]
    return sum(int(rows.select(pl.len() - pl.first().n_unique()).collect().item()) for rows in (finished, *ids))


def balanced(lake: Lake) -> bool:
    """Whether at every step of every batch as many rows came out as went in."""
    books = lake.read("books").filter(pl.col("kind") != "fact")
    sides = [pl.col("value").filter(pl.col("kind") == side).sum().alias(side) for side in ("in", "out")]
    return books.group_by("batch", "step").agg(sides).filter(pl.col("in") != pl.col("out")).collect().is_empty()


def serves(lake: Lake) -> bool:
    """Whether there is a champion, and its folder holds a model that answers."""
    champion = verdicts.champion(lake)
    asked = SmokePrompt(prompt="Where are my notes?")
    return champion is not None and not in_process(lake, registry.get(lake, champion), [asked])


def last_written(lake: Lake, since: float) -> str:
    """The table that was written last.

    Args:
        lake: whose table.
        since: what is older does not count, in seconds since 1970.
    """
    found = [(name, lake.delta(name)) for name in TABLES]
    times = {name: delta.history(1)[0]["timestamp"] / 1000 for name, delta in found if delta is not None}
    newest = max(times, key=times.__getitem__, default="")
    return newest if newest and times[newest] >= since else "nothing yet"
