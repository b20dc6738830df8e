"""Rows with a question and an answer, as instruction data sets have them."""

from collections.abc import Iterable

from tasks.records.formats.chat import conversation, turns_of, with_system
from tasks.records.record import BadRecord, Item, Message, Record, answered, first, text

QUESTIONS = ("question", "prompt", "query")
ANSWERS = ("answer", "response", "completion")


def is_alpaca(record: Record) -> bool:
    return "instruction" in record and "output" in record


def parse_alpaca(record: Record) -> Iterable[Item]:
    """`{instruction, input?, output, system?, history?}`; history is a list of (question, answer)."""
    yield _row(record, asked(record), text(record.get("output"), "the output"))


def asked(record: Record) -> list[Message]:
    """What Alpaca's rows ask: the instruction with its input, after the system prompt and what was said before."""
    parts = [text(record.get(key), key) for key in ("instruction", "input")]
    return _turns(record, "\n".join(part for part in parts if part))


def is_question_answer(record: Record) -> bool:
    return first(record, *QUESTIONS) is not None and any(key in record for key in ANSWERS)


def parse_question_answer(record: Record) -> Iterable[Item]:
    """`{question, answer}`, `{prompt, response}`, `{prompt, completion}` and the like: texts, or lists of messages."""
    question, answer = first(record, *QUESTIONS), first(record, *ANSWERS)
    if _are_turns(question) and _are_turns(answer):
        yield conversation(record, answered([*turns_of(question, "user"), *turns_of(answer, "assistant")]))
        return
    yield _row(record, _turns(record, text(question, "the question")), text(answer, "the answer"))


def _are_turns(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(turn, dict) and "role" in turn for turn in value)


def _row(record: Record, turns: list[Message], answer: str | None) -> Item:
    return conversation(record, answered([*turns, Message("assistant", answer)]))


def _turns(record: Record, question: str | None) -> list[Message]:
    if not question:
        raise BadRecord("there is no question")
    turns: list[Message] = []
    history = record.get("history")
    for pair in history if isinstance(history, list) else []:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRecord("the history is no list of questions and answers")
        turns += [Message("user", text(pair[0], "a question")), Message("assistant", text(pair[1], "an answer"))]
    return with_system(record, [*turns, Message("user", question)])
