"""Nights of an invented product, as many as wanted: logs and feedback made of the sample's own sentences.

No two conversations are near duplicates, and most paragraphs are known from earlier nights, as with real users. So a
night costs little but what the pipeline itself costs.
"""

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

SAMPLE = Path("configs/sample")
Record = dict[str, Any]
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
PARAGRAPHS, WORDS = 8, 6
"""Of a question or an answer. Shorter than the 8 words by which a text gives away a test item: otherwise every night
would give away every item."""


def write_night(folder: Path, number: int, rows: int, judged: float = 0.2) -> None:
    """Write the logs of a night and the feedback on them: `folder`/logs/NUMBER.jsonl, `folder`/feedback/NUMBER.jsonl.

    Args:
        folder: where they go.
        number: of the night; the same one is the same bytes.
        rows: conversations.
        judged: share of them that somebody gave a thumb or an edit.
    """
    logs = conversations(number, rows)
    for part, lines in (("logs", logs), ("feedback", judgements(number, logs, judged))):
        file = folder / part / f"{number:05d}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def conversations(number: int, rows: int) -> list[Record]:
    """So many log records of a night. What a user asks begins with a name of its own."""
    chance = random.Random(number)
    asked, answered = _sentences()
    made = []
    for at in range(rows):
        name = f"chat-{number:05d}-{at:05d}"  # of one length: more digits could be a telephone's
        question = f"{name}: " + "\n\n".join(chance.sample(asked, PARAGRAPHS))
        answer = "\n\n".join(chance.sample(answered, PARAGRAPHS))
        when = (FIRST + timedelta(days=number, seconds=at)).isoformat()
        made.append(_log(name, when, f"user-{chance.randrange(rows)}", question, answer))
    return made


def judgements(number: int, logs: Sequence[Record], judged: float) -> list[Record]:
    """Feedback on a share of a night's logs: a thumb or an edit."""
    chance = random.Random(number)
    return [_judgement(log, chance) for log in logs if chance.random() < judged]


@cache
def _sentences() -> tuple[list[str], list[str]]:
    """What the sample's users ask, and what its assistant answers, each once."""
    asked: dict[str, None] = {}
    answered: dict[str, None] = {}
    for file in sorted((SAMPLE / "logs").glob("*.jsonl")):
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
                asked[record["request"]["messages"][-1]["content"]] = None
                answered[record["response"]["choices"][0]["message"]["content"]] = None
            except (ValueError, LookupError, TypeError):  # the sample has broken lines on purpose
                continue
    return _beginnings(asked), _beginnings(answered)


def _beginnings(texts: Iterable[str]) -> list[str]:
    return sorted({" ".join(text.split()[:WORDS]) for text in texts if isinstance(text, str) and text.strip()})


def _log(name: str, when: str, user: str, question: str, answer: str) -> Record:
    return {
        "timestamp": when,
        "client_id": user,
        "request": {"model": "assistant", "messages": [{"role": "user", "content": question}]},
        "response": {"id": name, "choices": [{"message": {"role": "assistant", "content": answer}}]},
    }


def _judgement(log: Record, chance: random.Random) -> Record:
    name, answer = log["response"]["id"], log["response"]["choices"][0]["message"]["content"]
    about = {"target_id": name, "user": f"judge-{name}", "timestamp": log["timestamp"]}
    if chance.random() < 0.3:
        return {**about, "kind": "edit", "preferred": f"{answer}\n\nIs there anything else?", "rejected": answer}
    return {**about, "kind": "thumb", "value": chance.choice((1, 1, -1))}
