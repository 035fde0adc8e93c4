"""Generated markets: goods with the texts that the site's answers hold, and with the listings that must come of them.

The expected listings are generated together with the texts, never parsed from an answer. Everything follows from seed,
keyword and number of a good, so that the server and a test generate the same market.
"""

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

PAGE_ROWS: Final = 30
SEARCH_API: Final = "mtop.taobao.idlemtopsearch.pc.search"
DETAIL_API: Final = "mtop.taobao.idle.pc.detail"
SUCCESS: Final = "SUCCESS::调用成功"

_NEWEST: Final = datetime(2026, 11, 20, 4, 0, 0, tzinfo=UTC)
_MASK: Final = "[已隐去]"

_MODELS: Final = (
    ("iPhone 13 128G 国行", 2650, "126862528"),
    ("佳能 5D4 单机身", 6400, "1512"),
    ("索尼 A7M3 套机", 7300, "1512"),
    ("Switch OLED 日版", 1450, "50012082"),
    ("RTX 4090 公版显卡", 13500, "50018222"),
    ("ThinkPad X1 Carbon 2021", 4200, "1101"),
    ("AirPods Pro 2 代", 980, "50005051"),
    ("大疆 Mini 3 Pro 带屏遥控", 3300, "124114019"),
)
_BRANDS: Final = (
    "Apple/苹果",
    "Canon/佳能",
    "SONY/索尼",
    "任天堂",
    "NVIDIA/英伟达",
    "Lenovo/联想",
    "DJI/大疆",
    "无印良品/MUJI",
)
_SITE_CONDITIONS: Final = ("全新", "几乎全新", "轻微使用痕迹", "明显使用痕迹", "95新", "9成新", "九成新")
_BESIDE_CONDITIONS: Final = ("无拆修", "128GB", "国行", "使用1年", "有发票")
_CONDITIONS: Final = ("九成新", "几乎全新", "自用一年", "国行在保", "成色如图", "闲置出")
_AREAS: Final = ("上海", "北京", "广东深圳", "浙江杭州", "四川成都", "黑龙江哈尔滨", "新疆维吾尔自治区")


@dataclass(frozen=True, slots=True)
class Text:
    """A text in the answer, and as it must be in the listing."""

    raw: str | None
    expected: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price in the three places of an answer, and as it must be in the listing. A place that is None is absent."""

    parts: tuple[str, ...] | None = None
    sold: str | None = None
    argument: str | None = None
    fen: int | None = None
    raw: str = ""
    status: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """The seller's personal data, which the crawler must not store."""

    nick: str
    number: str
    avatar: str
    mobile: str
    wechat: str

    @property
    def encoded(self) -> str:
        """The number as in `clickParam.args.seller_id`."""
        return base64.b64encode(f"seller-{self.number}".encode()).decode()

    @property
    def personal_data(self) -> tuple[str, ...]:
        """The texts to look for where no personal data may be."""
        return (self.nick, self.number, self.avatar, self.encoded, self.mobile, self.wechat)


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A good of a market: the texts of the answer, and what they must become."""

    number: int
    item_id: str
    title: Text
    description: Text
    price: Price
    original: tuple[str | None, int | None]
    area: str | None
    category: tuple[str | None, str]
    """The category's number, and the name of the argument that holds it."""
    wanted: tuple[str | None, int | None]
    published: datetime
    auction: bool
    advertisement: bool
    seller: Seller
    condition: str | None = None
    brand: str | None = None
    """Only with a condition, as the site shows it."""
    beside_condition: str | None = None
    """A label in the row of condition and brand that is neither."""
    coupon: tuple[str | None, int | None] = (None, None)
    """The label of a coupon, and how much it has taken off the price, in fen."""
    shipping: str = ""
    """How the site says that shipping is free: in `icon`, `label` or `argument`; "" if it is not."""
    status: str = "在线"
    """The status in the item's details: 在线, 已下架 or 卖掉了."""

    def listing(self, keyword: str) -> dict[str, Any]:
        """The listing that a search must bring, without `fetched_at`, `run_id` and the operator's label."""
        return {
            "source": "xianyu",
            "item_id": self.item_id,
            "url": f"https://www.goofish.com/item?id={self.item_id}",
            "title": self.title.expected,
            "description": self.description.expected,
            "price_fen": self.price.fen,
            "price_raw": self.price.raw,
            "price_status": self.price.status,
            "orig_price_fen": self.original[1],
            "coupon_off_fen": None if self.price.fen is None else self.coupon[1],
            "condition": self.condition,
            "brand": self.brand,
            "free_shipping": True if self.shipping else None,
            "area": self.area,
            "category_id": self.category[0],
            "want_count": self.wanted[1],
            "published_at": f"{self.published:%Y-%m-%dT%H:%M:%SZ}",
            "keyword": keyword,
            "flags": [
                *(["advertisement"] if self.advertisement else []),
                *(["auction"] if self.auction else []),
            ],
            "pictures": [],
        }

    @property
    def detail_price(self) -> str:
        """`itemDO.soldPrice`: a number of yuan, "0" if there is no price."""
        yuan, cents = divmod(self.price.fen or 0, 100)
        return f"{yuan}.{cents:02}" if cents else str(yuan)

    def detail_listing(self) -> dict[str, Any]:
        """The listing that the details must bring, without `fetched_at` and `run_id`."""
        said = {"已下架": ["offline"], "卖掉了": ["sold"]}
        return self.listing("") | {
            "price_raw": self.detail_price,
            "price_status": "ok" if self.price.fen else "zero",
            "want_count": self.wanted[1] or 0,
            "coupon_off_fen": None,
            "free_shipping": bool(self.shipping),
            "keyword": None,
            "flags": said.get(self.status, []),
        }


def _yuan(amount: int) -> str:
    return f"{amount:,}"


def _prices(rng: Random, amount: int) -> Price:
    """A price of about `amount` yuan, in one of the ways in which the site writes prices; or none."""
    cents = rng.randrange(1, 100)
    hundreds = rng.randrange(101, 999)  # as in 1.23万
    plain = Price(parts=("¥", str(amount)), sold=str(amount), argument=str(amount), fen=amount * 100, raw=f"¥{amount}")
    ways = (
        (60, plain),
        (
            10,
            Price(
                parts=("¥", str(amount), f".{cents:02}"),
                sold=f"{amount}.{cents:02}",
                argument=f"{amount}.{cents:02}",
                fen=amount * 100 + cents,
                raw=f"¥{amount}.{cents:02}",
            ),
        ),
        (4, Price(parts=("¥", str(amount), ".5"), sold="1", fen=amount * 100 + 50, raw=f"¥{amount}.5")),
        (
            5,
            Price(
                parts=("¥", f"{hundreds / 100:.2f}", "万"),
                sold="1",
                fen=hundreds * 10_000,
                raw=f"¥{hundreds / 100:.2f}万",
            ),
        ),
        (3, Price(parts=("1.2万",), fen=1_200_000, raw="1.2万")),
        (5, Price(parts=(f"当前价¥{_yuan(amount)}",), fen=amount * 100, raw=f"当前价¥{_yuan(amount)}")),
        (
            2,
            Price(parts=("当前价", "¥", _yuan(amount), ".50"), fen=amount * 100 + 50, raw=f"当前价¥{_yuan(amount)}.50"),
        ),
        (2, Price(parts=("￥", str(amount)), fen=amount * 100, raw=f"￥{amount}")),
        (3, Price(parts=None, sold=f"{amount}.00", fen=amount * 100, raw=f"{amount}.00")),
        (3, Price(parts=None, argument=str(amount), fen=amount * 100, raw=str(amount))),
        (3, Price(parts=("面议",), sold="0", raw="面议", status="negotiable")),
        (3, Price(parts=("¥", "0"), sold="0", argument="0", raw="¥0", status="zero")),
        (2, Price(parts=None, sold="0", raw="0", status="zero")),
        (3, Price(status="missing")),
        (2, Price(parts=("¥", "100-200"), raw="¥100-200", status="unreadable")),
        (1, Price(parts=("¥", "1.234"), raw="¥1.234", status="unreadable")),
    )
    return rng.choices([price for _, price in ways], [weight for weight, _ in ways])[0]


def _title(rng: Random, model: str, condition: str, seller: Seller, keyword: str) -> Text:
    said = f"{condition} {model} {keyword}"
    long = ((said + ",功能一切正常,支持当面验货,不退不换。") * 60)[:1499] + "完"
    return rng.choices(
        (
            Text(said, said),
            Text(f"📷{said}🇨🇳👨‍👩‍👧 𠮷祥", f"📷{said}🇨🇳👨‍👩‍👧 𠮷祥"),
            Text(f"{condition}\n{model} {keyword}", said),
            Text(f"{condition}\r\n{model} {keyword}", said),
            Text(f"{condition} {model}\x00 {keyword}\x07\x1b", said),
            Text(f"  {said}\n", said),
            Text(long, long),
            Text(f"<b>{said}</b> & \"好\" \\ '价' &amp;", f"<b>{said}</b> & \"好\" \\ '价' &amp;"),
            Text(f"{said} 电话{seller.mobile}", f"{said} 电话{_MASK}"),
        ),
        (60, 8, 5, 3, 4, 3, 4, 5, 8),
    )[0]


def _description(rng: Random, title: Text, seller: Seller) -> Text:
    return rng.choices(
        (
            Text(None, None),
            Text(title.raw, None),
            Text(
                f"{title.expected}\n买来没怎么用,\n支持同城面交。", f"{title.expected}\n买来没怎么用,\n支持同城面交。"
            ),
            Text(f"换机出。😀\n联系{seller.mobile},\n非诚勿扰", f"换机出。😀\n联系{_MASK},\n非诚勿扰"),
            Text(f"可小刀。微信:{seller.wechat}", f"可小刀。微信:{_MASK}"),
        ),
        (15, 25, 40, 10, 10),
    )[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The goods found with one keyword. Their numbers are 1 to `items`; the highest is the newest good.

    `revisions` says how often the price of a good has changed, by its number. `pictures` is the URL of the pictures'
    folder: `//host/folder` or `http://host/folder`.
    """

    keyword: str
    items: int
    seed: int = 1
    revisions: Mapping[int, int] = field(default_factory=dict)
    pictures: str = "http://img.alicdn.com/bao/uploaded/i1"

    @property
    def pages(self) -> int:
        """The number of pages, of 30 rows each; at least 1."""
        return max(-(-self.items // PAGE_ROWS), 1)

    def numbers(self, page: int, *, overlap: int = 0) -> range:
        """The numbers of a page's goods, newest first. It begins with the last `overlap` goods of the page before."""
        first = self.items - (page - 1) * (PAGE_ROWS - overlap)
        return range(first, max(first - PAGE_ROWS, 0), -1)

    def item_id(self, number: int) -> str:
        """The id of the good with this number. Goods of other keywords have other ids."""
        return str(700_000_000_000 + zlib.crc32(self.keyword.encode()) % 1_000_000 * 100_000 + number)

    def good(self, number: int) -> Good:
        """The good with this number."""
        rng = Random(f"{self.seed}:{self.keyword}:{number}")
        model, yuan, category = rng.choice(_MODELS)
        seller_number = str(rng.randrange(2_200_000_000_000, 2_300_000_000_000))
        seller = Seller(
            nick=f"小鱼{rng.randrange(10**9, 10**10)}号",
            number=seller_number,
            avatar=f"O1CN01{rng.randrange(10**9, 10**10)}",
            mobile=f"{rng.choice(('138', '159', '186', '199'))}{rng.randrange(10**7, 10**8)}",
            wechat=f"fish_{rng.randrange(10**7, 10**8)}",
        )
        title = _title(rng, model, rng.choice(_CONDITIONS), seller, self.keyword)
        wanted = rng.randrange(1, 900)
        tenths = rng.randrange(11, 99)
        price = _prices(rng, max(round(yuan * rng.uniform(0.7, 1.3)), 1))
        labels = Random(f"labels:{self.seed}:{self.keyword}:{number}")
        condition = labels.choice((*_SITE_CONDITIONS, None, None))
        off = labels.randrange(1, 100)
        if revision := self.revisions.get(number):
            price = Price(parts=("¥", str(1000 + revision)), fen=(1000 + revision) * 100, raw=f"¥{1000 + revision}")
        return Good(
            number=number,
            item_id=self.item_id(number),
            title=title,
            description=_description(rng, title, seller),
            price=price,
            original=rng.choice(((None, None), ("¥6999", 699_900), ("¥1.5万", 1_500_000), ("¥12,888", 1_288_800))),
            area=rng.choice((*_AREAS, None)),
            category=rng.choice(((category, "tbCatId"), (category, "tbCatId"), (category, "catId"), (None, ""))),
            wanted=rng.choices(
                ((None, None), (f"{wanted}人想要", wanted), (f"{tenths / 10}万人想要", tenths * 1000)), (50, 45, 5)
            )[0],
            published=_NEWEST - timedelta(seconds=(6000 - number) * 601, milliseconds=-rng.randrange(1000)),
            auction=rng.random() < 0.03,
            advertisement=rng.random() < 0.05,
            seller=seller,
            condition=condition,
            brand=labels.choice((*_BRANDS, None)) if condition else None,
            beside_condition=labels.choice((*_BESIDE_CONDITIONS, None)) if condition else None,
            coupon=labels.choices(((None, None), (f"券已抵{off}元", off * 100), (f"领券减{off}", None)), (80, 12, 8))[
                0
            ],
            shipping=labels.choice(("", "", "icon", "label", "argument")),
            status=rng.choices(("在线", "已下架", "卖掉了"), (6, 2, 2))[0],
        )

    def goods(self) -> Iterator[Good]:
        """All goods, newest first."""
        return map(self.good, range(self.items, 0, -1))

    def listings(self) -> dict[str, dict[str, Any]]:
        """The listings that a complete crawl must bring, by item id."""
        return {good.item_id: good.listing(self.keyword) for good in self.goods()}
