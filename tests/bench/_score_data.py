"""The real texts that the benchmark of scoring reads, from the data sets beside the checkout."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


class MissingDataError(Exception):
    """A data set of the benchmark is not there."""


def read(name: str) -> list[Any]:
    """The records of a gzipped file: a JSON list, JSON lines, or plain lines.

    Raises:
        MissingDataError: it is not in shared/data beside the checkout.
    """
    file = DATA / name
    if not file.exists():
        raise MissingDataError(f"This benchmark reads {file}, which is not there.")
    with gzip.open(file, "rt") as lines:
        if ".jsonl" in name:
            return [json.loads(line) for line in lines]
        return list(json.load(lines)) if ".json" in name else list(lines)


def prompts(count: int, seed: int = 1) -> list[str]:
    """Real prompts of very different lengths."""
    return random.Random(seed).sample([row["prompt"] for row in read("prompts_t0.jsonl.gz")], count)


def problems(seed: int = 1) -> list[str]:
    """Word problems with their solutions."""
    found = [f"{row['question']}\n{row['answer']}" for row in read("gsm8k_train.jsonl.gz")]
    random.Random(seed).shuffle(found)
    return found


def pairs(count: int) -> list[dict[str, Any]]:
    """Rows of the table preferences, as far as a reward head reads them."""
    return [
        {
            "kind": "pair",
            "target_id": str(at),
            "prompt": [{"role": ROLES[turn["from"]], "content": turn["value"]} for turn in row["conversations"]],
            "chosen": row["chosen"]["value"],
            "rejected": row["rejected"]["value"],
            "label": None,
        }
        for at, row in enumerate(read("dpo_en_demo.json.gz")[:count])
    ]


def chinese(count: int) -> list[str]:
    """Real questions in Chinese."""
    return [row["instruction"] + row["input"] for row in read("alpaca_zh_demo.json.gz")][:count]
