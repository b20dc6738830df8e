"""What waits in the spool is forgotten where it lies, and what comes again stays out."""

import fcntl
import json
from pathlib import Path
from typing import Any

from configs.settings import CollectSettings
from flows.erase import erase, plan
from storage.lake import Lake
from storage.names import Names, values
from tasks.collect.run import collect_new

SETTINGS = CollectSettings()


def told(number: int, user: str) -> dict[str, Any]:
    return {
        "timestamp": f"2026-03-02T10:{number:02d}:00Z",
        "client_id": user,
        "request": {"model": "m", "messages": [{"role": "user", "content": f"Question {number} of {user}"}]},
        "response": {"id": f"reply-{number}", "choices": [{"message": {"role": "assistant", "content": "Yes."}}]},
    }


def spool(lake: Lake, name: str, *records: dict[str, Any], torn: str = "") -> Path:
    file = Path(lake.path() + ".spool") / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records) + torn)
    return file


def asked(lake: Lake) -> list[str]:
    return sorted(messages[0]["content"] for messages in lake.read("interactions").collect()["messages"])


def test_a_line_is_blanked_where_it_lies_and_the_others_are_collected(lake: Lake) -> None:
    thumb = {"target_id": "reply-2", "user": "ann", "kind": "thumb", "value": 1, "timestamp": "2026-03-02T11:00:00Z"}
    unreadable = {**told(4, "ann"), "response": {}}
    file = spool(lake, "a.jsonl", told(1, "ann"), told(2, "bob"), thumb, unreadable, told(3, "bob"), torn='{"cl')
    size = file.stat().st_size
    what = plan(lake, "user", "ann", SETTINGS)
    assert what.spooled == 3
    assert not what.empty
    assert "ann" in file.read_text()
    erase(lake, what)
    assert "ann" not in file.read_text()
    assert file.stat().st_size == size
    assert plan(lake, "user", "ann", SETTINGS).empty
    collect_new(lake, SETTINGS)
    assert asked(lake) == ["Question 2 of bob", "Question 3 of bob"]
    assert lake.read("quarantine").collect().is_empty()
    assert lake.read("feedback").collect().is_empty()


def test_a_segment_that_is_half_collected_loses_and_doubles_nothing(lake: Lake) -> None:
    records = [told(1, "ann"), told(2, "bob")]
    file = spool(lake, "a.jsonl", *records)
    with file.open("rb") as open_segment:  # its collector lives: it holds the lock, and the file stays
        fcntl.flock(open_segment, fcntl.LOCK_EX)
        collect_new(lake, SETTINGS)
        with file.open("a") as out:
            out.writelines(json.dumps(record) + "\n" for record in (told(3, "ann"), told(4, "bob")))
        erase(lake, plan(lake, "user", "ann", SETTINGS))
        collect_new(lake, SETTINGS)
    assert asked(lake) == ["Question 2 of bob", "Question 4 of bob"]


def test_names_are_found_in_text_that_is_no_json() -> None:
    broken = '{"client_id": "ann b.", "id": "chat-1", "n": 17, "messages": [{"content": "cut off'
    assert {"ann b.", "chat-1", "17"} <= values(broken)
    assert {"ann", "x@y.zz"} <= values("ann;x@y.zz;hello")
    names = Names(lambda user: f"hash of {user}", ["chats"])
    assert ("user", "hash of ann b.") in set(names.within(broken))
