"""A lake as three batches would have left it, made up by a seed: to test the report, and to look at it."""

import json
from typing import Any

import numpy as np
import polars as pl

from storage.evidence import Comparison, Evidence, Sample
from storage.lake import Lake
from storage.publish import Books, conform, publish
from storage.registry import Decision, Model, decide, register

BATCHES = ("0001-aaaaaaaa", "0002-bbbbbbbb", "0003-cccccccc")
SELECT = {
    "min_chars": 12,
    "max_repetition": 0.4,
    "max_symbol_share": 0.4,
    "perplexity_quantiles": [0.01, 0.97],
    "min_reward": 0.3,
}
BOOKS = {
    "collect": Books(640, {"interactions": 604, "feedback": 24, "quarantined": 12}),
    "dedupe": Books(604, {"kept": 520, "exact": 52, "near": 32}),
    "scrub": Books(
        604,
        {"scrubbed": 512, "duplicates": 78, "no_consent": 14},
        {"entity:PERSON": 212, "entity:EMAIL_ADDRESS": 96, "entity:API_KEY": 9, "seconds": 3}
        | {"recheck_rows": 200, "recheck_findings": 4, "recheck_rows_mended": 2, "recheck_rows_refused": 1},
    ),
    "score": Books(512, {"curated": 509, "duplicates": 3}),
    "mix_sft": Books(509, {"mixed": 380, "low_reward": 60, "refusal": 9, "too_long": 60}),
    "evaluate": Books(100, {"scored": 100, "unscorable": 0}),
}


def make_lake(lake: Lake, *, seed: int = 1) -> None:
    """Fill `lake` with three batches: one promoted, one rejected, one held."""
    generator = np.random.default_rng(seed)
    register(lake, Model("base-1", "lm", "base", lake.path("models", "base-1"), "t"), batch="base")
    decide(lake, Decision("base-1", None, "promote", ["The first model of this lake."]), batch="base")
    parent = "base-1"
    for batch, verdict, delta in zip(BATCHES, ("promote", "reject", "hold"), (0.21, -0.12, 0.03), strict=True):
        for step, books in BOOKS.items():
            publish(lake, "books", books.frame(), step=step, batch=batch, key="ab" * 16)
        publish(lake, "books", BOOKS["score"].frame(), step="score", batch=f"{batch}-synthetic", key="ab" * 16)
        _write(lake, "duplicates", batch, _duplicates(generator))
        _write(lake, "curated", batch, _curated(generator))
        last = parent
        for stage in ("sft", "dpo"):
            last = _trained(lake, batch, stage, last, generator)
        evidence = Evidence(_metrics(delta), (Sample("How do I <b>export</b> my notes?", "In Settings.", ""),))
        decision = Decision(last, parent, verdict, [f"It is a {verdict}.", "Nothing forgotten."], evidence.to_dict())
        decide(lake, decision, batch=batch)
        parent = last if verdict == "promote" else parent


def _write(lake: Lake, table: str, batch: str, rows: list[dict[str, Any]]) -> None:
    frame = conform(table, pl.DataFrame(rows, infer_schema_length=None)).drop("batch", "step")
    publish(lake, table, frame, step=table, batch=batch, key="ab" * 16)


def _duplicates(generator: np.random.Generator) -> list[dict[str, Any]]:
    exact = [{"id": f"e{at}", "kept_id": "k", "similarity": 1.0, "reason": "exact"} for at in range(52)]
    near = [0.8 + 0.2 * float(generator.beta(2, 3)) for _ in range(32)]
    return exact + [{"id": f"n{at}", "kept_id": "k", "similarity": at, "reason": "near"} for at in near]


def _curated(generator: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "id": f"row{at}",
            "perplexity": float(generator.lognormal(2.8, 0.7)),
            "reward": float(generator.beta(4, 2)),
            "repetition": float(generator.beta(1, 12)),
            "symbol_share": float(generator.beta(2, 30)),
            "answer_loss": float(generator.normal(2.1, 0.4)),
            "chars": int(generator.lognormal(6, 0.7)),
        }
        for at in range(509)
    ]


def _trained(lake: Lake, batch: str, stage: str, parent: str, generator: np.random.Generator) -> str:
    mixture, name = f"mixture-{stage}-{batch}", f"{stage}-{batch[:4]}"
    parts = {
        part: {"rows": rows, "trained_tokens": tokens, "share": tokens / 51_000}
        for part, rows, tokens in (("user", 300, 41_000), ("synthetic", 40, 5_000), ("general", 40, 5_000))
    }
    manifest = {"stage": stage, "parts": parts, "settings": {"select": SELECT}}
    row = {"id": mixture, "stage": stage, "rows": 380, "trained_tokens": 51_000, "manifest": json.dumps(manifest)}
    _write(lake, "manifests", mixture, [row])
    losses = [[at, float(1.2 + 1.3 * np.exp(-at / 20) + generator.normal(0, 0.08))] for at in range(1, 96)]
    metrics = {"losses": losses, "rows": 380, "tokens": 51_000, "seconds": 74.2}
    path = lake.path("models", name)
    register(lake, Model(name, "lm", stage, path, "t", parent, mixture, {}, metrics), batch=batch)
    return name


def _metrics(delta: float) -> tuple[Comparison, ...]:
    low, high, new = delta - 0.08, delta + 0.08, 2.31 - delta
    return (
        Comparison("holdout_loss", "primary", "lower", 2.31, new, delta, low, high, 61, 55, 30, 24, 0.0, low > 0),
        Comparison("general_loss", "guardrail", "lower", 2.9, 2.91, -0.01, -0.022, 0.003, 40, 40, 14, 25, 0.05, True),
        Comparison("stop_rate", "info", "higher", 0.75, 0.875, 0.125, 0.0, 0.25, 8, 8, 1, 0),
    )
