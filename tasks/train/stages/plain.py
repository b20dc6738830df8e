"""The Transformers trainer with a loss of ours, for stages whose trainer in TRL does something else."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from peft import get_peft_model
from transformers import Trainer, TrainingArguments
from typing_extensions import override

from tasks.train.stages.contract import Setup

Loss = Callable[[Any, Mapping[str, torch.Tensor]], torch.Tensor]


class PlainTrainer(Trainer):
    """Minimises `loss(model, batch)`.

    Args:
        setup: of the training.
        collate: makes batches of examples.
        loss: mean over the batch.
    """

    def __init__(self, setup: Setup, collate: Callable[[list[Any]], dict[str, Any]], loss: Loss) -> None:
        arguments = TrainingArguments(**setup.arguments, remove_unused_columns=False)
        model = setup.model
        if setup.peft_config is not None:
            model = get_peft_model(model, setup.peft_config)
            if arguments.gradient_checkpointing:
                model.enable_input_require_grads()
        super().__init__(
            model=model,
            args=arguments,
            data_collator=collate,
            train_dataset=setup.examples,
            processing_class=setup.tokenizer,
            callbacks=setup.callbacks,
        )
        self.model_accepts_loss_kwargs = False  # ours is a mean: the trainer divides it by the accumulated batches
        self._loss = loss

    @override
    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        loss = self._loss(model, inputs)
        return (loss, None) if return_outputs else loss
