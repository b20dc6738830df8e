"""Jobs for a training worker, with their rows in place."""

import os
from pathlib import Path
from typing import Any

import polars as pl

from configs.settings import StageSettings
from tasks.lm.load import load_tokenizer
from tasks.lm.template import template_hash
from tasks.train.job import Job

Rows = list[dict[str, Any]]


def make_job(
    folder: Path, model: Path, stage: str, rows: Rows, settings: StageSettings, seed: int = 1, **changes: Any
) -> Job:
    """A job whose work folder is `folder`, started by this process."""
    folder.mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(folder / "rows.parquet")
    return Job(
        name=folder.name,
        stage=stage,
        model=str(model),
        template_hash=template_hash(load_tokenizer(model)),
        data=str(folder / "rows.parquet"),
        work=str(folder),
        settings=settings,
        seed=seed,
        **{"starter": os.getpid()} | changes,
    )


def sums(count: int) -> Rows:
    """Rows for CPT, SFT and DPO, of several lengths."""

    def said(role: str, text: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text}]

    return [
        {
            "id": f"{number:03}",
            "text": f"Page {number}: our printer has {'very ' * (number % 7)}many trays.",
            "prompt": said("user", f"How many apples are {number} apples and one?"),
            "completion": said("assistant", f"{number + 1} {'red ' * (number % 5)}apples."),
            "chosen": said("assistant", f"{number + 1} apples."),
            "rejected": said("assistant", "I do not know."),
        }
        for number in range(count)
    ]
