"""Every stage with every method, trained or refused."""

from pathlib import Path

from tasks.train import training
from tasks.train.job import Job, TrainingError
from tasks.train.methods import METHODS
from tasks.train.stages import STAGES
from tests.bench._table import show
from tests.tasks.train.cells import cell, make_models


def every_cell(folder: Path) -> dict[str, int]:
    """Two steps of a tiny model each; see tests/tasks/train/test_cells.py for what they leave."""
    models = make_models(folder)
    table = [
        (method, *(_done(cell(folder / f"{stage}-{method}", models, stage, method)) for stage in STAGES))
        for method in METHODS
    ]
    show("Stages by methods on a tiny model", ("finetuning_type", *STAGES), table)
    return {f"cells_{what}": sum(line.count(what) for line in table) for what in ("trained", "refused")}


def _done(job: Job) -> str:
    try:
        training.train(job)
    except TrainingError:
        return "refused"
    return "trained"
