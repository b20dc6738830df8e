"""Which checkpoint a training that was killed goes on from."""

import json
from pathlib import Path

WEIGHTS = ("adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json")
STATE = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


def newest_whole(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None.

    The trainer writes `trainer_state.json` last; one that parses, beside weights and optimiser, is a whole one. The
    trainer itself would take the newest folder, whole or not.
    """
    found = [(step, path) for path in folder.glob("checkpoint-*") if (step := _step(path)) is not None]
    return max(found)[1] if found else None


def _step(checkpoint: Path) -> int | None:
    try:
        step = json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]
    except (OSError, ValueError, KeyError):
        return None
    there = {file.name for file in checkpoint.iterdir()}
    return int(step) if there.issuperset(STATE) and not there.isdisjoint(WEIGHTS) else None
