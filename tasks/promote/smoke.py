"""Smoke prompts: a handful of questions whose answers show whether a model works at all, before and after it serves."""

import gc
import re
from collections.abc import Sequence
from pathlib import Path

import httpx

from configs.settings import ServeSettings, SmokePrompt
from storage import registry
from storage.lake import Lake
from storage.registry import Model
from tasks.inference.engine import EngineError
from tasks.inference.template import template_fault
from tasks.lm.bearer import bearer
from tasks.promote import served

MOST_TOKENS = 128
SHOWN = 60  # characters of a prompt in a sentence


def failures(prompts: Sequence[SmokePrompt], answers: Sequence[str]) -> list[str]:
    """A sentence for each answer that does not pass; the answer itself is not quoted, it may be a user's text."""
    found = zip(prompts, (_fault(*pair) for pair in zip(prompts, answers, strict=True)), strict=True)
    return [f'The answer to the smoke prompt "{prompt.prompt[:SHOWN]}" {fault}.' for prompt, fault in found if fault]


def in_process(lake: Lake, model: Model, prompts: Sequence[SmokePrompt]) -> list[str]:
    """What is wrong with a model's answers; greedy, so that they are the same every time.

    What it would choose in them is noted beside its weights, for `over_http` to compare.
    """
    from tasks.lm.generate import generate  # torch: not for who only asks a server
    from tasks.lm.load import load

    if not prompts:
        return []
    lm = load(Path(model.path))
    asked = [[{"role": "user", "content": prompt.prompt}] for prompt in prompts]
    answers = generate(lm, asked, max_new_tokens=MOST_TOKENS, temperature=0, top_p=1, seed=0, label="promote: smoke")
    said = [[*one, {"role": "assistant", "content": answer.text}] for one, answer in zip(asked, answers, strict=True)]
    registry.attach(lake, model, served.FILE, served.noted(lm, [one for one in said if one[-1]["content"]]))
    del lm
    gc.collect()
    return failures(prompts, [answer.text for answer in answers])


def over_http(
    url: str, model: str, key: str | None, folder: Path, prompts: Sequence[SmokePrompt], settings: ServeSettings
) -> list[str]:
    """What is wrong with a model behind an OpenAI-compatible API: its answers, how conversations are written there, and
    the tokens that it would choose.

    Args:
        url: ends in /v1.
        model: its name there.
        key: sent as a bearer token.
        folder: of the model, with the tokenizer that it was trained with.
        prompts: what to ask.
        settings: how long one answer may take, and how many tokens must be those that it chose in the run.

    Raises:
        EngineError: it gives no answers.
    """
    try:
        with httpx.Client(timeout=settings.start_timeout, headers=bearer(key)) as client:
            faults = failures(prompts, [_asked(client, url, model, prompt.prompt) for prompt in prompts])
            other_tokens = served.disagreement(client, url, model, folder, settings.min_agreement)
        other_template = template_fault(url, model, key, folder)
    except httpx.HTTPError as error:
        raise EngineError(f"{url} gives no answers ({type(error).__name__}: {error}).") from error
    return [*faults, *(fault for fault in (other_template, other_tokens) if fault)]


def _asked(client: httpx.Client, url: str, model: str, prompt: str) -> str:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": MOST_TOKENS,
        "temperature": 0,
    }
    answer = client.post(f"{url}/chat/completions", json=body).raise_for_status()
    try:
        return str(answer.json()["choices"][0]["message"]["content"] or "")
    except (ValueError, LookupError, TypeError) as error:
        raise EngineError(f"{url} gives answers without a message ({type(error).__name__}).") from error


def _fault(prompt: SmokePrompt, answer: str) -> str:
    if not answer.strip():
        return "is empty"
    if prompt.expect is not None and not re.search(prompt.expect, answer):
        return f"has nothing that matches {prompt.expect!r}"
    if prompt.refuse is not None and re.search(prompt.refuse, answer):
        return f"matches {prompt.refuse!r}"
    return ""
