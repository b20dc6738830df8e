"""The whole pipeline, from logs to a champion that is proven better. Run it nightly, from the UI, or from Python."""

import logging

from prefect import flow, runtime, tags
from pydantic import BaseModel, ConfigDict

from configs.settings import Settings
from flows.artifacts import publish_artifacts, report_link
from flows.curate import curate_batches, synthesize_batch
from flows.evaluate import compare
from flows.notify import notify, notify_end
from flows.progress import progress_artifacts
from flows.runs import base_model, check_models, current, finish
from flows.train import train_stages
from storage import verdicts
from storage.lake import Lake
from tasks.collect.task import collect
from tasks.promote.rollout import tell_all
from tasks.report.task import report
from tasks.train.rules import check_chain

log = logging.getLogger(__name__)


class RunResult(BaseModel):
    """What a run did; the tables of the lake have the rest."""

    model_config = ConfigDict(frozen=True)

    lake: str
    batch: str | None = None  # None: nothing was new
    challenger: str | None = None
    verdict: str | None = None
    champion: str | None = None
    report: str | None = None


@flow(
    name="nightly",
    flow_run_name="nightly on {settings.lake}",
    on_failure=[notify_end],
    on_crashed=[notify_end],
    on_cancellation=[notify_end],
)
def flywheel(settings: Settings) -> RunResult:
    """Turn what users asked, and how they liked the answers, into a better model; promote it only if that is proven.

    Collects what is new, curates it, synthesizes, trains each enabled stage, evaluates and decides. A run that was
    killed is carried on by the next one. With nothing new it trains nothing and writes nothing.

    Args:
        settings: the flywheel's settings.

    Returns:
        What the run did.
    """
    with progress_artifacts(), tags(*runtime.flow_run.tags):  # what has the tag flywheel is watched, subflows, too
        return _run(settings)


def _run(settings: Settings) -> RunResult:
    lake = Lake(settings.lake)
    base_model(lake, settings)  # a missing model is said before anything is spent
    check_models(settings)
    check_chain(settings.train)
    tell_all(lake, settings.serve.hooks)  # those that an earlier run could not reach
    collect(lake, settings.collect)
    run = current(lake, settings, unfinished=True)
    if run is None:
        log.info("nothing new in %s: trained nothing, wrote nothing", settings.lake)
        return RunResult(lake=settings.lake, champion=verdicts.champion(lake))
    curated = curate_batches(lake, run, settings)
    synthesize_batch(lake, run, curated, settings)
    challenger = train_stages(lake, run, settings)
    decision = compare(lake, run, challenger, settings) if challenger else None
    page = report(lake, run.batch)
    publish_artifacts(lake, run.batch, page)
    finish(lake, run, settings)
    if decision:
        told = f"{decision.verdict} {decision.model} ({settings.lake}, batch {run.batch}). {report_link(page)}"
        notify(f"Flywheel: {told}")
    return RunResult(
        lake=settings.lake,
        batch=run.batch,
        challenger=challenger.id if challenger else None,
        verdict=decision.verdict if decision else None,
        champion=verdicts.champion(lake),
        report=page,
    )
