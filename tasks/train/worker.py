"""One training in a process of its own: `python -m tasks.train.worker JOB.json`.

The process ends with the one that started it, gives back all memory, and its steps can be read from its output. It
knows nothing of Prefect or of the lake: a job file, rows and a model folder go in, a model folder comes out.
"""

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path

from configs.mistake import Mistake
from tasks.train.job import Job

PR_SET_PDEATHSIG = 1


def main(job_file: str) -> int:
    """Do the job; the exit status is 0, or 1 after a mistake that the last line on stderr explains."""
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("tasks.train").setLevel(logging.INFO)
    job = Job.model_validate_json(Path(job_file).read_text())
    end_with(job.starter)
    from tasks.train.training import train  # seconds of imports: only when it is sure that somebody waits

    try:
        train(job)
    except Mistake as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def end_with(starter: int) -> None:
    """Have the kernel kill this process when the one that started it dies; it may have died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != starter:
        raise SystemExit("The process that started this training is gone.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
