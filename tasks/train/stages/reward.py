"""A reward model (Bradley and Terry, 1952): a score of answers that is higher for the better one of each pair."""

from collections.abc import Mapping
from typing import Any

from transformers import Trainer
from trl.trainer.reward_config import RewardConfig
from trl.trainer.reward_trainer import RewardTrainer

from tasks.train.stages.contract import Example, Setup, Stage
from tasks.train.stages.dpo import ANSWERS, encode, trained


def whole(example: Mapping[str, Any]) -> Example:
    """Both answers, each with the prompt before it."""
    return {f"{name}_ids": example["prompt_ids"] + example[f"{name}_ids"] for name in ANSWERS}


def trainer(setup: Setup) -> Trainer:
    """TRL's trainer on ready-made tokens."""
    return RewardTrainer(
        model=setup.model,
        args=RewardConfig(**setup.arguments, max_length=None),
        train_dataset=setup.examples.map(whole, remove_columns=["prompt_ids"]),
        processing_class=setup.tokenizer,
        peft_config=setup.peft_config,
        callbacks=setup.callbacks,
    )


STAGE = Stage("reward", encode, trained, trainer, RewardConfig, pace=0.5, task="SEQ_CLS")
