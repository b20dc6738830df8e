"""Conversations from requests: logs repeat the history in every request, and a record may be logged twice.

A request that a later one of its conversation extends is left out, unless somebody judged its answer: then it stays a
row of its own, because feedback is about one answer and a row ends in the answer that it teaches. When the judgement
comes nights later, the answer gets its row back from the longer conversation (`tasks.collect.history`).
Only requests of one batch are put together; what extends a conversation of an earlier batch becomes a row of its own
with the same `conversation_id`, so that splits keep both on one side.
"""

from collections.abc import Collection, Iterable

from tasks.collect.intake import Row


def superseded(rows: Iterable[Row], judged: Collection[str]) -> set[str]:
    """Ids of the rows that others extend and nobody judged; the longest one of each keeps note of them.

    Args:
        rows: a batch, each id once.
        judged: ids that feedback points at.

    What extends a request without consent has none either: it repeats its text.
    """
    rows = list(rows)
    by_said: dict[bytes, list[Row]] = {}
    for row in rows:
        by_said.setdefault(row.said, []).append(row)
    left_out: set[str] = set()
    for row in sorted(rows, key=lambda row: (-len(row.found.messages), row.id)):
        for said in row.before:
            for earlier in by_said.get(said, ()):
                row.consent = row.consent and earlier.consent
                if earlier.id in judged or earlier.id in left_out:
                    continue
                left_out.add(earlier.id)
                row.superseded.append(_note(earlier))
    return left_out


def _note(row: Row) -> dict[str, object]:
    found = row.found
    time = found.occurred_at.isoformat() if found.occurred_at else None
    note: dict[str, object] = {"id": row.id, "messages": len(found.messages), "occurred_at": time, "model": found.model}
    return note | {"also": row.also} if row.also else note
