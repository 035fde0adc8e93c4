"""What the order URLs take and give."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from app.fen import YuanIn, YuanOut
from app.fields import CleanText, IdIn, Whole
from app.paging import PageQuery
from statemachine import BillStatus, OrderStatus, TradeMode


class BuyIn(BaseModel):
    """What a buyer chooses. Price, seller and buyer are the server's; whatever else is sent is not read."""

    model_config = ConfigDict(frozen=True)

    address_id: IdIn | None = Field(None, description="where to ship; not for 当面交易")
    trade_mode: Annotated[int, Whole(TradeMode.FACE_TO_FACE, TradeMode.COURIER)] | None = Field(
        None, description="6 当面交易 or 7 快递, where the good leaves it open"
    )


class ShipIn(BaseModel):
    """The seller's parcel. `address_id` is the sender's own address, where a return would go."""

    model_config = ConfigDict(frozen=True)

    address_id: IdIn
    company: Annotated[str, CleanText(1, 30)]
    tracking_no: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{5,40}$")]


class ReturnIn(BaseModel):
    """The buyer's parcel back."""

    model_config = ConfigDict(frozen=True)

    company: Annotated[str, CleanText(1, 30)]
    tracking_no: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{5,40}$")]
    freight: YuanIn = 0


class RefundIn(BaseModel):
    """Why the buyer wants the money back."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(1, 100)]
    description: Annotated[str, CleanText(0, 500, multiline=True)] = ""


class RejectIn(BaseModel):
    """Why the seller refuses a refund."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(1, 100)]


class DisputeIn(BaseModel):
    """Why staff is called."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(1, 100)]
    description: Annotated[str, CleanText(0, 500, multiline=True)] = ""


class StatementIn(BaseModel):
    """What a side has to say in a dispute."""

    model_config = ConfigDict(frozen=True)

    text: Annotated[str, CleanText(1, 500, multiline=True)]


class HandoverIn(BaseModel):
    """The six digits that the buyer told."""

    model_config = ConfigDict(frozen=True)

    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class DiagramQuery(BaseModel):
    """Which form the diagram comes in."""

    model_config = ConfigDict(frozen=True)

    format: Literal["svg", "mermaid"] = "svg"


class OrderQuery(PageQuery):
    """Filters of the order lists."""

    bill_status: Annotated[int, Field(ge=BillStatus.UNPAID, le=BillStatus.REFUNDED)] | None = None
    order_status: Annotated[int, Field(ge=OrderStatus.UNSHIPPED, le=OrderStatus.RETURN_RECEIVED)] | None = None


class StateOut(TypedDict):
    """One of the ten states; `axis` is `bill` (1–5) or `order` (6–10)."""

    code: int
    text: str
    axis: str


class OrderGoodOut(TypedDict):
    """The good as it was bought; `picture` is a URL."""

    id: int
    title: str
    picture: str | None


class PartyOut(TypedDict):
    """A buyer or seller."""

    id: int
    username: str


class AddressOut(TypedDict):
    """An address as it was copied."""

    name: str
    mobile: str
    province: str
    city: str
    district: str
    detail: str


class WaybillOut(TypedDict):
    """A parcel and both its ends; the ends of a 当面交易 order's return are not known to us."""

    company: str
    tracking_no: str
    freight: YuanOut
    sender: AddressOut | None
    recipient: AddressOut | None
    created_at: str


class ActionOut(TypedDict):
    """Something the caller may do now."""

    name: str
    text: str
    method: str
    url: str


class DeadlineOut(TypedDict):
    """When the system acts if nobody does; `what` is the event it fires."""

    at: str
    what: str
    text: str


class RefundOut(TypedDict):
    """The latest request for a refund, what became of it, and the money's way back once it was granted."""

    reason: str | None
    description: str | None
    requested_at: str | None
    requests: int
    outcome: str | None  # the event that ended the request
    outcome_note: str | None  # the reason of a seller or of staff
    amount: YuanOut | None
    state: str | None  # of the money: pending, confirmed or refused (an operator looks into it)


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
    trade_mode: int
    trade_mode_text: str
    bill_status: int
    bill_status_text: str
    order_status: int
    order_status_text: str
    closed: bool
    closed_reason: str | None
    actions: list[ActionOut]
    deadline: DeadlineOut | None
    address: AddressOut | None
    delivery: WaybillOut | None
    return_delivery: WaybillOut | None
    refund: RefundOut | None
    created_at: str
    updated_at: str


class HistoryOut(TypedDict):
    """One step of an order: who did what when, from where to where."""

    sequence: int
    event: str
    text: str
    role: str
    role_text: str
    actor_id: int | None
    from_bill_status: int | None
    from_order_status: int | None
    to_bill_status: int
    to_order_status: int
    closed: bool
    note: str
    at: str


class EvidenceOut(TypedDict):
    """A picture that goes with a request or a dispute, and the id of the user who sent it."""

    id: int
    uploader_id: int
    url: str
    width: int
    height: int


class RefundRequestOut(TypedDict):
    """One request for a refund."""

    reason: str
    description: str
    pictures: list[EvidenceOut]
    created_at: str
    outcome: str | None
    outcome_text: str | None
    outcome_note: str
    ended_at: str | None


class StatementOut(TypedDict):
    """What a side said while the order was disputed."""

    role: str
    role_text: str
    text: str
    created_at: str


class DisputeOut(TypedDict):
    """One side called staff; `statements` is what both said since."""

    role: str
    role_text: str
    event: str
    reason: str
    description: str
    pictures: list[EvidenceOut]
    statements: list[StatementOut]
    created_at: str
    outcome: str | None
    outcome_text: str | None
    outcome_note: str
    ended_at: str | None


class PaymentOut(TypedDict):
    """One attempt to pay, and its money's way back."""

    attempt: int
    out_trade_no: str
    trade_no: str | None
    amount: YuanOut
    state: str
    paid_at: str | None
    refund_state: str | None
    refund_reason: str | None
    created_at: str


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

    order_status: int
    order_status_text: str
    reasons: list[str]
