"""What is trained, and how: one section a stage."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from configs import aliases
from configs.section import Section

RESERVED = {
    "output_dir", "seed", "data_seed", "report_to", "run_name", "disable_tqdm", "use_cpu", "accelerator_config",
    "deepspeed", "fsdp", "fsdp_config", "train_sampling_strategy", "group_by_length", "remove_unused_columns",
    "dataloader_drop_last", "ignore_data_skip", "resume_from_checkpoint", "save_strategy", "save_steps",
    "save_total_limit", "save_only_model", "load_best_model_at_end", "logging_strategy", "logging_steps",
    "logging_nan_inf_filter", "include_num_input_tokens_seen", "eval_strategy", "eval_steps", "do_eval",
    "push_to_hub", "hub_model_id", "dataset_kwargs", "padding_free", "packing_strategy", "shuffle_dataset",
}  # fmt: skip
"""Arguments of the trainer that resuming, counting and reporting depend on."""


class TrainerArgument(Section):
    """An argument of the trainer (`transformers.TrainingArguments`, or TRL's class for the stage) by its own name."""

    name: str = Field(description="Such as weight_decay, max_grad_norm, optim, neftune_noise_alpha.")
    value: bool | int | float | str = Field(description="As the trainer wants it.")


class StageSettings(Section):
    """One training stage; the names are those of LLaMA-Factory and TRL."""

    other_names: ClassVar = aliases.STAGE

    enabled: bool = Field(default=True, description="Whether this stage runs.")
    finetuning_type: Literal["lora", "rslora", "dora", "pissa", "ia3", "full", "freeze", "bitfit"] = Field(
        default="lora", description="What is trained: an adapter, all weights, the last layers, or the biases."
    )
    lora_r: int = Field(default=16, ge=1, description="Rank of the adapter.")
    lora_alpha: int = Field(default=32, ge=1, description="Scale of the adapter.")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout in front of the adapter.")
    lora_target: tuple[str, ...] = Field(
        default=("all-linear",), description="Modules that get an adapter, such as q_proj; all-linear: every layer."
    )
    freeze_trainable_layers: int = Field(default=2, ge=1, description="Last layers that freeze trains.")
    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak learning rate; by default what suits stage and finetuning_type."
    )
    num_train_epochs: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default=1.0, description="Passes over the mixture; auto: 15 over 100 rows, 10 over 1,000, 2 over 10,000."
    )
    max_steps: int = Field(default=-1, ge=-1, description="Steps, whatever the epochs; -1 leaves it to the epochs.")
    per_device_train_batch_size: int = Field(default=4, ge=1, description="Rows (or packs) per device and step.")
    gradient_accumulation_steps: int = Field(default=1, ge=1, description="Batches per optimiser step.")
    max_length: int = Field(default=1024, ge=16, description="Tokens of a row; longer ones are left out and counted.")
    packing: bool = Field(
        default=False,
        description="CPT and SFT: put several rows into one of max_length tokens; no row sees another.",
    )
    warmup_steps: float = Field(default=0.1, ge=0, description="Below 1: a share of all steps.")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = Field(default="cosine", description="Decay.")
    beta: float = Field(default=0.1, gt=0, description="DPO and KTO: how strongly to stay near the model before.")
    trainer_args: tuple[TrainerArgument, ...] = Field(
        default=(), description="More arguments of the trainer, passed through as they are."
    )

    @field_validator("lora_target", mode="before")
    @classmethod
    def _as_others_write_it(cls, given: Any) -> Any:
        """LLaMA-Factory has `all`, and one text with commas."""
        if isinstance(given, str):
            given = [name.strip() for name in given.split(",") if name.strip()]
        return ["all-linear"] if given == ["all"] else given

    @model_validator(mode="after")
    def _know_the_trainers_arguments(self) -> Self:
        names = [argument.name for argument in self.trainer_args]
        for name in names:
            if name in (fields := type(self).model_fields) or self.other_names.get(name) in fields:
                raise ValueError(
                    f"trainer_args: {name} is a setting of its own; set {self.other_names.get(name, name)}"
                )
            if name in RESERVED:
                raise ValueError(f"trainer_args: {name} is Flywheel's to set; leave it out")
            if names.count(name) > 1:
                raise ValueError(f"trainer_args: {name} is given twice")
        return self


class KtoSettings(StageSettings):
    """Preference optimisation on thumbs: off unless asked for."""

    enabled: bool = Field(default=False, description="Whether this stage runs.")


class LaunchSettings(Section):
    """On how many devices a training runs; the names are those of accelerate."""

    strategy: Literal["ddp", "fsdp2", "zero2", "zero3"] = Field(
        default="ddp",
        description="How several devices share the work: the model whole on each, or in parts. One file each in "
        "configs/accelerate.",
    )
    num_processes: int = Field(
        default=0, ge=0, description="Processes in all, one a device; 0: every GPU of this machine, or one without GPU."
    )
    num_machines: int = Field(default=1, ge=1, description="Machines that train together.")
    main_process_ip: str = Field(default="127.0.0.1", description="Where several machines meet.")
    main_process_port: int = Field(default=29500, ge=1, le=65535, description="Where several machines meet.")

    @model_validator(mode="after")
    def _share_evenly(self) -> Self:
        if self.num_machines > 1 and (not self.num_processes or self.num_processes % self.num_machines):
            raise ValueError("num_processes must be a multiple of num_machines: it counts those of all machines")
        return self


class TrainSettings(Section):
    """Step 8: continued pre-training, then supervised fine-tuning, then preference optimisation on pairs, on thumbs."""

    other_names: ClassVar = aliases.TRAIN

    cpt: StageSettings = StageSettings()
    sft: StageSettings = StageSettings()
    dpo: StageSettings = StageSettings()
    kto: KtoSettings = KtoSettings()
    start: Literal["champion", "base"] = Field(
        default="champion", description="What the first stage trains: the champion, or model_name_or_path anew."
    )
    deployments: bool = Field(
        default=False,
        description="Train through the deployments train-STAGE, whose work pool may have GPUs; else within the run.",
    )
    gpu_slots: int = Field(
        default=0, ge=0, description="Slots of Prefect's concurrency limit `gpu` that a training takes."
    )
    launch: LaunchSettings = LaunchSettings()
    report_to: tuple[Literal["mlflow", "wandb", "tensorboard", "trackio"], ...] = Field(
        default=(), description="Where the curves of a training are shown, besides here."
    )


STAGES: dict[str, type[StageSettings]] = {
    name: field.annotation
    for name, field in TrainSettings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, StageSettings)
}
"""The class of each stage's settings, in the order in which stages follow each other."""
