"""Secrets: keys and tokens by their form, and whatever is assigned to a name that says it is one."""

import math
from collections import Counter

import regex
from presidio_analyzer import Pattern, PatternRecognizer

from tasks.scrub.secret_kinds import PREFIXED

_NAME_GAP = r"[\"'`*]{0,3}\]?\s{0,3}"
_ASSIGN = r"(?:=>|:=|==?|:|：|＝)\s{0,3}"
_VALUE = r"[^\s\"'`,;<>{}()\[\]，。；、]{3,199}[^\s\"'`,;<>{}()\[\]，。；、.:?]"
_PASSWORD = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|contraseña|contrasena|clave|senha|mot de passe|mdp|"
    r"密码|口令)"
)
_KEYED = (
    r"(?:api|access|secret|auth|private|client|account|shared|signing|encryption|master|session|webhook|service|app|"
    r"refresh|bearer|bot|deploy|storage|subscription|admin|consumer|oauth)"
)
_KEY_NAME = rf"(?:(?<={_KEYED}[ _.-]?(?:access[ _.-]?)?)(?:key|hash)|(?:token|secret|credential)s?|令牌|密钥)"

_STAND_IN = regex.compile(
    r"(?i)^(?:[x*.•#_-]+|\W+|.*(?:your|example|sample|dummy|placeholder|changeme|change_me|redacted|insert|replace|"
    r"undefined|required|optional|hidden|todo).*|<.*>|\$.*|%\w+%|\{.*|null|none|nil|true|false|string|str|text|"
    r"password|passwd|pwd|secret|token|key|process\.env.*|os\.(?:environ|getenv).*|env\..*|config\..*|self\..*|this\..*|"
    r"request\..*|req\..*|args\..*|input.*|getpass.*|settings\..*)$"
)


class AssignedSecretRecognizer(PatternRecognizer):
    """The value of a name such as `api_key` or `client_secret`: random enough to be one, and no stand-in."""

    MIN_BITS = 2.8  # entropy per character; English identifiers stay below, hex of 16 characters and more above

    def __init__(self) -> None:
        quoted = rf"(?i){_KEY_NAME}{_NAME_GAP}{_ASSIGN}[\"'`]?\K{_VALUE}"
        spoken = rf"(?i){_KEY_NAME}\s+(?:is|was|为|是)\s*[:：]?\s*[\"'`]?\K{_VALUE}"
        patterns = [Pattern("assigned key", quoted, 0.8), Pattern("spoken key", spoken, 0.8)]
        super().__init__("SECRET", name="AssignedSecretRecognizer", patterns=patterns, global_regex_flags=0)

    def validate_result(self, pattern_text: str) -> bool | None:
        """False for stand-ins, words and numbers; None, which keeps the score, for the rest."""
        value = pattern_text.rstrip(".:?")
        if len(value) < 12 or _STAND_IN.match(value) or not regex.search(r"[A-Za-z]", value):
            return False
        if not regex.search(r"\d", value) and not _is_shuffled(value):
            return False
        return None if entropy(value) >= self.MIN_BITS else False


class PasswordRecognizer(PatternRecognizer):
    """The value of a name such as `password`, in code, configuration, tables and prose of several languages."""

    def __init__(self) -> None:
        name = rf"(?i)(?:(?<![^\W_])|(?<=[_-])){_PASSWORD}"
        literal = rf"{name}{_NAME_GAP}{_ASSIGN}(?P<q>[\"'`])\K[^\"'`\n]{{4,100}}(?=(?P=q))"
        link = rf"(?:{_ASSIGN}|\|\s{{0,3}}|\s(?:is|was|ist|es|est|to)\s(?:now\s)?[\"'`]?|[是为]\s?)"
        bare = rf"{name}{_NAME_GAP}{link}\K[^\s\"'`<>|，。；]{{3,99}}[^\s\"'`<>|，。；.,;:?)]"
        option = r"(?i)(?:^|\s)--?(?:password|passwd|pass|pwd)[= ][\"']?\K[^\s\"']{4,100}"
        patterns = [
            Pattern("literal password", literal, 0.8),
            Pattern("password", bare, 0.75),
            Pattern("password option", option, 0.75),
        ]
        super().__init__("PASSWORD", name="PasswordRecognizer", patterns=patterns, global_regex_flags=0)

    def validate_result(self, pattern_text: str) -> bool | None:
        """False for stand-ins and for what looks like a word or an expression of a program."""
        value = pattern_text.rstrip(".,;:?)")
        if len(value) < 4 or _STAND_IN.match(value) or regex.match(r"[\w.]*\(|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+$", value):
            return False
        return None if regex.search(r"\d|[^\w\s.'-]", value) and regex.search(r"\w", value) else False


def _is_shuffled(value: str) -> bool:
    """Whether letters change case as often as chance makes them; names in camel case do so at most at every fifth."""
    changes = len(regex.findall(r"[a-z][A-Z]|[A-Z][a-z]", value, overlapped=True))
    return len(value) >= 16 and changes / len(value) > 0.3


def entropy(text: str) -> float:
    """Shannon entropy of the characters of `text`, in bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def recognizers() -> list[PatternRecognizer]:
    """Every kind of secret; each kind is an entity type of its own."""
    kinds = [
        PatternRecognizer(kind, name=f"{kind} secret", patterns=[Pattern(kind, pattern, 0.95)], global_regex_flags=0)
        for kind, pattern in PREFIXED
    ]
    return [*kinds, AssignedSecretRecognizer(), PasswordRecognizer()]
