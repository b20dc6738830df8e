"""Distillation (https://arxiv.org/abs/1503.02531): at each token of an answer, the model learns all that a larger one
of the same tokenizer finds likely there."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Trainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from configs.training import DistillSettings
from tasks.lm.load import load_tokenizer, require_merged, resolve
from tasks.train.job import TrainingError
from tasks.train.losses import distillation_loss, next_token_logits
from tasks.train.stages.contract import IGNORED, Setup, Stage, labelled
from tasks.train.stages.plain import PlainTrainer
from tasks.train.stages.sft import encode


def loss(model: Any, teacher: Any, batch: Mapping[str, torch.Tensor], temperature: float) -> torch.Tensor:
    """Mean divergence over the answers' tokens; what only one of the two has behind its vocabulary is cut off."""
    wanted = batch["labels"][:, 1:] != IGNORED
    student = next_token_logits(model, batch["input_ids"], batch["attention_mask"])[wanted]
    with torch.no_grad():
        taught = next_token_logits(teacher, batch["input_ids"], batch["attention_mask"])[wanted]
    words = min(student.shape[1], taught.shape[1])
    return distillation_loss(student[:, :words], taught[:, :words], temperature)


def trainer(setup: Setup) -> Trainer:
    """Our loss on TRL's batches of tokens and labels.

    Raises:
        TrainingError: the teacher has other tokens.
        MissingModelError: there is no such teacher.
    """
    assert isinstance(setup.settings, DistillSettings)
    temperature = setup.settings.temperature
    teacher = _teacher(setup.settings.teacher_model_name_or_path, setup.tokenizer)
    collate = DataCollatorForLanguageModeling(pad_token_id=setup.tokenizer.pad_token_id)
    made = PlainTrainer(setup, collate, lambda model, batch: loss(model, teacher, batch, temperature))
    teacher.to(made.args.device)
    return made


def _teacher(name: str, tokenizer: Any) -> Any:
    folder = resolve(name)
    require_merged(folder)
    if load_tokenizer(folder).get_vocab() != tokenizer.get_vocab():
        raise TrainingError(
            f"The teacher {name} has other tokens than the model: distill compares them one by one, so take a teacher "
            "of the same family, or train sft on its answers."
        )
    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).requires_grad_(False).eval()


STAGE = Stage("distill", encode, labelled, trainer)
