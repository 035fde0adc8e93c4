"""The declarative base and the column types that models share."""

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any

from sqlalchemy import BigInteger, CheckConstraint, DateTime, MetaData
from sqlalchemy.orm import DeclarativeBase, mapped_column

from app.clock import utcnow


class Base(DeclarativeBase):
    """Base of all models. Constraints get predictable names, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


intpk = Annotated[int, mapped_column(BigInteger, primary_key=True)]
"""A 64-bit identity primary key."""

fen = Annotated[int, mapped_column(BigInteger)]
"""Money in fen; pair it with `not_negative`."""

moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
"""An aware moment, stored in UTC."""

created_moment = Annotated[datetime, mapped_column(DateTime(timezone=True), default=utcnow)]
"""As `moment`, filled when the row is made."""


def not_negative(*columns: str) -> list[CheckConstraint]:
    """`CHECK (column >= 0)` for each of `columns`."""
    return [CheckConstraint(f"{column} >= 0", name=f"{column}_not_negative") for column in columns]


def one_of(column: str, choices: type[IntEnum]) -> CheckConstraint:
    """`CHECK (column IN (…))` over the numbers of `choices`."""
    numbers = ", ".join(str(choice.value) for choice in choices)
    return CheckConstraint(f"{column} IN ({numbers})", name=f"{column}_known")


def table_args(*constraints: Any) -> tuple[Any, ...]:  # SQLAlchemy's own type for __table_args__ items
    """Flatten constraints and lists of constraints into `__table_args__`."""
    flat: list[Any] = []
    for constraint in constraints:
        flat.extend(constraint) if isinstance(constraint, list) else flat.append(constraint)
    return tuple(flat)
