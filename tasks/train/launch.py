"""Starting a training worker, listening to it, and never leaving it behind."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.train.job import RESULT, Job, TrainingError, is_whole

log = logging.getLogger(__name__)
QUIET = {
    "HF_HUB_OFFLINE": "1",  # the model is here already, as a folder
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
}
ERROR_LINES = 15


def run(job: Job, folder: Path) -> Mapping[str, Any]:
    """Train in a process of its own, and move the model to `folder` when all of it is there.

    A job whose work folder holds a whole checkpoint goes on from it. The work folder is removed when the model is in
    its place; the rows are removed in any case by whoever wrote them.

    Args:
        job: what to train.
        folder: where the model goes; it appears whole or not at all.

    Returns:
        What was measured.

    Raises:
        TrainingError: the training failed, or did not do all its steps.
    """
    work = Path(job.work)
    file = work / "job.json"
    file.write_text(job.model_dump_json(indent=1))
    errors = work / "errors.log"
    status = _watch(job.name, [sys.executable, "-m", "tasks.train.worker", str(file)], errors)
    if status != 0:
        lines = errors.read_text(errors="replace").strip().splitlines()[-ERROR_LINES:]
        said = lines[-1:] if status == 1 and "Traceback" not in "".join(lines) else lines
        raise TrainingError("\n".join([f"Training {job.name} failed (exit status {status}):", *said]))
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


def _watch(name: str, command: list[str], errors: Path) -> int:
    """Run the worker in a session of its own and pass its lines on; whatever happens, none of it is left running."""
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | QUIET | {"PYTHONPATH": os.pathsep.join(paths)}
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env=environment,
        )
        try:
            for line in process.stdout or ():
                log.info("%s: %s", name, line.rstrip())
            return process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
