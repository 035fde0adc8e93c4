"""Listings seen on other sites, their asking prices over time, and the crawl runs that brought them."""

from enum import IntEnum, StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.categories import Category
from app.db.columns import Base, fen, intpk, moment, not_negative, one_of, table_args


class ListingFlag(StrEnum):
    """Why a listing is not one thing for sale at its price. `app.listings.flags` finds it out."""

    RENTAL = "rental"  # 出租: the price is of a day or a month
    AUCTION = "auction"  # 拍卖: the price is where the bids begin
    WANTED = "wanted"  # 求购: somebody who buys
    ACCESSORY = "accessory"  # 手机壳, 空盒, 主板: made for the thing that the title names, or a part of it
    SERVICE = "service"  # 维修, 代购: work
    BROKEN = "broken"  # 不开机, 尸体: sold for its parts
    ADVERTISEMENT = "advertisement"  # of a shop, shown between listings
    OFFLINE = "offline"  # 已下架
    SOLD = "sold"  # 卖掉了


NOT_COMPARABLE: Final = frozenset(ListingFlag) - {ListingFlag.OFFLINE, ListingFlag.SOLD}
"""Flags of listings whose price is not that of the thing that their title names."""


class ListingCondition(IntEnum):
    """How used a thing is. `app.listings.conditions` reads it from a site's words."""

    NEW = 1  # 全新
    LIKE_NEW = 2  # 几乎全新, 99新
    SLIGHT_TRACES = 3  # 轻微使用痕迹, 9成新
    VISIBLE_TRACES = 4  # 明显使用痕迹, 8成新
    WORN = 5  # 重度使用痕迹, 7成新


class Listing(Base):
    """One listing as it was last seen.

    Neither the seller nor the description is kept; the flags that a description tells were found at the import.

    `price` is what the seller asks. Where a coupon of the site has taken something off the price that is shown, that is
    `coupon_off`, and `price` is what is shown and `coupon_off` together: so prices with and without coupons compare.
    """

    __tablename__ = "listings"
    __table_args__ = table_args(
        UniqueConstraint("source", "item_id"),
        not_negative("price", "original_price", "coupon_off", "want_count"),
        one_of("category", Category),
        one_of("condition", ListingCondition),
        CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
        # Without GIN's list of pending entries: every search would have to read all of it (benchmarks.prices).
        Index("ix_listings_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    )

    id: Mapped[intpk]
    source: Mapped[str] = mapped_column(String(20))
    item_id: Mapped[str] = mapped_column(String(32))
    url: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    price: Mapped[int | None] = mapped_column(BigInteger)  # fen; None where there is no usable price
    original_price: Mapped[int | None] = mapped_column(BigInteger)
    coupon_off: Mapped[int | None] = mapped_column(BigInteger)  # fen
    condition: Mapped[int | None] = mapped_column(SmallInteger)  # `ListingCondition`, from the site's words
    source_condition: Mapped[str | None] = mapped_column(Text)  # these words
    brand: Mapped[str | None] = mapped_column(Text)  # as the site writes it: Apple/苹果
    free_shipping: Mapped[bool | None]  # None where the site says nothing of it
    category: Mapped[int | None] = mapped_column(SmallInteger)  # ours, from the operator's label
    source_category: Mapped[str | None] = mapped_column(String(32))
    area: Mapped[str | None] = mapped_column(Text)
    want_count: Mapped[int | None]
    published_at: Mapped[moment | None]
    first_seen_at: Mapped[moment]
    last_seen_at: Mapped[moment]
    flags: Mapped[list[str]] = mapped_column(ARRAY(String(20)))  # `ListingFlag` values, sorted
    terms: Mapped[list[str]] = mapped_column(ARRAY(Text))  # what it is found by (`app.listings.terms`)
    run_id: Mapped[str] = mapped_column(String(80))  # the crawl run of this observation


class ListingPrice(Base):
    """One asking price of a listing: the first, and each that differed from the one before."""

    __tablename__ = "listing_prices"
    __table_args__ = table_args(not_negative("price"))

    listing_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("listings.id"), primary_key=True)
    seen_at: Mapped[moment] = mapped_column(primary_key=True)
    price: Mapped[fen]


class SearchSupply(Base):
    """How many offers a site counts for a keyword, as it was last seen: what there is, not what was read of it."""

    __tablename__ = "search_supplies"
    __table_args__ = table_args(
        UniqueConstraint("source", "keyword"), not_negative("offers"), one_of("category", Category)
    )

    id: Mapped[intpk]
    source: Mapped[str] = mapped_column(String(20))
    keyword: Mapped[str] = mapped_column(Text)
    # What a listing must have to be comparable to the keyword: the first step of `app.listings.relaxation`, sorted.
    terms: Mapped[list[str]] = mapped_column(ARRAY(Text))
    category: Mapped[int | None] = mapped_column(SmallInteger)  # ours, from the operator's label
    offers: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[moment]
    run_id: Mapped[str] = mapped_column(String(80))  # the crawl run of this observation


class CrawlRun(Base):
    """One crawl run of which something was imported.

    `created` and `updated` add up over all imports of the run, because each chunk counts them in its transaction; the
    other counts are those of the last import that was completed, at `imported_at`.
    """

    __tablename__ = "crawl_runs"
    __table_args__ = table_args(
        not_negative("created", "updated", "unchanged", "outdated", "rejected", "damaged"),
        Index("ix_crawl_runs_started_at", "started_at"),
    )

    id: Mapped[intpk]
    run_id: Mapped[str] = mapped_column(String(80), unique=True)
    source: Mapped[str] = mapped_column(String(20))
    spider: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[moment]
    finished_at: Mapped[moment | None]
    outcome: Mapped[str] = mapped_column(String(40))
    exit_code: Mapped[int | None] = mapped_column(SmallInteger)
    detail: Mapped[str] = mapped_column(Text)
    counts: Mapped[dict[str, Any]] = mapped_column(JSONB)  # as the crawler counted them
    imported_at: Mapped[moment | None]
    # Set if the crawler's clock was ahead: what the run saw later, by that clock, it saw at this moment at the latest.
    latest_at: Mapped[moment | None]
    created: Mapped[int] = mapped_column(default=0)  # listings
    updated: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    outdated: Mapped[int] = mapped_column(default=0)
    rejected: Mapped[int] = mapped_column(default=0)  # lines
    damaged: Mapped[int] = mapped_column(default=0)  # batches
