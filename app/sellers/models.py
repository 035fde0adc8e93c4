"""How sellers stand."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.db.columns import Base, moment, not_negative, table_args


class SellerStanding(Base):
    """What became of a seller's orders and goods, counted anew every hour; a seller without any has no row.

    `settled` and `failed` are orders that ended well, and ill by the seller's fault; `taken_down` goods that staff took
    away. `standing` is what they come to, from −100 to 100 (`app.sellers.service`).
    """

    __tablename__ = "seller_standings"
    __table_args__ = table_args(
        not_negative("settled", "failed", "taken_down"),
        CheckConstraint("standing BETWEEN -100 AND 100", name="standing_in_range"),
    )

    user_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("users.id"), primary_key=True)
    settled: Mapped[int]
    failed: Mapped[int]
    taken_down: Mapped[int]
    standing: Mapped[int] = mapped_column(SmallInteger)
    counted_at: Mapped[moment]
