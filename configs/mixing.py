"""What a training reads: the recipe of step 7."""

from collections.abc import Sequence
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from configs.quality import SelectSettings
from configs.section import Section
from configs.sources import Format

Stage = Literal["cpt", "sft", "distill", "grpo", "rloo", "dpo", "orpo", "reward", "kto"]
ANSWERS: tuple[Stage, ...] = ("sft", "distill")
"""Stages that learn the last answer of a conversation."""
PROMPTS: tuple[Stage, ...] = ("grpo", "rloo")
"""Stages that answer prompts themselves, and are told how good that was."""
PAIRS: tuple[Stage, ...] = ("dpo", "orpo", "reward")
"""Stages that learn from a better and a worse answer."""
JUDGED: tuple[Stage, ...] = (*PAIRS, "kto")
"""Stages that learn from preferences."""
CONVERSATIONS: tuple[Stage, ...] = (*ANSWERS, *PROMPTS)
BY_TABLE: dict[str, tuple[Stage, ...]] = {"curated": ("cpt", *CONVERSATIONS), "preferences": JUDGED}
BY_FORMAT: dict[str, tuple[Stage, ...]] = {"document": ("cpt",), "preference": PAIRS, "kto": ("kto",)}
"""Which stages read a format; the others hold conversations."""


class RowFilter(Section):
    """Which rows of a table a source takes; each that is left empty takes all."""

    origins: tuple[str, ...] = Field(
        default=(), description="curated: user, synthetic; preferences: edit, regenerate, comparison, best_of_n ..."
    )
    domains: tuple[str, ...] = Field(default=(), description="Domains, curated rows only.")
    sources: tuple[str, ...] = Field(default=(), description="Names in collect.sources, curated rows only.")
    languages: tuple[str, ...] = Field(default=(), description="Languages, curated rows only.")


class MixSource(Section):
    """A part of a mixture. Without a weight it gives all it has, and what the weights leave is its share."""

    name: str = Field(description="What the part is called in manifests and reports.")
    table: Literal["curated", "preferences"] | None = Field(default=None, description="Table of the lake.")
    path: str | None = Field(
        default=None,
        description="File, folder, glob or URI instead of a table. Its rows are neither scrubbed nor scored: name it "
        "in collect.sources for that. Left out are rows that give away the holdout, rows without consent "
        "(collect.consent_field; collect.default_consent where a record names its user), and rows of users, "
        "conversations or records that were erased, as far as they name them.",
    )
    format: Format = Field(default="auto", description="Form of the path's records; auto: any with conversations.")
    select: RowFilter = Field(
        default=RowFilter(), description="Rows of the table; a row goes to the first source that takes it."
    )
    weight: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of the mixture's trained tokens; where every source of a stage has one, relative to theirs.",
    )
    max_weight: float | None = Field(
        default=None, gt=0, lt=1, description="Most share of trained tokens, instead of a weight: less is no shortfall."
    )
    replay: bool = Field(
        default=False,
        description="Whether it is there against forgetting: its rows are not news that a training is worth, the rules "
        "on topics, templates and users spare them, and ewc_lambda holds what the model needs for them.",
    )
    max_repeats: int = Field(
        default=1, ge=1, description="Times a row may be in the mixture where there are too few for the weight."
    )
    stages: tuple[Stage, ...] = Field(default=(), description="Stages that read it; by default all that can.")

    @property
    def share(self) -> float | None:
        """Its weight, wanted or at most."""
        return self.weight if self.weight is not None else self.max_weight

    def feeds(self, stage: str) -> bool:
        """Whether a stage reads it."""
        if self.stages:
            return stage in self.stages
        return stage in (BY_FORMAT.get(self.format, CONVERSATIONS) if self.table is None else BY_TABLE[self.table])

    @model_validator(mode="after")
    def _make_sense(self) -> Self:
        if (self.table is None) == (self.path is None):
            raise ValueError(f"source {self.name} needs a table or a path, and not both")
        if self.weight is not None and self.max_weight is not None:
            raise ValueError(f"source {self.name} has a weight and a max_weight: keep one")
        if self.replay and self.share is None:
            raise ValueError(f"source {self.name} is replayed beside others: give it a weight or a max_weight")
        if self.max_repeats > 1 and self.weight is None:
            raise ValueError(f"source {self.name} repeats rows to reach a weight, and has none: give it a weight")
        of_curated = self.select.domains or self.select.sources or self.select.languages
        if (self.path is not None and self.select != RowFilter()) or (self.table == "preferences" and of_curated):
            raise ValueError(f"source {self.name} selects by what its rows do not have: see mix.sources.select")
        if self.table is not None and self.format != "auto":
            raise ValueError(f"source {self.name} is a table: format is for files")
        if self.table is not None and (odd := sorted(set(self.stages) - set(BY_TABLE[self.table]))):
            raise ValueError(f"source {self.name}: the stage {odd[0]} cannot read the table {self.table}")
        return self


RECIPE = (
    MixSource(name="general", table="curated", select=RowFilter(domains=("general",)), weight=0.1, replay=True),
    MixSource(name="synthetic", table="curated", select=RowFilter(origins=("synthetic",)), max_weight=0.3),
    MixSource(name="user", table="curated"),
    MixSource(name="preferences", table="preferences"),
)
"""Users' rows, as much synthetic text as suits them, and a tenth of general text against forgetting."""


def leading(sources: Sequence[MixSource]) -> list[MixSource]:
    """The sources that give all they have, by which the others are measured: those without a weight, or the heaviest
    where each has one; never one that is replayed."""
    free = [source for source in sources if source.share is None]
    weighted = [source for source in sources if source.weight is not None and not source.replay]
    return free or sorted(weighted, key=lambda source: -(source.weight or 0))[:1]


def weights(sources: Sequence[MixSource]) -> dict[str, float]:
    """Share of trained tokens of each source that does not lead, wanted or at most.

    Where every source has a weight, they count relative to each other and share what each `max_weight` leaves: not
    every stage reads all of them.
    """
    first = leading(sources)
    relative = 1.0
    if first and first[0].weight is not None:
        relative = (1 - _bounded(sources)) / sum(source.weight or 0 for source in sources)
    others = [source for source in sources if source not in first]
    return {source.name: source.max_weight or (source.weight or 0) * relative for source in others}


def _bounded(sources: Sequence[MixSource]) -> float:
    """Share that those with a `max_weight` may have together."""
    return sum(source.max_weight or 0 for source in sources)


class MixSettings(Section):
    """Step 7: what each training reads."""

    select: SelectSettings = SelectSettings()
    sources: tuple[MixSource, ...] = Field(
        default=RECIPE, description="What a mixture is made of; each stage takes the sources that it can read."
    )
    max_rows: int = Field(
        default=20_000, ge=1, description="Most rows of a mixture: what came since the last training, then others."
    )
    min_rows: int = Field(default=8, ge=1, description="A stage with fewer new rows is skipped, with that reason.")

    def recipe(self, stage: str) -> list[MixSource]:
        """The sources that a stage reads."""
        return [source for source in self.sources if source.feeds(stage)]

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        names = [source.name for source in self.sources]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two sources are named {', '.join(sorted(repeated))}")
        for stage in get_args(Stage):
            _check_weights(stage, self.recipe(stage))
        return self


def _check_weights(stage: str, sources: Sequence[MixSource]) -> None:
    """Raises ValueError when the weights of a stage's sources cannot all hold."""
    if not sources:
        return
    first = leading(sources)
    if not first:
        raise ValueError(f"{stage} needs a source without max_weight or replay, which the others are measured by")
    leader = first[0]
    taken = _bounded(sources) + (0 if leader.weight else sum(source.weight or 0 for source in sources))
    if taken >= 1:
        raise ValueError(f"the weights for {stage} add up to {taken:g}, and leave {leader.name} nothing")
