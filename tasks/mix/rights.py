"""Whose the records of files are, and whether they may be learned from: they come in by no door of collect."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from configs.sources import CollectSettings
from storage.erasures import Erased, load
from storage.lake import Lake
from storage.lineage import Kind
from storage.names import Names, names
from tasks.records.consent import consent
from tasks.records.record import Conversation, Item, Record

DIGEST = re.compile("[0-9a-f]{32}")
"""What names of the lake look like, which exports of it have."""


@dataclass(frozen=True)
class Rights:
    """What is known of those whom records may be of.

    Args:
        erased: what must stay out.
        names: what the lake calls users, conversations and records.
        collect: what a record says of consent, and what silence counts as where it names its user. A text that names
            nobody is nobody's log, so that silence says nothing of it.
    """

    erased: Erased
    names: Names
    collect: CollectSettings

    def refusal(self, items: Sequence[Item], record: Record) -> str | None:
        """Why nothing may be learned from items of a record: "erased" or "no_consent"; None where all may.

        Raises:
            BadRecord: see `tasks.records.consent.consent`.
        """
        if any(self._is_erased(item) for item in items):
            return "erased"
        said = [item for item in items if isinstance(item, Conversation)]
        return None if all(self._is_allowed(item, record) for item in said) else "no_consent"

    def whose(self, items: Sequence[Item]) -> list[str]:
        """The lake's names of the users, conversations and records that items are of: erasing finds rows by them.

        Never a name as it was logged, which would be a person's name in a table, unless that is the lake's own.
        """
        said = [(kind, name) for item in items for kind, name in _named(item)]
        known = {other for kind, name in said for other in self.names.of(kind, name) - {name}}
        return sorted(known | {name for _, name in said if DIGEST.fullmatch(name)})

    def _is_allowed(self, item: Conversation, record: Record) -> bool:
        said = consent(item, record, self.collect.consent_field)
        return (item.user is None or self.collect.default_consent) if said is None else said

    def _is_erased(self, item: Item) -> bool:
        if not self.erased.marks:
            return False
        return any(
            self.erased.user(known, item.occurred_at) if kind == "user" else self.erased.named(kind, known)
            for kind, name in _named(item)
            for known in self.names.of(kind, name)
        )


def _named(item: Item) -> Iterator[tuple[Kind, str]]:
    """What a record calls its user, its conversation and itself."""
    said: list[tuple[Kind, str | None]] = [("user", item.user)]
    if isinstance(item, Conversation):
        said += [("conversation", item.conversation), ("row", item.native_id)]
        said += [("row", alias) for alias in item.aliases]
    return ((kind, name) for kind, name in said if name is not None)


def rights(lake: Lake, source: str, collect: CollectSettings) -> Rights:
    """Of the records of a source of a mixture; for the arguments see `Rights`."""
    return Rights(load(lake), names(lake, source), collect)
