"""What a lake calls the users, conversations and records that products log, wherever they are read."""

import hashlib
import json
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
LONGEST = 200
"""Characters of a name."""
_PIECE = re.compile(r'((?:[^"\\]|\\.?)*)"?', re.DOTALL)
_WORD = re.compile(r"[\w.@:+/-]{1,200}")


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
    """Every value in the text of a record that may be a name: what stands between two quotes, and words outside them.

    Records may be broken: whatever lies between quotes counts, wherever a quoted text begins.
    """
    pieces = _PIECE.findall(content)
    between = {piece for piece in pieces if 0 < len(piece) <= LONGEST}
    words = {word for piece in pieces[::2] for word in _WORD.findall(piece)}
    return between | words | {_unescaped(piece) for piece in between if "\\" in piece}


def _unescaped(piece: str) -> str:
    """What JSON means by a text; the text itself if that is not JSON."""
    try:
        return str(json.loads(f'"{piece}"', strict=False))
    except ValueError:
        return piece


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
