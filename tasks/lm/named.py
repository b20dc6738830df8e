"""Chat templates by name, for models that come without one or are to have another.

Each is a file in templates/, with training marks: `{% generation %}` round what the model writes, its end of turn
included. Its serving twin is the same text without the marks. The formats are those of the models' own pages and of
https://github.com/hiyouga/LLaMA-Factory/blob/main/src/llamafactory/data/template.py.
"""

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from tasks.lm.template import TemplateError

log = logging.getLogger(__name__)
FOLDER = Path(__file__).parent / "templates"
END_OF_TURN = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "gemma": "<end_of_turn>", "phi3": "<|end|>"}
"""Tokens that end a turn; the other templates end it with the tokenizer's own end of text."""


def named_template(name: str) -> str:
    """The text of a template, with training marks."""
    return (FOLDER / f"{name}.jinja").read_text().rstrip("\n")


def use_template(tokenizer: Any, name: str) -> Any:
    """Give a tokenizer a template of ours, and the end of turn that goes with it.

    Raises:
        TemplateError: the tokenizer does not have the token that ends a turn.
    """
    end = END_OF_TURN.get(name, tokenizer.eos_token)
    if end is None or end not in tokenizer.get_vocab():
        able = ", ".join(sorted({file.stem for file in FOLDER.glob("*.jinja")} - set(END_OF_TURN)))
        raise TemplateError(
            f"The template {name} ends a turn with {end or 'the end of text'}, which is no token of "
            f"{tokenizer.name_or_path}: the model could not stop. Templates that need no token of their own: {able}."
        )
    tokenizer.chat_template = named_template(name)
    tokenizer.eos_token = end
    return tokenizer


def with_template(model: Path, name: str, folder: Path) -> Path:
    """A model's folder once more, with a template of ours: the weights are shared where the disk allows it.

    Args:
        model: the folder of the model; it stays as it is.
        name: of the template.
        folder: where to put it; it appears whole or not at all, and is used when it is there.

    Raises:
        TemplateError: see `use_template`.
    """
    if folder.exists():
        return folder
    tokenizer = AutoTokenizer.from_pretrained(model)
    if tokenizer.chat_template:
        log.warning("%s knows a chat template of its own; with %s it has to learn another one", model, name)
    tokenizer = use_template(tokenizer, name)
    half = folder.with_name(f"{folder.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    for file in sorted(model.iterdir()):
        if file.suffix == ".safetensors":
            _share(file, half / file.name)
        elif file.suffix == ".json":
            shutil.copyfile(file, half / file.name)
    tokenizer.save_pretrained(half)
    _end_with(half / "generation_config.json", tokenizer.eos_token_id)
    half.rename(folder)
    return folder


def _share(file: Path, other: Path) -> None:
    try:
        os.link(file.resolve(), other)
    except OSError:  # another disk
        shutil.copyfile(file, other)


def _end_with(file: Path, token: int) -> None:
    """Have generation stop at a token, whatever else it stops at."""
    config = json.loads(file.read_text()) if file.exists() else {}
    before = config.get("eos_token_id", [])
    others = before if isinstance(before, list) else [before]
    config["eos_token_id"] = [token, *(other for other in others if other not in (token, None))]
    file.write_text(json.dumps(config, indent=2))
