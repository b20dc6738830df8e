"""The sample data is what the generator makes, and it is worth learning from."""

import json
from pathlib import Path

from tests.sample.make import FOLDER, make


def _rows(*paths: Path) -> list[dict]:
    found = []
    for line in (line for path in paths for line in path.read_text(encoding="utf-8").splitlines()):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [row for row in found if isinstance(row, dict)]


def _shingles(text: str) -> frozenset[str]:
    words = text.casefold().split()
    return frozenset(" ".join(words[start : start + 2]) for start in range(max(1, len(words) - 1)))


def test_the_generator_writes_what_is_in_the_repository(tmp_path):
    make(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.jsonl"))
    assert written == sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.jsonl"))
    for path in written:
        assert (tmp_path / path).read_bytes() == (FOLDER / path).read_bytes(), path


def test_at_least_300_questions_stay_after_near_dedupe():
    questions = {}
    for row in _rows(*sorted(FOLDER.glob("logs/*.jsonl"))):
        messages = row.get("request", {}).get("messages")
        if row.get("response", {}).get("choices") and isinstance(messages, list):
            user = "\n".join(message["content"] for message in messages if message["role"] == "user")
            questions[row["response"]["id"]] = _shingles(user)
    kept: list[frozenset[str]] = []
    for one in questions.values():
        if all(len(one & other) < 0.8 * len(one | other) for other in kept):
            kept.append(one)
    assert len(questions) >= 600
    assert len(kept) >= 300


def test_feedback_covers_half_of_the_answers_in_every_kind():
    answers = {row["response"]["id"] for row in _rows(*FOLDER.glob("logs/*.jsonl")) if row.get("response")}
    feedback = _rows(FOLDER / "feedback.jsonl")
    judged = {row["target_id"] for row in feedback}
    assert judged <= answers
    assert len(judged) >= 0.5 * len(answers)
    assert {row["kind"] for row in feedback} == {"thumb", "rating", "edit", "regenerate", "comparison", "comment"}
    assert sum(row["kind"] == "edit" for row in feedback) >= 30


def test_it_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_500_000
