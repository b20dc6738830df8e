"""The duplicates of a batch: among its own texts, and of texts that were kept before."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from configs.settings import DedupeSettings
from tasks.dedupe.batch import Batch
from tasks.dedupe.compare import Edges, Rows, compare, pairs_across, pairs_within
from tasks.dedupe.entries import entries
from tasks.dedupe.index import Run
from tasks.text.hashing import I64, U64


@dataclass(frozen=True)
class Found:
    """What a batch repeats.

    Args:
        duplicates: id, kept_id, similarity and reason of every row that is left out.
        signatures: the rows that the index gets: texts that no kept one equals.
    """

    duplicates: pl.DataFrame
    signatures: pl.DataFrame


def find(
    batch: Batch,
    index: Sequence[Run],
    settings: DedupeSettings,
    *,
    owner: tuple[str, str],
    with_feedback: Callable[[pl.Series], pl.Series],
    final: Callable[[pl.Series], pl.DataFrame],
) -> Found:
    """Find what a batch repeats, and decide what stays.

    Args:
        batch: the signed rows.
        index: what was kept before.
        settings: thresholds.
        owner: batch and step that the rows belong to: what the index holds of these is an earlier try, and ignored.
        with_feedback: which of these ids have feedback.
        final: id and kept_id of those of these ids that were left out later on.
    """
    sorted_entries = entries(batch.keys, batch.key_offsets, batch.distinct)
    batch.release_keys()
    old = _matches(batch, index, sorted_entries, settings, owner)
    component = components(batch, sorted_entries, settings)
    del sorted_entries  # half a gigabyte for two million texts
    rows = batch.table.with_row_index("row").with_columns(component=component)
    kept_before = _kept_before(old, rows, final)
    kept = _keep(rows, kept_before, with_feedback)
    return Found(
        duplicates=_duplicates(batch, index, kept, settings),
        signatures=_signatures(batch, old, kept),
    )


def components(batch: Batch, sorted_entries: U64, settings: DedupeSettings) -> I64:
    """A number for each row; equal numbers are connected by verified pairs."""
    edges = pairs_within(sorted_entries, batch.distinct, batch.rows, settings)
    size, first = batch.table.height, batch.table["first"].to_numpy()
    left, right = np.concatenate([edges.left, np.arange(size)]), np.concatenate([edges.right, first])
    graph = coo_array((np.ones(len(left), np.bool_), (left, right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


MATCH = {
    "row": pl.Int64,
    "run": pl.Int64,
    "old_row": pl.Int64,
    "old_id": pl.String,
    "similarity": pl.Float64,
    "exact": pl.Boolean,
    "kept_id": pl.String,
}


def _matches(
    batch: Batch, index: Sequence[Run], sorted_entries: U64, settings: DedupeSettings, owner: tuple[str, str]
) -> pl.DataFrame:
    """Every verified pair of a distinct text with a row of the index."""

    def search(run: Run) -> Edges:
        return pairs_across(sorted_entries, batch.distinct, batch.rows, run.entries, run.rows, settings)

    found = [pl.DataFrame(schema=MATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        searched = list(pool.map(search, index))
    for number, (run, edges) in enumerate(zip(index, searched, strict=True)):
        equal = batch.rows.meta["exact"][edges.left] == run.rows.meta["exact"][edges.right]
        frame = run.name(edges.right).with_columns(
            row=pl.Series(edges.left),
            run=pl.lit(number, pl.Int64),
            old_row=pl.Series(edges.right),
            old_id="id",
            similarity=pl.Series(edges.similarity),
            exact=pl.Series(equal.all(axis=1)),
        )
        own = (pl.col("batch") == owner[0]) & (pl.col("step") == owner[1])
        found.append(frame.filter(~own).select(*MATCH))
    # what an earlier try of this batch kept cannot be kept instead of itself
    return pl.concat(found).join(batch.table.select(kept_id="id"), on="kept_id", how="anti")


def _kept_before(old: pl.DataFrame, rows: pl.DataFrame, final: Callable[[pl.Series], pl.DataFrame]) -> pl.DataFrame:
    """component, kept_id, run and old_row: for each component that repeats the index, the most similar kept row."""
    later = final(old["kept_id"].unique())
    resolved = old.join(later.rename({"id": "kept_id", "kept_id": "final_id"}), on="kept_id", how="left")
    return (
        resolved.with_columns(pl.coalesce("final_id", "kept_id").alias("kept_id"))
        .join(rows.select(pl.col("row").cast(pl.Int64), "component"), on="row")
        .sort("similarity", "kept_id", "old_id", descending=[True, False, False])
        .group_by("component", maintain_order=True)
        .first()
        .select("component", "kept_id", "run", "old_row")
    )


def _keep(
    rows: pl.DataFrame, kept_before: pl.DataFrame, with_feedback: Callable[[pl.Series], pl.Series]
) -> pl.DataFrame:
    """For each row of a component of several, or of one that repeats the index: what is kept of it.

    The row kept before, else one with feedback, else the longest, else the oldest.

    Returns:
        row, id, first, component, kept_id, kept_row, run and old_row; the best rows of a text come first.
    """
    several = rows.filter(
        (pl.len().over("component") > 1) | pl.col("component").is_in(kept_before["component"].implode())
    )
    liked = with_feedback(several["id"])
    ordered = several.with_columns(liked=pl.col("id").is_in(liked.implode())).sort(
        "liked", "length", "occurred_at", "id", descending=[True, True, False, False], nulls_last=True
    )
    return (
        ordered.with_columns(
            best_id=pl.col("id").first().over("component"), kept_row=pl.col("row").first().over("component")
        )
        .join(kept_before, on="component", how="left", maintain_order="left")
        .with_columns(kept_id=pl.coalesce("kept_id", "best_id"))
        .select("row", "id", "first", "component", "kept_id", "kept_row", "run", "old_row")
    )


def _duplicates(batch: Batch, index: Sequence[Run], kept: pl.DataFrame, settings: DedupeSettings) -> pl.DataFrame:
    """id, kept_id, similarity to the kept row, and whether the texts are equal (exact) or nearly so (near)."""
    out = [pl.DataFrame(schema={"id": pl.String, "kept_id": pl.String, "similarity": pl.Float64, "exact": pl.Boolean})]
    left_out = kept.filter(pl.col("id") != pl.col("kept_id"))
    for (number,), part in left_out.group_by("run"):
        inside = number is None
        others: Rows = batch.rows if inside else index[int(str(number))].rows
        left = part["row"].cast(pl.Int64).to_numpy()
        right = part["kept_row" if inside else "old_row"].cast(pl.Int64).to_numpy()
        equal = (batch.rows.meta["exact"][left] == others.meta["exact"][right]).all(axis=1)
        similarity, _ = compare(left, right, batch.rows, others, settings)
        out.append(part.select("id", "kept_id").with_columns(similarity=pl.Series(similarity), exact=pl.Series(equal)))
    reason = pl.when("exact").then(pl.lit("exact")).otherwise(pl.lit("near"))
    return pl.concat(out).with_columns(reason=reason).drop("exact").sort("id")


def _signatures(batch: Batch, old: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """The index rows of the distinct texts that the index has not: under the id of the text's best row."""
    known = old.filter("exact")["row"]
    best = kept.group_by("first", maintain_order=True).first().select("first", "id", "kept_id")
    size = batch.table.height
    new = np.zeros(size, np.bool_)
    new[batch.distinct] = True
    new[known.to_numpy()] = False
    return (
        pl.concat([batch.table.select("id", "first"), batch.packed()], how="horizontal")
        .filter(pl.Series(new))
        .join(best.rename({"id": "best_id"}), on="first", how="left", maintain_order="left")
        .with_columns(id=pl.coalesce("best_id", "id"))
        .with_columns(kept_id=pl.coalesce("kept_id", "id"))
        .drop("first", "best_id")
    )
