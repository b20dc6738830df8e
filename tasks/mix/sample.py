"""Which rows a mixture takes where there are more than it can: those that came since the last training, then others."""

from dataclasses import dataclass

import polars as pl

from storage.snapshot import digest
from tasks.text.hashing import text_hashes

FILES = "files"
"""The batch of a row that none brought."""


@dataclass(frozen=True)
class Sample:
    """The order in which rows are taken.

    However long the history, a new night is learned; and of the history every night reads another part.

    Args:
        seed: of the run.
        batch: the newest one that counts.
        since: the newest one that counted when the model was last trained in this stage; "" if it never was.
    """

    seed: int
    batch: str
    since: str

    def order(self, names: pl.Series) -> pl.Series:
        """Of rows among others as old, by their ids: a grown batch changes little of a sample."""
        return pl.Series("order", text_hashes(names, digest(str(self.seed), self.batch)))

    def sorted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` (with `batch` and `order`), those first that came since. Where it was never trained, all are new."""
        if not self.since:
            return rows.sort("order")
        return rows.sort((pl.col("batch") <= self.since + "~") | (pl.col("batch") == FILES), "order")
