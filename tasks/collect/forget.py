"""Erased records stay out, and whose a record is that could not be read is told by the names in it."""

import json
from collections.abc import Iterable

import polars as pl

from storage.erasures import Erased
from storage.lake import Lake
from storage.lineage import Descent
from storage.names import Hash, Names
from tasks.collect.intake import Intake, Judgement, Rejected, Row

LEAST_TEXT = 16  # characters of a text that only its writer would write


def leave_out_erased(intake: Intake, erased: Erased, hashed: Hash) -> int:
    """Take out of an intake what was erased, and say how much that was."""
    if not erased.marks:
        return 0
    before = len(intake.rows) + len(intake.feedback) + len(intake.rejected)
    intake.rows = [row for row in intake.rows if not is_erased(row, erased, hashed)]
    intake.feedback = [one for one in intake.feedback if not is_erased(one, erased, hashed)]
    intake.rejected = [one for one in intake.rejected if not _names_erased(one, erased, hashed)]
    return before - len(intake.rows) - len(intake.feedback) - len(intake.rejected)


def is_erased(one: Row | Judgement, erased: Erased, hashed: Hash) -> bool:
    """Whether a row or feedback was erased, or comes from whom or what was."""
    if erased.user(hashed(one.found.user), one.found.occurred_at):
        return True
    if isinstance(one, Judgement):
        return erased.row(one.id, one.target_id)
    return erased.row(one.id, *one.also) or erased.conversation(one.conversation_id)


def _names_erased(one: Rejected, erased: Erased, hashed: Hash) -> bool:
    """Whether a record that cannot be used names somebody erased. Its time is not known: it counts as old."""
    return any(erased.named(kind, name) for kind, name in Names(hashed, [one.source]).within(one.content))


def unreadable(lake: Lake, found: Descent, hashed: Hash) -> set[str]:
    """Ids of the rows in quarantine that come from somebody: they name them, or hold a text of theirs.

    What was generated and not kept is theirs too when it was made after their rows came: it may repeat any of them.
    """
    rows = lake.read("quarantine").filter(pl.col("content").is_not_null())
    generated = (pl.col("source") == "synthetic") & (pl.col("batch") >= min(found.batches, default="~"))
    hits = set(rows.filter(generated).select("id").collect()["id"])
    texts = sorted(_texts(lake, found))
    if texts:
        same = pl.col("content").str.contains_any(texts)
        hits |= set(rows.filter(same).select("id").collect()["id"])
    named = {*found.rows, *found.conversations, *found.users}
    columns = rows.filter(pl.col("source") != "synthetic").select("id", "source", "content")
    for name, source, content in columns.collect(engine="streaming").iter_rows():
        if any(one in named for _, one in Names(hashed, [source]).within(content)):
            hits.add(name)
    return hits


def _texts(lake: Lake, found: Descent) -> Iterable[str]:
    """What the users of erased rows wrote and were answered, as it is and as JSON writes it."""
    rows = lake.read("interactions").filter(found.within("interactions"), pl.col("messages").is_not_null())
    said = rows.select(pl.col("messages").list.eval(pl.element().struct.field("content"))).explode("messages")
    for text in said.unique().collect(engine="streaming")["messages"].drop_nulls():
        if len(text) >= LEAST_TEXT:
            yield text
            yield json.dumps(text)[1:-1]
            yield json.dumps(text, ensure_ascii=False)[1:-1]
