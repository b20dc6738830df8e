"""Real texts that the scrub benchmark reads."""

import gzip
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SEED = 7


def read(name: str, count: int) -> list[dict[str, Any]]:
    """The first rows of a file of JSON lines."""
    with gzip.open(DATA / name, "rt") as file:
        return [json.loads(line) for _, line in zip(range(count), file, strict=False)]
