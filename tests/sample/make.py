"""Writes the sample data: logs of an invented product's assistant, feedback on them, and general questions.

`python -m tests.sample.make` writes configs/sample/, byte for byte the same every time. The pages in
configs/sample/documents/ are written by hand and stay as they are.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from tests.sample.talk import Talk, Turn, Writer, bank

SEED = 17
FOLDER = Path(__file__).parents[2] / "configs" / "sample"
FIRST_DAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 7
MODEL = "quillbay-assistant-1"
SYSTEM = "You are the assistant of Quillbay, a notes app for teams. Answer briefly and name the menu path."
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_workspace",
            "description": "Plan and storage of a workspace.",
            "parameters": {"type": "object", "properties": {"workspace": {"type": "string"}}},
        },
    }
]
MALFORMED = [
    '{"timestamp": "2026-03-02T09:12:44Z", "workload_id": "assistant", "request": {"model": "quillbay-assis',
    '{"timestamp": "2026-03-03T10:00:00Z", "request": {"messages": "how do I sync"}, "response": {}}',
    "2026-03-04 11:40:02 WARN upstream timed out after 30 s",
    '{"timestamp": "2026-03-05T08:30:00Z", "request": {"messages": []}, "response": {"id": "x", "choices": []}}',
    '["not", "a", "record"]',
    '{"timestamp": "2026-03-07T16:45:10Z", "error": {"code": 500, "message": "internal error"}}',
]


@dataclass(frozen=True)
class Logged:
    """A request as the log has it."""

    at: datetime
    response_id: str
    client: str
    record: dict[str, Any]
    turn: Turn | None  # None: a step that ended in a tool call
    rated: bool


def talks(writer: Writer) -> list[Talk]:
    """All conversations, in a random order."""
    random, asked = writer.random, list(writer.asked)
    random.shuffle(asked)
    unique = [writer.product_talk(key, ask) for key, ask in [*asked, *asked[:90]]]
    found = list(unique)
    for talk in random.sample(unique, 34):  # asked again in the same words; now and then answered in the same words
        turn = talk.turns[0]
        key = next(key for key, ask in writer.asked if ask.lower() in turn.question.lower())
        found.append(talk if random.random() < 0.3 else Talk((replace(writer.turn(key, turn.question)),)))
    for talk in random.sample(unique, 42):
        question = writer.near_duplicate(talk.turns[0].question)
        found.append(Talk((replace(talk.turns[0], question=question),)))
    found += [writer.long_talk() for _ in range(36)]
    found += [writer.personal_talk() for _ in range(74)]
    found += [writer.tool_talk() for _ in range(10)]
    found += [writer.foreign_talk(code, number) for code in ("de", "es", "fr", "zh") for number in range(10)]
    found += [writer.junk_talk(number) for number in range(20)]
    found += [writer.refusal_talk(number) for number in range(10)]
    random.shuffle(found)
    return [replace(talk, consent=False if place % 75 == 7 else None) for place, talk in enumerate(found)]


def logged(writer: Writer, talk: Talk) -> Iterator[Logged]:
    """The requests of a conversation, each with the whole history before it."""
    random = writer.random
    at = FIRST_DAY + timedelta(seconds=random.randint(0, DAYS * 86400 - 3600))
    client = f"client-{random.randint(1, 90):03d}"
    history: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    tools = TOOLS if any(turn.steps for turn in talk.turns) else None
    for turn in talk.turns:
        history.append({"role": "user", "content": turn.question})
        for step in (*turn.steps, {"role": "assistant", "content": turn.answer}):
            if step["role"] == "assistant":
                at += timedelta(seconds=random.randint(2, 240))
                name = f"chatcmpl-{writer.people.letters(20)}"
                record = _record(at, client, name, history, step, tools, talk.consent)
                yield Logged(at, name, client, record, None if "tool_calls" in step else turn, talk.rated)
            history.append(step)


def _record(
    at: datetime,
    client: str,
    name: str,
    history: list[dict[str, Any]],
    answer: dict[str, Any],
    tools: list[dict[str, Any]] | None,
    consent: bool | None,
) -> dict[str, Any]:
    request: dict[str, Any] = {"model": MODEL, "messages": list(history), "temperature": 0.3}
    if tools:
        request["tools"] = tools
    if consent is not None:
        request["metadata"] = {"consent": consent}
    prompt_tokens = sum(len(message["content"] or "") for message in history) // 4
    answer_tokens = len(answer["content"] or "") // 4
    reason = "tool_calls" if "tool_calls" in answer else "stop"
    return {
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "workload_id": "assistant",
        "client_id": client,
        "request": request,
        "response": {
            "id": name,
            "created": int(at.timestamp()),
            "model": MODEL,
            "choices": [{"index": 0, "message": answer, "finish_reason": reason}],
            "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": answer_tokens},
        },
    }


def feedback(writer: Writer, requests: Iterable[Logged]) -> Iterator[dict[str, Any]]:
    """What people thought of the answers: mostly thumbs, some edits, a few of every other kind."""
    random = writer.random
    for request in requests:
        turn = request.turn
        if turn is None or not request.rated:
            continue
        say = {"target_id": request.response_id, "user": request.client}
        at = request.at + timedelta(minutes=random.randint(1, 600))
        stamp = {"timestamp": at.isoformat().replace("+00:00", "Z")}
        if not turn.good and random.random() < 0.4:
            yield {**say, "kind": "edit", "preferred": turn.better, "rejected": turn.answer, **stamp}
        if random.random() < 0.55:
            liked = turn.good if random.random() < 0.95 else not turn.good
            yield {**say, "kind": "thumb", "value": 1 if liked else -1, **stamp}
        elif random.random() < 0.25:
            yield {**say, **_rare(writer, turn), **stamp}


def _rare(writer: Writer, turn: Turn) -> dict[str, Any]:
    kind = writer.random.choice(["rating", "comment", "regenerate", "comparison"])
    if kind == "rating":
        return {"kind": kind, "value": writer.random.choice([0.75, 1.0] if turn.good else [0.0, 0.25])}
    if kind == "comment":
        said = ["exactly what I needed", "clear and short"] if turn.good else ["does not help", "that is not true"]
        return {"kind": kind, "comment": writer.random.choice(said)}
    preferred, rejected = (turn.answer, writer.bad_answer()) if turn.good else (turn.better, turn.answer)
    return {"kind": kind, "preferred": preferred, "rejected": rejected}


def general(random: Random) -> Iterator[dict[str, str]]:
    """Questions that have nothing to do with the product."""
    rows = bank("general")
    for question, answer in rows["rows"]:
        yield {"instruction": question, "input": "", "output": answer}
    for country, city in rows["capitals"].items():
        ask = random.choice(
            ["What is the capital of {}?", "Name the capital of {}.", "Which city is the capital of {}?"]
        )
        yield {"instruction": ask.format(country), "input": "", "output": f"The capital of {country} is {city}."}
    for one, many, factor in rows["units"]:
        for count in random.sample(range(2, 40), 3):
            answer = f"One {one} has {factor} {many}, so {count} {one}s are {count * factor} {many}."
            yield {"instruction": f"How many {many} are {count} {one}s?", "input": "", "output": answer}
    for name in random.sample(bank("people")["given"], 14):
        goods, price, count = random.choice(rows["goods"]), random.randint(2, 9), random.randint(3, 9)
        total = price * count
        ask = f"{name} buys {count} {goods} at {price} dollars each and pays with 100 dollars. How much is the change?"
        change = f"The change is 100 - {total} = {100 - total} dollars."
        answer = f"The {goods} cost {count} * {price} = {total} dollars. {change}"
        yield {"instruction": ask, "input": "", "output": answer}
    for _ in range(8):
        words = random.sample(rows["goods"], 4)
        yield {
            "instruction": "Sort these words by the alphabet.",
            "input": ", ".join(words),
            "output": ", ".join(sorted(words)),
        }


def make(folder: Path) -> None:
    """Write logs/, feedback.jsonl and general.jsonl into `folder`."""
    writer = Writer(Random(SEED))
    requests = sorted((request for talk in talks(writer) for request in logged(writer, talk)), key=lambda r: r.at)
    folder.joinpath("logs").mkdir(parents=True, exist_ok=True)
    for number in range(DAYS):
        day = (FIRST_DAY + timedelta(days=number)).date()
        lines = [_line(request.record) for request in requests if request.at.date() == day]
        lines.append(lines[3])  # a client that sent its record twice
        if number < len(MALFORMED):
            lines.insert(len(lines) // 2, MALFORMED[number])
        _write(folder / "logs" / f"{day}.jsonl", lines)
    said = sorted(feedback(writer, requests), key=lambda row: row["timestamp"])
    _write(folder / "feedback.jsonl", map(_line, said))
    rows = [{"id": f"general-{number:03d}", **row} for number, row in enumerate(general(writer.random))]
    _write(folder / "general.jsonl", map(_line, rows))


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_bytes("".join(line + "\n" for line in lines).encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    make(parser.parse_args().folder)
