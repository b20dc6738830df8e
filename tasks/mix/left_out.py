"""Rows that a mixture leaves out."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import polars as pl

EXAMPLES = 3
"""Rows that are named for each reason."""


class LeftOut:
    """How many rows are left out for each reason, and the first ids: files may hold any number of them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._few: dict[str, list[str]] = defaultdict(list)

    def add(self, name: str, reason: str) -> None:
        """Leave out one row."""
        self._add(reason, 1, [name])

    def add_all(self, rows: pl.DataFrame) -> None:
        """Leave out rows: `id`, `reason`."""
        first = pl.col("id").unique().sort().head(EXAMPLES)
        for reason, count, names in rows.group_by("reason").agg(pl.len(), first).iter_rows():
            self._add(reason, count, names)

    def _add(self, reason: str, count: int, names: Sequence[str]) -> None:
        self.counts[reason] += count
        self._few[reason] = sorted({*self._few[reason], *names})[:EXAMPLES]

    @property
    def examples(self) -> dict[str, list[str]]:
        """Ids of a few rows for each reason; never texts, which erasure could not reach in a manifest. An id is a hash,
        so the first are as good as any."""
        return dict(sorted(self._few.items()))
