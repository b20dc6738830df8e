"""Where the input comes from, and in which form: the settings of step 1."""

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.section import Section

Format = Literal[
    "auto",
    "openai_log",
    "messages",
    "sharegpt",
    "alpaca",
    "question_answer",
    "kto",
    "preference",
    "feedback",
    "document",
    "opentelemetry",
    "langfuse",
    "litellm",
    "open_webui",
    "openpipe",
]


class Source(Section):
    """One place that logs or documents come from."""

    name: str = Field(description="Short name; rows and ids carry it, so keep it when the path changes.")
    path: str = Field(description="File, folder, glob or URI, for example logs/*.jsonl.gz")
    format: Format = Field(default="auto", description="Form of a record; auto tells each by its keys.")
    domain: str = Field(default="product", description='Domain of its rows; "general" marks replay data.')
    about: str | None = Field(
        default=None, description="Name of the source whose answers its feedback judges; by default the source itself."
    )


HTTP = "http"
"""Name of the source of what came over HTTP."""


class CollectorSettings(Section):
    """The HTTP collector, `flywheel collector`: records wait in its spool until step 1 takes them in."""

    spool: str | None = Field(
        default=None,
        description="Local folder where records wait; by default LAKE.spool beside the lake. Needed when the lake is "
        "in an object store: collector and collect must see the same folder.",
    )
    domain: str = Field(default="product", description="Domain of its rows.")
    about: str = Field(
        default=HTTP, description="Name of the source whose answers its feedback judges; http: what came over HTTP."
    )
    keys_file: str | None = Field(
        default=None,
        description="File with a line `NAME SHA256` for each API key, as `flywheel new-key NAME` prints it; the "
        "environment variable FLYWHEEL_COLLECTOR_KEYS may hold such lines, too.",
    )
    max_request_bytes: int = Field(
        default=16 * 2**20, ge=1, description="Longest body of a request, before and after unpacking."
    )
    max_spool_bytes: int = Field(
        default=10 * 2**30, ge=1, description="While the spool holds so much, requests are answered with 429."
    )
    min_free_bytes: int = Field(
        default=2**30, ge=0, description="While the spool's disk has less left, requests are answered with 503."
    )


class CollectSettings(Section):
    """Step 1: take in logs, feedback and documents."""

    sources: tuple[Source, ...] = Field(default=(), description="Where logs and documents come from.")
    consent_field: str = Field(
        default="consent",
        description="Key of a record (or of its metadata) that says whether it may be learned from.",
    )
    default_consent: bool = Field(default=True, description="What a record without that key counts as.")
    batch_bytes: int = Field(
        default=2**26,
        ge=1,
        description="Most bytes of input in one batch, which bounds memory; the rest follows in further batches. "
        "A compressed file is not cut.",
    )
    http: CollectorSettings = Field(default=CollectorSettings(), description="What `flywheel collector` serves.")

    @model_validator(mode="after")
    def _about_a_source(self) -> Self:
        names = {HTTP, *(source.name for source in self.sources)}
        if self.http.about not in names:
            raise ValueError(f"http.about is {self.http.about}, which is no source; there are {', '.join(names)}")
        for source in self.sources:
            if source.name == HTTP:
                raise ValueError("a source is named http: that is what came over HTTP; name it otherwise")
            if source.format == "feedback" and source.about is None:
                raise ValueError(f"source {source.name} holds feedback only: say `about:` which source it judges")
            if source.about is not None and source.about not in names:
                raise ValueError(
                    f"source {source.name} is about {source.about}, which is no source; there are {', '.join(names)}"
                )
        return self
