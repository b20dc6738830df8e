"""Preference pairs: from several answers to one prompt, the two that teach most.

Source: best and worst of n answers (Yuan et al., "Self-Rewarding Language Models", 2024,
https://arxiv.org/abs/2401.10020); with many samples the rejected one is that nearest to mean - 2 sigma, because the
very worst is an outlier that is too easy to tell (Xiao et al., "Finding the Sweet Spot", 2025,
https://arxiv.org/abs/2502.16825).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from storage.snapshot import digest
from tasks.synthesize.candidates import Candidates
from tasks.synthesize.rows import table_frame

FEW = 5  # samples up to which the least rewarded one is the rejected one


@dataclass(frozen=True)
class Pair:
    """Positions of two answers, and by how much the better one is."""

    chosen: int
    rejected: int
    margin: float


def choose_pair(answers: Sequence[str], rewards: Sequence[float], max_length_ratio: float) -> Pair | str:
    """The pair of a prompt's answers, or why there is none.

    Args:
        answers: different samples' texts, at least one.
        rewards: of each, higher is better.
        max_length_ratio: of the two, in characters: DPO must not learn length.

    Returns:
        The pair: margin above 0, different texts, lengths within the ratio; or a reason: `agree` when no answer is
        worse than the best, `lengths` when every worse one is much longer or shorter.
    """
    values = np.asarray(rewards, dtype=float)
    chosen = int(values.argmax())
    worse = [at for at, value in enumerate(values) if value < values[chosen] and answers[at] != answers[chosen]]
    if not worse:
        return "agree"
    fitting = [at for at in worse if _ratio(answers[at], answers[chosen]) <= max_length_ratio]
    if not fitting:
        return "lengths"
    target = values.min() if len(values) <= FEW else values.mean() - 2 * values.std()
    rejected = min(fitting, key=lambda at: (abs(values[at] - target), at))
    return Pair(chosen, rejected, float(values[chosen] - values[rejected]))


@dataclass(frozen=True)
class Writer:
    """Who wrote answers: its name, and whether it is another model than the one that DPO starts from."""

    model: str
    off_policy: bool


def pair_rows(
    candidates: Sequence[Candidates], writer: Writer, max_length_ratio: float
) -> tuple[pl.DataFrame, Counter[str]]:
    """Rows of the preferences table, and what became of the prompts by reason.

    Args:
        candidates: the scored answers to each prompt.
        writer: who wrote them.
        max_length_ratio: see `choose_pair`.
    """
    counts: Counter[str] = Counter()
    rows = []
    for one in candidates:
        enough = len(one.answers) > 1
        pair = choose_pair(one.answers, one.scores, max_length_ratio) if enough else "too_few_answers"
        counts[pair if isinstance(pair, str) else "pairs"] += 1
        if not isinstance(pair, str):
            rows.append(_row(one, one.answers[pair.chosen], one.answers[pair.rejected], writer))
    return table_frame("preferences", rows), counts


def _row(candidates: Candidates, chosen: str, rejected: str, writer: Writer) -> dict[str, Any]:
    return {
        "id": digest("best_of_n", candidates.id, writer.model),
        "kind": "pair",
        "origin": "best_of_n",
        "target_id": candidates.id,
        "split": "train",
        "prompt": list(candidates.prompt),
        "chosen": chosen,
        "rejected": rejected,
        "model": writer.model,
        "off_policy": writer.off_policy,
    }


def _ratio(left: str, right: str) -> float:
    short, long = sorted((len(left), len(right)))
    return long / max(short, 1)
