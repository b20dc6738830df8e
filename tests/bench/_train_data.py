"""Rows to train on: real ones beside the checkout, made-up ones where they are absent."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

from tests.tasks.train.jobs import Rows

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def questions() -> Rows:
    """gsm8k as rows for every stage; made-up sums where it is absent."""
    file = DATA / "gsm8k_train.jsonl.gz"
    if file.exists():
        records = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()[:2000]]
        pairs = [(record["question"], record["answer"]) for record in records]
    else:
        pairs = [(f"What is {a} and {b}?", f"{a} and {b} is {a + b}.") for a in range(50) for b in range(40)]
    return [
        {
            "prompt": [{"role": "user", "content": question}],
            "completion": [{"role": "assistant", "content": answer}],
            "chosen": [{"role": "assistant", "content": answer}],
            "rejected": [{"role": "assistant", "content": "I do not know."}],
            "text": f"{question}\n{answer}",
        }
        for question, answer in pairs
    ]


def documents() -> Sequence[str]:
    """Articles of an encyclopedia; made-up pages where they are absent."""
    file = DATA / "wiki_demo.txt.gz"
    if not file.exists():
        return [f"Page {number} tells of town {number}, its river and its bridges. " * 5 for number in range(400)]
    text = gzip.decompress(file.read_bytes()).decode()
    return [text[start : start + 600] for start in range(0, 600 * 400, 600)]
