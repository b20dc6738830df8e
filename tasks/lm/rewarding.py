"""Rewards of answers by the reward model that the settings name, in this process or at a server."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from configs.settings import ScoreSettings
from tasks.lm.classify import Classifier, encode_answers, load_classifier, rewards
from tasks.lm.load import load_tokenizer
from tasks.lm.remote import Endpoint, remote_rewards

Rewarder = Callable[[Sequence[Sequence[Mapping[str, Any]]]], np.ndarray]
"""From n conversations to the reward of the answer that each ends with (n, 0 to 1; not a number without one)."""


def rewarder(settings: ScoreSettings, open_classifier: Callable[[], Classifier] | None = None) -> Rewarder:
    """What `score.reward_model` says; the model is loaded when it is first asked.

    What it raises: see `tasks.lm.classify.rewards` and `tasks.lm.remote.remote_rewards`.

    Args:
        settings: which model, and where it is.
        open_classifier: another way to load it.
    """
    name = str(settings.reward_model)
    opened = open_classifier or cache(lambda: load_classifier(name))

    def rewarded(conversations: Sequence[Sequence[Mapping[str, Any]]]) -> np.ndarray:
        if settings.reward_endpoint is None:
            most, budget = settings.max_tokens, settings.token_budget
            return rewards(opened(), conversations, max_tokens=most, token_budget=budget)
        served = Endpoint(settings.reward_endpoint.rstrip("/"), "score.reward_endpoint", name)
        encoded = encode_answers(load_tokenizer(name), conversations, settings.max_tokens)
        return remote_rewards(served, encoded, "score: reward")

    return rewarded
