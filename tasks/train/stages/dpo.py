"""Direct preference optimisation (https://arxiv.org/abs/2305.18290): the better answer gains on the worse one."""

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset
from transformers import Trainer
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from configs.settings import StageSettings
from tasks.lm.template import encode as encode_messages
from tasks.train.stages.contract import Example, Setup, Stage


class _Trainer(DPOTrainer):
    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        """The rows are tokens already: those that every other step sees."""
        return dataset


def encode(row: Mapping[str, Any], tokenizer: Any, settings: StageSettings) -> Sequence[Example] | str:
    """The prompt once, and both answers, each with its end of turn."""
    answers = {
        name: encode_messages(tokenizer, [*row["prompt"], *row[name]], settings.max_length + 1) for name in ANSWERS
    }
    if any(len(encoded.input_ids) > settings.max_length for encoded in answers.values()):
        return "too_long"
    if not all(any(encoded.answer) for encoded in answers.values()):
        return "nothing_to_train"
    chosen, rejected = answers.values()
    start = chosen.answer.index(True)
    return [
        {
            "prompt_ids": chosen.input_ids[:start],
            "chosen_ids": chosen.input_ids[start:],
            "rejected_ids": rejected.input_ids[start:],
        }
    ]


def trained(example: Example) -> tuple[list[int], list[bool]]:
    """Prompt and better answer; the worse one is trained on in the same way."""
    prompt, chosen = example["prompt_ids"], example["chosen_ids"]
    return prompt + chosen, [False] * len(prompt) + [True] * len(chosen)


def trainer(setup: Setup) -> Trainer:
    """TRL's trainer. The reference is the model before training: with an adapter, the model with the adapter off;
    without one, TRL loads the model's folder once more."""
    settings = setup.settings
    asked = {"loss_type": ["sigmoid"], **setup.arguments}
    arguments = DPOConfig(**asked, beta=settings.beta, max_length=settings.max_length)
    return _Trainer(
        model=setup.model,
        args=arguments,
        train_dataset=setup.examples,
        processing_class=setup.tokenizer,
        peft_config=setup.peft_config,
        callbacks=setup.callbacks,
    )


ANSWERS = ("chosen", "rejected")
STAGE = Stage("dpo", encode, trained, trainer, DPOConfig, pace=0.1)
