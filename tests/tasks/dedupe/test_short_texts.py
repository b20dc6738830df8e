"""Short prompts, in English and Chinese: which pairs are duplicates, and which only look alike."""

import polars as pl
import pytest

from configs.settings import DedupeSettings
from tasks.dedupe.compare import Rows, compare, pairs_across
from tasks.dedupe.entries import entries as make_entries
from tasks.dedupe.sign import sign

SAME = [
    # case, spacing, punctuation
    ("Hi", "hi!"),
    ("HELLO", "hello"),
    ("Thanks", "thanks."),
    ("2+3", "2 + 3"),
    ("2+3=?", "2 + 3 = "),
    ("What is 12*4", "what is 12 × 4?"),
    ("Tell me a joke", "tell me a joke!!"),
    ("Who wrote Hamlet?", "who wrote hamlet"),
    ("whats the time", "What's the time?"),
    ("Don't panic", "dont panic"),
    ("a well-known fact", "A well known fact."),
    ("iPhone15 price", "iPhone 15 price"),
    ("convert 10km to miles", "Convert 10 km to miles"),
    ("write 1,000 words", "Write 1000 words"),
    ("list 1,2,3", "List: 1, 2, 3"),
    ("C++ vs Rust", "c++ vs rust?"),
    ("ｈｅｌｌｏ　ｗｏｒｌｄ", "hello world"),
    ("“Quoted” text", '"quoted" text'),
    ("naïve café", "nai\u0308ve cafe\u0301"),
    ("STRASSE nach Köln", "Straße nach Köln"),
    ("line one\nline two", "Line one, line two"),
    ("great 👍", "Great 👍🏽!"),
    # stop words
    ("What is the capital of France?", "What is capital of France"),
    ("What is the capital of France?", "Please: what is the capital of France?"),
    ("What's the capital of France", "what is the capital of France"),
    ("Write a poem", "please write a poem"),
    ("Write a poem", "Could you write a poem?"),
    ("Write poem", "Write a poem, thank you"),
    ("Tell me a joke", "Tell a joke please"),
    ("Explain the theory of relativity", "explain theory of relativity"),
    ("How to boil an egg", "How do boil egg"),
    ("You do not need it", "you don't need it"),
    ("Hello, reset the password", "reset password"),
    # Chinese
    ("今天天气怎么样", "今天天气怎么样？"),
    ("今天 天气 怎么样", "今天天气怎么样"),
    ("你好", "你好！"),
    ("请写一首诗", "写一首诗。"),
    ("请问北京的人口是多少？", "北京人口多少"),
    ("帮我翻译这句话", "请翻译这句话"),
    ("2＋3等于几", "2+3等于几?"),
    ("您叫什么名字", "你叫什么名字？"),
    ("什么是机器学习呢", "什么是机器学习"),
    ("推荐一本书吧", "推荐一本书"),
    ("ＡＰＩ怎么用", "api 怎么用"),
    ("iPhone15多少钱", "iphone 15 多少钱？"),
    ("解释一下量子力学", "解释量子力学"),
    ("谢谢，写一封邮件", "写一封邮件"),
]

STORY = (
    "Write a long story about a {} that lives in a small town by the sea "
    "and dreams of flying over the hills at night with the owls"
)

DIFFERENT = [
    # number
    ("2+3", "4+7"),
    ("2+3", "2+4"),
    ("Count to 10", "Count to 100"),
    ("What is 3.5 percent", "What is 35 percent"),
    ("Meet at 10:30", "Meet at 10 30"),
    ("World War 1", "World War 2"),
    ("It is 5 degrees", "It is -5 degrees"),
    ("Python 2", "Python 3"),
    # operator
    ("2+3", "2-3"),
    ("2+3", "23"),
    ("6/3", "6*3"),
    ("a == b", "a != b"),
    ("x > 3", "x < 3"),
    ("C", "C++"),
    ("What is C?", "What is C#?"),
    ("$20", "€20"),
    ("20", "20%"),
    # content word
    ("Hi", "Hello"),
    ("Yes", "No"),
    ("Who wrote Hamlet?", "Who wrote Faust?"),
    ("What is my name?", "What is your name?"),
    ("Who are you?", "Who am I?"),
    ("Capital of France", "Capital of Spain"),
    ("Flights to Paris", "Flights from Paris"),
    ("cats and dogs", "cats or dogs"),
    ("Who is the president?", "Who was the president?"),
    ("Write a poem about love", "Write a song about love"),
    ("Coffee with sugar", "Coffee without sugar"),
    ("great 👍", "great 👎"),
    ("Sum up the article on climate change in one paragraph", "Sum up the article on climate change in a paragraph"),
    (STORY.format("cat"), STORY.format("dog")),
    # negation
    ("I like tea", "I do not like tea"),
    ("Is it safe", "Is it not safe"),
    ("You can go", "You can't go"),
    ("Should I sell", "Should I never sell"),
    # order
    ("dog bites man", "man bites dog"),
    ("from Paris to London", "from London to Paris"),
    ("Translate English to French", "Translate French to English"),
    ("10 - 4", "4 - 10"),
    # nothing but punctuation or stop words
    ("?", "!"),
    ("please", "thanks"),
    # Chinese
    ("狗咬人", "人咬狗"),
    ("我喜欢茶", "我不喜欢茶"),
    ("有没有时间", "有时间"),
    ("2+3等于几", "2+4等于几"),
    ("2+3等于几", "2-3等于几"),
    ("北京的人口", "上海的人口"),
    ("写一首诗", "写一首歌"),
    ("从北京到上海", "从上海到北京"),
    ("第三章讲什么", "第四章讲什么"),
    ("他是谁", "她是谁"),
    ("你是谁", "我是谁"),
    ("中译英", "英译中"),
]  # fmt: skip

TYPOS = [("Who wrote Hamlet?", "Who wrote Hamlett?"), ("今天天气怎么样", "今天天汽怎么样")]


def are_duplicates(one: str, other: str) -> bool:
    """Whether two texts are found to be duplicates, by the buckets and by the verification."""
    settings = DedupeSettings()
    a, b = (sign(pl.Series([text]), b"secret", purpose="test") for text in (one, other))
    x, y = Rows(a.meta, a.sketch_offsets, a.sketches), Rows(b.meta, b.sketch_offsets, b.sketches)
    row = pl.Series([0]).to_numpy()
    found = pairs_across(
        make_entries(a.keys, a.key_offsets, row),
        row,
        x,
        make_entries(b.keys, b.key_offsets, row),
        y,
        settings,
    )
    verified = bool(compare(row, row, x, y, settings)[1][0])
    assert bool(len(found.left)) == verified, "what is a duplicate must meet in a bucket"
    return verified


@pytest.mark.parametrize(("one", "other"), SAME)
def test_duplicates(one: str, other: str) -> None:
    assert are_duplicates(one, other)
    assert are_duplicates(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_no_duplicates(one: str, other: str) -> None:
    assert not are_duplicates(one, other)
    assert not are_duplicates(other, one)


@pytest.mark.parametrize(("one", "other"), TYPOS)
def test_a_typo_may_fall_either_way_but_the_same_both_ways(one: str, other: str) -> None:
    assert are_duplicates(one, other) == are_duplicates(other, one)


def test_there_are_enough_cases() -> None:
    assert len(SAME) + len(DIFFERENT) >= 60
    assert sum(any(ord(letter) > 0x2E80 for letter in one) for one, _ in SAME + DIFFERENT) >= 20
