"""When a generated text is thrown away, and why: plain rules, each with a reason that the books count.

Source: the filters of Self-Instruct (Wang et al., 2023, https://arxiv.org/abs/2212.10560) and the elimination rules of
WizardLM (Xu et al., 2023, https://arxiv.org/abs/2304.12244), without their lists of English words.
"""

import re
from collections import Counter
from dataclasses import replace
from functools import cache

from tasks.inference.engine import Failure, Outcome
from tasks.lm.generate import Completion
from tasks.text.rouge import words
from tasks.text.stopwords import STOP_WORDS

MIN_WORDS, MAX_WORDS = 3, 150
MAX_REPEATED = 0.3  # of word 3-grams
_MARKS = re.compile(
    r"<\|[^|\n]*\|>|^[#* ]*(?:instruction|input|output|response|user|assistant)[* ]*:", re.IGNORECASE | re.MULTILINE
)
_SENTENCE = re.compile(r"""(?<![\s\d])[.!?…][\"'”’»)\]]*(?=\s)|[。！？][”’」』）]*""")


def unusable(outcome: Outcome) -> str | None:
    """Why there is no sound text: no answer came, or it is empty, cut off, repeats itself or shows a prompt's marks."""
    if isinstance(outcome, Failure):
        return "no_answer"
    if not outcome.text:
        return "empty"
    if not outcome.finished:
        return "cut_off"
    if _MARKS.search(outcome.text):
        return "marks"
    return "repetitive" if repetition(outcome.text) > MAX_REPEATED else None


def bad_instruction(text: str) -> str | None:
    """Why a text cannot be an instruction: its length, or that it begins with neither letter, digit nor quote."""
    count = len(words(text))
    if count < MIN_WORDS:
        return "too_short"
    if count > MAX_WORDS:
        return "too_long"
    return None if re.match(r"[\w\"'“«¿¡(`]", text) else "punctuation"


def bad_answer(instruction: str, answer: str) -> str | None:
    """Why a text cannot answer an instruction: it has only stop words or none, or says the instruction again."""
    mine = words(answer)
    if not any(character.isalnum() for character in answer) or _stop_words().issuperset(mine):
        return "no_words"
    return "copies_question" if mine == words(instruction) else None


@cache
def _stop_words() -> frozenset[int]:
    return frozenset(words(" ".join(STOP_WORDS.split())))


def repetition(text: str) -> float:
    """Share of a text's word 3-grams that were there before, 0 to 1."""
    parts = words(text)
    grams = Counter(zip(parts, parts[1:], parts[2:], strict=False))
    total = grams.total()
    return 1 - len(grams) / total if total else 0.0


def whole(outcome: Outcome) -> Outcome:
    """An answer that was cut off counts by its whole sentences, if it has any: long-winded models end few."""
    if isinstance(outcome, Completion) and not outcome.finished and (text := whole_sentences(outcome.text)):
        return replace(outcome, text=text, finished=True)
    return outcome


def whole_sentences(text: str) -> str:
    """A text that was cut off, up to the end of its last whole sentence; nothing when there is none."""
    ends = [found.end() for found in _SENTENCE.finditer(text)]
    return text[: ends[-1]] if ends else ""
