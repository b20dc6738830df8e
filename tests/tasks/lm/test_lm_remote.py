"""Losses over HTTP are those of the model in this process, whatever the server's moods."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForSequenceClassification

from configs.settings import ScoreSettings
from storage.lake import Lake
from tasks.lm import remote
from tasks.lm.classify import load_classifier
from tasks.lm.likelihood import likelihoods
from tasks.lm.load import LanguageModel
from tasks.lm.remote import Endpoint, EndpointError, remote_embeddings, remote_likelihoods, remote_rewards
from tasks.lm.template import Encoded, encode
from tests.tasks.lm.scoring_server import Scoring, serving
from tests.tasks.score.test_score_task import scored, talk

TALKS = [
    [{"role": "user", "content": "How? " * at}, {"role": "assistant", "content": "So: " * (9 - at)}]
    for at in range(1, 9)
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "WAIT", 0.01)
    monkeypatch.setattr(remote, "TOKENS", 64)


def test_losses_are_those_of_the_model_in_this_process(lm: LanguageModel) -> None:
    rows = [*(encode(lm.tokenizer, messages, 128) for messages in TALKS), Encoded([], [], [])]
    scoring = Scoring(lm, failures=2)
    with serving(scoring) as url:
        found = remote_likelihoods(Endpoint(url, "score.endpoint"), rows, "test")
    here = likelihoods(lm, rows)
    for name in ("text_loss", "text_tokens", "answer_loss", "answer_tokens"):
        np.testing.assert_allclose(getattr(found, name), getattr(here, name), rtol=1e-4)
    assert len(scoring.paths) > 4


def test_a_key_comes_from_the_environment(lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [encode(lm.tokenizer, TALKS[0], 128)]
    with serving(Scoring(lm, key="open " + "sesame")) as url:
        with pytest.raises(EndpointError, match=r"score.endpoint: .* answers 401; .* FLYWHEEL_API_KEY"):
            remote_likelihoods(Endpoint(url, "score.endpoint"), rows, "test")
        monkeypatch.setenv("FLYWHEEL_API_KEY", "open " + "sesame")
        assert remote_likelihoods(Endpoint(url, "score.endpoint"), rows, "test").text_tokens[0] > 0


def test_a_server_that_is_away_or_no_vllm_is_named(lm: LanguageModel) -> None:
    rows = [encode(lm.tokenizer, TALKS[0], 128)]
    with serving(Scoring(lm, prompt_logprobs=False)) as url, pytest.raises(EndpointError, match="must be vLLM"):
        remote_likelihoods(Endpoint(url, "score.endpoint"), rows, "test")
    with pytest.raises(EndpointError, match="cannot be reached"):
        remote_likelihoods(Endpoint(url, "score.endpoint"), rows, "test")


def test_embeddings_come_back_in_order_and_of_length_one(lm: LanguageModel) -> None:
    texts = ["x" * at for at in range(1, 200)]
    with serving(Scoring(lm)) as url:
        found = remote_embeddings(Endpoint(url, "score.embedding_endpoint", "some"), texts, "test")
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert found[:, 0] / found[:, 1] == pytest.approx(np.arange(1, 200))


def test_rewards_over_http_are_those_of_the_model_in_this_process(
    lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    LlamaForSequenceClassification.from_pretrained(lm.path, num_labels=1).save_pretrained(tmp_path / "model")
    lm.tokenizer.save_pretrained(tmp_path / "model")
    model = load_classifier(str(tmp_path / "model"))

    def judge(ids: list[int]) -> list[float]:
        with torch.no_grad():
            return model.model(torch.tensor([ids])).logits[0].sigmoid().tolist()

    unanswered = talk("q") | {"messages": talk("q")["messages"][:1]}
    rows = [talk("a"), talk("b", answer="Much longer " * 9), unanswered]
    local = ScoreSettings(perplexity=False, reward_model=str(model.folder), max_tokens=64)
    here = scored(Lake(str(tmp_path / "a")), lm.path, rows, [], local)
    monkeypatch.setattr("tasks.score.models.load_classifier", lambda _: pytest.fail("loads the weights"))
    with serving(Scoring(lm, failures=1, judge=judge)) as url:
        settings = local.model_copy(update={"reward_endpoint": url})
        there = scored(Lake(str(tmp_path / "b")), lm.path, rows, [], settings)
    assert {name: there[name]["reward"] for name in "ab"} == pytest.approx(
        {name: here[name]["reward"] for name in "ab"}, rel=1e-5
    )
    assert here["a"]["reward"] != here["b"]["reward"]
    assert there["q"]["reward"] is None


def test_a_server_of_a_model_with_several_outputs_is_refused(lm: LanguageModel) -> None:
    scoring = Scoring(lm, judge=lambda _: [0.2, 0.8])
    with serving(scoring) as url, pytest.raises(EndpointError, match=r"score.reward_endpoint: .* 2 outputs"):
        remote_rewards(Endpoint(url, "score.reward_endpoint", "tiny"), [[1, 2]], "test")


def test_a_lake_is_scored_by_an_endpoint_without_the_weights(
    lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = ScoreSettings(reward=False, ifd=True, max_tokens=64)
    here = scored(Lake(str(tmp_path / "a")), lm.path, [talk("a"), talk("b", answer="Hm.")], [], local)
    monkeypatch.setattr("tasks.score.models.load", lambda _: pytest.fail("loads the weights"))
    with serving(Scoring(lm)) as url:
        settings = local.model_copy(
            update={"endpoint": url, "embedding_endpoint": url + "/", "embedding_model": "embedder"}
        )
        lake = Lake(str(tmp_path / "b"))
        there = scored(lake, lm.path, [talk("a"), talk("b", answer="Hm.")], [], settings)
    for name in ("perplexity", "answer_loss", "ifd"):
        assert there["b"][name] == pytest.approx(here["b"][name], rel=1e-4)
    assert lake.read("embeddings").collect().height == 2
