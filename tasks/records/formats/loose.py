"""Inputs and outputs of a model call as tracing tools keep them: text, messages, requests, or any of these as JSON."""

from typing import Any

from tasks.records.formats.chat import answer_of
from tasks.records.record import ROLES, BadRecord, Message, first, message, messages, text, tool_calls, unpacked, word

QUESTION_KEYS = ("prompt", "question", "query", "input", "text", "content")
ANSWER_KEYS = ("content", "text", "output", "answer", "completion", "response")


def asked(value: Any) -> list[Message]:
    """What a model was asked.

    Raises:
        BadRecord: there is no question in it.
    """
    value = unpacked(value)
    if isinstance(value, str) and value:
        return [Message("user", value)]
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return [Message("user", "\n".join(value))]
    if isinstance(value, list):
        return messages(value)
    if isinstance(value, dict):
        if "messages" in value:
            return messages(unpacked(value["messages"]))
        if word(value.get("role")) in ROLES:
            return [message(value)]
        if (question := first(value, *QUESTION_KEYS)) is not None:
            return asked(question)
    raise BadRecord("there is no question")


def replied(value: Any) -> Message:
    """What a model answered.

    Raises:
        BadRecord: there is no answer in it.
    """
    value = unpacked(value)
    if isinstance(value, str) and value:
        return Message("assistant", value)
    if isinstance(value, list) and value:
        return replied(value[-1])
    if isinstance(value, dict):
        if "choices" in value:
            return answer_of(value)
        if isinstance(value.get("message"), dict):
            return message(value["message"])
        answer = first(value, *ANSWER_KEYS)
        if answer is not None or value.get("tool_calls"):
            return Message("assistant", text(answer, "the answer"), tool_calls=tool_calls(value.get("tool_calls")))
    raise BadRecord("there is no answer")
