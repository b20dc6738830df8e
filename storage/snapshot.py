"""What steps hand to each other: the name of rows, never the rows."""

import hashlib
import json
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Snapshot(BaseModel):
    """The rows that one step wrote into one table for one batch.

    `fingerprint` says under which settings and from which inputs; two snapshots with equal table, batch, step and
    fingerprint hold the same rows. `version` is the version of the table that first held them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    step: str
    batch: str
    version: int
    fingerprint: str

    @property
    def identity(self) -> str:
        """What a later step's fingerprint depends on; the version is left out, because maintenance moves it."""
        return f"{self.table}/{self.step}/{self.batch}/{self.fingerprint}"


SYNTHETIC = "-synthetic"


def synthetic_batch(batch: str, shard: int = 0) -> str:
    """What the rows that are generated from a batch are called as a batch; a number tells further shards' apart."""
    return f"{batch}{SYNTHETIC}" + (f"-{shard + 1}" if shard else "")


def digest(*parts: str | bytes) -> str:
    """A short stable name for `parts`: 128 bits of BLAKE2b as hex. The same parts give the same name anywhere."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def fingerprint(step: str, settings: Iterable[BaseModel], inputs: Iterable[Snapshot], *extra: str) -> str:
    """What the output of a step depends on: its name, its settings, its inputs, and `extra` (seed, model ...)."""
    models = [json.dumps(model.model_dump(mode="json"), sort_keys=True) for model in settings]
    return digest(step, *models, *(snapshot.identity for snapshot in inputs), *extra)
