"""All scores that models give the rows of a batch; each text once per model, and a model is loaded when needed."""

import json
from collections.abc import Callable
from functools import cache, partial

import polars as pl

from configs.settings import ScoreSettings
from storage.lake import Lake
from storage.snapshot import digest
from tasks.lm.classify import load_classifier, probabilities
from tasks.lm.load import LanguageModel, load, model_identity, resolve, without_weights
from tasks.lm.rewarding import rewarder
from tasks.score.by_model import score_by_model
from tasks.score.place import Place
from tasks.score.resume import in_parts
from tasks.score.reuse import reuse
from tasks.score.reward import reward_head
from tasks.text.conversation import dialogue

LIKELIHOOD = ("reward", "perplexity", "answer_loss", "ifd")
DEPENDS_ON = {"perplexity", "ifd", "reward", "max_tokens", "endpoint", "endpoint_model"}


def model_scores(
    lake: Lake, rows: pl.DataFrame, place: Place, batch: str, settings: ScoreSettings, model: str, seed: int
) -> list[pl.DataFrame]:
    """The models' scores of `rows`, one frame a model; none when there is nothing to calculate.

    Args:
        lake: where the feedback is that a reward head learns from, and what was scored before.
        rows: `id`, `messages`.
        place: where they are calculated.
        batch: whose rows these are.
        settings: which scores.
        model: of perplexity and reward.
        seed: of the reward head.
    """
    known = lake.read("curated", batch=batch, step="score").collect()
    found = [_likelihood(lake, rows, known, place, batch, settings, model, seed)]
    if settings.toxicity_model:
        found.append(_toxicity(rows, known, place, settings))
    if settings.reward_model:
        found = [None if scores is None else scores.drop("reward", strict=False) for scores in found]
        found.append(_reward(rows, known, place, settings))
    return [scores for scores in found if scores is not None]


def _likelihood(
    lake: Lake,
    rows: pl.DataFrame,
    known: pl.DataFrame,
    place: Place,
    batch: str,
    settings: ScoreSettings,
    model: str,
    seed: int,
) -> pl.DataFrame | None:
    open_model = cache(partial(load, model))
    own = settings.reward and settings.reward_model is None
    head = reward_head(lake, batch, model, open_model, settings, seed) if own else None
    if head is None and not settings.perplexity:
        return None

    opened: Callable[[], LanguageModel] = open_model  # the head's own, if it was trained here
    if settings.endpoint is not None and head is None:
        opened = place.opener(without_weights, model)
    elif place.engine == "ray":
        opened = place.opener(load, model)

    def score_part(part: pl.DataFrame, label: str) -> pl.DataFrame:
        return score_by_model(opened(), part["messages"].to_list(), settings, head, label)

    weights = b"" if head is None else head.weights.tobytes()
    identity = digest(model_identity(resolve(model)), settings.model_dump_json(include=DEPENDS_ON), weights)
    keyed = rows.select("id", "messages", key=_keys(identity, rows))
    before = known.select(*LIKELIHOOD, key="scored_by").drop_nulls("key")
    found = reuse(keyed, before, lambda some: in_parts(some.drop("key"), place, identity, score_part))
    return found.with_columns(scored_by=keyed["key"])


def _toxicity(rows: pl.DataFrame, known: pl.DataFrame, place: Place, settings: ScoreSettings) -> pl.DataFrame:
    name = str(settings.toxicity_model)
    opened = place.opener(load_classifier, name)

    def judge(part: pl.DataFrame, _label: str) -> pl.DataFrame:
        texts = part.select(dialogue())["messages"].to_list()
        found = probabilities(
            opened(), texts, "toxic", max_tokens=settings.max_tokens, token_budget=settings.token_budget
        )
        return pl.DataFrame({"toxicity": found}).fill_nan(None)

    return _once(rows, known, place, ("toxicity", "judged_by"), _identity(name, settings), judge)


def _reward(rows: pl.DataFrame, known: pl.DataFrame, place: Place, settings: ScoreSettings) -> pl.DataFrame:
    give = rewarder(settings, place.opener(load_classifier, str(settings.reward_model)))

    def judge(part: pl.DataFrame, _label: str) -> pl.DataFrame:
        return pl.DataFrame({"reward": give(part["messages"].to_list())}).fill_nan(None)

    return _once(rows, known, place, ("reward", "rewarded_by"), _identity(str(settings.reward_model), settings), judge)


def _identity(name: str, settings: ScoreSettings) -> str:
    return digest(model_identity(resolve(name)), str(settings.max_tokens))


def _once(
    rows: pl.DataFrame,
    known: pl.DataFrame,
    place: Place,
    columns: tuple[str, str],
    identity: str,
    judge: Callable[[pl.DataFrame, str], pl.DataFrame],
) -> pl.DataFrame:
    """A score and the column with its key: what has that key is taken over, the rest judged, part by part."""
    score, key = columns
    keyed = rows.select("id", "messages", key=_keys(identity, rows))
    before = known.select(score, key=key).drop_nulls("key")
    found = reuse(keyed, before, lambda some: in_parts(some.drop("key"), place, identity, judge))
    return found.with_columns(keyed["key"].alias(key))


def _keys(identity: str, rows: pl.DataFrame) -> pl.Series:
    """What the scores of each row depend on: text, and `identity` of all else."""
    texts = (json.dumps(messages, sort_keys=True) for messages in rows["messages"].to_list())
    return pl.Series("key", [digest(identity, text) for text in texts], dtype=pl.String)
