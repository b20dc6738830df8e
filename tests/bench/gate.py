"""Is the gate as careful as it says? Simulated comparisons of models that are equal, and of one that is better.

Items come in conversations that share much of their difference (intraclass correlation 0.5), conversations differ in
length, answers in tokens, and differences have a long tail, to either side: nothing here is as kind as a normal
distribution.
"""

from typing import Any

import numpy as np

from tasks.promote.gate import Metric, Scores, compare, spent
from tests.bench._table import show

METRIC = Metric("holdout_loss", "primary", "lower")
CONVERSATIONS = (10, 20, 60, 200)
HEADLINE = 60
SPREAD = 0.2  # nats per token, of an item's difference; as seen between two checkpoints of one model
EFFECT = 0.06  # nats per token: the improvement whose power is shown
NIGHTS = 30
SHARED = 0.5  # of an item's variance, by its conversation


def run(*, quick: bool) -> dict[str, Any]:
    """False promotions, with conversations and with items resampled; power; and false promotions in a month."""
    trials, resamples = (400, 500) if quick else (2000, 2000)
    months, month_resamples = (40, 1000) if quick else (300, 5000)
    rates = {conversations: _rates(conversations, trials, resamples) for conversations in CONVERSATIONS}
    rows = [[size, *(f"{rate:.1%}" for rate in found.values())] for size, found in rates.items()]
    show(
        f"{trials:,} comparisons each, confidence 95%; power at {EFFECT} nats per token",
        ["conversations", "promoted though equal", "... by resampling items", "promoted when better"],
        rows,
    )
    spending, ignoring = _months(months, month_resamples)
    show(
        f"{months} months of {NIGHTS} nights with challengers that are no better, {HEADLINE} conversations",
        ["repeated_nights", "months with a promotion"],
        [["spend", f"{spending:.1%}"], ["ignore", f"{ignoring:.1%}"]],
    )
    pooled = {
        name: round(float(np.mean([found[name] for found in rates.values()])), 4)
        for name in ("false_promotion_rate", "naive_false_promotion_rate")
    }
    return pooled | {
        "worst_false_promotion_rate": max(found["false_promotion_rate"] for found in rates.values()),
        "allowed": round(0.05 + 3 * (0.05 * 0.95 / (trials * len(rates))) ** 0.5, 4),
        "power": rates[HEADLINE]["power"],
        "power_at": {"conversations": HEADLINE, "nats_per_token": EFFECT},
        "false_promotion_rate_of_a_month": spending,
        "false_promotion_rate_of_a_month_without_spending": ignoring,
        "trials": trials * len(rates),
    }


def _rates(conversations: int, trials: int, resamples: int) -> dict[str, float]:
    null = [_made(conversations, 0.0, trial) for trial in range(trials)]
    better = [_made(conversations, EFFECT, trial) for trial in range(trials)]
    return {
        "false_promotion_rate": _promoted(null, resamples),
        "naive_false_promotion_rate": _promoted([_as_items(scores) for scores in null], resamples),
        "power": _promoted(better, resamples),
    }


def _months(months: int, resamples: int) -> tuple[float, float]:
    """Share of months in which a challenger that is no better is promoted, with error spent over nights and without."""
    spending, ignoring = np.zeros(months, dtype=bool), np.zeros(months, dtype=bool)
    for month in range(months):
        for night in range(NIGHTS):
            scores = _made(HEADLINE, 0.0, 1_000_000 + month * NIGHTS + night)
            spending[month] |= _passes(scores, spent(0.95, night), resamples, night)
            ignoring[month] |= _passes(scores, 0.95, resamples, night)
    return float(spending.mean()), float(ignoring.mean())


def _made(conversations: int, effect: float, trial: int) -> Scores:
    """Scores of two models, the challenger's lower by `effect` on average."""
    generator = np.random.default_rng([conversations, trial])
    sizes = 1 + generator.poisson(3, conversations)
    group = np.repeat(np.arange(conversations), sizes)
    shared = np.repeat(_skewed(generator, conversations), sizes)
    own = _skewed(generator, len(group))
    side = generator.choice([-1, 1])
    difference = side * SPREAD * (SHARED**0.5 * shared + (1 - SHARED) ** 0.5 * own) - effect
    champion = generator.normal(2.2, 0.5, len(group))
    weight = np.ceil(generator.lognormal(4, 0.7, len(group)))
    return Scores(champion, champion + difference, weight, group)


def _skewed(generator: np.random.Generator, count: int) -> np.ndarray:
    """Mean 0, variance 1, and a long tail to one side."""
    return generator.gamma(4, 0.5, count) - 2


def _as_items(scores: Scores) -> Scores:
    """As if every item were a conversation of its own."""
    return Scores(scores.champion, scores.challenger, scores.weight, np.arange(len(scores.weight)))


def _promoted(comparisons: list[Scores], resamples: int) -> float:
    return float(np.mean([_passes(scores, 0.95, resamples, trial) for trial, scores in enumerate(comparisons)]))


def _passes(scores: Scores, confidence: float, resamples: int, seed: int) -> bool:
    return bool(compare(METRIC, scores, confidence=confidence, resamples=resamples, seed=seed).passed)
