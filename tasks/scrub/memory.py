"""What earlier nights found and named, so that the same paragraph costs nothing and an entity keeps its placeholder.

Both tables hold keyed hashes, offsets and placeholders, and no text.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import polars as pl

from configs.settings import ScrubSettings
from storage.lake import Lake
from storage.snapshot import digest
from storage.tables import TABLES
from tasks.scrub.finding import Finding, Looked
from tasks.scrub.replace import keyed
from tasks.scrub.workers import Unit

LOOKED_FOR = ("threshold", "keep", "allow", "deny", "recognizers", "phone_regions")


def known_placeholders(lake: Lake, conversations: Collection[str], batch: str) -> dict[str, dict[str, str]]:
    """Keyed hash of a conversation -> hash of an entity -> placeholder, from other batches than this one."""
    rows = (
        lake.read("placeholders")
        .filter(pl.col("conversation").is_in(list(conversations)), pl.col("batch") != batch)
        .select("conversation", "id", "placeholder")
        .collect()
    )
    known: dict[str, dict[str, str]] = defaultdict(dict)
    for conversation, entity, placeholder in rows.iter_rows():
        known[conversation][entity] = placeholder
    return known


def conversation_keys(secret: bytes, conversations: Collection[str]) -> set[str]:
    """What the table placeholders calls some conversations.

    Args:
        secret: the lake's.
        conversations: their ids; a row without one is its own.
    """
    own = keyed(secret, "scrub").encode()
    return {keyed(own, "conversation", name) for name in conversations}


class Findings:
    """Findings of earlier nights under the same settings and rules.

    Args:
        lake: where they are.
        settings: what is looked for.
        secret: key of the paragraphs' hashes.
    """

    def __init__(self, lake: Lake, settings: ScrubSettings, secret: bytes) -> None:
        self._lake = lake
        self._secret = secret
        self._rules = rules(settings)
        self._new: dict[str, Sequence[Finding]] = {}
        self.reused = 0

    def look(
        self, units: Sequence[Unit], fresh: Callable[[Sequence[Unit]], Mapping[Unit, Looked]]
    ) -> dict[Unit, Looked]:
        """Findings of `units`: remembered ones, and `fresh` ones for the rest."""
        names = {unit: keyed(self._secret, unit[0] or "", unit[1]) for unit in units}
        remembered = self._remembered(names.values())
        looked: dict[Unit, Looked] = {unit: remembered[name] for unit, name in names.items() if name in remembered}
        self.reused += len(looked)
        for unit, found in fresh([unit for unit in units if unit not in looked]).items():
            looked[unit] = found
            if not isinstance(found, str):
                self._new[names[unit]] = found
        return looked

    def rows(self) -> pl.DataFrame:
        """What this night found, for the table `findings`."""
        rows = [
            {"id": name, "settings": self._rules, "spans": [vars(finding) for finding in found]}
            for name, found in sorted(self._new.items())
        ]
        schema = TABLES["findings"].schema
        return pl.DataFrame(rows, schema={name: schema[name] for name in ("id", "settings", "spans")})

    def _remembered(self, names: Iterable[str]) -> dict[str, list[Finding]]:
        rows = (
            self._lake.read("findings")
            .filter(pl.col("settings") == self._rules, pl.col("id").is_in(list(names)))
            .select("id", "spans")
            .collect()
        )
        return {name: [Finding(**span) for span in spans] for name, spans in rows.iter_rows()}


def rules(settings: ScrubSettings) -> str:
    """What findings depend on: settings, this package's code, and the versions of the engines."""
    code = [file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py"))]
    engines = [version(package) for package in ("presidio-analyzer", "spacy", "phonenumbers", "transformers")]
    models = [file.stat() for chosen in settings.engines for file in sorted(Path(chosen.model).glob("*"))]
    weights = [f"{stat.st_size} {stat.st_mtime_ns}" for stat in models]
    chosen = settings.model_dump_json(include={*LOOKED_FOR, "engines"})
    return digest(chosen, *engines, *weights, *code)
