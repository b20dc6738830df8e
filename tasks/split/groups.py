"""Groups of rows that must not part, and the side that each group is on."""

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from configs.settings import SplitSettings
from storage.snapshot import digest

TRAIN, VALIDATION, HOLDOUT, BRIDGES = "train", "validation", "holdout", "bridges_split"


def assign(rows: pl.DataFrame, known: pl.DataFrame, settings: SplitSettings, seed: int) -> pl.DataFrame:
    """The group and side of new rows.

    New rows that share a conversation or a duplicate are one group. A group that is linked to rows which have a side
    joins them; one that is linked to two sides would carry knowledge across, so it is left out (`bridges_split`).
    Known rows never move, and they do not tie new rows to each other: each of those gets the known side by itself.

    Args:
        rows: new rows: `id`, `synthetic` (always on the train side), `links` (what it shares with others: keys of its
            conversation, of itself, and of the row that it repeats).
        known: `link`, `group`, `split` of links that have a side.
        settings: shares of the sides.
        seed: of the hash that chooses a side.

    Returns:
        `id`, `group`, `split`, in the order of `rows`.
    """
    links = rows.select("id", link="links").explode("link").drop_nulls()
    attached = links.join(known, on="link")
    free = links.join(known, on="link", how="anti")

    groups = rows.select("id", "synthetic", component=_components(rows["id"], free))
    sides = pl.concat(
        [
            attached.select("id", "group", "split"),
            rows.filter("synthetic").select("id", group="id", split=pl.lit(TRAIN)),
        ]
    ).join(groups.select("id", "component"), on="id")
    joined = sides.group_by("component").agg(pl.col("group").min(), pl.col("split").unique().sort())
    named = groups.group_by("component").agg(name=pl.col("id").min())
    placed = named.join(joined, on="component", how="left").with_columns(
        group=pl.coalesce("group", "name"), sides=pl.col("split").list.len().fill_null(0)
    )
    drawn = pl.Series([side(group, settings, seed) for group in placed["group"]], dtype=pl.String)
    placed = placed.select(
        "component",
        "group",
        split=pl.when(pl.col("sides") == 0)
        .then(drawn)
        .when(pl.col("sides") == 1)
        .then(pl.col("split").list.first())
        .otherwise(pl.lit(BRIDGES)),
    )
    return groups.join(placed, on="component", how="left", maintain_order="left").select("id", "group", "split")


def side(group: str, settings: SplitSettings, seed: int) -> str:
    """The side of a group that nothing else decides: a hash of its name and the seed, and of nothing else."""
    place = int(digest(str(seed), group)[:15], 16) / 16**15
    if place < settings.holdout_share:
        return HOLDOUT
    return VALIDATION if place < settings.holdout_share + settings.validation_share else TRAIN


def _components(ids: pl.Series, links: pl.DataFrame) -> pl.Series:
    """The number of the connected component of each id; ids with the same link are connected."""
    nodes = pl.DataFrame({"id": ids}).with_row_index("node")
    edges = links.join(nodes, on="id").with_columns(key=pl.col("link").rank("dense") - 1)
    size = len(ids) + edges["key"].n_unique()
    ends = (edges["node"].to_numpy(), edges["key"].to_numpy() + len(ids))
    _, labels = connected_components(coo_array((np.ones(edges.height), ends), shape=(size, size)), directed=False)
    return pl.Series("component", labels[: len(ids)])
