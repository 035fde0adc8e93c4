"""What titles are found by, and what they look for."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.language.analysis import Analyser
from app.listings.relaxation import MAX_STEPS, readable, relaxation_steps
from app.listings.terms import PARTS, listing_terms, parse_title, part_of, part_term


@pytest.fixture(scope="module")
def analyser(tmp_path_factory: pytest.TempPathFactory) -> Analyser:
    return Analyser(cache_dir=tmp_path_factory.mktemp("jieba"))


ONE_TITLE_IN_OTHER_WORDS = [
    [
        "iPhone 13 Pro Max 256G 远峰蓝 95新 电池88%",
        "苹果13promax 256g 国行无拆修",
        "蘋果 ＩＰｈｏｎｅ１３ＰｒｏＭａｘ　２５６ＧＢ",
        "13 pro max 苹果 256",
        "Apple iPhone13PM 256GB 包邮",
        "自用苹果手机 13 Pro Max 256 九成新 可小刀",
    ],
    [
        "小米13 12+256 自用",
        "xiaomi 13 12G+256G",
        "小米手机 13 256gb 12GB 全新",
        "Xiaomi13 12g 256g 5G手机",
        "小米 13 12+256G 99新",
    ],
    ["红米 K60 Pro", "Redmi k60pro", "RedmiK60 Pro 电池92", "红米k60 PRO 全网通"],
    ["索尼 A7M3", "sony a7 iii", "SONY A7III 自用", "索尼a7 mark III", "索尼 A7 MK3"],
    ["佳能 5D4", "canon 5D Mark IV", "佳能5dmk4", "Canon 5D mark 4"],
    ["RTX 3060 Ti 8G", "rtx3060ti 8g", "RTX-3060 TI 8GB 自用"],
    ["1660 super", "1660s", "1660Super 自用"],
    ["AirPods Pro 2", "airpods pro 二代", "airpodspro2", "AirPods Pro 第2代"],
    ["任天堂 Switch OLED", "ns oled", "switch oled 日版", "SwitchOLED"],
    ["戴森V8 absolute", "dyson v8 Absolute 在保", "戴森 v8 absolute"],
    ["三星 S23 Ultra", "samsung s23u", "三星S23Ultra 国行"],
    ["索尼 WH-1000XM5", "sony wh1000xm5", "索尼 WH 1000XM5 全新"],
    ["格力空调 1.5匹", "格力 空调 1.5 匹"],
    ["iPad mini 6 64G", "ipadmini6 64gb", "iPad mini6 64g"],
    ["PS5 光驱版", "PlayStation 5 光驱版"],
    ["荣耀90 8+256", "honor 90 8G+256G", "荣耀 90 8+256G 95新"],
    ["iPhone XS Max 256G", "苹果xsmax 256g", "iphonexsmax 256GB", "苹果手机 XS Max 256"],
    ["佳能 R6 二代", "Canon R6 Mark II", "佳能r6二代", "佳能 R6 2代"],
    ["富士 X-T30 II", "富士XT30二代", "Fujifilm xt30ii", "富士 X-T30 Mark II"],
]


@pytest.mark.parametrize("titles", ONE_TITLE_IN_OTHER_WORDS, ids=lambda titles: titles[0])
def test_one_thing_in_other_words(analyser: Analyser, titles: list[str]) -> None:
    for wanted in titles:
        first = relaxation_steps(analyser, wanted)[0]
        for title in titles:
            terms = frozenset(listing_terms(analyser, title, item_id="1"))
            # A word of the brand is left out by some; everything else that the first one looks for is there.
            missing = {term for term in first - terms if term not in ("光驱", "手机")}
            assert not missing, (wanted, title)


SIBLINGS = [
    ("iPhone 13", "iPhone 13 Pro"),
    ("iPhone 13", "iPhone 13 mini"),
    ("iPhone 13", "iPhone 13promax"),
    ("iPhone 13 Pro", "iPhone 13 Pro Max"),
    ("iPhone 13 Pro", "iPhone 13"),
    ("iPhone 13", "iPhone 14"),
    ("iPhone 13", "iPhone 12 13 14 都有"),
    ("iPhone 6", "iPhone 6s"),
    ("小米 12", "小米 13 12+256"),
    ("小米 8", "小米手环 8"),
    ("小米13", "小米13 青春版"),
    ("红米 Note 12", "红米 Note 12 Turbo"),
    ("索尼 A7M3", "索尼 A7M4"),
    ("索尼 A7M3", "索尼 A7R3"),
    ("索尼 A7", "索尼 A7M3"),
    ("佳能 5D4", "佳能 5D3"),
    ("富士 X100V", "富士 X100VI"),
    ("尼康 D850", "三星 850 EVO"),
    ("任天堂 Switch", "任天堂 Switch Lite"),
    ("任天堂 Switch", "任天堂 Switch 2"),
    ("rtx 3060", "rtx 3060 ti"),
    ("3060 显卡", "RTX 4060 显卡"),
    ("3060 显卡", "3060 笔记本"),
    ("戴森 V8", "戴森 V10"),
    ("AirPods 2", "AirPods Pro 2"),
    ("iPad mini 6", "iPad Air 6"),
    ("大疆 Mini 3", "大疆 Air 3"),
    ("MacBook Air M1", "iPad Air M1"),
    ("格力空调 1.5匹", "格力空调 3匹"),
    ("LG 27寸 显示器", "LG 24寸 显示器"),
    ("尼康 50mm f1.8", "尼康 50mm f1.4"),
    ("捷安特 自行车", "捷安特 儿童自行车"),
    ("优衣库 连衣裙", "太平鸟 连衣裙"),
    ("施坦威 钢琴", "珠江 钢琴"),
    ("iPhone XS", "iPhone XR"),
    ("iPhone XS", "苹果 XS Max"),
    ("苹果x 64G", "苹果xr 64G"),
    ("佳能 R6 二代", "佳能 R6"),
    ("富士 XT30", "富士 X-T30 II"),
    ("富士 XT30 机身", "富士 XT30 18-55 套机"),
    ("大疆 Mini 3", "大疆 Mini 3 畅飞套装"),
    ("宜家 床", "宜家 书柜"),
    ("耐克 休闲 鞋", "耐克 休闲 裤"),
]


@pytest.mark.parametrize(("wanted", "other"), SIBLINGS)
def test_siblings_are_found_by_no_step(analyser: Analyser, wanted: str, other: str) -> None:
    terms = frozenset(listing_terms(analyser, other, item_id="1"))
    steps = relaxation_steps(analyser, wanted)
    assert steps
    assert all(not step <= terms for step in steps)


NO_MODELS = [
    ("索尼 A7M4 快门 8000", ["a7m4"], []),
    ("索尼A7M4 快门数8000次 箱说全", ["a7m4"], []),
    ("A7M3 快门2w", ["a7m3"], []),
    ("尼康 D750 套机 24-105", ["d750"], [("24-105", "mm")]),
    ("富士 XT30 18-55 套机", ["xt30"], [("18-55", "mm")]),
    ("宜家 书桌 120*60", [], [("120*60", "面")]),
    ("书桌 120 × 60cm 白色", [], [("120*60", "面")]),
    ("iPhone 13 电池容量98", ["iphone13"], []),
    ("iPhone 13 电池最大容量 98%", ["iphone13"], []),
    ("羽绒服 波司登 男 180", [], [("180", "码")]),
    # a brand is left out where only one fits
    ("13Pro 256G", ["iphone13"], [("256", "g")]),
    ("13 Pro Max 256G 自用", ["iphone13"], [("256", "g")]),
    ("14plus", ["iphone14"], []),
    ("小米13Pro", ["小米13"], []),
    ("13pro 12+256", [], [("12", "g"), ("256", "g")]),
    ("空军一号", ["force1"], []),
]


@pytest.mark.parametrize(("title", "models", "measures"), NO_MODELS)
def test_numbers_that_are_models_and_others(
    analyser: Analyser, title: str, models: list[str], measures: list[tuple[str, str]]
) -> None:
    parsed = parse_title(analyser, title)
    assert ([model.name for model in parsed.models if model.name], parsed.measures) == (models, measures)


STEPS_OF = {
    "自用 iPhone 13 128G 95新": [["iphone13", "苹果", "128g"], ["iphone13", "苹果"], ["iphone13"]],
    "技嘉 RTX3060 12G": [["rtx3060", "技嘉", "12g"], ["rtx3060", "技嘉"], ["rtx3060"], ["3060"]],
    "戴森 V8 吸尘器": [["v8", "戴森"]],
    "索尼 A7M4 单机身": [["a7m4", "索尼"], ["a7m4"]],
    "iPhone 6s Plus 国行": [["iphone6s", "苹果", "plus"], ["iphone6s", "plus"]],
    "v8 吸尘器": [["v8", "吸尘器"]],
    "任天堂 Switch 游戏机": [["switch", "任天堂", "游戏机"], ["switch"]],
    "优衣库 法式 碎花 连衣裙 M码": [
        ["优衣库", "法式", "碎花", "连衣裙", "m码"],
        ["优衣库", "法式", "碎花", "连衣裙"],
        ["优衣库", "连衣裙"],
    ],
    "捷安特 通勤 山地自行车 26寸": [
        ["山地", "捷安特", "自行车", "通勤", "26寸"],
        ["山地", "捷安特", "自行车", "通勤", "26寸"],
        ["山地", "捷安特", "自行车", "26寸"],
        ["捷安特", "自行车", "26寸"],
    ],
    "爱马仕 丝巾": [["丝巾", "爱马仕"], ["丝巾", "爱马仕"]],
    "iPhone 13 Pro 青春版": [["iphone13", "苹果", "pro", "青春版"], ["iphone13", "pro", "青春版"]],
    "小米12 13 通用": [["小米", "小米12", "小米13"], ["小米12", "小米13"]],
    "iPhone SE2 二代 64G": [
        ["iphone", "iphone2", "苹果", "se", "64g"],
        ["iphone", "iphone2", "苹果", "se"],
        ["iphone2", "se"],
    ],
    "宜家 床": [["宜家", "床"], ["宜家", "床"]],
    "格力 1.5匹": [["格力", "1.5匹"], ["格力", "1.5匹"]],
    "苹果": [],
    "耐克 42码 全新": [],
    "全新自用 包邮": [],
    "👍🔥": [],
}


@pytest.mark.parametrize("title", STEPS_OF)
def test_steps(analyser: Analyser, title: str) -> None:
    assert [readable(step) for step in relaxation_steps(analyser, title)] == STEPS_OF[title]


def test_of_an_accessory_the_nouns_are_needed(analyser: Analyser) -> None:
    film = [readable(step) for step in relaxation_steps(analyser, "iPhone 13 防窥 钢化膜", nouns=True)]
    assert film == [["iphone13", "苹果", "钢化膜", "防窥"], ["iphone13", "钢化膜"]]
    battery = [readable(step) for step in relaxation_steps(analyser, "iPhone 13 电池 全新", nouns=True)]
    assert battery == [["iphone13", "电池", "苹果"], ["iphone13", "电池"]]
    charger = [readable(step) for step in relaxation_steps(analyser, "Switch 充电器", nouns=True)]
    assert charger == [["switch", "任天堂", "充电器"]]


NOT_A_MODEL = [
    ("连衣裙 3件 全新", "*bare"),
    ("显示器 用了2年", "*bare"),
    ("书桌 原价299元", "*bare"),
    ("沙发 95新 ¥300", "*bare"),
    ("手机 电池健康 88", "*bare"),
    ("钢琴 88键", "*bare"),
    ("连衣裙 2021款", "=2021年"),
    ("手机 8+128G", "=128g"),
    ("移动硬盘 1024GB", "=1t"),
    ("显示器 27英寸", "=27寸"),
    ("笔记本 13.3寸", "=13寸"),
    ("运动鞋 42.5码", "=42.5码"),
    ("香水 50毫升", "=50ml"),
]


@pytest.mark.parametrize(("title", "term"), NOT_A_MODEL)
def test_numbers_that_name_no_model(analyser: Analyser, title: str, term: str) -> None:
    terms = listing_terms(analyser, title, item_id="1")
    assert term in terms
    assert "*bare" in terms


MODELS_BESIDE_TALK = [
    ("iPhone13包邮", "iphone13"),
    ("小米13个人自用", "小米13"),
    ("荣耀90新机", "荣耀90"),
    ("iPhone 13 手机", "iphone13"),
    ("iphone13电池88 128g", "iphone13"),
    ("红米 note12 12+256 成色好", "note12"),
    ("小米13台版", "小米13"),
    ("iPhone13天蓝色", "iphone13"),
    ("联想 i5 四代", "i5"),
    ("佳能 R6 二代", "r6m2"),
    ("富士 XT30 机身", "xt30"),
]


@pytest.mark.parametrize(("title", "model"), MODELS_BESIDE_TALK)
def test_models_beside_sales_talk(analyser: Analyser, title: str, model: str) -> None:
    terms = listing_terms(analyser, title, item_id="1")
    assert model in terms
    assert "^" in terms


def test_parts_are_of_one_size() -> None:
    sizes = Counter(part_of(str(700_000_000_000 + number)) for number in range(25_600))
    assert sorted(sizes) == list(range(PARTS))
    assert all(60 < size < 140 for size in sizes.values())
    assert part_term(part_of("700000000000")) == f"#{part_of('700000000000'):02x}"


@given(st.text(max_size=400) | st.text("iPhone13 +-小米proMAX二代匹寸g256.#^~=*/", max_size=80))
def test_any_text_has_terms(analyser: Analyser, title: str) -> None:
    terms = listing_terms(analyser, title, item_id="1")
    assert terms == sorted(set(terms))
    assert part_term(part_of("1")) in terms
    assert "" not in terms
    assert sum(term.startswith("^") for term in terms) == 1
    steps = relaxation_steps(analyser, title)
    assert len(steps) <= MAX_STEPS
    assert all(later < sooner for sooner, later in pairwise(steps))
    # Whoever offers the same finds it.
    assert all(step <= frozenset(terms) for step in steps)
