"""Whether people find what they mean: a small market, and for each query the goods that must come first."""

import pytest

from app.search.index import SearchIndex
from tests.search.steps import document, filled, ids

_MARKET = {
    1: ("九成新 苹果 iPhone13 128G 星光色", "自用一年,电池健康 89%"),
    2: ("iPhone 13 Pro 256G 远峰蓝", "国行在保,无磕碰"),
    3: ("蘋果 iPhone 14 Pro Max 512G", "香港行貨,原裝配件齊全"),
    4: ("iPhone13 手机壳 透明防摔", "买错型号,全新"),
    5: ("华为 Mate60 Pro 12+512G", "雅川青,带发票"),
    6: ("HUAWEI P50 8+256", "屏幕完美"),
    7: ("小米 14 Ultra 摄影套装", "徕卡镜头,几乎没用过"),
    8: ("索尼 A7M4 全画幅微单相机", "快门 5000 次"),
    9: ("Canon EOS R6 二代 机身", "箱说全"),
    10: ("任天堂 Switch OLED 日版", "送两个游戏"),
    11: ("PS5 光驱版 国行", "双手柄,玩过两个游戏"),
    12: ("联想 ThinkPad X1 Carbon 笔记本电脑", "i7 16G 512G"),
    13: ("戴尔 XPS13 轻薄本", "笔记本,办公很好用"),
    14: ("机械键盘 樱桃红轴 87 键", "打字手感好"),
    15: ("红色连衣裙 M码 夏季", "只穿过一次"),
    16: ("碎花連衣裙 法式", "L 码,收腰显瘦"),
    17: ("始祖鸟 冲锋衣 男款 L", "防水性能好"),
    18: ("耐克 Air Force 1 运动鞋 42码", "正品,有盒"),
    19: ("Nike 跑鞋 Pegasus 40", "穿过三次"),
    20: ("优衣库 T恤 白色", "全新带吊牌"),
    21: ("捷安特 山地自行车 26寸", "变速灵敏,同城自提"),
    22: ("戴森 V12 吸尘器", "配件齐全"),
    23: ("戴森 吹风机 HD15", "紫红色"),
    24: ("美的 1.5匹 空调 挂机", "制冷好,含拆机"),
    25: ("雅马哈 F310 吉他", "送琴包和变调夹"),
    26: ("尤克里里 23寸 桃花心木", "新手入门"),
    27: ("乐高 75192 千年隼", "已拼,零件齐"),
    28: ("朝阳区 单间出租 近地铁", "独立卫浴,押一付一"),
    29: ("宜家 书桌 白色 120cm", "自提"),
    30: ("实木 书桌 北欧风", "带抽屉"),
    31: ("雅诗兰黛 小棕瓶 精华液 50ml", "专柜正品"),
    32: ("迪奥 口红 999 正红色", "试色一次"),
    33: ("Ｓｏｎｙ ＷＨ－１０００ＸＭ５ 蓝牙耳机", "降噪很好"),
    34: ("罗技 MX Master 3S 鼠标", "办公神器"),
    35: ("二手冰箱 海尔 260升", "运转正常"),
}

_FIRST: dict[str, dict[str, set[int]]] = {
    "model": {"iphone 13": {1, 2, 4}, "mate60": {5}, "a7m4": {8}, "xps13": {13}, "eos r6": {9}, "x1 carbon": {12}},
    "written apart or together": {"iphone13pro": {2}, "iPhone 13Pro": {2}, "ps 5": {11}, "A 7 M 4": {8}},
    "full-width": {"ＩＰｈｏｎｅ１３": {1, 2, 4}, "ｓｏｎｙ 耳机": {33}, "Mate６０": {5}},
    "traditional": {"連衣裙": {15, 16}, "衝鋒衣": {17}, "機械鍵盤": {14}, "藍牙耳機": {33}, "筆記本電腦": {12, 13}},
    "brand in the other script": {"华为": {5, 6}, "佳能": {9}, "耐克": {18, 19}, "dyson": {22, 23}, "lego": {27}},
    "another word for it": {"单车": {21}, "球鞋": {18, 19}, "playstation 5": {11}, "短袖": {20}, "电冰箱": {35}},
    "Latin typo": {"ihpone 14": {3}, "hauwei": {5, 6}, "swicth": {10}, "thinkpda": {12}, "pegasuss": {19}},
    "Chinese typo": {"连衣群": {15, 16}, "冲锋依": {17}, "尤可里里": {26}, "吹风几": {23}, "吸尘气": {22}},
    "one character": {"鞋": {18, 19}},
    "with words that say nothing": {"我想要红色的连衣裙": {15}, "求购华为的手机": {5, 6}},
    "more than there is": {"宜家 书桌 白色 二手": {29}, "索尼 微单相机 镜头 包邮": {8}},
    "description": {"徕卡镜头": {7}, "变调夹": {25}, "电池健康": {1}},
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    index = SearchIndex(tmp_path_factory.mktemp("relevance") / "search")
    return filled(index, *(document(number, *texts) for number, texts in _MARKET.items()))


@pytest.mark.parametrize(
    ("query", "first"),
    [
        pytest.param(query, first, id=f"{kind}: {query}")
        for kind, each in _FIRST.items()
        for query, first in each.items()
    ],
)
def test_what_was_meant_comes_first(market: SearchIndex, query: str, first: set[int]) -> None:
    assert set(ids(market, query)[: len(first)]) == first


@pytest.mark.parametrize("query", ["潜水艇", "1399", "zzz", "空气炸锅烤箱"])
def test_what_is_not_there_is_not_made_up(market: SearchIndex, query: str) -> None:
    assert ids(market, query) == []
