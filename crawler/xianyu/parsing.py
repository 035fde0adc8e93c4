"""Turns answers of the search and of the item detail into listings. Pure functions, which accept any JSON.

`xianyu.items` tells where each field is read from. A node that is null or of an unexpected type counts as absent.
Without an id or a title a row becomes a `Reject`. Any other field is read from the next place that `xianyu.items`
names, or stays empty; nothing is guessed. What the answer says of the seller is never read, and contacts in texts are
hidden (`xianyu.privacy`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from .clock import isoformat
from .items import Flag, Listing, PriceStatus
from .mtop import ROWS_PER_PAGE, Verdict, answer_from_json, judge
from .prices import read_price
from .privacy import hide_contacts


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
    """What a listing needs to say beyond the answer. `item_id` is the item whose details were requested."""

    fetched_at: datetime
    keyword: str | None = None
    category: str | None = None
    run_id: str
    item_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read: `reason` is a `RejectReason`, `place` its path in the answer. It holds no text."""

    item_id: str | None
    reason: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The content of one answer.

    `item_ids` are those of `listings`, in the same order. `has_next` is what the answer says, or if it says nothing,
    whether the page is full. `picture_urls` are those of the answer by item id: they may lack the scheme, and may hold
    the seller's number, so they must not be stored.
    """

    listings: list[Listing]
    rejects: list[Reject]
    item_ids: tuple[str, ...]
    has_next: bool
    picture_urls: dict[str, list[str]]


_EMPTY_NODE: Final[dict[str, object]] = {}
_STATUS: Final = MappingProxyType(
    {"已下架": Flag.OFFLINE, "卖掉了": Flag.SOLD, "已售出": Flag.SOLD, "已卖出": Flag.SOLD}
)
_NUMBER_LIMIT: Final = 10**20
_MAX_WANT_COUNT: Final = 2**31 - 1
_IDENTIFIER: Final = re.compile(r"(?!0+$)[0-9]{1,20}", re.ASCII)
_MOMENTS_MS: Final = range(
    1_000_000_000_000, 4_102_444_800_000
)  # 2001-09-09 to 2100; anything else is no time of publication
_WANTED: Final = re.compile(r"(?<![0-9.,])([0-9]{1,9})(?:\.([0-9]{1,4}))?(万?)\+?\s?人想要", re.ASCII)
# Control characters, except white space; and lone surrogates, which cannot be encoded in UTF-8.
_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_END: Final = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
# The look-behind keeps the time linear: a run of blanks is tried from its start only.
_BREAK: Final = re.compile("(?<![ \t\u3000])[ \t\u3000]*[\n\v\f\r\x85\u2028\u2029]\\s*")


def parse_search(answer: object, *, context: Context) -> Page:
    """The page in an answer of the search.

    Raises `SchemaChanged` if there is no `data.resultList`, if it is empty though the answer does not say that nothing
    was found, or if none of its rows can be read.
    """
    data = _node(_as_node(answer), "data")
    rows = data.get("resultList")
    if not isinstance(rows, list):
        raise SchemaChanged("there is no data.resultList")
    info = _node(data, "resultInfo")
    if not rows and _node(info, "searchResControlFields").get("hasItems") is not False:
        raise SchemaChanged("data.resultList is empty, but hasItems is not false")
    fetched_at = isoformat(context.fetched_at)
    listings: list[Listing] = []
    rejects: list[Reject] = []
    picture_urls: dict[str, list[str]] = {}
    for number, row in enumerate(rows):
        main = _node(_node(_node(_as_node(row), "data"), "item"), "main")
        content = _node(main, "exContent")
        args = _node(_node(main, "clickParam"), "args")
        item_id = _identifier(content.get("itemId")) or _identifier(args.get("item_id")) or _identifier(args.get("id"))
        title = _one_line(content.get("title"))
        if item_id is None or title is None:
            rejects.append(Reject(item_id, _missing_part(content, item_id), f"data.resultList[{number}]"))
            continue
        detail = _node(content, "detailParams")
        price_fen, price_status, price_raw = _price(
            (_joined(content.get("price")), _number_text(detail.get("soldPrice")), _number_text(args.get("price")))
        )
        listings.append(
            Listing(
                item_id=item_id,
                url=_url(item_id),
                title=hide_contacts(title),
                description=_description(detail.get("title"), title),
                price_fen=price_fen,
                price_raw=price_raw,
                price_status=price_status,
                orig_price_fen=_fen(content.get("oriPrice")),
                area=_one_line(content.get("area")),
                category_id=_identifier(args.get("tbCatId")) or _identifier(args.get("catId")),
                want_count=_wanted(content.get("fishTags")),
                published_at=_moment(args.get("publishTime")),
                fetched_at=fetched_at,
                keyword=context.keyword,
                category=context.category,
                flags=_search_flags(content),
                run_id=context.run_id,
            )
        )
        picture = content.get("picUrl")
        if isinstance(picture, str) and picture:
            picture_urls[item_id] = [picture]
    if rejects and not listings:
        raise SchemaChanged(f"not one of {len(rejects)} rows can be read; the first: {rejects[0].reason}")
    has_next = info.get("hasNextPage")
    if not isinstance(has_next, bool):
        has_next = len(rows) >= ROWS_PER_PAGE
    return _page(listings, rejects, picture_urls, has_next=has_next)


def parse_detail(answer: object, *, context: Context) -> Page:
    """The page in an answer of the item detail, with one listing; for a deleted item, with one `Reject` (`GONE`).

    Raises `SchemaChanged` if there is no `data.itemDO`, or if it has no id or title.
    """
    if judge(answer_from_json(answer)) is Verdict.GONE:
        return _page([], [Reject(context.item_id, RejectReason.GONE, "ret")], {}, has_next=False)
    data = _node(_as_node(answer), "data")
    item = _node(data, "itemDO")
    item_id, title = _identifier(item.get("itemId")), _one_line(item.get("title"))
    if item_id is None or title is None:
        raise SchemaChanged(f"data.itemDO: {_missing_part(item, item_id)}")
    seller = _node(data, "sellerDO")
    price_fen, price_status, price_raw = _price((_number_text(item.get("soldPrice")),))
    listing = Listing(
        item_id=item_id,
        url=_url(item_id),
        title=hide_contacts(title),
        description=_description(item.get("desc"), title),
        price_fen=price_fen,
        price_raw=price_raw,
        price_status=price_status,
        orig_price_fen=_fen(item.get("originalPrice")),
        area=_one_line(seller.get("publishCity")) or _one_line(seller.get("city")),
        category_id=_identifier(item.get("categoryId")) or _identifier(_node(item, "itemCatDTO").get("tbCatId")),
        want_count=_count(item.get("wantCnt")),
        published_at=_moment(item.get("gmtCreate")),
        fetched_at=isoformat(context.fetched_at),
        keyword=context.keyword,
        category=context.category,
        flags=_detail_flags(item.get("itemStatusStr")),
        run_id=context.run_id,
    )
    images = [_as_node(image).get("url") for image in _rows(item.get("imageInfos"))]
    urls = [url for url in images if isinstance(url, str) and url]
    return _page([listing], [], {item_id: urls} if urls else {}, has_next=False)


def _page(
    listings: list[Listing], rejects: list[Reject], picture_urls: dict[str, list[str]], *, has_next: bool
) -> Page:
    return Page(
        listings=listings,
        rejects=rejects,
        item_ids=tuple([listing.item_id for listing in listings]),
        has_next=has_next,
        picture_urls=picture_urls,
    )


def _missing_part(node: dict[str, object], item_id: str | None) -> RejectReason:
    """Why a node without an id or a title cannot be read."""
    if not node:
        return RejectReason.NO_ITEM
    return RejectReason.NO_ID if item_id is None else RejectReason.NO_TITLE


def _url(item_id: str) -> str:
    return f"https://www.goofish.com/item?id={item_id}"


def _as_node(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else _EMPTY_NODE


def _node(parent: dict[str, object], key: str) -> dict[str, object]:
    value = parent.get(key)
    return value if isinstance(value, dict) else _EMPTY_NODE


def _rows(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _identifier(value: object) -> str | None:
    """The digits of an item's or a category's number, which may be a text or an integer. 0 means that there is none."""
    if type(value) is int and 0 < value < _NUMBER_LIMIT:
        value = str(value)
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def _one_line(value: object) -> str | None:
    """A text on one line, without control characters; a line break and its white space are a blank. None if empty."""
    if not isinstance(value, str):
        return None
    if not value.isprintable():
        value = _BREAK.sub(" ", _CONTROLS.sub("", value)).replace("\t", " ")
    return value.strip() or None


def _description(value: object, title: str) -> str | None:
    """The long text, with "\\n" as line breaks and contacts hidden; None if the title begins with it."""
    in_one_line = _one_line(value)
    if in_one_line is None or title.startswith(in_one_line) or not isinstance(value, str):
        return None
    lines = _LINE_END.sub("\n", _CONTROLS.sub("", value)).replace("\t", " ").strip()
    return hide_contacts(lines)


def _number_text(value: object) -> str | None:
    """The text of a number, which may be a text or a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_NUMBER_LIMIT < value < _NUMBER_LIMIT:
        return None
    # repr writes a number as the JSON has it: 0.1 as "0.1". One with an exponent cannot be read as a price.
    return repr(value)


def _joined(parts: object) -> str | None:
    """The parts of a price joined; None if one is damaged, as the rest might be another price."""
    texts = [_as_node(part).get("text") for part in _rows(parts)]
    valid = [text for text in texts if isinstance(text, str)]
    return "".join(valid) if len(valid) == len(texts) else None


def _price(texts: Iterable[str | None]) -> tuple[int | None, PriceStatus, str]:
    """The first price text that is not empty, read: fen, status, and the text."""
    empty_text = ""
    for found in texts:
        if found is None:
            continue
        text = found if found.isprintable() else _CONTROLS.sub("", found)
        fen, status = read_price(text)
        if status is not PriceStatus.MISSING:
            return fen, status, text
        empty_text = empty_text or text
    return None, PriceStatus.MISSING, empty_text


def _fen(value: object) -> int | None:
    text = _number_text(value)
    return None if text is None else read_price(text)[0]


def _moment(value: object) -> str | None:
    """A time given in milliseconds since 1970, in ISO 8601 in UTC."""
    if isinstance(value, str) and len(value) == len("1789989232000") and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or value not in _MOMENTS_MS:
        return None
    return isoformat(datetime.fromtimestamp(value // 1000, UTC))


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _MAX_WANT_COUNT else None


def _wanted(rows: object) -> int | None:
    """The number in the first tag like `12人想要` or `1.2万人想要`, in any row of tags."""
    for row in _as_node(rows).values():
        for tag in _rows(_as_node(row).get("tagList")):
            text = _node(_as_node(tag), "data").get("content")
            match = _WANTED.search(text) if isinstance(text, str) else None
            if match is not None:
                whole, places, wan = match.groups()
                return _count(int(whole + (places or "").ljust(4, "0")) if wan else int(whole))
    return None


def _search_flags(content: dict[str, object]) -> list[str]:
    flags: list[str] = []
    if content.get("isAliMaMaAD") is True:
        flags.append(Flag.ADVERTISEMENT)
    if content.get("isAuction") is True:
        flags.append(Flag.AUCTION)
    return flags


def _detail_flags(status: object) -> list[str]:
    flag = _STATUS.get(status) if isinstance(status, str) else None
    return [] if flag is None else [flag]
