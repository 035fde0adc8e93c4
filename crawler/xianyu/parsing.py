"""Turns answers of the search, of the item detail and of pages of cards into listings. Pure functions, for any JSON.

`xianyu.items` tells where each field is read from. A node that is null or of an unexpected type counts as absent.
Without an id or a title a row becomes a `Reject`. Any other field is read from the next place that `xianyu.items`
names, or stays empty; nothing is guessed. What the answer says of the seller is never read, and contacts in texts are
hidden (`xianyu.privacy`).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from .clock import isoformat
from .items import Flag, Listing, PriceStatus
from .labels import NO_LABELS, Labels, is_brand, is_condition, labels_of, read_labels, says_free_shipping
from .mtop import ROWS_PER_PAGE, Shape, Verdict, answer_from_json, judge
from .prices import read_price
from .privacy import hide_contacts
from .values import (
    EMPTY_NODE,
    area,
    as_node,
    count,
    identifier,
    is_false,
    is_true,
    lines,
    moment,
    node,
    number_text,
    one_line,
    rows,
    without_controls,
)


class SchemaChanged(Exception):  # noqa: N818 -- named as the outcome of the run
    """The answer as a whole does not have the form that the parser knows, so that going on would silently lose data."""


class RejectReason(StrEnum):
    """Why a row could not be read as a listing."""

    NO_ITEM = "no item"
    NO_ID = "no id"
    NO_TITLE = "no title"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a listing needs to say beyond the answer. `item_id` is the item whose details were requested.

    `keyword` is what was searched for; None if it is not known.
    """

    fetched_at: datetime
    keyword: str | None = None
    category: str | None = None
    run_id: str
    item_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read: `reason` is a `RejectReason`, `place` its path in the answer. It holds no text.

    `fetched_at` is when the answer arrived, of an item that is `GONE`: that is news for whoever knows the listing.
    """

    item_id: str | None
    reason: str
    place: str
    fetched_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The content of one answer.

    `item_ids` are those of `listings`, in the same order. `has_next` is what the answer says, or if it says nothing,
    whether the page is full; a page without a hit is the last one. `picture_urls` are those of the answer by item id:
    they may lack the scheme, and may hold the seller's number, so they must not be stored.

    `keyword` is the one that all hits were found with, `offers` how many offers the site counts for it; None if the
    answer does not tell. `recommended` is how many of the listings are none of these hits.
    """

    listings: list[Listing]
    rejects: list[Reject]
    item_ids: tuple[str, ...]
    has_next: bool
    picture_urls: dict[str, list[str]]
    keyword: str | None = None
    offers: int | None = None
    recommended: int = 0


_STATUS_TEXTS: Final = (
    (re.compile("卖掉|卖出|卖光|已卖|售出|售罄|已售|转手|成交|交易(?:成功|完成)"), Flag.SOLD),
    (re.compile("下架|下线|删除|违规|失效|冻结|关闭|屏蔽"), Flag.OFFLINE),
)
_SOLD_STATUS: Final = 1
_NUMBER: Final = re.compile(r"-?[0-9]{1,3}", re.ASCII)
_ID_IN_URL: Final = re.compile(r"[?&](?:id|item_?id)=([0-9]{1,20})(?![0-9])", re.ASCII | re.IGNORECASE)
_BESIDE_PRICE: Final = re.compile(
    r"元?(?:/|每|一)?(?:天|日|周|月|年|小时|时|分钟|次|晚|课时|局|单|斤|米|克|个|张)|起(?:拍|租)?|券后价?"
)
"""Words beside a price that make another price of it: of a day, of the cheapest variant, after a coupon."""
_RECOMMENDATIONS: Final = re.compile(
    "猜你(?:可能)?喜欢|为[你您]推荐|可能(?:还|也)?喜欢|相似(?:的)?(?:宝贝|商品|闲置)|更多推荐"
)
_ITEM_TEMPLATE: Final = "idlefish_search_item"
"""How the names of the templates begin that rows of the search are drawn with. Auctions and other cards have others."""


def parse_search(answer: object, *, context: Context) -> Page:
    """The page in an answer of the search.

    Rows are no hits where the site says that it found nothing (`hasItems`, `numFound`) or something similar
    (`similar`), where they stand behind a heading that says so (猜你喜欢), and where they name another keyword than the
    one searched for: these listings are `recommended`.

    Raises `SchemaChanged` if there is no `data.resultList`, if it is empty though nothing says why, or if none of its
    rows can be read and not all of them are cards without an item, such as a vote.
    """
    if _is_past_the_end(answer):
        return _page([], [], {}, has_next=False)
    data = node(as_node(answer), "data")
    info = node(data, "resultInfo")
    control = node(info, "searchResControlFields")
    found = _rows_of(data, control)
    if not found and not _tells_of_an_end(info, control):
        raise SchemaChanged("data.resultList is empty, and nothing says why")
    offers = count(control.get("numFound"))
    nothing = is_false(control.get("hasItems")) or is_true(control.get("srpFeedsItemsDataEmpty")) or offers == 0
    if nothing:
        offers = 0
    similar = is_true(control.get("similar"))
    keywords = _Keywords(context.keyword)
    fetched_at = isoformat(context.fetched_at)
    listings: list[Listing] = []
    rejects: list[Reject] = []
    picture_urls: dict[str, list[str]] = {}
    recommended, is_another_schema, is_over = 0, False, False
    for number, row in enumerate(found):
        main = _main_of(row)
        content = node(main, "exContent")
        args = node(node(main, "clickParam"), "args")
        detail = node(content, "detailParams")
        item_id = (
            identifier(content.get("itemId"))
            or identifier(args.get("item_id"))
            or identifier(args.get("id"))
            or identifier(detail.get("itemId"))
            or _id_in_url(main.get("targetUrl"))
        )
        title = one_line(content.get("title"))
        if item_id is None or title is None:
            rejects.append(Reject(item_id, _missing_part(content, item_id), f"data.resultList[{number}]"))
            is_heading = item_id is None and _is_heading_of_recommendations(row, content)
            is_foreign = is_heading or (item_id is None and _is_foreign_card(row, content, args))
            is_another_schema = is_another_schema or not is_foreign
            is_over = is_over or is_heading
            continue
        price_fen, price_status, price_raw = _price(
            (
                _joined(content.get("price"), content.get("priceTag")),
                number_text(detail.get("soldPrice")),
                number_text(args.get("price")),
            )
        )
        labels = labels_of(content.get("fishTags"))
        is_hit, keyword = keywords.read(args)
        is_hit = is_hit and not (nothing or similar or is_over)
        recommended += not is_hit
        listings.append(
            Listing(
                item_id=item_id,
                url=_url(item_id),
                title=hide_contacts(title),
                description=_description(detail.get("title"), title),
                price_fen=price_fen,
                price_raw=price_raw,
                price_status=price_status,
                orig_price_fen=_original(content.get("oriPrice"), labels, price_fen),
                coupon_off_fen=None if price_fen is None else labels.coupon_off_fen,
                condition=labels.condition,
                brand=labels.brand,
                free_shipping=labels.free_shipping or says_free_shipping(args.get("tagname")) or None,
                area=area(content.get("area")) or area(args.get("p_city")),
                category_id=identifier(args.get("tbCatId")) or identifier(args.get("catId")),
                want_count=labels.want_count,
                published_at=moment(args.get("publishTime")),
                fetched_at=fetched_at,
                keyword=keyword if is_hit else None,
                category=context.category if is_hit else None,
                flags=_search_flags(content, args, is_hit=is_hit),
                run_id=context.run_id,
            )
        )
        picture = content.get("picUrl")
        if isinstance(picture, str) and picture:
            picture_urls[item_id] = [picture]
    if rejects and not listings and is_another_schema:
        raise SchemaChanged(f"not one of {len(rejects)} rows can be read; the first: {rejects[0].reason}")
    has_next = info.get("hasNextPage")
    if not isinstance(has_next, bool):
        has_next = len(found) >= ROWS_PER_PAGE
    is_of_another_search = similar or (not nothing and 0 < len(listings) == recommended)
    return _page(
        listings,
        rejects,
        picture_urls,
        has_next=has_next and len(listings) > recommended and not is_over,
        keyword=context.keyword or (None if nothing or similar else keywords.only),
        offers=None if is_of_another_search else offers,
        recommended=recommended,
    )


def parse_detail(answer: object, *, context: Context) -> Page:
    """The page in an answer of the item detail, with one listing; for a deleted item, with one `Reject` (`GONE`).

    Raises `SchemaChanged` if there is no `data.itemDO`, or if it has no id or title.
    """
    if judge(answer_from_json(answer)) is Verdict.GONE:
        gone = Reject(context.item_id, RejectReason.GONE, "ret", isoformat(context.fetched_at))
        return _page([], [gone], {}, has_next=False)
    data = node(as_node(answer), "data")
    item = node(data, "itemDO")
    item_id, title = identifier(item.get("itemId")), one_line(item.get("title"))
    if item_id is None or title is None:
        raise SchemaChanged(f"data.itemDO: {_missing_part(item, item_id)}")
    seller = node(data, "sellerDO")
    price_fen, price_status, price_raw = _price(
        () if is_true(item.get("defaultPrice")) else (number_text(item.get("soldPrice")),)
    )
    texts = [as_node(tag).get("text") for tag in rows(item.get("commonTags"))]
    labels = read_labels([[(text, "") for text in texts if isinstance(text, str)]])
    properties = [as_node(each) for each in rows(item.get("cpvLabels"))]
    listing = Listing(
        item_id=item_id,
        url=_url(item_id),
        title=hide_contacts(title),
        description=_description(item.get("desc"), title),
        price_fen=price_fen,
        price_raw=price_raw,
        price_status=price_status,
        orig_price_fen=_fen(item.get("originalPrice")),
        coupon_off_fen=None if price_fen is None else labels.coupon_off_fen,
        condition=_property(properties, is_condition) or labels.condition,
        brand=_property(properties, is_brand) or labels.brand,
        free_shipping=labels.free_shipping or (False if _fen(item.get("transportFee")) else None),
        area=one_line(seller.get("publishCity")) or one_line(seller.get("city")),
        category_id=identifier(item.get("categoryId")) or identifier(node(item, "itemCatDTO").get("tbCatId")),
        want_count=count(item.get("wantCnt")),
        published_at=moment(item.get("gmtCreate")) or moment(item.get("GMT_CREATE_DATE_KEY")),
        fetched_at=isoformat(context.fetched_at),
        keyword=context.keyword,
        category=context.category,
        flags=_status_flags(item.get("itemStatusStr"), item.get("itemStatus")),
        run_id=context.run_id,
    )
    images = [as_node(image).get("url") for image in rows(item.get("imageInfos"))]
    urls = [url for url in images if isinstance(url, str) and url]
    return _page([listing], [], {item_id: urls} if urls else {}, has_next=False)


def parse_cards(answer: object, *, context: Context) -> Page:
    """The page in an answer with cards: the goods of a shop, the home page, what is recommended beside an item.

    A page behind the last one has no `data.cardList`. No keyword was searched for, so the listings have none.

    Raises `SchemaChanged` if `data.cardList` is something else, or if no card can be read and not all are without an
    item, such as a banner.
    """
    data = as_node(answer).get("data")
    found = as_node(data).get("cardList")
    if _is_past_the_end(answer) or (isinstance(data, dict) and found is None):
        return _page([], [], {}, has_next=False)
    if not isinstance(found, list):
        raise SchemaChanged("there is no data.cardList")
    fetched_at = isoformat(context.fetched_at)
    listings: list[Listing] = []
    rejects: list[Reject] = []
    picture_urls: dict[str, list[str]] = {}
    is_another_schema = False
    for number, row in enumerate(found):
        card = node(as_node(row), "cardData") or as_node(row)
        detail, more = node(card, "detailParams"), node(card, "attributeMap")
        item_id = (
            identifier(card.get("itemId"))
            or identifier(detail.get("itemId"))
            or identifier(card.get("id"))
            or _id_in_url(card.get("detailUrl"))
            or _id_in_url(card.get("redirectUrl"))
        )
        title = (
            one_line(card.get("title"))
            or one_line(node(card, "titleSummary").get("text"))
            or one_line(detail.get("title"))
            or one_line(more.get("title"))
        )
        shown = node(card, "priceInfo")
        price_texts = (
            _shown_price(shown),
            number_text(detail.get("soldPrice")),
            number_text(more.get("soldPrice")),
            number_text(card.get("price")),
        )
        if item_id is None or title is None:
            rejects.append(Reject(item_id, _missing_part(card, item_id), f"data.cardList[{number}]"))
            is_another_schema = is_another_schema or item_id is not None or not card or any(price_texts)
            continue
        price_fen, price_status, price_raw = _price(price_texts)
        labels = labels_of(node(card, "itemLabelDataVO").get("labelData") or card.get("fishTags"))
        hot = node(card, "hotPoint").get("text")
        said = read_labels([[(hot, "")]]) if isinstance(hot, str) else NO_LABELS
        free = labels.free_shipping or says_free_shipping(detail.get("postInfo")) or None
        listings.append(
            Listing(
                item_id=item_id,
                url=_url(item_id),
                title=hide_contacts(title),
                description=_description(detail.get("title"), title),
                price_fen=price_fen,
                price_raw=price_raw,
                price_status=price_status,
                orig_price_fen=_original(shown.get("oriPrice"), labels, price_fen),
                coupon_off_fen=None if price_fen is None else labels.coupon_off_fen,
                condition=labels.condition,
                brand=labels.brand,
                free_shipping=free,
                area=area(card.get("city")) or area(detail.get("city")) or area(card.get("area")),
                category_id=identifier(card.get("categoryId")) or identifier(detail.get("categoryId")),
                want_count=said.want_count if labels.want_count is None else labels.want_count,
                published_at=moment(card.get("publishTime")) or moment(more.get("publishTime")),
                fetched_at=fetched_at,
                category=context.category,
                flags=_status_flags(card.get("itemStatusStr"), card.get("itemStatus")),
                run_id=context.run_id,
            )
        )
        urls = [
            url
            for url in (node(card, "picInfo").get("picUrl"), node(card, "mainPicInfo").get("url"), detail.get("picUrl"))
            if isinstance(url, str) and url
        ]
        if urls:
            picture_urls[item_id] = urls[:1]
    if rejects and not listings and is_another_schema:
        raise SchemaChanged(f"not one of {len(rejects)} cards can be read; the first: {rejects[0].reason}")
    return _page(listings, rejects, picture_urls, has_next=bool(listings) and is_true(as_node(data).get("nextPage")))


PARSERS: Final[Mapping[Shape, Callable[..., Page]]] = MappingProxyType(
    {Shape.SEARCH: parse_search, Shape.DETAIL: parse_detail, Shape.CARDS: parse_cards}
)
"""Which function reads an answer of each shape."""


def _page(
    listings: list[Listing],
    rejects: list[Reject],
    picture_urls: dict[str, list[str]],
    *,
    has_next: bool,
    keyword: str | None = None,
    offers: int | None = None,
    recommended: int = 0,
) -> Page:
    return Page(
        listings=listings,
        rejects=rejects,
        item_ids=tuple([listing.item_id for listing in listings]),
        has_next=has_next,
        picture_urls=picture_urls,
        keyword=keyword,
        offers=offers,
        recommended=recommended,
    )


# The whole answer


def _is_past_the_end(answer: object) -> bool:
    """Whether the site says that it shows no page so far behind."""
    found = answer_from_json(answer)
    return bool(found.ret) and judge(found) is Verdict.NO_MORE


def _rows_of(data: dict[str, object], control: dict[str, object]) -> list[object]:
    """The rows of a page. Null, or none where the site says that it found nothing, is a page without rows."""
    found = data.get("resultList")
    if isinstance(found, list):
        return found
    nothing = is_false(control.get("hasItems")) or count(control.get("numFound")) == 0
    if found is None and ("resultList" in data or nothing):
        return []
    raise SchemaChanged("there is no data.resultList")


def _tells_of_an_end(info: dict[str, object], control: dict[str, object]) -> bool:
    """Whether the fields around an empty list are those of a page, so that it is the one behind the last one."""
    return (
        is_true(control.get("hasItems"))
        or is_false(control.get("hasItems"))
        or count(control.get("numFound")) is not None
        or isinstance(info.get("hasNextPage"), bool)
    )


class _Keywords:
    """Compares the keywords in the rows of a page with the one that was searched for."""

    def __init__(self, asked: str | None) -> None:
        self._asked = asked
        self._seen: dict[str, tuple[bool, str]] = {}

    def read(self, args: dict[str, object]) -> tuple[bool, str | None]:
        """Whether a row with these arguments belongs to the search, and its keyword."""
        said = args.get("keyword")
        if said == self._asked and said is not None:
            return True, self._asked
        if not isinstance(said, str) or not said.strip():
            if self._asked is not None:
                return True, self._asked
            encoded = args.get("q")
            said = unquote(encoded) if isinstance(encoded, str) else ""
        if (known := self._seen.get(said)) is None:
            known = self._seen[said] = self._compared(said)
        return known[0], known[1] or None

    def _compared(self, said: str) -> tuple[bool, str]:
        if self._asked is None:
            return True, one_line(said) or ""
        asked, said = _normal(self._asked), _normal(said)
        is_cut = len(said) >= _CUT_FROM and asked.startswith(said)
        return said == asked or is_cut, self._asked

    @property
    def only(self) -> str | None:
        """The keyword of all rows so far, if nobody knows what was searched for and they have only one."""
        found = {keyword for _, keyword in self._seen.values() if keyword}
        return found.pop() if self._asked is None and len(found) == 1 else None


_CUT_FROM: Final = 10
"""Characters. Of so long a keyword, the beginning stands for all of it."""


def _normal(keyword: str) -> str:
    """A keyword without what makes no other search of it: blanks, signs, capitals, full-width forms."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", keyword).casefold()))


# Rows


def _main_of(row: object) -> dict[str, object]:
    """What a row shows: `data.item.main`, or what other programs keep of a row: `item.main`, `main`, its content."""
    outer = as_node(row)
    if main := node(node(node(outer, "data"), "item"), "main"):
        return main
    return node(node(outer, "item"), "main") or node(outer, "main") or (outer if "exContent" in outer else EMPTY_NODE)


def _is_foreign_card(row: object, content: dict[str, object], args: dict[str, object]) -> bool:
    """Whether a row without an id is a card that has no item at all: a vote, a list of searches.

    It has a template, another one than items have, and no price. In all else the form of the rows may have changed.
    """
    data = node(as_node(row), "data")
    template = node(data, "template").get("name")
    if not isinstance(template, str) or not template or template.startswith(_ITEM_TEMPLATE):
        return False
    has_price = content.get("price") or node(content, "detailParams").get("soldPrice") or args.get("price")
    return not has_price and (bool(content) or data.get("item") == {})


def _is_heading_of_recommendations(row: object, content: dict[str, object]) -> bool:
    """Whether a row without an item is the heading of what the search did not find."""
    outer = as_node(row)
    data = node(outer, "data")
    texts = (
        *(content.get("title"), node(content, "titleSpan").get("content"), content.get("text")),
        *(outer.get("title"), data.get("title"), data.get("text"), node(data, "item").get("title")),
    )
    return any(isinstance(text, str) and _RECOMMENDATIONS.search(text) for text in texts)


def _missing_part(found: dict[str, object], item_id: str | None) -> RejectReason:
    """Why a node without an id or a title cannot be read."""
    if not found:
        return RejectReason.NO_ITEM
    return RejectReason.NO_ID if item_id is None else RejectReason.NO_TITLE


def _url(item_id: str) -> str:
    return f"https://www.goofish.com/item?id={item_id}"


def _id_in_url(url: object) -> str | None:
    """The item's number in a link like `fleamarket://item?id=900…&x=1`."""
    match = _ID_IN_URL.search(url) if isinstance(url, str) else None
    return None if match is None else identifier(match[1])


def _description(value: object, title: str) -> str | None:
    """The long text, with "\\n" as line breaks and contacts hidden; None if the title begins with it."""
    in_one_line = one_line(value)
    if in_one_line is None or title.startswith(in_one_line) or not isinstance(value, str):
        return None
    return hide_contacts(lines(value))


def _joined(parts: object, tags: object) -> str | None:
    """The parts of a price joined, and what stands beside it; None if one is damaged, as the rest might be another.

    A price may also be one text or number.
    """
    texts = [as_node(part).get("text") for part in parts] if isinstance(parts, list) else [number_text(parts) or ""]
    valid = [text for text in texts if isinstance(text, str)]
    if len(valid) != len(texts):
        return None
    return "".join(valid) + _beside(tags) if tags and valid else "".join(valid)


def _beside(tags: object) -> str:
    """The words of `priceTag` that make another price of the one they stand beside."""
    found = ""
    for tag in map(as_node, rows(tags)):
        inner = node(tag, "data")
        text = tag.get("text") or tag.get("content") or inner.get("content") or inner.get("text")
        if isinstance(text, str) and _BESIDE_PRICE.fullmatch(text.strip()):
            found += text
    return found


def _shown_price(info: dict[str, object]) -> str | None:
    """The price on a card: a sign or a word, the number, and what stands behind it."""
    number = number_text(info.get("price"))
    if number is None:
        return None
    before, after = info.get("preText"), info.get("sufText") or info.get("postText") or info.get("unit")
    return (before if isinstance(before, str) else "") + number + (after if isinstance(after, str) else "")


def _price(texts: Iterable[str | None]) -> tuple[int | None, PriceStatus, str]:
    """The first price text that is not empty, read: fen, status, and the text."""
    empty_text = ""
    for found in texts:
        if found is None:
            continue
        text = without_controls(found)
        fen, status = read_price(text)
        if status is not PriceStatus.MISSING:
            return fen, status, text
        empty_text = empty_text or text
    return None, PriceStatus.MISSING, empty_text


def _fen(value: object) -> int | None:
    text = number_text(value)
    return None if text is None else read_price(text)[0]


def _original(value: object, labels: Labels, price_fen: int | None) -> int | None:
    """The original price: the field for it, or else a price among the labels, which is none if it is not higher."""
    fen = _fen(value)
    if fen is None and labels.struck_fen is not None and price_fen is not None and labels.struck_fen > price_fen:
        return labels.struck_fen
    return fen


def _property(properties: Iterable[dict[str, object]], is_wanted: Callable[[object], bool]) -> str | None:
    """The value of the first property with such a name. Sellers may write it themselves, so contacts are hidden."""
    values = (one_line(each.get("valueName")) for each in properties if is_wanted(each.get("propertyName")))
    found = next((value for value in values if value), None)
    return None if found is None else hide_contacts(found)


def _search_flags(content: dict[str, object], args: dict[str, object], *, is_hit: bool) -> list[str]:
    flags: list[str] = []
    if is_true(content.get("isAliMaMaAD")) or _is_marked_as_ad(content):
        flags.append(Flag.ADVERTISEMENT)
    if is_true(content.get("isAuction")) or args.get("item_type") == "auction" or args.get("biz_type") == "auction":
        flags.append(Flag.AUCTION)
    if not is_hit:
        flags.append(Flag.RECOMMENDED)
    return flags


def _is_marked_as_ad(content: dict[str, object]) -> bool:
    """Whether a row of the app's search can be hidden as an advertisement."""
    feedback = content.get("dislikeFeedback")
    return isinstance(feedback, dict) and node(node(feedback, "clickParam"), "args").get("bizType") == "ad"


def _status_flags(text: object, number: object) -> list[str]:
    """What the status of an item says: its text, or without one the number. 0 is on sale, below is taken off."""
    if isinstance(text, str) and text.strip():
        return next(([flag] for words, flag in _STATUS_TEXTS if words.search(text)), [])
    if isinstance(number, str) and _NUMBER.fullmatch(number):
        number = int(number)
    if type(number) is not int:
        return []
    return [Flag.SOLD] if number == _SOLD_STATUS else [Flag.OFFLINE] if number < 0 else []
