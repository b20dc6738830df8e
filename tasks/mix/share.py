"""How much of each part a mixture takes: shares of trained tokens, not of rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from configs.settings import MixSettings

PARTS = ("user", "synthetic", "general")
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Part:
    """What a mixture takes of one part.

    Args:
        rows: rows taken.
        available: rows there were.
        trained_tokens: in the rows taken.
        wanted_tokens: that the share asked for; more than `trained_tokens` is a shortfall, which is never filled by
            repeating rows.
    """

    rows: int
    available: int
    trained_tokens: int
    wanted_tokens: int


def take(rows: pl.DataFrame, settings: MixSettings) -> tuple[pl.DataFrame, Mapping[str, Part]]:
    """Take rows so that general and synthetic text have their share of trained tokens, within `max_rows`.

    User rows are never given up for a share: the other parts are cut to fit them, and all three together to fit
    `max_rows`. Without user rows there is nothing to take a share of, and nothing is taken.

    Args:
        rows: candidates in order, with `part` and `trained_tokens`.
        settings: the shares.
    """
    sums = {part: _cumulative(rows, part) for part in PARTS}

    def counts(users: int) -> list[int]:
        wanted = wanted_tokens(int(sums["user"][users]), sums, settings)
        return [users] + [_fitting(sums[part], wanted[part]) for part in PARTS[1:]]

    low, high = 0, len(sums["user"]) - 1
    while low < high:  # the most user rows with which all parts together fit
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(counts(middle)) <= settings.max_rows else (low, middle - 1)
    taken = dict(zip(PARTS, counts(low), strict=True))
    wanted = wanted_tokens(int(sums["user"][low]), sums, settings)
    parts = {
        part: Part(count, len(sums[part]) - 1, int(sums[part][count]), max(wanted[part], int(sums[part][count])))
        for part, count in taken.items()
    }
    position = pl.int_range(pl.len()).over("part")
    limits = pl.col("part").replace_strict(taken, default=0, return_dtype=pl.Int64)
    return rows.filter(position < limits), parts


def wanted_tokens(users: int, sums: Mapping[str, Counts], settings: MixSettings) -> dict[str, int]:
    """Trained tokens wanted of each part beside `users` tokens of user rows.

    With u user, s synthetic and g general tokens, total t: g = general_share * t and s <= max_synthetic_share * t.
    """
    general, synthetic = settings.general_share, settings.max_synthetic_share
    most_synthetic = synthetic * users / (1 - general - synthetic)
    generated = min(most_synthetic, float(sums["synthetic"][-1]))
    return {
        "user": users,
        "synthetic": round(generated),
        "general": round(general * (users + generated) / (1 - general)),
    }


def _cumulative(rows: pl.DataFrame, part: str) -> Counts:
    """Trained tokens of the first 0, 1, 2 ... rows of a part."""
    tokens = rows.filter(pl.col("part") == part)["trained_tokens"].to_numpy()
    return np.concatenate(([0], np.cumsum(tokens, dtype=np.int64)))


def _fitting(sums: Counts, tokens: int) -> int:
    """How many of the first rows stay within `tokens`."""
    return int(np.searchsorted(sums, tokens, side="right")) - 1
