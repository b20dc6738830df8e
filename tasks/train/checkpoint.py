"""Which checkpoint a training that was killed goes on from."""

import json
import zipfile
from pathlib import Path

WEIGHTS = {"adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json"}
OPTIMIZERS = {"optimizer.pt", "optimizer.bin", "optimizer_0", "latest"}
"""Of one device or DDP, of FSDP, in parts, and of DeepSpeed."""


def newest_whole(folder: Path, processes: int = 1) -> Path | None:
    """The newest checkpoint that was written to its end, or None.

    The first process writes `trainer_state.json` last; one that parses, beside weights, optimiser and the random
    states of all processes, is a whole one. The trainer itself would take the newest folder, whole or not.

    Args:
        folder: with the checkpoints.
        processes: that train together.
    """
    found = [(step, path) for path in folder.glob("checkpoint-*") if (step := _step(path, processes)) is not None]
    return max(found)[1] if found else None


def _step(checkpoint: Path, processes: int) -> int | None:
    try:
        step = json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]
    except (OSError, ValueError, KeyError):
        return None
    there = {file.name for file in checkpoint.iterdir()}
    random = [f"rng_state_{rank}.pth" for rank in range(processes)] if processes > 1 else ["rng_state.pth"]
    # PyTorch writes zip files, whose end is their table of contents
    whole = all(zipfile.is_zipfile(checkpoint / name) for name in ("scheduler.pt", *random))
    return int(step) if whole and not there.isdisjoint(WEIGHTS) and not there.isdisjoint(OPTIMIZERS) else None
