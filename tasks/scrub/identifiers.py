"""Numbers that name a person, an account or a machine and that Presidio lacks or finds only in part."""

from collections.abc import Callable

import regex
from presidio_analyzer import Pattern, PatternRecognizer

_EMAIL = (
    r"(?<![\w.+-])[\w!#$%&'*+/=?^`{|}~-][\w.!#$%&'*+/=?^`{|}~-]{0,63}@"
    r"(?:[\p{L}\d](?:[\p{L}\d-]{0,61}[\p{L}\d])?\.){1,8}\p{L}{2,24}(?![\w-])"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = rf"(?<![\w.-])(?:{_BYTE}\.){{3}}{_BYTE}(?:/\d\d?)?(?![\w-]|\.\d)"
_IPV6 = (
    r"(?<![\w:.])(?=:*[0-9a-f])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?=(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:]))"
    r"(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?)(?:%\w+)?(?:/\d{1,3})?(?![\w:])"
)
_EDGE, _END = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
Check = Callable[[str], bool]
IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
    "YE30"
)
"""Countries with IBANs and the length of one (SWIFT, IBAN registry)."""


class CheckedRecognizer(PatternRecognizer):
    """A pattern and a function that says whether a match is valid; a valid one is certain."""

    def __init__(self, entity: str, pattern: str, check: Check) -> None:
        patterns = [Pattern(entity, pattern, 0.3)]
        super().__init__(entity, name=f"{entity} checked", patterns=patterns, global_regex_flags=regex.IGNORECASE)
        self._check = check

    def validate_result(self, pattern_text: str) -> bool:
        """Whether the check digits are right."""
        return self._check(regex.sub(r"[^0-9A-Za-z]", "", pattern_text).upper())


def iban(text: str) -> bool:
    """ISO 13616: MOD 97-10 of the rearranged number is 1."""
    return int("".join(str(int(character, 36)) for character in text[4:] + text[:4])) % 97 == 1


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1: the check digit of cards and of several national numbers."""
    digits = [int(digit) for digit in reversed(text)]
    return sum(digits[::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0


def card(text: str) -> bool:
    """A payment card: Luhn, a known first digit, and not one digit over and over; some of Maestro's have 12 digits."""
    known = text[0] in "23456" if len(text) > 12 else text[:2] in {"50", "56", "57", "58", "67"}
    return 12 <= len(text) <= 19 and known and len(set(text)) > 1 and luhn(text)


def weighted(weights: tuple[int, ...], modulus: int = 11) -> Callable[[str], int]:
    """A function of the first digits of a number: their weighted sum modulo `modulus`."""
    return lambda text: sum(w * int(d) for w, d in zip(weights, text, strict=False)) % modulus


def cpf(text: str) -> bool:
    """Brazil, natural persons: two check digits, each the weighted sum modulo 11."""
    return len(set(text)) > 1 and all(
        int(text[n]) == weighted(tuple(range(n + 1, 1, -1)))(text[:n]) * -1 % 11 % 10 for n in (9, 10)
    )


def cnpj(text: str) -> bool:
    """Brazil, legal persons: two check digits over fourteen."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return len(set(text)) > 1 and all(
        int(text[n]) == weighted(weights[13 - n :])(text[:n]) * -1 % 11 % 10 for n in (12, 13)
    )


def nir(text: str) -> bool:
    """France: 97 minus the number modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


def bsn(text: str) -> bool:
    """Netherlands: the test of eleven, the last digit weighing -1."""
    return len(set(text)) > 1 and weighted((9, 8, 7, 6, 5, 4, 3, 2, -1))(text) == 0


def belgian(text: str) -> bool:
    """Belgium: 97 minus the first nine digits (led by a 2 for births from 2000) modulo 97."""
    return int(text[9:]) in {97 - int(prefix + text[:9]) % 97 for prefix in ("", "2")}


def ahv(text: str) -> bool:
    """Switzerland: 756 and an EAN-13 check digit."""
    return sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(text)) % 10 == 0


def danish(text: str) -> bool:
    """Denmark: a birthday and four digits; modulo 11 is no longer guaranteed, so only the form counts."""
    return weighted((4, 3, 2, 7, 6, 5, 4, 3, 2, 1))(text) == 0


def norwegian(text: str) -> bool:
    """Norway: two weighted sums modulo 11 are 0."""
    first, second = weighted((3, 7, 6, 1, 8, 9, 4, 5, 2, 1)), weighted((5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
    return first(text[:10]) == 0 and second(text) == 0


def portuguese(text: str) -> bool:
    """Portugal: 11 minus the weighted sum modulo 11, 10 and 11 counting as 0."""
    return int(text[8]) == weighted((9, 8, 7, 6, 5, 4, 3, 2))(text[:8]) * -1 % 11 % 10


def imei(text: str) -> bool:
    """A telephone's identity: Luhn over fifteen digits."""
    return len(set(text)) > 3 and luhn(text)


def recognizers() -> list[PatternRecognizer]:
    """All of them."""
    sep, gap = r"[ -]?", r"[ .-]?"
    day = r"(?:0[1-9]|[12]\d|3[01])"
    month = r"(?:0[1-9]|1[0-2])"
    checked: tuple[tuple[str, str, Check], ...] = (
        (
            "IBAN_CODE",
            r"(?=[A-Z]{2}\d\d)(?:"
            + "|".join(rf"{c[:2]}\d\d(?:{sep}[A-Z0-9]){{{int(c[2:]) - 4}}}" for c in IBANS.split())
            + ")",
            iban,
        ),
        ("CREDIT_CARD", rf"\d(?:{gap}\d){{11,18}}", card),
        ("BR_CPF", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", cpf),
        ("BR_CNPJ", r"\d{2}\.?\d{3}\.?\d{3}/?\d{4}-?\d{2}", cnpj),
        ("FR_NIR", rf"[12] ?\d\d ?{month} ?(?:\d\d|2[AB]) ?\d{{3}} ?\d{{3}} ?\d\d", nir),
        ("NL_BSN", r"\d{9}|\d{4}\.\d{2}\.\d{3}", bsn),
        ("BE_NATIONAL_NUMBER", rf"\d\d\.?{month}\.?{day}[- ]?\d{{3}}\.?\d\d", belgian),
        ("CH_AHV", r"756\.?\d{4}\.?\d{4}\.?\d{2}", ahv),
        ("DK_CPR", rf"{day}{month}\d\d-?\d{{4}}", danish),
        ("NO_FODSELSNUMMER", r"[0-7]\d[0145]\d\d\d ?\d{5}", norwegian),
        ("PT_NIF", r"[1-3]\d{2} ?\d{3} ?\d{3}", portuguese),
        ("IMEI", r"\d{2}-?\d{6}-?\d{6}-?\d", imei),
    )
    return [
        _pattern("EMAIL_ADDRESS", _EMAIL, 0.9),
        _pattern("URL", r"(?<![\w@])(?:(?:https?|ftps?|wss?)://|www\.)[^\s<>\"'`|]{2,2000}[^\s<>\"'`|.,;:!?)\]}]", 0.6),
        _pattern("IN_PAN", rf"{_EDGE}(?-i:[A-Z]{{3}}[ABCFGHJLPT][A-Z]\d{{4}}[A-Z]){_END}", 0.5),
        _pattern("IP_ADDRESS", _IPV4, 0.6),
        _pattern("IP_ADDRESS", _IPV6, 0.6),
        *(CheckedRecognizer(entity, f"{_EDGE}(?:{pattern}){_END}", check) for entity, pattern, check in checked),
        _ethereum(),
        _mac(),
        _birth(),
    ]


def _pattern(entity: str, pattern: str, score: float) -> PatternRecognizer:
    patterns = [Pattern(entity, pattern, score)]
    return PatternRecognizer(entity, name=entity, patterns=patterns, global_regex_flags=regex.IGNORECASE)


def _ethereum() -> PatternRecognizer:
    coins = r"0x[a-fA-F0-9]{40}|[LM][1-9A-HJ-NP-Za-km-z]{33}|r[1-9A-HJ-NP-Za-km-z]{28,34}|T[1-9A-HJ-NP-Za-km-z]{33}"
    coins += (
        r"|4[0-9AB][1-9A-HJ-NP-Za-km-z]{93}|addr1[a-z0-9]{50,}|bnb1[a-z0-9]{38}|cosmos1[a-z0-9]{38}|ltc1[a-z0-9]{39,}"
    )
    mixed = r"(?=[A-Za-z]*\d)"
    patterns = [Pattern("wallet", rf"{_EDGE}{mixed}(?:{coins}){_END}", 0.6)]
    return PatternRecognizer("CRYPTO", name="WalletRecognizer", patterns=patterns, global_regex_flags=0)


def _mac() -> PatternRecognizer:
    pairs = r"[0-9A-F]{2}(?:(?P<s>[:-])[0-9A-F]{2})(?:(?P=s)[0-9A-F]{2}){4}|[0-9A-F]{4}\.[0-9A-F]{4}\.[0-9A-F]{4}"
    patterns = [Pattern("mac", rf"(?<![\w:.-])(?:{pairs})(?![\w:-])", 0.6)]
    return PatternRecognizer(
        "MAC_ADDRESS", name="MacRecognizer", patterns=patterns, global_regex_flags=regex.IGNORECASE
    )


def _birth() -> PatternRecognizer:
    """Dates after words for being born; other dates are left to DATE_TIME, which most keep."""
    said = (
        r"(?:born(?: on| in)?|birth ?da(?:y|te)|date of birth|d\.?o\.?b\.?|birth[_ ]?date|geboren(?: am)?|geburtsdatum|"
        r"geburtstag|né(?:e)? le|date de naissance|naissance|naci(?:do|da|ó)?(?: el)?|fecha de nacimiento|"
        r"nascid[oa] em|data de nascimento|nat[oa] il|data di nascita|生日|出生日期|出生于|生于)"
    )
    link = r"[\"'*]{0,3}\s{0,2}(?:is|was|ist|war|est|es|on|le|am|el|[:：|=是]|it'?s){0,2}[ :]{0,2}[\"']?\s{0,2}"
    words = r"\p{L}{3,10}\.?"
    date = (
        r"(?:\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}|\d{4}\s?年\s?\d{1,2}\s?月\s?\d{1,2}\s?[日号]?|"
        rf"\d{{1,2}}(?:st|nd|rd|th|\.|er)?(?: of| de)? {words}(?: de| del)?,? \d{{2,4}}|"
        rf"{words} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)"
    )
    patterns = [Pattern("birth", rf"(?<!\p{{L}}){said}{link}\K{date}", 0.8)]
    return PatternRecognizer(
        "DATE_OF_BIRTH", name="BirthRecognizer", patterns=patterns, global_regex_flags=regex.IGNORECASE
    )
