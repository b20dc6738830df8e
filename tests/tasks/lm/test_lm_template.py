"""What of a rendered conversation is an answer, what is text, and what is cut."""

import pytest

from tasks.lm.template import TemplateError, clean_messages, encode, render_answer, template_hash
from tests.tiny_model import make_tiny_tokenizer

TOKENIZER = make_tiny_tokenizer()
CHAT = [
    {"role": "user", "content": "My invoice is wrong."},
    {"role": "assistant", "content": "Which one?"},
    {"role": "user", "content": "The last."},
    {"role": "assistant", "content": "Mended, 谢谢."},
]


def said(encoded, mask):
    return TOKENIZER.decode([token for token, on in zip(encoded.input_ids, mask, strict=True) if on])


def test_the_answer_is_the_last_one_with_its_end_of_turn():
    encoded = encode(TOKENIZER, CHAT, 500)
    assert said(encoded, encoded.answer) == "Mended, 谢谢.<|im_end|>"
    assert encoded.answer[-1]


def test_text_is_what_somebody_wrote():
    encoded = encode(TOKENIZER, CHAT, 500)
    assert said(encoded, encoded.text) == "My invoice is wrong.Which one?The last.Mended, 谢谢."


def test_a_system_prompt_that_the_template_adds_is_no_text():
    tokenizer = make_tiny_tokenizer()
    tokenizer.chat_template = "{{ '<|im_start|>system\nBe kind<|im_end|>\n' }}" + tokenizer.chat_template
    encoded = encode(tokenizer, CHAT[:2], 500)
    assert "Be kind" in tokenizer.decode(encoded.input_ids)
    assert said(encoded, encoded.text) == "My invoice is wrong.Which one?"
    assert said(encoded, encoded.answer) == "Which one?<|im_end|>"


def test_a_document_is_plain_text_and_all_of_it_but_the_first_token_is_predicted():
    encoded = encode(TOKENIZER, [{"role": "document", "content": "The printer is off."}], 500)
    assert TOKENIZER.decode(encoded.input_ids) == "The printer is off."
    assert encoded.answer == [False] + [True] * (len(encoded.input_ids) - 1)


def test_without_an_answer_nothing_is_marked():
    encoded = encode(TOKENIZER, CHAT[:1], 500)
    assert not any(encoded.answer)
    assert said(encoded, encoded.text) == "My invoice is wrong."


@pytest.mark.parametrize("max_tokens", [16, 40, 50])
def test_a_long_conversation_loses_the_beginning_of_its_prompt_first(max_tokens):
    whole = encode(TOKENIZER, CHAT, 500)
    cut = encode(TOKENIZER, CHAT, max_tokens)
    assert len(cut.input_ids) == max_tokens
    answer_tokens = sum(whole.answer)
    assert sum(cut.answer) == min(answer_tokens, max_tokens // 2)
    at = len(whole.input_ids) - answer_tokens + sum(cut.answer) - max_tokens
    assert cut.input_ids == whole.input_ids[at : at + max_tokens]


def test_a_short_answer_to_a_long_prompt_keeps_all_of_itself():
    chat = [{"role": "user", "content": "word " * 400}, {"role": "assistant", "content": "Yes."}]
    cut = encode(TOKENIZER, chat, 64)
    assert said(cut, cut.answer) == "Yes.<|im_end|>"
    assert len(cut.input_ids) == 64


def test_a_long_answer_to_a_short_prompt_is_cut_at_its_end():
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "word " * 400}]
    cut = encode(TOKENIZER, chat, 64)
    assert TOKENIZER.decode(cut.input_ids).startswith("<|im_start|>user\nHi")


def test_a_template_that_rewrites_the_prompt_is_refused():
    tokenizer = make_tiny_tokenizer()
    tokenizer.chat_template = "{{ messages | length }}" + tokenizer.chat_template
    with pytest.raises(TemplateError, match="renders a prompt differently"):
        render_answer(tokenizer, CHAT)


def test_a_template_that_raises_is_named():
    tokenizer = make_tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(TemplateError, match="refuses turns user: roles must alternate"):
        encode(tokenizer, CHAT[:2], 100)


def test_no_chat_template_is_an_error_that_says_what_to_do():
    tokenizer = make_tiny_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(TemplateError, match=r"has no chat template.*chat_template\.jinja"):
        template_hash(tokenizer)


def test_messages_are_cleaned_for_templates():
    message = {"role": "assistant", "content": None, "name": None, "tool_calls": '[{"id": "1"}]', "tool_call_id": None}
    assert clean_messages([message]) == [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]
