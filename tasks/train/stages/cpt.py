"""Continued pre-training: the loss is on every token of a text."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import Trainer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from configs.settings import StageSettings
from tasks.train.stages.contract import IGNORED, Example, Setup, Stage, labelled
from tasks.train.stages.packing import collate


def encode(row: Mapping[str, Any], tokenizer: Any, settings: StageSettings) -> Sequence[Example] | str:
    """A long text becomes several pieces: nothing is cut off, and no piece sees another text.

    Nothing stands before the first token of a piece, so that one is not learned.
    """
    ids = list(tokenizer(row["text"], verbose=False)["input_ids"])
    pieces = [ids[start : start + settings.max_length] for start in range(0, len(ids), settings.max_length)]
    examples = [{"input_ids": piece, "labels": [IGNORED, *piece[1:]]} for piece in pieces if len(piece) > 1]
    return examples or "nothing_to_train"


def trainer(setup: Setup) -> Trainer:
    """TRL's trainer on ready-made tokens and labels."""
    arguments = SFTConfig(**setup.arguments, max_length=None, dataset_kwargs={"skip_prepare_dataset": True})
    return SFTTrainer(
        model=setup.model,
        args=arguments,
        train_dataset=setup.examples,
        processing_class=setup.tokenizer,
        peft_config=setup.peft_config,
        data_collator=collate if setup.settings.packing else None,
        callbacks=setup.callbacks,
    )


STAGE = Stage("cpt", encode, labelled, trainer, SFTConfig, answers=False, packs=True, pace=0.5)
