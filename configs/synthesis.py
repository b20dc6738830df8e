"""What is generated, and how much of it."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from configs.inference import InferenceSettings

Evolution = Literal["constraints", "deepening", "concretizing", "reasoning", "input", "breadth"]
EVOLUTIONS: tuple[Evolution, ...] = ("constraints", "deepening", "concretizing", "reasoning", "input", "breadth")
Judge = Literal["reward", "comparisons", "quality", "conduct"]
LANGUAGES: Mapping[str, str] = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "zh": "Chinese",
}


class SynthesizeSettings(InferenceSettings):
    """Step 6: more data than the users left."""

    enabled: bool = Field(default=True, description="Whether to generate anything.")
    shards: int = Field(
        default=1,
        ge=1,
        description="Runs of the deployment synthesize-shard that share the conversations and the budget, each with an "
        "engine of its own, such as vLLM on a worker's GPUs. 1: this run writes them all.",
    )
    instructions: int = Field(default=200, ge=0, description="New instructions to write and answer (Self-Instruct).")
    demonstrations: int = Field(default=8, ge=1, description="Instructions that Self-Instruct shows for a new one.")
    generated_demonstrations: int = Field(default=2, ge=0, description="How many of these are generated ones.")
    max_rouge: float = Field(
        default=0.7, gt=0, le=1, description="ROUGE-L with an earlier one from which on an instruction is not new."
    )
    evolve: int = Field(default=0, ge=0, description="Real instructions to make harder or rarer (Evol-Instruct).")
    evolutions: tuple[Evolution, ...] = Field(
        default=EVOLUTIONS, min_length=1, description="In which ways, of which chance picks one each time."
    )
    magpie: int = Field(default=0, ge=0, description="Instructions that the model dreams up from its template alone.")
    personas: int = Field(default=0, ge=0, description="Instructions by the kind of person behind a real one.")
    backtranslate: int = Field(default=0, ge=0, description="Documents to find the instruction for.")
    min_rating: int = Field(default=4, ge=1, le=5, description="What the model must think of how the two fit, of 5.")
    document_questions: int = Field(default=0, ge=0, description="Documents to ask a question about, and answer it.")
    min_grounding: float = Field(default=0.6, ge=0, le=1, description="Share of that answer's words in the document.")
    regenerate: int = Field(default=0, ge=0, description="Real prompts to answer anew, by a better model.")
    best_of_n: int = Field(default=0, ge=0, description="Real prompts to answer by the best of several samples.")
    checked: int = Field(default=0, ge=0, description="Prompts to answer step by step; kept if the result is right.")
    translate: int = Field(default=0, ge=0, description="Conversations to translate into translate_to.")
    translate_to: tuple[str, ...] = Field(default=(), description="Languages to translate into, such as de or fr.")
    extend: int = Field(default=0, ge=0, description="Conversations to continue by another question and answer.")
    pairs: int = Field(default=100, ge=0, description="Prompts to sample answers for (preference pairs).")
    pairs_from: Literal["start", "engine"] = Field(
        default="start",
        description="Who writes them. start: the model that DPO starts from; engine: the engine's, whose pairs say "
        "off_policy in their row and are mixed like the others.",
    )
    samples: int = Field(default=4, ge=2, description="Answers per prompt, for a pair and for best_of_n.")
    judge: Judge = Field(
        default="reward",
        description="Who scores them. reward: the head that feedback trained; else the engine's model, by comparisons "
        "in both orders, or by marks for quality or conduct.",
    )
    max_length_ratio: float = Field(default=2, ge=1, description="Of the lengths of a pair's answers, at most.")
    max_new_tokens: int = Field(default=256, ge=8, description="Length of an answer.")
    temperature: float = Field(default=0.8, ge=0, le=2, description="Sampling temperature.")
    top_p: float = Field(default=0.95, gt=0, le=1, description="Nucleus of sampling.")

    @property
    def conversations(self) -> int:
        """How many conversations are tried for, by all methods together."""
        instructed = self.instructions + self.evolve + self.magpie + self.personas
        documented = self.backtranslate + self.document_questions
        answered = self.regenerate + self.best_of_n + self.checked
        return instructed + documented + answered + self.translate + self.extend

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        unknown = [name for name in self.translate_to if name not in LANGUAGES]
        if unknown or (self.translate and not self.translate_to):
            known = ", ".join(LANGUAGES)
            raise ValueError(f"translate_to is {', '.join(unknown) or 'empty'}: name one or more of {known}")
        if self.magpie and self.asks_endpoints:
            raise ValueError(
                "magpie needs the chat template of the model, which an endpoint does not tell: set engine to vllm or "
                "transformers, or magpie to 0"
            )
        return self
