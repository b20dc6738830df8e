"""A training from job to saved model, as the worker does it."""

import json
import logging
import resource
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, set_seed

from storage.trained import RESULT, SAMPLES
from tasks.lm.load import load_tokenizer, require_merged
from tasks.lm.template import require_end_of_turn, template_hash
from tasks.train.adalora import AllocateRanks
from tasks.train.arguments import arguments, planned_steps
from tasks.train.checkpoint import newest_whole
from tasks.train.data import TrainingData, training_data
from tasks.train.devices import is_first, take_device, world
from tasks.train.ewc import HoldWeights, encode_replay, fisher, split_replay
from tasks.train.job import CURVES, METRICS, Job, TrainingError
from tasks.train.methods import METHODS, Plan
from tasks.train.report import StepReport
from tasks.train.rules import check
from tasks.train.stages import STAGES
from tasks.train.stages.contract import Setup, Stage
from tasks.train.stages.packing import check_apart
from tasks.train.weights import distinct_padding, load_trainable, save

log = logging.getLogger(__name__)


def train(job: Job) -> None:
    """Train, save the model into `job.output`, and write what was measured there, last."""
    stage, method = _checked(job), METHODS[job.settings.finetuning_type]
    take_device()
    tokenizer = _tokenizer(job, stage)
    rows, replay = split_replay(pl.read_parquet(job.data).to_dicts(), job.settings)
    data = training_data(stage, rows, tokenizer, job.settings, job.seed)
    _show(data)
    setup = _setup(job, stage, tokenizer, data, replay)
    trainer = stage.trainer(setup)
    trainer.remove_callback(PrinterCallback)  # prints what StepReport says better
    trainable, rate = _trainable(trainer.model), setup.arguments["learning_rate"]
    log.info("%s: %s parameters, rate %g", job.settings.finetuning_type, f"{trainable:,}", rate)
    checkpoint = newest_whole(Path(job.work), world()) if method.resumes else None
    if checkpoint is not None:
        log.info("going on from %s", checkpoint.name)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    measured = _measured(trainer, data, seconds=time.monotonic() - began)
    measured |= {"trainable_parameters": trainable, "learning_rate": rate, "processes": world()}
    state = gathered(trainer)
    if is_first():
        save(trainer.model, tokenizer, job.model, job.output, stage.task, state)
        _keep_curves(job)
        (job.output / RESULT).write_text(json.dumps(measured, indent=1))


def _checked(job: Job) -> Stage:
    """The stage, when it can be trained like this: before anything is loaded."""
    check(job.stage, job.settings)
    require_merged(Path(job.model))
    return STAGES[job.stage]


def _tokenizer(job: Job, stage: Stage) -> Any:
    tokenizer = load_tokenizer(job.model)
    if template_hash(tokenizer) != job.template_hash:
        raise TrainingError(
            f"The mixture was made for another chat template ({job.template_hash}) than that of {job.model} "
            f"({template_hash(tokenizer)}): mix again with this model."
        )
    if stage.answers:
        require_end_of_turn(tokenizer)
    distinct_padding(tokenizer)
    return tokenizer


def _setup(job: Job, stage: Stage, tokenizer: Any, data: TrainingData, replay: Sequence[Mapping[str, Any]]) -> Setup:
    """The model with what of it is trained, and what its trainer is made of."""
    settings, method = job.settings, METHODS[job.settings.finetuning_type]
    set_seed(job.seed)
    model = load_trainable(job.model, stage.task, quantized=settings.finetuning_type == "qlora")
    examples, rate = data.examples.num_rows, settings.learning_rate or method.learning_rate * stage.pace
    asked = arguments(job, examples, model.num_parameters()) | {"learning_rate": rate}
    method.prepare(model, settings)
    if settings.packing:
        check_apart(model)
    callbacks: list[TrainerCallback] = [StepReport(Path(job.work) / METRICS)]
    if settings.finetuning_type == "adalora":
        callbacks.append(AllocateRanks())
    if settings.ewc_lambda:
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        held = encode_replay(stage, replay, tokenizer, settings)
        log.info("ewc: Fisher information on %d replayed rows", len(held))
        longest = asked.get("max_grad_norm", stage.config.max_grad_norm)
        callbacks.append(HoldWeights(model, fisher(model, held, job.seed), settings.ewc_lambda, longest))
        asked["max_grad_norm"] = 0.0
    plan = Plan(stage.task, planned_steps(settings, examples))
    return Setup(
        model=model,
        tokenizer=tokenizer,
        examples=data.examples,
        arguments=asked,
        settings=settings,
        peft_config=method.adapter(settings, plan) if method.adapter else None,
        callbacks=callbacks,
    )


def _trainable(model: Any) -> int:
    """How many parameters are trained. Beside a quantized model TRL makes them bfloat16, where small updates are lost:
    they become float32 again."""
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    for weights in trained:
        weights.data = weights.data.float()
    return sum(weights.numel() for weights in trained)


def gathered(trainer: Trainer) -> dict[str, Any] | None:
    """All weights, where each process has a part of them; None where the model is whole.

    Every process takes part; the first one gets them.
    """
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    state: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return state


def _keep_curves(job: Job) -> None:
    """The figures of all steps stay with the model."""
    shutil.copy(Path(job.work) / METRICS, job.output)
    if (curves := Path(job.work) / CURVES).exists():
        shutil.copytree(curves, job.output / CURVES)


def _show(data: TrainingData) -> None:
    log.info("%s rows, %s trained tokens, %g times", f"{data.rows:,}", f"{data.trained_tokens:,}", data.passes)
    for reason, count in sorted(data.left_out.items()):
        log.warning("%s rows are left out: %s", f"{count:,}", reason.replace("_", " "))
    log.info("%s samples, trained on what is in « », are in the report and in %s", len(data.samples), RESULT)


def _measured(trainer: Trainer, data: TrainingData, seconds: float) -> dict[str, Any]:
    """What goes into the registry. Peak memory is the process's on a CPU, the device's on a GPU."""
    state = trainer.state
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    return {
        "losses": [[line["step"], line["loss"]] for line in state.log_history if "loss" in line],
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "rows": data.rows,
        "packs": data.packs,
        "left_out": dict(data.left_out),
        "tokens": int(state.num_input_tokens_seen),
        "trained_tokens": data.trained_tokens,
        "seconds": round(seconds, 2),
        "peak_gb": round(peak / 1e9, 3),
        SAMPLES: list(data.samples),
    }
