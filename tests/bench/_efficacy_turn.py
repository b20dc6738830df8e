"""One turn of the wheel in the efficacy benchmark, and what it proved."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from configs.load import parse
from configs.settings import Settings
from storage.evidence import Comparison, Evidence
from storage.lake import Lake
from tests.bench._efficacy_data import FOLDERS


@dataclass(frozen=True)
class Night:
    """What a turn came to.

    Args:
        kind: of the night, or the share of generated rows.
        verdict: of the gate, or that there was nothing to decide.
        moved: whether there is a new champion.
        primary: the challenger against the champion on endorsed held-out answers.
        general: the challenger against the first model on general text.
        reasons: of the verdict.
        seconds: it took.
    """

    kind: str
    verdict: str
    moved: bool
    primary: Comparison | None
    general: Comparison | None
    reasons: tuple[str, ...]
    seconds: float

    def figures(self) -> dict[str, Any]:
        """As the bench tells them: differences in nats per token, good ones positive except for what was forgotten."""
        return {
            "kind": self.kind,
            "verdict": self.verdict,
            "moved": self.moved,
            "primary_delta": self.primary and round(self.primary.delta, 4),
            "primary_lower_bound": self.primary and round(self.primary.lower, 4),
            "general_delta": self.general and round(-self.general.delta, 4),
            "reasons": list(self.reasons),
            "seconds": self.seconds,
        }


def turn(settings: Settings, kind: str) -> Night:
    """Run the whole wheel once and read what was decided about its batch."""
    from flows.nightly import flywheel

    start = time.monotonic()
    result = flywheel(settings)
    verdicts = Lake(settings.lake).read("promotions").sort("sequence").collect()
    last = verdicts.filter(batch=result.batch).tail(1) if result.batch else verdicts.clear()
    evidence = Evidence.from_dict(json.loads(last["evidence"][0])) if last.height else Evidence()
    by_name = {metric.name: metric for metric in evidence.metrics}
    return Night(
        kind=kind,
        verdict=result.verdict or "nothing to decide",
        moved=bool(last.height) and last["verdict"][0] == "promote",
        primary=evidence.primary,
        general=by_name.get("general_loss_since_first", by_name.get("general_loss")),
        reasons=tuple(last["reasons"][0].to_list()) if last.height else (),
        seconds=round(time.monotonic() - start, 1),
    )


def with_generated(settings: Settings, shares: Sequence[float], rows: int) -> list[Night]:
    """The same news several times, each with another share of generated rows in what SFT reads.

    The model answers the questions of users anew, once; each share is turned in a copy of that lake.

    Args:
        settings: of the nights.
        shares: of trained tokens.
        rows: answers to generate.
    """
    from flows.curate import curate, synthesize

    generating = _changed(settings, "synthesize", {"enabled": True, "engine": "transformers", "regenerate": rows,
                          "instructions": 0, "pairs": 0, "max_new_tokens": 192})  # fmt: skip
    generating = generating.model_copy(update={"lake": f"{settings.lake}-shares"})
    curate(generating)
    synthesize(generating)
    nights = []
    for share in shares:
        lake = f"{generating.lake}-{round(100 * share)}"
        shutil.copytree(generating.lake, lake)
        shutil.copy(f"{generating.lake}.secret", f"{lake}.secret")
        mixing = {"sources": sources(share)}
        night = turn(_changed(generating, "mix", mixing).model_copy(update={"lake": lake}), f"{share:.0%}")
        nights.append(replace(night, kind=f"{_share(Lake(lake)):.0%}"))
    return nights


def _share(lake: Lake) -> float:
    """Of generated rows in what SFT read, by trained tokens: there may be fewer than were wanted."""
    shares = lake.read("books", step="mix_sft").filter(kind="fact", name="share:synthetic").select("value").collect()
    return float(shares["value"].sum())


def sources(share: float) -> list[dict[str, Any]]:
    """A recipe with a share of generated rows, and a tenth of general ones."""
    generated = {"name": "synthetic", "table": "curated", "select": {"origins": ["synthetic"]}, "weight": share}
    return [
        {"name": "general", "table": "curated", "select": {"domains": ["general"], "origins": ["user"]}, "weight": 0.1},
        *([{**generated, "max_repeats": 4}] if share else []),
        {"name": "user", "table": "curated", "select": {"origins": ["user"]}},
    ]


def _changed(settings: Settings, section: str, changes: Mapping[str, Any]) -> Settings:
    return parse({**settings.model_dump(mode="json"), section: changes}, "the bench's settings")


def settings_in(folder: Path, model: str, train: Mapping[str, Any]) -> Settings:
    """Settings of a wheel whose lake and logs lie in a folder.

    Args:
        folder: where.
        model: that the first night starts from.
        train: settings of the SFT stage.
    """
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
        "score": {"perplexity": False, "reward": False},
        "mix": {"sources": sources(0.0)},
        "synthesize": {"enabled": False},
        "train": {"cpt": {"enabled": False}, "sft": train, "dpo": {"enabled": False}},
        "evaluate": {"samples": 16, "max_new_tokens": 32, "max_tokens": 256, "max_items": 60},
    }
    for name in FOLDERS:
        (folder / name).mkdir()
    return parse(json.loads(json.dumps(tree)), "the bench's settings")
