"""A market to measure on: written as rows, because releasing thousands of goods through the services takes minutes."""

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice, product
from typing import Any, Final

from flask_jwt_extended import create_access_token
from sqlalchemy import Connection, insert

from app.accounts.models import Address, LoginSession, User
from app.categories import Category
from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good, Picture
from app.ledger.models import SLOTS, USER_KINDS, AccountKind, LedgerAccount
from app.orders.models import Order
from statemachine import ORDER, GoodStatus, TradeMode

_SELLERS = 50
_BUYERS = 64
_PICTURES_PER_GOOD = 3
_TOKEN_LIFETIME = timedelta(hours=6)

_CONDITIONS: Final = ("全新", "九成新", "八成新", "几乎没用过的", "换新出", "搬家转")
_THINGS: Final[dict[Category, tuple[str, ...]]] = {
    Category.PHONE: ("iPhone 13 128G", "华为 Mate 60", "小米 14 手机"),
    Category.DIGITAL: ("索尼降噪耳机", "佳能单反相机", "机械键盘", "显示器 27 寸"),
    Category.RENTAL: ("单间出租", "次卧转租"),
    Category.CLOTHES: ("羽绒服", "红色连衣裙", "运动鞋 42 码"),
    Category.HOME: ("实木书桌", "人体工学椅", "落地台灯"),
    Category.BEAUTY: ("香水 50ml", "电动牙刷"),
    Category.SPORTS: ("公路自行车", "羽毛球拍", "瑜伽垫"),
    Category.APPLIANCES: ("滚筒洗衣机", "空气炸锅", "扫地机器人"),
    Category.TOYS_AND_INSTRUMENTS: ("民谣吉他", "乐高积木", "电子琴 61 键"),
}
QUERIES: Final = ("iphone 13", "耳机", "连衣裙", "书桌", "自行车", "吉他 九成新", "手机", "显示器 27 寸", "键盘")
"""What people look for; every one has hits."""


@dataclass(frozen=True, slots=True)
class Trader:
    """A user who is logged in and has an address."""

    user_id: int
    token: str
    address_id: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A good on sale, whose it is, and who is going to buy it."""

    good_id: int
    seller: Trader
    buyer: Trader


@dataclass(frozen=True, slots=True)
class Market:
    """What requests need: goods that anybody may read, and a token of the buyer of all orders."""

    good_ids: list[int]
    buyer_token: str


def fill(*, goods: int, orders: int) -> Market:
    """Write `goods` published goods with pictures, and `orders` further ones that one buyer has ordered.

    Needs an application context and an empty database that has the tables. The same numbers give the same market.
    """
    chance = random.Random(goods)
    now = utcnow()
    with db.engine.begin() as connection:
        buyer_id, *seller_ids = _insert(connection, User, [_user(number, now) for number in range(_SELLERS + 1)])
        endless = _goods(seller_ids, chance, now)
        ordered = [good | {"status": GoodStatus.IN_TRADE} for good in islice(endless, orders)]
        ordered_ids = _insert(connection, Good, ordered)
        good_ids = _insert(connection, Good, list(islice(endless, goods)))
        picture_ids = _insert(
            connection,
            Picture,
            [
                _picture(good_id, position, now)
                for good_id in (*ordered_ids, *good_ids)
                for position in range(_PICTURES_PER_GOOD)
            ],
        )
        connection.execute(insert(LoginSession), [_session(buyer_id, now)])
        _insert(
            connection,
            Order,
            [
                _order(number, good | {"id": good_id, "picture_id": picture_id}, buyer_id, now)
                for number, (good, good_id, picture_id) in enumerate(
                    zip(ordered, ordered_ids, picture_ids[::_PICTURES_PER_GOOD], strict=False)
                )
            ],
        )
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")  # or autovacuum does it in the middle of a round
    return Market(good_ids, _token(buyer_id))


def fill_trades(count: int) -> list[Trade]:
    """Write `count` goods on sale; each trade is by the next of many sellers and the next of many buyers.

    The ledger has all accounts that they will need, as it has after the first days. Needs an application context.
    """
    chance = random.Random(count)
    now = utcnow()
    with db.engine.begin() as connection:
        sellers, buyers = _traders(connection, _SELLERS, now), _traders(connection, _BUYERS, now)
        goods = [
            good | {"owner_id": seller.user_id, "trade_mode": TradeMode.COURIER}
            for good, seller in zip(islice(_goods([0], chance, now), count), cycle(sellers), strict=False)
        ]
        good_ids = _insert(connection, Good, goods)
        _insert(connection, Picture, [_picture(good_id, 0, now) for good_id in good_ids])
        _insert(connection, LedgerAccount, list(_accounts(sellers)))
    return [
        Trade(good_id, seller, buyer)
        for good_id, seller, buyer in zip(good_ids, cycle(sellers), cycle(buyers), strict=False)
    ]


def _accounts(sellers: list[Trader]) -> Iterator[dict[str, Any]]:
    for kind in AccountKind:
        owners = [(seller.user_id, 0) for seller in sellers] if kind in USER_KINDS else product([None], range(SLOTS))
        for user_id, slot in owners:
            yield {"kind": kind.value, "user_id": user_id, "slot": slot, "balance": 0}


def _traders(connection: Connection, count: int, now: datetime) -> list[Trader]:
    prefix = secrets.token_hex(4)
    user_ids = _insert(connection, User, [_user(f"{prefix}{number}", now) for number in range(count)])
    addresses = [
        {**_ADDRESS, "user_id": user_id, "is_default": True, "created_at": now, "updated_at": now}
        for user_id in user_ids
    ]
    address_ids = _insert(connection, Address, addresses)
    connection.execute(insert(LoginSession), [_session(user_id, now) for user_id in user_ids])
    return [
        Trader(user_id, _token(user_id), address_id) for user_id, address_id in zip(user_ids, address_ids, strict=True)
    ]


def _token(user_id: int) -> str:
    token: str = create_access_token(
        identity=str(user_id), additional_claims={"session": _session_id(user_id)}, expires_delta=_TOKEN_LIFETIME
    )
    return token


def _session(user_id: int, now: datetime) -> dict[str, Any]:
    return {
        "id": _session_id(user_id),
        "user_id": user_id,
        "generation": 0,
        "refresh_jti": "benchmark",
        "created_at": now,
        "refreshed_at": now,
        "expires_at": now + _TOKEN_LIFETIME,
    }


def _session_id(user_id: int) -> str:
    return f"benchmark-{user_id}"


def _insert(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> list[int]:
    statement = insert(model).returning(model.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _user(suffix: int | str, now: datetime) -> dict[str, Any]:
    name = f"bench{suffix}"
    return {
        "username": name,
        "username_key": name,
        "password_hash": "!",  # nobody logs in with it
        "bio": "",
        "is_staff": False,
        "created_at": now,
    }


def _goods(seller_ids: list[int], chance: random.Random, now: datetime) -> Iterator[dict[str, Any]]:
    kinds = [(category, thing) for category, things in _THINGS.items() for thing in things]
    for condition, (category, thing) in cycle(product(_CONDITIONS, kinds)):
        price = chance.randrange(1_000, 800_000)
        published = now - timedelta(seconds=chance.randrange(30 * 86_400))
        more = "同城可自提,诚心要可小刀。" * chance.randrange(5)
        yield {
            "owner_id": chance.choice(seller_ids),
            "title": f"{condition}{thing}",
            "description": f"{condition}{thing},自用,功能正常,配件齐全。{more}",
            "price": price,
            "original_price": price * 2,
            "freight": chance.choice((0, 1_000, 1_200)),
            "category": category,
            "trade_mode": chance.choice((TradeMode.COURIER, TradeMode.ANY)),
            "status": GoodStatus.PUBLISHED,
            "deleted": False,
            "revision": 1,
            "published_at": published,
            "created_at": published,
            "updated_at": published,
        }


def _picture(good_id: int, position: int, now: datetime) -> dict[str, Any]:
    return {
        "good_id": good_id,
        "position": position,
        "sha256": f"{good_id:060x}{position:04x}",
        "content_type": "image/jpeg",
        "size": 120_000,
        "width": 1280,
        "height": 960,
        "created_at": now,
    }


_ADDRESS: Final = {
    "name": "王小明",
    "mobile": "13800138000",
    "province": "浙江省",
    "city": "杭州市",
    "district": "余杭区",
    "detail": "文一西路 969 号",
}


def _order(number: int, good: dict[str, Any], buyer_id: int, now: datetime) -> dict[str, Any]:
    return {
        "order_no": f"B{number:020d}",
        "good_id": good["id"],
        "buyer_id": buyer_id,
        "seller_id": good["owner_id"],
        "good_title": good["title"],
        "good_picture_id": good["picture_id"],
        "price": good["price"],
        "freight": good["freight"],
        "amount": good["price"] + good["freight"],
        "trade_mode": TradeMode.COURIER,
        "bill_status": ORDER.start.bill,
        "order_status": ORDER.start.goods,
        "closed": False,
        "address": _ADDRESS,
        "phase_since": now,
        "created_at": now,
        "updated_at": now,
    }
