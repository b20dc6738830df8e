"""What comes from whom: from a user, a conversation or a row to everything that was made of it, and to the models."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from storage import registry
from storage.lake import Lake
from storage.rewrite import named

Kind = Literal["user", "conversation", "row"]
MAKERS = ("feedback", "synthetic", "preferences")
"""Tables whose rows other rows are made from, in that order; `interactions` are where it begins."""


@dataclass(frozen=True)
class Descent:
    """Everything that comes from somebody.

    Args:
        rows: ids of their interactions and feedback, those that longer ones took the place of among them.
        conversations: which these belong to. Logs repeat a conversation in every request, so it goes as a whole.
        users: whose user hash was asked for.
        names: all of these, and the ids of all that was made from them: `storage.rewrite.named` finds the rows.
        batches: that the interactions came in.
        more: further names, by table, where a table knows its rows by others.
    """

    rows: frozenset[str]
    conversations: frozenset[str]
    users: frozenset[str]
    names: frozenset[str]
    batches: frozenset[str]
    more: Mapping[str, Collection[str]] = field(default_factory=dict)

    def within(self, table: str) -> pl.Expr:
        """Whether a row of a table is among it."""
        return named(table, {*self.names, *self.more.get(table, ())})


def descent(lake: Lake, kind: Kind, names: Iterable[str]) -> Descent:
    """Everything that comes from a user, a conversation or a row.

    Args:
        lake: where it is.
        kind: what the names are of.
        names: of one and the same, in every form it may have: user hashes, conversation ids, or ids of rows.
    """
    wanted = sorted(set(names))
    column = {"user": "user_hash", "conversation": "conversation_id", "row": "id"}[kind]
    found = lake.read("interactions").filter(pl.col(column).is_in(wanted) | _noted(kind, wanted))
    conversations = set(found.select("conversation_id").collect()["conversation_id"].drop_nulls())
    conversations |= set(wanted) if kind == "conversation" else set()
    users = frozenset(wanted) if kind == "user" else frozenset[str]()
    whole = pl.col("conversation_id").is_in(sorted(conversations)) | pl.col(column).is_in(wanted)
    own = lake.read("interactions").filter(whole).select("id", "batch", "metadata").collect()
    rows = {*own["id"], *(note for text in own["metadata"].drop_nulls() for note in _also(text))}
    known = rows | conversations | users | (set(wanted) if kind == "row" else set())
    for table in MAKERS:
        made = set(lake.read(table).filter(named(table, known)).select("id").collect()["id"])
        known |= made
        rows |= made if table == "feedback" else set()
    return Descent(
        rows=frozenset(rows | (set(wanted) if kind == "row" else set())),
        conversations=frozenset(conversations),
        users=users,
        names=frozenset(known),
        batches=frozenset(own["batch"]),
        more=_more(lake, known),
    )


def mixtures_with(lake: Lake, found: Descent) -> pl.DataFrame:
    """The mixtures that hold rows of a descent: `batch` (the mixture's id), `stage`, `rows` (of the descent)."""
    rows = lake.read("mixtures").filter(found.within("mixtures")).group_by("batch", "stage").agg(rows=pl.len())
    return rows.sort("batch").collect()


def models_with(lake: Lake, mixtures: Collection[str]) -> pl.DataFrame:
    """The models that were trained on one of these mixtures, or from a model that was; oldest first."""
    models = lake.read("models").sort("created_at", "id").collect()
    touched: set[str] = set()
    for row in models.iter_rows(named=True):  # parents are older than their children
        if row["mixture"] in mixtures or row["parent"] in touched:
            touched.add(row["id"])
    return models.filter(pl.col("id").is_in(sorted(touched)))


def heads_with(lake: Lake, found: Descent) -> pl.DataFrame:
    """The reward heads that may have learned from a descent's preferences: those made since these came."""
    first = lake.read("preferences").filter(found.within("preferences")).select(pl.col("batch").min()).collect().item()
    heads = lake.read("models").filter(kind=registry.HEAD)
    return heads.filter(pl.col("batch") >= pl.lit(first, dtype=pl.String)).sort("created_at", "id").collect()


def _more(lake: Lake, names: Collection[str]) -> dict[str, Collection[str]]:
    wanted = sorted(names)
    groups = lake.read("splits").filter(pl.col("id").is_in(wanted)).select("group").collect()["group"].drop_nulls()
    edits = lake.read("preferences").filter(pl.col("id").is_in(wanted), pl.col("origin") == "edit")
    return {
        "sealed": [f"{name}/said" for name in wanted],
        "evaluations": set(groups),
        "mixtures": set(edits.select("target_id").collect()["target_id"].drop_nulls()),  # they learn from the edit
    }


def _noted(kind: Kind, names: Iterable[str]) -> pl.Expr:
    """Whether a row keeps note of another request that it took the place of, or of another name of its own."""
    if kind != "row":
        return pl.lit(value=False)
    return pl.col("metadata").str.contains_any([f'"{name}"' for name in names]).fill_null(value=False)


def _also(metadata: str) -> Iterable[str]:
    """The ids in a row's notes: of requests that it extends, and other names."""
    notes = json.loads(metadata)
    if not isinstance(notes, dict):
        return
    for note in [notes, *notes.get("superseded", ())]:
        yield from note.get("also", ())
        if "messages" in note and "id" in note:  # of a request that it extends
            yield note["id"]


def mixed_files(lake: Lake) -> set[tuple[str, str]]:
    """Name and path of the sources whose files mixtures were made from: they may hold anybody's records."""
    manifests = lake.read("manifests").select("manifest").collect()["manifest"]
    parts = [part for text in manifests for part in json.loads(text)["parts"].items()]
    return {(name, part["path"]) for name, part in parts if "path" in part}
