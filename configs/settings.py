"""Everything a person may set, in one tree of frozen models: `Settings` is a config file and the form in the UI.

A section belongs to the step of its name. Sections are small, because a step's output is keyed by its section: what
is not in it cannot change the output. Lists of models instead of dicts keep the UI's form usable.
"""

from typing import ClassVar, Literal

from pydantic import Field

from configs import aliases
from configs.evidence import EvaluateSettings as EvaluateSettings
from configs.evidence import PromoteSettings as PromoteSettings
from configs.mixing import MixSettings as MixSettings
from configs.mixing import MixSource as MixSource
from configs.privacy import NameEngine as NameEngine
from configs.privacy import Recognizer as Recognizer
from configs.privacy import Replacement as Replacement
from configs.privacy import ReplacementMode as ReplacementMode
from configs.privacy import ScrubSettings as ScrubSettings
from configs.quality import ScoreSettings as ScoreSettings
from configs.quality import SelectSettings as SelectSettings
from configs.section import Section as Section
from configs.serving import Hook as Hook
from configs.serving import ServeSettings as ServeSettings
from configs.serving import SmokePrompt as SmokePrompt
from configs.sources import CollectorSettings as CollectorSettings
from configs.sources import CollectSettings as CollectSettings
from configs.sources import Format as Format
from configs.sources import Source as Source
from configs.synthesis import SynthesizeSettings as SynthesizeSettings
from configs.training import DistillSettings as DistillSettings
from configs.training import LaunchSettings as LaunchSettings
from configs.training import OnlineSettings as OnlineSettings
from configs.training import OptionalSettings as OptionalSettings
from configs.training import StageSettings as StageSettings
from configs.training import TrainSettings as TrainSettings

Template = Literal["own", "alpaca", "chatml", "gemma", "llama2", "llama3", "mistral", "phi3", "vicuna", "zephyr"]


class DedupeSettings(Section):
    """Step 2: exact and near duplicates, against everything seen before."""

    compare: Literal["user_turns", "conversation"] = Field(
        default="user_turns",
        description="Which text two conversations are compared by; documents by their own text.",
    )
    short_threshold: float = Field(default=0.9, gt=0, le=1, description="Jaccard similarity, up to 60 words.")
    long_threshold: float = Field(default=0.8, gt=0, le=1, description="Jaccard similarity, longer texts.")
    bucket_cap: int = Field(default=32, ge=1, description="Members of a bucket that every other one is compared with.")


class SplitSettings(Section):
    """Which rows may be learned from, before anything learns."""

    holdout_share: float = Field(default=0.1, gt=0, lt=1, description="Sealed: only evaluation reads it.")
    validation_share: float = Field(default=0.05, ge=0, lt=1, description="Loss during training.")


class MaintainSettings(Section):
    """What `flywheel maintain` keeps, and for how long."""

    retention_days: int = Field(
        default=90,
        ge=0,
        description="Days after which the raw text of what was collected is emptied; ids, users and consent stay, and "
        "so does what was scrubbed.",
    )
    model_days: int = Field(default=14, ge=0, description="Days for which the weights of every model are kept.")
    keep_champions: int = Field(
        default=2, ge=0, description="Former champions whose weights are kept for a rollback, besides the champion."
    )
    vacuum_hours: int = Field(
        default=24,
        ge=0,
        description="Hours for which old versions of the tables stay readable: more than any step takes. Erased rows "
        "are gone from the disk after that.",
    )


class Settings(Section):
    """A flywheel: where it lies, which model it improves, and how each step works."""

    other_names: ClassVar = aliases.SETTINGS

    lake: str = Field(default="lake", description="Folder or object-store URI of all tables, models and reports.")
    seed: int = Field(default=17, ge=0, description="Every random choice follows from it.")
    model_name_or_path: str = Field(
        default="smollm2",
        description='Folder of the first champion, a hub name, or "smollm2" (make model gets it).',
    )
    template: Template = Field(
        default="own",
        description="Chat template of the first champion and of all that is trained from it: the model's own or, for "
        "models that come without one, one by name.",
    )
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="Where deduplication, scrubbing and scoring run: on this machine, or on the Ray cluster of "
        "RAY_ADDRESS.",
    )
    collect: CollectSettings = CollectSettings()
    dedupe: DedupeSettings = DedupeSettings()
    scrub: ScrubSettings = ScrubSettings()
    split: SplitSettings = SplitSettings()
    score: ScoreSettings = ScoreSettings()
    synthesize: SynthesizeSettings = SynthesizeSettings()
    mix: MixSettings = MixSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    promote: PromoteSettings = PromoteSettings()
    serve: ServeSettings = ServeSettings()
    maintain: MaintainSettings = MaintainSettings()
