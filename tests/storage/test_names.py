"""Names in records that cannot be read: found whatever stands around them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.names import LONGEST, values


@given(st.text(min_size=1, max_size=16), st.text(max_size=300), st.booleans())
def test_a_name_is_found_in_a_record_of_json(name: str, said: str, ascii_only: bool) -> None:
    assert name in values(json.dumps({"messages": [said * 3], "user": name}, ensure_ascii=ascii_only))


@pytest.mark.parametrize(
    "record",
    [
        '{"user": "auth0|5f7c", "messages": [',
        'llo, how are you?"}], "user": "auth0|5f7c"}',
        '{"messages": ["' + "a long text " * 50 + '"], "user": "auth0|5f7c"}',
    ],
)
def test_a_broken_record_hides_no_name(record: str) -> None:
    assert "auth0|5f7c" in values(record)


def test_words_outside_quotes_may_be_names_and_long_texts_are_none() -> None:
    text = "x" * (LONGEST + 1)
    assert values(f'ann@example.com,3,"{text}"') >= {"ann@example.com", "3"}
    assert text not in values(f'"{text}"')
