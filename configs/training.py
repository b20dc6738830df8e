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
    "log_completions", "log_completions_hub_repo", "log_multimodal", "log_unique_prompts", "num_completions_to_print",
}  # fmt: skip
"""Arguments of the trainer that resuming, counting and reporting depend on, or that would put texts on logs."""


class TrainerArgument(Section):
    """An argument of the trainer (`transformers.TrainingArguments`, or TRL's class for the stage) by its own name."""

    name: str = Field(description="Such as weight_decay, max_grad_norm, optim, neftune_noise_alpha.")
    value: bool | int | float | str = Field(description="As the trainer wants it.")


FinetuningType = Literal[
    "lora",
    "qlora",
    "rslora",
    "dora",
    "pissa",
    "adalora",
    "ia3",
    "adapter",
    "prefix",
    "prompt",
    "p_tuning",
    "full",
    "freeze",
    "bitfit",
]
NO_PPO = (
    "ppo is not there any more: TRL has removed it; take rloo, which needs no value model either, or grpo, "
    "with the same reward model"
)


class StageSettings(Section):
    """One training stage; the names are those of LLaMA-Factory and TRL."""

    other_names: ClassVar = aliases.STAGE

    enabled: bool = Field(default=True, description="Whether this stage runs.")
    finetuning_type: FinetuningType = Field(
        default="lora",
        description="What is trained: an adapter, all weights (full), the last layers (freeze), or the biases "
        "(bitfit). adapter, prefix, prompt and p_tuning cannot be merged into the weights: for a stage alone.",
    )
    lora_r: int = Field(default=16, ge=1, description="Rank of the adapter.")
    lora_alpha: int = Field(default=32, ge=1, description="Scale of the adapter.")
    lora_dropout: float = Field(default=0.0, ge=0, lt=1, description="Dropout in front of the adapter.")
    lora_target: tuple[str, ...] = Field(
        default=("all-linear",), description="Modules that get an adapter, such as q_proj; all-linear: every layer."
    )
    num_virtual_tokens: int = Field(default=20, ge=1, description="Length that prefix, prompt and p_tuning learn.")
    bottleneck_size: int = Field(default=64, ge=1, description="Width of the bottlenecks of adapter.")
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
    beta: float = Field(
        default=0.1,
        gt=0,
        description="DPO and KTO: how strongly to stay near the model before; ORPO: weight of the pairs.",
    )
    ewc_lambda: float = Field(
        default=0,
        ge=0,
        description="Elastic weight consolidation: how much the loss on replayed rows counts beside the others'. It "
        "holds the weights that matter to them; for full, freeze and bitfit. 0 switches it off.",
    )
    ewc_replay: bool = Field(
        default=True,
        description="With ewc_lambda: train on the replayed rows, too; otherwise they only say what to hold.",
    )
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

    @property
    def rows_per_batch(self) -> int:
        """Rows of the mixture that a device reads at once."""
        return self.per_device_train_batch_size

    @property
    def row_tokens(self) -> int:
        """Tokens of a row of the mixture at most."""
        return self.max_length


class OptionalSettings(StageSettings):
    """A stage that is off unless asked for."""

    enabled: bool = Field(default=False, description="Whether this stage runs.")


class DistillSettings(OptionalSettings):
    """Learning from a larger model of the same tokenizer."""

    teacher_model_name_or_path: str = Field(default="", description="Folder or hub name of the model to learn from.")
    temperature: float = Field(
        default=1.0, gt=0, description="Above 1, the teacher's less likely tokens count for more."
    )


class OnlineSettings(OptionalSettings):
    """Reinforcement learning: the model answers, and learns from how good its answers are."""

    reward: str = Field(
        default="number",
        description='What is a good answer: "number" (of the same result as the reference), "exact" (the text is '
        "the reference's), a file *.json (JSON that fits this schema), or the folder of a reward model.",
    )
    num_generations: int = Field(default=4, ge=2, description="Answers to each prompt, which are compared.")
    per_device_train_batch_size: int = Field(default=8, ge=2, description="Answers per device and step.")
    max_completion_length: int = Field(
        default=256, ge=1, description="Tokens of an answer; max_length holds the prompt, too."
    )
    temperature: float = Field(default=1.0, gt=0, description="Of sampling.")
    beta: float = Field(default=0.05, ge=0, description="How strongly to stay near the model before.")

    @property
    def rows_per_batch(self) -> int:
        """Prompts: the trainer answers each several times."""
        return self.per_device_train_batch_size // self.num_generations

    @property
    def row_tokens(self) -> int:
        """Those of a prompt: the model writes the rest."""
        return self.max_length - self.max_completion_length

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        if self.per_device_train_batch_size % self.num_generations:
            raise ValueError(
                f"per_device_train_batch_size is {self.per_device_train_batch_size}, and num_generations "
                f"({self.num_generations}) does not divide it: answers to one prompt are compared within a batch"
            )
        if self.max_completion_length >= self.max_length:
            raise ValueError("max_completion_length must leave room for a prompt in max_length")
        return self


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
    """Step 8: continued pre-training, then fine-tuning, then optimisation on pairs; the other stages if asked for."""

    other_names: ClassVar = aliases.TRAIN

    cpt: StageSettings = StageSettings()
    sft: StageSettings = StageSettings()
    distill: DistillSettings = DistillSettings()
    dpo: StageSettings = StageSettings()
    kto: OptionalSettings = OptionalSettings()
    orpo: OptionalSettings = OptionalSettings()
    reward: OptionalSettings = OptionalSettings()
    grpo: OnlineSettings = OnlineSettings()
    rloo: OnlineSettings = OnlineSettings()
    start: Literal["champion", "base"] = Field(
        default="champion", description="What the first stage trains: the champion, or model_name_or_path anew."
    )
    deployments: bool = Field(
        default=False,
        description="Train through the deployments train-STAGE, whose work pool may have GPUs; else within the run.",
    )
    gpu_slots: int = Field(
        default=0,
        ge=0,
        description="Slots of Prefect's concurrency limit `gpu` that a training takes, or a shard of synthesis.",
    )
    launch: LaunchSettings = LaunchSettings()
    report_to: tuple[Literal["mlflow", "wandb", "tensorboard", "trackio"], ...] = Field(
        default=(), description="Where the curves of a training are shown, besides here."
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        if isinstance(given, dict) and "ppo" in given:
            raise ValueError(NO_PPO)
        return given


def settings_class(stage: str) -> type[StageSettings]:
    """The class of a stage's settings; of an unknown stage, the one they share."""
    return STAGES.get(stage, StageSettings)


STAGES: dict[str, type[StageSettings]] = {
    name: field.annotation
    for name, field in TrainSettings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, StageSettings)
}
"""The class of each stage's settings, in the order in which stages follow each other."""
