"""What a training leaves in its model's folder, besides the model: figures, and a few rows as the model read them."""

import json

OUTPUT = "model"
"""Folder in a training's work folder in which the finished model is put together."""
RESULT = "training.json"
"""File with what training measured; it is written last, so a folder that has it is whole."""
SAMPLES = "samples"
"""Key of it with the rows: users' text, so that besides here it is in reports only, which erasure knows; neither in the
registry nor on the log."""


def samples(result: bytes) -> list[str]:
    """The rows that a result shows."""
    return list(json.loads(result).get(SAMPLES, ()))


def without_samples(result: bytes) -> bytes:
    """What training measured, without the rows that it shows."""
    told = json.loads(result)
    told.pop(SAMPLES, None)
    return json.dumps(told, indent=1).encode()
