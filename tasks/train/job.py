"""What a training worker is told, and what it tells back."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from configs.mistake import Mistake
from configs.settings import LaunchSettings, StageSettings

RESULT = "training.json"
"""File in a model's folder with what training measured; it is written last, so a folder that has it is whole."""

METRICS = "metrics.jsonl"
"""File in the work folder, and later in the model's, with a line of figures for each step that was reported."""
CURVES = "tensorboard"
"""Folder in the work folder, and later in the model's, with what TensorBoard shows."""
MISTAKE = "mistake.txt"
"""File in the work folder in which a worker says why it cannot train."""

SAMPLES = "samples"
"""Key of it with a few of the rows as the model read them: users' text, so that it is nowhere else, neither in the
registry nor on the log."""


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
    settings: StageSettings
    seed: int
    launch: LaunchSettings = LaunchSettings()
    report_to: tuple[str, ...] = ()
    starter: int

    @property
    def output(self) -> Path:
        """Where the finished model is put together."""
        return Path(self.work) / "model"


def is_whole(folder: Path) -> bool:
    """Whether a model's folder has all that was saved into it."""
    return all((folder / name).exists() for name in (RESULT, "config.json", "tokenizer_config.json")) and any(
        folder.glob("*.safetensors")
    )


def without_samples(result: bytes) -> bytes:
    """What training measured, without the rows that it shows."""
    told = json.loads(result)
    told.pop(SAMPLES, None)
    return json.dumps(told, indent=1).encode()
