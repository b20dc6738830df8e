"""Mixtures on their own: what a stage would read, before anything is trained, and files of it for other tools."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from configs.mistake import Mistake
from configs.settings import Settings, StageSettings
from flows.batches import collected_batches
from flows.runs import base_model, same_template
from storage import registry, verdicts
from storage.lake import Lake, LakeError
from storage.registry import Model
from tasks.mix.forms import write_rows
from tasks.mix.mixture import make_mixture


@dataclass(frozen=True)
class Shown:
    """A mixture to look at: its manifest, and why it would not be trained on, if so."""

    manifest: Mapping[str, Any]
    skipped: str | None


def mixtures(lake: Lake, settings: Settings, stage: str | None = None, *, dry_run: bool = False) -> Iterator[Shown]:
    """Mix what stages read, from all that was curated so far.

    Args:
        lake: where the tables are.
        settings: the recipe, and how long a row may be.
        stage: one stage; by default every enabled one.
        dry_run: write nothing.

    Raises:
        LakeError: nothing was collected yet.
        Mistake: no such stage.
    """
    stages = _stages(settings, stage)
    if not (batches := collected_batches(lake)):
        raise LakeError(f"Nothing was collected into {lake.uri} yet: `flywheel run CONFIG` does it.")
    with TemporaryDirectory() as scratch:
        model = _first_model(lake, Lake(scratch) if dry_run else lake, settings).path
        for name, of_stage in stages.items():
            if dry_run:
                made = make_mixture(
                    lake, name, batches[-1], settings.mix, settings.collect, of_stage.row_tokens, model, settings.seed
                )
                yield Shown(made.manifest, made.skipped(settings.mix))
                continue
            from tasks.mix.task import mix  # seconds of imports

            mixed = mix.fn(lake, name, batches[-1], settings.mix, settings.collect, of_stage, model, settings.seed)
            yield Shown(mixed.manifest, mixed.reason)


def _first_model(lake: Lake, registered: Lake, settings: Settings) -> Model:
    """The model that the first stage trains; see `flows.train.first_parent`.

    Args:
        lake: whose champion it is.
        registered: where the base model is registered when that is it.
        settings: where training starts, and the base model.
    """
    champion = verdicts.champion(lake)
    if champion is None or settings.train.start == "base":
        return base_model(registered, settings)
    return same_template(registry.get(lake, champion))


def export_mixture(lake: Lake, file: Path, form: str, mixture: str | None = None) -> tuple[int, int]:
    """Write a mixture for other tools, and its manifest beside it.

    Args:
        lake: where it is.
        file: ending in .jsonl or .parquet.
        form: see `tasks.mix.forms.FORMS`.
        mixture: its id; by default the one that the champion was trained on.

    Returns:
        Rows written, and rows that the form cannot hold.

    Raises:
        LakeError: no such mixture, or all its rows were erased.
        FormError: see `tasks.mix.forms.write_rows`.
    """
    champion = verdicts.champion(lake)
    name = mixture or (registry.known(lake, champion).mixture if champion else None)
    if name is None:
        raise LakeError(f"The champion of {lake.uri} was trained on no mixture: name one; `flywheel mix` makes some.")
    manifest = _manifest(lake, name)
    rows = lake.read("mixtures", batch=name).sort("id").collect()
    if rows.is_empty():
        raise LakeError(f"Of the mixture {name} in {lake.uri} no row is left: all were erased.")
    counts = write_rows(rows, file, form)
    file.with_suffix(".manifest.json").write_text(json.dumps(manifest, indent=1))
    return counts


def _stages(settings: Settings, stage: str | None) -> dict[str, StageSettings]:
    """The stages to mix for, with their settings."""
    known = {name: one for name, one in settings.train if isinstance(one, StageSettings)}
    if stage is None:
        return {name: one for name, one in known.items() if one.enabled}
    if stage not in known:
        raise Mistake(f"There is no stage {stage}; there are: {', '.join(known)}.")
    return {stage: known[stage]}


def _manifest(lake: Lake, name: str) -> dict[str, Any]:
    found = lake.read("manifests", batch=name).collect()
    if found.is_empty():
        known = ", ".join(lake.read("manifests").select("batch").collect()["batch"].sort()) or "none yet"
        raise LakeError(f"No mixture {name} in {lake.uri}; there are: {known}.")
    manifest: dict[str, Any] = json.loads(found["manifest"][0])
    return manifest
