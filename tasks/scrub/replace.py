"""What stands instead of a finding: the same entity gets the same stand-in within one conversation.

Nothing here keeps clear text: an entity is known by a keyed hash that also holds the conversation, so that neither
the text nor who speaks in two conversations can be read out of what is stored.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from configs.settings import ScrubSettings
from tasks.scrub.finding import Finding, ScrubError
from tasks.scrub.surrogates import surrogate

TRIES = 100  # surrogates that are drawn until one is nobody's who is spoken of
NUMBERED = re.compile(r"<([A-Z][A-Z0-9_]*)_(\d+)>")


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
        known: keyed hash of an entity -> its placeholder or surrogate, from earlier nights; new ones are added.
    """

    name: str
    secret: bytes
    settings: ScrubSettings
    known: dict[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    _last: Counter[str] = field(default_factory=Counter)
    _said: list[str] = field(default_factory=list)
    _modes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._modes = {special.entity: special.mode for special in self.settings.replacements}
        self.reserve(self.known.values())

    def reserve(self, texts: Iterable[str]) -> None:
        """Give out no number that a placeholder in `texts` bears already, and no surrogate that stands there."""
        invents = "surrogate" in {self.settings.replacement, *self._modes.values()}
        for text in texts:
            if invents:
                self._said.append(_normal(text))
            if "<" not in text:
                continue
            for entity, number in NUMBERED.findall(text):
                self._last[entity] = max(self._last[entity], int(number))

    def replaced(self, text: str, findings: Sequence[Finding], language: str = "en") -> str:
        """`text` with something else instead of each finding; surrogates are of `language` (ISO 639-1).

        Raises:
            ScrubError: no surrogate could be found.
            DroppedError: a finding's type is one that no row may hold.
        """
        parts, end = [], 0
        for finding in findings:
            self.counts[finding.type] += 1
            found = text[finding.start : finding.end]
            parts += [text[end : finding.start], self._stand_in(finding.type, found, language)]
            end = finding.end
        return "".join([*parts, text[end:]])

    def _stand_in(self, entity: str, found: str, language: str) -> str:
        mode = self._modes.get(entity, self.settings.replacement)
        if mode == "drop":
            raise DroppedError(entity)
        if mode == "mask":
            return "*" * len(found)
        key = keyed(self.secret, self.name, entity, _normal(found))
        if mode == "pseudonym":
            return f"<{entity}_{key[:8]}>"
        if key not in self.known:
            invented = self._invented(entity, found, key, language) if mode == "surrogate" else None
            self.known[key] = invented or self._numbered(entity)
        return self.known[key]

    def _numbered(self, entity: str) -> str:
        self._last[entity] += 1
        return f"<{entity}_{self._last[entity]}>"

    def _invented(self, entity: str, found: str, key: str, language: str) -> str | None:
        """A surrogate that the conversation does not speak of, and that stands for nothing else in it."""
        for attempt in range(TRIES):
            made = surrogate(entity, found, f"{key} {attempt}", language)
            if made is None:
                return None
            parts = [_normal(made), *(map(_normal, made.split()) if entity == "PERSON" else ())]
            if not any(part in text for part in parts for text in self._said):
                self._said.append(_normal(made))
                return made
        raise ScrubError(f"no surrogate for {entity} that the conversation does not hold already")


def _normal(text: str) -> str:
    """An entity however it is written: case, spaces and punctuation aside."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return letters or text
