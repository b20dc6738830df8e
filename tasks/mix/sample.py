"""Which rows a mixture takes where there are more than it can: those that came since the last training, then others."""

from dataclasses import dataclass
from hashlib import blake2b

import polars as pl

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

    def order(self, name: str) -> str:
        """Of a row among others as old, by its id: a grown batch changes little of a sample."""
        return blake2b(f"{self.seed} {self.batch} {name}".encode(), digest_size=16).hexdigest()

    def sorted(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` (with `batch` and `order`), those first that came since. Where it was never trained, all are new."""
        if not self.since:
            return rows.sort("order")
        return rows.sort((pl.col("batch") <= self.since + "~") | (pl.col("batch") == FILES), "order")
