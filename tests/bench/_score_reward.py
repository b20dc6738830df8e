"""Does the reward head rank answers better than their length does? Five folds of real preference pairs."""

from dataclasses import replace

import numpy as np
import polars as pl

from configs.settings import ScoreSettings
from tasks.lm.load import LanguageModel
from tasks.lm.reward import fit
from tasks.score.reward import examples
from tests.bench._score_data import pairs
from tests.bench._table import show

FOLDS = 5


def accuracies(lm: LanguageModel, count: int, max_tokens: int) -> dict[str, float]:
    """Share of held-out pairs ranked rightly; a tie counts half."""
    preferences = pl.DataFrame(pairs(count), infer_schema_length=None)
    settings = ScoreSettings(max_tokens=max_tokens, token_budget=2048)
    features, every = examples(lm, preferences, settings)
    folds = np.random.default_rng(7).permutation(len(preferences)) % FOLDS
    right = np.zeros(len(preferences))
    for fold in range(FOLDS):
        train, test = folds != fold, folds == fold
        groups = [group for group, kept in zip(every.groups, train, strict=True) if kept]
        seen = replace(every, better=every.better[train], worse=every.worse[train], groups=groups)
        head, _ = fit(features, seen, seed=fold)
        rewards = head.score(features)
        right[test] = rewards[every.better[test]] > rewards[every.worse[test]]
    longer = (preferences["chosen"].str.len_chars() - preferences["rejected"].str.len_chars().cast(pl.Int64)).sign()
    longest = float(((longer + 1) / 2).to_numpy().mean())
    figures = {
        "reward_accuracy": round(float(right.mean()), 4),
        "longest_accuracy": round(longest, 4),
        "shortest_accuracy": round(1 - longest, 4),
    }
    error = 1.96 * (right.mean() * (1 - right.mean()) / len(right)) ** 0.5
    show(
        f"{count} pairs of dpo_en_demo, {max_tokens} tokens, {FOLDS} folds (95% interval +- {error:.1%})",
        ["rule", "right"],
        [[name.removesuffix("_accuracy"), f"{value:.1%}"] for name, value in figures.items()],
    )
    return figures
