"""TRL used directly on a job's rows, as its documentation shows: what `tests.bench train` compares the worker with.

`python -m tests.bench._trl JOB.json` writes result.json into the job's folder.
"""

import json
import resource
import sys
import time
from pathlib import Path

import polars as pl
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from tasks.train.arguments import SAVES
from tasks.train.job import Job


def main(file: str) -> None:
    job = Job.model_validate_json(Path(file).read_text())
    settings = job.settings
    rows = pl.read_parquet(job.data).select("prompt", "completion").to_dicts()
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32),
        args=SFTConfig(
            output_dir=job.work,
            max_steps=settings.max_steps,
            learning_rate=settings.learning_rate or 2e-4,
            per_device_train_batch_size=settings.per_device_train_batch_size,
            max_length=settings.max_length,
            warmup_steps=settings.warmup_steps,
            lr_scheduler_type=settings.lr_scheduler_type,
            seed=job.seed,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            logging_steps=1,
            save_steps=1 / SAVES,
            save_total_limit=2,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(job.model),
        peft_config=LoraConfig(
            r=settings.lora_r, lora_alpha=settings.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    tokens = max(line.get("num_tokens", 0) for line in trainer.state.log_history)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {"tokens": tokens, "seconds": seconds, "peak_gb": peak / 1e9}
    (Path(job.work) / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
