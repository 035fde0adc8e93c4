"""The site's answers, rendered from a market. They are as large as the real ones: about 300 KB for 30 rows."""

import base64
from collections.abc import Iterable
from random import Random
from typing import Any, Final
from urllib.parse import quote

from tests.crawler.goofish.generated_market import DETAIL_API, SEARCH_API, SUCCESS, Good, Market

_NOISE: Final = base64.b64encode(Random(20261122).randbytes(60_000)).decode()
_OTHER_TAGS: Final = (
    "卖家信用极好",
    "3小时前发布",
    "降价200元",
    "累计降价27%",
    "验货宝",
    "12人小刀",
    "回头客超99%的卖家",
)


def _noise(rng: Random, length: int) -> str:
    start = rng.randrange(len(_NOISE) - length)
    return _NOISE[start : start + length]


def _picture(market: Market, good: Good) -> str:
    return f"{market.pictures}/{good.seller.avatar}_!!{good.seller.number}-0-xy_item_{good.number}.jpg"


def _target(rng: Random, good: Good) -> str:
    return rng.choice(
        (
            f"fleamarket://item?id={good.item_id}&referPageArgs={_noise(rng, 60)}&gulSource=search",
            f"fleamarket://awesome_detail?itemId={good.item_id}&hitNativeDetail=true",
            f"fleamarket://x_opaque/{_noise(rng, 40)}",
        )
    )


def _tags(rng: Random, good: Good) -> dict[str, Any]:
    """The rows of tags differ from good to good: what counts may be in any of them, or in none."""
    contents = [[content] for content in rng.sample(_OTHER_TAGS, 3)]
    properties = [text for text in (good.condition, good.brand, good.beside_condition) if text is not None]
    shipping = {"icon": "freeShippingIcon", "label": "包邮"}.get(good.shipping)
    said = (good.wanted[0], good.coupon[0], shipping)
    for row in (properties, *([text] for text in said if text is not None)):
        if row:
            contents.insert(rng.randrange(len(contents) + 1), row)
    rows: dict[str, Any] = {}
    for number, texts in zip(rng.sample(range(1, 9), len(contents)), contents, strict=True):
        tags = [
            {
                "data": {"content": text, "type": "text", "bgColor": "#FFFFFF", "labelId": str(rng.randrange(10**6))},
                "utParams": {"args": {"serviceUtParams": _noise(rng, 120)}},
            }
            for text in texts
        ]
        rows[f"r{number}"] = {"config": {"mutualLabelBottomMargin": "4"}, "tagList": tags}
    return rows


def row(market: Market, good: Good) -> dict[str, Any]:
    """A row of `data.resultList`, about 10 KB."""
    rng = Random(f"row:{market.seed}:{good.item_id}")
    published = str(int(good.published.timestamp() * 1000))
    arguments: dict[str, Any] = {
        "id": good.item_id,
        "publishTime": published,
        "seller_id": good.seller.encoded,
        "wantNum": "0",
        "tagname": "包邮" if good.shipping == "argument" else rng.choice(_OTHER_TAGS),
        "keyword": market.keyword,
        "q": quote(market.keyword),
        "search_id": _noise(rng, 32),
        "rn": _noise(rng, 32),
        "bucket_id": "30",
        "serviceUtParams": _noise(rng, 900),
    }
    content: dict[str, Any] = {
        "title": good.title.raw,
        "picUrl": _picture(market, good),
        "picWidth": 1440,
        "picHeight": 1920,
        "userNickName": good.seller.nick,
        "userAvatarUrl": f"http://img.alicdn.com/{good.seller.avatar}.jpg",
        "isAuction": good.auction,
        "isAliMaMaAD": good.advertisement,
        "fishTags": _tags(rng, good),
        "richTitle": [{"type": "Text", "data": {"text": good.title.raw, "color": "#1F1F1F"}}],
        "trackParams": {"utparam": _noise(rng, 1800), "sellerId": good.seller.number},
        "dislikeParams": [{"id": str(number), "trackParams": _noise(rng, 300)} for number in range(5)],
    }
    details: dict[str, Any] = {
        "itemId": good.item_id,
        "userNick": good.seller.nick,
        "userAvatarUrl": content["userAvatarUrl"],
        "picUrl": content["picUrl"],
        "isVideo": "false",
        "preLoad": _noise(rng, 600),
    }
    # In the oldest captures the id stands in the arguments only.
    if rng.random() < 0.9:
        content["itemId"] = good.item_id
        arguments["item_id"] = good.item_id
    elif rng.random() < 0.5:
        arguments["item_id"] = good.item_id
    optional: tuple[tuple[dict[str, Any], str, Any], ...] = (
        (content, "area", good.area),
        (content, "oriPrice", good.original[0]),
        (details, "title", good.description.raw),
        (details, "soldPrice", good.price.sold),
        (arguments, "price", good.price.argument),
    )
    for node, key, value in optional:
        if value is not None:
            node[key] = value
    if good.category[0] is not None:
        arguments[good.category[1]] = good.category[0]
    if good.price.parts is not None:
        content["price"] = [
            {"type": kind, "text": text, "marginLeft": "2"}
            for kind, text in zip(("sign", "integer", "decimal", "decimal"), good.price.parts, strict=False)
        ]
    content["detailParams"] = details
    main = {
        "targetUrl": _target(rng, good),
        "clickParam": {"arg1": "Item", "page": "Page_xySearchResult", "args": arguments},
        "exContent": content,
    }
    return {
        "type": "",
        "style": "",
        "data": {
            "item": {"main": main},
            "template": {"name": "idlefish_search_card_pc", "url": _noise(rng, 80), "version": "47"},
            "trackParams": {"spm": "a2170.search", "utLogMap": _noise(rng, 2400)},
        },
    }


def envelope(api: str, ret: Iterable[str], data: dict[str, Any]) -> dict[str, Any]:
    """The envelope of every answer of mtop."""
    return {"api": api, "data": data, "ret": list(ret), "v": "1.0"}


def search_answer(market: Market, numbers: Iterable[int]) -> dict[str, Any]:
    """A page of the search, with these goods."""
    goods = [market.good(number) for number in numbers]
    return envelope(
        SEARCH_API,
        [SUCCESS],
        {
            "resultInfo": {
                "hasNextPage": bool(goods) and goods[-1].number > 1,
                "searchResControlFields": {
                    "hasItems": bool(goods),
                    "numFound": market.items,
                    "minPrice": 490,
                    "maxPrice": 2_886_600,
                },
            },
            "resultList": [row(market, good) for good in goods],
        },
    )


def detail_answer(market: Market, good: Good) -> dict[str, Any]:
    """The details of one good."""
    category = int(good.category[0] or 0)
    return envelope(
        DETAIL_API,
        [SUCCESS],
        {
            "itemDO": {
                "itemId": int(good.item_id),
                "title": good.title.raw,
                "desc": good.description.raw,
                "soldPrice": good.detail_price,
                "originalPrice": "0" if good.original[1] is None else str(good.original[1] // 100),
                "transportFee": "0.00" if good.shipping else "12.00",
                "itemStatus": 0 if good.status == "在线" else -2,
                "itemStatusStr": good.status,
                "quantity": 1,
                "wantCnt": good.wanted[1] or 0,
                "browseCnt": 3,
                "collectCnt": 0,
                "gmtCreate": int(good.published.timestamp() * 1000),
                "categoryId": category if good.number % 2 else 0,
                "itemCatDTO": {"catId": 0, "channelCatId": 0, "tbCatId": category},
                "imageInfos": [{"url": _picture(market, good), "major": True}],
                "cpvLabels": [
                    {"propertyName": name, "valueName": value}
                    for name, value in (("品牌", good.brand), ("成色", good.condition), ("版本", good.beside_condition))
                    if value is not None
                ],
                "commonTags": [{"text": "包邮"}] if good.shipping else [],
            },
            "sellerDO": {
                "sellerId": int(good.seller.number),
                "nick": good.seller.nick,
                "publishCity": good.area if good.number % 3 else None,
                "city": good.area,
                "portraitUrl": f"http://img.alicdn.com/{good.seller.avatar}.jpg",
            },
        },
    )
