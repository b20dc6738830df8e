"""One training on several devices: an agent starts a process for each, and they train together."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import configs
from configs.settings import LaunchSettings
from tasks.train.job import TrainingError

AGENT = "FLYWHEEL_TRAINING_AGENT"
"""Environment variable with the id of the agent, in the processes that it starts."""
CONFIGS = Path(configs.__file__).parent / "accelerate"


def world() -> int:
    """Processes that train together, as their agent told them; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the process that writes."""
    return os.environ.get("RANK", "0") == "0"


def processes(settings: LaunchSettings) -> int:
    """How many processes a training is, on all machines."""
    import torch

    return settings.num_processes or max(torch.cuda.device_count(), 1)


def visible(settings: LaunchSettings) -> dict[str, str]:
    """Environment variables of a training: a process by itself sees one GPU. The trainer would copy the model to each
    that it sees (DataParallel), and read batches that many times as large."""
    if processes(settings) > 1:
        return {}
    return {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]}


def take_device() -> None:
    """Work on the GPU that the agent meant for this process: until the trainer looks after it, all would be on the
    first one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def check_devices(settings: LaunchSettings) -> None:
    """See that this machine can do what the settings ask for.

    Raises:
        TrainingError: it cannot; says what is missing.
    """
    import torch

    if settings.strategy != "ddp" and not torch.cuda.is_available():
        raise TrainingError(f"train.launch.strategy {settings.strategy} needs GPUs, and here are none: take ddp.")
    if settings.strategy.startswith("zero") and find_spec("deepspeed") is None:
        raise TrainingError(
            f"train.launch.strategy {settings.strategy} needs DeepSpeed: pip install deepspeed, or take fsdp2."
        )
    here, found = settings.num_processes // settings.num_machines, torch.cuda.device_count()
    if found and here > found:
        raise TrainingError(f"train.launch.num_processes asks for {here} GPUs on this machine, which has {found}.")


def run_agent(settings: LaunchSettings, job_file: str, *, join: bool = False) -> int:
    """Start a worker for each device of this machine, and wait for them.

    Several machines meet at `main_process_ip` (a c10d rendezvous of torchrun, which gives out the ranks).

    Args:
        settings: how many, and how they share the work.
        job_file: of the training.
        join: whether another machine has started the training.

    Returns:
        The exit status: 0, or 1 when one of them failed; the others are ended then.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ[AGENT] = str(os.getpid())
    parser = launch_command_parser()
    try:
        launch_command(parser.parse_args(arguments(settings, job_file, join=join)))
    except ChildFailedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def arguments(settings: LaunchSettings, job_file: str, *, join: bool = False) -> list[str]:
    """What `accelerate launch` is told."""
    several = settings.num_machines > 1
    options = {
        "config_file": CONFIGS / f"{settings.strategy}.yaml",
        "num_processes": processes(settings),
        "num_machines": settings.num_machines,
        "machine_rank": int(join),  # says who has the port; the rendezvous gives out other ranks
        "main_process_ip": settings.main_process_ip,
        "main_process_port": settings.main_process_port if several else 0,  # 0: a free one
        "rdzv_backend": "c10d" if several else "static",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [*words, "--module", "tasks.train.worker", job_file]
