"""Several answers to one prompt, and how good each of them is."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import isnan, nan
from statistics import mean

from configs.settings import SynthesizeSettings
from configs.synthesis import Judge
from tasks.inference import judge
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.lm.generate import Completion
from tasks.lm.load import LanguageModel, load
from tasks.lm.reward import Head, answer_rewards
from tasks.lm.template import Message, encode
from tasks.synthesize.method import assistant, request_seed, sampling
from tasks.synthesize.rules import unusable, whole

Prompt = tuple[str, Sequence[Message]]
"""An id, and the conversation that waits for an answer."""


@dataclass(frozen=True)
class Candidates:
    """The sound and different answers to one prompt; once they are scored, a score for each, higher is better."""

    id: str
    prompt: Sequence[Message]
    answers: Sequence[str]
    scores: Sequence[float] = ()


def sample_answers(
    prompts: Sequence[Prompt], settings: SynthesizeSettings, client: Client, seed: int
) -> tuple[list[Candidates], Counter[str]]:
    """Sample `settings.samples` answers to each prompt.

    Args:
        prompts: what to answer.
        settings: how many, and how to sample.
        client: what to ask through.
        seed: of the sampling.

    Returns:
        The sound answers to each prompt, and how many were unsound, as `answers_` and the reason.
    """
    requests = [
        Request(tuple(prompt), request_seed(seed, "best_of_n", name, sample))
        for name, prompt in prompts
        for sample in range(settings.samples)
    ]
    outcomes = [whole(outcome) for outcome in client.ask(requests, sampling(settings), "answers to choose from")]
    unsound = Counter(f"answers_{reason}" for outcome in outcomes if (reason := unusable(outcome)))
    found = []
    for at, (name, prompt) in enumerate(prompts):
        mine = outcomes[at * settings.samples : (at + 1) * settings.samples]
        texts = [one.text for one in mine if isinstance(one, Completion) and not unusable(one)]
        found.append(Candidates(name, prompt, list(dict.fromkeys(texts))))
    return found, unsound


Score = Callable[[Sequence[Candidates]], tuple[list[Candidates], Counter[str]]]
"""Scores answers. Those of which a judge was not understood are left out and counted, as `judge_` and the reason."""


def scorer(how: Judge, head: Head | None, client: Client, seed: int) -> Score:
    """What tells good answers from bad ones.

    Args:
        how: comparisons of every two answers to a prompt, whose score is the share that it won; or the rubric whose
            marks are averaged, quality or conduct.
        head: a reward head, which is taken instead if there is one: the probability that a user likes the answer.
        client: what to ask the judge through.
        seed: of its sampling.
    """
    if head is None:
        return lambda candidates: _by_judge(candidates, how, client, seed)
    lm = load(head[0].settings["model"])  # once, however often there is something to score
    return lambda candidates: (_by_reward(candidates, head, lm), Counter())


def _by_reward(candidates: Sequence[Candidates], head: Head, lm: LanguageModel) -> list[Candidates]:
    registered, weights = head
    texts = [(*one.prompt, assistant(answer)) for one in candidates for answer in one.answers]
    encoded = [encode(lm.tokenizer, text, registered.settings["max_tokens"]) for text in texts]
    values = iter(answer_rewards(lm, weights, encoded).tolist())
    return [replace(one, scores=[next(values) for _ in one.answers]) for one in candidates]


def _by_judge(
    candidates: Sequence[Candidates], how: Judge, client: Client, seed: int
) -> tuple[list[Candidates], Counter[str]]:
    values, losses = (
        _by_comparisons(candidates, client, seed)
        if how == "comparisons"
        else _by_marks(candidates, judge.RUBRICS[how], client, seed)
    )
    understood = [_understood(one, scores) for one, scores in zip(candidates, values, strict=True)]
    return understood, Counter({f"judge_{reason}": count for reason, count in losses.items()})


def _by_comparisons(
    candidates: Sequence[Candidates], client: Client, seed: int
) -> tuple[list[list[float]], Counter[str]]:
    matches = [(at, *two) for at, one in enumerate(candidates) for two in combinations(range(len(one.answers)), 2)]
    pairs = [
        judge.Pair(candidates[at].prompt, candidates[at].answers[first], candidates[at].answers[second])
        for at, first, second in matches
    ]
    verdicts, losses = judge.compare(pairs, client, seed)
    points: list[list[list[float]]] = [[[] for _ in one.answers] for one in candidates]
    for (at, first, second), verdict in zip(matches, verdicts, strict=True):
        if verdict is not None:
            points[at][first].append(judge.POINTS[verdict])
            points[at][second].append(1 - judge.POINTS[verdict])
    return [[mean(mine) if mine else nan for mine in one] for one in points], losses


def _by_marks(
    candidates: Sequence[Candidates], rubric: type[judge.Rubric], client: Client, seed: int
) -> tuple[list[list[float]], Counter[str]]:
    answers = [judge.Answer(one.prompt, text) for one in candidates for text in one.answers]
    marks, losses = judge.rate(answers, rubric, client, seed)
    values = iter(nan if mark is None else mark.mean for mark in marks)
    return [[next(values) for _ in one.answers] for one in candidates], losses


def _understood(candidates: Candidates, scores: Sequence[float]) -> Candidates:
    kept = [at for at, score in enumerate(scores) if not isnan(score)]
    return replace(candidates, answers=[candidates.answers[at] for at in kept], scores=[scores[at] for at in kept])
