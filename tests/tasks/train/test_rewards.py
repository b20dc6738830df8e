"""Rewards of answers: by the reference, by a schema, by a model."""

import json
from pathlib import Path

import pytest

from tasks.lm.load import load_tokenizer
from tasks.train.rewards import reward_for, usable
from tasks.train.stages import STAGES
from tests.tasks.train.cells import Models, make_models, settings_for
from tests.tasks.train.jobs import sums

PROMPT = json.dumps([{"role": "user", "content": "How many apples are 3 apples and one?"}])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(
    ("answer", "reference", "number", "exact"),
    [
        ("It is 3 + 1 = 4.", "4", 1, 0),
        ("4", "4", 1, 1),
        ("That makes 1,000.0", "#### 1000", 1, 0),
        ("-4", "4", 0, 0),
        ("No idea.", "4", 0, 0),
        ("Four,\n  of course", "Four, of course", 0, 1),
        ("In 2024 it cost $5.", "5", 1, 0),
        ("#### 4\nThat is 1 more than 3.", "3 + 1 is 4", 1, 0),
    ],
)
def test_an_answer_is_compared_with_the_reference(answer: str, reference: str, number: int, exact: int) -> None:
    assert reward_for("number", 64)([PROMPT], [answer], [reference]) == [number]
    assert reward_for("exact", 64)([PROMPT], [answer], [reference]) == [exact]


def test_json_has_to_fit_the_schema(tmp_path: Path) -> None:
    file = tmp_path / "apples.json"
    file.write_text(
        json.dumps({"type": "object", "required": ["apples"], "properties": {"apples": {"type": "integer"}}})
    )
    answers = ['{"apples": 4}', '```json\n{"apples": 4}\n```', '{"apples": "four"}', "[]", '{"apples": 4', "4 apples"]
    assert reward_for(str(file), 64)([PROMPT] * 6, answers, [""] * 6) == [1, 1, 0, 0, 0, 0]


def test_a_model_tells_answers_apart(models: Models) -> None:
    found = reward_for(str(models.judge), 64)([PROMPT] * 2, ["4 apples.", "No."], ["", ""])
    assert all(0 < reward < 1 for reward in found)
    assert found[0] != found[1]


def test_rows_without_what_an_answer_is_compared_with_are_left_out(models: Models) -> None:
    assert usable("number", "so 4")
    assert not usable("number", "four")
    assert not usable("exact", " ")
    tokenizer = load_tokenizer(models.parent)
    settings = settings_for(models, "grpo", "lora", reward="number")
    row = sums(1)[0]
    assert not isinstance(STAGES["grpo"].encode(row, tokenizer, settings), str)
    assert STAGES["grpo"].encode(row | {"completion": None}, tokenizer, settings) == "no_reference"
    long = row | {"prompt": [{"role": "user", "content": "and on " * 40}]}
    assert STAGES["grpo"].encode(long, tokenizer, settings) == "too_long"
