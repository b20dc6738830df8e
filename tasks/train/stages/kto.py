"""Kahneman-Tversky optimisation (https://arxiv.org/abs/2402.01306): learns from thumbs, without pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset
from transformers import Trainer
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from configs.settings import StageSettings
from tasks.lm.template import encode as encode_messages
from tasks.train.job import TrainingError
from tasks.train.stages.contract import Example, Setup, Stage


class _Trainer(KTOTrainer):
    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        """The rows are tokens already, and paired with answers to other prompts."""
        return dataset


def encode(row: Mapping[str, Any], tokenizer: Any, settings: StageSettings) -> Sequence[Example] | str:
    """A liked answer is in `chosen`, a disliked one in `rejected`."""
    liked = bool(row["chosen"])
    encoded = encode_messages(tokenizer, [*row["prompt"], *(row["chosen"] or row["rejected"])], settings.max_length + 1)
    if len(encoded.input_ids) > settings.max_length:
        return "too_long"
    if not any(encoded.answer):
        return "nothing_to_train"
    start = encoded.answer.index(True)
    prompt, answer = encoded.input_ids[:start], encoded.input_ids[start:]
    return [{"prompt_ids": prompt, "completion_ids": answer, "label": liked}]


def trained(example: Example) -> tuple[list[int], list[bool]]:
    """The answer, towards it or away from it."""
    prompt, answer = example["prompt_ids"], example["completion_ids"]
    return prompt + answer, [False] * len(prompt) + [True] * len(answer)


def mismatched(examples: Dataset, batch: int) -> Dataset:
    """Examples with another answer of their batch each: the KL term is estimated from those."""
    answers = examples["completion_ids"][:]
    others = []
    for start in range(0, len(answers), batch):
        part = answers[start : start + batch]
        others += part[-1:] + part[:-1]
    return examples.add_column("KL_completion_ids", others)


def trainer(setup: Setup) -> Trainer:
    """TRL's trainer. Liked and disliked answers weigh the same in total, however many there are of each.

    Raises:
        TrainingError: only one of the two is there, or batches are of one row.
    """
    liked = sum(setup.examples["label"])
    disliked = setup.examples.num_rows - liked
    if not liked or not disliked:
        missing = "disliked" if liked else "liked"
        raise TrainingError(f"KTO learns from liked and disliked answers, and the mixture has no {missing} one.")
    batch = setup.settings.per_device_train_batch_size
    if batch < 2:
        raise TrainingError("KTO compares the rows of a batch: set train.kto.per_device_train_batch_size to 2 or more.")
    weights = {"desirable_weight": min(1.0, disliked / liked), "undesirable_weight": min(1.0, liked / disliked)}
    asked = {**weights, **setup.arguments}
    arguments = KTOConfig(**asked, beta=setup.settings.beta, max_length=setup.settings.max_length)
    return _Trainer(
        model=setup.model,
        args=arguments,
        train_dataset=mismatched(setup.examples, batch),
        processing_class=setup.tokenizer,
        peft_config=setup.peft_config,
        callbacks=setup.callbacks,
    )


STAGE = Stage("kto", encode, trained, trainer, KTOConfig, pace=0.1)
