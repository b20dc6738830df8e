"""How fast the worker trains: against TRL used directly, and with several rows in one against one row each."""

import json
import os
import subprocess
import sys
from pathlib import Path

from configs.settings import StageSettings
from tasks.train.job import Job
from tasks.train.launch import QUIET
from tasks.train.launch import run as run_worker
from tests.bench._table import show
from tests.bench._train_data import questions
from tests.tasks.train.jobs import make_job

LENGTH = 512
"""Tokens of a pack; no question with its answer is longer."""


def against_trl(folder: Path, model: Path, *, steps: int) -> dict[str, float]:
    """The same rows, model and settings; runs take turns, and the better of two counts: other work slows both."""
    by_length = sorted(questions(), key=lambda row: len(row["text"]))
    middle = len(by_length) // 2
    rows = by_length[middle - steps : middle + steps]  # of one length, so that it is all the same which of them meet
    settings = StageSettings(
        max_steps=steps, per_device_train_batch_size=2, max_length=512, lora_r=8, learning_rate=2e-4
    )
    ours, theirs = [], []
    for turn in range(2):
        job = make_job(folder / f"ours{turn}", model, "sft", rows, settings)
        ours.append(dict(run_worker(job, folder / "models" / f"ours{turn}")))
        job = make_job(folder / f"trl{turn}", model, "sft", rows, settings)
        theirs.append(_trl(job))
    speeds = [max(found["tokens"] / found["seconds"] for found in runs) for runs in (ours, theirs)]
    memory = [min(found["peak_gb"] for found in runs) for runs in (ours, theirs)]
    names = ("python -m tasks.train.worker", "TRL")
    cells = [(name, f"{speed:,.0f}", f"{peak:.2f}") for name, speed, peak in zip(names, speeds, memory, strict=True)]
    show(f"SFT with LoRA, {steps} steps", ("", "tokens/s", "peak GB"), cells)
    return {"vs_trl_tokens": round(speeds[0] / speeds[1], 3), "vs_trl_memory": round(memory[0] / memory[1], 3)}


def packed(folder: Path, model: Path, *, rows: int) -> dict[str, float]:
    """The same rows once, one each and several in one of LENGTH tokens, with as many tokens a step."""
    found = {}
    for name, batch in (("one row each", 6), ("packed", 2)):
        settings = StageSettings(
            packing=name == "packed", per_device_train_batch_size=batch, max_length=LENGTH, lora_r=8, learning_rate=2e-4
        )
        job = make_job(folder / name.replace(" ", "-"), model, "sft", questions()[:rows], settings)
        found[name] = run_worker(job, folder / "models" / name)
    plain, both = found.values()
    show(
        f"SFT with LoRA, {rows} rows once",
        ("", "rows or packs", "tokens", "steps", "s", "peak GB"),
        [
            (name, run["packs"] or run["rows"], f"{run['tokens']:,}", run["steps"], run["seconds"], run["peak_gb"])
            for name, run in found.items()
        ],
    )
    return {"packing_speedup": round(plain["seconds"] / both["seconds"], 3)}


def _trl(job: Job) -> dict[str, float]:
    file = Path(job.work) / "job.json"
    file.write_text(job.model_dump_json())
    subprocess.run(
        [sys.executable, "-m", "tests.bench._trl", str(file)],
        check=True,
        env=os.environ | QUIET,
        capture_output=True,
    )
    result: dict[str, float] = json.loads((Path(job.work) / "result.json").read_text())
    return result
