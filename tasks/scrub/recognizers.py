"""Which recognizers look at a text: Presidio's and our own, each behind a cheap gate.

A gate is a regular expression for Polars (Rust's regex: linear time), over all paragraphs at once. A recognizer runs
only on paragraphs whose gate is open, so a gate must open wherever its recognizer could find something.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import regex
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, predefined_recognizers

from configs.settings import ScrubSettings
from tasks.scrub import address, chinese, identifiers, labelled, people, secrets
from tasks.scrub.phone import PhoneNumberRecognizer

NUMBER = r"\d(?:[^\n\d]{0,4}\d){4}"  # five digits close to each other
CODE = r"[0-9A-Za-z]*\d[0-9A-Za-z]*\d"
LONG_TOKEN = r"[\w+/=.:~$-]{16}"
SECRET_WORD = (
    r"(?i)pass|pwd|passwort|kennwort|contrase|clave|senha|mdp|密码|口令|令牌|密钥|secret|token|key|auth|credential|bearer|"
    r"://[^/\s]*@|curl|machine"
)
WALLET = r"0x[0-9a-fA-F]{40}|[1-9A-HJ-NP-Za-km-z]{26}|[a-z0-9]{38}"
HEX_PAIRS = r"[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\."
IP = r"\d\.\d|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:"
HAN = r"\p{Han}"
BIRTH = r"(?i)born|birth|dob|d\.o\.b|gebor|geburt|naissance|né |née |naci|nasci|nat[oa] |生"

GENERIC: tuple[tuple[str, str], ...] = (
    ("CryptoRecognizer", WALLET),
    ("DateRecognizer", r"\d"),
)
COUNTRIES = (
    *("AbaRouting", "AuAbn", "AuAcn", "AuMedicare", "AuTfn", "CaSin", "DeBsnr", "DeFuehrerschein", "DeHealthInsurance"),
    *("DeIdCard", "DeLanr", "DePassport", "DeSocialSecurity", "DeTaxId", "DeVatId", "EsNie", "EsNif", "EsPassport"),
    *("FiPersonalIdentityCode", "InAadhaar", "InGstin", "InPassport", "InVoter", "ItDriverLicense"),
    *("ItFiscalCode", "ItIdentityCard", "ItPassport", "ItVatCode", "KrBrn", "KrDriverLicense", "KrFrn", "KrPassport"),
    *("KrRrn", "MedicalLicense", "NgNin", "Nhs", "PhPassport", "PhTin", "PhUmid", "PlPesel", "SePersonnummer", "SgFin"),
    *("ThTnin", "TrNationalId", "UkDrivingLicence", "UkNino", "UkPassport", "UsBank", "UsHealthInsuranceMemberId"),
    *("UsItin", "UsLicense", "UsMbi", "UsNpi", "UsPassport", "UsSsn", "ZaDriverLicense", "ZaIdNumber"),
    *("ZaIncomeTaxNumber", "ZaPassport"),
)
"""Presidio's national numbers. Left out: number plates and companies' registers, which name no person by themselves,
and postal codes, which `AddressRecognizer` knows."""


@dataclass(frozen=True)
class Detector:
    """A recognizer and its gate: every one of these expressions must be found."""

    recognizer: EntityRecognizer
    gate: tuple[str, ...] = ()


def detectors(settings: ScrubSettings) -> list[Detector]:
    """All recognizers that these settings ask for, but for the name engines."""
    found = [
        *(Detector(getattr(predefined_recognizers, name)(), (gate,)) for name, gate in GENERIC),
        *(Detector(getattr(predefined_recognizers, f"{name}Recognizer")(), (NUMBER,)) for name in COUNTRIES),
        *(Detector(recognizer, (_gate(recognizer),)) for recognizer in identifiers.recognizers()),
        *(Detector(recognizer, (rf"{NUMBER}|{HAN}",)) for recognizer in chinese.recognizers()),
        *(Detector(recognizer, (rf"{LONG_TOKEN}|{SECRET_WORD}",)) for recognizer in secrets.recognizers()),
        Detector(PhoneNumberRecognizer(settings.phone_regions), (NUMBER,)),
        Detector(address.AddressRecognizer(), address.GATE),
        *(Detector(recognizer, (gate,)) for recognizer, gate in people.recognizers()),
        Detector(labelled.LabelledRecognizer(), (labelled.GATE,)),
        *_own(settings),
    ]
    return [detector for detector in found if not set(detector.recognizer.supported_entities) <= set(settings.keep)]


def _gate(recognizer: PatternRecognizer) -> str:
    gates = {
        "CRYPTO": WALLET,
        "MAC_ADDRESS": HEX_PAIRS,
        "DATE_OF_BIRTH": BIRTH,
        "EMAIL_ADDRESS": "@",
        "URL": r"://|www\.",
        "IP_ADDRESS": IP,
        "IBAN_CODE": r"\b[A-Za-z]{2}\d{2}",
        "IN_PAN": r"[A-Z]{5}\d{4}[A-Z]",
    }
    return gates.get(recognizer.supported_entities[0], NUMBER)


def _own(settings: ScrubSettings) -> Iterable[Detector]:
    """What the config adds: recognizers, and texts that are always replaced."""
    for own in settings.recognizers:
        pattern = Pattern(own.entity, own.pattern, own.score)
        recognizer = PatternRecognizer(
            own.entity, patterns=[pattern], context=list(own.context), global_regex_flags=regex.MULTILINE
        )
        yield Detector(recognizer)
    if settings.deny:
        yield Detector(PatternRecognizer("DENIED", deny_list=list(settings.deny)))
