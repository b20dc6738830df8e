"""What is generated, and how much of it."""

from pydantic import Field

from configs.inference import InferenceSettings


class SynthesizeSettings(InferenceSettings):
    """Step 6: more data than the users left."""

    enabled: bool = Field(default=True, description="Whether to generate anything.")
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
