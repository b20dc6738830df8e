"""kill -9 at random moments of nights that go through a real Prefect server and worker, and what is left afterwards.

Applications send to a real collector all the while, and send again what was not acknowledged. Every night something
else is shot at: the flow, its trainer, its model server, the collector, the worker or Prefect's server; or the flow can
write no byte more, two nights run at once, or the object store of the lake answers 503. Training and evaluation need no
model (`tests.bench._no_models`), and a fake with vLLM's processes answers for synthesis; rows go through every step.
After each blow, runs that did not complete are retried, as a person would in the UI, and everything is counted.
"""

import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from configs.load import parse
from configs.settings import Settings
from storage.lake import SECRET_VARIABLE
from tests.bench import _failing_s3
from tests.bench._chaos_place import Place
from tests.bench._chaos_trial import STORE, Found, Trial
from tests.bench._table import show
from tests.s3 import BUCKET, environment, s3_server
from tests.tasks.inference import fake_server
from tests.tiny_model import make_tiny_model

HERE = ("flow", "trainer", "vLLM", "collector", "worker", "server", "disk full", "two at once")
NIGHTS_HERE, NIGHTS_STORE = 17, 3
SEED = 11


def run(*, quick: bool) -> dict[str, Any]:
    """Nights with a blow each: 17 on a lake in a folder, 3 on one in an object store; `quick`: one of each kind.

    Figures: kills (blows that hit something), lost (acknowledged records that are not there), doubled (rows that are
    there twice), orphans (processes of a night that outlived it), balanced (in = out at every step of every batch),
    serves (whether the champion answered after each night).
    """
    chance, found = random.Random(SEED), Found()
    here = [HERE[at % len(HERE)] for at in range(len(HERE) if quick else NIGHTS_HERE)]
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as name:
        folder = Path(name)
        with Place(folder / "here", _settings(folder / "here", str(folder / "here" / "lake"))) as place:
            Trial(place, chance, found).go(here)
        there = _settings(folder / "there", f"s3://{BUCKET}/lake")
        with _store(folder / "cache") as store, Place(folder / "there", there) as place:
            Trial(place, chance, found, store).go([STORE] * (1 if quick else NIGHTS_STORE))
    _show(found)
    return {
        "kills": found.hits.total(),
        "lost": found.lost,
        "doubled": found.doubled,
        "orphans": len(found.orphans),
        "balanced": found.balanced,
        "serves": found.serves,
    }


@contextmanager
def _store(cache: Path) -> Iterator[str]:
    """The address of an object store that can be told to fail; the environment of all that follows names it."""
    with s3_server(sys.executable, "-m", _failing_s3.__name__) as address:
        told = {SECRET_VARIABLE: "s" * 32, "FLYWHEEL_CACHE": str(cache)}
        with patch.dict(os.environ, {**environment(address), **told}):
            yield address


def _settings(folder: Path, lake: str) -> Settings:
    folder.mkdir()
    vllm = folder / "vllm"  # stands for the Python of vLLM's environment; what it runs is the fake
    fake = " ".join(fake_server.command(Path(f"$(mktemp -d -p {folder})")))
    vllm.write_text(f'#!/bin/sh\nexec {fake} "$@"\n')
    vllm.chmod(0o755)
    tree = {
        "lake": lake,
        "model_name_or_path": str(make_tiny_model(folder / "tiny")),
        "collect": {
            "sources": [{"name": "general", "path": "configs/sample/general.jsonl", "domain": "general"}],
            "http": {"spool": str(folder / "spool")},
        },
        "scrub": {"workers": 1},
        "split": {"holdout_share": 0.3},
        "score": {"perplexity": False, "reward": False},
        "synthesize": {"engine": "vllm", "vllm_python": str(vllm), "instructions": 0, "regenerate": 12, "pairs": 0},
        "train": {"cpt": {"enabled": False}, "dpo": {"enabled": False}},
        "promote": {"resamples": 100, "repeated_nights": "ignore", "smoke": []},
    }
    return parse(tree, "the benchmark's settings")


def _show(found: Found) -> None:
    def listed(names: Sequence[str]) -> str:
        return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())

    show(
        f"{sum(map(len, found.moments.values()))} nights, {found.sent:,} records sent",
        ["blow", "nights", "hit", "last written before it", "these nights ended as"],
        [
            [what, len(moments), found.hits[what], listed(moments), listed(found.ends[what])]
            for what, moments in found.moments.items()
        ],
    )
