"""Where the curves of a training are shown, besides here: each tracker is a package of its own, asked for by name."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from tasks.train.job import CURVES, TrainingError

PACKAGES = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}
"""By tracker: packages one of which it needs, as they are imported and installed."""
PROJECT = "flywheel"


def check_trackers(names: Iterable[str]) -> None:
    """See that every tracker is installed.

    Raises:
        TrainingError: one is not.
    """
    for name in names:
        if not any(find_spec(package) for package in PACKAGES[name]):
            raise TrainingError(f"train.report_to has {name}: pip install {PACKAGES[name][0]}, or leave it out.")


def surroundings(work: Path) -> dict[str, str]:
    """Environment variables that trackers read: the project's name, and where TensorBoard's files go."""
    return {
        "TENSORBOARD_LOGGING_DIR": str(work / CURVES),
        "MLFLOW_EXPERIMENT_NAME": PROJECT,
        "WANDB_PROJECT": PROJECT,
    }
