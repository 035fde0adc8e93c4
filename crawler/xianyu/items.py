"""What one crawl brings: the contract between spiders, feeds and whoever reads the feeds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SOURCE: Final = "xianyu"


class PriceStatus(StrEnum):
    """What became of the price text. Only `OK` comes with `price_fen`."""

    OK = "ok"
    MISSING = "missing"
    NEGOTIABLE = "negotiable"  # 面议
    ZERO = "zero"
    UNREADABLE = "unreadable"


class Flag(StrEnum):
    """What the answer itself says of a listing. What its words say is for the reader of the feed to judge."""

    AUCTION = "auction"
    ADVERTISEMENT = "advertisement"
    OFFLINE = "offline"  # 已下架; item details only
    SOLD = "sold"  # 卖掉了; item details only


@dataclass(slots=True, kw_only=True, repr=False)
class Listing:
    """One publicly listed good as it was seen once. In a feed: one JSON object a line, keys as here.

    Each field names its place in an answer of the search (below `data.resultList[n].data.item.main`) and, after
    "detail:", in an answer of the item detail (below `data`). Nothing here tells who the seller is.
    """

    source: str = SOURCE
    """Always `xianyu`."""
    item_id: str
    """Digits. `exContent.itemId`, else `clickParam.args.item_id`, else `.id`; detail: `itemDO.itemId`."""
    url: str
    """`https://www.goofish.com/item?id=<item_id>`, made from the id: `targetUrl` is an app's address."""
    title: str
    """One line, without control characters. `exContent.title`; detail: `itemDO.title`. As in `description`, mobile
    numbers and the like are replaced (`xianyu.privacy`)."""
    description: str | None = None
    """The long text with its line ends, where it says more than the title. `exContent.detailParams.title`;
    detail: `itemDO.desc`."""
    price_fen: int | None = None
    """The asking price in fen. The texts of `exContent.price[]` joined, else `exContent.detailParams.soldPrice`, else
    `clickParam.args.price`, where "else" means that there is no text, or one without a number or word; detail:
    `itemDO.soldPrice`. See `xianyu.prices`."""
    price_raw: str = ""
    """The text that `price_fen` was read from, as it stood there."""
    price_status: PriceStatus = PriceStatus.MISSING
    """Whether there was a price, and why not."""
    orig_price_fen: int | None = None
    """What it once cost, in fen. `exContent.oriPrice`; detail: `itemDO.originalPrice`, where "0" means none."""
    area: str | None = None
    """Province or city. `exContent.area`; detail: `sellerDO.publishCity`, else `sellerDO.city`."""
    category_id: str | None = None
    """Xianyu's own number of the category. `clickParam.args.tbCatId`, else `.catId`; detail: `itemDO.categoryId`,
    else `itemDO.itemCatDTO.tbCatId`, where 0 means none."""
    want_count: int | None = None
    """How many people want it. `N人想要` in any text of `exContent.fishTags.*.tagList[].data.content`;
    detail: `itemDO.wantCnt`. (`clickParam.args.wantNum` is always 0.)"""
    published_at: str | None = None
    """UTC: `2026-11-22T21:40:42Z`. `clickParam.args.publishTime` (milliseconds); detail: `itemDO.gmtCreate`."""
    fetched_at: str
    """When the answer arrived, in the same form; from an operator's file, when it was saved."""
    keyword: str | None = None
    """What was searched for; null where an operator's file did not tell."""
    category: str | None = None
    """The operator's own label beside the keyword, such as 手机; null where there is none."""
    flags: list[str] = field(default_factory=list)
    """`Flag` values, sorted. `exContent.isAuction`, `exContent.isAliMaMaAD`; detail: `itemDO.itemStatusStr`."""
    pictures: list[str] = field(default_factory=list)
    """Names of files under the run's `pictures/`; empty unless pictures were asked for. The address of a picture may
    hold the seller's number, so it is not kept."""
    run_id: str
    """The run that saw it."""

    def __repr__(self) -> str:
        """As logs have it, which need not know what people write."""
        return f"<Listing {self.item_id}>"
