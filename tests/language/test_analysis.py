"""Tokens of documents and of queries."""

import sys
from pathlib import Path

import pytest

from app.language.analysis import Analyser, Token
from app.language.normal_form import normalise


@pytest.fixture(scope="module")
def analyser(tmp_path_factory: pytest.TempPathFactory) -> Analyser:
    return Analyser(cache_dir=tmp_path_factory.mktemp("jieba"))


@pytest.fixture(scope="module")
def jieba_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where jieba's cache is."""
    return tmp_path_factory.mktemp("cache") / "jieba"


@pytest.fixture(scope="module")
def with_jieba(jieba_folder: Path) -> Analyser:
    """An analyser on a machine for which there is no wheel of rjieba; one for all, as it reads its dictionary long."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "rjieba", None)
        return Analyser(cache_dir=jieba_folder)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("iPhone13", ["iphone", "13"]),
        ("iPhone 13", ["iphone", "13"]),
        ("ＩＰＨＯＮＥ１３", ["iphone", "13"]),
        ("A7M4 x", ["a", "7", "m", "4", "x"]),
        ("红色连衣裙", ["红色", "连衣", "衣裙", "连衣裙"]),
        ("紅色連衣裙", ["红色", "连衣", "衣裙", "连衣裙"]),
        ("蘋果手機128G", ["苹果", "手机", "128", "g"]),
        ("T恤", ["t", "恤"]),
        ("café Ёлка", ["café", "ёлка"]),
        ("running shoes", ["running", "shoes"]),
        ("!?,。…—😀 \x00 _", []),
        ("", []),
        ("x" * 130, ["x" * 64, "x" * 64, "xx"]),
    ],
)
def test_tokens_of_documents(analyser: Analyser, text: str, tokens: list[str]) -> None:
    assert analyser.index_tokens(text) == tokens


def test_a_query_takes_only_the_longest_words_and_knows_their_places(analyser: Analyser) -> None:
    assert analyser.query_tokens(normalise("红色連衣裙, iPhone13")) == [
        Token("红色", 0, 2),
        Token("连衣裙", 2, 5),
        Token("iphone", 7, 13),
        Token("13", 13, 15),
    ]


def test_parts_of_a_word(analyser: Analyser) -> None:
    assert analyser.parts("连衣裙") == ["连衣", "衣裙"]
    assert analyser.parts("手机") == []
    assert analyser.parts("iphone") == []


@pytest.mark.xdist_group("jieba")
@pytest.mark.parametrize("text", ["红色连衣裙 iPhone13", "九成新二手笔记本电脑", "耐克运动鞋 42码", "山地自行车26寸"])
def test_jieba_stands_in_with_the_same_tokens(analyser: Analyser, with_jieba: Analyser, text: str) -> None:
    assert with_jieba.index_tokens(text) == analyser.index_tokens(text)
    assert with_jieba.query_tokens(text) == analyser.query_tokens(text)


@pytest.mark.xdist_group("jieba")
def test_jieba_keeps_its_cache_in_our_folder(with_jieba: Analyser, jieba_folder: Path) -> None:
    assert with_jieba.index_tokens("手机") == ["手机"]
    assert [file.name for file in jieba_folder.iterdir()] == ["jieba.cache"]
