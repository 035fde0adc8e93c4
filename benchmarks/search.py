"""How fast the search index builds and answers: `python -m benchmarks.search --goods 100000`.

Goods and queries are synthetic and seeded. Times are in-process, without HTTP and database. Queries are a mix like
users': most with one or two words, half with a category, a third with a price range; 60 % by relevance, 20 % newest,
20 % by price; one in twenty mistyped, one in twenty in other characters (traditional, full-width).
"""

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.search.documents import Document
from app.search.engine import search
from app.search.index import Changes, SearchIndex
from app.search.snapshot import Filters, SearchSort
from statemachine.good import TradeMode

_BATCH = 1000
_PAGE = 20

# By category: brands, things, models or sizes.
_MARKET: dict[int, tuple[list[str], list[str], list[str]]] = {
    1: (
        ["苹果 iPhone", "华为", "小米", "三星", "荣耀", "OPPO", "vivo", "红米", "一加"],
        ["手机", "5G手机", "拍照手机", "手机壳", "充电器"],
        ["11 64G", "12 128G", "13 128G", "13 Pro 256G", "14 Pro Max 512G", "Mate60 Pro", "S23 Ultra", "Note12"],
    ),
    2: (
        ["索尼", "佳能", "尼康", "大疆", "联想", "戴尔", "任天堂", "罗技", "华硕"],
        ["微单相机", "单反相机", "笔记本电脑", "无人机", "机械键盘", "游戏机", "蓝牙耳机", "显卡", "平板电脑"],
        ["A7M4", "EOS R6", "D850", "Mini 3 Pro", "X1 Carbon", "XPS13", "Switch", "RTX3060", "16G 512G"],
    ),
    3: (
        ["朝阳区", "浦东新区", "天河区", "西湖区", "武侯区", "江汉区"],
        ["单间出租", "一室一厅", "两室一厅", "合租房间", "短租公寓"],
        ["近地铁", "南北通透", "押一付一", "拎包入住", "独立卫浴"],
    ),
    4: (
        ["耐克", "阿迪达斯", "优衣库", "李宁", "始祖鸟", "北面", "匡威", "ZARA"],
        ["连衣裙", "羽绒服", "冲锋衣", "牛仔裤", "跑鞋", "运动鞋", "卫衣", "西装", "半身裙", "T恤"],
        ["S码", "M码", "L码", "XL", "42码", "37.5码", "红色", "黑色", "白色"],
    ),
    5: (
        ["宜家", "无印良品", "全友", "林氏木业", "双立人", "膳魔师"],
        ["沙发", "书桌", "床垫", "台灯", "餐具套装", "收纳柜", "电脑椅", "窗帘", "保温杯"],
        ["1.2米", "1.8米", "实木", "简约", "北欧风", "可拆洗"],
    ),
    6: (
        ["雅诗兰黛", "兰蔻", "迪奥", "香奈儿", "资生堂", "SK-II", "完美日记"],
        ["口红", "粉底液", "面霜", "精华液", "眼影盘", "香水", "防晒霜", "面膜"],
        ["30ml", "50ml", "100ml", "正装", "小样", "999", "全新未拆"],
    ),
    7: (
        ["迪卡侬", "捷安特", "尤尼克斯", "李宁", "凯乐石", "美利达"],
        ["山地自行车", "羽毛球拍", "登山杖", "帐篷", "哑铃", "瑜伽垫", "滑板", "跑步机"],
        ["26寸", "4U", "双人", "10kg", "加厚", "可折叠"],
    ),
    8: (
        ["美的", "海尔", "格力", "戴森", "松下", "飞利浦", "西门子"],
        ["空调", "冰箱", "洗衣机", "电饭煲", "吹风机", "扫地机器人", "空气炸锅", "电视机"],
        ["1.5匹", "260升", "10公斤", "5L", "V12", "HD15", "55寸"],
    ),
    9: (
        ["雅马哈", "卡西欧", "乐高", "万代", "芬达", "泡泡玛特"],
        ["吉他", "电钢琴", "积木", "高达模型", "尤克里里", "手办", "架子鼓", "拼图"],
        ["F310", "P125", "75192", "RG", "23寸", "隐藏款"],
    ),
}
_CONDITIONS = ["全新", "九成新", "几乎全新", "八成新", "仅拆封", "自用", "二手", "闲置"]
_SENTENCES = [
    "自用一年左右,保护得很好,没有磕碰。",
    "买来没用过几次,放着落灰,便宜出了。",
    "功能一切正常,支持当面验货。",
    "配件齐全,包装盒和说明书都在。",
    "非诚勿扰,不议价,谢谢理解。",
    "搬家急出,同城自提优先,也可以发快递。",
    "朋友送的礼物,用不上,专柜正品支持验货。",
    "有轻微使用痕迹,介意勿拍,细节看图。",
    "去年双十一买的,还在保修期内,有发票。",
    "拍下当天发货,顺丰包邮,收到不满意可以退。",
]
_TRADITIONAL = {"手机": "手機", "连衣裙": "連衣裙", "耳机": "耳機", "电脑": "電腦", "冲锋衣": "衝鋒衣", "单反": "單反"}


def goods(count: int, *, seed: int = 4) -> Iterator[Document]:
    """`count` generated goods, the same for the same seed."""
    chance = random.Random(seed)
    for good_id in range(1, count + 1):
        category = chance.choice(list(_MARKET))
        brands, things, models = _MARKET[category]
        words = [chance.choice(_CONDITIONS), chance.choice(brands), chance.choice(things), chance.choice(models)]
        if chance.random() < 0.3:
            chance.shuffle(words)
        title = " ".join(words) if chance.random() < 0.5 else "".join(words)
        if chance.random() < 0.03:
            for plain, traditional in _TRADITIONAL.items():
                title = title.replace(plain, traditional)
        about = f"{chance.choice(brands)}{chance.choice(things)}," + "".join(chance.sample(_SENTENCES, 4))
        yield Document(
            good_id=good_id,
            title=title[:60],
            description=about,
            category=category,
            price=int(10 ** chance.uniform(2.5, 6)),
            published=1_760_000_000 + good_id * 60,
            trade_mode=chance.choice(list(TradeMode)).value,
        )


def queries(count: int, *, seed: int = 5) -> list[tuple[str, Filters, SearchSort]]:
    """`count` generated queries with their filters and sort orders."""
    chance = random.Random(seed)
    asked = []
    for _ in range(count):
        category = chance.choice(list(_MARKET))
        brands, things, models = _MARKET[category]
        words = chance.choices(
            [[things], [brands, things], [brands, models], [brands, things, models]], weights=[4, 3, 2, 1]
        )[0]
        text = " ".join(chance.choice(each) for each in words)
        odd = chance.random()
        if odd < 0.05 and len(text) > 2:
            place = chance.randrange(len(text) - 1)
            text = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        elif odd < 0.1:
            text = "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)
            for plain, traditional in _TRADITIONAL.items():
                text = text.replace(plain, traditional)
        low = int(10 ** chance.uniform(2.5, 5)) if chance.random() < 0.35 else None
        filters = Filters(
            category=category if chance.random() < 0.45 else None,
            price_min=low,
            price_max=None if low is None else low * 10,
        )
        sort = chance.choices(list(SearchSort), weights=[6, 2, 1, 1])[0]
        asked.append((text, filters, sort))
    return asked


def main(arguments: Sequence[str] | None = None) -> None:
    """Build an index, run queries, change goods, and print the times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--goods", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="saltfish-bench-") as folder:
        measured = _measure(Path(folder), goods_count=options.goods, query_count=options.queries)
    table = Table(title=f"search, {options.goods:,} goods, {options.queries:,} queries", show_header=False)
    for name, value in measured.items():
        table.add_row(name, value)
    Console().print(table)


def _measure(folder: Path, *, goods_count: int, query_count: int) -> dict[str, str]:
    index = SearchIndex(folder)
    documents = list(goods(goods_count))
    batches = [documents[start : start + _BATCH] for start in range(0, goods_count, _BATCH)]
    started = time.perf_counter()
    index.rebuild(track(batches, "building", console=Console(stderr=True)), reload=lambda _ids: Changes([], []))
    building = time.perf_counter() - started

    started = time.perf_counter()
    index.snapshot()
    opening = time.perf_counter() - started
    started = time.perf_counter()
    index.snapshot().vocabulary()
    vocabulary = time.perf_counter() - started

    asked = queries(query_count)
    first, empty = _ask(index, asked)
    again, _ = _ask(index, asked)

    changing, seeing = [], []
    for good in goods(20, seed=6):
        started = time.perf_counter()
        with index.writing() as change:
            change(Changes([good], []))
        changing.append(time.perf_counter() - started)
        index.snapshot()
        seeing.append(time.perf_counter() - started)
    status = index.status()
    return {
        "build": f"{goods_count / building:,.0f} goods/s ({building:.1f} s)",
        "size on disk": f"{status.bytes / 1e6:.1f} MB",
        "memory (peak of the process)": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
        "open a snapshot": f"{opening * 1e3:.1f} ms",
        "title vocabulary": f"{len(index.snapshot().vocabulary()):,} words, {vocabulary * 1e3:.0f} ms",
        "queries, each for the first time": _latencies(first),
        "the same again": _latencies(again),
        "queries without a hit": f"{empty / query_count:.1%}",
        "one good changed": f"p50 {np.median(changing) * 1e3:.0f} ms, visible after {np.median(seeing) * 1e3:.0f} ms",
    }


def _ask(index: SearchIndex, asked: list[tuple[str, Filters, SearchSort]]) -> tuple[list[float], int]:
    """Run the queries; the seconds of each, and how many found nothing."""
    seconds, empty = [], 0
    for text, filters, sort in asked:
        started = time.perf_counter()
        found = search(index, text, filters=filters, sort=sort, size=_PAGE)
        seconds.append(time.perf_counter() - started)
        empty += found.page.total == 0
    return seconds, empty


def _latencies(seconds: list[float]) -> str:
    p50, p95, p99 = (np.percentile(seconds, percent) * 1e3 for percent in (50, 95, 99))
    return f"p50 {p50:.2f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms; {len(seconds) / sum(seconds):,.0f}/s"


if __name__ == "__main__":
    main()
