"""Mixtures as other tools read them: files of rows in the forms of TRL, OpenAI, ShareGPT and Alpaca.

Sources: https://huggingface.co/docs/trl/dataset_formats, https://platform.openai.com/docs/guides/fine-tuning,
https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md (ShareGPT and Alpaca, with `kto_tag` for labels).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from configs.mistake import Mistake
from configs.mixing import JUDGED, PROMPTS
from tasks.lm.template import clean_messages

Row = Mapping[str, Any]
SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


class FormError(Mistake):
    """A mixture that a form has no place for; the message says which forms have one."""


def write_rows(rows: pl.DataFrame, file: Path, form: str) -> tuple[int, int]:
    """Write a mixture.

    Args:
        rows: of one mixture, see the table `mixtures`.
        file: ending in .jsonl or .parquet; replaced when it is there.
        form: one of FORMS.

    Returns:
        Rows written, and rows left out because the form cannot hold their turns: tool calls, or in Alpaca's pairs of
        questions and answers what is no such pair.

    Raises:
        FormError: the form is unknown or has no place for this stage's rows, or the file has another ending.
    """
    shape = _shape(rows)
    if form not in FORMS or shape not in FORMS[form]:
        able = ", ".join(name for name, shapes in FORMS.items() if shape in shapes)
        raise FormError(f"There is no form {form} for rows of {shape}; there are: {able}.")
    if file.suffix not in (".jsonl", ".parquet"):
        raise FormError(f"{file} must end in .jsonl or .parquet.")
    made = [FORMS[form][shape](row) for row in rows.iter_rows(named=True) if _fits(row, form)]
    part = file.with_suffix(".part")
    if file.suffix == ".parquet":
        pl.DataFrame(made, infer_schema_length=None).write_parquet(part)
    else:
        part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")
    part.replace(file)
    return len(made), rows.height - len(made)


def _shape(rows: pl.DataFrame) -> str:
    """What the stage of a mixture reads: texts, answers, prompts, pairs or labels."""
    stage = rows["stage"][0]
    if stage == "cpt":
        return "texts"
    if stage in PROMPTS:
        return "prompts"
    if stage in JUDGED:
        return "labels" if stage == "kto" else "pairs"
    return "answers"


def _fits(row: Row, form: str) -> bool:
    """Whether a form can hold a row's turns."""
    if form == "alpaca" and row["prompt"] is not None and not _alternate(row["prompt"]):
        return False
    return form in WITH_TOOLS or not _tools(row)


def _alternate(turns: Sequence[Any]) -> bool:
    """Whether the turns are pairs of a question and an answer, and a last question."""
    roles = [turn["role"] for turn in turns if turn["role"] != "system"]
    asked, answered = roles[::2], roles[1::2]
    return set(asked) == {"user"} and set(answered) <= {"assistant"} and len(asked) == len(answered) + 1


def _tools(row: Row) -> bool:
    turns = [turn for name in ("prompt", "completion", "chosen", "rejected") for turn in row[name] or ()]
    return any(turn["role"] == "tool" or turn["tool_calls"] for turn in turns)


def _answer(row: Row) -> tuple[list[Any], bool]:
    """The answer of a label, and whether somebody liked it."""
    return row["chosen"] or row["rejected"], bool(row["chosen"])


def _text(turns: list[Any] | None) -> str:
    return str(turns[-1]["content"] or "") if turns else ""


def _trl_label(row: Row) -> Row:
    answer, liked = _answer(row)
    return {"prompt": clean_messages(row["prompt"]), "completion": clean_messages(answer), "label": liked}


def _trl_pair(row: Row) -> Row:
    return {name: clean_messages(row[name]) for name in ("prompt", "chosen", "rejected")}


def _trl_prompt(row: Row) -> Row:
    return {"prompt": clean_messages(row["prompt"]), "reference": _text(row["completion"])}


def _openai_pair(row: Row) -> Row:
    return {
        "input": {"messages": clean_messages(row["prompt"])},
        "preferred_output": clean_messages(row["chosen"]),
        "non_preferred_output": clean_messages(row["rejected"]),
    }


def _spoken(turns: list[Any]) -> list[dict[str, str]]:
    return [{"from": SPEAKERS[turn["role"]], "value": turn["content"] or ""} for turn in turns]


def _sharegpt_pair(row: Row) -> Row:
    chosen, rejected = _spoken(row["chosen"])[0], _spoken(row["rejected"])[0]
    return {"conversations": _spoken(row["prompt"]), "chosen": chosen, "rejected": rejected}


def _sharegpt_label(row: Row) -> Row:
    answer, liked = _answer(row)
    return {"conversations": _spoken([*row["prompt"], *answer]), "kto_tag": liked}


def _alpaca(row: Row) -> dict[str, Any]:
    """The prompt: its last question, and what was said before it as pairs."""
    turns = [turn for turn in row["prompt"] if turn["role"] != "system"]
    earlier, question = turns[:-1], turns[-1]["content"]
    said = zip(earlier[::2], earlier[1::2], strict=True)
    return {
        "instruction": question,
        "input": "",
        "system": "\n".join(turn["content"] or "" for turn in row["prompt"] if turn["role"] == "system"),
        "history": [[asked["content"] or "", answer["content"] or ""] for asked, answer in said],
    }


def _alpaca_pair(row: Row) -> Row:
    return {**_alpaca(row), "chosen": _text(row["chosen"]), "rejected": _text(row["rejected"])}


def _alpaca_label(row: Row) -> Row:
    answer, liked = _answer(row)
    return {**_alpaca(row), "output": _text(answer), "kto_tag": liked}


FORMS: Mapping[str, Mapping[str, Callable[[Row], Row]]] = {
    "trl": {
        "texts": lambda row: {"text": row["text"]},
        "answers": lambda row: {name: clean_messages(row[name]) for name in ("prompt", "completion")},
        "prompts": _trl_prompt,
        "pairs": _trl_pair,
        "labels": _trl_label,
    },
    "openai": {
        "answers": lambda row: {"messages": clean_messages([*row["prompt"], *row["completion"]])},
        "prompts": lambda row: {"messages": clean_messages(row["prompt"]), "reference": _text(row["completion"])},
        "pairs": _openai_pair,
    },
    "sharegpt": {
        "answers": lambda row: {"conversations": _spoken([*row["prompt"], *row["completion"]])},
        "pairs": _sharegpt_pair,
        "labels": _sharegpt_label,
    },
    "alpaca": {
        "texts": lambda row: {"text": row["text"]},
        "answers": lambda row: {**_alpaca(row), "output": _text(row["completion"])},
        "pairs": _alpaca_pair,
        "labels": _alpaca_label,
    },
}
"""How each form writes what a stage reads."""
WITH_TOOLS = ("trl", "openai")
"""Forms that can hold tool calls."""
