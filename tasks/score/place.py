"""Where models score rows: on this machine, or on a Ray cluster."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where scores are calculated, and where finished parts of them are kept until all are there.

    Args:
        folder: for the parts.
        engine: "local" or "ray".
    """

    folder: Path
    engine: str

    def opener(self, load: Callable[[str], T], name: str) -> Callable[[], T]:
        """Loads a model when it is first asked for it: here once, on a cluster once in each process that works."""
        return partial(_kept, load, name) if self.engine == "ray" else cache(partial(load, name))


@lru_cache(maxsize=1)
def _kept(load: Callable[[str], Any], name: str) -> Any:
    """The model that this process of a cluster scores with; it has one at a time."""
    return load(name)
