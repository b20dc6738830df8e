"""A model as one GGUF file, for llama.cpp, Ollama and LM Studio.

Names, order of rotary halves and metadata follow llama.cpp's convert_hf_to_gguf.py
(https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py). Tensors are read and written one at a time.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from transformers import AutoConfig

from configs.mistake import Mistake
from storage.progress import progress
from tasks.lm.load import load_tokenizer
from tasks.lm.template import serving_template

KINDS = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
BLOCK = 32  # values that share a scale in q8_0


class ExportError(Mistake):
    """A model that cannot be exported in this form; the message says why."""


def write_gguf(model: Path, out: Path, kind: str) -> None:
    """Write a model folder as a GGUF file.

    Args:
        model: folder with config, safetensors and tokenizer.
        out: the file; an older one is replaced when the new one is whole.
        kind: f16, or q8_0 (8 bits a weight, a scale for every 32; vectors stay float32).

    Raises:
        ExportError: an architecture, rotary scaling or tokenizer that this writer does not know.
    """
    config = AutoConfig.from_pretrained(model)
    if config.model_type not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ExportError(
            f"GGUF export knows {known}, not {config.model_type}: convert {model} with llama.cpp's tools."
        )
    whole = out.with_suffix(".part")
    writer = gguf.GGUFWriter(whole, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[config.model_type]], use_temp_file=True)
    _describe(writer, config, kind)
    _add_tokenizer(writer, load_tokenizer(model), config.vocab_size)
    _add_tensors(writer, model, config, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    whole.replace(out)


def _describe(writer: gguf.GGUFWriter, config: Any, kind: str) -> None:
    rope = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise ExportError(f"GGUF export does not know the rotary scaling {rope['rope_type']}: use llama.cpp's tools.")
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(size)
    writer.add_value_length(size)
    writer.add_rope_dimension_count(size)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Any, size: int) -> None:
    """Tokens, merges, special tokens and chat template; ids that no token has are filled up to `size`."""
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    if backend["model"]["type"] != "BPE":
        raise ExportError(f"GGUF export knows byte-level BPE tokenizers, not {backend['model']['type']}.")
    words = {index: token for token, index in tokenizer.get_vocab().items()}
    added = {token["id"]: token["special"] for token in backend["added_tokens"]}
    kinds = {None: gguf.TokenType.NORMAL, True: gguf.TokenType.CONTROL, False: gguf.TokenType.USER_DEFINED}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(backend["pre_tokenizer"]))
    writer.add_token_list([words.get(index, f"[PAD{index}]") for index in range(size)])
    writer.add_token_types(
        [kinds[added.get(index)] if index in words else gguf.TokenType.UNUSED for index in range(size)]
    )
    merges = backend["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_add_bos_token(False)  # chat templates write what begins a text
    for add, index in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
    ):
        if index is not None:
            add(index)
    writer.add_chat_template(serving_template(tokenizer.chat_template))


def _pre_tokenizer(found: Any) -> str:
    """llama.cpp's name for how a text is cut into words before merging; it knows them by name only."""
    parts = found["pretokenizers"] if found["type"] == "Sequence" else [found]
    names = [part["type"] for part in parts]
    if names == ["ByteLevel"] and parts[0].get("use_regex", True):
        return "gpt-2"
    if names == ["Digits", "ByteLevel"] and parts[0]["individual_digits"]:
        return "smollm"
    if names == ["Split", "ByteLevel"]:
        pattern = str(parts[0]["pattern"].get("Regex"))
        return "llama-bpe" if "{1,3}" in pattern else "qwen2"
    raise ExportError(f"GGUF export does not know the pre-tokenizer {' + '.join(names)}: use llama.cpp's tools.")


def _add_tensors(writer: gguf.GGUFWriter, model: Path, config: Any, kind: str) -> None:
    architecture = ARCHITECTURES[config.model_type]
    names = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    tensors = list(_tensors(model))
    for name, file in progress(tensors, len(tensors), f"export {kind}", "tensors"):
        with safe_open(file, framework="pt") as opened:
            weights = opened.get_tensor(name).to(torch.float32).numpy()
        new = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if new is None:
            raise ExportError(f"GGUF has no place for the tensor {name} of {model}.")
        if architecture is gguf.MODEL_ARCH.LLAMA and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            weights = _interleaved(weights, heads)
        wanted = _kind(weights, kind)
        writer.add_tensor(new, gguf.quants.quantize(weights, wanted), raw_dtype=wanted)


def _tensors(model: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            names = opened.keys()
            yield from ((name, file) for name in names)


def _kind(weights: NDArray[np.float32], kind: str) -> gguf.GGMLQuantizationType:
    if weights.ndim == 1:
        return gguf.GGMLQuantizationType.F32
    return KINDS["f16"] if weights.shape[-1] % BLOCK else KINDS[kind]


def _interleaved(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of a query or key projection as llama.cpp rotates them: pairs side by side, not half a head apart."""
    pairs = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(weights.shape))
