"""A server that has loaded something else than the model that was judged is found out by the tokens that it chooses."""

import json
from pathlib import Path

import httpx
import pytest

from configs.settings import ServeSettings, SmokePrompt
from storage.lake import Lake
from storage.registry import Model, register
from storage.verdicts import promotions
from tasks.inference.server import serve, vllm_command
from tasks.lm.load import MissingModelError, load, resolve
from tasks.promote import served, smoke
from tests.tasks.promote import openai_server
from tests.tasks.promote.keeping import keeping, lake_of_two, promote_new
from tests.tiny_model import make_tiny_model

PYTHON = Path(".venv-vllm/bin/python")
ASKED = [SmokePrompt(prompt=text) for text in ("Hello! What can you do for me?", "Why is the sky blue?")]
TOKENS = 200


def disagreement(folder: Path, wrong: int, least: float = 0.98) -> str | None:
    """What is said of a server that chooses so many of the tokens otherwise."""
    row = {"ids": [1] * (TOKENS + 1), "places": list(range(1, TOKENS + 1)), "chosen": [5] * TOKENS}
    (folder / served.FILE).write_text(json.dumps([row]))
    (folder / "likeliest").write_text(json.dumps([6] * wrong + [5] * (TOKENS - wrong)))
    with openai_server.served(folder, "new") as url, httpx.Client() as client:
        return served.disagreement(client, url, "new", folder, least)


@pytest.mark.parametrize(("wrong", "said"), [(0, False), (4, False), (8, False), (11, True), (TOKENS, True)])
def test_a_share_that_chance_does_not_explain_is_a_fault(tmp_path: Path, wrong: int, said: bool) -> None:
    found = disagreement(tmp_path, wrong)
    assert (found is not None) == said
    if found is not None:
        assert f"in {TOKENS - wrong} of {TOKENS} cases only (serve.min_agreement: 98%)" in found


def test_who_wants_less_gets_less(tmp_path: Path) -> None:
    assert disagreement(tmp_path, TOKENS // 2, least=0.5) is None
    assert disagreement(tmp_path, 1, least=1.0) is not None


def test_of_a_model_that_was_never_asked_and_a_server_that_cannot_tell_nothing_is_known(tmp_path: Path) -> None:
    with openai_server.served(tmp_path, "new") as url, httpx.Client() as client:
        assert served.disagreement(client, url, "new", tmp_path, 1.0) is None
        (tmp_path / served.FILE).write_text('[{"ids": [1, 2], "places": [1], "chosen": [2]}]')
        for answer in ('{"choices": [{"text": "a"}]}', '{"choices": []}', '{"error": "no such thing"}'):
            (tmp_path / "completions").write_text(answer)
            assert served.disagreement(client, url, "new", tmp_path, 1.0) is None


def test_a_champion_that_chooses_other_tokens_where_it_is_served_goes_back(tmp_path: Path) -> None:
    lake = lake_of_two(tmp_path)
    folder = make_tiny_model(lake.local("models", "new"))
    model = Model("new", "lm", "sft", str(folder), "t")
    assert smoke.in_process(lake, model, [SmokePrompt(prompt="Hello!")]) == []
    (noted,) = json.loads((folder / served.FILE).read_text())
    assert noted["chosen"] == likeliest(folder, noted["ids"], noted["places"])
    (folder / "likeliest").write_text(json.dumps([0] * (len(noted["ids"]) - 1)))
    with keeping(lake) as (keeper, _):
        promote_new(lake)
        keeper.follow()
    assert "chooses the token that it chose in the run in 0 of" in promotions(lake)["reasons"][-1][0]


def likeliest(folder: Path, ids: list[int], places: list[int]) -> list[int]:
    """By the model's own logits, all at once."""
    import torch

    with torch.inference_mode():
        chosen = load(folder).model(input_ids=torch.tensor([ids])).logits[0].argmax(-1).tolist()
    return [chosen[at - 1] for at in places]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_vllm_chooses_as_the_model_in_this_process_does(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip(f"there is no {PYTHON}: `make vllm-cpu` builds it")
    try:
        weights = resolve("smollm2")
    except MissingModelError as error:
        pytest.skip(str(error))
    lake = Lake(str(tmp_path / "lake"))
    folder = lake.local("models", "new")
    folder.parent.mkdir(parents=True)
    folder.mkdir()
    for file in weights.iterdir():
        (folder / file.name).symlink_to(file)
    model = Model("new", "lm", "base", str(folder), "t")
    register(lake, model, batch="0")
    assert smoke.in_process(lake, model, ASKED) == []
    command = vllm_command(str(PYTHON), folder, "new", max_model_len=512, arguments=())
    with serve(command, start_timeout=300) as server:
        settings = ServeSettings()
        assert smoke.over_http(server.url, "new", server.key, folder, ASKED, settings) == []
        rows = json.loads((folder / served.FILE).read_text())
        (folder / served.FILE).write_text(json.dumps([row | {"chosen": [0] * len(row["chosen"])} for row in rows]))
        (fault,) = smoke.over_http(server.url, "new", server.key, folder, ASKED, settings)
    assert "chooses the token that it chose in the run in 0 of" in fault
    assert sum(len(row["chosen"]) for row in rows) > 100
