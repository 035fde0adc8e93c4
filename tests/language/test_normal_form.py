"""The normal form of text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.language.normal_form import normalise


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("iPhone 13", "iphone 13"),
        ("ＩＰｈｏｎｅ　１３", "iphone 13"),
        ("蘋果手機", "苹果手机"),
        ("紅色連衣裙", "红色连衣裙"),
        ("㎏①ﬁ", "kg1fi"),
        ("STRASSE straße", "strasse strasse"),
        ("微\u200b信\u00ad号\ufe0f", "微信号"),
        ("\u202e手机\u202c", "手机"),
        ("ｶﾞﾝﾀﾞﾑ", "ガンダム"),
        ("👍🏻 ok", "👍🏻 ok"),
        ("a\x00b", "a\x00b"),
        ("紅\ud800", "红\ufffd"),
        ("", ""),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert normalise(text) == normal


@given(st.text(st.characters(), max_size=40))
def test_every_text_has_a_normal_form_that_utf8_can_hold(text: str) -> None:
    normalise(text).encode()


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_ascii_only_loses_its_case(text: str) -> None:
    assert normalise(text) == text.lower()
