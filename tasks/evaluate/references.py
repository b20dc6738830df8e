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
from tasks.text.results import result, unfenced

WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def exact(answer: str, reference: str) -> float | None:
    """1 where both come to the same result: a number, or a JSON value; null where the reference has no such thing."""
    if (wanted := _json(reference)) is not None:
        return float(_json(answer) == wanted)
    if (number := result(reference, marked=True)) is None:
        return None
    return float(result(answer) == number)


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
    inside = unfenced(text)
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
