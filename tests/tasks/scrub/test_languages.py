"""Languages: what passes, and that the bench's annotated set is what it says."""

from pathlib import Path

from configs.settings import ScrubSettings
from tasks.scrub.languages import latin_model, model_of
from tasks.scrub.workers import look
from tests.bench._scrub_languages import MODEL, chinese, found, recall
from tests.bench._scrub_layouts import annotated

SETTINGS = ScrubSettings(workers=1, keep=())


def test_chinese_rows_are_curated(shared_data: Path) -> None:
    assert chinese(100)["chinese_curated_share"] >= 0.95


def test_what_is_annotated_stands_there() -> None:
    texts = annotated(2, seed=5)
    assert {text.language for text in texts} == {"en", "de", "fr", "es"}
    assert {text.layout for text in texts} == {"mail", "chat", "form", "csv", "log", "code"}
    for text in texts:
        assert all(text.text[start:end].strip() for _, start, end in text.spans)
        assert "{person}" not in text.text
    assert annotated(2, seed=5) == texts


def test_every_layout_is_scrubbed_of_what_has_a_form() -> None:
    texts = annotated(2, seed=5)
    found_in = recall(texts, found(lambda units: look(units, SETTINGS), texts, MODEL))
    forms = ("EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "IP_ADDRESS", "MAC_ADDRESS", "DATE_OF_BIRTH", "US_SSN")
    assert {kind: found_in[kind] for kind in forms} == dict.fromkeys(forms, 1.0)
    assert found_in["PERSON"] > 0.85
    assert found_in["ADDRESS"] > 0.85


def test_every_language_has_an_engine_or_none() -> None:
    assert model_of(SETTINGS, "de") == MODEL
    assert model_of(SETTINGS, "ru") is None
    assert latin_model({"language": "zh"}, SETTINGS) == MODEL
