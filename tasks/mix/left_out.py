"""Rows that a mixture leaves out."""

from collections import Counter, defaultdict

import polars as pl

from storage.snapshot import digest

EXAMPLES = 3
"""Rows that are named for each reason."""


class LeftOut:
    """How many rows are left out for each reason, and the ids of a few: files may hold any number of them.

    Args:
        seed: the choice of the few follows from it.
    """

    def __init__(self, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._few: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def add(self, name: str, reason: str) -> None:
        """Leave out one row."""
        self.counts[reason] += 1
        few, one = self._few[reason], (digest(str(self._seed), name), name)
        if one not in few:
            few.append(one)
            few.sort()
            del few[EXAMPLES:]

    def add_all(self, rows: pl.DataFrame) -> None:
        """Leave out rows: `id`, `reason`."""
        for name, reason in rows.select("id", "reason").iter_rows():
            self.add(name, reason)

    @property
    def examples(self) -> dict[str, list[str]]:
        """Ids of a few rows for each reason; never texts, which erasure could not reach in a manifest."""
        return {reason: [name for _, name in few] for reason, few in sorted(self._few.items())}
