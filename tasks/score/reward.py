"""The reward head of a run: trained on all feedback so far, on the training side only."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from configs.settings import ScoreSettings
from storage import registry
from storage.lake import Lake
from storage.newest import newest
from storage.registry import Model
from storage.snapshot import digest
from tasks.lm.likelihood import features
from tasks.lm.load import LanguageModel
from tasks.lm.reward import Examples, RewardHead, fit
from tasks.score.by_model import encode_all

log = logging.getLogger(__name__)

MOST_PREFERENCES = 1000
"""The newest ones that a head is trained on: a night's cost must not grow with history."""


def usable_preferences(lake: Lake, batch: str) -> pl.DataFrame:
    """What users said by this batch, on the training side, by id; what a reward head itself chose is not among it."""
    human = (pl.col("split") == "train", pl.col("origin") != "best_of_n")
    found = newest(lake, "preferences", MOST_PREFERENCES, pl.col("batch") <= batch, *human)
    columns = ["id", "batch", "kind", "target_id", "prompt", "chosen", "rejected", "label"]
    return found.select(columns).sort("id").collect()


def too_few(preferences: pl.DataFrame, settings: ScoreSettings) -> str | None:
    """Why no head can be trained on these preferences, or None."""
    if preferences.height < settings.min_feedback:
        return f"{preferences.height} pieces of feedback on the training side, {settings.min_feedback} are needed"
    labels = preferences.filter(pl.col("kind") == "label")["label"]
    if labels.len() == preferences.height and labels.n_unique() < 2:
        return "all feedback says the same"
    return None


def reward_head(
    lake: Lake,
    batch: str,
    model: str,
    open_model: Callable[[], LanguageModel],
    settings: ScoreSettings,
    seed: int,
) -> RewardHead | None:
    """The head for this batch: taken from the registry when it was trained on the same feedback, else trained.

    Args:
        lake: where feedback and models are.
        batch: what came later is not looked at.
        model: name of the language model whose hidden states it reads.
        open_model: loads that model.
        settings: how many preferences it takes, and how many tokens count.
        seed: of the cross-validation.

    Returns:
        The head, or None, with the reason logged, when there is too little to learn from.
    """
    preferences = usable_preferences(lake, batch)
    if reason := too_few(preferences, settings):
        log.info("score: no reward head: %s", reason)
        return None
    lm = open_model()
    content = preferences.drop("batch").write_json()
    name = digest(model, lm.template_hash, str(settings.max_tokens), str(seed), content)
    model_id = f"reward-{name[:12]}"
    if registry.find(lake, model_id):
        return RewardHead.load(Path(registry.get(lake, model_id).path))
    head, accuracy = train(lm, preferences, settings, seed)
    folder = lake.folder("models", model_id)
    head.save(folder)
    log.info("score: reward head on %s preferences, %.0f%% ranked rightly", f"{preferences.height:,}", 100 * accuracy)
    registered = Model(
        id=model_id,
        kind="head",
        stage="reward",
        path=str(folder),
        template_hash=lm.template_hash,
        settings={"model": model, "max_tokens": settings.max_tokens, "seed": seed},
        metrics={"rows": preferences.height, "accuracy": accuracy},
    )
    registry.register(lake, registered, batch=batch)
    return head


def train(lm: LanguageModel, preferences: pl.DataFrame, settings: ScoreSettings, seed: int) -> tuple[RewardHead, float]:
    """A head from rows of the table preferences, and its accuracy in cross-validation.

    Raises:
        TemplateError: the chat template refuses every answer.
    """
    return fit(*examples(lm, preferences, settings), seed)


def examples(lm: LanguageModel, preferences: pl.DataFrame, settings: ScoreSettings) -> tuple[np.ndarray, Examples]:
    """What preferences teach: features of all their answers (m x d), and which are better than which.

    Args:
        lm: the model whose hidden states are the features.
        preferences: rows of the table preferences.
        settings: how many tokens count, and how many fit into a batch.

    Raises:
        TemplateError: the chat template refuses every answer.
    """
    places: dict[str, int] = {}  # an answer that was judged twice is read once
    conversations: list[list[dict[str, Any]]] = []
    better: list[int] = []
    worse: list[int] = []
    for row in preferences.iter_rows(named=True):
        liked = row["chosen"] if row["kind"] == "pair" or row["label"] else None
        disliked = row["rejected"] if row["kind"] == "pair" else row["chosen"] if liked is None else None
        for answer, positions in ((liked, better), (disliked, worse)):
            if answer is None:
                positions.append(-1)
                continue
            conversation = [*row["prompt"], {"role": "assistant", "content": answer}]
            place = places.setdefault(json.dumps(conversation, sort_keys=True), len(conversations))
            if place == len(conversations):
                conversations.append(conversation)
            positions.append(place)
    encoded = encode_all(lm, conversations, settings.max_tokens)
    pooled = features(lm, encoded, settings.token_budget, label="score: reward head")
    return pooled, Examples(np.array(better), np.array(worse), preferences["target_id"].to_list())
