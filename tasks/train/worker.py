"""One training in a process of its own: `python -m tasks.train.worker JOB.json`.

The process ends with the one that started it, gives back all memory, and its steps can be read from its output. It
knows nothing of Prefect or of the lake: a job file, rows and a model folder go in, a model folder comes out.

Where a training is several processes, this one starts them (see devices.py). On other machines that see the same
folders, `python -m tasks.train.worker --join JOB.json` adds their devices.
"""

import argparse
import atexit
import ctypes
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from configs.mistake import Mistake
from tasks.train.devices import AGENT, is_first, processes, run_agent
from tasks.train.job import MISTAKE, Job

PR_SET_PDEATHSIG = 1


def main(words: list[str]) -> int:
    """Do the job; the exit status is 0, or 1 after a mistake that a file in the work folder explains."""
    parser = argparse.ArgumentParser(prog="python -m tasks.train.worker")
    parser.add_argument("job")
    parser.add_argument("--join", action="store_true", help="on another machine than the training was started on")
    options = parser.parse_args(words)
    job = Job.model_validate_json(Path(options.job).read_text())
    agent = os.environ.get(AGENT)
    end_with(int(agent) if agent else os.getppid() if options.join else job.starter)
    if not agent and processes(job.launch) > 1:
        return run_agent(job.launch, options.job, join=options.join)
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    logging.getLogger("tasks.train").setLevel(logging.INFO if is_first() else logging.ERROR)
    from tasks.train.training import train  # seconds of imports: only when it is sure that somebody waits

    status = 0
    try:
        train(job)
    except Mistake as error:
        (Path(job.work) / MISTAKE).write_text(str(error))
        status = 1
    if agent:
        leave(status)
    return status


def leave(status: int) -> NoReturn:
    """End at once, after what others asked to be called at the end (trackers send their last figures then).

    PyTorch 2.13 sometimes waits for ever where a process group is torn down: with the interpreter's lock held, gloo's
    destructor joins a thread that waits for this lock.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(status)


def end_with(starter: int) -> None:
    """Have the kernel kill this process when the one that started it dies; it may have died already.

    Every process of a training asks for it: those that an agent starts have sessions of their own, which killing the
    agent's group does not reach.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != starter:
        raise SystemExit("The process that started this training is gone.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
