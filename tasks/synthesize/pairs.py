"""Best of n: from several answers to one prompt, the pair that teaches most.

Source: best and worst of n answers (Yuan et al., "Self-Rewarding Language Models", 2024,
https://arxiv.org/abs/2401.10020); with many samples the rejected one is that nearest to mean - 2 sigma, because the
very worst is an outlier that is too easy to tell (Xiao et al., "Finding the Sweet Spot", 2025,
https://arxiv.org/abs/2502.16825).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEW = 5  # samples up to which the least rewarded one is the rejected one
MAX_LENGTH_RATIO = 2.0  # of chosen and rejected, in characters: DPO must not learn length


@dataclass(frozen=True)
class Pair:
    """Positions of two answers, and by how much the better one is."""

    chosen: int
    rejected: int
    margin: float


def choose_pair(answers: Sequence[str], rewards: Sequence[float]) -> Pair | str:
    """The pair of a prompt's answers, or why there is none.

    Args:
        answers: different samples' texts, at least one.
        rewards: of each, higher is better.

    Returns:
        The pair: margin above 0, different texts, lengths within a factor of 2; or a reason: `agree` when no answer is
        worse than the best, `lengths` when every worse one is much longer or shorter.
    """
    values = np.asarray(rewards, dtype=float)
    chosen = int(values.argmax())
    worse = [at for at, value in enumerate(values) if value < values[chosen] and answers[at] != answers[chosen]]
    if not worse:
        return "agree"
    fitting = [at for at in worse if _ratio(answers[at], answers[chosen]) <= MAX_LENGTH_RATIO]
    if not fitting:
        return "lengths"
    target = values.min() if len(values) <= FEW else values.mean() - 2 * values.std()
    rejected = min(fitting, key=lambda at: (abs(values[at] - target), at))
    return Pair(chosen, rejected, float(values[chosen] - values[rejected]))


def _ratio(left: str, right: str) -> float:
    short, long = sorted((len(left), len(right)))
    return long / max(short, 1)
