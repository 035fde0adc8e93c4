"""Listings for the demo market's reference prices: a generated feed, imported like one of a crawler."""

import hashlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import exists, select

from app.clock import utcnow
from app.db.transactions import transaction
from app.listings.importer import import_manifest
from app.listings.models import CrawlRun

SOURCE: Final = "demo"
_RUN_ID: Final = "demo-listings"
_LISTINGS_OF_A_MODEL: Final = 48
_WEEKS: Final = 8
"""How far back listings were published."""


class DemoModel(NamedTuple):
    """A thing that many sellers offer: the titles that they give it, its price in fen, and the price's weekly trend."""

    category: str
    titles: tuple[str, ...]
    price: int
    percent_a_week: int = 0


MODELS: Final = (
    DemoModel(
        "手机",
        (
            "iPhone 13 128G 国行 95新",
            "苹果13 128g 自用 无拆修",
            "自用iPhone13 128GB 星光色 电池88%",
            "iphone 13 128G 靓机",
        ),
        256000,
        -1,
    ),
    DemoModel("手机", ("小米14 12+256 国行在保", "小米 14 12+256 白色 99新", "自用小米14 12G+256G 黑色"), 278000, -1),
    DemoModel("数码", ("索尼 A7M3 单机身 快门三万", "Sony a7m3 机身 成色好", "索尼 A7 III 全画幅微单 箱说全"), 789000),
    DemoModel("数码", ("iPad Air 5 64G 国行", "苹果 iPad Air5 64g 深空灰 带笔", "ipad air 5 64GB 无划痕"), 268000),
    DemoModel("家电", ("戴森吹风机 HD03 国行", "Dyson 吹风机 hd03 紫红色 配件全", "戴森 HD03 吹风机 九成新"), 136000),
    DemoModel("玩具乐器", ("雅马哈 F310 民谣吉他", "Yamaha f310 吉他 送琴包", "雅马哈F310 几乎全新"), 51000, 1),
)

NOT_COMPARABLE: Final = (
    ("手机", "iPhone 13 手机壳 防摔", 1500),
    ("手机", "出租 iPhone 13 128G 日租 免押", 2500),
    ("手机", "求购 iPhone 13 128G 高价回收", 100),
    ("手机", "iPhone 13 128G 诚心要的私聊", 9999900),
    ("数码", "索尼 A7M3 电池 充电器", 12000),
    ("数码", "索尼 A7M3 租赁 一天起租", 9900),
)
"""Category, title and price in fen of listings that a reference price has to leave out: accessories, rentals, a buyer,
an absurd price."""


def seed_listings() -> None:
    """Import the demo listings, unless they are there."""
    with transaction() as session:
        if session.scalar(select(exists().where(CrawlRun.run_id == _RUN_ID))):
            return
    now = utcnow().replace(microsecond=0)
    lines = b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in _lines(now))
    with TemporaryDirectory() as folder:
        batch, manifest = Path(folder, "items.jsonl"), Path(folder, "manifest.json")
        batch.write_bytes(lines)
        manifest.write_bytes(orjson.dumps(_manifest(now, batch.name, lines)))
        import_manifest(manifest)


def _manifest(now: datetime, file: str, lines: bytes) -> dict[str, Any]:
    listings = lines.count(b"\n")
    return {
        "format": "saltfish-listings",
        "version": 1,
        "source": SOURCE,
        "run_id": _RUN_ID,
        "spider": "demo",
        "started_at": now,
        "finished_at": now,
        "outcome": "finished",
        "exit_code": 0,
        "counts": {"listings": listings},
        "batches": [
            {"file": file, "listings": listings, "bytes": len(lines), "sha256": hashlib.sha256(lines).hexdigest()}
        ],
    }


def _lines(now: datetime) -> Iterator[dict[str, Any]]:
    generator = random.Random(20261122)  # noqa: S311 - the same demo for everybody
    number = 0
    for model in MODELS:
        for turn in range(_LISTINGS_OF_A_MODEL):
            number += 1
            days_ago = generator.uniform(0, 7 * _WEEKS)
            percent_then = 100 - round(model.percent_a_week * days_ago / 7)
            price = model.price * percent_then * generator.randint(86, 112) // 10_000
            yield _line(now, number, model.category, model.titles[turn % len(model.titles)], price, days_ago)
    for category, title, price in NOT_COMPARABLE:
        number += 1
        yield _line(now, number, category, title, price, generator.uniform(0, 7 * _WEEKS))


def _line(now: datetime, number: int, category: str, title: str, price: int, days_ago: float) -> dict[str, Any]:
    return {
        "source": SOURCE,
        "item_id": str(number),
        "url": f"https://example.org/item?id={number}",
        "title": title,
        "price_fen": price // 100 * 100,
        "price_status": "ok",
        "published_at": now - timedelta(days=days_ago),
        "fetched_at": now,
        "category": category,
        "run_id": _RUN_ID,
    }
