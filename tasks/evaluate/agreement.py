"""Whether a merged model does what its adapter does: the likeliest token at each place of an answer, from both.

Adding a small adapter to rounded weights can lose most of it; then the model that serves is not the one that was
trained. So the same answers are put through both, and the share of equal choices is counted.
"""

import gc
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from peft import PeftModel

from storage.progress import progress
from tasks.evaluate.score import encoded, score_rows
from tasks.lm.choices import choices
from tasks.lm.load import LanguageModel, load

METRIC = "merge_agreement"
ITEMS = 32
"""Answers that are compared; each has dozens of tokens."""


def agreement(merged: Path, parent: Path, items: pl.DataFrame, max_tokens: int) -> pl.DataFrame:
    """Share of equal choices on each answer, weighted by its tokens.

    Args:
        merged: folder of the model that would serve, with its adapter in the folder adapter.
        parent: folder of the model that the adapter was trained on.
        items: schema `ITEM`; the first `ITEMS` are taken.
        max_tokens: where an item is cut.

    Returns:
        Rows of schema `SCORE`; an item without an answer is left out.
    """
    taken = items.head(ITEMS)
    one, other = _merged_choices(merged, taken, max_tokens), _adapter_choices(merged, parent, taken, max_tokens)
    tokens = np.array([len(chosen) for chosen in one])
    equal = np.array([np.mean(left == right) if len(left) else 0.0 for left, right in zip(one, other, strict=True)])
    return score_rows(METRIC, taken["item"], equal, tokens).filter(pl.col("weight") > 0)


def _merged_choices(merged: Path, items: pl.DataFrame, max_tokens: int) -> list[NDArray[np.int64]]:
    found = _choices(load(merged), items, max_tokens, "merged")
    gc.collect()  # before the next model is loaded
    return found


def _adapter_choices(merged: Path, parent: Path, items: pl.DataFrame, max_tokens: int) -> list[NDArray[np.int64]]:
    lm = load(parent)
    PeftModel.from_pretrained(lm.model, str(merged / "adapter"))  # puts the adapter into lm.model's own layers
    return _choices(lm, items, max_tokens, "adapter")


def _choices(lm: LanguageModel, items: pl.DataFrame, max_tokens: int, label: str) -> list[NDArray[np.int64]]:
    rows = [encoded(lm, messages, max_tokens) for messages in items["messages"].to_list()]
    return [choices(lm, row) for row in progress(rows, len(rows), f"evaluate: tokens of the {label} model")]
