"""Evaluation: champion against challenger, the gate's verdict, and the move of the champion pointer."""

from prefect import flow

from configs.settings import Settings
from flows.progress import progress_artifacts
from flows.promote import ask
from flows.runs import Run, current
from storage import registry
from storage.lake import Lake, LakeError
from storage.registry import Model
from storage.verdicts import Decision
from tasks.evaluate.task import evaluate as score_models
from tasks.promote.task import promote, roll_out


@flow(name="evaluate", flow_run_name="evaluate {challenger} in {settings.lake}")
def evaluate(settings: Settings, challenger: str) -> str:
    """Compare a model with the champion, and promote it if it is proven better.

    Args:
        settings: the flywheel's settings.
        challenger: id of a trained model.

    Returns:
        The verdict: promote, hold, reject, wait (for a person) or, if the served model does not work, rollback.

    Raises:
        LakeError: no such model, or nothing was collected yet.
    """
    lake = Lake(settings.lake)
    run = current(lake, settings)
    if run is None:
        raise LakeError(f"Nothing was collected into {settings.lake} yet; `flywheel run` does.")
    with progress_artifacts():
        return compare(lake, run, registry.get(lake, challenger), settings).verdict


def compare(lake: Lake, run: Run, challenger: Model, settings: Settings) -> Decision:
    """Evaluate champion and challenger on the same items, decide, and see to what follows."""
    select = settings.mix.select
    scores = score_models(
        lake, run.batch, challenger, run.champion, settings.evaluate, select, settings.seed, settings.score
    )
    decision = promote(lake, scores, challenger, run.champion, settings.promote, select, settings.seed)
    if decision.verdict == "promote":
        return roll_out(lake, decision, settings.promote, settings.serve)
    if decision.verdict == "wait":
        ask(settings, challenger.id)
    return decision
