"""A training on two processes (gloo) learns what one learns from batches twice as large; none outlives its parent."""

import json
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from transformers import AutoModelForCausalLM

from configs.settings import LaunchSettings, StageSettings
from flows.laptop import free_port
from tasks.train import training
from tasks.train.devices import arguments, check_devices, take_device, visible
from tasks.train.job import CURVES, METRICS, Job, TrainingError
from tasks.train.launch import measured_in, run
from tasks.train.trackers import PACKAGES, check_trackers
from tests.tasks.train.jobs import make_job, sums
from tests.tiny_model import make_tiny_model

SETTINGS = StageSettings(learning_rate=5e-3, max_length=128, warmup_steps=0, lora_r=4)
TWO = LaunchSettings(num_processes=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def job_on(folder: Path, model: Path, launch: LaunchSettings, batch: int, rows: int = 32, **changes: object) -> Job:
    settings = SETTINGS.model_copy(update={"per_device_train_batch_size": batch, **changes})
    return make_job(folder, model, "sft", sums(rows), settings, launch=launch)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    return state


def learned_alone(folder: Path, model: Path, **changes: object) -> Path:
    """The folder of the model that one process trains on batches of four."""
    job = job_on(folder, model, LaunchSettings(), 4, **changes)
    training.train(job)
    return job.output


def assert_learned_the_same(one: Path, two: Path) -> None:
    alone, together = measured_in(one), measured_in(two)
    assert (alone["processes"], together["processes"]) == (1, 2)
    for key in ("steps", "rows", "tokens", "trained_tokens", "left_out"):
        assert alone[key] == together[key], key
    assert [loss for _, loss in together["losses"]] == pytest.approx([loss for _, loss in alone["losses"]], rel=2e-3)
    same, other = weights(one), weights(two)
    assert all(torch.allclose(same[name], other[name], atol=2e-3) for name in same)
    steps = [json.loads(line)["step"] for line in (two / METRICS).read_text().splitlines()]
    assert steps == list(range(1, 9))  # one process writes


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_twice_the_batch(tmp_path: Path, model: Path) -> None:
    one, two = learned_alone(tmp_path / "one", model), tmp_path / "models" / "two"
    told: list[int] = []
    job = job_on(tmp_path / "two", model, TWO, 2).model_copy(update={"report_to": ("tensorboard",)})
    run(job, two, lambda figures: told.append(figures["step"]))
    assert_learned_the_same(one, two)
    assert told == list(range(1, 9))
    assert len(list((two / CURVES).rglob("events.*"))) == 1


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"nobody listens on port {port}")


@pytest.mark.slow
def test_two_machines_meet(tmp_path: Path, model: Path) -> None:
    one = learned_alone(tmp_path / "one", model, finetuning_type="full")
    launch = LaunchSettings(num_processes=2, num_machines=2, main_process_port=free_port())
    job = job_on(tmp_path / "two", model, launch, 2, finetuning_type="full")
    (tmp_path / "job.json").write_text(job.model_dump_json())
    command = [sys.executable, "-m", "tasks.train.worker", str(tmp_path / "job.json")]
    first = subprocess.Popen(command)
    wait_for_port(launch.main_process_port, first)  # on one machine whoever comes first takes it
    machines = [first, subprocess.Popen([*command, "--join"])]
    assert [machine.wait(300) for machine in machines] == [0, 0]
    assert_learned_the_same(one, job.output)


@pytest.mark.slow
def test_no_process_of_a_training_outlives_the_one_that_started_it(tmp_path: Path, model: Path) -> None:
    job = job_on(tmp_path / "orphans", model, TWO, 2, rows=400, num_train_epochs=50)
    (tmp_path / "job.json").write_text(job.model_dump_json(exclude={"starter"}))
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path / "job.json"), str(tmp_path / "model")])
    metrics = Path(job.work) / METRICS
    deadline = time.monotonic() + 300
    while not metrics.exists() and time.monotonic() < deadline and starter.poll() is None:
        time.sleep(0.2)
    family = psutil.Process(starter.pid).children(recursive=True)
    workers = [child for child in family if "tasks.train.worker" in " ".join(child.cmdline())]
    assert len(workers) == 3  # the agent and two ranks
    starter.kill()
    starter.wait(60)
    _, alive = psutil.wait_procs(family, timeout=30)
    for process in alive:
        process.kill()
    assert not alive


STARTER = """
import json, os, sys
from pathlib import Path
from tasks.train.job import Job
from tasks.train.launch import run
run(Job(**json.loads(Path(sys.argv[1]).read_text()), starter=os.getpid()), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2", "zero2", "zero3"])
def test_accelerate_understands_the_config_of_each_strategy(strategy: str) -> None:
    settings = LaunchSettings(strategy=strategy, num_processes=4, num_machines=2, main_process_ip="10.0.0.1")  # type: ignore[arg-type]
    parser = launch_command_parser()
    args, _, _ = _validate_launch_command(parser.parse_args(arguments(settings, "job.json")))
    chosen = (args.multi_gpu, args.use_fsdp, args.use_deepspeed)
    assert chosen == (strategy == "ddp", strategy == "fsdp2", strategy.startswith("zero"))
    assert (args.num_processes, args.num_machines, args.rdzv_backend) == (4, 2, "c10d")
    assert (args.main_process_ip, args.main_process_port) == ("10.0.0.1", 29500)
    assert (args.training_script, args.training_script_args, args.module) == ("tasks.train.worker", ["job.json"], True)
    if strategy == "fsdp2":
        assert str(args.fsdp_version) == "2"
    if strategy.startswith("zero"):
        assert str(args.zero_stage) == strategy[-1]


@pytest.mark.parametrize(("seen", "left"), [(None, "0"), ("2,3", "2"), ("", "")])
def test_a_process_by_itself_sees_one_gpu(monkeypatch: pytest.MonkeyPatch, seen: str | None, left: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert visible(LaunchSettings(num_processes=1)) == {"CUDA_VISIBLE_DEVICES": left}
    assert visible(TWO) == {}


def test_each_process_works_on_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    take_device()
    monkeypatch.setenv("LOCAL_RANK", "3")
    take_device()
    assert taken == [0, 3]


def test_a_process_that_failed_leaves_with_its_status() -> None:
    code = "import atexit; from tasks.train.worker import leave; atexit.register(print, 'told'); leave(1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "told\n")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what is missing without a GPU")
def test_parts_of_a_model_need_gpus() -> None:
    with pytest.raises(TrainingError, match="fsdp2 needs GPUs, and here are none: take ddp"):
        check_devices(LaunchSettings(strategy="fsdp2"))


@pytest.mark.parametrize("tracker", sorted(PACKAGES))
def test_a_tracker_that_is_not_installed_is_named_with_its_package(tracker: str) -> None:
    if any(find_spec(package) for package in PACKAGES[tracker]):
        check_trackers([tracker])
    else:
        with pytest.raises(TrainingError, match=f"report_to has {tracker}: pip install {tracker}, or leave it out"):
            check_trackers([tracker])
