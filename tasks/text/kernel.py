"""Array loops compiled by Numba, and kept compiled.

A kernel works on whole arrays and releases the GIL, so that threads run several at a time. Numba keeps compiled code by
the file that a function is in, and would miss a change in another file that it calls or takes a constant from; here
the place of the compiled code depends on the sources of all kernels.
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar

from numba import config, njit

from storage.snapshot import digest

P = ParamSpec("P")
R = TypeVar("R")
PACKAGES = ("text", "dedupe")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function when it is first called, for the types of that call."""
    usual = config.CACHE_DIR
    config.CACHE_DIR = usual or _folder()
    try:
        compiled: Callable[P, R] = njit(cache=True, nogil=True)(function)
    finally:
        config.CACHE_DIR = usual
    return compiled


@cache
def _folder() -> str:
    tasks = Path(__file__).parents[1]
    sources = [source.read_bytes() for package in PACKAGES for source in sorted((tasks / package).glob("*.py"))]
    home = Path(os.environ.get("FLYWHEEL_CACHE", Path.home() / ".cache" / "flywheel"))
    return str(home / "kernels" / digest(*sources)[:12])
