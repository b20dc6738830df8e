"""The order of reading: every example as often as asked, batches of equal lengths, the same for the same seed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import StageSettings
from tasks.train.order import epochs, reading_order


@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=60),
    batch=st.integers(1, 8),
    passes=st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    seed=st.integers(0, 9),
)
def test_every_pass_has_every_example_once(lengths: list[int], batch: int, passes: float, seed: int) -> None:
    order = reading_order(lengths, batch, passes, seed)
    count = max(round(len(lengths) * passes), 1)
    assert len(order) == count
    times = [order.count(index) for index in range(len(lengths))]
    assert max(times) - min(times) <= 1
    assert order == reading_order(lengths, batch, passes, seed)
    assert lengths[order[0]] == max(lengths[index] for index in order)


def test_batches_have_little_padding_and_come_in_no_order_of_length() -> None:
    lengths = [10 + (index * 7919) % 400 for index in range(1000)]
    order = reading_order(lengths, 4, 1, seed=1)
    assert sorted(order) == list(range(1000))
    batches = [[lengths[index] for index in order[start : start + 4]] for start in range(0, 1000, 4)]
    padded = sum(4 * max(batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)
    assert batches != sorted(batches)
    assert order != reading_order(lengths, 4, 1, seed=2)


@pytest.mark.parametrize(("rows", "passes"), [(10, 15), (100, 15), (316, 12.5), (1_000, 10), (3_162, 6), (99_999, 2)])
def test_auto_epochs_follow_the_size(rows: int, passes: float) -> None:
    assert epochs(StageSettings(num_train_epochs="auto"), rows, 3 * rows) == pytest.approx(passes, abs=0.1)
    assert epochs(StageSettings(num_train_epochs=3), rows, rows) == 3
    steps = StageSettings(num_train_epochs=3, max_steps=5, per_device_train_batch_size=2)
    assert epochs(steps, rows, rows) * rows == pytest.approx(10)
