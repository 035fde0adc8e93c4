"""Saved searches, and the goods that were found for them."""

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger, String, text, true
from sqlalchemy.orm import Mapped, mapped_column

from app.categories import Category
from app.db.columns import Base, created_moment, intpk, moment, not_negative, one_of, table_args
from statemachine.good import TradeMode


class SavedSearch(Base):
    """A query with its filters. `notify`: whether its user is told of new goods; `told_at`: when that was last done.

    `keys` are tokens of which a good has to have one in order to fit: what the table is searched by. `price_min` and
    `price_max` are fen.
    """

    __tablename__ = "saved_searches"
    __table_args__ = table_args(
        not_negative("price_min", "price_max"),
        CheckConstraint("price_min <= price_max", name="price_range"),
        one_of("category", Category),
        one_of("trade_mode", TradeMode),
        Index("ix_saved_searches_user_id_id", "user_id", "id"),
        Index("ix_saved_searches_keys", "keys", postgresql_using="gin"),
    )

    id: Mapped[intpk]
    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"))
    q: Mapped[str] = mapped_column(String(100))
    category: Mapped[int | None] = mapped_column(SmallInteger)
    price_min: Mapped[int | None] = mapped_column(BigInteger)
    price_max: Mapped[int | None] = mapped_column(BigInteger)
    trade_mode: Mapped[int | None] = mapped_column(SmallInteger)
    notify: Mapped[bool] = mapped_column(default=True, server_default=true())
    keys: Mapped[list[str]] = mapped_column(ARRAY(String(64)))
    told_at: Mapped[moment | None]
    created_at: Mapped[created_moment]


class SavedSearchHit(Base):
    """A good that became public after the search was saved, and fits it. `told_at` is when its user was told of it.

    A good is found once for a search, whatever becomes of it later.
    """

    __tablename__ = "saved_search_hits"
    __table_args__ = (
        Index("ix_saved_search_hits_good_id", "good_id"),
        Index("ix_saved_search_hits_untold", "search_id", postgresql_where=text("told_at IS NULL")),
    )

    search_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("saved_searches.id", ondelete="CASCADE"), primary_key=True
    )
    good_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("goods.id"), primary_key=True)
    found_at: Mapped[created_moment]
    told_at: Mapped[moment | None]
