"""One honest record of every format, as the tools write them: what the tests of collect read, mutate and mix."""

from typing import Any

ASSISTANT = {"role": "assistant", "content": "Press Retry now."}
USER = {"role": "user", "content": "My notes do not sync."}
CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"page": "sync"}'}}


def attribute(key: str, value: Any) -> dict[str, Any]:
    """A key and its AnyValue."""
    return {"key": key, "value": {"stringValue": value} if isinstance(value, str) else value}


SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "chat gpt-x",
    "startTimeUnixNano": "1772441591000000000",
    "attributes": [
        attribute("gen_ai.operation.name", "chat"),
        attribute("gen_ai.response.model", "gpt-x"),
        attribute("gen_ai.conversation.id", "talk-1"),
        attribute("user.id", "u1"),
        attribute("gen_ai.usage.input_tokens", {"intValue": "12"}),
        attribute("gen_ai.system_instructions", '[{"type": "text", "content": "Be brief."}]'),
        attribute(
            "gen_ai.input.messages",
            '[{"role": "user", "parts": [{"type": "text", "content": "My notes do not sync."}]},'
            ' {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"},'
            ' {"type": "tool_call", "id": "c1", "name": "look_up", "arguments": {"page": "sync"}}]},'
            ' {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"ok": true}}]}]',
        ),
        attribute(
            "gen_ai.output.messages",
            '[{"role": "assistant", "finish_reason": "stop",'
            ' "parts": [{"type": "text", "content": "Press Retry now."}]}]',
        ),
    ],
    "events": [
        {
            "name": "gen_ai.evaluation.result",
            "timeUnixNano": "1772441592000000000",
            "attributes": [
                attribute("gen_ai.evaluation.name", "helpful"),
                attribute("gen_ai.evaluation.score.label", "pass"),
                attribute("gen_ai.evaluation.explanation", "it worked"),
            ],
        }
    ],
}

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "openai_log": [
        {
            "timestamp": "2026-03-02T09:00:00Z",
            "workload_id": "assistant",
            "client_id": "u1",
            "request": {
                "model": "gpt-x",
                "messages": [
                    {"role": "developer", "content": "Be brief."},
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {}}],
                    },
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c1", "content": "ok"},
                ],
                "tools": [{"type": "function", "function": {"name": "look_up", "parameters": {}}}],
            },
            "response": {
                "id": "chatcmpl-1",
                "created": 1772441600,
                "model": "gpt-x-2026",
                "choices": [{"index": 0, "message": ASSISTANT, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 4},
            },
        }
    ],
    "messages": [{"id": "m1", "messages": [USER, ASSISTANT], "user": "u1", "created_at": 1772441600.5}],
    "sharegpt": [
        {
            "system": "Be brief.",
            "conversations": [
                {"from": "human", "value": "My notes do not sync."},
                {"from": "gpt", "value": "Press Retry now."},
            ],
        }
    ],
    "alpaca": [
        {
            "instruction": "Sort these words.",
            "input": "b, a",
            "output": "a, b",
            "system": "Be brief.",
            "history": [["Hello", "Hi"]],
        }
    ],
    "question_answer": [
        {"question": "Why is the sky blue?", "answer": "Air scatters blue light."},
        {"prompt": "Name a colour.", "completion": "Blue."},
    ],
    "kto": [
        {"messages": [USER, ASSISTANT], "label": False},
        {"prompt": [USER], "completion": [ASSISTANT], "label": True},
    ],
    "preference": [
        {
            "conversations": [{"from": "human", "value": "Hello there"}],
            "chosen": {"from": "gpt", "value": "Hello! How can I help?"},
            "rejected": {"from": "gpt", "value": "What?"},
        },
        {"prompt": "Say hi", "chosen": "Hi!", "rejected": "No."},
        {"chosen": [USER, ASSISTANT], "rejected": [USER, {"role": "assistant", "content": "No idea."}]},
    ],
    "feedback": [
        {"target_id": "chatcmpl-1", "kind": "thumb", "value": "up", "user": "u1", "timestamp": "2026-03-02T10:00:00"},
        {"target_id": "chatcmpl-1", "kind": "edit", "preferred": "Press Retry."},
    ],
    "document": [{"text": "Sync\n\nQuillbay syncs within 5 seconds.", "title": "Sync"}, {"content": "A page."}],
    "opentelemetry": [
        {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [SPAN, {"name": "GET /", "attributes": []}]}]}]},
        {
            "resourceLogs": [
                {
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {
                                    "timeUnixNano": "1772441593000000000",
                                    "eventName": "gen_ai.evaluation.result",
                                    "traceId": SPAN["traceId"],
                                    "spanId": SPAN["spanId"],
                                    "attributes": [attribute("gen_ai.evaluation.score.value", {"doubleValue": 0.25})],
                                }
                            ]
                        }
                    ]
                }
            ]
        },
    ],
    "langfuse": [
        {
            "id": "obs-1",
            "traceId": "trace-1",
            "type": "GENERATION",
            "startTime": "2026-03-02T09:00:00.000Z",
            "model": "gpt-x",
            "input": [USER],
            "output": ASSISTANT,
            "userId": "u1",
            "sessionId": "session-1",
        },
        {
            "id": "obs-2",
            "trace_id": "trace-2",
            "type": "GENERATION",
            "start_time": "2026-05-29 13:46:19.963000",
            "provided_model_name": "gpt-x",
            "input": '{"messages": [{"role": "user", "content": "Hi"}]}',
            "output": '{"role": "assistant", "content": "Hello!"}',
        },
        {
            "id": "trace-3",
            "timestamp": "2026-03-02T09:00:00Z",
            "userId": "u2",
            "observations": [
                {"id": "obs-3", "type": "GENERATION", "traceId": "trace-3", "input": "Hey", "output": "Hey you"},
                {"id": "obs-4", "type": "SPAN", "traceId": "trace-3"},
            ],
            "scores": [{"id": "s0", "name": "thumb", "dataType": "BOOLEAN", "value": 0, "comment": "curt"}],
        },
        {"id": "s1", "traceId": "trace-1", "name": "user", "dataType": "BOOLEAN", "value": 1},
        {
            "id": "s2",
            "trace_id": "trace-1",
            "observation_id": "obs-1",
            "name": "output",
            "data_type": "CORRECTION",
            "value": 0,
            "long_string_value": "Press Retry.",
        },
        {"id": "s3", "traceId": "trace-1", "name": "tone", "dataType": "CATEGORICAL", "stringValue": "friendly"},
        {"id": "s4", "traceId": "trace-1", "name": "quality", "dataType": "NUMERIC", "value": 0.75},
    ],
    "litellm": [
        {
            "id": "chatcmpl-9",
            "call_type": "acompletion",
            "status": "success",
            "startTime": 1772441591.25,
            "model": "gpt-x",
            "messages": [USER],
            "response": {"id": "chatcmpl-9", "choices": [{"message": ASSISTANT}]},
            "end_user": "u1",
            "metadata": {"requester_metadata": {"consent": False}},
        }
    ],
    "open_webui": [
        {
            "id": "f1",
            "user_id": "u1",
            "type": "rating",
            "data": {"rating": 1, "model_id": "gpt-x", "reason": "helpful", "comment": ""},
            "meta": {"chat_id": "chat-1", "message_id": "a1", "model_id": "gpt-x"},
            "snapshot": {
                "chat": {
                    "title": "Sync",
                    "chat": {
                        "history": {
                            "currentId": "a1",
                            "messages": {
                                "q1": {
                                    "id": "q1",
                                    "parentId": None,
                                    "role": "user",
                                    "content": "My notes do not sync.",
                                },
                                "a1": {
                                    "id": "a1",
                                    "parentId": "q1",
                                    "role": "assistant",
                                    "content": "Press Retry now.",
                                    "model": "gpt-x",
                                    "timestamp": 1772441591,
                                },
                                "a2": {"id": "a2", "parentId": "q1", "role": "assistant", "content": "No idea."},
                            },
                        }
                    },
                }
            },
            "created_at": 1772441600,
        }
    ],
    "openpipe": [
        {
            "input": {"model": "openpipe:x", "messages": [USER], "tools": []},
            "output": {"id": "op1", "created": 1772441591857, "choices": [{"message": ASSISTANT}]},
            "tags": {"prompt_id": "sync"},
        }
    ],
}
