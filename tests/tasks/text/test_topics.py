"""Topics: clusters that are there are found, and their words name them, with embeddings or without."""

import numpy as np
import polars as pl

from tasks.text.topics import clusters, keywords, unit, word_vectors

SUBJECTS = {
    "printer": [
        "the printer jams and prints blank paper",
        "new paper for the printer jams again",
        "printer ink is low",
    ],
    "invoice": [
        "my invoice shows a wrong payment",
        "refund the payment of this invoice",
        "payment of the invoice failed",
    ],
    "password": ["reset the password of my login", "login refuses my new password", "password and login forgotten"],
}
TEXTS = [
    f"{text} number {at}<PERSON_{at}>" for at in range(40) for texts in SUBJECTS.values() for text in texts
]  # fmt: skip
TRUTH = np.array([at for _ in range(40) for at in range(3) for _ in range(3)])


def test_topics_are_found_from_words_alone_and_named_by_their_words() -> None:
    texts = pl.Series(TEXTS)
    labels = clusters(word_vectors(texts, 1), 1)
    for cluster in np.unique(labels):
        truths = TRUTH[labels == cluster]
        assert (truths == np.bincount(truths).argmax()).mean() > 0.95
    words = keywords(texts, labels)
    found = {word for topic in words for word in topic}
    assert set(SUBJECTS) <= found
    assert not found & {"person", "the", "and"}


def test_the_largest_topic_is_the_first_and_the_same_seed_gives_the_same() -> None:
    vectors = word_vectors(pl.Series(TEXTS), 1)
    labels = clusters(vectors, 5)
    assert (np.diff(np.bincount(labels)) <= 0).all()
    assert (labels == clusters(vectors, 5)).all()


def test_one_topic_that_k_means_would_split_stays_one() -> None:
    around = np.eye(8)[0] + np.random.default_rng(1).normal(scale=0.05, size=(400, 8))
    assert clusters(unit(around), 1).max() == 0


def test_few_texts_are_one_topic_and_none_are_no_topic() -> None:
    for texts in ([], ["hello there"], ["hello there", "good day to you"]):
        labels = clusters(word_vectors(pl.Series(texts, dtype=pl.String), 1), 1)
        assert labels.tolist() == [0] * len(texts)
        assert len(keywords(pl.Series(texts, dtype=pl.String), labels)) == min(1, len(texts))


def test_chinese_texts_have_keywords_too() -> None:
    texts = pl.Series(["打印机没有墨水", "打印机不工作"] * 40 + ["忘记密码怎么办", "重置密码"] * 40)
    words = keywords(texts, np.array([0] * 80 + [1] * 80))
    assert "打印" in words[0]
    assert any("密码" in word for word in words[1])
