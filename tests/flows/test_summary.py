"""What the command prints: long things stay short."""

from flows.summary import LAST, shortened


def test_a_long_lineage_names_the_first_and_the_last() -> None:
    chain = [f"sft-{number}" for number in range(120)]
    assert shortened(chain) == ["sft-0", f"{120 - LAST - 1} more", "sft-117", "sft-118", "sft-119"]


def test_a_short_one_is_whole() -> None:
    for length in range(1, LAST + 3):
        chain = [f"sft-{number}" for number in range(length)]
        assert shortened(chain) == chain
