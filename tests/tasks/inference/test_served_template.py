"""A server that writes conversations otherwise than the model was trained to read them is found out."""

from pathlib import Path
from typing import Any

import pytest

from tasks.inference.template import template_fault
from tasks.lm.load import load_tokenizer
from tasks.lm.named import named_template, with_template
from tasks.lm.template import serving_template
from tests.tasks.inference.scripted_api import Reply, scripted_api
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    return with_template(make_tiny_model(folder / "own"), "chatml", folder / "named")


def fault(folder: Path, template: str | None) -> str | None:
    """What is found at a server that tokenizes with another template, or cannot tokenize."""
    tokenizer = load_tokenizer(folder)
    tokenizer.chat_template = template

    def tokenize(body: dict[str, Any], before: int) -> Reply:
        if template is None:
            return 404, b"{}"
        ids = tokenizer.apply_chat_template(body["messages"], tokenize=True, return_dict=True)["input_ids"]
        return 200, b'{"tokens": [%s]}' % ",".join(map(str, ids)).encode()

    with scripted_api(tokenize, key="k") as api:
        return template_fault(api.url, "m", "k", folder)


def test_the_serving_twin_is_the_template_of_the_training(folder: Path) -> None:
    assert fault(folder, serving_template(named_template("chatml"))) is None


def test_another_template_is_named_with_what_it_writes(folder: Path) -> None:
    said = fault(folder, named_template("zephyr"))
    assert said is not None
    assert "another chat template" in said
    assert "<|assistant|>" in said
    assert str(folder) in said


def test_of_a_server_that_cannot_tell_nothing_is_known(folder: Path) -> None:
    assert fault(folder, None) is None
