"""What was searched for, in aggregate: how often in which hour, and what of it may be shown to others."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, intpk, moment, not_negative, table_args

QUERY_LENGTH = 40
"""Characters of the longest query that is counted, in normal form."""


class QueryState(StrEnum):
    """Whether a query may be shown to others: the check of texts has let it through or not, or staff have banned it."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    BANNED = "banned"


class QueryCount(Base):
    """How often a query was searched for in one hour, how often a hit of it was opened, how often there was none.

    There is no row for a query before several clients have searched for it, and nothing says who did.
    """

    __tablename__ = "query_counts"
    __table_args__ = table_args(
        not_negative("searches", "clicks", "without_hit"),
        Index("ix_query_counts_text", "text"),
    )

    hour: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    text: Mapped[str] = mapped_column(String(QUERY_LENGTH), primary_key=True)
    searches: Mapped[int]
    clicks: Mapped[int]
    without_hit: Mapped[int]


class SearchedQuery(Base):
    """A query that several clients have searched for. `heat` is a hundredfold of its counts, the older the less.

    `rules_version` is that of the rules by which its text was checked; empty where staff decided.
    """

    __tablename__ = "searched_queries"
    __table_args__ = table_args(
        CheckConstraint("state IN ('allowed', 'refused', 'banned')", name="state_known"),
        not_negative("heat"),
        Index("ix_searched_queries_heat", "heat", "text", postgresql_where=text("state = 'allowed'")),
    )

    id: Mapped[intpk]
    text: Mapped[str] = mapped_column(String(QUERY_LENGTH), unique=True)
    heat: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    state: Mapped[str] = mapped_column(String(10))
    rules_version: Mapped[str] = mapped_column(String(100), default="", server_default="")
    changed_at: Mapped[moment]
