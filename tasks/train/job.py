"""What a training worker is told, and what it tells back."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializeAsAny, ValidationInfo, field_validator

from configs.mistake import Mistake
from configs.settings import LaunchSettings, StageSettings
from configs.training import settings_class
from storage.trained import OUTPUT, RESULT

METRICS = "metrics.jsonl"
"""File in the work folder, and later in the model's, with a line of figures for each step that was reported."""
CURVES = "tensorboard"
"""Folder in the work folder, and later in the model's, with what TensorBoard shows."""
MISTAKE = "mistake.txt"
"""File in the work folder in which a worker says why it cannot train."""


class TrainingError(Mistake):
    """A training that cannot be done, or failed; the message says why and what to do."""


class Job(BaseModel):
    """One training.

    Args:
        name: of the model that comes out.
        stage: name of the stage.
        model: folder of the model that is trained on.
        template_hash: of the chat template that the data was mixed for.
        data: Parquet file with the rows of the mixture.
        work: folder for checkpoints and the result.
        settings: of the stage.
        seed: of initial adapter weights, the order of rows and dropout.
        launch: on how many devices.
        report_to: where the curves are shown, besides here.
        starter: id of the process that waits for the worker: when it dies, so does the worker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    stage: str
    model: str
    template_hash: str
    data: str
    work: str
    settings: SerializeAsAny[StageSettings]
    seed: int
    launch: LaunchSettings = LaunchSettings()
    report_to: tuple[str, ...] = ()
    starter: int

    @field_validator("settings", mode="before")
    @classmethod
    def _of_its_stage(cls, given: Any, info: ValidationInfo) -> Any:
        """Read from a file, the settings are those of the stage."""
        return settings_class(info.data["stage"]).model_validate(given) if isinstance(given, dict) else given

    @property
    def output(self) -> Path:
        """Where the finished model is put together."""
        return Path(self.work) / OUTPUT


def is_whole(folder: Path) -> bool:
    """Whether a model's folder has all that was saved into it."""
    return all((folder / name).exists() for name in (RESULT, "config.json", "tokenizer_config.json")) and any(
        folder.glob("*.safetensors")
    )
