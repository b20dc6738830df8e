"""Rules over rows together, reviews, RIP, and what the manifest says about all rules."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from configs.mixing import MixSettings
from configs.quality import Quantiles, RipSettings, SelectSettings, Threshold
from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import digest
from tasks.mix.baselines import compare
from tasks.mix.rip import left_out
from tasks.mix.sample import Sample
from tasks.mix.select import Candidates, conversations
from tasks.mix.spread import similar
from tests.tasks.mix.lakes import BATCH, OPEN, curate, manifest_of, prefer, run, talk

SAMPLE = Sample(seed=1, batch=BATCH, since="")


def chosen(lake: Lake, **settings: Any) -> tuple[list[str], Candidates]:
    wanted = MixSettings(select=OPEN.model_copy(update=settings), max_rows=1000)
    found = conversations(lake, "sft", wanted, SAMPLE)
    return sorted(found.rows["id"]), found


def why(found: Candidates) -> dict[str, str]:
    return dict(found.left_out.sort("id").iter_rows())


def embed(lake: Lake, vectors: dict[str, list[float]], model: str = "m") -> None:
    rows = pl.DataFrame({"id": list(vectors), "vector": list(vectors.values())}).with_columns(model=pl.lit(model))
    publish(lake, "embeddings", rows, step="score", batch=f"{BATCH}-{model}", key=digest(str(vectors)))


def own(lake: Lake, users: dict[str, str]) -> None:
    rows = pl.DataFrame({"id": list(users), "user_hash": list(users.values())})
    publish(lake, "interactions", rows, step="collect", batch=BATCH, key=digest("users"))


def review(lake: Lake, decisions: dict[str, str]) -> None:
    rows = [{"id": f"r-{name}", "target_id": name, "decision": decision} for name, decision in decisions.items()]
    publish(lake, "reviews", pl.DataFrame(rows), step="review", batch=BATCH, key=digest("review"))


def test_thresholds_and_quantiles_on_any_score_slice_by_slice(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = [talk(f"a{at:02}", ifd=float(at), source="app") for at in range(60)]
    rows += [talk(f"b{at:02}", ifd=float(100 + at), source="web") for at in range(60)]
    curate(lake, [*rows, talk("long", chars=9000, ifd=None), talk("none", ifd=None)])
    limits = Quantiles(score="ifd", low=0.1, high=0.9, slice="source")
    names, found = chosen(lake, quantiles=(limits,), thresholds=(Threshold(score="chars", most=5000),))
    assert why(found)["long"] == "chars_threshold"
    assert "none" in names
    left = {name for name, reason in why(found).items() if reason == "ifd_quantiles"}
    assert left == {f"{part}{at:02}" for part in "ab" for at in (*range(6), *range(54, 60))}


def test_the_best_rows_stay_and_perplexity_is_best_when_low(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk(f"{at}", perplexity=float(at), reward=0.5) for at in range(9)] + [talk("none")])
    names, found = chosen(lake, top=3, quality="perplexity")
    assert names == ["0", "1", "2"]
    assert set(why(found).values()) == {"beyond_top"}


def test_of_rows_that_mean_the_same_the_best_stays(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("good", reward=0.9), talk("fair", reward=0.6), talk("other", reward=0.4), talk("unknown")])
    near = [0.95, float(np.sqrt(1 - 0.95**2))]
    embed(lake, {"fair": [1.0, 0.0], "good": near, "other": [0.0, 1.0]})
    names, found = chosen(lake)
    assert names == ["good", "other", "unknown"]
    assert why(found) == {"fair": "similar"}
    assert "similar" not in found.notes
    assert chosen(lake, max_similarity=0.96)[0] == ["fair", "good", "other", "unknown"]


def test_greedy_diversity_is_the_textbook_one_over_many_blocks() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1300, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kept: list[int] = []
    for at in range(len(vectors)):
        if not kept or (vectors[at] @ vectors[kept].T).max() < 0.9:
            kept.append(at)
    rows = pl.DataFrame({"vector": vectors.tolist()})
    assert np.flatnonzero(~similar(rows, 0.9).to_numpy()).tolist() == kept


def test_vectors_of_two_models_are_never_compared(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("a"), talk("b"), talk("c")])
    embed(lake, {"a": [1.0, 0.0], "b": [0.0, 1.0]}, "new")
    embed(lake, {"c": [1.0, 0.0]}, "old")
    assert chosen(lake)[0] == ["a", "b", "c"]


def test_a_topic_has_its_share_at_most(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk(f"{part}{at:03}") for part, count in (("a", 150), ("b", 30)) for at in range(count)])
    rng = np.random.default_rng(1)
    around = {"a": [1.0, 0.0, 0.0], "b": [0.0, 1.0, 0.0]}
    points = {f"a{at:03}": around["a"] for at in range(150)} | {f"b{at:03}": around["b"] for at in range(30)}
    embed(lake, {name: (np.array(point) + rng.normal(scale=0.01, size=3)).tolist() for name, point in points.items()})
    names, found = chosen(lake, max_similarity=1.0, max_topic_share=0.25)
    assert sum(name.startswith("b") for name in names) == 30
    assert set(why(found).values()) == {"topic_share"}
    assert sum(name.startswith("a") for name in names) < 150


def test_questions_from_one_template_have_their_share_at_most(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    asked = "Write a short and friendly reply to ticket {} of <PERSON_{}>, and say that we are on it."
    made = [talk(f"t{at}", asked.format(at, at % 3)) for at in range(30)]
    other = [talk(f"o{at}", f"{chr(97 + at)} question of its own?") for at in range(20)]
    curate(lake, made + other)
    names, found = chosen(lake, max_template_share=0.1, always_allowed=5)
    assert [name[0] for name in names].count("t") == 5
    assert [name for name in names if name.startswith("o")] == sorted(row["id"] for row in other)
    assert set(why(found).values()) == {"template_share"}


def test_a_share_of_one_is_no_limit(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk(f"{at}", "Write a short reply to this ticket, please.") for at in range(9)])
    own(lake, {f"{at}": "busy" for at in range(9)})
    wanted = OPEN.model_copy(update={"max_user_share": 1.0, "always_allowed": 1})
    found = conversations(lake, "sft", MixSettings(select=wanted, max_rows=5), SAMPLE)
    assert list(why(found).values()) == ["beyond_max_rows"] * 4


def test_one_user_is_at_most_their_share_but_a_small_mixture_has_a_floor(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk(f"{at:03}") for at in range(300)])
    own(lake, {f"{at:03}": "busy" if at < 100 else f"user-{at}" for at in range(300)})
    floor = chosen(lake)[0]
    assert sum(name < "100" for name in floor) == 20
    assert len(floor) == 220
    share = chosen(lake, max_user_share=0.1, always_allowed=1)[0]
    assert sum(name < "100" for name in share) == 30


def test_the_pairs_of_one_user_are_limited_too(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    own(lake, {f"t{at}": "busy" for at in range(30)})
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pairs = [
        {
            "id": f"{at}", "kind": "pair", "origin": "edit", "target_id": f"t{at}", "prompt": prompt,
            "chosen": f"Team {at}.", "rejected": "None.",
        }
        for at in range(30)
    ]  # fmt: skip
    prefer(lake, pairs)
    assert run(lake, model, stage="dpo").manifest["rows"] == 20


def test_a_review_overrides_scores_but_never_a_thumb_down(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    low = {"reward": 0.0, "repetition": 0.9, "refusal": True, "chars": 2}
    curate(lake, [talk("poor", **low), talk("kept", **low), talk("fine"), talk("dropped"), talk("down")])
    thumb = {"kind": "label", "origin": "thumb", "label": False, "chosen": "y"}
    prefer(lake, [thumb | {"id": "1", "target_id": "down"}])
    review(lake, {"kept": "keep", "dropped": "drop", "down": "keep"})
    names, found = chosen(lake)
    assert names == ["fine", "kept"]
    assert why(found) == {"poor": "too_short", "dropped": "rejected_in_review", "down": "disliked"}


def test_the_manifest_shows_for_each_rule_what_it_drops_and_what_chance_and_length_would_choose(
    tmp_path: Path, model: str
) -> None:
    lake = Lake(str(tmp_path))
    good = [talk(f"g{at}", reward=0.9, chars=50 + at, perplexity=9.0) for at in range(10)]
    bad = [talk(f"b{at}", reward=0.1, chars=5000, perplexity=99.0) for at in range(10)]
    curate(lake, [*good, *bad])
    manifest = manifest_of(lake, run(lake, model))
    assert manifest["dropped"] == {"low_reward": 10}
    assert len(set(manifest["examples"]["low_reward"]) & {row["id"] for row in bad}) == 3
    assert "score.embedding_model" in manifest["notes"]["similar"]
    assert "user" in manifest["notes"]["user_share"]
    ours, random, longest, every = (manifest["baselines"][name] for name in ("chosen", "random", "longest", "all"))
    assert (ours["rows"], random["rows"], longest["rows"], every["rows"]) == (10, 10, 10, 20)
    assert (ours["overlap"], longest["overlap"], every["overlap"]) == (1.0, 0.0, 1.0)
    assert (ours["ruled_out"], longest["ruled_out"], every["ruled_out"]) == (0.0, 1.0, 0.5)
    assert (ours["reward"], longest["reward"]) == (0.9, 0.1)
    assert 0 < random["overlap"] < 1


def test_without_a_choice_there_is_nothing_to_compare() -> None:
    assert compare(None, pl.Series(["a"]), 1) == {}


def test_rip_keeps_prompts_with_good_long_rejected_answers_and_a_small_gap() -> None:
    pairs = pl.DataFrame(
        {
            "id": [f"{at}" for at in range(10)],
            "rejected": [0.1, *[0.5] * 9],
            "length": [100, 5, *[100] * 8],
            "gap": [0.1, 0.1, 0.8, *[0.1] * 7],
        }
    )
    found = left_out(pairs, RipSettings(rejected_reward=0.2, rejected_length=0.2, reward_gap=0.8))
    assert dict(found.iter_rows()) == {"0": "rip_poor_rejected", "1": "rip_short_rejected", "2": "rip_wide_gap"}
    assert left_out(pairs, RipSettings()).is_empty()


def test_rip_without_a_reward_head_says_so(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pair = {"id": "1", "kind": "pair", "origin": "edit", "target_id": "t", "prompt": prompt}
    prefer(lake, [pair | {"chosen": "Team.", "rejected": "None."}])
    mixture = run(lake, model, stage="dpo", select=SelectSettings(rip=RipSettings(rejected_reward=0.5)))
    assert "no reward head" in manifest_of(lake, mixture)["notes"]["rip_poor_rejected"]
