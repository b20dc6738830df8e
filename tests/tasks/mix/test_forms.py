"""Mixtures in the forms of other tools, read back by what reads such files."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datasets import load_dataset
from trl import data_utils

from configs.mixing import MixSource
from storage.tables import TABLES
from tasks.lm.template import render
from tasks.mix.forms import FORMS, FormError, write_rows
from tests.tasks.mix.lakes import read_file
from tests.tiny_model import make_tiny_tokenizer

PROMPT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "My invoice is wrong."},
    {"role": "assistant", "content": "Which one?"},
    {"role": "user", "content": "The last, 谢谢."},
]
CALL = {"role": "assistant", "tool_calls": '[{"id": "1", "type": "function", "function": {"name": "find"}}]'}
STAGES = {"texts": "cpt", "answers": "sft", "prompts": "grpo", "pairs": "dpo", "labels": "kto"}
CASES = [(form, shape, end) for form, shapes in FORMS.items() for shape in shapes for end in ("jsonl", "parquet")]
READ_BACK = [case for case in CASES if case[1] != "prompts"]  # collect takes answered questions only


def answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def mixture(shape: str) -> pl.DataFrame:
    one: dict[str, Any] = {"text": "A page about printers."} if shape == "texts" else {"prompt": PROMPT}
    two = {"text": "Another one."} if shape == "texts" else {"prompt": PROMPT[1:2]}
    if shape in ("answers", "prompts"):
        one["completion"], two["completion"] = answer("Mended."), answer("Which?")
    elif shape == "pairs":
        one |= {"chosen": answer("Mended."), "rejected": answer("No.")}
        two |= {"chosen": answer("Which?"), "rejected": answer("Hm.")}
    elif shape == "labels":
        one["chosen"], two["rejected"] = answer("Mended."), answer("Hm.")
    rows = [{"id": str(at), "stage": STAGES[shape], **row} for at, row in enumerate((one, two))]
    return pl.DataFrame(rows, schema=TABLES["mixtures"].schema)


def turns(messages: Any) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in messages]


def said(shape: str, row: dict[str, Any]) -> Any:
    """What a row of a mixture, or one that was read from a file, says."""
    if shape == "texts":
        return row["text"] if "text" in row else row["messages"][0]["content"]
    if shape == "answers":
        return turns(row["messages"]) if "messages" in row else turns([*row["prompt"], *row["completion"]])
    texts = {name: one if isinstance(one := row[name], str | None) else one[0]["content"] for name in ANSWERS}
    if shape == "pairs":
        return turns(row["prompt"]), texts["chosen"], texts["rejected"]
    liked = row.get("label", bool(row["chosen"]))
    return turns(row["prompt"]), texts["chosen"] or texts["rejected"], liked


ANSWERS = ("chosen", "rejected")


@pytest.mark.parametrize(("form", "shape", "end"), READ_BACK)
def test_what_is_written_is_read_back(tmp_path: Path, form: str, shape: str, end: str) -> None:
    rows, file = mixture(shape), tmp_path / f"rows.{end}"
    assert write_rows(rows, file, form) == (2, 0)
    source = MixSource(name="back", path=str(file), stages=(STAGES[shape],))
    found, left_out = read_file(source, STAGES[shape])
    assert not left_out.counts
    filled = [name for name in found.columns if not found[name].is_null().all() or name in ANSWERS]
    back = [said(shape, row) for row in found.select(filled).to_dicts()]
    assert sorted(back, key=str) == sorted((said(shape, row) for row in rows.to_dicts()), key=str)


@pytest.mark.parametrize(("shape", "end"), [(shape, end) for form, shape, end in CASES if form == "trl"])
def test_trl_renders_it_as_we_do(tmp_path: Path, shape: str, end: str) -> None:
    rows, file = mixture(shape), tmp_path / f"rows.{end}"
    write_rows(rows, file, "trl")
    kind = {"jsonl": "json", "parquet": "parquet"}[end]
    found = load_dataset(kind, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    first, row = found[0], rows.to_dicts()[0]
    if shape == "texts":
        assert found["text"][:] == rows["text"].to_list()
        return
    assert data_utils.is_conversational(first)
    tokenizer = make_tiny_tokenizer()
    made = data_utils.maybe_apply_chat_template(first, tokenizer)
    opening = render(tokenizer, row["prompt"], generation=True)
    assert made["prompt"] == opening
    for name in ("completion", "chosen", "rejected"):
        if name in made and shape != "prompts":
            ours = row[name] or row["chosen"]
            assert opening + made[name] == render(tokenizer, [*row["prompt"], *ours])


def test_tool_calls_are_left_out_where_a_form_cannot_hold_them(tmp_path: Path) -> None:
    rows = mixture("answers").to_dicts()
    rows[0]["prompt"] = [*PROMPT, CALL, {"role": "tool", "content": "Found.", "tool_call_id": "1"}]
    frame = pl.DataFrame(rows, schema=TABLES["mixtures"].schema)
    assert write_rows(frame, tmp_path / "a.jsonl", "alpaca") == (1, 1)
    assert write_rows(frame, tmp_path / "o.jsonl", "openai") == (2, 0)
    source = MixSource(name="back", path=str(tmp_path / "o.jsonl"))
    back = read_file(source)[0]["messages"].to_list()
    assert any(turn["tool_calls"] and "find" in turn["tool_calls"] for row in back for turn in row)


@pytest.mark.parametrize("turns", [PROMPT[1:2] * 2, PROMPT[2:], PROMPT[1:3], PROMPT[:1]])
def test_alpaca_leaves_out_what_is_no_pairs_of_questions_and_answers(tmp_path: Path, turns: list[Any]) -> None:
    rows = mixture("answers").to_dicts()
    rows[0]["prompt"] = turns
    frame = pl.DataFrame(rows, schema=TABLES["mixtures"].schema)
    assert write_rows(frame, tmp_path / "a.jsonl", "alpaca") == (1, 1)
    assert write_rows(frame, tmp_path / "s.jsonl", "sharegpt") == (2, 0)


def test_a_form_that_has_no_place_for_it_says_which_one_has(tmp_path: Path) -> None:
    with pytest.raises(FormError, match="no form openai for rows of labels; there are: trl, sharegpt, alpaca"):
        write_rows(mixture("labels"), tmp_path / "a.jsonl", "openai")
    with pytest.raises(FormError, match=r"must end in \.jsonl or \.parquet"):
        write_rows(mixture("labels"), tmp_path / "a.csv", "trl")
