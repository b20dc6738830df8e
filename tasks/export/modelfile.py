"""What Ollama wants to know of a GGUF file (https://docs.ollama.com/modelfile)."""

from typing import Any

CHATML = """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""


def modelfile(file: str, tokenizer: Any) -> str:
    """A Modelfile for a GGUF file beside it.

    The template is written for ChatML only; of others Ollama recognises the usual ones in the GGUF file itself.

    Args:
        file: name of the GGUF file.
        tokenizer: of the model.
    """
    lines = [f"FROM ./{file}"]
    if "<|im_start|>" in tokenizer.chat_template:
        lines.append(f'TEMPLATE """{CHATML}"""')
    if tokenizer.eos_token:
        lines.append(f'PARAMETER stop "{tokenizer.eos_token}"')
    return "\n".join(lines) + "\n"
