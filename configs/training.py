"""What is trained, and how: one section a stage."""

from typing import Annotated, Literal

from pydantic import Field

from configs.section import Section


class StageSettings(Section):
    """One training stage; the names are those of LLaMA-Factory and TRL."""

    enabled: bool = Field(default=True, description="Whether this stage runs.")
    finetuning_type: Literal["lora", "rslora", "dora", "pissa", "ia3", "full", "freeze", "bitfit"] = Field(
        default="lora", description="What is trained: an adapter, all weights, the last layers, or the biases."
    )
    lora_r: int = Field(default=16, ge=1, description="Rank of the adapter.")
    lora_alpha: int = Field(default=32, ge=1, description="Scale of the adapter.")
    lora_target: str = Field(default="all-linear", description="Modules that get an adapter.")
    freeze_trainable_layers: int = Field(default=2, ge=1, description="Last layers that freeze trains.")
    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak learning rate; by default what suits stage and finetuning_type."
    )
    num_train_epochs: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default=1.0, description="Passes over the mixture; auto: 15 over 100 rows, 10 over 1,000, 2 over 10,000."
    )
    max_steps: int = Field(default=-1, ge=-1, description="Steps, whatever the epochs; -1 leaves it to the epochs.")
    per_device_train_batch_size: int = Field(default=4, ge=1, description="Rows per device and step.")
    gradient_accumulation_steps: int = Field(default=1, ge=1, description="Batches per optimiser step.")
    max_length: int = Field(default=1024, ge=16, description="Tokens of a row; longer ones are left out and counted.")
    warmup_steps: float = Field(default=0.1, ge=0, description="Below 1: a share of all steps.")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = Field(default="cosine", description="Decay.")
    beta: float = Field(default=0.1, gt=0, description="DPO and KTO: how strongly to stay near the model before.")


class KtoSettings(StageSettings):
    """Preference optimisation on thumbs: off unless asked for."""

    enabled: bool = Field(default=False, description="Whether this stage runs.")


class TrainSettings(Section):
    """Step 8: continued pre-training, then supervised fine-tuning, then preference optimisation on pairs, on thumbs."""

    cpt: StageSettings = StageSettings()
    sft: StageSettings = StageSettings()
    dpo: StageSettings = StageSettings()
    kto: KtoSettings = KtoSettings()
