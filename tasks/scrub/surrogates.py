"""Realistic stand-ins: made-up people, addresses and numbers, the same ones for the same seed.

Numbers come from ranges that are kept for examples, so that no stand-in is somebody's. Sources: NANPA (555-0100 to
555-0199), Ofcom, Bundesnetzagentur and ARCEP for telephone numbers in drama, RFC 5737 and RFC 3849 for IP addresses,
RFC 2606 for domains.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import lru_cache

import regex
from faker import Faker

from tasks.scrub.identifiers import iban, luhn

LOCALES = {
    "de": "de_DE",
    "en": "en_US",
    "es": "es_ES",
    "fr": "fr_FR",
    "it": "it_IT",
    "nl": "nl_NL",
    "pt": "pt_BR",
    "zh": "zh_CN",
}
PHONES = {"de_DE": "+49 30 23125 ###", "fr_FR": "+33 1 99 00 ## ##", "en_GB": "+44 20 7946 0###"}
AMERICAN = "+1 2%#-555-01##"
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%Y%m%d", "%Y年%m月%d日"),
    *("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%B %d %Y", "%b %d, %Y", "%d. %B %Y"),
)
LONG_ADDRESS = 30  # characters from which an address is taken to name a town as well
MOST_DAYS = 1000  # that a date of birth is shifted by


def surrogate(entity: str, found: str, seed: str, language: str) -> str | None:
    """Something else of the same kind.

    Args:
        entity: type of what was found.
        found: the text that it stands instead of; its form is kept where that says nothing.
        seed: the same seed gives the same surrogate.
        language: ISO 639-1 code; names and addresses are of a country where it is spoken.

    Returns:
        None where there is no harmless one: secrets, and numbers of kinds whose every valid one may be somebody's.
    """
    make = MAKERS.get(entity)
    if make is None:
        return None
    faker = _faker(LOCALES.get(language, "en_US"))
    faker.seed_instance(seed)
    return make(faker, found)


@lru_cache(maxsize=16)
def _faker(locale: str) -> Faker:
    return Faker(locale)


def _person(faker: Faker, found: str) -> str:
    if faker.locales == ["zh_CN"]:
        return faker.name()
    return f"{faker.first_name()} {faker.last_name()}" if " " in found else faker.first_name()


def _address(faker: Faker, found: str) -> str:
    if faker.locales == ["zh_CN"]:  # Faker's own ones have no house numbers
        return f"{faker.city_name()}市{faker.street_name()}{faker.random_int(1, 300)}号"
    if len(found) < LONG_ADDRESS and "\n" not in found:
        return faker.street_address()
    return faker.address().replace("\n", ", ")


def _phone(faker: Faker, _: str) -> str:
    return faker.numerify(PHONES.get(faker.locales[0], AMERICAN))


def _card(faker: Faker, found: str) -> str:
    """Of the length and with the gaps of the one found, and of the range that payment providers test with."""
    digits = "400000" + faker.numerify("#" * (sum(map(str.isdigit, found)) - 7))
    return _shaped(next(digits + check for check in "0123456789" if luhn(digits + check)), found)


def _iban(faker: Faker, found: str) -> str:
    """Of the same country, form and gaps, with the check digits of a bank that does not exist."""
    letters = regex.sub(r"[^0-9A-Za-z]", "", found).upper()
    bank = "".join("X" if character.isalpha() else "0" for character in letters[4:8])
    rest = "".join(faker.random_letter().upper() if c.isalpha() else faker.numerify("#") for c in letters[8:])
    numbered = (f"{letters[:2]}{check:02}{bank}{rest}" for check in range(2, 99))
    return _shaped(next(text for text in numbered if iban(text)), found)


def _ip(faker: Faker, found: str) -> str:
    if ":" in found:
        return "2001:db8:" + ":".join(f"{faker.random_int(0x1000, 0xFFFF):x}" for _ in range(6))
    return f"{faker.random_element(('192.0.2', '198.51.100', '203.0.113'))}.{faker.random_int(1, 254)}"


def _mac(faker: Faker, found: str) -> str:
    """A locally administered address, which no maker gives out."""
    return _shaped("02" + faker.hexify("^" * 10), found)


def _birth(faker: Faker, found: str) -> str:
    """The date, shifted by some days, in its own form."""
    days = faker.random_int(1, MOST_DAYS) * faker.random_element((-1, 1))
    for form in DATES:
        try:
            born = datetime.strptime(found, form).date()
        except ValueError:
            continue
        return (born + timedelta(days)).strftime(form)
    return (date(1980, 1, 1) + timedelta(10 * days)).isoformat()


def _social_security(faker: Faker, found: str) -> str:
    """Numbers that begin with 666 are never given out."""
    return _shaped("666" + faker.numerify("######"), found)


def _shaped(characters: str, like: str) -> str:
    """`characters` with the gaps of `like`, which has as many letters and digits."""
    left = iter(characters)
    return "".join(next(left) if character.isalnum() else character for character in like)


MAKERS: dict[str, Callable[[Faker, str], str]] = {
    "PERSON": _person,
    "EMAIL_ADDRESS": lambda faker, _: f"{faker.user_name()}@{faker.safe_domain_name()}",
    "PHONE_NUMBER": _phone,
    "ADDRESS": _address,
    "LOCATION": lambda faker, _: faker.city(),
    "ORGANIZATION": lambda faker, _: faker.company(),
    "CREDIT_CARD": _card,
    "IBAN_CODE": _iban,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "DATE_OF_BIRTH": _birth,
    "US_SSN": _social_security,
}
