"""Chat templates by name: their text, their training marks, their serving twins, and models that get one."""

import json
from itertools import compress
from pathlib import Path
from typing import Any, get_args

import jinja2
import pytest
import torch
from transformers import AutoModelForCausalLM

from configs.settings import Settings
from tasks.lm.load import load, load_tokenizer
from tasks.lm.named import END_OF_TURN, named_template, use_template, with_template
from tasks.lm.template import TemplateError, check_marks, encode, render, serving_template, template_hash
from tests.tiny_model import make_tiny_model, make_tiny_tokenizer

NAMES = [name for name in get_args(Settings.model_fields["template"].annotation) if name != "own"]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello, 谢谢."},
    {"role": "user", "content": "Bye"},
]
EXPECTED = {
    "alpaca": "Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello, 谢谢.</s>\n\n### Instruction:\nBye\n\n"
    "### Response:\n",
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    "Hello, 谢谢.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
    "gemma": "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello, 谢谢.<end_of_turn>\n"
    "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n",
    "llama2": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello, 谢谢. </s><s>[INST] Bye [/INST]",
    "llama3": "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
    "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello, 谢谢.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "mistral": "<s>[INST] Be brief.\n\nHi [/INST] Hello, 谢谢.</s>[INST] Bye [/INST]",
    "phi3": "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello, 谢谢.<|end|>\n"
    "<|user|>\nBye<|end|>\n<|assistant|>\n",
    "vicuna": "Be brief. USER: Hi ASSISTANT: Hello, 谢谢.</s>USER: Bye ASSISTANT:",
    "zephyr": "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello, 谢谢.</s>\n<|user|>\nBye</s>\n"
    "<|assistant|>\n",
}
"""As the models' own pages write them."""


def tokenizer_for(name: str) -> Any:
    tokenizer = make_tiny_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>"})
    tokenizer.add_tokens(list(END_OF_TURN.values()), special_tokens=True)
    return use_template(tokenizer, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_writes_what_its_models_know(name: str) -> None:
    assert render(tokenizer_for(name), CHAT, generation=True) == EXPECTED[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_serving_twin_renders_the_same_without_knowing_the_marks(name: str) -> None:
    tokenizer = tokenizer_for(name)
    twin = serving_template(tokenizer.chat_template)
    plain = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    with pytest.raises(jinja2.TemplateSyntaxError, match="generation"):
        plain.from_string(tokenizer.chat_template)
    tokens = {"bos_token": "<s>", "eos_token": tokenizer.eos_token}
    hash_before = template_hash(tokenizer)
    for messages in (CHAT, CHAT[:3], CHAT[1:2], CHAT[1:]):
        for opened in (False, True):
            trained = render(tokenizer, messages, generation=opened)
            for server in (plain, jinja2.Environment()):
                served = server.from_string(twin).render(messages=messages, add_generation_prompt=opened, **tokens)
                assert served == trained
    tokenizer.chat_template = twin
    assert template_hash(tokenizer) == hash_before


@pytest.mark.parametrize("name", NAMES)
def test_the_marks_are_round_the_answers_and_their_ends(name: str) -> None:
    tokenizer = tokenizer_for(name)
    check_marks(tokenizer)
    chat = [*CHAT, {"role": "assistant", "content": "See you."}]
    out = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    marked = tokenizer.decode(list(compress(out["input_ids"], out["assistant_masks"])))
    end = tokenizer.eos_token
    assert marked.replace(" ", "") == f"Hello, 谢谢.{end}Seeyou.{end}".replace(" ", "")
    encoded = encode(tokenizer, chat, 500)
    assert tokenizer.decode(list(compress(encoded.input_ids, encoded.answer))).replace(" ", "") == f"Seeyou.{end}"


@pytest.mark.parametrize("name", NAMES)
def test_tools_are_refused_not_lost(name: str) -> None:
    called = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    with pytest.raises(TemplateError, match="no place for tools"):
        render(tokenizer_for(name), [CHAT[1], called])


def test_marks_that_leave_out_the_end_of_turn_stop_the_run() -> None:
    tokenizer = tokenizer_for("chatml")
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "{{- message['content'] + '<|im_end|>' }}\n{%- endgeneration %}",
        "{{- message['content'] }}\n{%- endgeneration %}\n{{- '<|im_end|>' }}",
    )
    with pytest.raises(TemplateError, match=r"marks 'The last one\.' for training, not 'The last one\.<\|im_end\|>'"):
        check_marks(tokenizer)


def test_a_template_whose_end_of_turn_is_no_token_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"ends a turn with <\|eot_id\|>.*of their own: alpaca, llama2, mistral"):
        use_template(make_tiny_tokenizer(), "llama3")


def test_a_model_gets_a_template_and_keeps_its_own_folder(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "model")
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    made = with_template(model, "alpaca", tmp_path / "models" / "base")
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before
    tokenizer = load_tokenizer(made)
    assert tokenizer.chat_template == named_template("alpaca")
    assert tokenizer.pad_token != tokenizer.eos_token
    assert template_hash(tokenizer) != load(model).template_hash
    assert json.loads((made / "generation_config.json").read_text())["eos_token_id"][0] == tokenizer.eos_token_id
    one, two = (AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (model, made))
    assert all(torch.equal(one[name], two[name]) for name in one)
    stamp = made.stat().st_mtime_ns
    assert with_template(model, "alpaca", made).stat().st_mtime_ns == stamp
