"""Completions over a handful of phrases: no engines, no application."""

from pathlib import Path

import pytest

from app.language.analysis import Analyser
from app.suggestions.completions import Completions, phrases_of

PHRASES = {
    "手机": 50,
    "手机壳": 30,
    "羽绒服": 20,
    "羽绒服男": 10,
    "苹果手机": 15,
    "iphone 13": 40,
    "iphone13": 12,
    "nike鞋": 5,
    "耐克鞋": 7,
    "数据线": 9,
    "3060ti": 4,
}


@pytest.fixture(scope="module")
def completions() -> Completions:
    return Completions.load(Completions.of(PHRASES).dump())


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("手", ["手机", "手机壳"]),
        ("羽绒服", ["羽绒服", "羽绒服男"]),
        # Pinyin in full, the last syllable unfinished, with blanks and apostrophes between
        ("shouji", ["手机", "手机壳"]),
        ("shou", ["手机", "手机壳"]),
        ("shouj", ["手机", "手机壳"]),
        ("yu rong", ["羽绒服", "羽绒服男"]),
        ("yu'rong'fu", ["羽绒服", "羽绒服男"]),
        # Initials
        ("sj", ["手机", "手机壳", "数据线"]),
        ("yrfn", ["羽绒服男"]),
        ("SJX", ["数据线"]),
        # Mixed: with Chinese, Latin, digits
        ("羽绒f", ["羽绒服", "羽绒服男"]),
        ("yurongf", ["羽绒服", "羽绒服男"]),
        ("苹果sj", ["苹果手机"]),
        ("pgshouji", ["苹果手机"]),
        ("pingguosho", ["苹果手机"]),
        ("shjux", ["数据线"]),
        ("nike x", ["nike鞋"]),
        # Latin letters and digits, the blank does not matter; of two spellings the more frequent is offered
        ("iphone1", ["iphone 13"]),
        ("ＩＰＨＯＮＥ 13", ["iphone 13"]),
        ("306", ["3060ti"]),
        # Traditional characters
        ("手機", ["手机", "手机壳"]),
        # Nothing
        ("", []),
        ("!!", []),
        ("潜水艇", []),
        ("zzzz", []),
        ("x" * 100, []),
    ],
)
def test_what_is_typed_becomes(completions: Completions, typed: str, expected: list[str]) -> None:
    assert completions.complete(typed, limit=10) == expected


def test_the_heaviest_come_first_and_no_more_than_asked_for(completions: Completions) -> None:
    assert completions.complete("s", limit=2) == ["手机", "手机壳"]
    many = Completions.of({f"台灯{number}": number for number in range(1, 200)})
    assert many.complete("td", limit=3) == ["台灯199", "台灯198", "台灯197"]
    assert len(many) == 199


def test_nothing_completes_nothing() -> None:
    assert Completions.load(Completions.of({}).dump()).complete("手", limit=5) == []


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("羽绒服", {"羽绒服"}),
        ("iPhone13 128G", {"iphone", "iphone13", "iphone13 128g"}),
        ("出租的自行车", {"出租", "出租的自行车", "自行车"}),
        ("台灯,鞋", {"台灯"}),  # nothing goes on behind a comma, and one character is no phrase
        ("九成新 台灯 转让", {"台灯"}),  # neither how it is nor that it is sold
        ("128 256", set()),
        ("！？", set()),
    ],
)
def test_the_phrases_of_a_title(tmp_path: Path, title: str, expected: set[str]) -> None:
    assert phrases_of(title, Analyser(cache_dir=tmp_path)) == expected
