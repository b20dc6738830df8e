"""Whether a server writes conversations as the model was trained to read them."""

import logging
from pathlib import Path

import httpx

from tasks.lm.bearer import bearer
from tasks.lm.template import PROBE, render, template_hash

log = logging.getLogger(__name__)


def template_fault(url: str, model: str, key: str | None, folder: Path) -> str | None:
    """What is wrong with a server's chat template, in a sentence; None when nothing is.

    The server is asked for the tokens of a short conversation (vLLM's `/tokenize`); of one that cannot tell, nothing is
    known.

    Args:
        url: ends in /v1.
        model: its name there.
        key: sent as a bearer token.
        folder: of the model, with the tokenizer that it was trained with.

    Raises:
        httpx.TransportError: it cannot be reached.
    """
    body = {"model": model, "messages": PROBE, "add_generation_prompt": False}
    reply = httpx.post(f"{url.removesuffix('/v1')}/tokenize", json=body, headers=bearer(key), timeout=60)
    tokens = _tokens(reply)
    if tokens is None:
        log.info("%s does not say how it writes conversations: its chat template is not compared", url)
        return None
    from tasks.lm.load import load_tokenizer  # torch: not for who only asks a server

    tokenizer = load_tokenizer(folder)
    expected = tokenizer(render(tokenizer, PROBE), add_special_tokens=False)["input_ids"]
    if tokens == expected:
        return None
    return (
        f"{url} serves {model} with another chat template than it was trained with ({template_hash(tokenizer)}): it "
        f"writes {tokenizer.decode(tokens)!r}, not {tokenizer.decode(expected)!r}. Serve it with the "
        f"chat_template.jinja of {folder}."
    )


def _tokens(reply: httpx.Response) -> list[int] | None:
    """What vLLM answers; None of any other answer."""
    try:
        found = reply.json()["tokens"] if reply.is_success else None
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, list) else None
