"""Export: a model of the registry as files that other programs serve, checked by loading them again."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from flows.runs import same_template
from storage import registry, verdicts
from storage.lake import Lake, LakeError
from storage.trained import RESULT
from tasks.export.check import Difference, difference
from tasks.export.gguf import KINDS, ExportError, write_gguf
from tasks.export.modelfile import modelfile
from tasks.lm.load import load_tokenizer, require_merged
from tasks.lm.template import serving_template
from tasks.report.card import model_card

MOST_DIVERGENCE = {"f16": 0.001, "q8_0": 0.05}
"""Nats per token; q8_0 stays below 0.01 as a rule, and a wrong rotation or a lost tensor costs more than 1."""


def export(
    lake: Lake, folder: Path, model_id: str | None = None, kinds: Sequence[str] = ("q8_0",)
) -> dict[str, Difference]:
    """Write a model as safetensors with its card, and as GGUF files with a Modelfile.

    Args:
        lake: whose registry knows the model.
        folder: where to write; files of the same names are replaced.
        model_id: which model; by default the champion.
        kinds: of GGUF: f16, q8_0; none of them if empty.

    Returns:
        For each kind, how the exported model differs from the original.

    Raises:
        LakeError: no such model, or no champion yet.
        TemplateError: its folder has another chat template than it was trained with.
        UnmergedError: a model that is more than its weights.
        ExportError: a kind that is not known, a model that GGUF has no form for, or a file that differs too much.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ExportError(f"No GGUF kind {', '.join(unknown)}; there are: {', '.join(KINDS)}.")
    name = model_id or verdicts.champion(lake)
    if name is None:
        raise LakeError(f"{lake.uri} has no champion to export yet: `flywheel run CONFIG` makes one.")
    model = same_template(registry.get(lake, name))
    source = Path(model.path)
    require_merged(source)
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name != RESULT:  # which shows rows that it was trained on
            shutil.copy2(file, folder / file.name)
    template = folder / "chat_template.jinja"
    if template.exists():
        template.write_text(serving_template(template.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "README.md").write_text(model_card(lake, name), encoding="utf-8")
    found = {kind: _gguf(source, folder / f"{name}-{kind}.gguf", kind) for kind in kinds}
    if kinds:
        text = modelfile(f"{name}-{kinds[0]}.gguf", load_tokenizer(source))
        (folder / "Modelfile").write_text(text, encoding="utf-8")
    return found


def _gguf(source: Path, file: Path, kind: str) -> Difference:
    write_gguf(source, file, kind)
    found = difference(source, file)
    if found.divergence > MOST_DIVERGENCE[kind]:
        file.unlink()
        raise ExportError(
            f"{file.name} differs from {source} by {found.divergence:.3f} nats per token: it was not kept. "
            "Try f16, or serve the safetensors."
        )
    return found
