"""The card of a model: where it comes from, what it learned from, how it was judged."""

import json
from typing import Any

from storage.evidence import Comparison
from storage.lake import Lake
from storage.registry import Model, known
from tasks.report import judged, tables

LORA = ("finetuning_type", "learning_rate", "num_train_epochs", "max_steps", "lora_r", "lora_alpha", "beta", "seed")
"""The settings of a training that a reader asks for."""


def model_card(lake: Lake, model_id: str) -> str:
    """Markdown for a model's README: lineage, data, evaluation, template; no text of any user.

    Args:
        lake: whose registry knows the model.
        model_id: which one.

    Raises:
        LakeError: no such model.
    """
    model = known(lake, model_id)
    verdicts = [found for found in judged.verdicts(lake) if found.model == model_id]
    parts = [
        f"---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags: [flywheel, {model.stage}]\n---",
        f"# {model_id}",
        f"Trained by Flywheel from feedback on its own traffic. Stage: {model.stage.upper()}. "
        f"Parent: `{model.parent or 'none'}`. Chat template: `{model.template_hash}`.",
        "## Lineage",
        _table(
            ["stage", "model", "batch", "rows", "tokens"], [_generation(row) for row in tables.lineage(lake, model_id)]
        ),
        *_data(lake, model),
        *_training(model),
        "## Evaluation",
        *([_judged(found) for found in verdicts] or ["Not compared with a champion yet."]),
        "## Limits",
        "Losses and rates are of held-out conversations of the same product; they say nothing about other uses. "
        "Personal data was replaced before training by detectors that do not find everything.",
    ]
    return "\n\n".join(parts) + "\n"


def _generation(row: tables.LineageRow) -> list[str]:
    return [row.stage, f"`{row.model}`", row.batch, f"{row.rows:,}", f"{row.tokens:,}"]


def _data(lake: Lake, model: Model) -> list[str]:
    """What the last training read."""
    found = lake.read("manifests", batch=model.mixture or "").collect()
    if not found.height:
        return []
    manifest: dict[str, Any] = json.loads(found["manifest"][0])
    rows = [
        [part, f"{figures['rows']:,}", f"{figures['trained_tokens']:,}", f"{figures['share']:.1%}"]
        for part, figures in manifest["parts"].items()
        if figures["rows"]
    ]
    return ["## Data", f"Mixture `{model.mixture}`.", _table(["part", "rows", "trained tokens", "share"], rows)]


def _training(model: Model) -> list[str]:
    """With which settings, and to which loss."""
    settings = [[f"`{name}`", str(model.settings[name])] for name in LORA if name in model.settings]
    if not settings:
        return []
    losses = [loss for _, loss in model.metrics.get("losses", ())]
    words = f"Loss {losses[0]:.3f} at the first step, {losses[-1]:.3f} at the last." if losses else ""
    return ["## Training", _table(["setting", "value"], settings), words]


def _judged(verdict: judged.Verdict) -> str:
    reasons = "\n".join(f"- {reason}" for reason in verdict.reasons)
    head = (
        f"**{verdict.verdict}** against `{verdict.champion}` on batch {verdict.batch}, {verdict.decided_at:%Y-%m-%d}:"
    )
    columns = ["metric", "role", "champion", "this model", "better by", "bounds", "items"]
    table = _table(columns, [_compared(metric) for metric in verdict.evidence.metrics])
    return f"{head}\n\n{reasons}\n\n{table}"


def _compared(metric: Comparison) -> list[str]:
    return [
        metric.name,
        metric.role,
        f"{metric.champion:.4f}",
        f"{metric.challenger:.4f}",
        f"{metric.delta:+.4f}",
        f"{metric.lower:+.4f} to {metric.upper:+.4f}",
        f"{metric.items:,}",
    ]


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
