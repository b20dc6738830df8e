"""The trainer of the chaos benchmark: `python -m tests.bench._chaos_trainer JOB.json` trains for a moment, and learns
nothing."""

import shutil
import sys
import time
from pathlib import Path

from tasks.train.job import Job
from tasks.train.worker import end_with
from tests.bench._copied import copy_parent

SECONDS = 2.0
"""Long enough to be hit."""


def main(file: str) -> None:
    """Do the job."""
    job = Job.model_validate_json(Path(file).read_text())
    end_with(job.starter)
    time.sleep(SECONDS)
    shutil.rmtree(job.output, ignore_errors=True)  # of a trainer that was killed
    copy_parent(job, job.output)


if __name__ == "__main__":
    main(sys.argv[1])
