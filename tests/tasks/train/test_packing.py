"""Packing: rows share a pack without seeing each other, and what is learned stays the same."""

from collections import Counter
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from configs.settings import StageSettings
from tasks.train import training
from tasks.train.job import TrainingError
from tasks.train.launch import measured_in
from tasks.train.stages.contract import IGNORED
from tasks.train.stages.packing import check_apart, collate, pack
from tests.tasks.train.jobs import make_job, sums
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def test_every_row_is_in_one_pack_and_packs_are_full() -> None:
    lengths = [1 + number * 37 % 64 for number in range(200)]
    rows = [{"input_ids": [number] * length, "labels": [number] * length} for number, length in enumerate(lengths)]
    packs = pack(rows, 64)
    ids = Counter(token for found in packs for token in found["input_ids"])
    assert ids == dict(enumerate(lengths))
    firsts = [found["labels"][start] for found in packs for start in accumulate([0, *found["seq_lengths"][:-1]])]
    assert firsts == [IGNORED] * len(rows)
    sizes = [len(found["input_ids"]) for found in packs]
    assert all(size <= 64 for size in sizes)
    assert all(one + other > 64 for one, other in pairwise(sizes))


def test_the_loss_of_a_pack_is_that_of_its_rows(folder: Path) -> None:
    """Token for token, in a batch of two packs of unequal length."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(4, 300, (length,), generator=generator).tolist() for length in (9, 5, 12, 7, 3)]
    examples = [{"input_ids": ids, "labels": [IGNORED, IGNORED, *ids[2:]]} for ids in rows]
    batch = collate(pack(examples, 16))
    assert batch["input_ids"].shape[0] > 1

    def losses(ids: torch.Tensor, labels: torch.Tensor, **options: Any) -> torch.Tensor:
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False, **options).logits
        each = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="none")
        return each[labels[:, 1:].flatten() != IGNORED]

    packed = losses(batch["input_ids"], batch["labels"], position_ids=batch["position_ids"])
    alone = [losses(torch.tensor([row["input_ids"]]), torch.tensor([row["labels"]])) for row in examples]
    torch.testing.assert_close(packed.sort().values, torch.cat(alone).sort().values, atol=1e-5, rtol=1e-5)
    leaking = losses(batch["input_ids"], batch["labels"])  # without positions that begin anew
    assert not torch.allclose(leaking.sort().values, packed.sort().values, atol=1e-3)


@pytest.mark.parametrize("stage", ["cpt", "sft"])
def test_packed_or_not_the_first_steps_loss_is_the_same(tmp_path: Path, folder: Path, stage: str) -> None:
    found = {}
    for packing in (False, True):
        settings = StageSettings(packing=packing, num_train_epochs=1, per_device_train_batch_size=12, max_length=128)
        job = make_job(tmp_path / f"{packing}", folder, stage, sums(12), settings)
        training.train(job)
        found[packing] = measured_in(job.output)
    plain, packed = found[False], found[True]
    assert packed["packs"] < 12
    assert plain["packs"] is None
    assert (packed["rows"], packed["trained_tokens"]) == (plain["rows"], plain["trained_tokens"])
    assert packed["losses"][0][1] == pytest.approx(plain["losses"][0][1], rel=1e-4)


def test_a_model_that_lets_rows_see_each_other_is_refused(folder: Path) -> None:
    class Leaking(torch.nn.Module):
        """Knows no positions but those from the start."""

        def __init__(self) -> None:
            super().__init__()
            self.model = AutoModelForCausalLM.from_pretrained(folder)

        def forward(self, input_ids: torch.Tensor, use_cache: bool, position_ids: Any = None) -> Any:
            return self.model(input_ids=input_ids, use_cache=use_cache)

    check_apart(AutoModelForCausalLM.from_pretrained(folder))
    with pytest.raises(TrainingError, match="Leaking lets a row see the one before it in its pack; set packing: false"):
        check_apart(Leaking())
