"""How good an answer is, to a model that learns by answering: it matches the reference, fits a schema, or is liked by a
reward model."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from tasks.lm.classify import load_classifier, rewards
from tasks.lm.load import resolve
from tasks.text.results import result, unfenced
from tasks.train.job import TrainingError

Reward = Callable[[Sequence[str], Sequence[str], Sequence[str]], list[float]]
"""Takes prompts (messages as JSON), answers and references; gives a reward of each answer."""


def reward_for(name: str, max_length: int) -> Reward:
    """The reward that the settings name.

    Args:
        name: number, exact, a JSON schema's file, or a reward model's folder or hub name.
        max_length: tokens of a conversation that a reward model reads at most.

    Raises:
        TrainingError: the schema cannot be read.
        MissingModelError: there is no such model.
    """
    if name in MATCHES:
        match = MATCHES[name]
        return lambda _, answers, wanted: [float(match(*pair)) for pair in zip(answers, wanted, strict=True)]
    if name.endswith(".json"):
        schema = _schema(Path(name))
        return lambda _, answers, __: [float(fits(schema, answer)) for answer in answers]
    return _of_model(name, max_length)


def check_reward(name: str) -> None:
    """See that a reward can be given.

    Raises:
        TrainingError: the schema cannot be read.
        MissingModelError: there is no such model.
    """
    if name.endswith(".json"):
        _schema(Path(name))
    elif name not in MATCHES:
        resolve(name)


def usable(name: str, reference: str) -> bool:
    """Whether an answer to a row can be rewarded: without a reference (or a number in it) nothing can match it."""
    if name == "number":
        return result(reference) is not None
    return name != "exact" or bool(reference.strip())


def same_number(answer: str, reference: str) -> bool:
    """Whether both come to the same number; 1,000.0 is 1000."""
    found = result(answer)
    return found is not None and found == result(reference)


def same_text(answer: str, reference: str) -> bool:
    """Whether both say the same, apart from white space."""
    return answer.split() == reference.split()


def fits(schema: Draft202012Validator, answer: str) -> bool:
    """Whether an answer is JSON, fenced or not, as the schema wants it."""
    try:
        return bool(schema.is_valid(json.loads(unfenced(answer))))
    except ValueError:
        return False


def _schema(file: Path) -> Draft202012Validator:
    try:
        schema = json.loads(file.read_text())
        Draft202012Validator.check_schema(schema)
    except (OSError, ValueError, SchemaError) as error:
        raise TrainingError(f"The reward {file} is no file with a JSON schema: {str(error).splitlines()[0]}") from error
    return Draft202012Validator(schema)


def _of_model(name: str, max_length: int) -> Reward:
    classifier = load_classifier(name)

    def reward(prompts: Sequence[str], answers: Sequence[str], _: Sequence[str]) -> list[float]:
        conversations: list[Any] = [
            [*json.loads(prompt), {"role": "assistant", "content": answer}]
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        return [float(value) for value in rewards(classifier, conversations, max_tokens=max_length)]

    return reward


MATCHES: dict[str, Callable[[str, str], bool]] = {"number": same_number, "exact": same_text}
