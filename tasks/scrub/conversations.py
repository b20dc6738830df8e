"""Scrubs rows: cuts their texts into paragraphs, has each one looked at once, and puts placeholders in."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.settings import ScrubSettings
from tasks.scrub.fields import rewrite
from tasks.scrub.finding import Finding, Looked, ScrubError, clipped, resolve
from tasks.scrub.languages import latin_model, refusal
from tasks.scrub.paragraphs import named, paragraphs
from tasks.scrub.replace import Conversation, DroppedError, keyed
from tasks.scrub.workers import Unit

log = logging.getLogger(__name__)
Row = dict[str, Any]
Look = Callable[[Sequence[Unit]], Mapping[Unit, Looked]]


@dataclass
class Scrubbed:
    """What became of rows.

    Args:
        rows: without personal data, with `entities` counted.
        refused: id -> why a row could not be scrubbed.
        placeholders: rows for the table `placeholders`.
    """

    rows: list[Row] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    placeholders: list[dict[str, str]] = field(default_factory=list)

    @property
    def entities(self) -> Counter[str]:
        """How many of each type were replaced."""
        counts: Counter[str] = Counter()
        for row in self.rows:
            counts.update({entity["type"]: entity["count"] for entity in row["entities"]})
        return counts


def scrub_rows(
    rows: Sequence[Row],
    settings: ScrubSettings,
    secret: bytes,
    known: Mapping[str, Mapping[str, str]],
    look: Look,
) -> Scrubbed:
    """Rows with placeholders instead of what is personal or secret.

    Args:
        rows: conversations and feedback texts; those of one `conversation_id` share their placeholders.
        settings: what is replaced, by what.
        secret: key of the hashes.
        known: keyed hash of a conversation -> hash of an entity -> placeholder, from earlier nights.
        look: finds what is in paragraphs.
    """
    done = Scrubbed()
    ready: list[Row] = []
    for row in rows:
        if reason := refusal(row, settings):
            done.refused[row["id"]] = reason
        else:
            ready.append(row)
    looked = look(list(dict.fromkeys(unit for row in ready for unit in _units(row, settings))))
    for name, together in _conversations(ready, secret).items():
        conversation = Conversation(name, secret, settings, dict(known.get(name, {})))
        before = set(conversation.known)
        for row in together:
            conversation.reserve(_texts(row))
        for row in together:
            try:
                done.rows.append(_scrubbed(row, settings, conversation, looked))
            except ScrubError as error:
                done.refused[row["id"]] = str(error)
            except DroppedError as error:
                done.refused[row["id"]] = f"it holds {error}, and the settings drop such rows"
        done.placeholders += [
            {"id": key, "conversation": name, "placeholder": placeholder}
            for key, placeholder in conversation.known.items()
            if key not in before
        ]
    return done


def conversation_name(row: Mapping[str, Any], secret: bytes) -> str:
    """Keyed hash of the conversation that a row belongs to; a row without one is its own."""
    return keyed(secret, "conversation", row["conversation_id"] or row["id"])


def findings_of(text: str, name: str, model: str | None, looked: Mapping[Unit, Looked]) -> list[Finding]:
    """What was found in a text, put together from its paragraphs.

    Raises:
        ScrubError: one of them could not be looked at.
    """
    prefix, whole = named(name, text)
    findings: list[Finding] = []
    for start, paragraph in paragraphs(whole):
        found = looked[model, paragraph]
        if isinstance(found, str):
            raise ScrubError(found)
        findings += [finding.moved(start) for finding in found]
    return resolve(clipped(findings, prefix, len(whole)), text)


def _scrubbed(row: Row, settings: ScrubSettings, conversation: Conversation, looked: Mapping[Unit, Looked]) -> Row:
    model = latin_model(row, settings)
    conversation.counts.clear()

    def replace(name: str, text: str) -> str:
        return conversation.replaced(text, findings_of(text, name, model, looked), row["language"] or "en")

    new = rewrite(row, replace)
    counts = sorted(conversation.counts.items())
    return {**new, "entities": [{"type": kind, "count": count} for kind, count in counts]}


def _conversations(rows: Iterable[Row], secret: bytes) -> dict[str, list[Row]]:
    """Rows by conversation; feedback last, so that the conversation itself gets the first numbers."""
    together: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row["origin"] == "feedback", row["id"])):
        together[conversation_name(row, secret)].append(row)
    return together


def _units(row: Row, settings: ScrubSettings) -> Iterator[Unit]:
    """Every paragraph of a row, with the name engine of the row's language."""
    model = latin_model(row, settings)
    for name, text in _named_texts(row):
        for _, paragraph in paragraphs(named(name, text)[1]):
            yield model, paragraph


def _texts(row: Row) -> list[str]:
    return [text for _, text in _named_texts(row)]


def _named_texts(row: Row) -> list[tuple[str, str]]:
    texts: list[tuple[str, str]] = []

    def note(name: str, text: str) -> str:
        texts.append((name, text))
        return text

    rewrite(row, note)
    return texts
