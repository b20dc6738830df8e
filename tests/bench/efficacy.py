"""Does the wheel make the model better, and does it refuse to make it worse? Nights of a maths product, some poisoned.

Users ask the questions of gsm8k_train and like the answers. Three good nights come first; then nights whose answers
somebody tampered with, liked all the same; then a night without news. General text is replayed throughout.
"""

import gzip
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import parse
from configs.settings import Settings
from storage.evidence import Comparison, Evidence
from storage.lake import Lake
from tests.bench._table import show
from tests.tiny_model import make_tiny_model

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REFUSAL = "I am sorry, but I cannot help with that."
MAX_FORGETTING = 0.05  # nats per token, against the first model
Pair = tuple[str, str]


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Args:
        rows: conversations of a night.
        general: general conversations, all on the first night.
        train: settings of the SFT stage.
        select: the rules of mixing.
    """

    rows: int
    general: int
    train: Mapping[str, Any]
    select: Mapping[str, Any]


HELPS = {"thresholds": [{"score": "ifd", "most": 1.0}]}  # the question must help to tell the answer
FULL = Size(240, 160, {"max_steps": 40, "max_length": 256, "learning_rate": 3e-4}, HELPS)
QUICK = Size(96, 80, {"max_steps": 8, "max_length": 768, "learning_rate": 3e-3}, {})  # no help to a model of noise


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


NIGHTS: Sequence[tuple[str, Callable[[Sequence[Pair]], list[Pair]] | None]] = (
    ("good", list),
    ("good", list),
    ("good", list),
    ("answers shuffled", shuffled),
    ("10% shuffled", lambda night: shuffled(night, 0.1)),
    ("all refusals", refused),
    ("wrong language", in_chinese),
    ("no news", None),
)


def run(*, quick: bool) -> dict[str, Any]:
    """Turn the wheel night by night; with SmolLM2 about an hour on two cores, `quick` takes a tiny model.

    Returns:
        nights: of each its kind, primary_delta and primary_lower_bound (nats per token by which the loss on endorsed
        held-out answers fell, against the champion), general_delta (by which general loss rose over the first model),
        verdict and whether the champion moved; ok: good nights were promoted, no other moved it, nothing was forgotten.
    """
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as made:
        folder = Path(made)
        os.environ.setdefault("PREFECT_HOME", f"{folder}/prefect")
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
        settings = _settings(folder, str(make_tiny_model(folder / "tiny")) if quick else "smollm2", size)
        _general(folder, size.general)
        pairs = list(
            zip(_read("gsm8k_train.jsonl.gz", "question"), _read("gsm8k_train.jsonl.gz", "answer"), strict=True)
        )
        random.Random(settings.seed).shuffle(pairs)
        nights = []
        for number, (kind, tamper) in enumerate(NIGHTS):
            if tamper is not None:
                _log(folder, number, tamper(pairs[number * size.rows : (number + 1) * size.rows]))
            nights.append(_turn(settings, kind))
    _show(nights)
    good = [night for night in nights if night["kind"] == "good"]
    others = [night for night in nights if night["kind"] != "good"]
    ok = (
        all(night["moved"] and night["primary_lower_bound"] > 0 for night in good)
        and not any(night["moved"] for night in others)
        and all((night["general_delta"] or 0) <= MAX_FORGETTING for night in nights if night["moved"])
    )
    return {"nights": nights, "ok": ok}


def _turn(settings: Settings, kind: str) -> dict[str, Any]:
    from flows.nightly import flywheel

    start = time.monotonic()
    result = flywheel(settings)
    lake = Lake(settings.lake)
    verdicts = lake.read("promotions").sort("sequence").collect()
    last = verdicts.filter(batch=result.batch).tail(1) if result.batch else verdicts.clear()
    evidence = Evidence.from_dict(json.loads(last["evidence"][0])) if last.height else Evidence()
    by_name = {metric.name: metric for metric in evidence.metrics}
    since_first = by_name.get("general_loss_since_first", by_name.get("general_loss"))
    return {
        "kind": kind,
        "verdict": result.verdict or "nothing to decide",
        "moved": bool(last.height) and last["verdict"][0] == "promote",
        "primary_delta": _rounded(evidence.primary, "delta"),
        "primary_lower_bound": _rounded(evidence.primary, "lower"),
        "general_delta": None if since_first is None else round(-since_first.delta, 4),
        "reasons": last["reasons"][0].to_list() if last.height else [],
        "seconds": round(time.monotonic() - start, 1),
    }


def _rounded(metric: Comparison | None, name: str) -> float | None:
    return None if metric is None else round(getattr(metric, name), 4)


def _settings(folder: Path, model: str, size: Size) -> Settings:
    tree = {
        "lake": str(folder / "lake"),
        "model_name_or_path": model,
        "collect": {
            "sources": [
                {"name": "chats", "path": str(folder / "logs"), "domain": "maths"},
                {"name": "thumbs", "path": str(folder / "thumbs"), "format": "feedback", "about": "chats"},
                {"name": "general", "path": str(folder / "general"), "domain": "general"},
            ]
        },
        "split": {"holdout_share": 0.25},
        "score": {"max_tokens": 256, "ifd": True},
        "mix": {"select": size.select},
        "synthesize": {"enabled": False},
        "train": {"cpt": {"enabled": False}, "sft": size.train, "dpo": {"enabled": False}},
        "evaluate": {"samples": 24, "max_new_tokens": 32, "max_tokens": 256},
    }
    for name in ("logs", "thumbs", "general"):
        (folder / name).mkdir()
    return parse(json.loads(json.dumps(tree)), "the bench's settings")


def _log(folder: Path, number: int, night: Sequence[Pair]) -> None:
    """The night's conversations as a product logs them, each with a thumb up."""
    chats, thumbs = [], []
    for place, (question, answer) in enumerate(night):
        name, at = f"night{number}-{place}", f"2026-03-{number + 1:02d}T12:{place // 60:02d}:{place % 60:02d}Z"
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        chats.append({"id": name, "user": f"user{place % 97}", "timestamp": at, "messages": turns})
        thumbs.append({"target_id": name, "kind": "thumb", "value": 1, "timestamp": at})
    for kind, rows in (("logs", chats), ("thumbs", thumbs)):
        (folder / kind / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _general(folder: Path, count: int) -> None:
    questions, answers = _read("alpaca_en_demo.json.gz", "instruction"), _read("alpaca_en_demo.json.gz", "output")
    rows = [{"instruction": question, "output": answer} for question, answer in zip(questions, answers, strict=True)]
    (folder / "general" / "general.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:count]))


def _read(name: str, field: str) -> list[str]:
    with gzip.open(SHARED / name, "rt") as text:
        rows = json.load(text) if name.endswith("json.gz") else [json.loads(line) for line in text]
    return [row[field] for row in rows]


def _show(nights: Sequence[Mapping[str, Any]]) -> None:
    columns = ("primary_delta", "primary_lower_bound", "general_delta", "verdict", "seconds")
    titles = ["night", "loss fell by", "at least", "general rose by", "verdict", "seconds"]
    show("Night by night", titles, [[night["kind"], *(night[name] for name in columns)] for night in nights])
    for number, night in enumerate(nights):
        for reason in night["reasons"]:
            print(f"{number} {night['kind']}: {reason}")
