"""Whether a challenger is proven better: paired bootstrap by conversation, and a verdict with its reasons.

Answers of one conversation resemble each other, so conversations are resampled, not answers. What is resampled is the
difference over its jackknife error, because bounds taken from resampled differences themselves are too narrow for few
or skewed conversations; and a bound is never closer than Student's, corrected for skewness (bootstrap-t: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, section 12.5; for clusters: Cameron, Gelbach and Miller,
"Bootstrap-based improvements for inference with clustered errors", 2008; skewness: Johnson, "Modified t tests and
confidence intervals for asymmetrical populations", 1978).
`python -m tests.bench gate` measures how often it errs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom
from scipy.stats import t as student

from storage.evidence import Comparison
from storage.snapshot import digest

Floats = NDArray[np.float64]
CHUNK = 1_000_000  # draws at a time: 16 MB
FEW = 8  # groups: resamples of fewer say more about each other than about the world; Student's bounds stand alone
ROUNDING = 1e-9
SPENT = 0.8  # of the error that is allowed over a champion's time


@dataclass(frozen=True)
class Metric:
    """What is compared, and what hangs on it.

    Args:
        name: of the metric.
        role: primary (must be proven better), guardrail (must be proven not worse than `limit`), veto (must not be
            proven worse, and by more than `limit`; for yes/no scores of few items) or info.
        better: lower or higher.
        limit: by how much a guardrail or a veto may be worse, in the metric's unit.
        label: what it is called in a sentence.
        unit: what its figures are.
        remedy: what a person can do when there are too few items.
        needed: whether too few items hold the verdict.
    """

    name: str
    role: str
    better: str
    limit: float = 0.0
    label: str = ""
    unit: str = ""
    remedy: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Scores:
    """Both models' scores on the same n items.

    Args:
        champion: n values.
        challenger: n values.
        weight: n values at least 0, such as tokens.
        group: n labels; items of one conversation share one.
    """

    champion: Floats
    challenger: Floats
    weight: Floats
    group: NDArray[Any]


def compare(metric: Metric, scores: Scores, *, confidence: float, resamples: int, seed: int) -> Comparison:
    """Mean difference of two models by one metric, with one-sided bounds.

    Args:
        metric: what the scores are.
        scores: items of at least two groups: one group says nothing about the next.
        confidence: of each bound, 0.5 to 1.
        resamples: of the bootstrap.
        seed: the same one gives the same bounds.
    """
    sign = 1.0 if metric.better == "higher" else -1.0
    weights = _by_group(scores.weight, scores.group)
    gains = _by_group(sign * scores.weight * (scores.challenger - scores.champion), scores.group)
    lower, upper = bounds(gains, weights, confidence=confidence, resamples=resamples, seed=[seed, _number(metric.name)])
    delta = float(gains.sum() / weights.sum())
    limit = None if metric.role == "info" else metric.limit
    passed = None if limit is None else lower > -limit
    if metric.role == "veto":
        passed = delta >= -metric.limit or not proven_worse(gains, confidence=confidence)
    return Comparison(
        name=metric.name,
        role=metric.role,
        better=metric.better,
        champion=float(np.average(scores.champion, weights=scores.weight)),
        challenger=float(np.average(scores.challenger, weights=scores.weight)),
        delta=delta,
        lower=lower,
        upper=upper,
        items=len(scores.weight),
        groups=len(weights),
        won=int((gains > 0).sum()),
        lost=int((gains < 0).sum()),
        limit=limit,
        passed=passed,
    )


def proven_worse(gains: Floats, *, confidence: float) -> bool:
    """Whether more groups lost than chance allows: exact sign test, for yes/no scores that of McNemar (1947).

    Args:
        gains: differences by group; above 0 the challenger is better.
        confidence: one-sided.
    """
    lost, changed = int((gains < 0).sum()), int((gains != 0).sum())
    return bool(binom.sf(lost - 1, changed, 0.5) <= 1 - confidence)


def spent(confidence: float, failures: int) -> float:
    """The confidence that the next challenger must reach after so many others failed against the same champion.

    Of the error that is allowed over a champion's whole time, the k-th challenger gets the share 6 / (pi k)^2; these
    shares add up to 1, so with any number of nights the chance that a champion falls to one that is no better stays
    below `1 - confidence` (alpha spending: Lan and DeMets, "Discrete sequential boundaries for clinical trials", 1983).
    A part is kept back: the far tails that late challengers are judged by are heavier than what is estimated of them.
    """
    return 1 - (1 - confidence) * SPENT * 6 / (math.pi * (failures + 1)) ** 2


def bounds(
    gains: Floats, weights: Floats, *, confidence: float, resamples: int, seed: int | Sequence[int]
) -> tuple[float, float]:
    """One-sided lower and upper bootstrap bounds of `gains.sum() / weights.sum()`.

    Args:
        gains: weighted differences, summed by group; at least two groups.
        weights: weights, summed by group; one above 0 in every group.
        confidence: of each bound.
        resamples: how often groups are drawn with replacement.
        seed: of the draws.
    """
    groups, total = len(gains), weights.sum()
    mean = gains.sum() / total
    rest = gains - mean * weights
    left_out = rest / (1 - weights / total)  # jackknife: what each group moves the mean of the others by
    error = math.sqrt((left_out**2).sum()) / total
    if error == 0:  # every group says the same
        return float(mean), float(mean)
    low, high = _student(left_out, confidence)
    if groups >= FEW:
        found = _deviations(rest, weights, resamples, np.random.default_rng(seed))
        tails = np.quantile(found, [1 - confidence, confidence], method="nearest") if len(found) else (low, high)
        low, high = min(low, tails[0]), max(high, tails[1])  # resamples run out where a confidence is very high
    return float(mean - high * error), float(mean - low * error)


def _student(left_out: Floats, confidence: float) -> tuple[float, float]:
    """How many standard errors the bounds are from the mean at least: below 0, and above.

    A long tail on one side, seen or not, makes a mean that lies too far on the other side more likely.
    """
    groups = len(left_out)
    distance = float(student.ppf(confidence, groups - 1))
    skewness = float((left_out**3).mean() / (left_out**2).mean() ** 1.5)
    shift = skewness * (1 + 2 * distance**2) / (6 * math.sqrt(groups))
    return -distance - max(0.0, shift), distance + max(0.0, -shift)


def _deviations(rest: Floats, weights: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    """Of each resample: how far its mean lies from the sample's, in standard errors of its own.

    Resamples in which all groups say the same, as happens with yes/no scores, have no error and are left out.

    Args:
        rest: gains less what they are on average, by group.
        weights: by group.
        resamples: how many.
        generator: draws them.
    """
    columns = (rest, weights, rest * rest, rest * weights, weights * weights)
    groups, parts = len(rest), []
    step = max(1, CHUNK // groups)
    for start in range(0, resamples, step):
        drawn = generator.integers(0, groups, size=(min(step, resamples - start), groups))
        gain, total, squares, products, weight_squares = (column[drawn].sum(axis=1) for column in columns)
        shift = gain / total
        variance = squares - 2 * shift * products + shift**2 * weight_squares
        known = variance > ROUNDING * squares
        parts.append(shift[known] * total[known] / np.sqrt(variance[known]))
    return np.concatenate(parts)


def judge(
    metrics: Sequence[Metric],
    comparisons: Sequence[Comparison],
    *,
    min_items: int,
    faults: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """The verdict: promote what is proven better, reject what is proven worse, hold the rest.

    Args:
        metrics: what counts; those of role info are left aside, and what was not measured if it is not needed.
        comparisons: by these metrics, in any order; one that is missing decides nothing.
        min_items: conversations that a comparison needs to decide anything.
        faults: other reasons to reject, as sentences.
        doubts: other reasons to hold.

    Returns:
        promote, hold or reject, and a sentence per metric, the decisive ones first.
    """
    found = {comparison.name: comparison for comparison in comparisons}
    rejected, held, passed = list(faults), list(doubts), []
    for metric in metrics:
        comparison = found.get(metric.name)
        if metric.role == "info":
            continue
        if metric.role == "veto":
            if comparison is not None and not comparison.passed:
                rejected.append(f"{_seen(metric, comparison)}: proven worse.")
        elif comparison is None or comparison.groups < min_items:
            held += [_too_few(metric, comparison, min_items)] if metric.needed else []
        elif comparison.passed:
            passed.append(f"{_seen(metric, comparison)}: {_proven(metric)}.")
        elif comparison.upper < -metric.limit:
            rejected.append(f"{_seen(metric, comparison)}: proven worse{_allowed(metric)}.")
        else:
            held.append(f"{_seen(metric, comparison)}: not proven {_goal(metric)}. {_outlook(comparison)}")
    verdict = "reject" if rejected else "hold" if held else "promote"
    return verdict, [*rejected, *held, *passed]


def needed(comparison: Comparison) -> int | None:
    """How many conversations would prove the difference seen, if it stays; None when it is on the wrong side.

    A bound's distance shrinks with the root of the number of groups.
    """
    margin = comparison.delta + (comparison.limit or 0.0)
    if margin <= 0:
        return None
    distance = comparison.delta - comparison.lower
    return max(comparison.groups + 1, math.ceil(comparison.groups * (distance / margin) ** 2))


def _seen(metric: Metric, comparison: Comparison) -> str:
    """The figures: "Loss on endorsed answers 2.310 -> 2.190 nats per token (better by 0.120, ...)"."""
    side = "better" if comparison.delta >= 0 else "worse"
    unit = f" {metric.unit}" if metric.unit else ""
    return (
        f"{metric.label} {comparison.champion:.3f} -> {comparison.challenger:.3f}{unit} "
        f"({side} by {abs(comparison.delta):.3f}, between {comparison.lower:+.3f} and {comparison.upper:+.3f}; "
        f"{comparison.items:,} items of {comparison.groups:,} conversations)"
    )


def _too_few(metric: Metric, comparison: Comparison | None, min_items: int) -> str:
    have = f"only {comparison.groups}" if comparison else "fewer than 2"
    return (
        f"{metric.label}: {have} held-out conversations to compare on; {min_items} are needed to decide anything. "
        f"{metric.remedy}"
    )


def _goal(metric: Metric) -> str:
    return "better" if metric.role == "primary" else f"to stay within {metric.limit:g} {metric.unit}"


def _proven(metric: Metric) -> str:
    return "proven better" if metric.role == "primary" else f"not worse by more than the {metric.limit:g} allowed"


def _allowed(metric: Metric) -> str:
    return "" if metric.role == "primary" else f" by more than the {metric.limit:g} allowed"


def _outlook(comparison: Comparison) -> str:
    if (count := needed(comparison)) is None:
        return "More conversations would not change that unless the difference does."
    return f"If the difference stays, about {count:,} conversations would decide."


def _by_group(values: Floats, group: NDArray[Any]) -> Floats:
    """Sums of `values` by group, in the order of the sorted labels."""
    _, codes = np.unique(group, return_inverse=True)
    return np.bincount(codes, values).astype(np.float64)


def _number(name: str) -> int:
    return int(digest(name)[:8], 16)
