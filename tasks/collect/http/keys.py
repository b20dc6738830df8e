"""API keys: the collector knows their hashes only.

A key is 256 random bits, so that a plain SHA-256 of it cannot be guessed back; slow hashes are for passwords.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from configs.mistake import Mistake
from configs.settings import CollectorSettings

VARIABLE = "FLYWHEEL_COLLECTOR_KEYS"
LINE = re.compile(r"(\S+)\s+([0-9a-fA-F]{64})")
Keys = Mapping[str, bytes]
"""Who holds a key, and its SHA-256."""


class KeysError(Mistake):
    """API keys that cannot be read."""


def new_key(name: str) -> tuple[str, str]:
    """A key for an application, and the line by which the collector knows it."""
    key = f"fw-{secrets.token_urlsafe(32)}"
    return key, f"{name} {hashlib.sha256(key.encode()).hexdigest()}"


def known_keys(settings: CollectorSettings) -> Keys:
    """The keys of the file in the settings and of the environment.

    Raises:
        KeysError: the file is not there, or a line is not `NAME SHA256`.
    """
    keys = _parsed(os.environ.get(VARIABLE, "").replace(",", "\n"), VARIABLE)
    if settings.keys_file is not None:
        file = Path(settings.keys_file)
        if not file.is_file():
            raise KeysError(
                f"There is no file {file} (collect.http.keys_file): write lines `NAME SHA256` into it; "
                "`flywheel new-key NAME` makes one."
            )
        keys |= _parsed(file.read_text(), str(file))
    return keys


def _parsed(text: str, where: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise KeysError(
                f"Line {number} of {where} is not `NAME SHA256`: take the line that `flywheel new-key NAME` prints, "
                "not the key itself."
            )
        keys[found[1]] = bytes.fromhex(found[2])
    return keys


def holder(keys: Keys, authorization: str | None) -> str | None:
    """Who sent this header, `Bearer KEY`; None for a key that is not known.

    Every key is compared, each in constant time, so that the time says nothing.
    """
    scheme, _, key = (authorization or "").partition(" ")
    presented = hashlib.sha256(key.strip().encode()).digest()
    found = [name for name, known in keys.items() if hmac.compare_digest(known, presented)]
    return found[0] if found and scheme.lower() == "bearer" else None
