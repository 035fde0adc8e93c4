"""Price texts, and the price in fen that is read from each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xianyu.items import PriceStatus
from xianyu.prices import MAX_FEN, read_price


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("¥5642.50", 564_250),
        ("￥5642.5", 564_250),
        ("5642", 564_200),
        ("0.01", 1),
        ("¥ 5642 .50", 564_250),
        ("当前价¥2,999", 299_900),
        ("当前价：￥２，９９９．９０", 299_990),
        ("1,234,567.8", 123_456_780),
        ("１２３", 12_300),
        ("1.2万", 1_200_000),
        ("¥1.23456万", 1_234_560),
        ("0.000001万", 1),
        ("3万元", 3_000_000),
        ("3.5千", 350_000),
        ("¥2千元", 200_000),
        ("0.00001千", 1),
        ("起拍价¥1", 100),
        ("88元", 8_800),
        ("999999999.99", MAX_FEN),
    ],
)
def test_a_price(text: str, fen: int) -> None:
    assert read_price(text) == (fen, PriceStatus.OK)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", PriceStatus.MISSING),
        (" \t", PriceStatus.MISSING),
        ("￥", PriceStatus.MISSING),
        ("¥", PriceStatus.MISSING),
        ("面议", PriceStatus.NEGOTIABLE),
        ("¥面议", PriceStatus.NEGOTIABLE),
        ("价格 面议", PriceStatus.NEGOTIABLE),
        ("0", PriceStatus.ZERO),
        ("¥0.00", PriceStatus.ZERO),
        ("0万", PriceStatus.ZERO),
        ("999999999999999", PriceStatus.UNREADABLE),
        ("1000000000", PriceStatus.UNREADABLE),
        ("-5", PriceStatus.UNREADABLE),
        ("1.234", PriceStatus.UNREADABLE),
        ("1.500", PriceStatus.UNREADABLE),
        ("1.2345678万", PriceStatus.UNREADABLE),
        ("1.234567千", PriceStatus.UNREADABLE),
        ("1,23", PriceStatus.UNREADABLE),
        ("12,34", PriceStatus.UNREADABLE),
        ("1234,567", PriceStatus.UNREADABLE),
        ("100-200", PriceStatus.UNREADABLE),
        ("100 200", PriceStatus.UNREADABLE),
        ("100~200", PriceStatus.UNREADABLE),
        ("¥50/天", PriceStatus.UNREADABLE),
        ("100起", PriceStatus.UNREADABLE),
        (".50", PriceStatus.UNREADABLE),
        ("5.", PriceStatus.UNREADABLE),
        ("1e5", PriceStatus.UNREADABLE),
        ("٣٤", PriceStatus.UNREADABLE),
        ("五百", PriceStatus.UNREADABLE),
        ("¥¥5", PriceStatus.UNREADABLE),
        ("5\n6", PriceStatus.UNREADABLE),
    ],
)
def test_no_price(text: str, status: PriceStatus) -> None:
    assert read_price(text) == (None, status)


@given(fen=st.integers(1, MAX_FEN), sign=st.sampled_from(["", "¥", "￥", "当前价¥"]), commas=st.booleans())
def test_every_amount_is_read_back(fen: int, sign: str, commas: bool) -> None:
    yuan = f"{fen // 100:,}" if commas else str(fen // 100)

    assert read_price(f"{sign}{yuan}.{fen % 100:02}") == (fen, PriceStatus.OK)


@given(st.text(alphabet=st.sampled_from("0123456789.,，．¥￥万元-~ 面议当前价起/１２a\n")) | st.text())
def test_any_text_is_a_whole_number_of_fen_or_says_why_not(text: str) -> None:
    fen, status = read_price(text)

    assert (status is PriceStatus.OK) == (fen is not None)
    if fen is not None:
        assert type(fen) is int
        assert 0 < fen <= MAX_FEN
