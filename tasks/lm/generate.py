"""Answers from a model in this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from storage.progress import progress
from storage.snapshot import digest
from tasks.lm.load import LanguageModel
from tasks.lm.template import Message, render


@dataclass(frozen=True)
class Completion:
    """An answer.

    Args:
        text: what the model wrote, without special tokens.
        finished: whether it ended its turn, rather than being cut at the most tokens.
        tokens: how many it wrote, the end of turn included.
        prompt_tokens: how many it read, where somebody counts them.
    """

    text: str
    finished: bool
    tokens: int
    prompt_tokens: int = 0


def generate(
    lm: LanguageModel,
    prompts: Sequence[Sequence[Message]],
    *,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    batch_size: int = 16,
    label: str = "generate",
) -> list[Completion]:
    """One answer to each prompt, in the order of the prompts.

    Args:
        lm: the model.
        prompts: conversations that wait for an answer.
        max_new_tokens: the most tokens of an answer; of a prompt, as many stay (its last ones) as the model's
            context then has room for.
        temperature: of sampling; 0 takes the likeliest token each time.
        top_p: nucleus of sampling.
        seed: the same seed and prompts give the same answers on the same machine.
        batch_size: prompts at a time; those of similar length go together.
        label: what the progress line says.

    Raises:
        TemplateError: the chat template refuses a prompt.
    """
    settings = _settings(lm, max_new_tokens, temperature, top_p)
    room = max(1, lm.model.config.get_text_config().max_position_embeddings - max_new_tokens)
    encoded = [_prompt_tokens(lm.tokenizer, prompt)[-room:] for prompt in prompts]
    order = sorted(range(len(encoded)), key=lambda at: (-len(encoded[at]), at))
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    found: dict[int, Completion] = {}
    devices = [lm.device] if lm.device.type == "cuda" else []
    with torch.inference_mode(), torch.random.fork_rng(devices=devices):
        for number, batch in enumerate(progress(batches, len(batches), label, "batches")):
            torch.manual_seed(int(digest(str(seed), str(number))[:15], 16))
            found.update(zip(batch, _answers(lm, [encoded[at] for at in batch], settings), strict=True))
    return [found[at] for at in range(len(prompts))]


def _settings(lm: LanguageModel, max_new_tokens: int, temperature: float, top_p: float) -> GenerationConfig:
    # top_k and repetition penalties are set too: what the model's own generation config says must not slip in
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(_stops(lm)),
        pad_token_id=lm.tokenizer.pad_token_id,
        repetition_penalty=1.0,
        **({"do_sample": False} | sampling),
    )


def _stops(lm: LanguageModel) -> set[int]:
    """Tokens that end an answer: the tokenizer's end of turn, and what the model was shipped with."""
    own = lm.model.generation_config.eos_token_id
    more = own if isinstance(own, list) else [own]
    return {token for token in (lm.tokenizer.eos_token_id, *more) if token is not None}


def _prompt_tokens(tokenizer: Any, prompt: Sequence[Message]) -> list[int]:
    text = render(tokenizer, prompt, generation=True)
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _answers(lm: LanguageModel, prompts: Sequence[list[int]], settings: GenerationConfig) -> list[Completion]:
    """Padded at the left, so that every answer begins at the same position."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[lm.tokenizer.pad_token_id] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    out = lm.model.generate(input_ids=ids.to(lm.device), attention_mask=mask.to(lm.device), generation_config=settings)
    stops = set(settings.eos_token_id)
    return [_completion(lm.tokenizer, row, stops) for row in out[:, width:].tolist()]


def _completion(tokenizer: Any, tokens: list[int], stops: set[int]) -> Completion:
    end = next((at for at, token in enumerate(tokens) if token in stops), None)
    kept = tokens if end is None else tokens[:end]
    text = tokenizer.decode(kept, skip_special_tokens=True).strip()
    return Completion(text=text, finished=end is not None, tokens=len(kept) + (end is not None))
