"""Finding and loading language models and their tokenizers."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from configs.mistake import Mistake
from storage.snapshot import digest
from tasks.lm.bottleneck import CONFIG as BOTTLENECKS
from tasks.lm.bottleneck import load_bottlenecks
from tasks.lm.template import template_hash

SMOLLM2 = "smollm2"
UNMERGED = "unmerged"
"""Folder in a model's folder with what was trained beside the weights and cannot be merged into them."""


class MissingModelError(Mistake):
    """A model is not where it was looked for; the message says how to get it."""


class UnmergedError(Mistake):
    """A model is only whole with something beside its weights, where the weights alone are wanted."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer.

    Args:
        model: the Transformers model, in evaluation mode; None where a server has it.
        tokenizer: its tokenizer, with a padding token and a chat template.
        path: where it was loaded from.
        template_hash: hash of its chat template: losses under different templates must not be compared.
    """

    model: Any
    tokenizer: Any
    path: str
    template_hash: str

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return torch.device(self.model.device)


def cache_folder() -> Path:
    """Where Flywheel keeps what it downloads: `FLYWHEEL_CACHE`, or ~/.cache/flywheel."""
    return Path(os.environ.get("FLYWHEEL_CACHE", Path.home() / ".cache" / "flywheel"))


def resolve(name_or_path: str | Path, setting: str = "model_name_or_path") -> Path:
    """The local folder of a model.

    Args:
        name_or_path: "smollm2", a folder, or the name of a model in the local Hugging Face cache or on the hub.
        setting: which one names it, for errors.

    Raises:
        MissingModelError: no such model.
    """
    name = str(name_or_path)
    if name == SMOLLM2:
        folder = cache_folder() / "models" / SMOLLM2
        if not folder.exists():
            raise MissingModelError(f"The model smollm2 is not in {folder}: run `make model` to get it.")
        return folder
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise MissingModelError(f"{folder} is not a model folder: it has no config.json.")
        return folder.resolve()
    if folder.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise MissingModelError(
            f'No model folder {folder}: set {setting} to a folder with config.json, a hub name, or "smollm2".'
        )
    return _from_hub(name, setting)


def model_identity(folder: Path) -> str:
    """A short name for a model's configuration and weights: scores of different models must not be compared."""
    marks = [(folder / "config.json").read_bytes()]
    marks += [f"{file.name}:{file.stat().st_size}".encode() for file in sorted(folder.glob("*.safetensors"))]
    return digest(*marks)


def load(name_or_path: str | Path) -> LanguageModel:
    """Load a model for scoring and generating: bfloat16 on a GPU, float32 on a CPU (there, bfloat16 is slower).

    Raises:
        MissingModelError: no such model.
        TemplateError: its tokenizer has no chat template.
        UnmergedError: a learned prompt lies beside it, which only PEFT puts in front of a text.
    """
    folder = resolve(name_or_path)
    with_bottlenecks = (folder / UNMERGED / BOTTLENECKS).exists()
    if not with_bottlenecks:
        require_merged(folder)
    transformers_logging.disable_progress_bar()  # a bar of one second, in every log
    cuda = torch.cuda.is_available()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16 if cuda else torch.float32)
    if with_bottlenecks:
        load_bottlenecks(model, folder / UNMERGED)
    tokenizer = load_tokenizer(folder)
    return LanguageModel(
        model=model.to("cuda" if cuda else "cpu").eval(),
        tokenizer=tokenizer,
        path=str(folder),
        template_hash=template_hash(tokenizer),
    )


def require_merged(folder: Path) -> None:
    """Refuse a model that is more than its weights: trained on, exported or served, it would be the model before.

    Raises:
        UnmergedError: names what lies beside the weights.
    """
    if (folder / UNMERGED).is_dir():
        raise UnmergedError(
            f"{folder} was trained beside its weights, in {folder / UNMERGED}, which cannot be merged into them: train "
            "with finetuning_type lora, or load a learned prompt by hand (peft.PeftModel.from_pretrained(model, it))."
        )


def without_weights(name_or_path: str | Path) -> LanguageModel:
    """Only what turns texts into tokens, for where a server has the weights: `model` is None.

    Raises:
        MissingModelError: no such model.
        TemplateError: its tokenizer has no chat template.
    """
    tokenizer = load_tokenizer(name_or_path)
    return LanguageModel(None, tokenizer, str(resolve(name_or_path)), template_hash(tokenizer))


def load_tokenizer(name_or_path: str | Path) -> Any:
    """Only the tokenizer of a model: quick. It always has a padding token.

    Raises:
        MissingModelError: no such model.
    """
    tokenizer = AutoTokenizer.from_pretrained(resolve(name_or_path))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _from_hub(name: str, setting: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, ignore_patterns=["*.bin", "*.gguf", "*.onnx", "original/*"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise MissingModelError(
            f"{name} is neither a folder here nor in the Hugging Face cache, and the hub did not give it "
            f'({type(error).__name__}): set {setting} to a folder with config.json, or to "smollm2".'
        ) from error
