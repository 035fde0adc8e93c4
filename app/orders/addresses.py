"""Whose address an order shows to whom, and for how long: as long as the order needs it.

Everybody sees their own. The other side's and staff's view is the table `_SHOWN`, by where the order stands;
docs/privacy.md has it in words. Whoever shows an order shows its addresses through `AddressView`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

from app.clock import utcnow
from app.fields.phones import masked_phone
from app.orders.schemas import OrderAddressOut
from app.settings import settings
from statemachine import BillStatus, OrderPhase, Role


class Stage(Enum):
    """Where an order stands, as far as its addresses are concerned."""

    UNPAID = auto()
    OPEN = auto()  # paid, and not closed yet
    CLOSED_UNSHIPPED = auto()  # no parcel was ever sent
    CLOSED = auto()
    LONG_CLOSED_UNSHIPPED = auto()
    LONG_CLOSED = auto()  # since the setting's days


class Shown(Enum):
    """How much of an address is shown."""

    WHOLE = auto()
    MASKED = auto()
    NOTHING = auto()


_OTHER_SIDE: Final = {
    Stage.UNPAID: Shown.NOTHING,
    Stage.OPEN: Shown.WHOLE,
    Stage.CLOSED_UNSHIPPED: Shown.NOTHING,
    Stage.CLOSED: Shown.WHOLE,
    Stage.LONG_CLOSED_UNSHIPPED: Shown.NOTHING,
    Stage.LONG_CLOSED: Shown.MASKED,
}
_STAFF: Final = {
    Stage.UNPAID: Shown.WHOLE,
    Stage.OPEN: Shown.WHOLE,
    Stage.CLOSED_UNSHIPPED: Shown.WHOLE,
    Stage.CLOSED: Shown.WHOLE,
    Stage.LONG_CLOSED_UNSHIPPED: Shown.MASKED,
    Stage.LONG_CLOSED: Shown.MASKED,
}
_SHOWN: Final[Mapping[Role, Mapping[Stage, Shown]]] = {
    Role.BUYER: _OTHER_SIDE,
    Role.SELLER: _OTHER_SIDE,
    Role.STAFF: _STAFF,
}


def stage_of(*, phase: OrderPhase, since: datetime, shipped: bool) -> Stage:
    """Where an order stands that is in `phase` since then, and had a parcel sent to the buyer or not."""
    if not phase.closed:
        return Stage.UNPAID if phase.bill == BillStatus.UNPAID else Stage.OPEN
    if utcnow() >= since + timedelta(days=settings().address_shown_days):
        return Stage.LONG_CLOSED if shipped else Stage.LONG_CLOSED_UNSHIPPED
    return Stage.CLOSED if shipped else Stage.CLOSED_UNSHIPPED


@dataclass(frozen=True, slots=True)
class AddressView:
    """What `viewer` (buyer, seller or staff) sees of the addresses of an order that stands at `stage`."""

    viewer: Role
    stage: Stage

    def of(self, owner: Role, address: Any) -> OrderAddressOut | None:
        """The copied address of `owner`, as much of it as is shown."""
        shown = Shown.WHOLE if owner is self.viewer else _SHOWN[self.viewer][self.stage]
        if address is None or shown is Shown.NOTHING:
            return None
        return masked(address) if shown is Shown.MASKED else address


def masked(address: OrderAddressOut) -> OrderAddressOut:
    """The address as far as it names nobody: 王**, 138****0002, the district, and nothing nearer."""
    name, mobile = address["name"], address["mobile"]
    return {
        **address,
        "name": name[:1] + "*" * len(name[1:]),
        "mobile": masked_phone(mobile),
        "detail": "***",
    }
