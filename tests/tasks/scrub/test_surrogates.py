"""Made-up stand-ins: of the same kind, the same for the same entity, and nobody's."""

import json
import re
from datetime import datetime
from ipaddress import ip_address, ip_network

import pytest

from configs.settings import Replacement, ScrubSettings
from tasks.scrub import identifiers
from tasks.scrub.finding import Finding, ScrubError
from tasks.scrub.replace import Conversation
from tasks.scrub.surrogates import LOCALES, MAKERS, MOST_DAYS, surrogate

SETTINGS = ScrubSettings(replacement="surrogate")
EXAMPLES = {
    "PERSON": "Amelia Hartwell",
    "EMAIL_ADDRESS": "amelia@hartwell.com",
    "PHONE_NUMBER": "+1 415 555 2671",
    "ADDRESS": "12 Main Street",
    "LOCATION": "Springfield",
    "ORGANIZATION": "Hartwell Ltd",
    "CREDIT_CARD": "5500-0055 5555 5559",
    "IBAN_CODE": "DE89 3704 0044 0532 0130 00",
    "IP_ADDRESS": "8.8.8.8",
    "MAC_ADDRESS": "aa-bb-cc-dd-ee-ff",
    "DATE_OF_BIRTH": "3 May 1984",
    "US_SSN": "536-22-1234",
}


def talk(*texts: str, name: str = "c", secret: bytes = b"secret", settings: ScrubSettings = SETTINGS) -> Conversation:
    made = Conversation(name, secret, settings, {})
    made.reserve(texts)
    return made


def stand_in(conversation: Conversation, entity: str, text: str, language: str = "en") -> str:
    return conversation.replaced(text, [Finding(0, len(text), entity, 1)], language)


def test_every_kind_has_an_example_here() -> None:
    assert EXAMPLES.keys() == MAKERS.keys()


@pytest.mark.parametrize("entity", EXAMPLES)
def test_an_entity_has_one_surrogate_in_a_conversation(entity: str) -> None:
    text = EXAMPLES[entity]
    first = stand_in(talk(text), entity, text)
    conversation = talk(text)
    assert stand_in(conversation, entity, text) == first != text
    assert stand_in(conversation, entity, text.upper()) == first
    assert "<" not in first
    elsewhere = {stand_in(talk(text, name=str(n)), entity, text) for n in range(9)}
    otherwise = {stand_in(talk(text, secret=bytes([n])), entity, text) for n in range(9)}
    assert len(elsewhere) > 1 < len(otherwise)  # neither links conversations, nor can be had without the key


def test_numbers_are_valid_and_of_ranges_kept_for_examples() -> None:
    for n in range(50):
        made = {entity: surrogate(entity, text, str(n), "en") or "" for entity, text in EXAMPLES.items()}
        assert re.fullmatch(r"4000-00\d\d \d{4} \d{4}", made["CREDIT_CARD"])
        assert identifiers.card(re.sub(r"\D", "", made["CREDIT_CARD"]))
        assert re.fullmatch(r"DE\d\d 0000 (?:\d{4} ){3}\d\d", made["IBAN_CODE"])
        assert identifiers.iban(made["IBAN_CODE"].replace(" ", ""))
        assert re.search(r"555-01\d\d$", made["PHONE_NUMBER"])
        assert re.search(r"@example\.(?:com|org|net)$", made["EMAIL_ADDRESS"])
        assert any(
            ip_address(made["IP_ADDRESS"]) in ip_network(net)
            for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
        )
        assert ip_address(surrogate("IP_ADDRESS", "fe80::1", str(n), "en") or "") in ip_network("2001:db8::/32")
        assert re.fullmatch(r"02(?:-[0-9a-f]{2}){5}", made["MAC_ADDRESS"])
        assert made["US_SSN"].startswith("666-")


@pytest.mark.parametrize("form", ["%d %B %Y", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y年%m月%d日"])
def test_birthdays_are_shifted_in_their_own_form(form: str) -> None:
    born = datetime(1984, 5, 23)
    made = surrogate("DATE_OF_BIRTH", born.strftime(form), "x", "en") or ""
    assert 0 < abs((datetime.strptime(made, form) - born).days) <= MOST_DAYS


def test_a_birthday_in_words_that_no_form_fits_is_invented() -> None:
    datetime.fromisoformat(surrogate("DATE_OF_BIRTH", "the 3rd of Mai 84", "x", "de") or "")


@pytest.mark.parametrize("language", LOCALES)
def test_names_are_of_the_language(language: str) -> None:
    made = {surrogate("PERSON", "Ann Lee", str(n), language) or "" for n in range(20)}
    assert len(made) > 10
    assert all(re.search(r"[\u4e00-\u9fff]", name) for name in made) == (language == "zh")


def test_nobody_in_the_conversation_is_a_surrogate() -> None:
    (taken,) = {stand_in(talk("Bo Ek"), "PERSON", "Bo Ek")}
    other = talk("Bo Ek", f"{taken.split()[-1].upper()} said so")
    assert stand_in(other, "PERSON", "Bo Ek") != taken


def test_two_entities_never_share_a_surrogate() -> None:
    conversation = talk()
    made = [stand_in(conversation, "PERSON", f"Person {n}") for n in range(200)]
    assert len(set(made)) == 200


def test_where_nothing_is_left_to_invent_the_row_is_refused() -> None:
    every = [f"{net}.{n}" for net in ("192.0.2", "198.51.100", "203.0.113") for n in range(256)]
    with pytest.raises(ScrubError, match="no surrogate"):
        stand_in(talk(*every), "IP_ADDRESS", "8.8.8.8")


def test_secrets_keep_placeholders_and_types_can_differ() -> None:
    settings = ScrubSettings(replacements=(Replacement(entity="PERSON", mode="surrogate"),))
    assert stand_in(talk(settings=SETTINGS), "GITHUB_TOKEN", "ghp_x") == "<GITHUB_TOKEN_1>"
    assert stand_in(talk(settings=settings), "EMAIL_ADDRESS", "a@b.org") == "<EMAIL_ADDRESS_1>"
    assert not stand_in(talk(settings=settings), "PERSON", "Ann").startswith("<")


def test_surrogates_are_safe_inside_json() -> None:
    for n in range(200):
        for language in LOCALES:
            made = [surrogate(entity, text, str(n), language) or "" for entity, text in EXAMPLES.items()]
            assert not [text for text in made if json.dumps(text, ensure_ascii=False) != f'"{text}"']
