"""What stands instead of findings, and texts inside of JSON."""

import json
import re

import pytest

from configs.settings import Replacement, ScrubSettings
from tasks.scrub.fields import rewrite
from tasks.scrub.finding import Finding, clipped, resolve
from tasks.scrub.replace import Conversation, DroppedError

DEFAULT = ScrubSettings()


def conversation(settings: ScrubSettings = DEFAULT, name: str = "c") -> Conversation:
    return Conversation(name, b"secret", settings, {})


def person(start: int, end: int) -> Finding:
    return Finding(start, end, "PERSON", 0.5)


def test_replacement_is_by_offset() -> None:
    text = "Ann met Anna."
    assert conversation().replaced(text, [person(0, 3), person(8, 12)]) == "<PERSON_1> met <PERSON_2>."
    assert conversation().replaced(text, [person(8, 12)]) == "Ann met <PERSON_1>."


def test_numbers_that_stand_there_already_are_not_given_out() -> None:
    talk = conversation()
    talk.reserve(["I am <PERSON_4>."])
    assert talk.replaced("Ann", [person(0, 3)]) == "<PERSON_5>"


def test_modes_by_type() -> None:
    special = (Replacement(entity="PHONE_NUMBER", mode="mask"), Replacement(entity="US_SSN", mode="drop"))
    talk = conversation(ScrubSettings(replacement="pseudonym", replacements=special))
    assert re.fullmatch(r"<PERSON_[0-9a-f]{8}>", talk.replaced("Ann", [person(0, 3)]))
    assert talk.replaced("555 0100", [Finding(0, 8, "PHONE_NUMBER", 1)]) == "********"
    with pytest.raises(DroppedError, match="US_SSN"):
        talk.replaced("x", [Finding(0, 1, "US_SSN", 1)])


def test_pseudonyms_do_not_link_conversations() -> None:
    settings = ScrubSettings(replacement="pseudonym")
    names = {conversation(settings, name).replaced("Ann", [person(0, 3)]) for name in ("a", "a", "b")}
    assert len(names) == 2


def test_overlapping_findings_leave_nothing_between_them() -> None:
    text = "call 12 Main Street 5"
    findings = [Finding(5, 19, "ADDRESS", 0.6), Finding(8, 21, "PERSON", 0.5), Finding(0, 5, "X", 0.9)]
    assert resolve(findings, text) == [Finding(0, 4, "X", 0.9), Finding(5, 21, "ADDRESS", 0.6)]


def test_clipped_findings_begin_at_the_cut() -> None:
    assert clipped([Finding(2, 9, "X", 1), Finding(0, 3, "Y", 1)], 4, 8) == [Finding(0, 4, "X", 1)]


def test_json_is_rewritten_leaf_by_leaf() -> None:
    inner = json.dumps({"to": "ann", "n": 12345, "ok": True, "none": None})
    calls = json.dumps([{"id": "c1", "function": {"name": "f", "arguments": inner}}])
    message = {"role": "assistant", "content": None, "name": None, "tool_calls": calls, "tool_call_id": None}
    seen = []

    def visit(name: str, text: str) -> str:
        seen.append((name, text))
        return text.replace("ann", "<P_1>").replace("12345", "<N_1>")

    new = rewrite({"messages": [message], "tools": None}, visit)
    (call,) = json.loads(new["messages"][0]["tool_calls"])
    assert json.loads(call["function"]["arguments"]) == {"to": "<P_1>", "n": "<N_1>", "ok": True, "none": None}
    assert ("to", "ann") in seen


def test_what_does_not_change_stays_byte_for_byte() -> None:
    odd = '{ "a" : 1.50,\n"b":"\\u00e9" }'
    message = {"role": "tool", "content": odd, "name": "f", "tool_calls": "not json", "tool_call_id": "c1"}
    row = {"messages": [message], "tools": odd}
    assert rewrite(row, lambda _, text: text) == row
