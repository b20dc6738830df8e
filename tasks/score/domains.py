"""Domains for rows whose source names none: that of rows that mean the same, or a new one named after its topic."""

import numpy as np
import polars as pl

from storage.lake import Lake
from storage.newest import newest
from tasks.score.embeddings import VECTOR
from tasks.text.conversation import user_text
from tasks.text.topics import clusters, keywords, unit

NEWEST = 5000
"""Rows with a domain that new rows are compared with."""
NEAR = 0.45
"""Cosine with the centre of a domain from which a row belongs to it."""


def with_domains(lake: Lake, rows: pl.DataFrame, embedded: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`rows` with a `domain` where there was none.

    Args:
        lake: where earlier rows with their domains are.
        rows: `id`, `messages`, `domain`.
        embedded: `id`, `model`, `vector` of the rows.
        seed: of the clusters that new domains are made from.
    """
    placed = rows.select("id", "domain", text=user_text()).join(embedded, on="id", maintain_order="left")
    nameless = placed.filter(pl.col("domain").is_null())
    if not nameless.height:
        return rows
    vectors = _matrix(nameless)
    names, centres = _known_domains(lake, placed.filter(pl.col("domain").is_not_null()), placed["model"][0])
    near = vectors @ centres.T if names else np.full((len(vectors), 1), -1.0)
    joins = near.max(axis=1) >= NEAR
    domains = np.array(nameless["text"].to_list(), dtype=object)
    domains[joins] = [names[at] for at in near[joins].argmax(axis=1)]
    if (~joins).any():
        domains[~joins] = _new_domains(nameless.filter(~pl.Series(joins))["text"], vectors[~joins], seed)
    found = pl.DataFrame({"id": nameless["id"], "found": pl.Series(domains.tolist(), dtype=pl.String)})
    filled = rows.join(found, on="id", how="left", maintain_order="left")
    return filled.with_columns(domain=pl.coalesce("domain", "found")).drop("found")


def _known_domains(lake: Lake, now: pl.DataFrame, model: str) -> tuple[list[str], np.ndarray]:
    """Domains and their centres (k x d): of this batch's rows whose source names one, and of the newest rows before."""
    named = newest(lake, "curated", NEWEST, pl.col("domain").is_not_null(), pl.col("domain") != "general")
    rows = named.select("id", "domain").collect()
    known = lake.read("embeddings").filter(pl.col("model") == model, pl.col("id").is_in(rows["id"].implode()))
    before = rows.lazy().join(known.select("id", "vector"), on="id").collect()
    parts = pl.concat([some.select("domain", pl.col("vector").cast(VECTOR)) for some in (before, now)]).sort("domain")
    groups = parts.partition_by("domain", maintain_order=True)
    centres = [_matrix(group).mean(axis=0) for group in groups]
    return [group["domain"][0] for group in groups], unit(np.array(centres)) if centres else np.zeros((0, 1))


def _new_domains(texts: pl.Series, vectors: np.ndarray, seed: int) -> list[str]:
    labels = clusters(vectors, seed)
    names = ["-".join(words[:2]) or "other" for words in keywords(texts, labels)]
    return [names[label] for label in labels]


def _matrix(rows: pl.DataFrame) -> np.ndarray:
    return np.array(rows["vector"].to_list(), dtype=np.float32)
