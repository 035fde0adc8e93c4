"""The text check: what is caught, in which disguise, and what must not be."""

from pathlib import Path

import pytest
from flask import Flask

from app.moderation.content_verify import Lexicon, Word, WordListError, lexicon, read_words
from app.moderation.text import check_text
from config import PROJECT_ROOT

LISTS = PROJECT_ROOT / "app" / "moderation" / "words"
SHIPPED = [word for path in sorted(LISTS.glob("*.txt")) for word in read_words(path)]

WECHAT = "涉嫌引流:加微信"
PHONE = "涉嫌引流:手机号码"
MESSENGER = "涉嫌引流:微信或 QQ 号"


@pytest.fixture(scope="module")
def shipped() -> Lexicon:
    """The lists that the product comes with."""
    return lexicon(LISTS)


@pytest.mark.parametrize("word", [word for word in SHIPPED if word.reason], ids=lambda word: word.text)
def test_each_listed_word_is_caught(shipped: Lexicon, word: Word) -> None:
    assert f"{word.reason}:{word.text}" in shipped.check(f"出一件好东西 {word.text}。")


@pytest.mark.parametrize("phrase", [word for word in SHIPPED if not word.reason], ids=lambda word: word.text)
def test_each_innocent_phrase_is_innocent_and_needed(shipped: Lexicon, phrase: Word) -> None:
    guilty_only = Lexicon([word for word in SHIPPED if word.reason])
    assert shipped.check(f"出一件好东西 {phrase.text}。") == []
    assert guilty_only.check(phrase.text) != []


@pytest.mark.parametrize(
    "text",
    [
        "加微信",
        "便宜出,加微信详谈",
        "加微信號聊",  # traditional
        "加 微 信",
        "加.微.信",
        "加,微,信",
        "加-微-信 便宜",
        "加 微信",
        "加(微)信",
        "加[微信]",
        "加🐟微🐟信",
        "加\u200b微\u200b信",  # zero-width
        "加\u0301微信",  # a mark on top
        "加\n微\n信",
    ],
)
def test_a_word_in_disguise_is_caught(shipped: Lexicon, text: str) -> None:
    assert shipped.check(text) == [WECHAT]


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("刷單返利", ["涉嫌诈骗或刷单:刷单"]),
        ("加ＶＸ聊", ["涉嫌引流:加vx"]),  # full-width
        ("加 vx", ["涉嫌引流:加vx"]),
        ("加-𝐕𝐗", ["涉嫌引流:加vx"]),  # mathematical letters
        ("出售 枪 支", ["涉嫌发布违禁品:枪支"]),
        ("Ａ货 1:1复刻", ["涉嫌售卖假货:a货", "涉嫌售卖假货:1:1复刻"]),
        ("一比一复刻,加微信", ["涉嫌售卖假货:一比一复刻", WECHAT]),
        ("加微信,加微信", [WECHAT]),
        ("不加微信,要的加微信", [WECHAT]),
    ],
)
def test_reasons_come_in_order_and_once(shipped: Lexicon, text: str, reasons: list[str]) -> None:
    assert shipped.check(text) == reasons


@pytest.mark.parametrize(
    "text",
    [
        "九成新 iPhone 13 128G 自用一年,无磕碰,配件齐全。",
        "水枪 支架 玩具",  # blanks are commas in titles
        "可附加,微信支付也行",
        "dvx100 摄像机",
        "iphonea货架",
        "2011复刻版唱片",
        "We chat about music, tele gram",
        "Telegrams from 1900",
        "电动牙刷单支装",
        "清洗钱包,皮质柔软",
        "全新消毒品牌柜",
        "增加群聊功能的音箱",
        "非高仿,假货包退",
        "支持微信支付 iphone13promax",
        "IMEI 861380013800001",
        "顺丰 SF1380013800012",
        "存储 13 256 512 1024 可选",
        "拍摄于 2024-11-22 13:00:00",
        "身高 150-155 160-165 170",
        "奇瑞QQ 2012款",
        "",
        "🎮🎧",
    ],
)
def test_ordinary_goods_pass(shipped: Lexicon, text: str) -> None:
    assert shipped.check(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "电话13800138000谢谢",
        "1 3 8-0013 8000",
        "138🐟0013🐟8000",
        "１３８００１３８０００",
        "①③⑧⓪⓪①③⑧⓪⓪⓪",
        "一三八零零一三八零零零",
        "幺叁捌〇〇壹叁八零零零",
        "+86 138 0013 8000",
        "8613800138000",
    ],
)
def test_mobile_numbers_are_caught(shipped: Lexicon, text: str) -> None:
    assert shipped.check(text) == [PHONE]


@pytest.mark.parametrize(
    "text",
    ["微信号是 wxid_abc123", "VX:abc12345", "QQ 12345678", "qq12345678", "微信 abc_8888", "扣扣号码:3344556"],
)
def test_messenger_ids_are_caught(shipped: Lexicon, text: str) -> None:
    assert shipped.check(text) == [MESSENGER]


def test_a_reason_never_repeats_the_contact(shipped: Lexicon) -> None:
    assert shipped.check("微信13800138000") == [MESSENGER, PHONE]


def test_check_text_uses_the_lists_of_the_setting(app: Flask) -> None:
    with app.app_context():
        assert [hit.reason for hit in check_text("加微信").hits] == [WECHAT]
        assert check_text("九成新手机").hits == ()


def test_a_folder_of_own_lists(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("涉嫌测试\n# comment\n\n鯨魚 \n!蓝鲸鱼干\n", encoding="utf-8")
    own = lexicon(tmp_path)
    assert own.check("卖鲸鱼") == ["涉嫌测试:鯨魚"]
    assert own.check("蓝鲸鱼干") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "own.txt:1: the first line is the reason that users read"),
        ("# comment\n词\n", "own.txt:1: the first line is the reason that users read"),
        ("原因\n好\n---\n", "own.txt:3: '---' has no letter or digit"),
        ("原因\n!\n", "own.txt:2: '!' has no letter or digit"),
        ("原因\n", "no words; the setting SENSITIVE_WORDS_PATH names the folder of the lists"),
    ],
)
def test_a_malformed_list_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "own.txt").write_text(content, encoding="utf-8")
    with pytest.raises(WordListError, match=message.replace("(", r"\(")):
        lexicon(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WordListError, match="no words"):
        lexicon(tmp_path / "nowhere")
