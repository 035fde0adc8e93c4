"""The listings in a feed: the contract between the spiders and whoever reads the feed."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

SOURCE: Final = "xianyu"


class PriceStatus(StrEnum):
    """How the price text could be read. Only `OK` comes with a `price_fen`."""

    OK = "ok"
    MISSING = "missing"
    NEGOTIABLE = "negotiable"  # 面议
    ZERO = "zero"
    UNREADABLE = "unreadable"


class Flag(StrEnum):
    """What the site says of a listing. What the seller's words mean is for the reader of the feed to judge."""

    AUCTION = "auction"
    ADVERTISEMENT = "advertisement"
    OFFLINE = "offline"  # 已下架; item details only
    SOLD = "sold"  # 卖掉了; item details only


@dataclass(slots=True, kw_only=True, repr=False)
class Listing:
    """A publicly listed item as it was seen once. In a feed it is one line, a JSON object with these keys.

    Each field names the place that it is read from in an answer of the search (below
    `data.resultList[n].data.item.main`) and, after "detail:", of the item detail (below `data`). No field tells who the
    seller is.
    """

    source: str = SOURCE
    """Always `xianyu`."""
    item_id: str
    """Digits. `exContent.itemId`, else `clickParam.args.item_id`, else `.id`; detail: `itemDO.itemId`."""
    url: str
    """`https://www.goofish.com/item?id=<item_id>`, made from the id: `targetUrl` is a link into the app."""
    title: str
    """One line, without control characters. `exContent.title`; detail: `itemDO.title`. Here and in `description`,
    mobile numbers and other contacts are replaced (`xianyu.privacy`)."""
    description: str | None = None
    """The long text with its line breaks; null if it says no more than the title. `exContent.detailParams.title`;
    detail: `itemDO.desc`."""
    price_fen: int | None = None
    """The asking price in fen. The texts of `exContent.price[]` joined, else `exContent.detailParams.soldPrice`, else
    `clickParam.args.price`, where "else" means that there is no text, or one without a number or word; detail:
    `itemDO.soldPrice`. See `xianyu.prices`."""
    price_raw: str = ""
    """The text that the price was read from, unchanged."""
    price_status: PriceStatus = PriceStatus.MISSING
    """Whether there is a price, and if not, why."""
    orig_price_fen: int | None = None
    """The original price in fen. `exContent.oriPrice`; detail: `itemDO.originalPrice`, where "0" means none."""
    area: str | None = None
    """Province or city. `exContent.area`; detail: `sellerDO.publishCity`, else `sellerDO.city`."""
    category_id: str | None = None
    """Xianyu's number of the category. `clickParam.args.tbCatId`, else `.catId`; detail: `itemDO.categoryId`,
    else `itemDO.itemCatDTO.tbCatId`, where 0 means none."""
    want_count: int | None = None
    """How many people want it. `N人想要` in any text of `exContent.fishTags.*.tagList[].data.content`;
    detail: `itemDO.wantCnt`. (`clickParam.args.wantNum` is always 0.)"""
    published_at: str | None = None
    """UTC: `2026-11-22T21:40:42Z`. `clickParam.args.publishTime` (milliseconds); detail: `itemDO.gmtCreate`."""
    fetched_at: str
    """When the answer arrived, in the same form. In a saved file: when the browser asked, else when it was saved."""
    keyword: str | None = None
    """The keyword searched for; null if a saved file does not tell."""
    category: str | None = None
    """The operator's label for the keyword's category, such as 手机; null if there is none."""
    flags: list[str] = field(default_factory=list)
    """`Flag` values, sorted. `exContent.isAuction`, `exContent.isAliMaMaAD`; detail: `itemDO.itemStatusStr`."""
    pictures: list[str] = field(default_factory=list)
    """Names of files in the run's `pictures/`; empty unless `XIANYU_PICTURES=yes`. The URL of a picture may hold the
    seller's number, so it is not kept."""
    run_id: str
    """The run that saw the listing."""

    def __repr__(self) -> str:
        """Only the id, as this is what logs print: they shall not hold what people write."""
        return f"<Listing {self.item_id}>"
