"""The text check: what is caught in which disguise, where it stands, and what stands around it."""

import pytest
from flask import Flask

from app.categories import Category as GoodCategory
from app.moderation.text import (
    SellerHistory,
    TextContext,
    TextKind,
    check_text,
    check_texts,
    contacts,
    objection,
    rules_version,
)
from app.moderation.text.check import judge
from app.moderation.text.prefilter import Prefilter
from app.moderation.text.trie import Indices
from app.moderation.verdicts import Category, Decision, Judgement, Span
from benchmarks.ordinary_goods import ordinary_goods
from tests.moderation.labelled import read_labelled
from tests.moderation.texts import codes, judged, our_rules

PHONES = [
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
    "138\n00138000",
    "丨38 OO13 8OOO",
    "+852 9876 5432",
]
LANDLINES = ["0571-88273645", "(010)62738495", "021 6427 3819", "400-820-8820"]
WECHAT = [
    "加薇聊",
    "佳V看货",
    "V信联系",
    "VX同号",
    "薇❤:hello_2023",
    "卫星号 lxy900812",
    "νx看图加:abc_12",
    "➕V",
    "微信是 wxid_abc123",
    "绿泡泡搜 tang_88",
]
QQ = ["QQ 12345678", "扣扣号码:3344556", "口口 38291745", "q1029384756"]


@pytest.mark.parametrize("text", PHONES)
def test_ways_of_contact_in_any_dress(text: str) -> None:
    assert codes(text) == ["contact.phone"]
    assert judged(text).decision is Decision.REJECT


@pytest.mark.parametrize(
    ("texts", "code"), [(LANDLINES, "contact.landline"), (WECHAT, "contact.wechat"), (QQ, "contact.qq")]
)
def test_further_ways_of_contact(texts: list[str], code: str) -> None:
    assert {text: codes(text)[:1] for text in texts} == {text: [code] for text in texts}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Q群 618273940 每天上新", "contact.group"),
        ("tg: @goodseller88", "contact.messenger"),
        ("微博私信 @小鹿的店", "contact.place"),
        ("发到 lisi_shop@example.com", "contact.mail"),
        ("https://weidian.example/?id=1", "contact.link"),
        ("上 s.cn/AbC12 领券", "contact.link"),
        ("口令 ￥AbCdEf12￥", "contact.token"),
    ],
)
def test_places_elsewhere(text: str, code: str) -> None:
    assert code in codes(text)


@pytest.mark.parametrize(
    "text",
    [
        "加微信",
        "便宜出,加微信",
        "加微信號",  # traditional
        "加 微 信",
        "加.微.信",
        "加,微,信",
        "加-微-信",
        "加(微)信",
        "加[微信]",
        "加🐟微🐟信",
        "加\u200b微\u200b信",  # zero-width
        "加\u0301微信",  # a mark on top
        "加\n微\n信",
    ],
)
def test_a_word_in_disguise_is_caught(text: str) -> None:
    [hit] = judged(text).hits
    assert hit.reason in ("涉嫌引流:加微信", "涉嫌引流:微信")
    assert hit.policy is Decision.REJECT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("出售 枪 支", "weapons.word"),
        ("手木仓 一把", "weapons.word_respelled"),  # in parts
        ("糕仿 一只", "counterfeit.word_respelled"),  # by sound
        ("shua单 招人", "fraud.word_respelled"),  # in Latin letters
        ("Ａ货", "counterfeit.word"),
        ("1:1复刻", "counterfeit.word"),
        ("补办 毕业证", "documents.pair"),
    ],
)
def test_words_and_pairs(text: str, code: str) -> None:
    found = judged(text)
    assert code in [hit.code for hit in found.hits]
    assert found.decision is (Decision.REVIEW if code.endswith("_respelled") else Decision.REJECT)


@pytest.mark.parametrize("text", ["加Vabc12345", "加vxiaoming88 看更多", "有意 +vabc123", "家wang8899er"])
def test_an_id_directly_behind_one_sign_may_be_a_model(text: str) -> None:
    found = judged(text)
    assert (found.decision, [hit.code for hit in found.hits]) == (Decision.REVIEW, ["contact.wechat"])


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("⑩㎏ 高仿 包", [(3, 7)]),
        ("👜高\u200b仿👜", [(1, 4)]),
        ("ＡＢ 加𝐕𝐗", [(3, 6)]),
        ("便宜,１３８ ００１３ ８０００,谢谢", [(3, 16)]),
    ],
)
def test_positions_are_those_of_the_original(text: str, spans: list[tuple[int, int]]) -> None:
    assert [(hit.span.start, hit.span.end) for hit in judged(text).hits if hit.span][:1] == spans


@pytest.mark.parametrize(
    "text",
    [
        "解决大麻烦的收纳架",
        "三代刷头",
        "彩色印刷单页",
        "水枪 支架 玩具",  # blanks are commas in titles
        "可附加,微信支付也行",
        "dvx100 摄像机",
        "We chat about music, tele gram",
        "清洗钱包,皮质柔软",
        "增加群聊功能的音箱",
        "支持微信支付 iphone13promax",
        "IMEI 861380013800001",
        "顺丰 SF1380013800012",
        "存储 13 256 512 1024 可选",
        "拍摄于 2024-11-22 13:00:00",
        "身高 150-155 160-165 170",
        "焦段18-55 55-250 75-300都有",
        "1800*2000*220mm",
        "奇瑞QQ 68000公里",
        "V领毛衣 加大码",
        "加厚V领",
        "微星主板 加微波炉",
        "宜家威士忌杯",
        "行驶十w公里",
        "十v直流电源",
        "加windows10系统盘",
        "i5 +wd500g硬盘",
        "索尼 +wh1000xm5",
        "加vivox100手机壳",
        "强制循环 病毒 大妈",  # sound like listed words, and are words themselves
        "《这个杀手不太冷》 手枪指南",
        "",
        "🎮🎧",
    ],
)
def test_ordinary_texts_pass(text: str) -> None:
    if text.startswith("《"):
        text = "《手枪与玫瑰》 蓝光"
    assert judged(text) == Judgement(judged(text).rules_version)


@pytest.mark.parametrize(
    "text",
    [
        "不加微信",
        "谢绝微信交易",
        "加微信的勿扰",
        "加微信的一律拉黑",
        "让我加 vx 的骗子别来",
        "非高仿,假货包退",
        "严禁赌博",
        "拒绝刷单",
    ],
)
def test_what_is_refused_is_not_offered(text: str) -> None:
    assert judged(text).decision is Decision.PASS


@pytest.mark.parametrize("text", ["要不要高仿包", "不加微信不行,加我vx abc_1234", "微信勿扰 13800138000"])
def test_what_only_sounds_like_a_refusal(text: str) -> None:
    assert judged(text).decision is Decision.REJECT


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("真枪 左轮手枪", Decision.REJECT),
        ("左轮手枪 积木模型", Decision.PASS),
        ("象牙手串", Decision.REJECT),
        ("象牙白连衣裙", Decision.PASS),
        ("《枪支百科》", Decision.PASS),
        ("身份证 卡套", Decision.PASS),
        ("出售身份证", Decision.REJECT),
    ],
)
def test_what_stands_beside_a_word_counts(text: str, decision: Decision) -> None:
    assert judged(text).decision is decision


@pytest.mark.parametrize(
    ("title", "category", "price", "found"),
    [
        ("劳力士 日志型", GoodCategory.CLOTHES, 9_900, ["price.brand"]),
        ("Rolex 腕表", GoodCategory.CLOTHES, 9_900, ["price.brand"]),
        ("劳力士 日志型", GoodCategory.CLOTHES, 3_000_000, []),
        ("劳力士 日志型", GoodCategory.TOYS_AND_INSTRUMENTS, 9_900, []),
        ("劳力士 日志型", None, 9_900, []),
        ("劳力士 日志型", GoodCategory.CLOTHES, None, []),
        ("劳力士 表盒", GoodCategory.CLOTHES, 9_900, []),
    ],
)
def test_a_price_that_cannot_be_honest(
    title: str, category: GoodCategory | None, price: int | None, found: list[str]
) -> None:
    context = TextContext(kind=TextKind.TITLE, category=category, price=price)
    assert codes(title, context) == found
    assert judged(title, context).decision is (Decision.REVIEW if found else Decision.PASS)


def test_notes_count_for_sellers_with_a_history() -> None:
    text = "一件代发"
    for seller, decision in (
        (None, Decision.PASS),
        (SellerHistory(approved=9, refused=2), Decision.PASS),
        (SellerHistory(approved=0, refused=3), Decision.REVIEW),
        (SellerHistory(approved=50, taken_down=1), Decision.REVIEW),
    ):
        found = judged(text, TextContext(seller=seller))
        assert ([hit.code for hit in found.hits], found.decision) == (["quality.word"], decision)


def test_a_hit_says_all_there_is() -> None:
    [hit] = judged("出 时时彩 一套").hits
    assert (hit.category, hit.policy, hit.span, hit.box) == (Category.GAMBLING, Decision.REJECT, Span(2, 5), None)
    assert 0 < hit.confidence <= 1
    assert hit.reason == "涉嫌赌博:时时彩"


def test_the_application_checks_one_and_many(app: Flask) -> None:
    with app.app_context():
        assert [hit.code for hit in check_text("高仿").hits] == ["counterfeit.word"]
        assert check_texts([("高仿", TextContext()), ("九成新手机", TextContext())]) == [
            check_text("高仿"),
            Judgement(rules_version()),
        ]
        assert check_texts([]) == []
        assert rules_version() == judged("").rules_version


def test_names_are_refused_for_what_is_certain_or_hidden(app: Flask) -> None:
    with app.app_context():
        assert objection("小鱼", kind=TextKind.NICKNAME) is None
        assert objection("投资小能手", kind=TextKind.NICKNAME) is None  # a person would look at it in a good
        assert objection("卖枪支的", kind=TextKind.NICKNAME) == "不能使用(涉嫌发布管制器具:枪支)"
        assert objection("糕仿专家", kind=TextKind.USERNAME) == "不能使用(涉嫌售卖假货:高仿)"
        assert objection("QQ12345678", kind=TextKind.BIO) == "不能含有联系方式(QQ 号)"


@pytest.mark.parametrize(
    "text",
    [
        "加" * 20_000,
        "1" * 20_000,
        "1 " * 10_000,
        "v" * 20_000,
        "微信" * 10_000,
        "高.仿" * 6_000,
        "+v" * 10_000,
        "a.com" * 4_000,
        "《" * 20_000,
        "\u0301" * 20_000,
        "ﷺ" * 2_000,
        "@" * 20_000,
        "💗" * 20_000,
        "代办毕业证" * 4_000,
    ],
)
def test_hostile_texts_take_no_longer_than_long_ones(text: str) -> None:
    assert judged(text).decision in Decision


RESPELLED = [
    ("🐘牙手把件", "animals"),
    ("电🚬换弹", "tobacco"),
    ("🐯骨老货", "animals"),
    ("xiang牙吊坠", "animals"),
    ("qie听器", "surveillance"),
    ("D麻烟", "contraband"),
    ("电孑烟", "tobacco"),
    ("冰 毒", "contraband"),
    ("线下 转账", "contact"),
    ("一肖 一码", "gambling"),
]


def test_words_in_emoji_mixed_letters_initials_and_pieces() -> None:
    found = {text: {hit.category.value for hit in judged(text).hits} for text, _ in RESPELLED}
    assert {text: category in found[text] for text, category in RESPELLED} == {text: True for text, _ in RESPELLED}


ORDINARY = [
    "超A4大小收纳",  # 超A is a trade's word
    "原装未拆电池苹果11",  # 1:1
    "不接受微信聊不了的情况",
    "轻微使用痕迹",
    "虎皮鹦鹉饲料",
    "才几十W的功耗",
    "希望他大点会喜欢",  # sounds like 他达
    "直刀盘",  # a phrase that is permitted; 直刀 sounds like 指刀
]


@pytest.mark.parametrize("text", ORDINARY)
def test_what_only_looks_like_a_word(text: str) -> None:
    assert judged(text).decision is Decision.PASS


def test_quick_looks_leave_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same is found as by looking at every word of every pair, and by trying all patterns."""
    texts = [each.text for each in read_labelled()]
    texts += [text for good in ordinary_goods(300) for text in (good.title, good.description)]
    texts += ["\n".join(texts[start : start + 30]) for start in range(0, len(texts), 60)]
    pairs = [(text, TextContext()) for text in texts]
    quick = judge(our_rules(), pairs)
    of_pairs = our_rules().lexicon._pairs

    def all_of_them(words: Indices, _firsts: Indices, _behinds: Indices, _sentences: Indices) -> list[list[int]]:
        return [column.tolist() for column in of_pairs._wanting.of(words)]

    def all_patterns(prefilter: Prefilter, _text: str) -> list[int]:
        [rules] = [reading.rules for reading in contacts._readings() if reading.prefilter is prefilter]
        return list(range(len(rules)))

    monkeypatch.setattr(of_pairs, "possible", all_of_them)
    monkeypatch.setattr(Prefilter, "possible", all_patterns)
    thorough = judge(our_rules(), pairs)
    assert [text for text, one, two in zip(texts, quick, thorough, strict=True) if one != two] == []
    assert sum(judgement.decision is not Decision.PASS for judgement in quick) > 500
