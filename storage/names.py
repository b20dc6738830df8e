"""What a lake calls the users, conversations and records that products log, wherever they are read."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from configs.sources import HTTP
from storage.lake import Lake
from storage.lineage import Kind
from storage.snapshot import digest

Hash = Callable[[str | None], str | None]
"""Keyed hash of a user's name."""
REMEMBERED = 2**16
"""Users whose hash is not worked out again: one asks many questions."""
_VALUE = re.compile(r'"((?:[^"\\]|\\.){1,200})"|([\w.@:+/-]{1,200})')
"""What may be a name in a record of any form: a quoted text or a word."""


@dataclass
class Names:
    """Turns what products log into the ids of this lake.

    Args:
        hashed: keyed hash of a user.
        sources: names of the sources that records came from.
    """

    hashed: Hash
    sources: Collection[str]

    def of(self, kind: Kind, value: str) -> set[str]:
        """All that a user, a conversation or a record of that name may be called in the lake."""
        if kind == "user":
            return {value, self.hashed(value) or value}
        parts = ("conversation",) if kind == "conversation" else ()
        return {value, *(digest(source, *parts, value) for source in self.sources)}

    def within(self, content: str) -> Iterator[tuple[Kind, str]]:
        """Whatever is called like a user, a conversation or a record in the text of a record."""
        for value in values(content):
            for kind in ("user", "conversation", "row"):
                yield from ((kind, name) for name in self.of(kind, value))


def values(content: str) -> set[str]:
    """Every value in the text of a record that may be a name."""
    return {quoted or word for quoted, word in _VALUE.findall(content)}


def names(lake: Lake, *more: str) -> Names:
    """For records of every source that was collected, and of `more`."""
    collected = lake.read("sources").select(pl.col("source").unique()).collect()["source"]
    return Names(user_hash(lake.secret()), {*collected, HTTP, *more})


def user_hash(secret: bytes) -> Hash:
    """Keyed hash of a user's name: the same user is the same hash, and nobody finds the name without the key."""

    @lru_cache(REMEMBERED)
    def hashed(user: str | None) -> str | None:
        return user and hashlib.blake2b(user.encode(), key=secret[:64], digest_size=16).hexdigest()

    return hashed
