"""Chat templates: from conversations to tokens, with a mark on the tokens of the last answer."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from configs.mistake import Mistake
from storage.snapshot import digest

Message = Mapping[str, Any]
MARKS = re.compile(r"\{%(-?)\s*(?:end)?generation\s*(-?)%\}")
"""What Transformers and TRL know as the bounds of what a model writes."""
PROBE = ({"role": "user", "content": "Which one?"}, {"role": "assistant", "content": "The last one."})


class TemplateError(Mistake):
    """A tokenizer's chat template that cannot do what is asked of it."""


@dataclass(frozen=True)
class Encoded:
    """A text as tokens.

    Args:
        input_ids: the tokens.
        answer: for each token, whether it belongs to the last answer (its end-of-turn token included). For documents
            all but the first token do.
        text: for each token, whether somebody wrote it: not the template's marks, nor a system prompt that it adds.
    """

    input_ids: list[int]
    answer: list[bool]
    text: list[bool]


def serving_template(template: Any) -> Any:
    """A chat template without its training marks: it renders the same, also on servers that do not know them.

    The marks become empty comments, which treat the white space round them as the marks did. Of several templates by
    name each is treated so.
    """
    if isinstance(template, dict):
        return {name: serving_template(one) for name, one in template.items()}
    return MARKS.sub(r"{#\1 \2#}", template)


def check_marks(tokenizer: Any) -> None:
    """See that a template with training marks has them round just what we train on: the answer and its end of turn.

    Raises:
        TemplateError: they are elsewhere: who trains by them would learn something else, or never to stop.
    """
    if not isinstance(tokenizer.chat_template, str) or not MARKS.search(tokenizer.chat_template):
        return
    encoded = encode(tokenizer, PROBE, 10_000)
    out = tokenizer.apply_chat_template(PROBE, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    marked = list(compress(out["input_ids"], out["assistant_masks"]))
    trained = list(compress(encoded.input_ids, encoded.answer))
    if marked != trained:
        raise TemplateError(
            f"The chat template of {tokenizer.name_or_path} marks {tokenizer.decode(marked)!r} for training, not "
            f"{tokenizer.decode(trained)!r}: put {{% generation %}} round the content and the end-of-turn token."
        )


def template_hash(tokenizer: Any) -> str:
    """A short name for what a tokenizer's chat template renders: training marks do not count.

    Raises:
        TemplateError: it has none.
    """
    if not tokenizer.chat_template:
        raise TemplateError(
            f"The tokenizer {tokenizer.name_or_path} has no chat template: use an instruct model, "
            "name one (template: chatml), or add chat_template.jinja to its folder."
        )
    return digest(json.dumps(serving_template(tokenizer.chat_template), sort_keys=True))[:16]


def clean_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates want them: fields that are None left out, tool calls parsed from their JSON."""
    return [_clean(message) for message in messages]


def is_document(messages: Sequence[Message]) -> bool:
    """Whether this is a plain text, not a conversation."""
    return len(messages) == 1 and messages[0]["role"] == "document"


def render(tokenizer: Any, messages: Sequence[Message], *, generation: bool = False) -> str:
    """A conversation as the model reads it; a document as it is.

    Args:
        tokenizer: whose chat template is used.
        messages: the conversation.
        generation: end with the opening of an answer, for the model to write it.

    Raises:
        TemplateError: the template refuses these messages.
    """
    if is_document(messages):
        return str(messages[0]["content"])
    try:
        text = tokenizer.apply_chat_template(clean_messages(messages), tokenize=False, add_generation_prompt=generation)
    except Exception as error:  # Jinja errors of many kinds: the template is foreign code
        roles = ", ".join(str(message["role"]) for message in messages)
        raise TemplateError(f"The chat template of {tokenizer.name_or_path} refuses turns {roles}: {error}") from error
    return str(text)


def render_answer(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, str]:
    """A conversation in two parts: all that opens the last answer, and the answer with its end of turn.

    Many templates do not mark answers, so the parts are found by rendering with and without the last message.
    What follows the end-of-turn token (in ChatML a line break) is left out: the model stops before it.

    Raises:
        TemplateError: the last message is not an answer, or the template renders earlier turns differently when an
            answer follows, so that no boundary can be found.
    """
    if not messages or messages[-1]["role"] != "assistant":
        raise TemplateError("The last message is not the assistant's: there is no answer to find.")
    prefix = render(tokenizer, messages[:-1], generation=True)
    whole = render(tokenizer, messages)
    if not whole.startswith(prefix):
        raise TemplateError(
            f"The chat template of {tokenizer.name_or_path} renders a prompt differently when an answer follows, so "
            "answers cannot be told from prompts: use a template that only adds text at the end."
        )
    answer = whole[len(prefix) :]
    end = tokenizer.eos_token
    if end and (at := answer.rfind(end)) >= 0:
        answer = answer[: at + len(end)]
    return prefix, answer


def encode(tokenizer: Any, messages: Sequence[Message], max_tokens: int) -> Encoded:
    """A conversation or document as tokens, at most `max_tokens` of them.

    Of a conversation that is too long the beginning of the prompt is cut, down to half of `max_tokens`; if that is
    not enough, also the end of the answer. Of a document the end is cut.

    Args:
        tokenizer: of the model; a fast one, which knows where its tokens lie in the text.
        messages: a conversation, or one document.
        max_tokens: the most tokens.

    Raises:
        TemplateError: see `render_answer`.
    """
    if is_document(messages):
        ids = _tokenize(tokenizer, str(messages[0]["content"]), special=True)[0][:max_tokens]
        return Encoded(ids, [at > 0 for at in range(len(ids))], [True] * len(ids))
    if messages and messages[-1]["role"] == "assistant":
        prefix, answer = render_answer(tokenizer, messages)
    else:
        prefix, answer = render(tokenizer, messages), ""
    ids, spans = _tokenize(tokenizer, prefix + answer)
    in_answer = [end > len(prefix) for _, end in spans]
    in_text = _inside(spans, _content_spans(prefix + answer, messages))
    prompt_tokens = in_answer.index(True) if True in in_answer else len(ids)
    start = max(0, min(len(ids) - max_tokens, prompt_tokens - max_tokens // 2))
    window = slice(start, start + max_tokens)
    return Encoded(ids[window], in_answer[window], in_text[window])


def require_end_of_turn(tokenizer: Any) -> None:
    """See that an answer ends with a token that the model learns to end with.

    Raises:
        TemplateError: nothing but words ends an answer: a model trained on such answers never stops.
    """
    encoded = encode(tokenizer, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], 4096)
    answer = [token for token, inside in zip(encoded.input_ids, encoded.answer, strict=True) if inside]
    if not tokenizer.added_tokens_decoder.keys() & set(answer):
        raise TemplateError(
            f"The chat template of {tokenizer.name_or_path} ends an answer without a token for that, so a model would "
            "not learn to stop: let the template write eos_token behind answers."
        )


def _tokenize(tokenizer: Any, text: str, *, special: bool = False) -> tuple[list[int], list[tuple[int, int]]]:
    """Tokens of `text`, and from which to which character each goes.

    `special`: add what the tokenizer puts round plain texts; chat templates write that themselves.
    """
    out = tokenizer(text, add_special_tokens=special, return_offsets_mapping=True, verbose=False)
    return list(out["input_ids"]), list(out["offset_mapping"])


def _content_spans(text: str, messages: Sequence[Message]) -> list[tuple[int, int]]:
    """Where the contents of `messages` lie in their rendered `text`, in order; templates may strip them."""
    spans, cursor = [], 0
    for message in messages:
        content = str(message.get("content") or "").strip()
        if content and (at := text.find(content, cursor)) >= 0:
            cursor = at + len(content)
            spans.append((at, cursor))
    return spans


def _inside(tokens: list[tuple[int, int]], spans: list[tuple[int, int]]) -> list[bool]:
    """For each token whether it overlaps one of `spans`; both are in order."""
    marks, current = [], 0
    for start, end in tokens:
        while current < len(spans) and spans[current][1] <= start:
            current += 1
        marks.append(current < len(spans) and start < end and end > spans[current][0])
    return marks


def _clean(message: Message) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if value is not None}
    if isinstance(calls := kept.get("tool_calls"), str):
        kept["tool_calls"] = json.loads(calls)
    kept.setdefault("content", "")
    return kept
