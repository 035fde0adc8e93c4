"""What a query asks for."""

import pytest

from app.language.analysis import Analyser
from app.search.query import SYNONYM_WEIGHT, Alternative, QueryParser, rewritten


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> QueryParser:
    return QueryParser(Analyser(cache_dir=tmp_path_factory.mktemp("jieba")))


def alternatives(parser: QueryParser, text: str) -> list[tuple[Alternative, ...]]:
    return [group.alternatives for group in parser.parse(text).groups]


def test_words_are_groups_of_their_own(parser: QueryParser) -> None:
    assert alternatives(parser, "红色连衣裙 42") == [
        (Alternative(("红色",)),),
        (Alternative(("连衣裙",)),),
        (Alternative(("42",)),),
    ]


def test_synonyms_are_alternatives_that_count_less(parser: QueryParser) -> None:
    assert alternatives(parser, "苹果") == [
        (Alternative(("苹果",)), Alternative(("iphone",), SYNONYM_WEIGHT), Alternative(("apple",), SYNONYM_WEIGHT))
    ]


def test_a_synonym_may_be_several_tokens_and_the_longest_is_taken(parser: QueryParser) -> None:
    assert alternatives(parser, "PlayStation 5") == [
        (Alternative(("playstation", "5")), Alternative(("ps", "5"), SYNONYM_WEIGHT))
    ]
    group = parser.parse("二手 PS5").groups[1]
    assert (group.literal, group.start, group.end) == (("ps", "5"), 3, 6)


def test_repeated_words_count_once(parser: QueryParser) -> None:
    assert alternatives(parser, "手机 手机手机") == alternatives(parser, "手机")


def test_words_that_no_listing_needs_are_left_out_unless_they_are_all(parser: QueryParser) -> None:
    assert alternatives(parser, "红色的连衣裙") == alternatives(parser, "红色连衣裙")
    assert alternatives(parser, "的" * 100) == [(Alternative(("的",)),)]


@pytest.mark.parametrize("text", ["", "!!!", "😀😀", "\x00", '()*"~^ :[]{}', "___"])
def test_without_a_word_there_is_nothing_to_find(parser: QueryParser, text: str) -> None:
    assert parser.parse(text).groups == ()


def test_query_syntax_is_text(parser: QueryParser) -> None:
    assert parser.parse('title:"x" OR (y* NOT z~2) ^3').tokens() == {"title", "x", "or", "y", "not", "z", "2", "3"}


def test_rewriting() -> None:
    assert rewritten("ihpone 13 连衣群", [(10, 13, "连衣裙"), (0, 6, "iphone")]) == "iphone 13 连衣裙"
    assert rewritten("same", []) == "same"
