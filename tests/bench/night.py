"""What a night costs besides its models: its orchestration, and the history that lies in the lake already.

Models do nothing here (`tests.bench._no_models`): a training copies its parent, and every challenger is promoted, so
that lineage grows as fast as it can. Rows are real and go through every step. History is made of nights like the
measured ones, with `flywheel maintain` once a week, as deploy/prefect.yaml runs it.
"""

import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from filecmp import dircmp
from pathlib import Path
from typing import Any

from prefect.testing.utilities import prefect_test_harness

from configs.load import parse
from configs.settings import Settings
from flows import nightly
from storage.lake import Lake
from storage.maintain import maintain
from tests.bench._directly import called_directly
from tests.bench._night_data import SAMPLE, write_night
from tests.bench._no_models import no_models
from tests.bench._table import show
from tests.tiny_model import make_tiny_model

TENFOLD, WEEK, MEASURED = 10, 7, 9
Steps = dict[str, float]


def run(*, quick: bool) -> dict[str, Any]:
    """Nights through Prefect and called directly, on a short history and on one ten times as long.

    Figures: overhead_s (a night as a flow on a real server, less the same functions called directly), history_ratio
    (a night on the long history, over one on the short one; of each step the median counts, as the table has it),
    history_ratios (of each two nights side by side), and the seconds that they are made of.
    """
    nights, rows = (3, 200) if quick else (5, 1_000)
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as place, no_models():
        young, old = (Product(Path(place) / name, rows) for name in ("young", "old"))
        young.live(nights)
        old.live(TENFOLD * nights)
        pairs = measure(young, old)
        with prefect_test_harness(server_startup_timeout=180):
            nightly.flywheel(young.settings)  # nothing new: the server is warm, and what is imported late is there
            flows = [young.night() for _ in range(MEASURED // 2)]
    short, long = (medians(steps) for steps in zip(*pairs, strict=True))
    direct, flow = (statistics.median(seconds) for seconds in ([sum(early.values()) for early, _ in pairs], flows))
    ratios = [sum(late.values()) / sum(early.values()) for early, late in pairs]
    show(
        f"A night of {rows:,} conversations: {flow:.1f} s as a flow, {direct:.1f} s called directly",
        ["step", f"seconds after {nights} nights", f"after {TENFOLD * nights} nights"],
        [[step, f"{short[step]:.2f}", f"{long[step]:.2f}"] for step in short],
    )
    return {
        "overhead_s": round(flow - direct, 1),
        "history_ratio": round(sum(long.values()) / sum(short.values()), 2),
        "history_ratios": [round(ratio, 2) for ratio in sorted(ratios)],
        "direct_s": round(direct, 1),
        "flow_s": round(flow, 1),
        "after_tenfold_s": round(statistics.median(sum(late.values()) for _, late in pairs), 1),
        "history_rows": TENFOLD * nights * rows,
    }


class Product:
    """A lake and the logs that fill it.

    Args:
        folder: where all of it lies.
        rows: conversations of a night.
    """

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows, self.nights, self.lived = folder, rows, 0, 0
        self.past = folder.with_name(f"{folder.name}-past")
        model = make_tiny_model(folder / "tiny")
        for part in ("logs", "feedback"):
            (folder / part).mkdir(parents=True)
        self.settings = _settings(folder, model, rows)

    def live(self, nights: int) -> None:
        """So many nights, called directly, with maintenance once a week: the past of every night that is measured."""
        for number in range(1, nights + 1):
            with called_directly(defaultdict(float)):
                self.night()
            if number % WEEK == 0:
                maintain(Lake(self.settings.lake), self.settings.maintain)
        shutil.copytree(self.settings.lake, self.past)
        self.lived = nights

    def night(self) -> float:
        """A night that none was like; the seconds that it took. Once it has a past, it comes right after that."""
        if self.lived:
            self._back()
        self.nights += 1
        write_night(self.folder, self.nights, self.rows)
        start = time.monotonic()
        nightly.flywheel(self.settings)
        return time.monotonic() - start

    def _back(self) -> None:
        """As it was when the past ended."""
        _restore(self.past, Path(self.settings.lake))
        for log in self.folder.glob("*/*.jsonl"):
            if int(log.stem) > self.lived:
                log.unlink()
        os.sync()  # so that no night is disturbed by what is still to be written of this

    def steps(self) -> Steps:
        """Seconds of each step of a night, called directly; what is in no step is "between"."""
        steps: defaultdict[str, float] = defaultdict(float)
        with called_directly(steps):
            total = self.night()
        return {**steps, "between": total - sum(steps.values())}


def _restore(past: Path, now: Path) -> None:
    """Make a folder again what it was. Only what changed is copied: else the longer past had more of it before a night,
    and the machine were slower for that."""
    compared = dircmp(past, now, ignore=[])
    for name in (*compared.right_only, *compared.diff_files):
        changed = now / name
        shutil.rmtree(changed) if changed.is_dir() else changed.unlink()
    for name in (*compared.left_only, *compared.diff_files):
        copy = shutil.copytree if (past / name).is_dir() else shutil.copy2
        copy(past / name, now / name)
    for name in compared.common_dirs:
        _restore(past / name, now / name)


def measure(young: Product, old: Product) -> list[tuple[Steps, Steps]]:
    """A night of each product, one right after the other, several times: a machine's moods are the same for both.

    A night that did not come as far as others, for nothing was proven better, is compared with none, nor is its twin.
    """
    pairs = [(young.steps(), old.steps()) for _ in range(MEASURED)]
    most = max(len(steps) for pair in pairs for steps in pair)
    whole = [pair for pair in pairs if all(len(steps) == most for steps in pair)]
    if len(whole) <= MEASURED // 2:
        raise RuntimeError(f"Of {MEASURED} pairs of nights, only {len(whole)} came as far as others.")
    return whole


def medians(nights: Iterable[Steps]) -> Steps:
    """The median of each step."""
    every = list(nights)
    return {step: statistics.median(steps[step] for steps in every) for step in every[0]}


def _settings(folder: Path, model: Path, rows: int) -> Settings:
    tree = {
        "lake": str(folder / "lake"),
        "model_name_or_path": str(model),
        "collect": {
            "sources": [
                {"name": "chats", "path": str(folder / "logs")},
                {"name": "feedback", "path": str(folder / "feedback"), "format": "feedback", "about": "chats"},
                {"name": "documents", "path": str(SAMPLE / "documents"), "format": "document"},
                {"name": "general", "path": str(SAMPLE / "general.jsonl"), "domain": "general"},
            ]
        },
        "scrub": {"workers": 1},
        "score": {"perplexity": False, "reward": False},
        "synthesize": {"enabled": False},
        "mix": {"max_rows": rows // 5},  # reached on the short history already: a mixture does not grow for ever
        "promote": {"resamples": 500, "repeated_nights": "ignore", "smoke": []},
    }
    return parse(tree, "the benchmark's settings")
