"""What is read from clients, one type for each kind of thing.

People paste: with blanks and hyphens, a country code before a number, full-width digits, direction marks from the
address book, a line end from a chat. Whatever a thing is pasted with, it has one stored form, and what could be two
things is refused with a text that says what is expected. Reading a stored form again changes nothing.

| kind | type | here |
|---|---|---|
| texts | `Annotated[str, CleanText(1, 60)]`, `PersonNameIn` | `text.py` |
| whole numbers | `Annotated[int, Whole(1, 9)]`, `IdIn`, `IdsIn` | `numbers.py` |
| lists | `Annotated[list[T], Separated]` | `lists.py` |
| amounts in yuan | `YuanIn`, `PriceIn`, `AmountIn` | `amounts.py` |
| phone numbers | `PhoneIn`, `PhoneOfSomePlaceIn`, `read_phone` | `phones.py` |
| codes | `Annotated[str, Digits(6)]`, `TrackingNumberIn`, `Annotated[str, Compact(1, 16)]` | `codes.py` |
| accounts | `read_email`, `AlipayAccountIn` | `accounts.py` |

`characters.py` says which characters come along and mean nothing. Passwords are read as they are
(`app.accounts.passwords`); usernames have rules of their own (`app.accounts.usernames`).
"""

from app.fields.accounts import AlipayAccountIn
from app.fields.amounts import AmountIn, PriceIn, YuanIn
from app.fields.codes import Compact, Digits, TrackingNumberIn
from app.fields.lists import Separated
from app.fields.numbers import MAX_BIGINT, IdIn, IdsIn, Whole
from app.fields.phones import PhoneIn, PhoneOfSomePlaceIn
from app.fields.text import CleanText, PersonNameIn

__all__ = [
    "MAX_BIGINT",
    "AlipayAccountIn",
    "AmountIn",
    "CleanText",
    "Compact",
    "Digits",
    "IdIn",
    "IdsIn",
    "PersonNameIn",
    "PhoneIn",
    "PhoneOfSomePlaceIn",
    "PriceIn",
    "Separated",
    "TrackingNumberIn",
    "Whole",
    "YuanIn",
]
