"""AdaLoRA (https://arxiv.org/abs/2303.10512) moves ranks to where they matter after every step; PEFT has to be told."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override


class AllocateRanks(TrainerCallback):
    """Without it every adapter keeps the ranks it begins with."""

    @override
    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        model = getattr(given["model"], "module", given["model"])  # beneath the wrapper of several devices
        model.base_model.update_and_allocate(state.global_step + 1)
