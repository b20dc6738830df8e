"""Finished requests, on disk at once: whatever is killed, nothing is asked for twice."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tasks.lm.generate import Completion

FILE = "completions.sqlite"
PAGE = 500  # keys of one query


class Journal:
    """The completions that were ever had, by key. Several processes may use it at once; it takes no memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, keys: Sequence[str]) -> dict[str, Completion]:
        """Those of `keys` that are finished."""
        found: dict[str, Completion] = {}
        for start in range(0, len(keys), PAGE):
            page = keys[start : start + PAGE]
            marks = ",".join("?" * len(page))
            query = f"SELECT key, text, finished, tokens FROM completions WHERE key IN ({marks})"
            for key, text, finished, tokens in self._connection.execute(query, page):
                found[key] = Completion(text=text, finished=bool(finished), tokens=tokens)
        return found

    def add(self, key: str, completion: Completion) -> None:
        """Keep a completion. It is on disk when this returns."""
        row = (key, completion.text, completion.finished, completion.tokens)
        self._connection.execute("INSERT OR IGNORE INTO completions VALUES (?, ?, ?, ?)", row)


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """The journal in `folder`, made if need be."""
    with closing(sqlite3.connect(folder / FILE, timeout=60, isolation_level=None)) as connection:
        # write-ahead log: a finished request costs one write, and a killed process loses none
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY, "
            "text TEXT NOT NULL, finished INTEGER NOT NULL, tokens INTEGER NOT NULL) WITHOUT ROWID"
        )
        yield Journal(connection)


def forget(folder: Path) -> bool:
    """Empty the journal in `folder`: what was asked and answered cannot be told apart by whose rows it came from.

    Returns:
        Whether there was anything in it. Nothing of it stays on the disk.
    """
    if not (folder / FILE).exists():
        return False
    with closing(sqlite3.connect(folder / FILE, timeout=60, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        emptied = connection.execute("DELETE FROM completions").rowcount
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return emptied > 0
