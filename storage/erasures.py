"""Who and what was erased, remembered without a name: keyed hashes that nobody can read back without the secret.

A step that works while somebody is erased may have read what is gone by now. So `storage.publish` compares `state`
before its work with that after it has published. An erasure writes here before its first deletion and again after its
last, and then looks everywhere once more: what a step publishes too late is found by one side or the other.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from storage.lake import Lake

TABLE = "erasures"
STEP = "erase"
DONE = "done"


@dataclass(frozen=True)
class Erased:
    """What must stay out.

    Args:
        marks: keyed hash -> when it was erased.
        secret: the lake's.
    """

    marks: Mapping[str, datetime]
    secret: bytes

    @classmethod
    def of(cls, rows: pl.DataFrame, secret: bytes) -> "Erased":
        """From rows of the table: the newest time of each counts."""
        newest = rows.filter(pl.col("kind") != DONE).group_by("id").agg(pl.col("at").max())
        return cls(dict(newest.iter_rows()), secret)

    def named(self, kind: str, name: str) -> bool:
        """Whether something of that kind and name was erased at any time."""
        return mark(self.secret, kind, name) in self.marks

    def row(self, *ids: str | None) -> bool:
        """Whether one of these ids of rows was erased."""
        return any(name is not None and self.named("row", name) for name in ids)

    def conversation(self, conversation_id: str | None) -> bool:
        """Whether a conversation was erased: what goes on with it would bring it back."""
        return conversation_id is not None and self.named("conversation", conversation_id)

    def user(self, user_hash: str | None, occurred_at: datetime | None) -> bool:
        """Whether a user was erased after that time; what bears no time counts as old."""
        if user_hash is None or (at := self.marks.get(mark(self.secret, "user", user_hash))) is None:
            return False
        return occurred_at is None or occurred_at <= at


def mark(secret: bytes, kind: str, name: str) -> str:
    """What is remembered of an erased name: 128 bits of keyed BLAKE2b."""
    return hashlib.blake2b(f"erased {kind}\x1f{name}".encode(), key=secret[:64], digest_size=16).hexdigest()


def marks(secret: bytes, names: Mapping[str, Iterable[str]]) -> pl.DataFrame:
    """Rows for the table, from names by kind (row, conversation, user); sorted, so that the same names are the same."""
    rows = sorted((mark(secret, kind, name), kind) for kind, found in names.items() for name in found)
    return pl.DataFrame(rows, schema={"id": pl.String, "kind": pl.String}, orient="row").with_columns(
        at=pl.lit(datetime.now(UTC))
    )


def load(lake: Lake) -> Erased:
    """All that was erased."""
    rows = lake.read(TABLE).select("id", "kind", "at").collect()
    return Erased.of(rows, lake.secret() if rows.height else b"")


def state(lake: Lake) -> int:
    """Grows whenever an erasure begins and when it is done."""
    delta = lake.delta(TABLE)
    return 0 if delta is None else int(pl.DataFrame(delta.get_add_actions(flatten=True))["num_records"].sum())
