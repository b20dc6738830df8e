"""The second look: a sample of scrubbed rows goes through the whole of scrubbing once more, and must come out as it is.

Replacing changes what stands around a name, so a second look can see what the first one missed. What it sees is
replaced as well. A row in which a third look still finds something does not pass.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from configs.settings import ScrubSettings
from storage.snapshot import digest
from tasks.scrub.conversations import Look, Row, Scrubbed, conversation_name, scrub_rows
from tasks.scrub.fields import rewrite
from tasks.scrub.replace import NUMBERED

Known = Mapping[str, Mapping[str, str]]


def recheck(done: Scrubbed, settings: ScrubSettings, secret: bytes, known: Known, look: Look) -> dict[str, float]:
    """Look again at `settings.recheck` rows of `done`, which is changed where something is left in them.

    Args:
        done: what scrubbing made of rows.
        settings: what is looked for, what stands instead, and the size of the sample.
        secret: key of the hashes.
        known: placeholders of earlier nights; see `scrub_rows`.
        look: finds what is in paragraphs, without memory.

    Returns:
        How many rows were looked at, how much was found in them, and how many were refused.
    """
    sample = sorted(done.rows, key=lambda row: digest("recheck", row["id"]))[: settings.recheck]
    second = _again(sample, settings, secret, known, done, look)
    changed = [row for row in second.rows if row["entities"]]
    third = _again(changed, settings, secret, known, done, look)
    still = {row["id"]: _reason(row["entities"]) for row in third.rows if row["entities"]}
    refused = second.refused | third.refused | still
    counted = {row["id"]: row["entities"] for row in done.rows}
    new = {row["id"]: {**row, "entities": _sum(counted[row["id"]], row["entities"])} for row in changed}
    done.rows = [new.get(row["id"], row) for row in done.rows if row["id"] not in refused]
    done.refused |= refused
    return {
        "recheck_rows": len(sample),
        "recheck_findings": second.entities.total(),
        "recheck_rows_mended": len(new.keys() - refused),
        "recheck_rows_refused": len(refused),
    }


def _again(
    rows: Sequence[Row], settings: ScrubSettings, secret: bytes, known: Known, done: Scrubbed, look: Look
) -> Scrubbed:
    """Scrub scrubbed rows; surrogates, which look like the real thing, are shielded meanwhile. Adds to `done`."""
    names = {conversation_name(row, secret) for row in rows}
    together: dict[str, dict[str, str]] = {name: dict(known.get(name, {})) for name in names}
    for each in done.placeholders:
        if each["conversation"] in names:
            together[each["conversation"]][each["id"]] = each["placeholder"]
    stand_ins = {text for entities in together.values() for text in entities.values()}
    invented = sorted((text for text in stand_ins if not NUMBERED.fullmatch(text)), key=len, reverse=True)
    shields = {text: f"<SURROGATE_{n}>" for n, text in enumerate(invented)}
    again = scrub_rows([_swapped(row, shields) for row in rows], settings, secret, together, look)
    done.placeholders += again.placeholders
    again.rows = [_swapped(row, {shield: text for text, shield in shields.items()}) for row in again.rows]
    return again


def _swapped(row: Row, others: Mapping[str, str]) -> Row:
    if not others:
        return row
    any_of = re.compile("|".join(map(re.escape, others)))
    return rewrite(row, lambda _, text: any_of.sub(lambda match: others[match[0]], text))


def _sum(one: Sequence[Mapping[str, Any]], two: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter()
    for entity in (*one, *two):
        counts[entity["type"]] += entity["count"]
    return [{"type": kind, "count": count} for kind, count in sorted(counts.items())]


def _reason(entities: Sequence[Mapping[str, Any]]) -> str:
    return f"a third look still found {', '.join(entity['type'] for entity in entities)}"
