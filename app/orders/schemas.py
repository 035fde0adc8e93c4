"""What the order URLs take and give."""

from enum import IntEnum, StrEnum
from typing import Annotated, Final, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.accounts.schemas import PersonOut
from app.clock import MomentOut
from app.enums import OneOf, text_enum
from app.fen import YuanOut
from app.fields import AmountIn, CleanText, Digits, IdIn, TrackingNumberIn, Whole, YuanIn
from app.goods.picture_links import PictureLinksOut
from app.goods.schemas import PictureIds
from app.money.models import PaymentState, RefundState
from app.orders.models import HoldReason
from app.paging import PageQuery
from statemachine import ORDER, BillStatus, OrderEvent, OrderStatus, Role, TradeMode
from statemachine.good import TRADE_TEXT
from statemachine.order import BILL_TEXT, ORDER_TEXT


class OrderTradeMode(IntEnum):
    """How the goods of an order change hands: as a good's `TradeMode`, but decided."""

    FACE_TO_FACE = TradeMode.FACE_TO_FACE
    COURIER = TradeMode.COURIER


_PEOPLE: Final = frozenset({Role.BUYER, Role.SELLER, Role.STAFF})
_EVENT_TEXT: Final = {event: text.zh for event, text in ORDER.events.items()}
_EVENTS_OF_PEOPLE: Final = tuple(dict.fromkeys(rule.event for rule in ORDER.rules if _PEOPLE & set(rule.by)))

CASE_EVENTS: Final = frozenset({OrderEvent.CONFIRM_EXTERNAL_REFUND})
"""What staff do to an order by deciding a case about its money: no action of the order."""

HistoryEvent = text_enum(
    "HistoryEvent", [ORDER.creation.name, *OrderEvent], about="What a line of an order's history tells of."
)
ActionName = text_enum(
    "ActionName",
    [OrderEvent.PAY, *(event for event in _EVENTS_OF_PEOPLE if event not in CASE_EVENTS), "state_case", "hide"],
    about="What the caller may do with an order.",
)

AttemptedAction = text_enum(
    "AttemptedAction",
    [*ActionName, *CASE_EVENTS, "renew_handover_code"],
    about="What the caller tried to do with an order.",
)

BillStatusIn = Annotated[int, Field(ge=min(BillStatus), le=max(BillStatus)), OneOf(BillStatus, BILL_TEXT)]
OrderStatusIn = Annotated[int, Field(ge=min(OrderStatus), le=max(OrderStatus)), OneOf(OrderStatus, ORDER_TEXT)]
OrderTradeModeIn = Annotated[int, Whole(min(OrderTradeMode), max(OrderTradeMode)), OneOf(OrderTradeMode, TRADE_TEXT)]

BillStatusOut = Annotated[int, OneOf(BillStatus, BILL_TEXT)]
OrderStatusOut = Annotated[int, OneOf(OrderStatus, ORDER_TEXT)]
OrderTradeModeOut = Annotated[int, OneOf(OrderTradeMode, TRADE_TEXT)]
RoleOut = Annotated[str, OneOf(Role, {role: text.zh for role, text in ORDER.roles.items()})]
EventOut = Annotated[str, OneOf(OrderEvent, _EVENT_TEXT)]
PaymentStateOut = Annotated[str, OneOf(PaymentState)]
RefundStateOut = Annotated[str, OneOf(RefundState)]


NOT_READ: Final = (
    *("price", "original_price", "freight", "amount", "total"),
    *("seller", "seller_id", "buyer", "buyer_id", "owner", "owner_id"),
)
"""What a client may send with a purchase or payment and is not read: prices, seller, buyer are the server's own."""


class BuyIn(BaseModel):
    """What a buyer chooses, and what they saw. Price, seller and buyer are the server's and are not read."""

    model_config = ConfigDict(frozen=True)

    address_id: IdIn | None = Field(None, description="where to ship; not for 当面交易")
    trade_mode: OrderTradeModeIn | None = Field(None, description="6 当面交易 or 7 快递, where the good leaves it open")
    expected_amount: AmountIn | None = Field(
        None, description="what the order is to cost, freight included, in yuan; another amount is refused"
    )
    revision: Annotated[int, Whole(1, 2**31 - 1)] | None = Field(
        None, description="the `revision` of the good as it was read; a good that was edited since is refused"
    )


class ShipIn(BaseModel):
    """The seller's parcel. `address_id` is the sender's own address, where a return would go."""

    model_config = ConfigDict(frozen=True)

    address_id: IdIn
    company: Annotated[str, CleanText(1, 30)]
    tracking_no: TrackingNumberIn


class ReturnIn(BaseModel):
    """The buyer's parcel back."""

    model_config = ConfigDict(frozen=True)

    company: Annotated[str, CleanText(1, 30)]
    tracking_no: TrackingNumberIn
    freight: YuanIn = 0


class RefundIn(BaseModel):
    """Why the buyer wants the money back."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(1, 100)]
    description: Annotated[str, CleanText(0, 500, multiline=True)] = ""
    picture_ids: PictureIds = Field(default_factory=list)


class RejectIn(BaseModel):
    """Why the seller refuses a refund."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(1, 100)]


class DisputeIn(BaseModel):
    """Why staff is called."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(1, 100)]
    description: Annotated[str, CleanText(0, 500, multiline=True)] = ""
    picture_ids: PictureIds = Field(default_factory=list)


class StatementIn(BaseModel):
    """What a side has to say in a dispute."""

    model_config = ConfigDict(frozen=True)

    text: Annotated[str, CleanText(1, 500, multiline=True)]
    picture_ids: PictureIds = Field(default_factory=list)


class HandoverIn(BaseModel):
    """The six digits that the buyer told."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[str, Digits(6)]


class DiagramQuery(BaseModel):
    """Which form the diagram comes in."""

    model_config = ConfigDict(frozen=True)

    format: Literal["svg", "mermaid"] = "svg"


class ToDo(StrEnum):
    """What an order waits for on one side."""

    PAY = "pay"
    RECEIVE = "receive"
    SEND_BACK = "send_back"
    SHIP = "ship"
    HAND_OVER = "hand_over"
    ANSWER_REFUND = "answer_refund"
    ACCEPT_RETURN = "accept_return"


TO_DO_TEXT: Final = {
    ToDo.PAY: "待付款",
    ToDo.RECEIVE: "待收货",
    ToDo.SEND_BACK: "待寄回",
    ToDo.SHIP: "待发货",
    ToDo.HAND_OVER: "待当面交货",
    ToDo.ANSWER_REFUND: "待处理退款",
    ToDo.ACCEPT_RETURN: "待确认退货",
}


class OrderQuery(PageQuery):
    """Filters of all lists of orders."""

    bill_status: BillStatusIn | None = None
    order_status: OrderStatusIn | None = None
    closed: bool | None = Field(None, description="only orders to which nothing can happen any more, or only others")


class OwnOrderQuery(OrderQuery):
    """Filters of the caller's own lists. `to_do` is of the list's side: the other side's finds nothing."""

    to_do: ToDo | None = Field(None, description="only orders that wait for the caller to do this")


class StateOut(TypedDict):
    """One of the ten states; `axis` is `bill` (1–5) or `order` (6–10)."""

    code: int
    text: str
    axis: Literal["bill", "order"]


class StateCountOut(TypedDict):
    """How many orders one of the ten states has, and how many of them are not closed."""

    code: int
    text: str
    count: int
    open: int


class PhaseCountOut(TypedDict):
    """How many orders stand at both states, closed or not."""

    bill_status: BillStatusOut
    order_status: OrderStatusOut
    closed: bool
    count: int


class ToDoCountOut(TypedDict):
    """How many orders wait for the caller to do something."""

    name: ToDo
    text: str
    count: int


class SideCountsOut(TypedDict):
    """How many orders one of the caller's lists has; each count is the `total` of that list with these filters.

    `bill_status` and `order_status` have all of their five states, `phases` only those that orders stand at, `to_do`
    all that the side can have to do.
    """

    total: int
    open: int
    bill_status: list[StateCountOut]
    order_status: list[StateCountOut]
    phases: list[PhaseCountOut]
    to_do: list[ToDoCountOut]
    to_do_total: int


class OrderCountsOut(TypedDict):
    """How many orders the caller bought and sold, without those that the caller removed from the list."""

    bought: SideCountsOut
    sold: SideCountsOut


class OrderGoodOut(TypedDict):
    """The good as it was bought; `picture` is a URL. Where not everybody sees it, `links` show it for minutes."""

    id: int
    title: str
    picture: str | None
    links: NotRequired[PictureLinksOut]


class PartyOut(PersonOut):
    """A buyer or seller."""


class OrderAddressOut(TypedDict):
    """An address as it was copied; masked (王**, 138****0002, ***) once the order has long been closed."""

    name: str
    mobile: str
    province: str
    city: str
    district: str
    detail: str


class WaybillOut(TypedDict):
    """A parcel and both its ends, if they are shown; those of a 当面交易 order's return are not known to us."""

    company: str
    tracking_no: str
    freight: YuanOut
    sender: OrderAddressOut | None
    recipient: OrderAddressOut | None
    created_at: MomentOut


class ActionOut(TypedDict):
    """Something the caller may do now."""

    name: Annotated[str, OneOf(ActionName)]
    text: str
    method: Literal["POST", "DELETE"]
    url: str


class DeadlineOut(TypedDict):
    """When the system acts if nobody does; `what` is the event it fires."""

    at: MomentOut
    what: EventOut
    text: str


class HoldOut(TypedDict):
    """Why nobody can make a step of the order for now, and since when; `text` says what that means for the reader."""

    code: Annotated[str, OneOf(HoldReason)]
    text: str
    since: MomentOut


class RefundOut(TypedDict):
    """The latest request for a refund, what became of it, and the money's way back once it was granted."""

    reason: str | None
    description: str | None
    requested_at: MomentOut | None
    requests: int
    outcome: EventOut | None  # the event that ended the request
    outcome_note: str | None  # the reason of a seller or of staff
    amount: YuanOut | None
    state: RefundStateOut | None  # of the money; refused: an operator looks into it


class OrderOut(TypedDict):
    """One order, as its buyer or seller sees it."""

    id: int
    order_no: str
    good: OrderGoodOut
    buyer: PartyOut
    seller: PartyOut
    price: YuanOut
    freight: YuanOut
    amount: YuanOut
    trade_mode: OrderTradeModeOut
    trade_mode_text: str
    bill_status: BillStatusOut
    bill_status_text: str
    order_status: OrderStatusOut
    order_status_text: str
    closed: bool
    closed_reason: EventOut | None
    actions: list[ActionOut]
    deadline: DeadlineOut | None
    hold: HoldOut | None
    address: OrderAddressOut | None
    delivery: WaybillOut | None
    return_delivery: WaybillOut | None
    refund: RefundOut | None
    created_at: MomentOut
    updated_at: MomentOut


class HistoryOut(TypedDict):
    """One step of an order: who did what when, from where to where."""

    sequence: int
    event: Annotated[str, OneOf(HistoryEvent)]
    text: str
    role: RoleOut
    role_text: str
    actor_id: int | None
    from_bill_status: BillStatusOut | None
    from_order_status: OrderStatusOut | None
    to_bill_status: BillStatusOut
    to_order_status: OrderStatusOut
    closed: bool
    note: str
    at: MomentOut


class EvidenceOut(TypedDict):
    """A picture that goes with a request or a dispute, and the id of the user who sent it.

    `links` show it without a token, for minutes.
    """

    id: int
    uploader_id: int
    url: str
    width: int
    height: int
    links: PictureLinksOut


class RefundRequestOut(TypedDict):
    """One request for a refund."""

    reason: str
    description: str
    pictures: list[EvidenceOut]
    created_at: MomentOut
    outcome: EventOut | None
    outcome_text: str | None
    outcome_note: str
    ended_at: MomentOut | None


class StatementOut(TypedDict):
    """What a side said while the order was disputed."""

    role: RoleOut
    role_text: str
    text: str
    created_at: MomentOut


class DisputeOut(TypedDict):
    """One side called staff; `statements` is what both said since."""

    role: RoleOut
    role_text: str
    event: EventOut
    reason: str
    description: str
    pictures: list[EvidenceOut]
    statements: list[StatementOut]
    created_at: MomentOut
    outcome: EventOut | None
    outcome_text: str | None
    outcome_note: str
    ended_at: MomentOut | None


class PaymentOut(TypedDict):
    """One attempt to pay, and its money's way back."""

    attempt: int
    out_trade_no: str
    trade_no: str | None
    amount: YuanOut
    state: PaymentStateOut
    paid_at: MomentOut | None
    refund_state: RefundStateOut | None
    refund_reason: str | None
    created_at: MomentOut


class OrderDetailOut(OrderOut):
    """An order with its history, and with all that was said about refunds. The code is the buyer's alone."""

    history: list[HistoryOut]
    disputed: bool
    handover_code: str | None
    refund_requests: list[RefundRequestOut]
    disputes: list[DisputeOut]
    payments: list[PaymentOut]


class RefundReasonsOut(TypedDict):
    """What a buyer is offered as reasons, by where the goods are (`order_status`)."""

    order_status: OrderStatusOut
    order_status_text: str
    reasons: list[str]


class OrderRefusalDetails(TypedDict):
    """Why an order does not allow what was tried, where it stands, and what the caller may do instead."""

    event: Annotated[str, OneOf(AttemptedAction)]
    bill_status: BillStatusOut
    order_status: OrderStatusOut
    closed: bool
    reasons: list[str]
    allowed: list[EventOut]


class PresentFigures(TypedDict):
    """The good as it would be bought now: what a buyer who saw another one has to look at again."""

    good_id: int
    revision: int
    title: str
    trade_mode: OrderTradeModeOut
    price: YuanOut
    freight: YuanOut
    amount: YuanOut


class TriesLeft(TypedDict):
    """How often the code may still be tried."""

    tries_left: int


class LimitReached(TypedDict):
    """How many there may be."""

    limit: int
