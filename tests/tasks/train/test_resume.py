"""kill -9 at random moments: what is trained in the end is what would have been trained undisturbed."""

import json
import os
import random
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from configs.settings import StageSettings
from tasks.train import training
from tasks.train.checkpoint import newest_whole
from tasks.train.job import METRICS, Job, is_whole
from tasks.train.launch import measured_in
from tests.tasks.train.jobs import make_job, sums
from tests.tiny_model import make_tiny_model

KILLS = 10


def worker(job: Job) -> None:
    """What `python -m tasks.train.worker` does; a server that has everything imported forks it."""
    torch.set_num_threads(1)
    training.train(job)


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_ends_with_the_same_losses_and_weights(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "tiny")
    settings = StageSettings(max_length=128, learning_rate=5e-3, max_steps=40, lora_dropout=0.1)
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__, "tasks.train.training"])

    def make(name: str) -> Job:
        return make_job(tmp_path / name, model, "sft", sums(64), settings)

    def attempt(job: Job, seconds: float | None) -> bool:
        """Work at the job for some seconds; whether it was killed before its end."""
        process = context.Process(target=worker, args=(job,))
        process.start()
        process.join(seconds)
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        assert process.exitcode in {0, -signal.SIGKILL}
        return process.exitcode != 0

    undisturbed = make("undisturbed")
    assert not attempt(undisturbed, None)
    whole = measured_in(undisturbed.output)
    moments, kills, finished, resumed = random.Random(17), 0, 0, 0
    while kills < KILLS or not finished:
        job, again = make(f"killed{finished}"), True
        while again:
            wait = moments.uniform(0, whole["seconds"]) + 1 if kills < KILLS else None
            again = attempt(job, wait)
            assert is_whole(job.output) != again
            kills += again
            resumed += again and newest_whole(Path(job.work)) is not None
        assert_same(undisturbed, job)
        shutil.rmtree(job.work)
        finished += 1
    assert resumed >= KILLS // 4  # not only before the first checkpoint


def assert_same(one: Job, two: Job) -> None:
    assert measured_in(one.output)["losses"] == measured_in(two.output)["losses"]
    first, second = (AutoModelForCausalLM.from_pretrained(job.output).state_dict() for job in (one, two))
    assert all(torch.equal(first[name], second[name]) for name in first)
    lines = [(job.output / METRICS).read_text().splitlines() for job in (one, two)]
    steps = [[(line["step"], line["loss"]) for line in map(json.loads, found)] for found in lines]
    assert steps[0] == steps[1]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path, processes: int) -> None:
    assert newest_whole(tmp_path, processes) is None
    random_states = ["rng_state.pth"] if processes == 1 else ["rng_state_0.pth", "rng_state_1.pth"]
    lacking = ["", "optimizer.pt", "trainer_state.json", "model.safetensors", "scheduler.pt", *random_states]
    for step, left_out in enumerate(lacking, start=8):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in {"optimizer.pt", "model.safetensors"} - {left_out}:
            (folder / name).touch()
        for name in ("scheduler.pt", *random_states):
            torch.save({}, folder / name)
            if name == left_out:
                os.truncate(folder / name, 100)
        state = "{" if left_out == "trainer_state.json" else json.dumps({"global_step": step})
        (folder / "trainer_state.json").write_text(state)
    assert newest_whole(tmp_path, processes) == tmp_path / "checkpoint-8"
