"""Phone numbers: one look for runs of digits, then the numbering plans of the configured regions decide."""

from collections.abc import Sequence
from itertools import pairwise

import phonenumbers
import regex
from presidio_analyzer import EntityRecognizer, RecognizerResult

CONTEXT = [
    *(
        "phone",
        "tel.",
        "tel:",
        "telephone",
        "call",
        "cell",
        "mobile",
        "fax",
        "contact",
        "reach me",
        "reach you",
        "dial",
    ),
    *(
        "text me",
        "whatsapp",
        "sms",
        "hotline",
        "helpline",
        "my number",
        "office",
        "handy",
        "telefon",
        "rufnummer",
        "rufen",
    ),
    *(
        "anrufen",
        "móvil",
        "movil",
        "celular",
        "teléfono",
        "llam",
        "téléphone",
        "portable",
        "appel",
        "joindre",
        "cellulare",
    ),
    *("ligue", "电话", "手机", "联系", "拨打", "致电", "微信"),
]
_CANDIDATE = regex.compile(
    r"(?<![\w./$€£+-])(?<!\d[:,])(?<!<<)(?<![\d)] ?= ?)"
    r"(?:\+|\(\+?|00)?\d(?:[\d()]|[ .\u00a0/-]{1,2}(?=[\d(])|\) ?-? ?(?=\d)){4,20}\d"
    r"(?:\s?(?:x|ext\.?|extension|#)\s?\d{1,6})?(?![\w%]|\.\d|,\d{1,3}(?!\d)|-\d| ?[=*])",
    regex.IGNORECASE,
)
_NORTH_AMERICAN = regex.compile(r"(?:\+?1[ .-]|001[ .-])?(?:\(\d{3}\) ?-?|\d{3}[ .-])\d{3}[ .-]\d{4}")
_NO_PHONE = regex.compile(
    r"(?<!\d)(?:(?:19|20)\d{2}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d{2})(?!\d)"  # a date
    r"|^(?:1[5-9]|20)\d{2} ?[-/] ?(?:1[5-9]|20)?\d{2}$"  # years
    r"|^\d+[./]\d+$"  # a decimal, a fraction
)
_GROUPS = regex.compile(r"\d+")


class PhoneNumberRecognizer(EntityRecognizer):
    """Numbers in international form, valid numbers of `regions`, and anything of a phone number's shape in context.

    Presidio's PhoneRecognizer scans the text once per region; this one scans once and asks the regions about what it
    finds. Below the threshold are numbers that only words around them make phone numbers.
    """

    INTERNATIONAL, SHAPED, VALID, PLAIN, GROUPED = 0.75, 0.6, 0.5, 0.3, 0.2

    def __init__(self, regions: Sequence[str]) -> None:
        self.regions = tuple(regions)
        super().__init__(["PHONE_NUMBER"], name="PhoneNumberRecognizer", context=CONTEXT)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, *_: object) -> list[RecognizerResult]:
        """Candidates with their scores; see `EntityRecognizer.analyze`."""
        results = []
        for match in _CANDIDATE.finditer(text, timeout=5):
            score = self._score(match[0])
            if score:
                results.append(RecognizerResult("PHONE_NUMBER", match.start(), match.end(), score))
        return results

    def _score(self, number: str) -> float:
        main = regex.split(r"(?i)\s?(?:x|ext|#)", number)[0]
        digits = regex.sub(r"\D", "", main)
        if not 6 <= len(digits) <= 15 or len(set(digits)) < 3 or _NO_PHONE.search(main):
            return 0
        international = main.lstrip("(").startswith(("+", "00"))
        if international and len(digits) >= 8:
            return self.INTERNATIONAL
        if _NORTH_AMERICAN.fullmatch(main):
            return self.SHAPED
        if len(digits) > 8 and any(_is_valid(main, region) for region in self.regions):
            return self.PLAIN if main.isdigit() else self.VALID
        if len(digits) < 7 and len(_GROUPS.findall(main)) < 3:
            return 0
        return self.GROUPED if len(digits) <= 13 and _is_grouped(main) else 0.1


def _is_valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _is_grouped(number: str) -> bool:
    """Several groups of digits, none of which is a lone digit beside another one."""
    groups = _GROUPS.findall(number)
    return len(groups) > 1 and not any(len(a) < 2 and len(b) < 2 for a, b in pairwise(groups))
