"""A model to score by that is not there is said before a run spends anything."""

import pytest

from configs.load import parse
from flows.runs import check_models
from tasks.lm.load import MissingModelError


@pytest.mark.parametrize("key", ["embedding_model", "toxicity_model", "reward_model"])
def test_a_missing_model_is_said_at_once(key: str) -> None:
    with pytest.raises(MissingModelError, match=f"/nowhere/at/all: set score.{key} to"):
        check_models(parse({"score": {key: "/nowhere/at/all"}}, "here"))


def test_what_a_server_has_is_not_looked_for_here() -> None:
    served = {"embedding_model": "big", "embedding_endpoint": "http://127.0.0.1:1/v1"}
    check_models(parse({"score": served}, "here"))
