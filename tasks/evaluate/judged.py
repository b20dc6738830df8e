"""What a language model says of both models' answers: which is better, and how good each one is.

Judges like long answers, so that the win rate is shown without the part that length explains, too:
`logit(preference) = theta + beta * tanh(difference in length / its deviation)` is fitted, and theta is what is left
(Dubois et al. 2024, Length-Controlled AlpacaEval, https://arxiv.org/abs/2404.04475).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from tasks.evaluate.score import SCORE, score_rows
from tasks.inference.client import Client
from tasks.inference.judge import POINTS, Answer, Pair, Quality, compare, rate

WINS = "judge_win"
MARK = "judged_"
"""How the metric of a rubric's aspect begins."""
STIFFNESS = 0.1  # a weak pull of both parameters towards 0: without it, all pairs won would be infinitely certain


def judged(
    champion: pl.DataFrame, challenger: pl.DataFrame, client: Client, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame, Mapping[str, float]]:
    """Ask the judge about each prompt that both models answered.

    Args:
        champion: `item`, `messages` (up to the prompt) and `answer` of the model that serves.
        challenger: the same of the other one; the same items in the same order.
        client: what to ask the judge through.
        seed: of its sampling.

    Returns:
        Rows of schema `SCORE` for each of the two, and figures: the challenger's win rate, the same without what length
        explains, and how many replies were not understood, by reason.
    """
    pairs = [
        Pair(prompt, new, old)
        for prompt, new, old in zip(
            challenger["messages"].to_list(), challenger["answer"], champion["answer"], strict=True
        )
    ]
    verdicts, losses = compare(pairs, client, seed)
    value = pl.Series([None if verdict is None else POINTS[verdict] for verdict in verdicts], dtype=pl.Float64)
    known = value.is_not_null().to_numpy()
    won = value.drop_nulls().to_numpy()
    lengths = np.array([len(pair.first) - len(pair.second) for pair in pairs], dtype=np.float64)[known]
    figures = {}
    if len(won):
        figures = {"judge_win_rate": float(won.mean()), "judge_win_rate_at_equal_length": at_equal_length(won, lengths)}
    rows = []
    for answers, values in ((champion, 1 - value), (challenger, value)):
        marks, unclear = _marks(answers, client, seed)
        losses += unclear
        rows.append(pl.concat([score_rows(WINS, answers["item"], values, known), marks]).drop_nulls("value"))
    return rows[0], rows[1], figures | {f"judge:{name}": float(count) for name, count in losses.items()}


def at_equal_length(won: NDArray[np.float64], longer: NDArray[np.float64]) -> float:
    """The win rate that would be left if both answers were equally long, 0 to 1.

    Args:
        won: n preferences for the first answer: 1, 0.5 or 0.
        longer: by how many characters the first answer is the longer one.
    """
    if not len(won):
        return 0.5
    more = np.tanh(longer / (longer.std() or 1.0))

    def loss(parameters: NDArray[np.float64]) -> float:
        chance = np.clip(expit(parameters[0] + parameters[1] * more), 1e-9, 1 - 1e-9)
        fit = -(won * np.log(chance) + (1 - won) * np.log(1 - chance)).sum()
        return float(fit + STIFFNESS * (parameters**2).sum())

    return float(expit(minimize(loss, np.zeros(2)).x[0]))


def _marks(answers: pl.DataFrame, client: Client, seed: int) -> tuple[pl.DataFrame, Counter[str]]:
    """A mark from 1 to 5 for each aspect of each answer that the judge was understood on."""
    asked: Sequence[Answer] = [
        Answer(prompt, text) for prompt, text in zip(answers["messages"].to_list(), answers["answer"], strict=True)
    ]
    marks, losses = rate(asked, Quality, client, seed)
    rows = [
        score_rows(
            MARK + aspect, answers["item"], [None if one is None else getattr(one, aspect) for one in marks], 1.0
        )
        for aspect in Quality.model_fields
    ]
    return pl.concat(rows) if rows else pl.DataFrame(schema=SCORE), losses
