"""How good the reward model that scores rows finds what a model answers."""

import polars as pl

from tasks.evaluate.score import score_rows
from tasks.lm.rewarding import Rewarder

METRIC = "answer_reward"


def rewarded(answers: pl.DataFrame, give: Rewarder) -> pl.DataFrame:
    """The reward of each answer, 0 to 1, as rows of schema `SCORE`; none of an answer that cannot be rewarded.

    Args:
        answers: `item`, `messages` (up to the prompt) and `answer`.
        give: what gives rewards.
    """
    asked = zip(answers["messages"].to_list(), answers["answer"], strict=True)
    found = give([[*messages, {"role": "assistant", "content": answer}] for messages, answer in asked])
    return score_rows(METRIC, answers["item"], found, 1.0).filter(pl.col("value").is_not_nan())
