"""What a training stage is: how a row becomes tokens, and which trainer learns from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments

from configs.settings import StageSettings

Example = dict[str, Any]
"""The columns of tokens that a trainer reads."""


@dataclass(frozen=True)
class Setup:
    """All that a stage's trainer is made of.

    Args:
        model: to be trained, float32.
        tokenizer: of the model, with a padding token that is not its end-of-turn token.
        examples: what `Stage.encode` made.
        arguments: of the trainer, the same for all stages.
        settings: of the stage.
        peft_config: of the adapter; None when the model's own weights are trained.
        callbacks: that report steps.
    """

    model: Any
    tokenizer: Any
    examples: Dataset
    arguments: Mapping[str, Any]
    settings: StageSettings
    peft_config: Any | None
    callbacks: list[TrainerCallback]


@dataclass(frozen=True)
class Stage:
    """A training stage.

    Args:
        name: of the stage, as in the settings.
        encode: takes a row of a mixture, the tokenizer and the stage's settings; gives examples, or the reason why the
            row is left out.
        trained: which tokens of an example are trained on.
        trainer: makes the trainer.
        config: class of the trainer's arguments.
        answers: whether answers are learned, and how they end.
        packs: whether several rows may share one.
        pace: default learning rate, as a share of fine-tuning's.
        task: what the model is loaded for: CAUSAL_LM, or SEQ_CLS for one that scores.
    """

    name: str
    encode: Callable[[Mapping[str, Any], Any, Any], Sequence[Example] | str]
    trained: Callable[[Example], tuple[list[int], list[bool]]]
    trainer: Callable[[Setup], Trainer]
    config: type[TrainingArguments] = TrainingArguments
    answers: bool = True
    packs: bool = False
    pace: float = 1.0
    task: str = "CAUSAL_LM"


def labelled(example: Example) -> tuple[list[int], list[bool]]:
    """Tokens of an example with labels, and which of them the loss is on."""
    return example["input_ids"], [label != IGNORED for label in example["labels"]]


IGNORED = -100
"""The label that the loss leaves out (PyTorch's cross entropy)."""
