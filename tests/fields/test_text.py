"""Texts for people, and whole numbers."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.fields import MAX_BIGINT, CleanText, IdIn, PersonNameIn, Whole

LINE: TypeAdapter[str] = TypeAdapter(Annotated[str, CleanText(1, 10)])
LINES: TypeAdapter[str] = TypeAdapter(Annotated[str, CleanText(0, 10, multiline=True)])
NAME: TypeAdapter[str] = TypeAdapter(PersonNameIn)
INT: TypeAdapter[int] = TypeAdapter(Annotated[int, Whole()])
ID: TypeAdapter[int] = TypeAdapter(IdIn)
DIGIT: TypeAdapter[int] = TypeAdapter(Annotated[int, Whole(1, 9)])


def refusal(adapter: TypeAdapter[object], value: object) -> tuple[str, str]:
    """The type and text of the one error that `value` makes."""
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    [error] = caught.value.errors()
    return error["type"], error["msg"]


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("咸鱼", "咸鱼"),
        ("  trimmed\t\n", "trimmed"),
        ("\u3000全角\u3000", "全角"),
        ("cafe\u0301", "caf\u00e9"),
        ("🐟👨\u200d👩\u200d👧", "🐟👨\u200d👩\u200d👧"),
        ("e\u0301" * 10, "\u00e9" * 10),
        ("Ａ１", "Ａ１"),
        ("<b>'\"", "<b>'\""),
        ("\u2800a\u2800b\u2800", "a b"),
        ("שלום", "שלום"),
    ],
)
def test_texts_that_are_kept(given_text: str, kept: str) -> None:
    assert LINE.validate_python(given_text) == kept
    assert LINES.validate_python(given_text) == kept


@pytest.mark.parametrize(
    "character", ["\x00", "\x08", "\x0e", "\x1b", "\x1f", "\x7f", "\x84", "\x86", "\x9f", "\ud800"]
)
@pytest.mark.parametrize("text", ["a{}b", "{}ab", "ab{}", "{}"])
def test_controls_and_lone_surrogates_are_refused(character: str, text: str) -> None:
    for adapter in (LINE, LINES):
        assert refusal(adapter, text.format(character)) == ("value_error", "Value error, 含有不允许的字符")


INVISIBLE = [
    *"\u200b\u200c\u200d\u200e\u200f\u061c\u2060\u2064\ufeff\u00ad\u034f\u115f\u3164\uffa0\u180e\ufe0e\ufe0f\ufff9\ufffc",
    *("\U000e0001", "\U000e0041", "\U000e007f", "\U000e0100", "\U0001d173"),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
]


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda character: f"U+{ord(character):04X}")
def test_what_nobody_sees_is_taken_out(character: str) -> None:
    for text in ("二{}手", "{}二手", "二手{}", "{0}二{0}{0}手{0}"):
        for adapter in (LINE, LINES):
            assert adapter.validate_python(text.format(character)) == "二手"


@pytest.mark.parametrize(
    "text",
    [
        "👨\u200d👩\u200d👧",  # a family
        "🧑🏽\u200d🌾",  # a farmer with a skin
        "🏳\ufe0f\u200d🌈",
        "❤\ufe0f ©\ufe0e",
        "1\ufe0f\u20e3#\ufe0f\u20e3",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland
        "ᠨ\u180bᠠ\u180eᠠ",  # Mongolian: which form a letter has
    ],
)
def test_what_makes_one_emoji_or_letter_of_several_characters_stays(text: str) -> None:
    whole: TypeAdapter[str] = TypeAdapter(Annotated[str, CleanText(1, 60)])
    assert whole.validate_python(text) == text
    assert whole.validate_python(f"\u200b{text}\u200d") == text


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("1\ufe0f", "1"),  # no key
        ("🐟\u200d", "🐟"),
        ("🐟\u200d鱼", "🐟鱼"),
        ("鱼\ufe0f\u200d🐟", "鱼🐟"),
        ("🐟\ufe0f\ufe0f", "🐟\ufe0f"),
        ("🏴\U000e0067\U000e0062", "🏴"),  # a flag without its end
        ("e\u200b\u0301", "\u00e9"),  # what stood between is gone before the accent joins
    ],
)
def test_what_belongs_to_no_emoji_is_taken_out(given_text: str, kept: str) -> None:
    assert LINE.validate_python(given_text) == kept


@pytest.mark.parametrize(
    "line_end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\t", " \t\n ", "\n\n"]
)
def test_line_ends_and_tabs_are_a_blank_in_a_line(line_end: str) -> None:
    assert LINE.validate_python(f"{line_end}a{line_end}b{line_end}") == "a b"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_line_ends_are_one_kind_in_lines(line_end: str) -> None:
    assert LINES.validate_python(f"a{line_end}b{line_end}{line_end}c\td") == "a\nb\n\nc\td"


@pytest.mark.parametrize(
    "blank", ["", " ", "\u3000", "\u200b\u200b", "\ufeff", "\u2060", "\u3164", "\u2800", "\u0301", "\n"]
)
def test_a_required_text_must_show_something(blank: str) -> None:
    assert refusal(LINE, blank) == ("value_error", "Value error, 不能为空")
    assert LINES.validate_python("") == ""


def test_the_length_is_that_of_the_kept_text() -> None:
    assert LINE.validate_python(" " * 20 + "a" * 10 + " " * 20) == "a" * 10
    assert refusal(LINE, "a" * 11)[0] == "string_too_long"
    assert refusal(LINE, "🐟" * 11)[0] == "string_too_long"
    assert refusal(TypeAdapter(Annotated[str, CleanText(3, 10)]), " ab ")[0] == "string_too_short"
    # U+1D160 becomes three code points in NFC.
    assert refusal(LINE, "\U0001d160" * 4)[0] == "string_too_long"


def test_a_huge_text_is_refused_before_anything_looks_at_it() -> None:
    # Otherwise it would be trimmed, or found to hold a control character; and normalising is quadratic.
    assert LINE.validate_python(" " * 103 + "a") == "a"
    assert refusal(LINE, " " * 104 + "a")[0] == "string_too_long"
    assert refusal(LINE, "\x00" * 105)[0] == "string_too_long"


def test_a_long_run_of_blanks_takes_no_longer_than_other_text() -> None:
    # Thirty minutes where blanks before a line end are looked for from each of them.
    adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, CleanText(1, 200_000)])
    text = "a" + " " * 199_998 + "b"
    assert adapter.validate_python(text) == text


@pytest.mark.parametrize("value", [None, True, 5, 1.5, b"abc", ["a"], {"a": 1}])
def test_only_text_is_text(value: object) -> None:
    assert refusal(LINE, value)[0] == "string_type"


_ODD = st.sampled_from(
    [*INVISIBLE, *" \t\n\u3000·•.'-1#", "\u20e3", "👨", "🏽", "🏴", "❤", "张", "é", "\u0301", "Ａ", "ᠨ"]
)


@given(st.text(alphabet=st.one_of(_ODD, st.characters()), max_size=12))
def test_what_is_kept_is_kept_again_unchanged_and_can_be_stored(text: str) -> None:
    for adapter in (LINE, LINES, NAME):
        try:
            kept = adapter.validate_python(text)
        except ValidationError:
            continue
        assert adapter.validate_python(kept) == kept
        assert "\x00" not in kept
        assert kept.encode().decode() == kept
        assert adapter is NAME or len(kept) <= 10


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("张\u3000三", "张三"),
        (" 欧阳 \t修\n", "欧阳修"),
        ("张\u200b三\ufeff", "张三"),
        ("\ufffc张\u2800三\u2800", "张三"),
        ("\u202d张三\u202c", "张三"),
        ("阿卜杜拉\u2022买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉・买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉 . 买买提", "阿卜杜拉·买买提"),
        ("Ｔｏｍ\u00a0  Ｏ＇Ｎｅｉｌｌ", "Tom O'Neill"),
        ("Jose\u0301 Ferrer", "Jos\u00e9 Ferrer"),
        ("Ｊｏｓｅ\u0301", "Jos\u00e9"),
        ("张三 (前台)", "张三 (前台)"),
    ],
)
def test_a_name_has_one_form(given_text: str, kept: str) -> None:
    assert NAME.validate_python(given_text) == kept


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0, 0),
        (7, 7),
        (-7, -7),
        ("7", 7),
        ("-7", -7),
        ("007", 7),
        (MAX_BIGINT, MAX_BIGINT),
        (str(MAX_BIGINT), MAX_BIGINT),
    ],
)
def test_whole_numbers(value: object, number: int) -> None:
    assert INT.validate_python(value) == number


@pytest.mark.parametrize(
    "value",
    [True, False, 1.0, 1.5, float("nan"), None, "", " 7", "7 ", "+7", "7.0", "1e3", "1_0", "７", "x", [7], "9" * 20],
)
def test_everything_else_is_no_whole_number(value: object) -> None:
    assert refusal(INT, value)[0] == "int_type"


def test_whole_numbers_have_a_range() -> None:
    assert refusal(INT, MAX_BIGINT + 1)[0] == "less_than_equal"
    assert refusal(INT, -MAX_BIGINT - 1)[0] == "greater_than_equal"
    assert refusal(INT, str(MAX_BIGINT + 1))[0] == "less_than_equal"
    assert refusal(ID, 0)[0] == "greater_than_equal"
    assert ID.validate_python(1) == 1
    assert [refusal(DIGIT, value)[0] for value in (0, "10")] == ["greater_than_equal", "less_than_equal"]


def test_the_schema_tells_the_rules() -> None:
    class Model(BaseModel):
        text: Annotated[str, CleanText(1, 10)]
        digit: Annotated[int, Whole(1, 9)]

    properties = Model.model_json_schema()["properties"]
    assert properties["text"] == {"title": "Text", "type": "string", "minLength": 1, "maxLength": 10}
    assert properties["digit"] == {"title": "Digit", "type": "integer", "minimum": 1, "maximum": 9}
