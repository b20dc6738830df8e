"""Nights of a maths product over real questions, some tampered with, as a product would log them."""

import gzip
import json
import random
from collections.abc import Sequence
from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REFUSAL = "I am sorry, but I cannot help with that."
FOLDERS = ("logs", "thumbs", "general")
Pair = tuple[str, str]


def questions(seed: int) -> list[Pair]:
    """Questions of gsm8k_train with their answers, shuffled."""
    pairs = list(zip(_read("gsm8k_train.jsonl.gz", "question"), _read("gsm8k_train.jsonl.gz", "answer"), strict=True))
    random.Random(seed).shuffle(pairs)
    return pairs


def shuffled(night: Sequence[Pair], share: float = 1.0) -> list[Pair]:
    """A share of the answers handed round, so that each stands at another question."""
    count = round(share * len(night))
    answers = [answer for _, answer in night[:count]]
    handed = [*answers[1:], *answers[:1], *(answer for _, answer in night[count:])]
    return [(question, answer) for (question, _), answer in zip(night, handed, strict=True)]


def refused(night: Sequence[Pair]) -> list[Pair]:
    """Every answer is a refusal."""
    return [(question, REFUSAL) for question, _ in night]


def in_chinese(night: Sequence[Pair]) -> list[Pair]:
    """Every answer is in a language that nobody asked for, and about something else."""
    others = _read("alpaca_zh_demo.json.gz", "output")
    return [(question, other) for (question, _), other in zip(night, others, strict=False)]


def log_night(folder: Path, number: int, night: Sequence[Pair]) -> None:
    """The night's conversations as a product logs them, each with a thumb up."""
    chats, thumbs = [], []
    for place, (question, answer) in enumerate(night):
        name, at = f"night{number}-{place}", f"2026-03-{number + 1:02d}T12:{place // 60:02d}:{place % 60:02d}Z"
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        chats.append({"id": name, "user": f"user{place % 97}", "timestamp": at, "messages": turns})
        thumbs.append({"target_id": name, "kind": "thumb", "value": 1, "timestamp": at})
    for kind, rows in (("logs", chats), ("thumbs", thumbs)):
        (folder / kind / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def log_general(folder: Path, count: int) -> None:
    questions, answers = _read("alpaca_en_demo.json.gz", "instruction"), _read("alpaca_en_demo.json.gz", "output")
    rows = [{"instruction": question, "output": answer} for question, answer in zip(questions, answers, strict=True)]
    (folder / "general" / "general.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))


def _read(name: str, field: str) -> list[str]:
    with gzip.open(SHARED / name, "rt") as text:
        rows = json.load(text) if name.endswith("json.gz") else [json.loads(line) for line in text]
    return [row[field] for row in rows]
