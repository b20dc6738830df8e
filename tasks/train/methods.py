"""What is trained: the model's own weights, some of them, or a small adapter that is merged into them afterwards.

Every method here ends in plain weights that any server loads. Methods that cannot be merged (prefix tuning, prompt
tuning, p-tuning) are left out for that reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from peft import IA3Config, LoraConfig, PeftConfig

from configs.settings import StageSettings
from tasks.train.job import TrainingError


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        learning_rate: that suits fine-tuning when the settings name none.
        adapter: makes the adapter's configuration; None when the model's own weights are trained.
        choose: marks which of the model's own weights are trained, for methods without an adapter; it raises
            TrainingError when the model has no such weights.
        refuses: stages that it cannot do, each with the reason.
    """

    learning_rate: float
    adapter: Callable[[StageSettings], PeftConfig] | None = None
    choose: Callable[[Any, StageSettings], None] | None = None
    refuses: Mapping[str, str] = field(default_factory=dict)


def method_for(stage: str, settings: StageSettings) -> Method:
    """The method that the settings name.

    Raises:
        TrainingError: this stage cannot be trained this way.
    """
    method = METHODS[settings.finetuning_type]
    if reason := method.refuses.get(stage):
        raise TrainingError(f"{stage} cannot be trained with finetuning_type {settings.finetuning_type}: {reason}")
    return method


def _lora(**options: Any) -> Callable[[StageSettings], PeftConfig]:
    def config(settings: StageSettings) -> PeftConfig:
        return LoraConfig(
            r=settings.lora_r,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
            target_modules=_targets(settings),
            task_type="CAUSAL_LM",
            **options,
        )

    return config


def _targets(settings: StageSettings) -> str | list[str]:
    """PEFT wants this one name as a text."""
    return "all-linear" if settings.lora_target == ("all-linear",) else list(settings.lora_target)


def _ia3(_: StageSettings) -> PeftConfig:
    return IA3Config(task_type="CAUSAL_LM")


def _last_layers(model: Any, settings: StageSettings) -> None:
    """Only the last layers are trained: embeddings, head and the layers before stay as they are."""
    layers = model.get_decoder().layers
    if settings.freeze_trainable_layers > len(layers):
        raise TrainingError(
            f"freeze_trainable_layers is {settings.freeze_trainable_layers}, but the model has {len(layers)} layers."
        )
    model.requires_grad_(False)
    for layer in layers[-settings.freeze_trainable_layers :]:
        layer.requires_grad_(True)


def _biases(model: Any, _: StageSettings) -> None:
    """Only biases are trained (https://arxiv.org/abs/2106.10199)."""
    model.requires_grad_(False)
    biases = [weights for name, weights in model.named_parameters() if name.endswith("bias")]
    if not biases:
        raise TrainingError(
            f"finetuning_type bitfit trains biases, and {type(model).__name__} has none: take lora or freeze."
        )
    for weights in biases:
        weights.requires_grad_(True)


NO_REFERENCE = "it moves the model's largest directions into the adapter, so the reference would lack them."
METHODS: Mapping[str, Method] = {
    "lora": Method(2e-4, adapter=_lora()),
    "rslora": Method(1e-4, adapter=_lora(use_rslora=True)),  # scaled by sqrt(r): larger steps than lora's
    "dora": Method(2e-4, adapter=_lora(use_dora=True)),
    "pissa": Method(
        1e-4,
        adapter=_lora(init_lora_weights="pissa"),
        refuses={"dpo": NO_REFERENCE, "kto": NO_REFERENCE},
    ),
    "ia3": Method(8e-3, adapter=_ia3),
    "full": Method(1e-5),
    "freeze": Method(2e-5, choose=_last_layers),
    "bitfit": Method(1e-3, choose=_biases),
}
