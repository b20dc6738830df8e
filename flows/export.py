"""Export: a model of the registry as files that other programs serve, checked by loading them again."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from storage import registry
from storage.lake import Lake, LakeError
from tasks.export.check import agreement
from tasks.export.gguf import KINDS, ExportError, write_gguf
from tasks.export.modelfile import modelfile
from tasks.lm.load import load_tokenizer
from tasks.report.card import model_card

log = logging.getLogger(__name__)
LEAST_AGREEMENT = {"f16": 0.98, "q8_0": 0.95}
"""Of tokens; eight bits a weight turn some close calls."""


def export(lake: Lake, folder: Path, model_id: str | None = None, kinds: Sequence[str] = ("q8_0",)) -> dict[str, float]:
    """Write a model as safetensors with its card, and as GGUF files with a Modelfile.

    Args:
        lake: whose registry knows the model.
        folder: where to write; files of the same names are replaced.
        model_id: which model; by default the champion.
        kinds: of GGUF: f16, q8_0; none of them if empty.

    Returns:
        For each kind, the share of tokens that the exported model chooses as the original does.

    Raises:
        LakeError: no such model, or no champion yet.
        ExportError: a kind that is not known, a model that GGUF has no form for, or a file that differs too much.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ExportError(f"No GGUF kind {', '.join(unknown)}; there are: {', '.join(KINDS)}.")
    name = model_id or registry.champion(lake)
    if name is None:
        raise LakeError(f"{lake.uri} has no champion to export yet: `flywheel run CONFIG` makes one.")
    source = Path(registry.get(lake, name).path)
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file():
            shutil.copy2(file, folder / file.name)
    (folder / "README.md").write_text(model_card(lake, name), encoding="utf-8")
    agreed = {kind: _gguf(source, folder / f"{name}-{kind}.gguf", kind) for kind in kinds}
    if kinds:
        text = modelfile(f"{name}-{kinds[0]}.gguf", load_tokenizer(source))
        (folder / "Modelfile").write_text(text, encoding="utf-8")
    return agreed


def _gguf(source: Path, file: Path, kind: str) -> float:
    write_gguf(source, file, kind)
    agreed = agreement(source, file)
    log.info("export: %s chooses the same token in %.1f%% of cases", file.name, 100 * agreed)
    if agreed < LEAST_AGREEMENT[kind]:
        file.unlink()
        raise ExportError(
            f"{file.name} chooses the same token as {source} in {agreed:.1%} of cases only: it was not kept. "
            "Try f16, or serve the safetensors."
        )
    return agreed
