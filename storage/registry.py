"""The model registry: every model with its parent and mixture. Which one serves, `storage.verdicts` knows."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from storage.lake import Lake, LakeError
from storage.publish import publish
from storage.snapshot import digest
from storage.tables import TABLES

HEAD = "head"
"""The kind of a reward head."""


@dataclass(frozen=True)
class Model:
    """A registered model.

    Args:
        id: stable name, made from what it depends on.
        kind: lm; reward, a model that scores answers; or head, of the reward head.
        stage: base, or that of the settings which trained it.
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


def register(lake: Lake, model: Model, *, batch: str) -> None:
    """Add a model to the registry, once: the same id again changes nothing. Its files reach the object store first."""
    if (inside := _relative(lake, model.path)) != model.path:
        lake.save(inside)
    row = {
        "id": model.id,
        "kind": model.kind,
        "stage": model.stage,
        "parent": model.parent,
        "mixture": model.mixture,
        "path": inside,
        "template_hash": model.template_hash,
        "settings": json.dumps(dict(model.settings), sort_keys=True),
        "metrics": json.dumps(dict(model.metrics)),
        "created_at": datetime.now(UTC),
    }
    rows = pl.DataFrame([row], schema={name: TABLES["models"].schema[name] for name in row})
    publish(lake, "models", rows, step=f"register-{model.id}", batch=batch, key=digest(model.id))


def attach(lake: Lake, model: Model, name: str, text: str) -> None:
    """Put a small file beside a model's weights; files of a model that is not the lake's own are left as they are."""
    if (inside := _relative(lake, model.path)) != model.path:
        part = Path(model.path) / f"{name}.part"
        part.write_text(text)
        part.replace(part.with_name(name))
        lake.save(f"{inside}/{name}")


def find(lake: Lake, model_id: str) -> Model | None:
    """The model of that id, or None."""
    rows = lake.read("models").filter(pl.col("id") == model_id).collect()
    return _model(lake, rows.row(0, named=True)) if rows.height else None


def in_folder(lake: Lake, path: str) -> Model | None:
    """The model whose files lie in a folder, or None; the oldest, should there be more."""
    rows = models(lake).filter(pl.col("path").is_in([path, _relative(lake, path)]))
    return _model(lake, rows.row(0, named=True)) if rows.height else None


def known(lake: Lake, model_id: str) -> Model:
    """The model of that id, wherever its files are.

    Raises:
        LakeError: there is none.
    """
    if (model := find(lake, model_id)) is None:
        raise LakeError(f"No model {model_id} in {lake.uri}; `flywheel status` lists the models.")
    return model


def get(lake: Lake, model_id: str) -> Model:
    """The model of that id, its files on this machine.

    Raises:
        LakeError: there is none, or its weights were removed.
    """
    model = known(lake, model_id)
    if (inside := _relative(lake, model.path)) != model.path:
        with suppress(FileNotFoundError):
            lake.fetch(inside)
        if not Path(model.path).is_dir():
            raise LakeError(
                f"The weights of {model_id} were removed by `flywheel maintain`: it keeps maintain.keep_champions "
                "former champions, and others for maintain.model_days."
            )
    elif not (Path(model.path) / "config.json").is_file():
        raise LakeError(f"The weights of {model_id} are not in {model.path} any more: put the folder back there.")
    return model


def ancestors(lake: Lake, model: Model) -> list[Model]:
    """The model and all that it descends from, newest first; the registry is read once, however long the line is."""
    if model.parent is None:
        return [model]
    known = {row["id"]: row for row in models(lake).iter_rows(named=True)}
    line = [model]
    while (parent := line[-1].parent) is not None and parent in known:
        line.append(_model(lake, known[parent]))
    return line


def first(lake: Lake, model: Model) -> Model:
    """The model that `model` was trained from, generations ago; a base is its own first."""
    return ancestors(lake, model)[-1]


def models(lake: Lake) -> pl.DataFrame:
    """All models, oldest first."""
    return lake.read("models").sort("created_at", "id").collect()


def _relative(lake: Lake, path: str) -> str:
    """Paths inside the lake are kept relative, so that a lake can be moved."""
    root = f"{lake.local()}/"
    return path.removeprefix(root) if path.startswith(root) else path


def _model(lake: Lake, row: dict[str, Any]) -> Model:
    return Model(
        id=row["id"],
        kind=row["kind"],
        stage=row["stage"],
        path=row["path"] if Path(row["path"]).is_absolute() else str(lake.local(row["path"])),
        template_hash=row["template_hash"],
        parent=row["parent"],
        mixture=row["mixture"],
        settings=json.loads(row["settings"]),
        metrics=json.loads(row["metrics"]),
    )
