"""Whether an exported file is the model that it was made from: loaded again and compared token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Difference:
    """How an exported model differs from its original over a few texts.

    Args:
        agreement: share of places at which both would choose the same next token.
        divergence: mean Kullback-Leibler divergence of their next-token distributions, in nats.
    """

    agreement: float
    divergence: float


def difference(model: Path, file: Path, texts: Sequence[str] = TEXTS) -> Difference:
    """Compare a GGUF file, loaded by Transformers, with the folder that it was made from.

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
    one = _predicted(AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), rows)
    two = _predicted(AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32), rows)
    return Difference(
        agreement=float((one.argmax(-1) == two.argmax(-1)).float().mean()),
        divergence=float((one.exp() * (one - two)).sum(-1).mean()),
    )


def _predicted(model: torch.nn.Module, rows: Sequence[list[int]]) -> torch.Tensor:
    """Log-probabilities of the next token at every place: tokens x vocabulary."""
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(input_ids=torch.tensor([row])).logits[0].log_softmax(-1) for row in rows])
