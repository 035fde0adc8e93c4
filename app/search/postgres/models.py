"""The tables of the PostgreSQL search engine. All of it can be made again from the goods."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base


class SearchDocument(Base):
    """A good that is for sale, as search knows it: one that is not has no row.

    `tokens` says whether it matches: its tokens, and those of its title once more with a mark in front. `columns` and
    `counts` are what scoring reads, so packed that the rows of a query become arrays without a loop
    (`app.search.postgres.documents`). `format` is the version of tokens and packing: rows of another one are passed
    over until they are written again.
    """

    __tablename__ = "search_documents"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("freight >= 0", name="freight_not_negative"),
        # A short list of pending entries: each search reads through all of it.
        Index(
            "ix_search_documents_tokens",
            "tokens",
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 256},
        ),
        # For words that more goods have than are gathered: the first ones of an order.
        Index("ix_search_documents_published", "published", "good_id"),
        Index("ix_search_documents_price", "price", "published", "good_id"),
    )

    good_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("goods.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    format: Mapped[int] = mapped_column(SmallInteger)
    category: Mapped[int] = mapped_column(SmallInteger)
    trade_mode: Mapped[int] = mapped_column(SmallInteger)
    condition: Mapped[int] = mapped_column(SmallInteger)
    price: Mapped[int] = mapped_column(BigInteger)  # fen
    freight: Mapped[int] = mapped_column(BigInteger)  # fen
    published: Mapped[int] = mapped_column(BigInteger)  # seconds since 1970
    length: Mapped[int]  # tokens, for the average
    tokens: Mapped[str] = mapped_column(TSVECTOR)
    columns: Mapped[bytes] = mapped_column(LargeBinary)
    counts: Mapped[bytes] = mapped_column(LargeBinary)


class SearchWord(Base):
    """A word, how many goods have it, and how many in their titles: for scores, corrections and plans."""

    __tablename__ = "search_words"

    word: Mapped[str] = mapped_column(Text, primary_key=True)
    goods: Mapped[int]
    titles: Mapped[int]


class SearchState(Base):
    """The one row that says how far the table is filled, and of when the words' counts are.

    `filled_to` is the last good that filling has dealt with; None once the table is complete. `changes` is
    PostgreSQL's own count of rows written, by which one sees whether anything has changed since; `seconds` is how long
    counting took.
    """

    __tablename__ = "search_state"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    format: Mapped[int] = mapped_column(SmallInteger)
    filled_to: Mapped[int | None] = mapped_column(BigInteger)
    counted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    changes: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    goods: Mapped[int] = mapped_column(BigInteger, default=0)
    average_length: Mapped[float] = mapped_column(default=0.0)
