"""Which rows a person should look at: those of the training side that the scores are least sure of."""

import polars as pl

from storage.lake import Lake
from storage.snapshot import SYNTHETIC
from tasks.text.conversation import contents, last_answer, prompt

COLUMNS = ["id", "prompt", "answer", "reward", "perplexity", "uncertainty"]


def newest_batch(lake: Lake) -> str | None:
    """The newest curated batch of collected rows, or None."""
    found: str | None = (
        lake.read("curated", step="score")
        .select(pl.col("batch").str.split(SYNTHETIC).list.first().max())
        .collect()
        .item()
    )
    return found


def uncertain_rows(lake: Lake, count: int) -> pl.DataFrame:
    """The rows that a person's decision tells most about, the least certain first.

    A row is uncertain whose reward is near one half (in bits, 0 to 1); without a reward, whose perplexity is far from
    the middle, where selection cuts. Only answers to users on the training side are looked at: never the general set,
    never the holdout, and no row twice.

    Args:
        lake: where the rows are.
        count: rows at most.

    Returns:
        `id`, `prompt` (all turns before the answer, as a person reads them), `answer`, `reward`, `perplexity`,
        `uncertainty`.
    """
    reward = pl.col("reward").clip(1e-9, 1 - 1e-9)
    bits = -(reward * reward.log(2) + (1 - reward) * (1 - reward).log(2))
    place = (pl.col("perplexity").rank() - 0.5) / pl.col("perplexity").count()
    return (
        lake.read("curated")
        .filter(
            pl.col("split") == "train",
            pl.col("kind") == "conversation",
            pl.col("domain").ne_missing("general"),
            last_answer().fill_null("").str.strip_chars() != "",
        )
        .join(lake.read("reviews").select(id="target_id"), on="id", how="anti")
        .select(
            "id", "reward", "perplexity", answer=last_answer(), prompt=_readable(),
            uncertainty=pl.coalesce(bits, (place - 0.5).abs() * 2, pl.lit(0.0)),
        )
        .sort("uncertainty", "id", descending=[True, False])
        .head(count)
        .select(COLUMNS)
        .collect()
    )  # fmt: skip


def _readable() -> pl.Expr:
    """The turns before the answer, each with who says it; a single turn alone."""
    turn = pl.element().struct
    lines = prompt().list.eval(pl.concat_str(turn.field("role"), pl.lit(": "), turn.field("content").fill_null("")))
    alone = contents("messages").list.first()
    return pl.when(pl.col("messages").list.len() == 2).then(alone).otherwise(lines.list.join("\n\n"))
