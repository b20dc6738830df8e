"""Which batches are still to be worked through. Without Prefect and models: the command asks before it loads them."""

from typing import Any

from configs.settings import Settings
from storage.lake import Lake
from storage.snapshot import digest

HOW_ONLY: dict[str, Any] = {
    "lake": True,
    "collect": True,
    "engine": True,
    "serve": True,
    "maintain": True,
    "train": {"launch": True, "report_to": True, "deployments": True, "gpu_slots": True},
}
"""Settings that say where and by what the work is done."""


def settings_hash(settings: Settings) -> str:
    """What decides whether a finished batch would come out differently: not where input and lake lie, nor what works
    on them, keeps them or serves the outcome."""
    return digest(settings.model_dump_json(exclude=HOW_ONLY))


def collected_batches(lake: Lake) -> list[str]:
    """All batches that were collected, oldest first."""
    return sorted(lake.read("sources").select("batch").unique().collect()["batch"])


def unfinished_batches(lake: Lake, settings: Settings) -> list[str]:
    """Collected batches that no run has finished, oldest first; the newest one also when the settings changed."""
    batches = collected_batches(lake)
    finished = dict(lake.read("runs", step="finish").select("batch", "settings_hash").collect().iter_rows())
    changed = [batch for batch in batches[-1:] if finished.get(batch) != settings_hash(settings)]
    return sorted({batch for batch in batches if batch not in finished} | set(changed))
