"""Which language model a step asks, and how: its engine, its server, and what may be spent."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from configs.section import Section


class InferenceSettings(Section):
    """What every section has whose step asks a language model for texts."""

    section: ClassVar[str] = "synthesize"
    """Where its settings stand in the file, for errors."""

    engine: Literal["auto", "openai", "vllm", "transformers"] = Field(
        default="auto",
        description="auto: the endpoints if any are set, else vLLM if it is installed, else in process.",
    )
    model: str = Field(
        default="champion", description="Folder or name of the model for engines of our own; champion: who serves."
    )
    lora_adapter: str | None = Field(default=None, description="Folder of a LoRA adapter for it.")
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
    budget_money: float | None = Field(
        default=None, gt=0, description="What one step may spend, in the currency of the prices."
    )
    price_read: float = Field(default=0, ge=0, description="Price of a million tokens of prompts.")
    price_written: float = Field(default=0, ge=0, description="Price of a million tokens of answers.")
    vllm_python: str = Field(default=".venv-vllm/bin/python", description="Python of the environment with vLLM.")
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs that share the model, in vLLM.")
    gpu_memory_utilization: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Share of the GPU's memory that vLLM takes; by default vLLM's, which leaves hardly any: best_of_n "
        "loads the model of the reward head beside it.",
    )
    vllm_arguments: tuple[str, ...] = Field(
        default=(), description="More arguments of the vLLM server, such as --quantization=fp8"
    )
    max_model_len: int = Field(default=4096, ge=128, description="Tokens of prompt and answer that vLLM serves.")
    start_timeout: float = Field(default=900, gt=0, description="Seconds until a vLLM server must be healthy.")

    @property
    def asks_endpoints(self) -> bool:
        """Whether servers that somebody else runs answer."""
        return self.engine == "openai" or (self.engine == "auto" and bool(self.endpoints))

    @model_validator(mode="after")
    def _endpoints_have_their_own_model(self) -> Self:
        if self.asks_endpoints and (self.lora_adapter or self.model != "champion"):
            raise ValueError(
                "model and lora_adapter are for engines of our own, and endpoints are asked: set endpoint_model"
            )
        return self

    @model_validator(mode="after")
    def _money_has_prices(self) -> Self:
        if self.budget_money is not None and not self.price_read and not self.price_written:
            raise ValueError("budget_money limits nothing without price_read and price_written: set them, too")
        return self
