"""Axes: which values are marked, how they are written, where they lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fen import MAX_FEN
from app.listings.axis import axis_over, short_yuan

ACROSS = (64, 440)


@pytest.mark.parametrize(
    ("low", "high", "unit", "labels"),
    [
        (284000, 377200, "元", ["3,000", "3,200", "3,400", "3,600"]),
        (100, 399, "元", ["1", "2", "3"]),
        (31, 64, "元", ["0.40", "0.50", "0.60"]),
        (51000, 203000, "元", ["1,000", "1,500", "2,000"]),
        (600_000_00, 1_200_000_00, "万元", ["60", "80", "100", "120"]),
        (100_000_00, 102_500_00, "万元", ["10.00", "10.05", "10.10", "10.15", "10.20", "10.25"]),
        (29900, 29900, "元", ["298", "300"]),
        (0, 0, "元", ["0.00", "0.01"]),
        (99_999_00, 99_999_00, "万元", ["9.90", "9.95", "10.00", "10.05"]),
        (MAX_FEN, MAX_FEN, "万元", ["990", "995", "1,000", "1,005"]),
    ],
)
def test_marks_are_round_and_few(low: int, high: int, unit: str, labels: list[str]) -> None:
    axis = axis_over(low, high, ACROSS)
    assert (axis.unit, [axis.label(tick) for tick in axis.ticks]) == (unit, labels)


def test_an_axis_that_begins_and_ends_at_marks() -> None:
    axis = axis_over(317000, 331000, (526, 432), ticks=4, min_span=331000 // 4, ends_at_ticks=True)
    assert (axis.low, axis.high, list(axis.ticks)) == (250000, 400000, [250000, 300000, 350000, 400000])
    assert [axis.at(tick) for tick in (250000, 325000, 400000)] == [526, 479, 432]
    counts = axis_over(0, 22, (332, 214), ticks=4, ends_at_ticks=True)
    assert list(counts.ticks) == [0, 10, 20, 30]
    assert list(axis_over(0, 1, (332, 214), ticks=4, ends_at_ticks=True).ticks) == [0, 1, 2]


@given(st.integers(0, MAX_FEN), st.integers(0, MAX_FEN), st.booleans())
def test_any_axis(first: int, second: int, ends_at_ticks: bool) -> None:
    low, high = sorted((first, second))
    axis = axis_over(low, high, ACROSS, ends_at_ticks=ends_at_ticks)
    assert 0 <= axis.low <= low <= high <= axis.high
    assert axis.low < axis.high
    assert 64 <= axis.at(low) <= axis.at(high) <= 440
    assert axis.step in {digit * 10**power for digit in (1, 2, 5) for power in range(10)}
    labels = [axis.label(tick) for tick in axis.ticks]
    assert 2 <= len(labels) <= 7
    assert len(set(labels)) == len(labels)
    assert max(map(len, labels)) <= 7
    unit = {"元": 100, "万元": 1_000_000}[axis.unit]
    assert [round(float(label.replace(",", "")) * unit) for label in labels] == list(axis.ticks)


@pytest.mark.parametrize(
    ("fen", "said"),
    [
        (0, "0"),
        (1, "0.01"),
        (995, "9.95"),
        (990, "9.9"),
        (1000, "10"),
        (9999, "99.99"),
        (10049, "100"),
        (10050, "101"),
        (325050, "3,251"),
        (99_999_49, "99,999"),
        (99_999_99, "100,000"),
        (100_000_00, "10万"),
        (123_456_700, "123.46万"),
        (120_000_000, "120万"),
        (MAX_FEN, "1,000万"),
    ],
)
def test_amounts_as_people_say_them(fen: int, said: str) -> None:
    assert short_yuan(fen) == said
