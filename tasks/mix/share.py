"""How much of each source a mixture takes: shares of trained tokens, not of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from configs.mixing import MixSource, leading, weights

Counts = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Part:
    """What a mixture takes of one source.

    Args:
        rows: rows taken, one that is repeated counting each time.
        repeated: how many of them are there again.
        available: rows there were.
        trained_tokens: in the rows taken.
        wanted_tokens: that its weight asks for beside what the others give.
        short: whether it gave all it may and has not reached its weight.
    """

    rows: int
    repeated: int
    available: int
    trained_tokens: int
    wanted_tokens: int
    short: bool


def take(rows: pl.DataFrame, sources: Sequence[MixSource], max_rows: int) -> tuple[pl.DataFrame, Mapping[str, Part]]:
    """Take rows so that each source has its share of trained tokens, within `max_rows`.

    The leading sources (see `configs.mixing.leading`) are never given up for a share: the others are cut to fit them,
    and all together to fit `max_rows`. Without rows of theirs there is nothing to take a share of, and nothing is
    taken. Of each source the first rows are taken; rows are repeated only as often as `max_repeats` allows.

    Args:
        rows: candidates in order, with `part` (the source's name) and `trained_tokens`.
        sources: of the stage.
        max_rows: of the mixture.
    """
    leaders, shares = [source.name for source in leading(sources)], weights(sources)
    others = [source for source in sources if source.name in shares]
    ahead = rows.filter(pl.col("part").is_in(leaders))
    tokens = _sums(ahead["trained_tokens"], 1)
    sums = {
        one.name: _sums(rows.filter(pl.col("part") == one.name)["trained_tokens"], one.max_repeats) for one in others
    }

    def counts(number: int) -> dict[str, int]:
        total = total_tokens(int(tokens[number]), [(shares[name], int(sums[name][-1])) for name in sums])
        while True:  # rows are whole, so a source falls short of its share, and the others' shares grow
            fitting = {name: _fitting(sums[name], shares[name] * total) for name in sums}
            made = int(tokens[number]) + sum(int(sums[name][fitting[name]]) for name in sums)
            if made >= total:
                return fitting
            total = made

    low, high = 0, ahead.height
    while low < high:  # the most leading rows with which all sources together fit
        middle = (low + high + 1) // 2
        fits = middle + sum(counts(middle).values()) <= max_rows
        low, high = (middle, high) if fits else (low, middle - 1)
    taken = {**dict(ahead.head(low).group_by("part").len().iter_rows()), **counts(low)}
    mixed = pl.concat([rows.clear(), *(_first(rows, one.name, taken.get(one.name, 0)) for one in sources)])
    return mixed, {one.name: _part(one, rows, mixed, shares.get(one.name)) for one in sources}


def total_tokens(leading: float, others: Sequence[tuple[float, float]]) -> float:
    """Trained tokens of a mixture in which every source has its share, or all it has where that is less.

    With l leading tokens, sources f that give all f_i they have, and the weights w_j of the others, the total t is
    l + sum f_i + t * sum w_j. Whoever has least for its weight is short first; the larger total that its tokens make
    leaves it short.

    Args:
        leading: tokens of the leading sources.
        others: weight and available tokens of each other source.
    """
    fixed, free = leading, 1 - sum(weight for weight, _ in others)
    for weight, available in sorted(others, key=lambda one: one[1] / one[0]):
        if available >= weight * fixed / free:
            break
        fixed, free = fixed + available, free + weight
    return fixed / free


def _part(source: MixSource, rows: pl.DataFrame, mixed: pl.DataFrame, share: float | None) -> Part:
    """What was taken of a source; of one that leads (without a share), or has a `max_weight`, no more is wanted."""
    mine = mixed.filter(pl.col("part") == source.name)
    available = rows.filter(pl.col("part") == source.name).height
    tokens, rest = int(mine["trained_tokens"].sum()), int(mixed["trained_tokens"].sum())
    wanted = round(share * (rest - tokens) / (1 - share)) if share and source.weight is not None else tokens
    exhausted = mine.height == available * source.max_repeats
    return Part(
        rows=mine.height,
        repeated=mine.height - mine["id"].n_unique(),
        available=available,
        trained_tokens=tokens,
        wanted_tokens=max(wanted, tokens),
        short=exhausted and wanted > tokens,
    )


def _first(rows: pl.DataFrame, part: str, count: int) -> pl.DataFrame:
    """The first rows of a part; from the beginning again where it has fewer."""
    mine = rows.filter(pl.col("part") == part)
    if not count:
        return mine.clear()
    return pl.concat([*[mine] * (count // mine.height), mine.head(count % mine.height)])


def _sums(tokens: pl.Series, times: int) -> Counts:
    """Trained tokens of the first 0, 1, 2 ... rows, one after the other so many times."""
    return np.concatenate(([0], np.cumsum(np.tile(tokens.to_numpy(), times), dtype=np.int64)))


def _fitting(sums: Counts, tokens: float) -> int:
    """How many of the first rows stay within `tokens`."""
    return int(np.searchsorted(sums, tokens + 0.5, side="right")) - 1
