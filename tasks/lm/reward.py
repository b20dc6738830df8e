"""A small reward model: logistic regression on a language model's hidden states, learned from what users liked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from storage import registry
from storage.lake import Lake
from storage.registry import Model
from storage.snapshot import digest
from tasks.lm.likelihood import features
from tasks.lm.load import LanguageModel
from tasks.lm.template import Encoded

FILE = "head.npz"
FOLDS = 5
STRENGTHS = (10.0, 100.0, 1000.0, 10_000.0)


@dataclass(frozen=True)
class RewardHead:
    """Turns an answer's pooled hidden state (`Likelihoods.pooled`) into the probability that a user likes it.

    Args:
        weights: of the standardised features (d).
        bias: log-odds of an average answer.
        mean: of the features (d).
        scale: their standard deviations (d).
    """

    weights: np.ndarray
    bias: float
    mean: np.ndarray
    scale: np.ndarray

    def score(self, features: np.ndarray) -> np.ndarray:
        """Probabilities (n) of the answers with these `features` (n x d)."""
        return np.asarray(expit(((features - self.mean) / self.scale) @ self.weights + self.bias))

    def save(self, folder: Path) -> None:
        """Write it into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / FILE, weights=self.weights, bias=self.bias, mean=self.mean, scale=self.scale)

    @classmethod
    def load(cls, folder: Path) -> "RewardHead":
        """Read it from `folder`."""
        with np.load(folder / FILE) as parts:
            return cls(parts["weights"], float(parts["bias"]), parts["mean"], parts["scale"])


@dataclass(frozen=True)
class Examples:
    """What somebody liked better, by position in a matrix of answers' features; -1 stands for no answer.

    A pair has both; a liked answer only `better`, a disliked one only `worse`. So all three are the same thing to
    learn: the reward of `better` is above that of `worse`, where the reward of no answer is 0.

    Args:
        better: positions of the better answers (n).
        worse: positions of the worse ones (n).
        groups: examples of one group (a conversation) share a side in cross-validation (n).
    """

    better: np.ndarray
    worse: np.ndarray
    groups: Sequence[str]


def fit(features: np.ndarray, examples: Examples, seed: int) -> tuple[RewardHead, float]:
    """Learn a head: L2 logistic regression, on differences of features where there are pairs (Bradley and Terry, 1952).

    The strength of the L2 penalty is the one with the least loss in 5-fold cross-validation by group.

    Args:
        features: of the answers (m x d).
        examples: which of them are better than which.
        seed: of the folds.

    Returns:
        The head, and the share of examples that cross-validation ranks rightly.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-6
    standard = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    padded = np.vstack([standard, np.zeros(standard.shape[1])])  # the last row, -1, is no answer
    design = padded[examples.better] - padded[examples.worse]
    folds = np.array([int(digest(str(seed), group)[:8], 16) % FOLDS for group in examples.groups])

    best_loss, best_strength, accuracy = np.inf, STRENGTHS[-1], 0.0
    for strength in STRENGTHS:
        margins = _cross_validate(design, folds, strength)
        loss = float(np.logaddexp(0, -margins).mean())
        if loss < best_loss:
            best_loss, best_strength, accuracy = loss, strength, float((margins > 0).mean())
    weights = _solve(design, best_strength)
    return RewardHead(weights[:-1], float(weights[-1]), mean, scale), accuracy


def answer_rewards(
    lm: LanguageModel, head: RewardHead, rows: Sequence[Encoded], token_budget: int = 4096
) -> np.ndarray:
    """The head's probability for the last answer of each row (n); `lm` must be the model that the head was fit on."""
    return head.score(features(lm, rows, token_budget, label="reward"))


Head = tuple[Model, RewardHead]
"""A registered reward head, whose features come from the model `settings["model"]`, and its weights."""


def newest_reward_head(lake: Lake) -> Head | None:
    """The reward head that was trained last, or None."""
    heads = registry.models(lake).filter(kind=registry.HEAD)
    if not heads.height:
        return None
    model = registry.get(lake, heads["id"][-1])
    return model, RewardHead.load(Path(model.path))


def _cross_validate(design: np.ndarray, folds: np.ndarray, strength: float) -> np.ndarray:
    """The margin of each example under the weights that were learned without its fold."""
    margins = np.zeros(len(design))
    for fold in np.unique(folds):
        held_out = folds == fold
        margins[held_out] = design[held_out] @ _solve(design[~held_out], strength)
    return margins


def _solve(design: np.ndarray, strength: float) -> np.ndarray:
    """The weights w with the least sum of log(1 + exp(-design @ w)) + strength / 2 * |w|^2.

    The last weight, the bias, is not penalised; if nothing determines it (pairs only) it stays 0, where it starts.
    """
    penalty = np.full(design.shape[1], strength)
    penalty[-1] = 0

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margins = design @ weights
        value = np.logaddexp(0, -margins).sum() + 0.5 * (penalty * weights**2).sum()
        return float(value), -design.T @ expit(-margins) + penalty * weights

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x)
