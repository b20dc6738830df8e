"""What stands instead of a finding: the same entity gets the same placeholder within one conversation.

Nothing here keeps clear text: an entity is known by a keyed hash that also holds the conversation, so that neither
the text nor who speaks in two conversations can be read out of what is stored.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from configs.settings import ScrubSettings
from tasks.scrub.finding import Finding

_NUMBERED = re.compile(r"<([A-Z][A-Z0-9_]*)_(\d+)>")


class DroppedError(Exception):
    """The row holds what the settings want no row to hold; the message is the entity type."""


def keyed(secret: bytes, *parts: str) -> str:
    """A name for `parts` that only the owner of the secret can make: 128 bits of keyed BLAKE2b as hex."""
    state = hashlib.blake2b(key=secret[:64], digest_size=16)
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


@dataclass
class Conversation:
    """The stand-ins of one conversation.

    Args:
        name: keyed hash of the conversation.
        secret: key of the hashes.
        settings: what stands instead of which type.
        known: keyed hash of an entity -> its placeholder, from earlier nights; new ones are added.
    """

    name: str
    secret: bytes
    settings: ScrubSettings
    known: dict[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    _last: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.reserve(self.known.values())

    def reserve(self, texts: Iterable[str]) -> None:
        """Give out no number that a placeholder in `texts` bears already."""
        for text in texts:
            if "<" not in text:
                continue
            for entity, number in _NUMBERED.findall(text):
                self._last[entity] = max(self._last[entity], int(number))

    def replaced(self, text: str, findings: Sequence[Finding]) -> str:
        """`text` with something else instead of each finding.

        Raises:
            DroppedError: a finding's type is one that no row may hold.
        """
        parts, end = [], 0
        for finding in findings:
            self.counts[finding.type] += 1
            found = text[finding.start : finding.end]
            parts += [text[end : finding.start], self._stand_in(finding.type, found)]
            end = finding.end
        return "".join([*parts, text[end:]])

    def _stand_in(self, entity: str, found: str) -> str:
        mode = self._modes().get(entity, self.settings.replacement)
        if mode == "drop":
            raise DroppedError(entity)
        if mode == "mask":
            return "*" * len(found)
        key = keyed(self.secret, self.name, entity, _normal(found))
        if mode == "pseudonym":
            return f"<{entity}_{key[:8]}>"
        if key not in self.known:
            self._last[entity] += 1
            self.known[key] = f"<{entity}_{self._last[entity]}>"
        return self.known[key]

    def _modes(self) -> Mapping[str, str]:
        return {special.entity: special.mode for special in self.settings.replacements}


def _normal(text: str) -> str:
    """An entity however it is written: case, spaces and punctuation aside."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return letters or text
