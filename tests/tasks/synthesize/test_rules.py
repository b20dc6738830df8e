"""Rules, novelty and pairs: what must hold for any text."""

import random
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inference.engine import Failure
from tasks.lm.generate import Completion
from tasks.synthesize.novelty import Pool
from tasks.synthesize.pairs import Pair, choose_pair
from tasks.synthesize.rules import bad_answer, bad_instruction, repetition, unusable, whole, whole_sentences
from tasks.text.rouge import common_subsequence, rouge_l, words


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Failure("status 500"), "no_answer"),
        (Completion("", finished=True, tokens=1), "empty"),
        (Completion("I was about to", finished=False, tokens=9), "cut_off"),
        (Completion("Yes.<|im_start|>user", finished=True, tokens=9), "marks"),
        (Completion("Yes.\n### Input: a list", finished=True, tokens=9), "marks"),
        (Completion("and so on " * 9, finished=True, tokens=30), "repetitive"),
        (Completion("Open Settings > Billing.\n\n## Steps\n1. Click", finished=True, tokens=9), None),
    ],
)
def test_why_a_text_is_not_sound(outcome, reason):
    assert unusable(outcome) == reason


def test_why_a_text_is_no_instruction_or_answer():
    assert bad_instruction("help me") == "too_short"
    assert bad_instruction("word " * 151) == "too_long"
    assert bad_instruction("... and then it broke") == "punctuation"
    assert bad_instruction("¿Cómo cambio mi contraseña?") is None
    assert bad_instruction("如何更改密码") is None
    assert bad_answer("How are you?", "how are you") == "copies_question"
    assert bad_answer("How are you?", "?!") == "no_words"
    assert bad_answer("How are you?", "Hello, thanks!") == "no_words"
    assert bad_answer("How are you?", "Fine.") is None


def test_repetition_is_the_share_of_repeated_trigrams():
    assert repetition("one two") == 0
    assert repetition("a b c d") == 0
    assert repetition("a b c a b c a b c") == pytest.approx(1 - 3 / 7)


def test_cut_off_texts_end_with_a_whole_sentence():
    assert whole_sentences('He said "no." Then he we') == 'He said "no."'
    assert whole_sentences("Version 2.5 is out! It has") == "Version 2.5 is out!"
    assert whole_sentences("请打开设置。然后") == "请打开设置。"
    assert whole_sentences("Do this. Then:\n1. open the menu") == "Do this."
    assert whole_sentences("no end at all") == ""
    cut = Completion("It is here. But al", finished=False, tokens=9)
    assert whole(cut) == Completion("It is here.", finished=True, tokens=9)


def slow_subsequence(left, right):
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if one == other else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(st.lists(st.integers(0, 3), max_size=80), st.lists(st.integers(0, 3), max_size=80))
def test_the_common_subsequence_is_that_of_the_textbook(left, right):
    assert common_subsequence(left, right) == slow_subsequence(left, right)


@given(st.lists(st.text("abcde ", min_size=1, max_size=30), max_size=30), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_the_pool_decides_as_if_it_had_compared_with_all(texts, threshold):
    pool, kept = Pool(texts[:3], threshold), [words(text) for text in texts[:3]]
    for text in texts[3:]:
        new = all(rouge_l(words(text), other) < threshold for other in kept)
        assert pool.add_if_new(text) == new
        if new:
            kept.append(words(text))


def test_a_pool_of_many_compares_with_few():
    numbers = random.Random(1)
    vocabulary = [f"word{int(numbers.paretovariate(0.6))}" for _ in range(50_000)]
    texts = [" ".join(numbers.sample(vocabulary, 12)) for _ in range(20_000)]
    pool = Pool(texts, 0.7)
    assert pool.add_if_new("something quite different from all the others")
    assert not pool.add_if_new(texts[777])


answers = st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=9)


@given(answers, st.sampled_from([1.0, 2.0, 5.0]), st.data())
def test_a_pair_has_a_margin_different_texts_and_similar_lengths(texts, ratio, data):
    score = st.sampled_from([0.0, 0.1, 0.5, 0.9])
    rewards = data.draw(st.lists(score, min_size=len(texts), max_size=len(texts)))
    pair = choose_pair(texts, rewards, ratio)
    if isinstance(pair, str):
        assert pair in {"agree", "lengths"}
        return
    assert rewards[pair.chosen] == max(rewards)
    assert pair.margin == rewards[pair.chosen] - rewards[pair.rejected] > 0
    assert texts[pair.chosen] != texts[pair.rejected]
    short, long = sorted((len(texts[pair.chosen]), len(texts[pair.rejected])))
    assert long <= ratio * short


@given(st.lists(st.floats(0, 1), min_size=6, max_size=20, unique=True))
def test_of_many_samples_none_is_nearer_to_two_sigma_below_the_mean(rewards):
    texts = [f"text {number:02d}" for number in range(len(rewards))]
    pair = choose_pair(texts, rewards, 2.0)
    target = mean(rewards) - 2 * pstdev(rewards)
    worse = [value for value in rewards if value < max(rewards)]
    assert abs(rewards[pair.rejected] - target) == pytest.approx(min(abs(value - target) for value in worse))


def test_few_samples_reject_the_worst_many_the_one_near_two_sigma():
    assert choose_pair(["aa", "bb", "cc"], [0.1, 0.9, 0.5], 2.0) == Pair(
        chosen=1, rejected=0, margin=pytest.approx(0.8)
    )
    rewards = [0.9, 0.8, 0.8, 0.7, 0.7, 0.7, 0.6, 0.4, 0.0]
    pair = choose_pair([f"text {number}" for number in range(9)], rewards, 2.0)
    assert (pair.chosen, pair.rejected) == (0, 8 if abs(0.0 - 0.109) < abs(0.4 - 0.109) else 7)


def test_samples_that_agree_give_no_pair():
    assert choose_pair(["one", "two"], [0.5, 0.5], 2.0) == "agree"
    assert choose_pair(["same", "same"], [0.5, 0.4], 2.0) == "agree"
    assert choose_pair(["a very long answer indeed", "short"], [0.5, 0.4], 2.0) == "lengths"
