"""Scores and selection: speed of losses, junk, decontamination, the reward head. About 12 minutes on 2 idle cores.

Figures: vs_one_by_one, vs_naive_batches, vs_forward, auc_by_kind, decontam_verbatim, decontam_edited, decontam_false,
decontam_texts_per_s, reward_accuracy, longest_accuracy, shortest_accuracy.
"""

from typing import Any

from tasks.lm.load import load
from tests.bench import _score_decontamination, _score_junk, _score_reward, _score_speed


def run(*, quick: bool) -> dict[str, Any]:
    """All four, with SmolLM2; quick takes a tenth of the texts."""
    lm = load("smollm2")
    return {
        **_score_decontamination.found(texts=20_000 if quick else 100_000),
        **_score_speed.compare(lm, texts=30 if quick else 300, rounds=1),
        "auc_by_kind": _score_junk.aucs(lm, count=30 if quick else 1000),
        **_score_reward.accuracies(lm, count=40 if quick else 300, max_tokens=128 if quick else 256),
    }
