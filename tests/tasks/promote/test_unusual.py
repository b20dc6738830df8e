"""Batches that are unlike those before: seen in their rows, whatever model learned from them."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.settings import SelectSettings
from storage.lake import Lake
from tasks.promote.unusual import MARKS, compared, doubts
from tests.rows import write

SELECT = SelectSettings()
THINGS = ("apples", "pears", "lamps", "books", "chairs", "stones", "ships", "horses", "bottles", "letters", "maps")
PLACES = ("Paris", "Rome", "Oslo", "Cairo", "Lima", "Tokyo", "Quito", "Delhi", "Perth", "Dublin", "Prague", "Vienna")
Row = tuple[str, str, str]
"""Id, question, answer."""


def night(name: str, count: int = 120) -> list[Row]:
    chance = random.Random(name)
    rows = []
    for number in range(count):
        thing, place, many = chance.choice(THINGS), chance.choice(PLACES), chance.randint(100, 999)
        question = (
            f"A merchant sold {many} {thing} at the market of {place} and got two dollars for each. How much is it?"
        )
        answer = f"For {many} {thing} sold at the market of {place} the merchant got {2 * many} dollars in all."
        rows.append((f"{name}-{number:03}", question, answer))
    return rows


def write_night(lake: Lake, batch: str, rows: Sequence[Row]) -> None:
    empty = {"name": None, "tool_calls": None, "tool_call_id": None}
    curated = [
        {
            "id": name,
            "kind": "conversation",
            "domain": "shop",
            "origin": "user",
            "split": "train",
            "source": "chats",
            "language": "en",
            "messages": [
                {"role": "user", "content": question, **empty},
                {"role": "assistant", "content": answer, **empty},
            ],
            "refusal": "sorry" in answer,
            "repetition": 0.0,
            "chars": 100,
        }
        for name, question, answer in rows
    ]
    write(lake, "curated", batch, curated)


def tenth_shuffled(rows: Sequence[Row]) -> list[Row]:
    cut = len(rows) // 10
    moved = [(*rows[at][:2], rows[(at + 1) % cut][2]) for at in range(cut)]
    return [*moved, *rows[cut:]]


def refused(rows: Sequence[Row]) -> list[Row]:
    return [(name, question, "I am sorry, but I cannot help with that.") for name, question, _ in rows]


def in_german(rows: Sequence[Row]) -> list[Row]:
    return [
        (name, question, "Das Wetter ist heute sehr schön, und wir gehen an den See.") for name, question, _ in rows
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    for batch in ("0001", "0002"):
        write_night(found, batch, night(batch))
    return found


def test_another_night_like_those_before_is_not_doubted(lake: Lake) -> None:
    write_night(lake, "0003", night("0003"))
    assert doubts(lake, "0003", "0002", 0.05, SELECT) == []


@pytest.mark.parametrize(
    ("tamper", "said"),
    [(tenth_shuffled, "of their question"), (refused, " refuse "), (in_german, "in another language")],
)
def test_a_tampered_night_is_doubted(lake: Lake, tamper: Callable[[Sequence[Row]], list[Row]], said: str) -> None:
    write_night(lake, "0003", tamper(night("0003")))
    found = doubts(lake, "0003", "0002", 0.05, SELECT)
    assert any("batch 0003" in sentence and said in sentence for sentence in found)
    assert doubts(lake, "0003", "0002", 1.0, SELECT) == []


def test_what_the_rules_leave_out_does_not_hold_later_nights(lake: Lake) -> None:
    """Refusals are not learned; shuffled answers are, and stay a doubt until a person decides."""
    write_night(lake, "0003", refused(night("0003")))
    write_night(lake, "0004", night("0004"))
    assert doubts(lake, "0004", "0002", 0.05, SELECT) == []
    write_night(lake, "0005", tenth_shuffled(night("0005")))
    write_night(lake, "0006", night("0006"))
    assert doubts(lake, "0006", "0002", 0.05, SELECT) != []
    decided = [
        {"id": f"r{at}", "target_id": f"0005-{at:03}", "decision": "drop", "decided_at": None} for at in range(12)
    ]
    write(lake, "reviews", "0006", decided)
    assert doubts(lake, "0006", "0002", 0.05, SELECT) == []


def test_too_few_rows_are_no_ground_for_doubt(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    write_night(lake, "0001", night("0001", 30))
    write_night(lake, "0002", refused(night("0002")))
    assert doubts(lake, "0002", "0001", 0.05, SELECT) == []
    assert doubts(lake, "0002", None, 0.05, SELECT) == []


def test_honest_batches_are_doubted_as_rarely_as_said() -> None:
    """Exactly so for scores without ties: of 2,000 batches about one in a hundred falls below a chance of 1%."""
    generator = np.random.default_rng(3)
    chances = []
    for _ in range(2000):
        old, new = (pl.DataFrame(dict.fromkeys(MARKS, generator.gamma(2, 1, size))) for size in (300, 80))
        chances.append(next(compared(old, new)).chance)
    assert 0.002 < np.mean(np.array(chances) < 0.01) < 0.018
