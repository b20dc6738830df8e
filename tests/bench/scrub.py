"""Scrubbing against stock Presidio: speed, recall, false redactions, canaries, secrets, languages, memory."""

import gzip
import json
import os
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from configs.settings import ScrubSettings
from tasks.scrub.conversations import scrub_rows
from tasks.scrub.finding import Looked
from tasks.scrub.paragraphs import paragraphs
from tasks.scrub.secret_kinds import PREFIXED
from tasks.scrub.workers import Unit, Workers
from tests.bench import _scrub_canaries, _scrub_languages, _scrub_secrets, _scrub_speed
from tests.bench._scrub_data import DATA, SEED, read
from tests.bench._scrub_stock import MODEL, Span, Stock
from tests.bench._table import show

SECRET_TYPES = {kind for kind, _ in PREFIXED} | {"SECRET", "PASSWORD"}
COVERED = 0.8  # share of a gold span's characters that must be redacted
Look = Callable[[Sequence[Unit]], Mapping[Unit, Looked]]


def run(*, quick: bool) -> dict[str, Any]:
    """All rows of the table; `quick` takes a tenth or less of each input."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    processes = os.cpu_count() or 1
    default, every_type = ScrubSettings(), ScrubSettings(keep=())
    figures: dict[str, Any] = {"processes": processes}
    with Workers(default, processes) as workers, Stock(processes) as stock:
        workers.start()
        figures |= _scrub_speed.speed(workers, stock, 100 if quick else 2000)
        figures |= false_redactions(workers.look, stock, 100 if quick else 1500)
        figures |= canaries(workers.look, 520 if quick else 10_000)
        figures |= secrets(workers.look, 4 if quick else 20)
        with Workers(every_type, processes) as all_types:
            figures |= recall(all_types.look, stock, 200 if quick else 10_000)
            figures |= _scrub_languages.layouts(all_types.look, stock, 2 if quick else 20)
    figures |= _scrub_languages.chinese(50 if quick else None)
    figures |= _scrub_speed.memory(2_000 if quick else 50_000, processes)
    return figures


def recall(look: Look, stock: Stock, count: int) -> dict[str, Any]:
    """Gold spans of pii_generated_large that are redacted, every type replaced, as stock does."""
    with gzip.open(DATA / "pii_generated_large.json.gz") as file:
        gold = json.load(file)[:count]
    texts = [each["full_text"] for each in gold]
    ours, precision = _against(gold, _find(look, texts))
    theirs, stock_precision = _against(gold, stock.analyze(texts)[0])
    rows = [[kind, f"{ours[kind]:.3f}", f"{theirs[kind]:.3f}"] for kind in sorted(ours)]
    rows.append(["precision, by characters", f"{precision:.3f}", f"{stock_precision:.3f}"])
    show(f"Recall on {len(gold):,} annotated texts, every type replaced", ["", "ours", "Presidio"], rows)
    return {
        "recall_by_type": ours,
        "stock_recall_by_type": theirs,
        "precision": precision,
        "stock_precision": stock_precision,
    }


def false_redactions(look: Look, stock: Stock, count: int) -> dict[str, Any]:
    """Redacted characters of texts without personal data, under the default settings; names apart."""
    maths = [f"{row['question']}\n{row['answer']}" for row in read("gsm8k_train.jsonl.gz", count)]
    library = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    code = [file.read_text(errors="replace")[:6000] for file in library[: max(10, count // 10)]]
    figures: dict[str, Any] = {"false_redaction_by_set": {}, "person_redaction": {}, "stock_person_redaction": {}}
    rows = []
    for name, texts in (("gsm8k", maths), ("code", code)):
        total = sum(map(len, texts))
        ours = _characters(_find(look, texts))
        theirs = _characters(stock.analyze(texts[: max(10, len(texts) // 5)])[0])
        stock_total = sum(map(len, texts[: max(10, len(texts) // 5)]))
        names_apart = sum(size for kind, size in ours.items() if kind != "PERSON") / total
        figures["false_redaction_by_set"][name] = names_apart
        figures["person_redaction"][name] = ours["PERSON"] / total
        figures["stock_person_redaction"][name] = theirs["PERSON"] / stock_total
        rows.append([name, *(f"{100 * figures[key][name]:.2f}%" for key in figures)])
    show("False redactions, share of characters", ["", "names apart", "PERSON", "Presidio's PERSON"], rows)
    return {"false_redaction_share": max(figures["false_redaction_by_set"].values()), **figures}


def canaries(look: Look, count: int) -> dict[str, Any]:
    """Planted valid numbers of checksummed and patterned types that are gone after scrubbing."""
    planted = _scrub_canaries.canaries(count, SEED)
    done = scrub_rows(list(_scrub_canaries.rows(planted)), ScrubSettings(), b"secret", {}, look)
    left = {row["id"]: json.dumps(row["messages"], ensure_ascii=False) for row in done.rows}
    missed = Counter(
        kind for n, (kind, value) in enumerate(planted) if value.split("@db.")[0] in left.get(str(n), value)
    )
    found = 1 - missed.total() / count
    kinds = len(_scrub_canaries.MAKERS)
    rows = [[f"{count:,} of {kinds} kinds", f"{found:.4f}", str(dict(missed)) if missed else ""]]
    show("Planted canaries", ["", "found", "missed"], rows)
    return {"canaries_found": found, "canaries_missed": dict(missed)}


def secrets(look: Look, each: int) -> dict[str, Any]:
    """Secrets that are gone, and look-alikes that a kind of secret was seen in."""
    planted = _scrub_secrets.secrets(each, SEED)
    found = _find(look, [text for _, _, text in planted])
    missed = Counter(
        kind for (kind, secret, text), spans in zip(planted, found, strict=True) if _is_left(secret, text, spans)
    )
    others = _scrub_secrets.look_alikes(each, SEED)
    seen = _find(look, [text for _, text in others])
    alarms = Counter(
        kind for (kind, _), spans in zip(others, seen, strict=True) if any(span[0] in SECRET_TYPES for span in spans)
    )
    figures = {
        "secrets_recall": 1 - missed.total() / len(planted),
        "secrets_false_alarms": alarms.total() / len(others),
    }
    show(
        f"{len(_scrub_secrets.SECRETS)} kinds of secrets, {each} each, and {len(others)} look-alikes",
        ["", "share", "kinds"],
        [
            ["found", f"{figures['secrets_recall']:.4f}", str(dict(missed))],
            ["false alarms", f"{figures['secrets_false_alarms']:.4f}", str(dict(alarms))],
        ],
    )
    return figures


def _find(look: Look, texts: Sequence[str]) -> list[list[Span]]:
    """Findings of whole texts."""
    parts = [[(start, (MODEL, part)) for start, part in paragraphs(text)] for text in texts]
    looked = look(list(dict.fromkeys(unit for each in parts for _, unit in each)))
    found: list[list[Span]] = []
    for each in parts:
        spans: list[Span] = []
        for start, unit in each:
            findings = looked[unit]
            if isinstance(findings, str):
                raise TypeError(f"A text of the benchmark could not be looked at: {findings}.")
            spans += [(finding.type, finding.start + start, finding.end + start) for finding in findings]
        found.append(spans)
    return found


def _against(gold: Sequence[Mapping[str, Any]], found: Sequence[Sequence[Span]]) -> tuple[dict[str, float], float]:
    """Recall by gold type, and the share of redacted characters that are gold."""
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    redacted = right = 0
    for each, spans in zip(gold, found, strict=True):
        wanted = [(span["entity_type"], span["start_position"], span["end_position"]) for span in each["spans"]]
        ours, theirs = _positions(spans), _positions(wanted)
        redacted += len(ours)
        right += len(ours & theirs)
        for kind, start, end in wanted:
            totals[kind] += 1
            hits[kind] += len(ours & set(range(start, end))) >= COVERED * (end - start)
    return {kind: round(hits[kind] / total, 4) for kind, total in totals.items()}, right / max(1, redacted)


def _positions(spans: Iterable[Span]) -> set[int]:
    return {position for _, start, end in spans for position in range(start, end)}


def _characters(found: Iterable[Iterable[Span]]) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for spans in found:
        for kind, start, end in spans:
            sizes[kind] += end - start
    return sizes


def _is_left(secret: str, text: str, spans: Sequence[Span]) -> bool:
    """Whether twelve characters of it (all of a shorter one) can still be read."""
    covered = _positions(spans)
    left = "".join("\0" if n in covered else character for n, character in enumerate(text))
    size = min(12, len(secret))
    return any(secret[n : n + size] in left for n in range(len(secret) - size + 1))
