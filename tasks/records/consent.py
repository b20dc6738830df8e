"""Whether a conversation may be learned from, as its record says."""

from typing import Any

from tasks.records.record import BadRecord, Conversation, Record, unpacked

TRUE = (True, 1, "true", "True", "yes", "1")
FALSE = (False, 0, "false", "False", "no", "0")


def consent(found: Conversation, record: Record, key: str) -> bool | None:
    """What a record says, in itself or in its metadata; one no is a no, and None that it says nothing.

    Args:
        found: what was read of it.
        record: the record as it came.
        key: under which it says so.

    Raises:
        BadRecord: it says something that is neither yes nor no.
    """
    metadata = found.metadata
    places: tuple[Any, ...] = (record, unpacked(record.get("metadata")), metadata, *metadata.values())
    said = [place[key] for place in places if type(place) is dict and place.get(key) is not None]
    for answer in said:
        if not isinstance(answer, str | int) or answer not in TRUE + FALSE:
            raise BadRecord(f"{key} is {str(answer)[:40]!r}, neither true nor false")
    return all(answer in TRUE for answer in said) if said else None
