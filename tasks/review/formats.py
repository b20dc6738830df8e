"""How rows go out to be reviewed, and how decisions come back: spreadsheets, JSON lines, Label Studio, Argilla.

Sources: https://labelstud.io/guide/tasks and /guide/export; https://docs.argilla.io/latest/how_to_guides/record
"""

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from configs.mistake import Mistake
from tasks.inference.judge import Quality

DECISIONS = ("keep", "drop")
ASPECTS = tuple(Quality.model_fields)
"""What people may rate from 1 to 5 besides: the same as a judge that is a language model."""
TO_FILL_IN = [pl.lit("").alias(name) for name in ("decision", *ASPECTS, "reviewer")]
FORMULA = r"^[=+\-@\t\r]"
"""A cell that begins so is a formula to a spreadsheet: users' texts must not run there."""
_RATINGS = "\n".join(
    f'  <Header value="{name}, 1 to 5: {kind.description}"/><Rating name="{name}" toName="answer" maxRating="5"/>'
    for name, kind in Quality.model_fields.items()
)
LABEL_STUDIO_VIEW = f"""<View>
  <Header value="What the user wrote"/><Text name="prompt" value="$prompt"/>
  <Header value="What the assistant answered"/><Text name="answer" value="$answer"/>
  <Choices name="decision" toName="answer" choice="single" showInLine="true">
    <Choice value="keep"/><Choice value="drop"/>
  </Choices>
{_RATINGS}
</View>
"""


class ReviewError(Mistake):
    """A file of decisions that cannot be read; the message says where and what belongs there."""


@dataclass(frozen=True)
class Decision:
    """What somebody decided about a row; `decision` is empty where they have not yet. `ratings` are of some ASPECTS."""

    id: str
    decision: str
    reviewer: str | None = None
    decided_at: datetime | None = None
    ratings: Mapping[str, Any] = field(default_factory=dict)


def write(rows: pl.DataFrame, file: Path, format: str) -> None:
    """Write rows to be reviewed.

    Args:
        rows: see `tasks.review.rows.uncertain_rows`.
        file: where to; Label Studio's labelling view is written beside it, as .xml.
        format: one of FORMATS.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[format](rows, file)


def read(file: Path) -> list[Decision]:
    """The decisions of a file in any of FORMATS; which one it is, is seen from the file.

    Raises:
        ReviewError: no such file, another format, a decision other than keep and drop, or a rating other than 1 to 5.
    """
    if not file.is_file():
        raise ReviewError(f"There is no file {file}; `flywheel review export` writes one to fill in.")
    try:
        if file.suffix == ".csv":
            with file.open(newline="", encoding="utf-8-sig") as lines:
                found = [_plain(row, file) for row in csv.DictReader(lines)]
        elif file.suffix == ".jsonl":
            found = [_record(json.loads(line), file) for line in file.read_text("utf-8").splitlines() if line.strip()]
        else:
            found = [_record(record, file) for record in json.loads(file.read_text("utf-8"))]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ReviewError(
            f"{file} is no CSV with columns id and decision, no JSON lines with them, and no export of Label Studio or "
            f"Argilla as JSON ({type(error).__name__}): give the file that `flywheel review export` wrote, filled in."
        ) from error
    return [_checked(decision, file) for decision in found]


def _checked(decision: Decision, file: Path) -> Decision:
    plain = decision.decision.strip().lower()
    if plain and plain not in DECISIONS:
        raise ReviewError(f"{file}: the decision on {decision.id} is {plain!r}; write keep, drop, or nothing.")
    ratings = {name: _stars(value, name, decision.id, file) for name, value in decision.ratings.items()}
    return replace(decision, decision=plain, ratings=ratings)


def _stars(value: Any, name: str, row: str, file: Path) -> int:
    if str(value).strip() not in {"1", "2", "3", "4", "5"}:
        raise ReviewError(f"{file}: {name} of {row} is {value!r}; write 1 to 5, or nothing.")
    return int(value)


def _write_csv(rows: pl.DataFrame, file: Path) -> None:
    safe = rows.with_columns(
        pl.when(pl.col(name).str.contains(FORMULA)).then(pl.lit("'") + pl.col(name)).otherwise(name).alias(name)
        for name in ("prompt", "answer")
    )
    safe.with_columns(TO_FILL_IN).write_csv(file, include_bom=True)


def _write_jsonl(rows: pl.DataFrame, file: Path) -> None:
    rows.with_columns(TO_FILL_IN).write_ndjson(file)


def _write_label_studio(rows: pl.DataFrame, file: Path) -> None:
    _dump([{"data": row} for row in rows.iter_rows(named=True)], file)
    file.with_suffix(".xml").write_text(LABEL_STUDIO_VIEW, "utf-8")


def _write_argilla(rows: pl.DataFrame, file: Path) -> None:
    records = [
        {
            "id": row["id"],
            "fields": {"prompt": row["prompt"], "answer": row["answer"]},
            "metadata": {name: row[name] for name in ("reward", "perplexity", "uncertainty") if row[name] is not None},
            "suggestions": {},
            "responses": {},
            "vectors": {},
        }
        for row in rows.iter_rows(named=True)
    ]
    _dump(records, file)


def _dump(records: list[dict[str, Any]], file: Path) -> None:
    file.write_text(json.dumps(records, ensure_ascii=False, indent=1), "utf-8")


WRITERS: Mapping[str, Callable[[pl.DataFrame, Path], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "label-studio": _write_label_studio,
    "argilla": _write_argilla,
}
FORMATS = tuple(WRITERS)


def _record(record: Mapping[str, Any], file: Path) -> Decision:
    if "fields" in record:
        return _from_argilla(record)
    if "data" in record:
        return _from_label_studio(record)
    return _plain(record, file)


def _plain(row: Mapping[str, Any], file: Path) -> Decision:
    """A line of CSV or JSON lines, or of Label Studio's JSON-MIN."""
    if "id" not in row or "decision" not in row:
        raise ReviewError(f"{file}: every row needs id and decision; this one has {', '.join(map(str, row))}.")
    ratings = {name: row[name] for name in ASPECTS if row.get(name) not in {None, ""}}
    return Decision(str(row["id"]), row["decision"] or "", row.get("reviewer") or None, ratings=ratings)


def _from_label_studio(task: Mapping[str, Any]) -> Decision:
    """The newest annotation that was not skipped."""
    done = [one for one in task.get("annotations", ()) if not one.get("was_cancelled") and one.get("result")]
    if not done:
        return Decision(str(task["data"]["id"]), "")
    last = max(done, key=lambda one: str(one.get("updated_at", "")))
    said = {result["from_name"]: result["value"] for result in last["result"]}
    choices = said.get("decision", {}).get("choices", [])
    ratings = {name: said[name]["rating"] for name in ASPECTS if name in said}
    who = last.get("completed_by")
    who = who.get("email") if isinstance(who, dict) else who
    name = f"label-studio:{who}" if who is not None else None
    return Decision(str(task["data"]["id"]), next(iter(choices), ""), name, _time(last.get("updated_at")), ratings)


def _from_argilla(record: Mapping[str, Any]) -> Decision:
    """The last response that was submitted to each question."""
    said = {
        name: last
        for name, given in record["responses"].items()
        for last in [one for one in given if one.get("status", "submitted") == "submitted"][-1:]
    }
    if "decision" not in said:
        return Decision(str(record["id"]), "")
    who = said["decision"].get("user_id")
    ratings = {name: said[name]["value"] for name in ASPECTS if name in said}
    return Decision(
        str(record["id"]), str(said["decision"]["value"]), f"argilla:{who}" if who else None, ratings=ratings
    )


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
