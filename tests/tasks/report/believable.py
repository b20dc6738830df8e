"""A lake as three batches would have left it, made up by a seed: to test the report, and to look at it."""

import json
from typing import Any

import numpy as np
import polars as pl

from storage import rollouts
from storage.evidence import Comparison, Evidence, Sample
from storage.lake import Lake
from storage.publish import Books, conform, publish
from storage.registry import Model, register
from storage.trained import RESULT
from storage.verdicts import Decision, decide, last_move

BATCHES = ("0001-aaaaaaaa", "0002-bbbbbbbb", "0003-cccccccc")
SELECT = {
    "min_chars": 12,
    "max_repetition": 0.4,
    "max_symbol_share": 0.4,
    "perplexity_quantiles": [0.01, 0.97],
    "min_reward": 0.3,
}
SUBJECTS = {
    "printer": ((9, 5, 4), "paper jam ink tray toner cartridge page duplex driver"),
    "invoice": ((5, 6, 6), "payment refund tax receipt charge card month bank"),
    "password": ((6, 5, 3), "reset login account mail code phone locked token"),
    "export": ((1, 3, 8), "pdf file folder archive markdown format download copy"),
    "calendar": ((3, 4, 4), "meeting reminder week event invite room timezone"),
    "translation": ((2, 2, 2), "spanish german french sentence word language text"),
}
"""What users of three nights ask about: how often each night, and in which words."""
OPENINGS = ("How do I use the", "Please help with my", "What is wrong with the", "Tell me about the", "Where is the")
FIGURES = {
    "chosen": (380, 1.0, 0.0, 0.71, 15.8, 0.05, 0.0, 410, 0.02),
    "random": (380, 0.61, 0.2, 0.6, 16.4, 0.08, 0.03, 395, 0.05),
    "longest": (380, 0.58, 0.31, 0.57, 17.2, 0.11, 0.02, 720, 0.06),
    "all": (509, 1.0, 0.22, 0.61, 16.5, 0.08, 0.02, 398, 0.05),
}
NAMES = ("rows", "overlap", "ruled_out", "reward", "perplexity", "repetition", "refusals", "chars", "largest_user")
SELECTED: dict[str, dict[str, Any]] = {
    "sft": {
        "dropped": {"low_reward": 60, "too_long": 41, "similar": 19, "refusal": 9, "in_holdout": 4},
        "notes": {"user_share": "Not applied: no row says which user it is from."},
        "baselines": {name: dict(zip(NAMES, values, strict=True)) for name, values in FIGURES.items()},
    },
    "dpo": {"dropped": {"repeated": 3}},
}
BOOKS = {
    "collect": Books(640, {"interactions": 604, "feedback": 24, "quarantined": 12}),
    "dedupe": Books(604, {"kept": 520, "duplicates": 84}),
    "scrub": Books(
        604,
        {"scrubbed": 512, "duplicates": 78, "no_consent": 14},
        {"entity:PERSON": 212, "entity:EMAIL_ADDRESS": 96, "entity:API_KEY": 9, "seconds": 3}
        | {"recheck_rows": 200, "recheck_findings": 4, "recheck_rows_mended": 2, "recheck_rows_refused": 1},
    ),
    "score": Books(512, {"curated": 509, "duplicates": 3}),
    "mix_sft": Books(509, {"mixed": 380, "low_reward": 60, "refusal": 9, "too_long": 60}),
    "evaluate": Books(
        100,
        {"scored": 100, "unscorable": 0},
        {"judge_win_rate": 0.62, "judge_win_rate_at_equal_length": 0.55, "judge:not_parsed": 2},
    ),
}


def make_lake(lake: Lake, *, seed: int = 1) -> None:
    """Fill `lake` with three batches: one promoted, one rejected, one held."""
    generator = np.random.default_rng(seed)
    register(lake, Model("base-1", "lm", "base", lake.path("models", "base-1"), "t"), batch="base")
    decide(lake, Decision("base-1", None, "promote", ["The first model of this lake."]), batch="base")
    parent = "base-1"
    for batch, verdict, delta in zip(BATCHES, ("promote", "reject", "hold"), (0.21, -0.12, 0.03), strict=True):
        for step, books in _books(batch).items():
            publish(lake, "books", books.frame(), step=step, batch=batch, key="ab" * 16)
        publish(lake, "books", BOOKS["score"].frame(), step="score", batch=f"{batch}-synthetic", key="ab" * 16)
        _write(lake, "duplicates", batch, _duplicates(generator))
        rows = _curated(generator, batch)
        _write(lake, "curated", batch, rows)
        _write(lake, "preferences", batch, _judged(generator, rows))
        last = parent
        for stage in ("sft", "dpo"):
            last = _trained(lake, batch, stage, last, generator)
        evidence = Evidence(_metrics(delta), (Sample("How do I <b>export</b> my notes?", "In Settings.", ""),))
        decision = Decision(last, parent, verdict, [f"It is a {verdict}.", "Nothing forgotten."], evidence.to_dict())
        decide(lake, decision, batch=batch)
        if verdict == "promote":
            move = last_move(lake)
            assert move is not None
            rollouts.record(lake, move[0], last, "1. webhook ci.example.org", ok=True)
            rollouts.record(lake, move[0], last, rollouts.SERVED, ok=True, said="flywheel serve")
        parent = last if verdict == "promote" else parent


def _books(batch: str) -> dict[str, Books]:
    """The last night brought more records, and a kind of personal data that no other one did."""
    if batch != BATCHES[-1]:
        return BOOKS
    more = Books(900, {"interactions": 846, "feedback": 30, "quarantined": 24})
    scrubbed = BOOKS["scrub"]
    return BOOKS | {
        "collect": more,
        "scrub": Books(scrubbed.rows_in, scrubbed.out, {**scrubbed.facts, "entity:IBAN_CODE": 5}),
    }


def _write(lake: Lake, table: str, batch: str, rows: list[dict[str, Any]]) -> None:
    frame = conform(table, pl.DataFrame(rows, infer_schema_length=None)).drop("batch", "step")
    publish(lake, table, frame, step=table, batch=batch, key="ab" * 16)


def _duplicates(generator: np.random.Generator) -> list[dict[str, Any]]:
    exact = [{"id": f"e{at}", "kept_id": "k", "similarity": 1.0, "reason": "exact"} for at in range(52)]
    near = [0.8 + 0.2 * float(generator.beta(2, 3)) for _ in range(32)]
    return exact + [{"id": f"n{at}", "kept_id": "k", "similarity": at, "reason": "near"} for at in near]


def _curated(generator: np.random.Generator, batch: str) -> list[dict[str, Any]]:
    night = BATCHES.index(batch)
    shares = np.array([weights[night] for weights, _ in SUBJECTS.values()], dtype=float)
    subjects = generator.choice(list(SUBJECTS), size=509, p=shares / shares.sum())
    return [
        {
            "id": f"{batch[:4]}-{at}",
            "kind": "conversation",
            "origin": "user",
            "split": "train" if at % 10 else "holdout",
            "domain": "product",
            "messages": [
                {"role": "user", "content": _question(generator, subjects[at])},
                {"role": "assistant", "content": f"You find it under Settings, {subjects[at]}."},
            ],
            "perplexity": float(generator.lognormal(2.8, 0.7)),
            "reward": float(generator.beta(4, 2)),
            "repetition": float(generator.beta(1, 12)),
            "symbol_share": float(generator.beta(2, 30)),
            "answer_loss": float(generator.normal(2.1, 0.4)),
            "chars": int(generator.lognormal(6, 0.7)),
        }
        for at in range(509)
    ]


def _question(generator: np.random.Generator, subject: str) -> str:
    _, words = SUBJECTS[subject]
    few = generator.choice(words.split(), size=4, replace=False)
    return f"{generator.choice(OPENINGS)} {subject}: {' '.join(few)}?"


def _judged(generator: np.random.Generator, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Thumbs on every tenth row; who asks about invoices is mostly unhappy."""
    return [
        {
            "id": f"thumb-{row['id']}",
            "kind": "label",
            "origin": "thumb",
            "target_id": row["id"],
            "split": row["split"],
            "label": bool(generator.random() > (0.7 if "invoice" in row["messages"][0]["content"] else 0.2)),
        }
        for row in rows[::9]
    ]


def _trained(lake: Lake, batch: str, stage: str, parent: str, generator: np.random.Generator) -> str:
    mixture, name = f"mixture-{stage}-{batch}", f"{stage}-{batch[:4]}"
    parts = {
        part: {"rows": rows, "trained_tokens": tokens, "share": tokens / 51_000}
        for part, rows, tokens in (("user", 300, 41_000), ("synthetic", 40, 5_000), ("general", 40, 5_000))
    }
    select = SELECT if batch == BATCHES[-1] else {**SELECT, "min_reward": 0.2}
    manifest = {"stage": stage, "parts": parts, "settings": {"select": select}, **SELECTED[stage]}
    manifest["examples"] = {"low_reward": [f"{batch[:4]}-1"], "in_holdout": [f"{batch[:4]}-2"]}
    row = {"id": mixture, "stage": stage, "rows": 380, "trained_tokens": 51_000, "manifest": json.dumps(manifest)}
    _write(lake, "manifests", mixture, [row])
    losses = [[at, float(1.2 + 1.3 * np.exp(-at / 20) + generator.normal(0, 0.08))] for at in range(1, 96)]
    metrics = {"losses": losses, "rows": 380, "tokens": 51_000, "seconds": 74.2, "left_out": {"too_long": 4}}
    folder = lake.folder("models", name)
    (folder / RESULT).write_text(json.dumps({"samples": ["How do I sort <notes>? «By date.»"]}))
    register(lake, Model(name, "lm", stage, str(folder), "t", parent, mixture, {}, metrics), batch=batch)
    return name


def _metrics(delta: float) -> tuple[Comparison, ...]:
    low, high, new = delta - 0.08, delta + 0.08, 2.31 - delta
    return (
        Comparison("holdout_loss", "primary", "lower", 2.31, new, delta, low, high, 61, 55, 30, 24, 0.0, low > 0),
        Comparison("general_loss", "guardrail", "lower", 2.9, 2.91, -0.01, -0.022, 0.003, 40, 40, 14, 25, 0.05, True),
        Comparison("stop_rate", "info", "higher", 0.75, 0.875, 0.125, 0.0, 0.25, 8, 8, 1, 0),
    )
