"""Step 7, mix: what a training stage reads."""

import json
import logging
from collections.abc import Mapping
from typing import Any

import polars as pl
from prefect import task
from pydantic import BaseModel, ConfigDict

from configs.settings import CollectSettings, MixSettings, StageSettings
from storage.lake import Lake
from storage.publish import Books, publish, undisturbed, withdraw
from storage.snapshot import Snapshot, digest, fingerprint
from tasks.mix.mixture import Mixed, make_mixture

log = logging.getLogger(__name__)


class Mixture(BaseModel):
    """What a stage may be trained on.

    `snapshot` names the rows; it is None when there are too few new ones, and `reason` says so. `manifest` describes
    them in both cases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: Snapshot | None
    reason: str | None
    manifest: Mapping[str, Any]


@task(name="mix", persist_result=False)
def mix(
    lake: Lake,
    stage: str,
    batch: str,
    settings: MixSettings,
    collect: CollectSettings,
    stage_settings: StageSettings,
    model: str,
    seed: int,
) -> Mixture:
    """Mix what a stage is trained on, from all that was curated up to this batch.

    The mixture's id, the `batch` column of mixtures and manifests, is a hash of its content: the same rows again are
    the same mixture, and are written once.

    Args:
        lake: where the tables are.
        stage: one of `tasks.mix.views.VIEWS`.
        batch: the newest batch that counts; the books of the step are written under it.
        settings: which rows, and how many.
        collect: what it asks of consent, which rows of tables have passed before.
        stage_settings: of the stage; its `row_tokens` bound a row.
        model: folder of the model to be trained.
        seed: the sample follows from it.
    """
    step = f"mix_{stage}"

    def work() -> Mixture:
        made = make_mixture(lake, stage, batch, settings, collect, stage_settings.row_tokens, model, seed)
        books = Books(made.rows_in, {"mixed": made.rows["id"].n_unique(), **made.dropped}, _facts(made))
        books.check(step)
        key = fingerprint(step, [settings, stage_settings], [], made.id)
        publish(lake, "books", books.frame(), step=step, batch=batch, key=key)
        _report(made, stage)
        if (reason := made.skipped(settings)) is not None:
            log.info("%s is skipped: %s", stage, reason)
            return Mixture(snapshot=None, reason=reason, manifest=made.manifest)

        about = {name: made.manifest[name] for name in ("id", "stage", "rows", "trained_tokens")}
        line = pl.DataFrame([about | {"manifest": json.dumps(made.manifest, sort_keys=True)}])
        publish(lake, "manifests", line, step=step, batch=made.id, key=made.id)
        whose = made.rows["comes_from"].explode().drop_nulls().unique().sort()
        key = digest(made.id, *whose)  # the same mixture, if it is known to be of others by now, is written anew
        snapshot = publish(lake, "mixtures", made.rows, step=step, batch=made.id, key=key)
        return Mixture(snapshot=snapshot, reason=None, manifest=made.manifest)

    def undo(mixture: Mixture) -> None:
        if mixture.snapshot is not None:
            withdraw(lake, ("mixtures", "manifests"), step=step, batch=mixture.snapshot.batch)

    return undisturbed(lake, f"mix {stage}", work, undo)


def _facts(made: Mixed) -> dict[str, float]:
    shares = {f"share:{part}": float(figures["share"]) for part, figures in made.manifest["parts"].items()}
    return {
        "tokens": float(made.manifest["tokens"]),
        "trained_tokens": float(made.manifest["trained_tokens"]),
        **shares,
    }


def _report(made: Mixed, stage: str) -> None:
    """Say what was mixed, what was left out and what is missing."""
    shares = ", ".join(f"{part} {figures['share']:.0%}" for part, figures in made.manifest["parts"].items())
    tokens = f"{made.manifest['trained_tokens']:,}"
    log.info("mix %s: %s rows, %s trained tokens (%s)", stage, f"{made.rows.height:,}", tokens, shares)
    if made.dropped:
        parts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(made.dropped.items()))
        log.info("mix %s: left out %s", stage, parts)
    for part, figures in made.manifest["parts"].items():
        if figures["short"]:
            log.warning(
                "mix %s: %s trained tokens of %s are missing (it has %.1f%% instead of %g%%): give it more rows, lower "
                "its weight, or let it repeat rows (max_repeats)",
                stage,
                f"{figures['missing_tokens']:,}",
                part,
                100 * figures["share"],
                100 * figures["weight"],
            )
        if figures["repeated"]:
            log.info("mix %s: %s rows of %s are repeated", stage, f"{figures['repeated']:,}", part)
