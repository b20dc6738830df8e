"""The reward head learns what the feedback says, and says how well."""

import numpy as np

from storage.lake import Lake
from storage.registry import Model, register
from tasks.lm.reward import Examples, RewardHead, fit, newest_reward_head

GENERATOR = np.random.default_rng(0)
WEIGHTS = GENERATOR.normal(size=20)
FEATURES = GENERATOR.normal(size=(600, 20)) * 3 + 5
WORTH = (FEATURES - 5) @ WEIGHTS
GROUPS = [str(number) for number in range(300)]


def test_pairs_are_learned():
    better = np.where(WORTH[:300] > WORTH[300:], np.arange(300), np.arange(300, 600))
    worse = np.where(WORTH[:300] > WORTH[300:], np.arange(300, 600), np.arange(300))
    head, accuracy = fit(FEATURES, Examples(better, worse, GROUPS), seed=1)
    assert accuracy > 0.9
    rewards = head.score(FEATURES)
    assert np.corrcoef(rewards, WORTH)[0, 1] > 0.8
    assert head.bias == 0


def test_labels_are_learned_and_the_bias_says_how_many_are_liked():
    liked = WORTH[:300] > np.quantile(WORTH[:300], 0.2)
    places = np.arange(300)
    examples = Examples(np.where(liked, places, -1), np.where(liked, -1, places), GROUPS)
    head, accuracy = fit(FEATURES[:300], examples, seed=1)
    assert accuracy > 0.9
    assert head.bias > 1
    assert 0.7 < head.score(FEATURES[:300]).mean() < 0.9


def test_noise_is_not_learned():
    coin = np.random.default_rng(1).integers(0, 2, 300).astype(bool)
    places = np.arange(300)
    examples = Examples(np.where(coin, places, -1), np.where(coin, -1, places), GROUPS)
    head, accuracy = fit(FEATURES[:300], examples, seed=1)
    assert 0.35 < accuracy < 0.65
    assert head.score(FEATURES[:300]).std() < 0.1


def test_a_head_is_read_back_as_it_was(tmp_path):
    head = RewardHead(WEIGHTS, 0.25, FEATURES.mean(0), FEATURES.std(0))
    head.save(tmp_path / "head")
    np.testing.assert_array_equal(RewardHead.load(tmp_path / "head").score(FEATURES), head.score(FEATURES))


def test_the_newest_head_is_found_beside_models_that_score(tmp_path):
    """The stage `reward` trains models."""
    lake = Lake(str(tmp_path))
    assert newest_reward_head(lake) is None
    found = []
    for name, kind, mixture in (("old", "head", None), ("new", "head", None), ("model", "reward", "mixture")):
        folder = lake.folder("models", name)
        if mixture is None:
            RewardHead(WEIGHTS, 0.25, FEATURES.mean(0), FEATURES.std(0)).save(folder)
        register(lake, Model(name, kind, "reward", str(folder), "t", mixture=mixture), batch="1")
        found.append(newest_reward_head(lake)[0].id)
    assert found == ["old", "new", "new"]
