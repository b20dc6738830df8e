"""Odds-ratio preference optimisation (https://arxiv.org/abs/2403.07691): fine-tuning on the better answer, whose odds
grow over those of the worse one; no reference model.

The experimental trainer of TRL also learns the prompts, as the authors' code does; here the loss is on answers only.
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import Trainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from tasks.train.losses import log_probabilities, next_token_logits, odds_ratio_loss
from tasks.train.stages.contract import Setup, Stage
from tasks.train.stages.dpo import encode, trained
from tasks.train.stages.plain import PlainTrainer


def loss(model: Any, batch: Mapping[str, torch.Tensor], beta: float) -> torch.Tensor:
    """Cross entropy of the better answers, and beta times the odds-ratio loss; better ones are the first half."""
    logits = next_token_logits(model, batch["input_ids"], batch["attention_mask"])
    answers = batch["completion_mask"][:, 1:].float()
    found = log_probabilities(logits, batch["input_ids"][:, 1:]) * answers
    chosen, rejected = (found.sum(1) / answers.sum(1)).chunk(2)
    half = len(chosen)
    cross_entropy = -found[:half].sum() / answers[:half].sum()
    return cross_entropy + beta * odds_ratio_loss(chosen, rejected)


def trainer(setup: Setup) -> Trainer:
    """Our loss on TRL's batches of pairs."""
    collate = DataCollatorForPreference(pad_token_id=setup.tokenizer.pad_token_id)
    return PlainTrainer(setup, collate, lambda model, batch: loss(model, batch, setup.settings.beta))


STAGE = Stage("orpo", encode, trained, trainer, pace=0.1)
