"""How the champion is served, and who is told when another model becomes champion."""

import re
from typing import Literal

from pydantic import Field, model_validator

from configs.section import Section


class SmokePrompt(Section):
    """A prompt whose answer shows whether a model works at all; an empty answer never passes."""

    prompt: str = Field(min_length=1, description="What the model is asked.")
    expect: str | None = Field(default=None, description="Regular expression that the answer must match somewhere.")
    refuse: str | None = Field(default=None, description="Regular expression that it must match nowhere.")

    @model_validator(mode="after")
    def _patterns(self) -> "SmokePrompt":
        for pattern in filter(None, (self.expect, self.refuse)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return self


class Hook(Section):
    """Who is told of a new champion: a command or a webhook, with the same JSON. See `tasks/promote/hooks.py`."""

    command: tuple[str, ...] = Field(
        default=(), description="Program and arguments; it gets the JSON on standard input and must end with 0."
    )
    webhook: str | None = Field(default=None, description="Address that the JSON is posted to.")
    secret_variable: str = Field(
        default="FLYWHEEL_WEBHOOK_SECRET",
        description="Environment variable with the key that a webhook is signed with; unsigned where it is not set.",
    )
    timeout: float = Field(default=60, gt=0, description="Seconds that one try may take.")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Hook":
        if bool(self.command) == bool(self.webhook):
            raise ValueError("a hook is either a command or a webhook: give one of the two")
        return self


class ServeSettings(Section):
    """`flywheel serve`, and what follows a promotion."""

    hooks: tuple[Hook, ...] = Field(default=(), description="Who is told when the champion changes.")
    url: str | None = Field(
        default=None,
        description="Where the champion is served, ending in /v1. A run then waits until the new champion answers its "
        "smoke prompts there, and rolls back if it does not.",
    )
    key_variable: str = Field(
        default="FLYWHEEL_SERVE_KEY",
        description="Environment variable with the API key that `flywheel serve` asks for, and that url wants.",
    )
    command: tuple[str, ...] = Field(
        default=(),
        description="What starts an OpenAI-compatible server, by default vLLM. {folder} and {name} are the model's; "
        "--host and --port are added, and VLLM_API_KEY is the key that it must ask for.",
    )
    vllm_python: str = Field(default=".venv-vllm/bin/python", description="Python of the environment with vLLM.")
    vllm_arguments: tuple[str, ...] = Field(
        default=(), description="More arguments of the vLLM server, such as --tensor-parallel-size=2"
    )
    max_model_len: int = Field(default=4096, ge=128, description="Tokens of prompt and answer that vLLM serves.")
    start_timeout: float = Field(default=900, gt=0, description="Seconds until a new champion must be served.")
    min_agreement: float = Field(
        default=0.98,
        ge=0,
        le=1,
        description="Least share of tokens on which the served model and the one that was judged agree, where the "
        "server tells (vLLM does). One that is surely below it is rolled back.",
    )
    swap: Literal["beside", "instead"] = Field(
        default="instead",
        description="beside: the new server passes its smoke prompts before the old one goes, which takes the memory "
        "of two. instead: the old one ends first, and meanwhile requests are told to come again.",
    )
    poll_seconds: float = Field(default=5, gt=0, description="How often the champion pointer is looked at.")
    drain_seconds: float = Field(default=60, ge=0, description="Seconds that begun answers of the old server may take.")
