"""A generated market of which the true prices are known: things, what their sellers write, and what else is on sale.

Every fourth listing is something else under the same name. What those say was written without a look at the words that
`app.listings.flags` knows; some say nothing at all that would tell.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

NOW: Final = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)

_SPREAD: Final = 0.12
"""Standard deviation of the logarithm of what different sellers ask for the same thing."""
_NOISE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that many sell. `price`: what it is worth in yuan, of the first of its `sizes` where it has some.

    `asked` is what a seller would call it, `names` are what all others do.
    """

    asked: str
    price: int
    label: str
    names: tuple[str, ...]
    sizes: tuple[tuple[str, float], ...] = ()
    drift: float = 0.0  # how its price changes in a week

    @property
    def title(self) -> str:
        """The title of somebody who sells it."""
        return f"{self.asked} {self.sizes[0][0]}" if self.sizes else self.asked


_PHONE: Final = (("128G", 1.0), ("256G", 1.12), ("512G", 1.3))
_ANDROID: Final = (("12+256", 1.0), ("8+128G", 0.9), ("12G+512G", 1.12))


def _apple(number: str, price: int, kind: str = "") -> Thing:
    glued = kind.replace(" ", "").lower()
    behind = f" {kind}" if kind else ""
    names = (
        f"iPhone {number}{behind}",
        f"iPhone{number}{glued}",
        f"苹果{number}{behind}",
        f"苹果手机 {number}{behind.lower()}",
        f"蘋果 iPhone {number}{behind}",
        f"Apple iPhone {number}{glued}",
    )
    return Thing(f"自用 iPhone {number}{behind}", price, "手机", names, _PHONE)


def _android(brands: Sequence[str], model: str, price: int, *, between: str = "") -> Thing:
    lower = model.lower().replace(" ", "")
    names = tuple(f"{brand}{gap}{each}" for brand in brands for gap in ("", " ") for each in (model, lower))
    return Thing(f"{brands[0]}{between}{model} 95新", price, "手机", names, _ANDROID)


THINGS: Final = (
    _apple("12", 1700),
    _apple("13", 2600),
    _apple("13", 2150, "mini"),
    _apple("13", 3500, "Pro"),
    _apple("13", 4200, "Pro Max"),
    _apple("14", 3300),
    _apple("14", 3050, "Plus"),
    _apple("14", 4700, "Pro"),
    _android(("小米", "xiaomi"), "12", 1450),
    _android(("小米", "xiaomi", "小米手机"), "13", 2100),
    _android(("小米", "Xiaomi"), "13 Pro", 2700),
    _android(("小米",), "13 Ultra", 3600, between=" "),
    _android(("红米", "Redmi"), "K60", 1350),
    _android(("红米", "redmi"), "K60 Pro", 1750),
    _android(("红米", "Redmi"), "Note 12", 620),
    _android(("红米", "Redmi"), "Note 12 Pro", 880),
    _android(("华为", "HUAWEI", "華為"), "Mate 60", 3400, between=" "),
    _android(("华为", "huawei"), "Mate 60 Pro", 4500),
    _android(("三星", "Samsung", "三星Galaxy"), "S23", 2500),
    _android(("三星", "samsung"), "S23 Ultra", 4100),
    _android(("荣耀", "honor"), "50", 780),
    _android(("荣耀", "HONOR"), "90", 1280),
    Thing("索尼 A7M3 机身", 5900, "数码", ("索尼 A7M3", "sony a7m3", "索尼A7 III", "索尼 a7iii 微单", "A7M3 索尼")),
    Thing("索尼 A7M4 单机身", 11800, "数码", ("索尼 A7M4", "sony a7m4", "索尼A7 IV", "索尼 a7iv 微单", "A7M4 全画幅")),
    Thing("索尼a7r3", 7600, "数码", ("索尼 A7R3", "sony a7r iii", "索尼A7RM3", "a7r3 索尼微单")),
    Thing("佳能 5D4 单反", 7300, "数码", ("佳能 5D4", "Canon EOS 5D Mark IV", "佳能5d4 机身", "佳能 5D mark4")),
    Thing("佳能 5D3 单反相机", 3300, "数码", ("佳能 5D3", "canon 5D Mark III", "佳能5d3机身", "佳能 EOS 5D3")),
    Thing("富士 X100V", 8200, "数码", ("富士 X100V", "fujifilm x100v", "富士x100v 相机", "FUJIFILM X-100V")),
    Thing(
        "任天堂 Switch 游戏机",
        980,
        "数码",
        ("任天堂 Switch", "任天堂switch 续航版", "Nintendo Switch", "NS switch 日版"),
    ),
    Thing(
        "Switch OLED 任天堂",
        1420,
        "数码",
        ("任天堂 Switch OLED", "switch oled", "NS OLED 日版", "Nintendo Switch OLED"),
    ),
    Thing("Switch Lite", 720, "数码", ("任天堂 Switch Lite", "switch lite", "NS lite", "Nintendo Switch lite 掌机")),
    Thing(
        "RTX3060 12G 显卡",
        1500,
        "数码",
        ("RTX 3060 12G", "技嘉 RTX3060 12G", "七彩虹 3060 12G 显卡", "微星rtx3060 12g"),
    ),
    Thing(
        "rtx 3060 ti 显卡", 1900, "数码", ("RTX 3060 Ti", "技嘉 RTX3060Ti 8G", "七彩虹 3060ti 显卡", "微星rtx3060 ti")
    ),
    Thing("RTX 4060 显卡", 2150, "数码", ("RTX 4060", "技嘉 RTX4060 8G", "七彩虹 4060 显卡", "华硕rtx4060")),
    Thing("1660 Super 显卡", 760, "数码", ("GTX 1660 Super", "技嘉 1660s", "1660super 6g 显卡", "影驰gtx1660s")),
    Thing("索尼 WH-1000XM4", 1150, "数码", ("索尼 WH-1000XM4", "sony wh1000xm4", "索尼1000XM4 降噪耳机", "WH1000XM4")),
    Thing(
        "索尼 wh1000xm5 耳机", 1650, "数码", ("索尼 WH-1000XM5", "sony wh1000xm5", "索尼1000XM5 头戴耳机", "WH1000XM5")
    ),
    Thing("AirPods 2", 480, "数码", ("AirPods 2", "苹果airpods2", "Apple AirPods 二代", "airpods2代")),
    Thing("AirPods Pro 2", 1050, "数码", ("AirPods Pro 2", "苹果airpods pro2", "AirPods Pro二代", "airpodspro 2代")),
    Thing("iPad mini 6", 2500, "数码", ("iPad mini 6", "苹果ipad mini6", "ipadmini6", "iPad Mini 6代"), _PHONE),
    Thing("iPad Air 5", 2950, "数码", ("iPad Air 5", "苹果ipad air5", "iPadAir5", "ipad air 5代"), _PHONE),
    Thing("MacBook Air M1", 3900, "数码", ("MacBook Air M1", "苹果 macbook air m1", "Apple MacBookAir M1")),
    Thing("大疆 Mini 3", 1900, "数码", ("大疆 Mini 3", "DJI mini3 无人机", "大疆mini 3 单机版")),
    Thing("大疆 Mini 3 Pro", 3300, "数码", ("大疆 Mini 3 Pro", "DJI mini3pro 无人机", "大疆mini 3 pro")),
    Thing("戴森 V8 吸尘器", 780, "家电", ("戴森 V8", "dyson v8 吸尘器", "戴森v8 无线吸尘器", "Dyson V8")),
    Thing("戴森 V10 吸尘器", 1250, "家电", ("戴森 V10", "dyson v10 吸尘器", "戴森v10 无线吸尘器", "Dyson V10")),
    Thing("格力空调 1.5匹", 1300, "家电", ("格力 1.5匹 空调", "格力空调 1.5匹 变频", "格力 挂机空调 1.5 匹")),
    Thing("格力空调 3匹", 3100, "家电", ("格力 3匹 空调", "格力空调 3匹 柜机", "格力 立式空调 3 匹")),
    Thing("捷安特 山地自行车", 900, "运动", ("捷安特 山地自行车", "捷安特自行车 山地", "捷安特 山地单车")),
    Thing("捷安特 ATX770", 1700, "运动", ("捷安特 ATX770", "捷安特atx 770 山地车", "Giant 捷安特 ATX-770")),
    Thing(
        "雅马哈 P125 电钢琴", 2700, "玩具乐器", ("雅马哈 P125", "yamaha p-125 电钢琴", "雅马哈P125 88键", "雅馬哈 P125")
    ),
    Thing("雅马哈 P45 电钢琴", 1650, "玩具乐器", ("雅马哈 P45", "yamaha p-45 电钢琴", "雅马哈P45 88键", "雅馬哈 P45")),
    Thing("雅马哈 立式钢琴", 9800, "玩具乐器", ("雅马哈 立式钢琴", "雅马哈钢琴 立式", "YAMAHA 立式钢琴")),
    Thing("乐高 75192", 4300, "玩具乐器", ("乐高 75192", "LEGO 75192 千年隼", "乐高75192 星战")),
    Thing(
        "优衣库 连衣裙", 85, "服装", ("优衣库 连衣裙", "UNIQLO 优衣库 连衣裙", "优衣库碎花连衣裙", "优衣库 法式连衣裙")
    ),
    Thing("始祖鸟 冲锋衣", 2200, "服装", ("始祖鸟 冲锋衣", "始祖鸟冲锋衣 男款", "始祖鸟 硬壳冲锋衣")),
    Thing("宜家 书桌", 260, "居家", ("宜家 书桌", "宜家书桌 白色", "IKEA 宜家 书桌 实木")),
    Thing("宜家 沙发", 900, "居家", ("宜家 沙发", "宜家沙发 双人", "IKEA 宜家 布艺沙发")),
)

RARE: Final = (
    Thing("努比亚 Z60 Ultra", 2700, "手机", ("努比亚 Z60 Ultra", "nubia z60ultra")),
    Thing("理光 GR3x", 6100, "数码", ("理光 GR3x", "ricoh gr3x")),
    Thing("施坦威 三角钢琴", 380000, "玩具乐器", ("施坦威 三角钢琴",)),
)
"""Things of which there are five each."""
RARE_COUNT: Final = 5

_TALK: Final = (
    *("自用", "国行", "99新", "95新", "九成新", "几乎全新", "无拆修", "成色好", "包邮", "可小刀", "急出", "箱说全"),
    *(
        "电池健康 91%",
        "电池效率88",
        "带盒",
        "配件齐全",
        "支持验货",
        "不议价",
        "闲置转让",
        "女生自用",
        "黑色",
        "白色",
        "功能正常",
    ),
    *(
        "个人闲置",
        "无磕碰",
        "在保",
        "去年双十一买的",
        "换新出",
        "顺丰包邮",
        "走平台",
        "✨",
        "🔥急🔥",
        "送膜送壳",
        "同城面交",
    ),
)
_ACCESSORIES: Final = (
    *(
        "{} 手机壳",
        "适用于{} 的保护壳",
        "{} 钢化膜 三片",
        "{} 原装充电器",
        "{} 数据线 充电头",
        "{} 皮套",
        "{} 支架 配件",
    ),
    *("{} 电池 全新", "{} 收纳包", "{} 空盒 只有盒子", "{} 包装盒", "{} 屏幕总成", "{} 说明书", "{} 替换零件"),
)
_RENTALS: Final = ("{} 出租 按天", "租 {} 免押金", "{} 短租长租都可以", "出租{} 一天50", "{} 租赁 同城")
_WANTED: Final = ("求购 {}", "收一台{}", "高价收 {}", "求购{} 有的联系", "收 {} 个人自用")
_BROKEN: Final = ("{} 不开机 当配件卖", "{} 碎屏 修机佬来", "{} 主板坏了", "{} 坏的 拆件")
_SILENT: Final = ("{} 看图", "{} 详情看描述", "{} 便宜出", "{}")
"""They say nothing; what it is one sees only in the picture."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One listing, and what it is: the thing (its number and size), or none."""

    line: dict[str, Any]
    thing: int | None
    size: int


def offers(count: int, *, seed: int = 7, now: datetime = NOW) -> Iterator[Offer]:
    """`count` listings, as evenly over all things as it goes, and a few rare ones; the same for the same seed."""
    chance = random.Random(seed)
    rare = [(-1 - number, thing) for number, thing in enumerate(RARE) for _ in range(RARE_COUNT)]
    for number in range(count):
        which, thing = rare[number] if number < len(rare) else (number % len(THINGS), THINGS[number % len(THINGS)])
        size = chance.choices(range(3), weights=[5, 3, 2])[0] if thing.sizes else 0
        name = chance.choice(thing.names)
        noise = number >= len(rare) and chance.random() < _NOISE
        age = chance.uniform(0, 56)
        worth = thing.price * (1 + thing.drift * (28 - age) / 7)
        if noise:
            if thing.sizes and chance.random() < 0.7:
                name = f"{name} {thing.sizes[size][0]}"
            title, yuan = _something_else(chance, name, worth)
        else:
            if thing.sizes:
                name = f"{name} {thing.sizes[size][0]}"
                worth *= thing.sizes[size][1]
            title, yuan = _title(chance, name), worth * chance.lognormvariate(0, _SPREAD)
        yield Offer(
            _line(number, title, max(1, round(yuan)), thing.label, age, now, chance), None if noise else which, size
        )


def _title(chance: random.Random, name: str) -> str:
    words = chance.sample(_TALK, chance.randint(1, 4))
    words.insert(chance.randint(0, len(words)), name)
    title = (" " if chance.random() < 0.7 else ",").join(words)
    odd = chance.random()
    if odd < 0.03:
        return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in title)
    if odd < 0.05 and len(title) > 4:  # a slip of the finger
        place = chance.randrange(len(title) - 1)
        return title[:place] + title[place + 1] + title[place] + title[place + 2 :]
    return title


def _something_else(chance: random.Random, name: str, worth: float) -> tuple[str, float]:
    kind = chance.choices(range(7), weights=[8, 3, 3, 2, 3, 3, 3])[0]
    if kind == 0:
        return chance.choice(_ACCESSORIES).format(name), worth * chance.uniform(0.005, 0.06)
    if kind == 1:
        return chance.choice(_RENTALS).format(name), worth * chance.uniform(0.01, 0.05)
    if kind == 2:
        return chance.choice(_WANTED).format(name), worth * chance.uniform(0.4, 0.9)
    if kind == 3:
        return chance.choice(_BROKEN).format(name), worth * chance.uniform(0.1, 0.35)
    if kind == 4:
        return _title(chance, name), 1
    if kind == 5:
        return _title(chance, name), 99999
    return chance.choice(_SILENT).format(name), worth / 50


def _line(
    number: int, title: str, yuan: int, label: str, age: float, now: datetime, chance: random.Random
) -> dict[str, Any]:
    published = now - timedelta(days=age)
    return {
        "source": "xianyu",
        "item_id": str(700_000_000_000 + number),
        "url": f"https://www.goofish.com/item?id={700_000_000_000 + number}",
        "title": title,
        "description": None,
        "price_fen": yuan * 100,
        "price_raw": f"¥{yuan}",
        "price_status": "ok",
        "orig_price_fen": None,
        "area": "上海",
        "category_id": None,
        "want_count": None,
        "published_at": published.isoformat(timespec="seconds"),
        "fetched_at": now.isoformat(timespec="seconds"),
        "keyword": None,
        "category": label if chance.random() < 0.8 else None,
        "flags": [],
        "pictures": [],
        "run_id": "run-1",
    }
