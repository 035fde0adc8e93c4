"""Values for machines as people paste them: the one right value, or a refusal that says what is expected.

The second half is about any text at all. Its oracles know nothing of the patterns: they count the digits and letters
that are there, and none may be lost, added or put elsewhere.
"""

import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticKnownError

from app.fen import format_yuan
from app.fields import AlipayAccountIn, Compact, Digits, PhoneIn, TrackingNumberIn, YuanIn
from app.fields.accounts import read_email
from app.fields.amounts import read_yuan
from app.fields.codes import read_tracking_number
from app.fields.phones import Place, lacks_place, masked_phone, read_phone, read_phone_of_some_place

PHONE_EXPECTED: Final = "须为手机号码或带区号的固定电话,如 13800138000;香港、澳门、台湾号码请带区号,如 +852 9876 5432"
MOBILE_EXPECTED: Final = "须为手机号码,如 13800138000;香港、澳门、台湾号码请带区号,如 +852 9876 5432"
NUMBER_EXPECTED: Final = "须为一个运单号:5 至 40 位字母和数字,如 SF1020304050607"
AMOUNT_EXPECTED: Final = "金额须为不超过两位小数的数字"
ACCOUNT_EXPECTED: Final = "须为支付宝账号:手机号码(如 13800138000)或邮箱"
EMAIL_EXPECTED: Final = "须为邮箱地址,如 name@example.com"

read_code = Digits(6).read
read_one_time_code = Digits(8, 12).read
read_captcha: Callable[[object], str] = TypeAdapter(Annotated[str, Compact(1, 16)]).validate_python
read_account: Callable[[object], str] = TypeAdapter(AlipayAccountIn).validate_python


def reason(read: Callable[[Any], object], value: object) -> str:
    """Why `value` is refused."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is returned
        read(value)
    error = caught.value
    return str(error.errors()[0]["ctx"]["error"]) if isinstance(error, ValidationError) else str(error)


PHONES = {
    "13800138000": [
        *("+86 138 0013 8000", "+8613800138000", "86 13800138000", "0086-138-0013-8000", "(+86) 138.0013.8000"),
        *("138-0013-8000", "138 0013 8000", "138\u00a00013\u00a08000", "138\u30000013\u30008000", " 13800138000\r\n"),
        *("138\u20100013\u20118000", "138\u20130013\u20148000", "138\u22120013\uff0d8000", "138\ufe630013\u30fc8000"),
        *("\u202d138 0013 8000\u202c", "\u206813800138000\u2069", "\u200e+86 138 0013 8000\u200f", "\ufeff13800138000"),
        *(
            "１３８００１３８０００",
            "＋８６　１３８００１３８０００",
            "138\u200b0013\u200b8000",
            "138\u00ad0013\u00ad8000",
        ),
        *("013800138000", "+86 (0)138 0013 8000", "tel:+86-138-0013-8000", "٠١٣٨٠٠١٣٨٠٠٠", "1 3 8 0 0 1 3 8 0 0 0"),
        *(
            "138·0013·8000",
            "138•0013‧8000",
            "138・0013･8000",
            "138_0013_8000",
            "\ufffc13800138000",
            "13800138000\u2800",
        ),
    ],
    "+85298765432": [
        "+852 9876 5432",
        "00852 98765432",
        "852-9876-5432",
        "（＋８５２）９８７６５４３２",
        "+85298765432\n",
    ],
    "+85366123456": ["+853 6612 3456", "853 66123456"],
    "+886912345678": ["+886 912 345 678", "+886 0912-345-678", "+886 (0)912 345 678", "00886912345678", "886912345678"],
    "+861062345678": ["010-62345678", "010 6234 5678", "(010) 62345678", "+86 10 6234 5678", "+86 (0)10-62345678"],
    "+8675582345678": ["0755-82345678", "075582345678", "０７５５－８２３４５６７８"],
}
NO_PHONES = [
    *("", " ", "\u200b", "1380013800", "138001380000", "12800138000", "+8613800138", "+86 12800138000", "95588"),
    *("13800138000 13900139000", "13800138000/13900139000", "138001380OO", "１３８００１３８００①", "①3800138000"),
    *("+852 1234 5678", "98765432", "0912345678", "+1 650 253 0000", "+44 20 7946 0958", "400-800-8888", "62345678"),
    *(
        "010-62345678-801",
        "010-62345678转801",
        "0755-8234567-8",
        "+86 12138 22956713",
        "+86 17951 13800138000",
        "17951 13800138000",
    ),
    *(
        "++8613800138000",
        "+-13800138000",
        "一三八零零一三八零零零",
        "电话13800138000",
        "138O0138000",
        "1" * 64,
        "1" * 10_000,
    ),
]


@pytest.mark.parametrize(("number", "pasted"), PHONES.items())
def test_phones(number: str, pasted: list[str]) -> None:
    for text in [*pasted, number]:
        assert read_phone(text) == number, ascii(text)
    assert TypeAdapter(PhoneIn).validate_python(pasted[0]) == number


def test_what_is_no_phone_is_refused_with_what_is_expected() -> None:
    for text in NO_PHONES:
        assert reason(read_phone, text) == PHONE_EXPECTED, ascii(text)
    for value in (13800138000, None, True, ["13800138000"]):
        with pytest.raises(PydanticKnownError, match="valid string"):
            read_phone(value)


def test_a_number_without_a_code_is_of_the_place_that_is_known() -> None:
    table = {
        (Place.HONG_KONG, "9876 5432"): "+85298765432",
        (Place.HONG_KONG, "6612 3456"): "+85266123456",
        (Place.MACAU, "6612 3456"): "+85366123456",
        (Place.TAIWAN, "0912-345-678"): "+886912345678",
        (Place.TAIWAN, "(02) 2345-6789"): "+886223456789",
        (Place.HONG_KONG, "13800138000"): "13800138000",  # of the mainland, living there
        (Place.TAIWAN, "+852 9876 5432"): "+85298765432",
        (Place.HONG_KONG, "010-62345678"): "+861062345678",
    }
    for (place, text), number in table.items():
        assert read_phone(text, place=place) == number
    for place, text in ((Place.MACAU, "98765432"), (Place.HONG_KONG, "0912345678"), (Place.TAIWAN, "98765432")):
        assert reason(partial(read_phone, place=place), text) == PHONE_EXPECTED


def test_where_the_place_is_not_known_yet_the_digits_wait_for_it() -> None:
    assert read_phone_of_some_place("+86 138 0013 8000") == "13800138000"
    assert not lacks_place("13800138000")
    assert not lacks_place("+85298765432")
    assert read_phone_of_some_place("9876 5432") == "98765432"
    assert lacks_place("98765432")
    assert read_phone("98765432", place=Place.HONG_KONG) == "+85298765432"
    assert reason(read_phone_of_some_place, "12345678") == PHONE_EXPECTED
    # In Yilan or in Xingtai: the place decides, and does not where it is Taiwan.
    assert read_phone_of_some_place("03-9295685") == "039295685"
    assert lacks_place("039295685")
    assert read_phone("039295685") == "+8639295685"
    assert reason(partial(read_phone, place=Place.TAIWAN), "039295685") == PHONE_EXPECTED


def test_text_messages_go_to_mobile_phones() -> None:
    read = partial(read_phone, mobile=True)
    assert [read(text) for text in ("138 0013 8000", "+852 9876 5432", "+886 912 345 678", "+853 6612 3456")] == [
        *("13800138000", "+85298765432", "+886912345678", "+85366123456")
    ]
    for landline in ("010-62345678", "+852 2123 4567", "+886 2 2345 6789"):
        assert reason(read, landline) == MOBILE_EXPECTED


def test_masked_numbers_show_where_they_are_and_how_they_end() -> None:
    table = {
        "13800138000": "138****8000",
        "+85298765432": "+852****5432",
        "+886912345678": "+886****5678",
        "+861062345678": "+86****5678",
        "": "****",
    }
    assert {number: masked_phone(number) for number in table} == table


NUMBERS = {
    "SF1234567890123": [
        *("SF1234567890123\n", " SF 1234 5678 9012 3 ", "ＳＦ１２３４５６７８９０１２３", "sf1234567890123"),
        *("SF12345678\u200b90123", "\ufeffSF1234567890123", "SF\u00a01234567890123", "\u202dSF1234567890123\u202c"),
        *("SF-1234-5678-9012-3", "SF—1234–5678‐9012−3", "SF\u30001234\u30005678\u30009012\u30003", "SF123456 7890123"),
    ],
    "773012345678901": ["7730 1234 5678 901", "773-012-345-678-901", "７７３０１２３４５６７８９０１"],
    "JDVA00012345678-1-1-": ["JDVA00012345678-1-1-", "jdva00012345678－１－１－", "JDVA00012345678 - 1 - 1 -"],
    "JDVA00012345678-12": ["JDVA00012345678-12", "JDVA0001 2345 678-12"],
    "EA123456789CN": ["EA 123 456 789 CN", "EA 123456789 CN", "ea123456789cn"],
    "1Z999AA10123456784": ["1Z 999 AA1 01 2345 6784", "1z999aa10123456784", "1Z-999-AA1-01-2345-6784"],
    "DPK364123456789": ["DPK 3641 2345 6789", "DPK 364123456789"],
    "JDVE01234567890": ["JDVE 0123 4567 890"],
    "12345": ["12345", "12345\t", "12345\u2800"],
}
NO_NUMBERS = [
    *(
        "",
        "1234",
        "ABCDE",
        "-----",
        "1" * 41,
        "SF1234567890123 SF1234567890124",
        "SF1234567890123\nSF1234567890124",
        "1234567\n7654321",
        "JD0123456789012 1-1",
    ),
    *(
        "SF1234567890123 2",
        "SF1234567890123-2",
        "12 SF1234567890123",
        "顺丰SF1234567890123",
        "SF1234567890123,",
        "12345678-1",
    ),
    *(
        "YT1234567890-1-1",
        "JD-0123-4567-8901",
        "SF①234567890",
        "ß1234567",
        "SF1234567890123/4",
        "SF1234_5678",
        "1" * 10_000,
    ),
    # The name of a carrier beside the number, or another number.
    *("EMS EA123456789CN", "UPS 1Z999AA10123456784", "DHL 1234567890", "DHL 12345678", "ZTO 7530 1234 5678 90"),
    *("STO-773012345678901", "YTO YT8765432109876", "SF SF1234567890123", "SF12345 YT67890", "SF1234 5678 YT90"),
    *(
        "SF12345 67890123 1",
        "12345678 90123456 2",
        "EA123456789CN 1",
        "EA 1234567890 CN",
        "-12345-12345-1",
        "JD SF12345-1-1",
    ),
]


@pytest.mark.parametrize(("number", "pasted"), NUMBERS.items())
def test_tracking_numbers(number: str, pasted: list[str]) -> None:
    for text in [*pasted, number]:
        assert read_tracking_number(text) == number, ascii(text)
    assert TypeAdapter(TrackingNumberIn).validate_python(pasted[0]) == number


def test_what_is_no_tracking_number_is_refused_with_what_is_expected() -> None:
    for text in NO_NUMBERS:
        assert reason(read_tracking_number, text) == NUMBER_EXPECTED, ascii(text)


CODES = {
    "012345": [
        *("012345", " 012 345\n", "０１２３４５", "012-345", "0\u200b12345", "\u202d012345\u202c", "0 1 2 3 4 5"),
    ],
    "12345678": ["1234 5678", "12345678"],
    "123456789012": ["1234-5678-9012"],
}


def test_codes() -> None:
    for text in CODES["012345"]:
        assert read_code(text) == "012345", ascii(text)
    for text in ("", "12345", "0123456", "01234a", "012345 6", "012345 012345", "①12345", "零一二三四五", "0" * 1000):
        assert reason(read_code, text) == "须为 6 位数字", ascii(text)
    assert [read_one_time_code(text) for text in ("1234 5678", "1234-5678-9012")] == ["12345678", "123456789012"]
    for text in ("12345678 9012", "1234567", "123456789", "1234567890123"):
        assert reason(read_one_time_code, text) == "须为 8 或 12 位数字"
    for text in ("ACDEF", " ＡＣＤＥＦ ", "A C D E F", "AC\u200bDEF\n"):
        assert read_captcha(text) == "ACDEF"


AMOUNTS = {
    1250: [
        "12.5",
        " 12.5 ",
        "12.50",
        "１２．５",
        "￥12.5",
        "¥ 12.50",
        "12.5元",
        "12.50 元",
        "12。5",
        "RMB 12.5",
        "人民币 12.5元",
        "12.5块",
        "12｡5圓",
        "12.5\n",
    ],
    564250: [
        "5642.5",
        "￥5642.5",
        "5,642.50",
        "￥ ５，６４２．５０",
        "¥5,642.5元",
        "\u202d5642.50\u202c",
        "5642\u200b.5",
    ],
    123456789: ["1234567.89", "1,234,567.89"],
    100: ["1", "1元", "001", "1.0"],
    0: ["0", "0.00", "￥0"],
}
NO_AMOUNTS = [
    *(
        "",
        "元",
        "￥",
        "-1",
        "+1",
        "1e3",
        "1.234",
        "12.",
        ".5",
        "1,23",
        "12,50",
        "1.234,50",
        "0,123",
        "12,34,567",
        "1,2345",
    ),
    *(
        "1 234",
        "12 5",
        "12.5-15",
        "12.5/15",
        "1万",
        "1.5k",
        "$12",
        "€12",
        "港币12",
        "12块5",
        "①2",
        "½",
        "十二",
        "NaN",
        "inf",
        "0x10",
    ),
    *("12.5元起", "约12元", "1_000", "1" * 13, "1" * 100),
]


@pytest.mark.parametrize(("fen", "pasted"), AMOUNTS.items())
def test_amounts(fen: int, pasted: list[str]) -> None:
    for text in [*pasted, format_yuan(fen)]:
        assert read_yuan(text) == fen, ascii(text)
        assert TypeAdapter(YuanIn).validate_python(text) == fen


def test_what_is_no_amount_is_refused_with_what_is_expected() -> None:
    for text in NO_AMOUNTS:
        assert reason(read_yuan, text) == AMOUNT_EXPECTED, ascii(text)
    assert [read_yuan(number) for number in (12, 12.5, 0.1, 5642.5)] == [1200, 1250, 10, 564250]
    for number in (1e16, -1, 0.001, float("nan"), float("inf"), 1e-7):
        assert reason(read_yuan, number) == AMOUNT_EXPECTED
    assert reason(read_yuan, True) == reason(read_yuan, None) == reason(read_yuan, ["1"]) == "金额格式不正确"
    assert reason(read_yuan, "10000000") == "金额不能超过 9999999.99 元"
    assert reason(partial(read_yuan, minimum=1), "0") == "金额须大于 0"


def test_accounts_and_addresses() -> None:
    for text in (
        "a.b@qq.com",
        " a.b@QQ.com\n",
        "ａ．ｂ＠ｑｑ．ｃｏｍ",
        "a.b @ qq.com",
        "mailto:a.b@qq.com",
        "a.b@qq。com",
        "MAILTO:a.b@qq｡com",
    ):
        assert read_email(text) == "a.b@qq.com", ascii(text)
        assert read_account(text) == "a.b@qq.com"
    assert read_email("User@Example.com") == "User@example.com"
    for text in (
        "",
        "a@b",
        "a b@qq.com",
        "a@qq.\u212aom",
        "a@b@qq.com",
        "a..b@qq.com",
        "名@qq.com",
        "a@-b.com",
        "a" * 600,
    ):
        assert reason(read_email, text) == EMAIL_EXPECTED, ascii(text)
    for text in PHONES["13800138000"]:
        assert read_account(text) == "13800138000"
    for text in ("", "zhangsan", "+852 9876 5432", "010-62345678", "a b@qq.com", "1380013800", "!@qq.com"):
        assert reason(read_account, text) == ACCOUNT_EXPECTED, ascii(text)


# --- any text ---

CODES_BEFORE: Final = {Place.MAINLAND: "86", Place.HONG_KONG: "852", Place.MACAU: "853", Place.TAIWAN: "886"}
_LONG_NUMBERS: Final = [number for number in NUMBERS if len(number) > 8]

_NOISE: Final = (
    " \t\n\r\u00a0\u3000\u2009\u200b\u200e\u200f\u202a\u202c\u202d\u202e\u2066\u2069\ufeff\u00ad\ufe0f-‐‑–—−－.()"
)
_ALPHABET: Final = st.one_of(
    st.sampled_from("0123456789"),
    st.sampled_from("0123456789０１２３４５６７８９٣߃𝟗①²½〇一"),
    st.sampled_from(_NOISE + "+＋,，。．￥¥元SFJDsfjdßſKＡ@/_"),
    st.characters(),
)
_EXAMPLES: Final = settings(max_examples=150)


@st.composite
def texts_like(draw: st.DrawFn, *tables: dict[Any, list[str]]) -> str:
    """Any text; mostly what is pasted for a value of the tables, or two of them, with a few characters changed."""
    values = st.sampled_from([text for table in tables for pasted in table.values() for text in pasted])
    text = draw(st.text(_ALPHABET, max_size=24)) if draw(st.integers(0, 4)) == 0 else draw(values)
    if draw(st.integers(0, 9)) == 0:
        text += draw(st.text(_NOISE, max_size=2)) + draw(values)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(_ALPHABET, max_size=1)) + text[at + draw(st.integers(0, 1)) :]
    return text


def digits_of(text: str) -> str:
    """Every digit that is there, of whatever script."""
    return "".join(str(digit) for each in text if (digit := unicodedata.decimal(each, None)) is not None)


@st.composite
def pasted(draw: st.DrawFn, value: str, noise: str) -> str:
    """`value` with noise between its characters, some of them full-width."""
    wide = draw(st.booleans())
    parts = [draw(st.text(noise, max_size=2))]
    for character in value:
        parts.append(chr(ord(character) + 0xFEE0) if wide else character)
        parts.append(draw(st.text(noise, max_size=1)))
    return "".join(parts)


@_EXAMPLES
@given(st.data(), st.from_regex("1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "+86", "0086", "86", "0"]))
def test_a_phone_is_read_whatever_it_is_pasted_with(data: st.DataObject, number: str, prefix: str) -> None:
    text = data.draw(pasted(prefix + number, _NOISE))
    if len(text) <= 64:
        assert read_phone(text) == number


@_EXAMPLES
@given(texts_like(PHONES), st.sampled_from(Place))
def test_no_text_becomes_another_phone(text: str, place: Place) -> None:
    try:
        number = read_phone(text, place=place)
    except ValueError:
        return
    home, code = next(
        ((home, code) for home, code in CODES_BEFORE.items() if number.startswith(f"+{code}")), (Place.MAINLAND, "86")
    )
    national = number.removeprefix(f"+{code}")
    before = {"", "0"} if home in (place, Place.MAINLAND) else set()
    before |= {f"{abroad}{code}{area}" for abroad in ("", "00") for area in ("", "0")}
    assert digits_of(text) in {f"{each}{national}" for each in before}
    assert read_phone(number) == number


@_EXAMPLES
@given(st.data(), st.from_regex("[0-9]{6}", fullmatch=True))
def test_a_code_is_read_whatever_it_is_pasted_with(data: st.DataObject, code: str) -> None:
    text = data.draw(pasted(code, _NOISE.replace(".", "").replace("(", "").replace(")", "")))
    assert read_code(text) == code
    assert read_code(code) == code


@_EXAMPLES
@given(texts_like(CODES))
def test_no_text_becomes_another_code(text: str) -> None:
    for read in (read_code, read_one_time_code):
        try:
            code = read(text)
        except ValueError:
            continue
        assert code == digits_of(text)
        assert read(code) == code


@_EXAMPLES
@given(texts_like(NUMBERS))
def test_no_text_becomes_another_tracking_number(text: str) -> None:
    try:
        number = read_tracking_number(text)
    except ValueError:
        return
    # No letter and no digit is lost or added.
    letters = "".join(each for each in unicodedata.normalize("NFKC", text) if each.isalnum())
    assert number.replace("-", "") == letters.upper()
    assert read_tracking_number(number) == number


@_EXAMPLES
@given(
    st.sampled_from(_LONG_NUMBERS),
    st.sampled_from(["EMS", "UPS", "ZTO", "YTO", "1", "2", "12", "No", "顺丰", *_LONG_NUMBERS]),
    st.sampled_from([" ", "-", "\u3000", "\n", " - "]),
    st.booleans(),
)
def test_what_stands_beside_a_tracking_number_is_no_part_of_it(
    number: str, beside: str, between: str, before: bool
) -> None:
    text = f"{beside}{between}{number}" if before else f"{number}{between}{beside}"
    if not (number.startswith("JD") and not before and "-" in between):  # JD's count of parcels
        assert reason(read_tracking_number, text) == NUMBER_EXPECTED, ascii(text)


@_EXAMPLES
@given(
    st.data(),
    st.from_regex(r"(SF|YT|ZT)[0-9]{12,13}|[0-9]{12,15}", fullmatch=True),
    st.sampled_from([" ", "\u00a0", "-", "–", "\u3000"]),
)
def test_a_tracking_number_in_groups_is_read(data: st.DataObject, number: str, between: str) -> None:
    size = data.draw(st.integers(3, 5))
    letters = number[:2] if number[0].isalpha() else ""
    digits = number.removeprefix(letters)
    groups = [letters] * bool(letters) + [digits[start : start + size] for start in range(0, len(digits), size)]
    assert read_tracking_number(between.join(groups)) == number
    assert read_tracking_number(f"\ufeff{number}\r\n") == number


@_EXAMPLES
@given(texts_like(AMOUNTS))
def test_no_text_becomes_another_amount(text: str) -> None:
    try:
        fen = read_yuan(text)
    except ValueError:
        return
    _, point, fraction = text.translate(dict.fromkeys(map(ord, "．。｡﹒"), ".")).rpartition(".")
    places = len(digits_of(fraction)) if point else 0
    assert fen * 10**places == int(digits_of(text)) * 100
    assert read_yuan(format_yuan(fen)) == fen


@_EXAMPLES
@given(
    st.integers(0, 999_999_999),
    st.sampled_from(["{}", "￥{}", "¥ {}", "{}元", "{} 元", "\u202d{}\u202c", "{}\n", "\ufeff{}"]),
    st.booleans(),
)
def test_an_amount_is_read_whatever_it_is_pasted_with(fen: int, form: str, thousands: bool) -> None:
    text = f"{fen // 100:,}.{fen % 100:02d}" if thousands else format_yuan(fen)
    for spelled in (text, text.translate({ord(each): ord(each) + 0xFEE0 for each in "0123456789.,"})):
        assert read_yuan(form.format(spelled)) == fen


@_EXAMPLES
@given(st.text(st.one_of(st.sampled_from("abAB19._%+-@＠。．qｑ \u200b"), st.characters()), max_size=24))
def test_reading_an_account_again_changes_nothing(text: str) -> None:
    for read in (read_email, read_account, read_captcha):
        try:
            kept = read(text)
        except ValueError:
            continue
        assert read(kept) == kept
