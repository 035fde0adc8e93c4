"""The form that the rules read: what disguises become, and that positions lead back to what was written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.moderation.text.folding import BORDER, fold, pinyin, syllables_of

DISGUISES = {
    "ＶＸ": "vx",  # full-width
    "𝐕𝐗": "vx",  # mathematical
    "ⓥⓧ": "vx",  # circled
    "🅥🅧": "vx",  # in black circles
    "🇻🇽": "vx",  # the letters of flags
    "ᴠx": "vx",  # small capital
    "νх": "vx",  # Greek and Cyrillic
    "√X": "vx",
    "①③⑨⓪": "1390",
    "1️⃣3️⃣": "13",
    "❶❸": "13",
    "٣٤": "34",  # Arabic digits
    "丨39": "139",
    "加\u200b微\u2060信": "加微信",
    "加🐟微~信": "加微信",
    "刷單": "刷单",
    "é": "e",
    "⑩㎏": "10kg",
    "㊙": "秘",
    "ㄥ聊": "裸聊",
    "枪\ud800支": "枪支",
    "e\u0301": "e",
}


def test_disguises_are_undone() -> None:
    assert {written: fold([written]).squeezed for written in DISGUISES} == DISGUISES


def test_texts_that_are_folded_together_stay_apart() -> None:
    folded = fold(["加", "⑩微", "", "信"])
    assert folded.text == BORDER.join(["加", "10微", "", "信"])
    assert [folded.part(number) for number in range(4)] == [(0, "加"), (2, "10微"), (6, ""), (7, "信")]
    assert folded.numbers_of(np.arange(8)).tolist() == [0, 0, 1, 1, 1, 1, 2, 3]
    assert folded.original(1, 2, 4) == (0, 1)
    assert folded.original(1, 4, 5) == (1, 2)
    assert folded.original(3, 7, 8) == (0, 1)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_each_place_leads_to_the_character_that_was_written(texts: list[str]) -> None:
    folded = fold(texts)
    for number, text in enumerate(texts):
        if BORDER in text:
            continue
        start, part = folded.part(number)
        alone = fold([text]).text
        assert part == alone
        for offset in range(len(part)):
            first, behind = folded.original(number, start + offset, start + offset + 1)
            assert behind == first + 1
            assert part[offset] in fold([text[first]]).text
    assert "".join(folded.text[place] for place in folded.squeezed_places) == folded.squeezed
    for number in range(len(texts)):
        first, part = folded.squeezed_part(number)
        assert part == folded.squeezed[first : first + len(part)] == "".join(fold([texts[number]]).squeezed)


def test_what_sounds_alike_is_alike() -> None:
    assert syllables_of("刷单") == syllables_of("唰丹")
    assert syllables_of("刷单") != syllables_of("刷卡")
    assert (pinyin()["单"], pinyin()["绿"]) == ("dan", "lv")


@pytest.mark.parametrize("text", ["", "\ud800", "\U0010ffff", "\uffff", "👨‍👩‍👧" * 10, "ﷺ" * 100, "a\u0300" * 1000])
def test_any_text_has_a_form(text: str) -> None:
    folded = fold([text])
    assert folded.part(0) == (0, folded.text)
