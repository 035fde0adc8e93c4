"""Bodies and answers of the saved searches' URLs. Prices are yuan outside and fen inside."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import Row
from typing_extensions import TypedDict

from app.categories import CATEGORY_TEXT
from app.clock import MomentOut, format_moment
from app.fen import YuanOut, format_yuan_or_none
from app.fields import CleanText, YuanIn
from app.goods.schemas import CategoryIn, CategoryOut, TradeModeIn, TradeModeOut
from statemachine.good import TRADE_TEXT

_FILTERS: Final = ("category", "price_min", "price_max", "trade_mode")


class SaveSearchIn(BaseModel):
    """A query and its filters, as they are sent to the search."""

    model_config = ConfigDict(frozen=True)

    q: Annotated[str, CleanText(1, 100)] = Field(examples=["iphone 13"])
    category: CategoryIn | None = None
    price_min: YuanIn | None = None
    price_max: YuanIn | None = None
    trade_mode: TradeModeIn | None = None
    notify: bool = True

    @field_validator("price_max")
    @classmethod
    def _is_a_range(cls, value: int | None, info: ValidationInfo) -> int | None:
        lowest = info.data.get("price_min")
        if value is not None and lowest is not None and value < lowest:
            raise ValueError("不能小于 price_min")
        return value

    def filters(self) -> dict[str, Any]:
        """The filters, as columns."""
        return self.model_dump(include=set(_FILTERS))


class ChangeSavedSearchIn(BaseModel):
    """What of a saved search can be changed."""

    model_config = ConfigDict(frozen=True)

    notify: bool


class SavedSearchOut(TypedDict):
    """A saved search. `goods` counts what was found for it and is for sale."""

    id: int
    q: str
    category: CategoryOut | None
    category_text: str | None
    price_min: YuanOut | None
    price_max: YuanOut | None
    trade_mode: TradeModeOut | None
    trade_mode_text: str | None
    notify: bool
    goods: int
    created_at: MomentOut


def saved_search_out(row: Row[Any]) -> SavedSearchOut:
    """The API's form of a saved search, a row of its table with `goods`."""
    return {
        "id": row.id,
        "q": row.q,
        "category": row.category,
        "category_text": None if row.category is None else CATEGORY_TEXT[row.category],
        "price_min": format_yuan_or_none(row.price_min),
        "price_max": format_yuan_or_none(row.price_max),
        "trade_mode": row.trade_mode,
        "trade_mode_text": None if row.trade_mode is None else TRADE_TEXT[row.trade_mode],
        "notify": row.notify,
        "goods": row.goods,
        "created_at": format_moment(row.created_at),
    }
