"""What clients ask of reference prices and what they get. Money is yuan outside and fen inside."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.categories import CATEGORY_TEXT, Category
from app.clock import MomentOut
from app.enums import OneOf
from app.fen import YuanOut
from app.fields import CleanText, Whole
from app.listings.models import ListingCondition
from app.listings.statistics import Confidence, Direction
from app.listings.title_conditions import CONDITION_TEXT

ConditionIn = Annotated[
    int, Whole(min(ListingCondition), max(ListingCondition)), OneOf(ListingCondition, CONDITION_TEXT)
]


class PriceReferenceQuery(BaseModel):
    """What is to be sold, as its title will say."""

    model_config = ConfigDict(frozen=True)

    title: Annotated[str, CleanText(1, 100)] = Field(description="the good's title", examples=["iPhone 13 128G 九成新"])
    category: Annotated[int, Whole(min(Category), max(Category)), OneOf(Category, CATEGORY_TEXT)] | None = None
    condition: ConditionIn | None = Field(
        None, description="how used it is, from 1 全新 to 5 重度使用痕迹; where it is absent, as the title says"
    )


class BinOut(TypedDict):
    """How many of the prices lie from `low` up to but not including `high`."""

    low: YuanOut
    high: YuanOut
    count: int


class WeekOut(TypedDict):
    """Seven days: the day they begin on (Asia/Shanghai), their prices, and their median where there are three."""

    begins: Annotated[str, Field(json_schema_extra={"format": "date"})]
    median: YuanOut | None
    count: int


class TrendOut(TypedDict):
    """Where prices went in the last eight weeks; `percent` is of four weeks, null where nothing can be said."""

    direction: Direction
    percent: int | None
    text: str


class PricesOut(TypedDict):
    """What the comparable prices say together.

    Half of them lie from `lower_quartile` to `upper_quartile`, eight of ten from `typical_low` to `typical_high`. The
    true median is from `margin_low` to `margin_high` in 95 of 100 cases.
    """

    median: YuanOut
    lower_quartile: YuanOut
    upper_quartile: YuanOut
    typical_low: YuanOut
    typical_high: YuanOut
    margin_low: YuanOut
    margin_high: YuanOut
    histogram: list[BinOut]
    weeks: list[WeekOut]
    trend: TrendOut
    confidence: Confidence
    confidence_text: str


class RemovedOut(TypedDict):
    """How many listings of that name were left out: each once, as what it is or for its price."""

    accessory: int
    rental: int
    wanted: int
    auction: int
    service: int
    broken: int
    advertisement: int
    outlier: int


class ConditionOut(TypedDict):
    """The condition that was asked for, or that the title says.

    Where there are enough listings in it, only those were compared (`narrowed`), of `of` in all conditions.
    """

    code: Annotated[int, OneOf(ListingCondition, CONDITION_TEXT)]
    text: str
    narrowed: bool
    of: int


class CouponsOut(TypedDict):
    """How many of the compared listings a coupon of the site makes cheaper, and by how much, the median of them.

    What was compared is what their sellers ask, without the coupon.
    """

    count: int
    median_off: YuanOut | None


class SupplyOut(TypedDict):
    """How many offers the site counted at `seen_at` for what all of `terms` name."""

    offers: int
    terms: list[str]
    seen_at: MomentOut


class BasisOut(TypedDict):
    """What was compared: listings with all of `terms`, seen in the last `days` days.

    `ignored` are words of the title that listings did not need to have. Of a name that too many have, a fair part was
    `sampled`. The newest of the listings was seen at `updated_at`, and `recent` of them in the last seven days.
    """

    terms: list[str]
    ignored: list[str]
    days: int
    sampled: bool
    removed: RemovedOut
    updated_at: MomentOut | None
    recent: int
    condition: ConditionOut | None
    coupons: CouponsOut


class PriceReferenceOut(TypedDict):
    """What listings like this one are asked for elsewhere; asking prices, not prices that were paid.

    Below `needed` comparable listings `prices` is null; so is `supply` where no search is known for it. `notes` say in
    sentences what was compared.
    """

    enough: bool
    count: int
    needed: int
    prices: PricesOut | None
    basis: BasisOut
    supply: SupplyOut | None
    notes: list[str]
