"""What is measured, and what must be proven before a model serves: evaluation and promotion."""

from typing import ClassVar, Literal

from pydantic import Field

from configs.inference import InferenceSettings
from configs.section import Section
from configs.serving import SmokePrompt


class JudgeSettings(InferenceSettings):
    """A language model that compares both models' answers and gives them marks."""

    section: ClassVar[str] = "evaluate.judge"

    enabled: bool = Field(default=False, description="Whether to ask it.")


class HarnessSettings(Section):
    """Tasks of the lm-evaluation-harness that both models do: `pip install 'flywheel[harness]'`."""

    tasks: tuple[str, ...] = Field(
        default=(),
        description="Names of tasks or of groups of them. What comes with the harness needs its data from the hub, or "
        "in the hub's cache; tasks of your own need nothing.",
    )
    include_path: str | None = Field(default=None, description="Folder with the YAML files of tasks of your own.")
    limit: int | None = Field(default=None, ge=1, description="Items of each task: its first ones; all if not set.")
    num_fewshot: int | None = Field(
        default=None,
        ge=0,
        description="Solved examples before each question; as the task says if not set. A task that says 0 keeps it.",
    )
    apply_chat_template: bool = Field(default=True, description="Whether questions are asked as in a conversation.")


class EvaluateSettings(Section):
    """Step 9: champion against challenger on the same items."""

    max_items: int = Field(default=2000, ge=1, description="Held-out items per metric, the same every time.")
    samples: int = Field(
        default=24,
        ge=0,
        description="Held-out prompts that both models answer, half of them general: rates of refusals, of empty and "
        "repetitive answers, and of answers in the wrong language rest on them. Fewer than 7 can prove nothing.",
    )
    max_new_tokens: int = Field(default=64, ge=8, description="Length of such an answer.")
    max_tokens: int = Field(default=1024, ge=16, description="Tokens of an item that are scored.")
    judge: JudgeSettings = JudgeSettings()
    harness: HarnessSettings = HarnessSettings()


class PromoteSettings(Section):
    """Step 10: promote only what is proven better."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="One-sided confidence of the lower bound.")
    resamples: int = Field(default=10_000, ge=100, description="Bootstrap resamples, by conversation.")
    min_items: int = Field(default=10, ge=2, description="Fewer held-out conversations decide nothing: hold.")
    max_forgetting: float = Field(default=0.05, ge=0, description="Nats per token that general loss may rise.")
    max_total_forgetting: float = Field(default=0.1, ge=0, description="The same, against the lake's first model.")
    max_regression: float = Field(
        default=0.05,
        ge=0,
        description="Nats per token that the loss may rise on answers that the champion was judged on already: those "
        "of the new batch may be tampered with.",
    )
    max_rate_drop: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="By how much rates (answers that end, that are not empty, do not refuse, do not repeat themselves "
        "and are in the language of the prompt) may get worse; a rise that is proven and larger rejects.",
    )
    max_task_drop: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="By how much the score on a task of evaluate.harness may fall; a fall that is proven and larger "
        "rejects.",
    )
    max_unusual: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="By how much the share of odd answers (off the question, refusing, repetitive, in another language "
        "...) of a new batch may be above that of the batches that the champion was judged on. More of them, if chance "
        "does not explain them, hold the verdict until a person looks; 1 never does.",
    )
    min_agreement: float = Field(
        default=0.98, ge=0, le=1, description="Least share of tokens on which merged model and adapter agree."
    )
    repeated_nights: Literal["spend", "ignore"] = Field(
        default="spend",
        description="spend: with every challenger that failed, the next one must be surer, so that the chance of a "
        "champion to fall to one that is no better stays below 1 - confidence however many nights it serves. "
        "ignore: every night is tested as if it were the only one.",
    )
    smoke: tuple[SmokePrompt, ...] = Field(
        default=(SmokePrompt(prompt="Hello! What can you do for me?"),),
        description="What a model must answer before it becomes champion, and again once it is served.",
    )
    approval: bool = Field(
        default=False,
        description="A person decides about every model that is proven better: in the Prefect UI (deployment approve), "
        "or by `flywheel promote`.",
    )
    approval_hours: float = Field(
        default=72, gt=0, description="Hours for which Prefect waits for them; `flywheel promote` can do it later, too."
    )
