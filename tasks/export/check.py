"""Whether an exported file is the model that it was made from: loaded again and compared token by token."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.export.gguf import ExportError
from tasks.lm.load import load_tokenizer

TEXTS = (
    "How do I change the address of my order? You can change it until the parcel has left our house.",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "Die Rechnung Nr. 4711 vom 3.5.2026 über 1.234,50 € ist bezahlt – danke! 你好 👋",
)


def agreement(model: Path, file: Path, texts: Sequence[str] = TEXTS) -> float:
    """Share of places at which the exported model chooses the same next token.

    Args:
        model: folder of the original.
        file: the GGUF file.
        texts: what both read.

    Raises:
        ExportError: the exported tokenizer cuts one of the texts otherwise.
    """
    tokenizer = load_tokenizer(model)
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    exported = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    for text, row in zip(texts, rows, strict=True):
        if (other := exported(text, add_special_tokens=False)["input_ids"]) != row:
            raise ExportError(f"{file.name} cuts {text[:40]!r} into {len(other)} tokens, the original into {len(row)}.")
    one = _choices(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), rows)
    two = _choices(AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32), rows)
    return float((one == two).float().mean())


def _choices(model: torch.nn.Module, rows: Sequence[list[int]]) -> torch.Tensor:
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(input_ids=torch.tensor([row])).logits[0].argmax(-1) for row in rows])
