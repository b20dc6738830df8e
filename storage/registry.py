"""The model registry: every model with its parent and mixture, and the pointer that names the champion."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from storage.lake import Lake, LakeError
from storage.publish import conform, publish
from storage.snapshot import digest
from storage.tables import TABLES


@dataclass(frozen=True)
class Model:
    """A registered model.

    Args:
        id: stable name, made from what it depends on.
        kind: lm, or reward.
        stage: base, cpt, sft, dpo or reward.
        parent: id of the model it was trained from; None for a base.
        mixture: id of the mixture it was trained on; None for a base.
        path: folder with weights and tokenizer, as Transformers loads it.
        template_hash: hash of its chat template (`tasks.lm.template.template_hash`).
        settings: what it was trained with.
        metrics: what training measured; `losses` is a list of [step, loss].
    """

    id: str
    kind: str
    stage: str
    path: str
    template_hash: str
    parent: str | None = None
    mixture: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """A verdict on a challenger: promote, hold, reject or rollback, with its reasons and evidence."""

    model: str
    champion: str | None
    verdict: str
    reasons: Sequence[str]
    evidence: Mapping[str, Any] = field(default_factory=dict)


def register(lake: Lake, model: Model, *, batch: str) -> None:
    """Add a model to the registry, once: the same id again changes nothing."""
    row = {
        "id": model.id,
        "kind": model.kind,
        "stage": model.stage,
        "parent": model.parent,
        "mixture": model.mixture,
        "path": _relative(lake, model.path),
        "template_hash": model.template_hash,
        "settings": json.dumps(dict(model.settings), sort_keys=True),
        "metrics": json.dumps(dict(model.metrics)),
        "created_at": datetime.now(UTC),
    }
    rows = pl.DataFrame([row], schema={name: TABLES["models"].schema[name] for name in row})
    publish(lake, "models", rows, step=f"register-{model.id}", batch=batch, key=digest(model.id))


def find(lake: Lake, model_id: str) -> Model | None:
    """The model of that id, or None."""
    rows = lake.read("models").filter(pl.col("id") == model_id).collect()
    return _model(lake, rows.row(0, named=True)) if rows.height else None


def get(lake: Lake, model_id: str) -> Model:
    """The model of that id.

    Raises:
        LakeError: there is none.
    """
    if (model := find(lake, model_id)) is None:
        raise LakeError(f"No model {model_id} in {lake.uri}; `flywheel status` lists the models.")
    return model


def models(lake: Lake) -> pl.DataFrame:
    """All models, oldest first."""
    return lake.read("models").sort("created_at", "id").collect()


def champion(lake: Lake) -> str | None:
    """Id of the model that serves, or None before the first one."""
    return _champion(promotions(lake))


def promotions(lake: Lake) -> pl.DataFrame:
    """All verdicts, oldest first."""
    return lake.read("promotions").sort("sequence").collect()


def decide(lake: Lake, decision: Decision, *, batch: str, step: str = "promote") -> bool:
    """Write a verdict, and with it move the champion pointer: one compare-and-swap.

    Args:
        lake: where the pointer is.
        decision: the verdict; `champion` is whom the challenger was compared with.
        batch: of the run.
        step: who decides: promote, or a rollback.

    Returns:
        Whether it was written now; False when this batch's verdict was there already.

    Raises:
        LakeError: the champion changed since the challenger was compared with it.
    """
    delta = lake.ensure("promotions")
    history = promotions(lake)
    if history.filter(pl.col("id") == decision_id(decision, batch)).height:
        return False
    current = _champion(history)
    if decision.verdict in {"promote", "rollback"} and current != decision.champion:
        raise LakeError(
            f"{decision.model} was compared with {decision.champion}, but {current} is the champion now: "
            "run the evaluation again."
        )

    sequence = history.height + 1
    row = {
        "id": decision_id(decision, batch),
        "batch": batch,
        "step": step,
        "sequence": sequence,
        "model": decision.model,
        "champion": decision.champion,
        "verdict": decision.verdict,
        "reasons": list(decision.reasons),
        "evidence": json.dumps(dict(decision.evidence)),
        "decided_at": datetime.now(UTC),
    }
    try:
        write_deltalake(
            delta,
            conform("promotions", pl.DataFrame([row], schema=TABLES["promotions"].schema)),
            mode="append",
            commit_properties=CommitProperties(app_transactions=[Transaction("champion", sequence)]),
        )
    except CommitFailedError as error:
        raise LakeError(f"Somebody else decided at the same time as {decision.model}: run it again.") from error
    return True


def decision_id(decision: Decision, batch: str) -> str:
    """Name of a verdict: the same comparison in the same batch is decided once."""
    return digest(batch, decision.model, decision.champion or "", decision.verdict)[:16]


def _champion(history: pl.DataFrame) -> str | None:
    moved = history.filter(pl.col("verdict").is_in(["promote", "rollback"]))
    return moved["model"][-1] if moved.height else None


def _relative(lake: Lake, path: str) -> str:
    """Paths inside the lake are kept relative, so that a lake can be moved."""
    root = lake.path() + "/"
    return path.removeprefix(root) if path.startswith(root) else path


def _model(lake: Lake, row: dict[str, Any]) -> Model:
    inside = lake.is_local and not Path(row["path"]).is_absolute()
    return Model(
        id=row["id"],
        kind=row["kind"],
        stage=row["stage"],
        path=lake.path(row["path"]) if inside else row["path"],
        template_hash=row["template_hash"],
        parent=row["parent"],
        mixture=row["mixture"],
        settings=json.loads(row["settings"]),
        metrics=json.loads(row["metrics"]),
    )
