"""Each format is told by its keys and becomes what it says."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from configs.settings import Format
from tasks.records.formats.documents import parts
from tasks.records.formats.registry import FORMATS, parse
from tasks.records.record import BadRecord, Conversation, Feedback, time, unpacked
from tests.tasks.collect.samples import ASSISTANT, SAMPLES, SPAN, USER, attribute


def only(items: list, kind: type) -> list:
    return [item for item in items if isinstance(item, kind)]


def told(found: Conversation) -> list[tuple[str, str | None]]:
    return [(turn.role, turn.content) for turn in found.messages]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_detected_and_reads_the_same_when_named(name):
    for record in SAMPLES[name]:
        detected = next(known for known, form in FORMATS.items() if form.matches(record))
        assert detected == name
        assert parse(record, "auto") == parse(record, name)
        assert not only(parse(record, name), BadRecord)


def test_the_settings_name_every_format():
    assert set(get_args(Format)) == {"auto", *FORMATS} == {"auto", *SAMPLES}


def test_openai_log_with_tools_and_parts():
    (found,) = parse(SAMPLES["openai_log"][0], "auto")
    assert [turn.role for turn in found.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert found.messages[1].content == "Look:\n[image_url]"
    assert '"arguments": "{\\"page\\": \\"sync\\"}"' in found.messages[2].tool_calls
    assert found.messages[3].tool_call_id == "c1"
    assert (found.native_id, found.user, found.model) == ("chatcmpl-1", "u1", "gpt-x-2026")
    assert found.occurred_at == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert "look_up" in found.tools


def test_arguments_of_a_tool_call_may_be_an_object():
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    record = {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [call]}]}
    assert '"arguments": "{\\"a\\": 1}"' in parse(record, "auto")[0].messages[-1].tool_calls


def test_alpaca_puts_the_input_under_the_instruction_and_the_history_before():
    (found,) = parse(SAMPLES["alpaca"][0], "auto")
    assert told(found) == [
        ("system", "Be brief."),
        ("user", "Hello"),
        ("assistant", "Hi"),
        ("user", "Sort these words.\nb, a"),
        ("assistant", "a, b"),
    ]


@pytest.mark.parametrize("at", [0, 1])
def test_kto_is_a_conversation_and_a_thumb(at):
    found, thumb = parse(SAMPLES["kto"][at], "auto")
    assert told(found)[-1] == ("assistant", "Press Retry now.")
    assert (thumb.kind, thumb.value, thumb.target) == ("thumb", [-1.0, 1.0][at], None)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_preference_is_the_chosen_conversation_and_a_comparison(at):
    found, comparison = parse(SAMPLES["preference"][at], "auto")
    assert [turn.role for turn in found.messages] == ["user", "assistant"]
    assert found.messages[-1].content == comparison.preferred
    assert comparison.rejected in ("What?", "No.", "No idea.")


def test_a_pair_in_openais_form_says_whose_it_is_and_which_tools_there_were():
    about = {"id": "p1", "user": "u1", "conversation_id": "talk-1", "model": "gpt-x", "metadata": {"app": "web"}}
    asked = {"messages": [USER], "tools": [{"type": "function", "function": {"name": "look_up"}}]}
    other = [{"role": "assistant", "content": "No idea."}]
    record = {**about, "input": asked, "preferred_output": [ASSISTANT], "non_preferred_output": other}
    found, comparison = parse(record, "auto")
    assert (found.native_id, found.user, found.conversation, found.model) == ("p1", "u1", "talk-1", "gpt-x")
    assert found.metadata == {"metadata": {"app": "web"}}
    assert "look_up" in found.tools
    assert (comparison.user, comparison.rejected) == ("u1", "No idea.")


SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [{"from": "human", "value": "My notes do not sync."}, {"from": "gpt", "value": "Press Retry now."}]


@pytest.mark.parametrize(
    "record",
    [
        {"conversations": TURNS, "kto_tag": True},
        {"messages": [USER, ASSISTANT], "label": True},
        {"conversations": TURNS[:1], "chosen": TURNS[1], "rejected": {"from": "gpt", "value": "No idea."}},
        {"prompt": [SYSTEM, USER], "chosen": "Press Retry now.", "rejected": "No idea."},
        {"chosen": [USER, ASSISTANT], "rejected": [USER, {"role": "assistant", "content": "No idea."}]},
        {"instruction": "My notes do not sync.", "chosen": "Press Retry now.", "rejected": "No idea."},
    ],
)
def test_a_system_prompt_beside_the_turns_comes_first_and_once(record):
    found, _ = parse(record | {"system": "Be brief."}, "auto")
    assert told(found)[0] == ("system", "Be brief.")
    assert [turn.role for turn in found.messages] == ["system", "user", "assistant"]


def test_opentelemetry_span_with_tool_calls_and_its_evaluation():
    found, thumb = parse(SAMPLES["opentelemetry"][0], "auto")
    assert told(found) == [
        ("system", "Be brief."),
        ("user", "My notes do not sync."),
        ("assistant", None),
        ("tool", '{"ok": true}'),
        ("assistant", "Press Retry now."),
    ]
    place = f"{SPAN['traceId']}/{SPAN['spanId']}"
    assert (found.native_id, found.conversation, found.user, found.model) == (place, "talk-1", "u1", "gpt-x")
    assert (thumb.kind, thumb.value, thumb.comment, thumb.target) == ("thumb", 1.0, "it worked", place)
    (rating,) = parse(SAMPLES["opentelemetry"][1], "auto")
    assert (rating.kind, rating.value, rating.target) == ("rating", 0.25, place)


def test_opentelemetry_messages_as_langchain_names_their_roles():
    messages = {
        "gen_ai.input.messages": '[{"role": "Human", "parts": [{"type": "text", "content": "Hi"}]}]',
        "gen_ai.output.messages": '[{"role": "AI", "parts": [{"type": "text", "content": "Hello!"}]}]',
    }
    span = {"traceId": "t", "spanId": "s", "attributes": [attribute(key, text) for key, text in messages.items()]}
    (found,) = parse({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}, "auto")
    assert told(found) == [("user", "Hi"), ("assistant", "Hello!")]


def test_one_bad_span_leaves_the_others_of_its_export_alone():
    silent = {"spanId": "x", "traceId": "y", "attributes": [{"key": "gen_ai.system", "value": {"stringValue": "z"}}]}
    record = {"resourceSpans": [{"scopeSpans": [{"spans": [silent, SPAN]}]}]}
    bad, found, _ = parse(record, "auto")
    assert "does not capture content" in str(bad)
    assert bad.part == silent
    assert isinstance(found, Conversation)


def test_langfuse_generations_and_scores():
    kinds = [only(parse(record, "auto"), Feedback) for record in SAMPLES["langfuse"]]
    thumb, approved, correction, comment, rating = (one for found in kinds for one in found)
    assert (thumb.kind, thumb.value, thumb.comment, thumb.target) == ("thumb", -1.0, "curt", "trace-3")
    assert (approved.value, approved.target) == (1.0, "trace-1")
    assert (correction.kind, correction.preferred, correction.target) == ("edit", "Press Retry.", "obs-1")
    assert comment.comment == "tone: friendly"
    assert (rating.kind, rating.value) == ("rating", 0.75)
    generation = parse(SAMPLES["langfuse"][0], "auto")[0]
    assert (generation.native_id, generation.aliases) == ("obs-1", ["trace-1"])
    assert told(parse(SAMPLES["langfuse"][1], "auto")[0]) == [("user", "Hi"), ("assistant", "Hello!")]


def test_litellm_takes_successful_calls_with_texts():
    record = SAMPLES["litellm"][0]
    assert told(parse(record, "auto")[0]) == [("user", "My notes do not sync."), ("assistant", "Press Retry now.")]
    assert parse({"standard_logging_object": record}, "auto")[0] == parse(record, "auto")[0]
    with pytest.raises(BadRecord, match="did not succeed"):
        parse({**record, "status": "failure"}, "auto")
    redacted = {"role": "user", "content": "redacted-by-litellm"}
    with pytest.raises(BadRecord, match="redacted by LiteLLM"):
        parse({**record, "messages": [redacted]}, "auto")


def test_open_webui_is_the_rated_branch_a_thumb_and_what_it_was_preferred_to():
    found, thumb, comparison = parse(SAMPLES["open_webui"][0], "auto")
    assert told(found) == [("user", "My notes do not sync."), ("assistant", "Press Retry now.")]
    assert (thumb.value, thumb.comment, thumb.target) == (1.0, "helpful", "a1")
    assert (comparison.preferred, comparison.rejected) == ("Press Retry now.", "No idea.")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": []}, "there are no messages"),
        ({"messages": [USER]}, "there is no answer"),
        ({"messages": [ASSISTANT]}, "there is no question"),
        ({"messages": [{"role": "ghost", "content": "boo"}]}, "role 'ghost'"),
        ({"messages": [{"role": "user", "content": 3}]}, "is a number, not text"),
        ({"messages": [USER, ASSISTANT], "timestamp": "yesterday"}, "is no time"),
        ({"a": 1, "b": 2}, "no known format has the keys a, b"),
        ({"resourceSpans": []}, "neither a conversation nor feedback"),
        ([1], "the record is no object"),
    ],
)
def test_a_bad_record_has_a_reason(record, reason):
    with pytest.raises(BadRecord, match=reason):
        parse(record, "auto")


@pytest.mark.parametrize("value", ["2026-03-02T09:00:00Z", 1772442000, 1772442000000, "1772442000000000", 1772442000e9])
def test_times_of_every_kind(value):
    assert time(value) == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_a_long_document_is_cut_between_paragraphs_and_loses_nothing():
    paragraphs = [f"Paragraph {at}. " + "word " * 150 for at in range(40)]
    pieces = list(parts("\n\n".join(paragraphs)))
    assert all(len(piece) <= 8_000 for piece in pieces)
    assert " ".join(" ".join(pieces).split()) == " ".join(" ".join(paragraphs).split())
    assert all(piece.startswith("Paragraph") for piece in pieces)
    assert "".join(parts("x" * 20_000)) == "x" * 20_000


def test_json_that_is_nested_too_deep_stays_a_text() -> None:
    deep = "[" * 100_000
    assert unpacked(deep) == deep
    assert unpacked('{"a": [1]}') == {"a": [1]}
