"""Name engines on PyTorch: real libraries, tiny models made here."""

from pathlib import Path

import pytest

from configs.settings import NameEngine, ScrubSettings
from tasks.scrub import neural
from tasks.scrub.analyze import Analyzer
from tasks.scrub.engines import MissingEngineError, check, engine
from tasks.scrub.workers import Workers
from tests.tiny_ner import FRAMES, PEOPLE, PLACES, make_tiny_ner, make_word_tokenizer


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_ner(tmp_path_factory.mktemp("ner")))


def chosen(model: str, library: str = "transformers") -> NameEngine:
    return NameEngine.model_validate({"languages": ("eo",), "library": library, "model": model})


def found(names: neural.TokenClassifierNames, text: str) -> list[tuple[str, str]]:
    return [(f.type, text[f.start : f.end]) for f in names.find([text])[0]]


def test_a_token_classifier_finds_names(classifier: str) -> None:
    names = neural.TokenClassifierNames(classifier, 0.5)
    both = [("PERSON", "Zora Quill"), ("LOCATION", "Norwold")]
    assert found(names, "Zora Quill lives in Norwold .") == both
    assert found(names, "it rains") == []
    assert names.find([]) == []
    assert [len(each) for each in names.find(["ask Ivo Brandt", "", "please call Lev Antonov now"])] == [1, 0, 1]


def test_names_behind_the_models_window_are_found(classifier: str) -> None:
    names = neural.TokenClassifierNames(classifier, 0.5)
    text = "it rains about it now " * 40 + "please call Mina Okoro now"
    assert found(names, text)[-1] == ("PERSON", "Mina Okoro")


def test_only_names_of_the_threshold_count(classifier: str) -> None:
    assert found(neural.TokenClassifierNames(classifier, 1.0), "please call Ivo Brandt now") == []


def test_whole_words_go() -> None:
    assert neural._whole("call McKenzie now", 7, 9) == (5, 13)
    assert neural._whole("叫王小波来", 1, 3) == (1, 3)


def test_settings_choose_the_engine_of_a_language(classifier: str) -> None:
    settings = ScrubSettings(engines=(chosen(classifier),))
    check(settings)
    (looked,) = Analyzer(settings).look(["Zora Quill: zora@example.org"], classifier)
    assert [finding.type for finding in looked if not isinstance(finding, str)] == ["PERSON", "EMAIL_ADDRESS"]


def test_processes_can_use_it(classifier: str) -> None:
    settings = ScrubSettings(engines=(chosen(classifier),))
    texts = ["Zora Quill lives in Norwold .", "it rains"]
    with Workers(settings, 1) as pool:
        looked = pool.look([(classifier, text) for text in texts])
    assert list(looked.values()) == Analyzer(settings).look(texts, classifier)


@pytest.mark.parametrize("library", ["transformers", "spacy", "jieba"])
def test_a_model_that_is_not_there_is_a_mistake(library: str, tmp_path: Path) -> None:
    with pytest.raises(MissingEngineError, match=r"scrub\.engines: .*no_such"):
        check(
            ScrubSettings(
                engines=(chosen(str(tmp_path / "no_such") if library == "transformers" else "no_such", library),)
            )
        )


def test_a_classifier_of_something_else_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.tiny_ner.LABELS", ("O", "B-GENE", "I-GENE", "B-DRUG", "I-DRUG"))
    settings = ScrubSettings(engines=(chosen(str(make_tiny_ner(tmp_path))),))
    with pytest.raises(Exception, match="of which none is a person or a place"):
        check(settings)


def test_without_the_package_gliner_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.scrub.engines.find_spec", lambda _: None)
    with pytest.raises(MissingEngineError, match="gliner is not installed"):
        check(ScrubSettings(engines=(chosen("some/model", "gliner"),)))


def test_gliner_answers_in_our_terms(tmp_path: Path) -> None:
    gliner = pytest.importorskip("gliner", reason="GLiNER is an extra: pip install flywheel[gliner]")
    from transformers import BertConfig, BertModel

    words = " ".join((*FRAMES, *PEOPLE, *PLACES, *neural.ASKED)).split()
    tokenizer = make_word_tokenizer(words, 64)
    encoder = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    )
    encoder.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    config = gliner.GLiNERConfig(model_name=str(tmp_path / "encoder"), hidden_size=32, max_len=12, max_width=2)
    gliner.GLiNER.from_config(config).save_pretrained(tmp_path / "gliner")

    names = engine(chosen(str(tmp_path / "gliner"), "gliner"), 0.0)  # random weights: anything may be a name
    text = "it rains about it now " * 5 + "please call Mina Okoro"  # twice as long as the model reads
    nothing, many = names.find(["", text])
    assert nothing == []
    assert {finding.type for finding in many} <= {"PERSON", "LOCATION", "ORGANIZATION"}
    assert max(finding.end for finding in many) == len(text)
    assert all(text[f.start : f.end] == text[f.start : f.end].strip() != "" for f in many)
