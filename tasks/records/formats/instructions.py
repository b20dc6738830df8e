"""Rows with a question and an answer, as instruction data sets have them."""

from collections.abc import Iterable

from tasks.records.formats.chat import conversation
from tasks.records.record import BadRecord, Item, Message, Record, answered, first, text

QUESTIONS = ("question", "prompt", "query")
ANSWERS = ("answer", "response", "completion")


def is_alpaca(record: Record) -> bool:
    return "instruction" in record and "output" in record


def parse_alpaca(record: Record) -> Iterable[Item]:
    """`{instruction, input?, output, system?, history?}`; history is a list of (question, answer)."""
    asked = [text(record.get(key), key) for key in ("instruction", "input")]
    question = "\n".join(part for part in asked if part)
    yield _row(record, question, text(record.get("output"), "the output"))


def is_question_answer(record: Record) -> bool:
    return first(record, *QUESTIONS) is not None and any(key in record for key in ANSWERS)


def parse_question_answer(record: Record) -> Iterable[Item]:
    """`{question, answer}`, `{prompt, response}`, `{prompt, completion}` and the like."""
    question, answer = first(record, *QUESTIONS), first(record, *ANSWERS)
    yield _row(record, text(question, "the question"), text(answer, "the answer"))


def _row(record: Record, question: str | None, answer: str | None) -> Item:
    if not question:
        raise BadRecord("there is no question")
    turns = []
    if system := text(record.get("system"), "the system prompt"):
        turns.append(Message("system", system))
    history = record.get("history")
    for pair in history if isinstance(history, list) else []:
        if not isinstance(pair, list) or len(pair) != 2:
            raise BadRecord("the history is no list of questions and answers")
        turns += [Message("user", text(pair[0], "a question")), Message("assistant", text(pair[1], "an answer"))]
    turns += [Message("user", question), Message("assistant", answer)]
    return conversation(record, answered(turns))
