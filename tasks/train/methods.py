"""What is trained: the model's own weights, some of them, or something small beside them.

Most small things are merged into the weights afterwards, so that any server loads the model. Those that cannot be
(`tasks.train.rules.BESIDE`) lie beside the weights they were trained with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from peft import (
    AdaLoraConfig,
    IA3Config,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
)

from configs.settings import StageSettings
from tasks.lm.bottleneck import insert
from tasks.train.job import TrainingError

HEAD = "score"
"""The layer of a sequence-classification model that gives the score; it is new, so it is always trained."""


@dataclass(frozen=True)
class Plan:
    """What an adapter's configuration depends on besides the settings.

    Args:
        task: CAUSAL_LM or SEQ_CLS, as PEFT names them.
        steps: of the whole training.
    """

    task: str
    steps: int

    @property
    def shared(self) -> dict[str, Any]:
        """Arguments of every adapter."""
        return {"task_type": self.task} | ({"modules_to_save": [HEAD]} if self.task == "SEQ_CLS" else {})


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        learning_rate: that suits fine-tuning when the settings name none.
        adapter: makes the adapter's configuration; None when no adapter of PEFT is trained.
        choose: marks which of the model's own weights are trained, or puts something into it, for methods without such
            an adapter; it raises TrainingError when the model has no such weights.
        resumes: whether a checkpoint has all that it goes on by.
    """

    learning_rate: float
    adapter: Callable[[StageSettings, Plan], PeftConfig] | None = None
    choose: Callable[[Any, StageSettings], None] | None = None
    resumes: bool = True

    def prepare(self, model: Any, settings: StageSettings) -> None:
        """Mark what is trained of a model just loaded."""
        if self.choose is None:
            return
        self.choose(model, settings)
        if hasattr(model, HEAD):
            getattr(model, HEAD).requires_grad_(True)


def _lora(**options: Any) -> Callable[[StageSettings, Plan], PeftConfig]:
    def config(settings: StageSettings, plan: Plan) -> PeftConfig:
        return LoraConfig(
            r=settings.lora_r,
            lora_alpha=settings.lora_alpha,
            lora_dropout=settings.lora_dropout,
            target_modules=_targets(settings),
            **plan.shared,
            **options,
        )

    return config


def _targets(settings: StageSettings) -> str | list[str]:
    """PEFT wants this one name as a text."""
    return "all-linear" if settings.lora_target == ("all-linear",) else list(settings.lora_target)


def _adalora(settings: StageSettings, plan: Plan) -> PeftConfig:
    """Ranks begin half as large again and end, on average, at lora_r; the last quarter of the steps trains those."""
    return AdaLoraConfig(
        init_r=max(settings.lora_r * 3 // 2, 2),
        target_r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=_targets(settings),
        tinit=plan.steps // 10,
        tfinal=plan.steps // 4,
        total_step=plan.steps,
        **plan.shared,
    )


def _ia3(_: StageSettings, plan: Plan) -> PeftConfig:
    return IA3Config(**plan.shared)


def _learned_prompt(kind: Callable[..., PeftConfig]) -> Callable[[StageSettings, Plan], PeftConfig]:
    def config(settings: StageSettings, plan: Plan) -> PeftConfig:
        return kind(num_virtual_tokens=settings.num_virtual_tokens, task_type=plan.task)

    return config


def _bottlenecks(model: Any, settings: StageSettings) -> None:
    insert(model, settings.bottleneck_size)


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


METHODS: Mapping[str, Method] = {
    "lora": Method(2e-4, adapter=_lora()),
    "qlora": Method(2e-4, adapter=_lora()),  # the model beside it is loaded in 4 bits
    "rslora": Method(1e-4, adapter=_lora(use_rslora=True)),  # scaled by sqrt(r): larger steps than lora's
    "dora": Method(2e-4, adapter=_lora(use_dora=True)),
    "pissa": Method(1e-4, adapter=_lora(init_lora_weights="pissa")),
    "adalora": Method(1e-3, adapter=_adalora, resumes=False),  # ranks follow from all gradients so far
    "ia3": Method(8e-3, adapter=_ia3),
    "adapter": Method(3e-4, choose=_bottlenecks),
    "prefix": Method(1e-2, adapter=_learned_prompt(PrefixTuningConfig)),
    "prompt": Method(3e-2, adapter=_learned_prompt(PromptTuningConfig)),
    "p_tuning": Method(1e-3, adapter=_learned_prompt(PromptEncoderConfig), resumes=False),  # PEFT saves no encoder
    "full": Method(1e-5),
    "freeze": Method(2e-5, choose=_last_layers),
    "bitfit": Method(1e-3, choose=_biases),
}
