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
    OFFLINE = "offline"  # 已下架
    RECOMMENDED = "recommended"  # shown where the search found nothing, or with what another search found
    SOLD = "sold"  # 卖掉了


@dataclass(slots=True, kw_only=True, repr=False)
class Listing:
    """A publicly listed item as it was seen once. In a feed it is one line, a JSON object with these keys.

    Each field names the place that it is read from in an answer of the search (below
    `data.resultList[n].data.item.main`), after "detail:" of the item detail (below `data`), and after "card:" of a shop
    or the home page (below `data.cardList[n].cardData`). "Labels" are the texts below a title: in the search any
    `exContent.fishTags.*.tagList[].data.content`, in a detail `itemDO.commonTags[].text`, on a card any
    `itemLabelDataVO.labelData.*.tagList[].data.content`. No field tells who the seller is.
    """

    source: str = SOURCE
    """Always `xianyu`."""
    item_id: str
    """Digits. `exContent.itemId`, else `clickParam.args.item_id`, else `.id`, else `exContent.detailParams.itemId`,
    else in `targetUrl`; detail: `itemDO.itemId`; card: `itemId`, else `detailParams.itemId`, else `id`, else in a
    link."""
    url: str
    """`https://www.goofish.com/item?id=<item_id>`, made from the id: `targetUrl` is a link into the app."""
    title: str
    """One line, without control characters. `exContent.title`; detail: `itemDO.title`; card: `title`, else
    `titleSummary.text`, else `detailParams.title`. Here and in `description`, mobile numbers and other contacts are
    replaced (`xianyu.privacy`)."""
    description: str | None = None
    """The long text with its line breaks; null if it says no more than the title. `exContent.detailParams.title`;
    detail: `itemDO.desc`; card: `detailParams.title`."""
    price_fen: int | None = None
    """The price that is shown, in fen. The texts of `exContent.price[]` joined, else
    `exContent.detailParams.soldPrice`, else `clickParam.args.price`, where "else" means that there is no text, or one
    without a number or word; detail: `itemDO.soldPrice`, unless `itemDO.defaultPrice` says that it is none; card:
    `priceInfo`, else `detailParams.soldPrice`. See `xianyu.prices`. Where `coupon_off_fen` is not null, the seller asks
    so much more."""
    price_raw: str = ""
    """The text that the price was read from, unchanged. A word that stands beside it, in `exContent.priceTag`, and
    makes another price of it (/天, 起) is appended."""
    price_status: PriceStatus = PriceStatus.MISSING
    """Whether there is a price, and if not, why."""
    orig_price_fen: int | None = None
    """The original price in fen. `exContent.oriPrice`, else a label that is a price, and more than `price_fen`;
    detail: `itemDO.originalPrice`, where "0" means none; card: `priceInfo.oriPrice`."""
    coupon_off_fen: int | None = None
    """How much a coupon of the site has taken off `price_fen`: 5000 of the label `券已抵50元`; null if no label says
    so. A coupon that is only offered (领券减50) has taken nothing off."""
    condition: str | None = None
    """The condition in the site's words: 全新, 几乎全新, 轻微使用痕迹, 95新 … A label; detail: 成色 in
    `itemDO.cpvLabels`."""
    brand: str | None = None
    """The brand as the site writes it: `Apple/苹果`. The label after the condition; detail: 品牌 in
    `itemDO.cpvLabels`."""
    free_shipping: bool | None = None
    """True if the site says 包邮 (a label, or `clickParam.args.tagname`; card: also `detailParams.postInfo`); false if
    it says what shipping costs (detail: `itemDO.transportFee`); null if it says nothing."""
    area: str | None = None
    """Province or city. `exContent.area` without a distance, else `clickParam.args.p_city`; detail:
    `sellerDO.publishCity`, else `sellerDO.city`; card: `city`."""
    category_id: str | None = None
    """Xianyu's number of the category. `clickParam.args.tbCatId`, else `.catId`; detail: `itemDO.categoryId`,
    else `itemDO.itemCatDTO.tbCatId`, where 0 means none; card: `categoryId`."""
    want_count: int | None = None
    """How many people want it. `N人想要` in any label (card: or in `hotPoint.text`); detail: `itemDO.wantCnt`.
    (`clickParam.args.wantNum` is always 0.)"""
    published_at: str | None = None
    """UTC: `2026-11-22T21:40:42Z`. `clickParam.args.publishTime`; detail: `itemDO.gmtCreate`, else
    `itemDO.GMT_CREATE_DATE_KEY`. Milliseconds or seconds since 1970, or a date and time in China."""
    fetched_at: str
    """When the answer arrived, in the same form. In a saved file: when the browser asked, else when it was saved."""
    keyword: str | None = None
    """The keyword searched for: what was asked, in a saved file else `clickParam.args.keyword`. Null if a file does not
    tell, and for what was not found with that keyword (`recommended`)."""
    category: str | None = None
    """The operator's label for the keyword's category, such as 手机; null if there is none, and if `recommended`."""
    flags: list[str] = field(default_factory=list)
    """`Flag` values, sorted. `exContent.isAuction`, `exContent.isAliMaMaAD`; detail: `itemDO.itemStatusStr`, without
    such a text the number in `itemDO.itemStatus`; card: `itemStatus`. `recommended` follows from the whole answer (its
    `searchResControlFields`: `hasItems`, `similar`, `numFound`), from a heading (猜你喜欢) or from another keyword in
    `clickParam.args`."""
    pictures: list[str] = field(default_factory=list)
    """Names of files in the run's `pictures/`; empty unless `XIANYU_PICTURES=yes`. The URL of a picture may hold the
    seller's number, so it is not kept."""
    run_id: str
    """The run that saw the listing."""

    def __repr__(self) -> str:
        """Only the id, as this is what logs print: they shall not hold what people write."""
        return f"<Listing {self.item_id}>"
