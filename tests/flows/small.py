"""A flywheel small enough for tests: two days of the sample, a tiny model, two steps per stage."""

import json
from collections.abc import Sequence
from pathlib import Path

from configs.load import parse
from configs.settings import Settings

SAMPLE = Path("configs/sample")


def small_settings(
    folder: Path, model: Path, lake: str = "lake", stages: Sequence[str] = ("cpt", "sft", "dpo")
) -> Settings:
    """Settings whose logs lie in `folder`/logs, so that a test can add a night."""
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    days = sorted((SAMPLE / "logs").glob("*.jsonl"))
    for day in days[:2]:
        (logs / day.name).write_bytes(day.read_bytes())
    stage = {"max_steps": 2, "per_device_train_batch_size": 2, "max_length": 256, "learning_rate": 0.01}
    tree = {
        "lake": str(folder / lake),
        "model_name_or_path": str(model),
        "collect": {
            "sources": [
                {"name": "chats", "path": str(logs)},
                {"name": "feedback", "path": str(SAMPLE / "feedback.jsonl"), "format": "feedback", "about": "chats"},
                {"name": "documentation", "path": str(SAMPLE / "documents"), "format": "document"},
                {"name": "general", "path": str(SAMPLE / "general.jsonl"), "domain": "general"},
            ]
        },
        "scrub": {"workers": 1},
        "split": {"holdout_share": 0.3},
        "mix": {"min_rows": 2},
        "synthesize": {"engine": "transformers", "instructions": 3, "pairs": 3, "samples": 2, "max_new_tokens": 12},
        "train": {name: {**stage, "enabled": name in stages} for name in ("cpt", "sft", "dpo")},
        "evaluate": {"samples": 2, "max_new_tokens": 8, "max_tokens": 128},
        "promote": {"resamples": 500},
    }
    return parse(json.loads(json.dumps(tree)), "the test's settings")
