"""The number that an answer comes to, however it is written."""

import pytest

from tasks.text.results import result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is 5 + 3 = 8.", "8"),
        ("The answer is: 12 * 2 = 24", "24"),
        ("3 boxes and 4 boxes are 7.\n#### 1,007", "1007"),
        (r"So \boxed{0.50}", "1/2"),
        ("It is 07", "7"),
        ("minus nothing: -0", "0"),
        ("10.0/20 of them", "1/2"),
        ("3/0", "3"),
        ("There are 3 cats and 4 dogs", "4"),
        ("none", None),
    ],
)
def test_the_result_of_an_answer(text: str, expected: str | None) -> None:
    assert result(text) == expected


def test_a_result_that_must_be_named_or_all_there_is() -> None:
    assert result("There are 3 cats and 4 dogs", marked=True) is None
    assert result("42", marked=True) == "42"
    assert result("#### 42", marked=True) == "42"
