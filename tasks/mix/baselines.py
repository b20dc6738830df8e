"""What two ways to choose that know nothing of quality would have chosen: at random, and the longest.

Selection by scores is worth its trouble only where it beats these two. Sources: Zhao et al. 2024, Long Is More for
Alignment, https://arxiv.org/abs/2402.04833; Diddee and Ippolito 2024, Chasing Random, https://arxiv.org/abs/2410.15225.
"""

from typing import Any

import polars as pl

FIGURES = {
    "perplexity": pl.col("perplexity").median(),
    "reward": pl.col("reward").mean(),
    "ifd": pl.col("ifd").median(),
    "repetition": pl.col("repetition").mean(),
    "refusals": pl.col("refusal").mean(),
    "chars": pl.col("chars").median(),
    "largest_user": pl.len().over("user_hash").filter(pl.col("user_hash").is_not_null()).max() / pl.len(),
}
"""What is compared: medians of skewed scores, means of the others, and the share of the user with the most rows."""


def compare(pool: pl.DataFrame | None, chosen: pl.Series, seed: int) -> dict[str, dict[str, Any]]:
    """Figures of the chosen rows, of as many at random, of as many of the longest, and of all there are.

    Args:
        pool: what could be chosen from; see `tasks.mix.select.Candidates`.
        chosen: ids of the rows that were.
        seed: of the random choice.

    Returns:
        By choice: `rows`, `overlap` (the share of the chosen rows that it has too), `ruled_out` (the share of its rows
        that the rules on scores leave out) and FIGURES. Nothing when nothing was chosen.
    """
    if pool is None or not len(chosen):
        return {}
    rows = pool.with_columns(at_random=pl.col("id").hash(seed))
    mine = pl.col("id").is_in(chosen.implode())
    choices = {
        "chosen": rows.filter(mine),
        "random": rows.sort("at_random").head(len(chosen)),
        "longest": rows.sort("chars", "at_random", descending=[True, False]).head(len(chosen)),
        "all": rows,
    }
    return {name: _figures(choice, mine, len(chosen)) for name, choice in choices.items()}


def _figures(rows: pl.DataFrame, mine: pl.Expr, count: int) -> dict[str, Any]:
    row = rows.select(rows=pl.len(), overlap=mine.sum() / count, ruled_out=pl.col("ruled_out").mean(), **FIGURES)
    return {
        name: round(value, 4) if isinstance(value, float) else value for name, value in row.row(0, named=True).items()
    }
