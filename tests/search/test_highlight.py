"""Marking what matched."""

import pytest

from app.search.highlight import EXCERPT_LENGTH, excerpt, highlighted, pattern_of


@pytest.mark.parametrize(
    ("text", "tokens", "html"),
    [
        ("九成新 iPhone13", {"iphone", "13"}, "九成新 <em>iPhone</em><em>13</em>"),
        ("蘋果手機", {"苹果", "手机"}, "<em>蘋果</em><em>手機</em>"),
        ("ＩＰＨＯＮＥ", {"iphone"}, "<em>ＩＰＨＯＮＥ</em>"),
        ("1399 元的 13", {"13"}, "1399 元的 <em>13</em>"),
        ("iphones iphone", {"iphone"}, "iphones <em>iphone</em>"),
        ("连衣裙", {"连衣", "连衣裙"}, "<em>连衣裙</em>"),
        ("<script>alert(1)</script> 手机", {"手机"}, "&lt;script&gt;alert(1)&lt;/script&gt; <em>手机</em>"),
        ("<em>手机</em> & \"'", {"em"}, "&lt;<em>em</em>&gt;手机&lt;/<em>em</em>&gt; &amp; &quot;&#x27;"),
        ("10㎏ 哑铃 \u200b手机", {"kg", "手机"}, "10<em>㎏</em> 哑铃 \u200b<em>手机</em>"),
        # One character that becomes two and one that becomes none: as long as before, and yet moved.
        ("ß手机\u200b壳", {"手机"}, "ß<em>手机</em>\u200b壳"),
        ("\ufe0f手机Straße", {"手机"}, "\ufe0f<em>手机</em>Straße"),
        ("㎏㎏手机", {"手机"}, "㎏㎏<em>手机</em>"),
        ("手机", set(), "手机"),
        ("", {"手机"}, ""),
        (".*+(", {"13"}, ".*+("),
    ],
)
def test_matches_are_marked_and_everything_is_escaped(text: str, tokens: set[str], html: str) -> None:
    assert highlighted(text, pattern_of(tokens)) == html


def test_the_start_of_a_short_or_unmatched_description() -> None:
    pattern = pattern_of({"手机"})
    assert excerpt("只有一行", pattern) == "只有一行"
    assert excerpt("啊" * 300, pattern) == "啊" * EXCERPT_LENGTH + "…"


def test_the_excerpt_is_around_the_first_match() -> None:
    pattern = pattern_of({"手机"})
    middle = excerpt("啊" * 200 + "手机" + "哦" * 200, pattern)
    assert middle == "…" + "啊" * 30 + "<em>手机</em>" + "哦" * 88 + "…"
    assert excerpt("啊" * 200 + "手机", pattern) == "…" + "啊" * 118 + "<em>手机</em>"


def test_a_match_on_the_excerpts_edge_is_cut() -> None:
    pattern = pattern_of({"手机", "iphone"})
    assert excerpt("手机" + "啊" * 117 + "iphone", pattern) == "<em>手机</em>" + "啊" * 117 + "<em>i</em>…"
