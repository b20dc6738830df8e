"""The gate: bounds that hold for clustered items, and verdicts that say why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_rel
from scipy.stats import bootstrap as reference

from storage.evidence import Comparison
from tasks.promote.gate import Metric, Scores, bounds, compare, judge, needed, spent

LOSS = Metric("loss", "primary", "lower", label="Loss", unit="nats", remedy="Ask for thumbs.")
GUARD = Metric("general", "guardrail", "lower", limit=0.05, label="Forgetting", unit="nats")
OPTIONS = {"confidence": 0.95, "resamples": 4000, "seed": 3}


def scores(gain: float, *, groups: int = 60, size: int = 3, noise: float = 0.1, seed: int = 0) -> Scores:
    """Losses of two models, the challenger's lower by `gain`, with an effect that conversations share."""
    generator = np.random.default_rng(seed)
    champion = generator.normal(2, 0.5, groups * size)
    shared = np.repeat(generator.normal(0, noise, groups), size)
    return Scores(
        champion=champion,
        challenger=champion - gain + shared,
        weight=generator.integers(5, 50, groups * size).astype(float),
        group=np.repeat([f"c{number}" for number in range(groups)], size),
    )


def made(metric: Metric, delta: float, half: float, groups: int = 50) -> Comparison:
    limit = None if metric.role == "info" else metric.limit
    return Comparison(
        name=metric.name,
        role=metric.role,
        better="lower",
        champion=2,
        challenger=2 - delta,
        delta=delta,
        lower=delta - half,
        upper=delta + half,
        items=groups,
        groups=groups,
        limit=limit,
        passed=None if limit is None else delta - half > -limit,
    )


def test_the_difference_is_weighted_by_tokens() -> None:
    two = Scores(np.array([1.0, 3.0]), np.array([0.5, 3.0]), np.array([3.0, 1.0]), np.array(["a", "b"]))
    found = compare(LOSS, two, **OPTIONS)
    assert found.champion == 1.5
    assert found.delta == pytest.approx(0.375)
    assert (found.items, found.groups, found.won, found.lost) == (2, 2, 1, 0)


def test_an_improvement_is_above_zero_whichever_way_the_metric_runs() -> None:
    better = scores(0.2)
    assert compare(LOSS, better, **OPTIONS).lower > 0
    flipped = Scores(-better.champion, -better.challenger, better.weight, better.group)
    assert compare(Metric("loss", "primary", "higher"), flipped, **OPTIONS).delta == pytest.approx(
        compare(LOSS, better, **OPTIONS).delta
    )


def test_bounds_agree_with_scipy_where_there_are_many_groups() -> None:
    gains = np.random.default_rng(1).gamma(2, 0.5, 400)
    lower, upper = bounds(gains, np.ones(400), confidence=0.95, resamples=20_000, seed=2)
    other = reference((gains,), np.mean, confidence_level=0.9, method="BCa", n_resamples=20_000, rng=5)
    assert lower == pytest.approx(other.confidence_interval.low, abs=0.005)
    assert upper == pytest.approx(other.confidence_interval.high, abs=0.005)


@pytest.mark.parametrize("groups", [10, 20])
def test_for_few_groups_bounds_are_as_wide_as_those_of_student(groups: int) -> None:
    """Plain percentiles would be a fifth too narrow for ten."""
    gains = np.random.default_rng(4).normal(0, 1, groups)
    lower, _ = bounds(gains, np.ones(groups), confidence=0.95, resamples=40_000, seed=2)
    student = ttest_rel(gains, np.zeros(groups)).confidence_interval(0.9).low
    assert lower == pytest.approx(student, rel=0.12)


@pytest.mark.parametrize("groups", [2, 4, 9, 40])
def test_bounds_of_yes_no_scores_stay_sensible(groups: int) -> None:
    """A resample of equal answers only has no error to divide by."""
    gains = np.zeros(groups)
    gains[0] = 1
    lower, upper = bounds(gains, np.ones(groups), confidence=0.95, resamples=2000, seed=1)
    width = (10 if groups == 2 else 6) / groups
    assert gains.mean() - width < lower < gains.mean() < upper < gains.mean() + width


def test_more_items_in_the_same_conversations_prove_nothing_more() -> None:
    few = scores(0.05, groups=20, size=1)
    copies = Scores(*(np.repeat(part, 50) for part in (few.champion, few.challenger, few.weight, few.group)))
    assert compare(LOSS, copies, **OPTIONS).lower == pytest.approx(compare(LOSS, few, **OPTIONS).lower)


def test_the_same_seed_gives_the_same_bounds_in_any_order_of_rows() -> None:
    one = scores(0.02)
    order = np.random.default_rng(9).permutation(len(one.weight))
    other = Scores(one.champion[order], one.challenger[order], one.weight[order], one.group[order])
    assert compare(LOSS, one, **OPTIONS).lower == pytest.approx(compare(LOSS, other, **OPTIONS).lower, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    gain=st.floats(-1, 1),
    groups=st.integers(2, 30),
    size=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_bounds_lie_round_the_difference(gain: float, groups: int, size: int, seed: int) -> None:
    found = compare(LOSS, scores(gain, groups=groups, size=size, seed=seed), confidence=0.95, resamples=400, seed=seed)
    assert found.lower <= found.delta + 1e-9
    assert found.upper >= found.delta - 1e-9


def test_proven_better_and_nothing_forgotten_is_promoted() -> None:
    verdict, reasons = judge((LOSS, GUARD), [made(LOSS, 0.2, 0.1), made(GUARD, -0.01, 0.01)], min_items=10)
    assert verdict == "promote"
    assert "proven better" in reasons[0]
    assert "not worse by more than the 0.05 allowed" in reasons[1]


def test_an_improvement_that_could_be_chance_is_held_and_says_how_many_would_decide() -> None:
    verdict, reasons = judge((LOSS,), [made(LOSS, 0.1, 0.2, groups=50)], min_items=10)
    assert verdict == "hold"
    assert "about 200 conversations would decide" in reasons[0]


def test_no_difference_is_held() -> None:
    verdict, reasons = judge((LOSS,), [made(LOSS, 0.0, 0.0)], min_items=10)
    assert verdict == "hold"
    assert "would not change that" in reasons[0]


def test_worse_is_rejected_and_comes_first() -> None:
    verdict, reasons = judge((LOSS, GUARD), [made(LOSS, 0.2, 0.1), made(GUARD, -0.2, 0.1)], min_items=10)
    assert verdict == "reject"
    assert reasons[0].startswith("Forgetting")
    assert "proven worse by more than the 0.05 allowed" in reasons[0]


def test_forgetting_that_might_be_too_much_is_held() -> None:
    verdict, reasons = judge((LOSS, GUARD), [made(LOSS, 0.2, 0.1), made(GUARD, -0.02, 0.05)], min_items=10)
    assert verdict == "hold"
    assert "not proven to stay within 0.05 nats" in reasons[0]


@pytest.mark.parametrize("few", [[], [made(LOSS, 0.5, 0.1, groups=9)]])
def test_too_few_conversations_decide_nothing(few: list[Comparison]) -> None:
    verdict, reasons = judge((LOSS,), few, min_items=10)
    assert verdict == "hold"
    assert "10 are needed" in reasons[0]
    assert "Ask for thumbs." in reasons[0]


def test_a_guardrail_that_was_not_measured_holds() -> None:
    verdict, _ = judge((LOSS, GUARD), [made(LOSS, 0.2, 0.1)], min_items=10)
    assert verdict == "hold"


def test_a_fault_rejects_whatever_was_measured() -> None:
    verdict, reasons = judge((LOSS,), [made(LOSS, 0.2, 0.1)], min_items=10, faults=["The template changed."])
    assert verdict == "reject"
    assert reasons[0] == "The template changed."


VETO = Metric("stop", "veto", "higher", label="Answers that end")


@pytest.mark.parametrize(("lost", "won", "passed"), [(4, 0, True), (5, 0, False), (6, 1, True), (7, 1, False)])
def test_a_veto_is_the_exact_test_of_mcnemar(lost: int, won: int, passed: bool) -> None:
    before = np.array([1.0] * lost + [0.0] * won + [1.0] * 8)
    after = np.array([0.0] * lost + [1.0] * won + [1.0] * 8)
    scores = Scores(before, after, np.ones(len(before)), np.arange(len(before)))
    found = compare(VETO, scores, **OPTIONS)
    assert found.passed is passed
    assert bool(binomtest(lost, lost + won, alternative="greater").pvalue > 0.05) is passed
    verdict, reasons = judge((LOSS, VETO), [made(LOSS, 0.2, 0.1), found], min_items=10)
    assert verdict == ("promote" if passed else "reject")
    assert passed or reasons[0].startswith("Answers that end ")


def test_a_veto_lets_pass_what_is_surely_worse_but_by_less_than_its_limit() -> None:
    before, after = np.full(40, 0.5), np.full(40, 0.51)
    scores = Scores(before, after, np.ones(40), np.arange(40))
    assert compare(Metric("repetition", "veto", "lower", 0.02), scores, **OPTIONS).passed is True
    assert compare(Metric("repetition", "veto", "lower", 0.005), scores, **OPTIONS).passed is False


def test_a_guardrail_that_need_not_be_there_is_left_aside_where_items_are_few() -> None:
    spare = Metric("earlier", "guardrail", "lower", 0.05, "Earlier", needed=False)
    assert judge((LOSS, spare), [made(LOSS, 0.2, 0.1)], min_items=10)[0] == "promote"
    assert judge((LOSS, spare), [made(LOSS, 0.2, 0.1), made(spare, -0.5, 0.1)], min_items=10)[0] == "reject"


def test_a_veto_that_was_not_measured_is_none() -> None:
    assert judge((LOSS, VETO), [made(LOSS, 0.2, 0.1)], min_items=10)[0] == "promote"


def test_the_error_of_all_challengers_together_stays_what_one_may_have() -> None:
    shares = [1 - spent(0.95, failures) for failures in range(100_000)]
    assert shares[0] == pytest.approx(0.0243, abs=1e-4)
    assert sum(shares) == pytest.approx(0.04, abs=1e-4)


def test_info_decides_nothing() -> None:
    info = Metric("stop", "info", "higher")
    assert judge((LOSS, info), [made(LOSS, 0.2, 0.1), made(info, -1, 0.1)], min_items=10)[0] == "promote"


def test_needed_counts_are_enough() -> None:
    """As many conversations as were said to decide do decide, when the difference stays."""
    few = scores(0.0, groups=30, noise=0.15, seed=8)
    first = compare(LOSS, few, **OPTIONS)
    assert first.lower < 0 < first.delta
    count = needed(first)
    assert count is not None
    copies = -(-count // 30)
    group = np.concatenate([np.char.add(few.group, f"-{number}") for number in range(copies)])
    many = Scores(*(np.tile(part, copies) for part in (few.champion, few.challenger, few.weight)), group)
    assert compare(LOSS, many, **OPTIONS).lower > 0
