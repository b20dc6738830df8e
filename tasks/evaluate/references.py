"""How near an answer comes to the one that somebody endorsed: equal where that can be verified, else by their words.

Sources: BLEU as sacrebleu counts it (Post 2018, https://aclanthology.org/W18-6319), of single answers, smoothed and
with shorter n-grams for short ones; ROUGE-L over words of any script (see `tasks.text.rouge`).
"""

import json
import re
from functools import cache
from typing import Any

from sacrebleu.metrics.bleu import BLEU

from tasks.text import rouge

FINAL = re.compile(
    r"####\s*(?P<marked>[^\n]+)|\\boxed\{(?P<boxed>[^{}]+)\}|answer is:?\s*(?P<said>[^\n]+)", re.IGNORECASE
)
"""How worked answers name their result: as in GSM8K, as in MATH, and in words."""
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
WORD = re.compile(r"[^\W\d_]{4}")
WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def exact(answer: str, reference: str) -> float | None:
    """1 where both come to the same result: a number, or a JSON value; null where the reference has no such thing."""
    if (wanted := _json(reference)) is not None:
        return float(_json(answer) == wanted)
    if (number := _result(reference, marked=True)) is None:
        return None
    return float(_result(answer, marked=False) == number)


def same_shape(answer: str, reference: str) -> float | None:
    """1 where the answer is JSON with the fields and kinds of the reference; null where that is no JSON."""
    wanted = _json(reference)
    return None if wanted is None else float(_shape(_json(answer)) == _shape(wanted))


def bleu(answer: str, reference: str) -> float:
    """0 to 1."""
    kind = "zh" if WITHOUT_SPACES.search(reference) else "13a"
    return _bleu(kind).sentence_score(answer, [reference]).score / 100


def rouge_l(answer: str, reference: str) -> float:
    """F-measure of the longest common subsequence of words, 0 to 1."""
    return rouge.rouge_l(rouge.words(answer), rouge.words(reference))


@cache
def _bleu(kind: str) -> BLEU:
    return BLEU(effective_order=True, tokenize=kind)


def _json(text: str) -> Any:
    """The object or list that a text is, between fences or not; None for anything else."""
    inside = re.sub(r"^```\w*\n|\n?```$", "", text.strip())
    if not inside.startswith(("{", "[")):
        return None
    try:
        return json.loads(inside)
    except ValueError:
        return None


def _shape(value: Any) -> Any:
    """Names of fields and kinds of values; of a list, those of its members."""
    if isinstance(value, dict):
        return {name: _shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [list, *sorted({repr(_shape(part)) for part in value})]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _result(text: str, *, marked: bool) -> str | None:
    """The number that a text comes to: the one that it names as its result, or (unless `marked`) its last one."""
    found = FINAL.findall(text)
    named = next((part for part in found[-1] if part), "") if found else ""
    numbers = NUMBER.findall(named) or ([] if marked and not _bare(text) else NUMBER.findall(text))
    if not numbers:
        return None
    plain: str = (numbers[0] if named and NUMBER.search(named) else numbers[-1]).replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _bare(text: str) -> bool:
    """Whether a text is a number and hardly more."""
    return NUMBER.search(text) is not None and WORD.search(text) is None
