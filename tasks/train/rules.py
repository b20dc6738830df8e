"""Which stage can be trained in which way: whatever cannot work is refused with a reason before anything is loaded."""

from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec

from configs.settings import StageSettings, TrainSettings
from configs.training import NO_PPO, STAGES, DistillSettings, OnlineSettings
from tasks.lm.load import resolve
from tasks.train.job import TrainingError
from tasks.train.rewards import check_reward

LEARNED_PROMPTS = frozenset({"prefix", "prompt", "p_tuning"})
"""Methods that train something in front of every text, and no weight of the model."""

BESIDE = LEARNED_PROMPTS | {"adapter"}
"""Methods whose result cannot be written into the model's weights."""

OWN_WEIGHTS = frozenset({"full", "freeze", "bitfit"})
"""Methods that train weights of the model itself."""

LIKELIHOOD = frozenset({"cpt", "sft", "distill", "orpo"})
"""Stages that are taught what to say."""

NO_REFERENCE = "it moves the model's largest directions into the adapter, so the reference would lack them"
NO_CLASSIFIER = "what scores rows loads a reward model as plain weights, and these cannot be merged into them"
REFUSED: Mapping[str, Mapping[str, str]] = {
    "pissa": dict.fromkeys(("dpo", "kto", "grpo", "rloo"), NO_REFERENCE),
    **{method: {"reward": NO_CLASSIFIER} for method in BESIDE},
}
"""By method and stage."""


def check(stage: str, settings: StageSettings) -> None:
    """Refuse a training that cannot work on this machine.

    Raises:
        TrainingError: there is no such stage, or it cannot be trained this way; the message says why.
        MissingModelError: the model that it learns from is not there.
    """
    check_settings(stage, settings)
    if settings.finetuning_type == "qlora" and find_spec("bitsandbytes") is None:
        raise TrainingError(
            "finetuning_type qlora needs bitsandbytes: pip install bitsandbytes, or take lora; its adapter is the same."
        )
    if isinstance(settings, DistillSettings):
        resolve(settings.teacher_model_name_or_path)
    if isinstance(settings, OnlineSettings):
        check_reward(settings.reward)


def check_settings(stage: str, settings: StageSettings) -> None:
    """Refuse a training that cannot work on any machine.

    Raises:
        TrainingError: there is no such stage, or it cannot be trained this way; the message says why.
    """
    method = settings.finetuning_type
    if stage == "ppo":
        raise TrainingError(f"{NO_PPO}.")
    if stage not in STAGES:
        raise TrainingError(f"There is no training stage {stage}: take one of {', '.join(STAGES)}.")
    if reason := REFUSED.get(method, {}).get(stage):
        raise TrainingError(f"{stage} cannot be trained with finetuning_type {method}: {reason}.")
    if method in LEARNED_PROMPTS and any(given.name == "gradient_checkpointing" for given in settings.trainer_args):
        raise TrainingError(f"trainer_args: gradient_checkpointing would leave {method} untrained: leave it out.")
    if method in LEARNED_PROMPTS and settings.packing:
        raise TrainingError(
            f"packing tells rows apart by their positions, which {method} does not pass on: set it to false."
        )
    if settings.ewc_lambda:
        _check_ewc(stage, method)
    if isinstance(settings, DistillSettings) and not settings.teacher_model_name_or_path:
        raise TrainingError("distill learns from another model: set train.distill.teacher_model_name_or_path.")
    if settings.packing or settings.trainer_args:
        _check_trainer(stage, settings)


def check_chain(settings: TrainSettings) -> None:
    """Refuse stages that cannot follow each other: what one trains, the next stage, the gate and servers load.

    What only the machine that trains has (a teacher, a package) is not looked for here where deployments train.

    Raises:
        TrainingError: as `check`, or an enabled stage trains something that cannot be merged.
        MissingModelError: as `check`.
    """
    checked = check_settings if settings.deployments else check
    for stage in STAGES:
        chosen: StageSettings = getattr(settings, stage)
        if not chosen.enabled:
            continue
        checked(stage, chosen)
        if chosen.finetuning_type in BESIDE:
            raise TrainingError(
                f"train.{stage}.finetuning_type is {chosen.finetuning_type}, which cannot be merged into the model's "
                "weights as the next stage, servers and GGUF need it: take lora, or train this stage alone."
            )


def may_checkpoint_gradients(settings: StageSettings) -> bool:
    """Whether activations may be computed twice. Learned prompts pass through the cache, which that switches off: they
    would train nothing, silently."""
    return settings.finetuning_type not in LEARNED_PROMPTS


def _check_trainer(stage: str, settings: StageSettings) -> None:
    """Ask the trainer itself what it can do: seconds of imports, for those who ask for more than settings have."""
    from tasks.train.stages import STAGES as TRAINED

    if settings.packing and not TRAINED[stage].packs:
        able = ", ".join(name for name, other in TRAINED.items() if other.packs)
        raise TrainingError(f"{stage} reads rows in pairs or groups: packing is for {able}.")
    config = TRAINED[stage].config
    known = {field.name for field in fields(config) if field.init}
    if unknown := [argument.name for argument in settings.trainer_args if argument.name not in known]:
        raise TrainingError(
            f"train.{stage}.trainer_args: {config.__name__} has no {', '.join(unknown)}: see TRL's documentation of it."
        )


def _check_ewc(stage: str, method: str) -> None:
    if stage not in LIKELIHOOD:
        raise TrainingError(f"ewc_lambda is for {', '.join(sorted(LIKELIHOOD))}, not for {stage}: set it to 0.")
    if method not in OWN_WEIGHTS:
        raise TrainingError(
            f"ewc_lambda holds weights of the model itself, and finetuning_type {method} leaves them as they are: "
            f"take one of {', '.join(sorted(OWN_WEIGHTS))}, or set ewc_lambda to 0."
        )
