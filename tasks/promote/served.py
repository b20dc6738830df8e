"""Whether the model that a server has loaded is the one that was judged: the tokens that both would choose.

Another precision, a wrong adapter or a broken kernel need not show in an answer to a smoke prompt. So what the model
would choose at each place of its own answers is noted in its folder while it is in this process, and a server is asked
for its choices at the same places (vLLM's `prompt_logprobs`).
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from scipy.stats import binom

if TYPE_CHECKING:  # torch: not for who only asks a server
    from tasks.lm.load import LanguageModel
    from tasks.lm.template import Message

log = logging.getLogger(__name__)
FILE = "choices.json"
SURE = 0.01
"""A share below the least one counts when chance makes one as low as that less often."""


def noted(lm: "LanguageModel", conversations: Sequence[Sequence["Message"]]) -> str:
    """What the model would choose in the answers that end these conversations: the text of `FILE`."""
    from tasks.lm.choices import choices, places
    from tasks.lm.template import encode

    most = lm.model.config.get_text_config().max_position_embeddings
    rows = [encode(lm.tokenizer, messages, most) for messages in conversations]
    found = [{"ids": row.input_ids, "places": places(row), "chosen": choices(lm, row).tolist()} for row in rows]
    return json.dumps(found)


def disagreement(client: httpx.Client, url: str, model: str, folder: Path, least: float) -> str | None:
    """A sentence where a server chooses other tokens than the model did; None where it agrees, or cannot tell.

    Args:
        client: with the headers that the server wants.
        url: ends in /v1.
        model: its name there.
        folder: of the model; without `FILE` nothing is compared.
        least: share of equal choices.

    Raises:
        httpx.HTTPError: it cannot be reached.
    """
    file = folder / FILE
    if not file.is_file():
        log.info("promote: %s was never asked in a run, so its served tokens are not compared", model)
        return None
    equal: list[bool] = []
    for row in json.loads(file.read_text()):
        body = {"model": model, "prompt": row["ids"], "max_tokens": 1, "temperature": 0, "prompt_logprobs": 1}
        there = _chosen(client.post(f"{url}/completions", json=body), row["places"])
        if there is None:
            log.info("promote: %s does not tell which tokens it would choose: they are not compared", url)
            return None
        equal += [one == other for one, other in zip(row["chosen"], there, strict=True)]
    if not equal or binom.sf(len(equal) - sum(equal) - 1, len(equal), 1 - least) > SURE:
        return None
    return (
        f"Where it is served it chooses the token that it chose in the run in {sum(equal)} of {len(equal)} cases only "
        f"(serve.min_agreement: {least:.0%})."
    )


def _chosen(reply: httpx.Response, places: Sequence[int]) -> list[int] | None:
    """The likeliest token at each place; None of a server that does not say."""
    try:
        told = reply.json()["choices"][0]["prompt_logprobs"] if reply.is_success else None
        return None if told is None else [next(_first(told[at])) for at in places]
    except (ValueError, LookupError, TypeError, StopIteration):
        return None


def _first(told: Mapping[str, Any]) -> Iterator[int]:
    return (int(token) for token, found in told.items() if found["rank"] == 1)
