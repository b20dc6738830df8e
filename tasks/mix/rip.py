"""Which preference prompts are worth training on, told from their answers' rewards.

Prompts whose rejected answer is bad, short, or far worse than the chosen one are mostly unclear or trivial prompts.
Source: Yu et al. 2025, R.I.P.: Better Models by Survival of the Fittest Prompts, https://arxiv.org/abs/2501.18578.
"""

from collections.abc import Mapping

import polars as pl

from configs.quality import RipSettings
from storage.lake import Lake
from tasks.lm.load import load
from tasks.lm.reward import answer_rewards, newest_reward_head
from tasks.lm.template import Encoded, TemplateError, encode

OFF = RipSettings()
NO_HEAD = "Not applied: there is no reward head yet; it takes score.min_feedback pieces of feedback."
REASONS = ("rip_poor_rejected", "rip_short_rejected", "rip_wide_gap")


def rip(lake: Lake, pairs: pl.DataFrame, settings: RipSettings) -> tuple[pl.DataFrame, Mapping[str, str]]:
    """Which pairs RIP leaves out: rewards are all of the newest head, so that they can be compared.

    Args:
        lake: where the reward head is.
        pairs: `id`, `prompt`, `chosen`, `rejected`.
        settings: the quantiles.

    Returns:
        `id`, `reason` of the pairs that are left out, and why the rule was not applied, by its reason.
    """
    none = pl.DataFrame(schema={"id": pl.String, "reason": pl.String})
    if settings == OFF or not pairs.height:
        return none, {}
    if (newest := newest_reward_head(lake)) is None:
        return none, dict.fromkeys(REASONS, NO_HEAD)
    judge, head = newest
    lm = load(judge.settings["model"])

    def rewards(column: str) -> pl.Series:
        answered = [
            [*row["prompt"], {"role": "assistant", "content": row[column]}] for row in pairs.iter_rows(named=True)
        ]
        encoded = [_encoded(lm.tokenizer, messages, judge.settings["max_tokens"]) for messages in answered]
        return pl.Series(answer_rewards(lm, head, encoded))

    scored = pairs.select("id", length=pl.col("rejected").str.len_chars(), rejected=rewards("rejected"))
    return left_out(scored.with_columns(gap=rewards("chosen") - scored["rejected"]), settings), {}


def left_out(pairs: pl.DataFrame, settings: RipSettings) -> pl.DataFrame:
    """`id`, `reason` of the pairs outside the quantiles.

    Args:
        pairs: `id`, `rejected` (reward), `length` (of the rejected answer), `gap` (of the rewards).
        settings: the quantiles.
    """
    rules = (
        pl.col("rejected") < pl.col("rejected").quantile(settings.rejected_reward),
        pl.col("length") < pl.col("length").quantile(settings.rejected_length),
        pl.col("gap") > pl.col("gap").quantile(settings.reward_gap),
    )
    reason = pl.coalesce(pl.when(rule).then(pl.lit(name)) for name, rule in zip(REASONS, rules, strict=True))
    return pairs.select("id", reason=reason).drop_nulls("reason")


def _encoded(tokenizer: object, messages: list[dict[str, object]], max_tokens: int) -> Encoded:
    try:
        return encode(tokenizer, messages, max_tokens)
    except TemplateError:  # the mixture leaves such a pair out for that
        return Encoded([], [], [])
