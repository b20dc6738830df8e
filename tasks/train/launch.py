"""Starting a training worker, listening to it, and never leaving it behind."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from storage.trained import RESULT
from tasks.train.devices import check_devices, visible
from tasks.train.job import METRICS, MISTAKE, Job, TrainingError, is_whole
from tasks.train.trackers import check_trackers, surroundings

log = logging.getLogger(__name__)
QUIET = {
    "HF_HUB_OFFLINE": "1",  # the model is here already, as a folder
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
}
ERROR_LINES = 15
Figures = Mapping[str, Any]
"""What is known after a step: step, steps, loss, learning_rate, tokens_per_second, seconds_left and more."""


def run(job: Job, folder: Path, told: Callable[[Figures], None] | None = None) -> Figures:
    """Train in a process of its own, and move the model to `folder` when all of it is there.

    A job whose work folder holds a whole checkpoint goes on from it. The work folder is removed when the model is in
    its place; the rows are removed in any case by whoever wrote them.

    Args:
        job: what to train.
        folder: where the model goes; it appears whole or not at all.
        told: gets the figures of each reported step, soon after it.

    Returns:
        What was measured.

    Raises:
        TrainingError: the training failed, or did not do all its steps.
    """
    check_devices(job.launch)
    check_trackers(job.report_to)
    work = Path(job.work)
    file = work / "job.json"
    file.write_text(job.model_dump_json(indent=1))
    (work / MISTAKE).unlink(missing_ok=True)
    status = _watch(job, [sys.executable, "-m", "tasks.train.worker", str(file)], told)
    if status != 0:
        raise TrainingError(_what_went_wrong(job, status))
    measured = measured_in(job.output)
    if measured["steps"] != measured["planned_steps"]:
        raise TrainingError(
            f"Training {job.name} ended after {measured['steps']} of {measured['planned_steps']} steps: run it again."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    job.output.rename(folder)
    shutil.rmtree(work)
    return measured


def measured_in(folder: Path) -> dict[str, Any]:
    """What the training of the model in `folder` measured.

    Raises:
        TrainingError: the folder is not whole.
    """
    if not is_whole(folder):
        raise TrainingError(f"{folder} is not a whole model: the training ended without its result; run it again.")
    measured: dict[str, Any] = json.loads((folder / RESULT).read_text())
    return measured


def _what_went_wrong(job: Job, status: int) -> str:
    work = Path(job.work)
    if (mistake := work / MISTAKE).exists():
        return f"Training {job.name} failed: {mistake.read_text()}"
    lines = (work / "errors.log").read_text(errors="replace").strip().splitlines()[-ERROR_LINES:]
    return "\n".join([f"Training {job.name} failed (exit status {status}):", *lines])


def _watch(job: Job, command: list[str], told: Callable[[Figures], None] | None) -> int:
    """Run the worker in a session of its own and pass its lines on; whatever happens, none of it is left running.

    What an agent starts has other sessions; it dies with the agent (see `worker.end_with`).
    """
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    told_before = surroundings(Path(job.work)) | dict(os.environ)  # what a person has set counts
    environment = told_before | QUIET | visible(job.launch) | {"PYTHONPATH": os.pathsep.join(paths)}
    with (Path(job.work) / "errors.log").open("w") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env=environment,
        )
        figures = _Figures(Path(job.work) / METRICS)
        try:
            for line in process.stdout or ():
                log.info("%s: %s", job.name, line.rstrip())
                if told is not None:
                    for step in figures.new():
                        told(step)
            return process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class _Figures:
    """The lines that a worker appends to a file, each once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._step = -1

    def new(self) -> Iterator[Figures]:
        lines = self._file.read_text().splitlines(keepends=True) if self._file.exists() else []
        for line in lines:
            if line.endswith("\n") and (figures := json.loads(line))["step"] > self._step:
                self._step = figures["step"]
                yield figures
