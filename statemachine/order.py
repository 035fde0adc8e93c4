"""The order's machine: who may do what, when, from where to where, and which money moves.

The phase of an order is a triple *(bill, goods, closed)*. Bill is 1-5 and goods 6-10, the ten numbers of the API spec
(`api-notes.txt`) with its texts, byte for byte; `closed` says that nothing can happen to the order any more.

A dispute is no state but a fact: it stops the deadlines of the refund and leaves the decision to staff. Until they
decide, either side may only give in.

An order of 当面交易 (face to face) has no address, so it cannot be shipped. It is handed over (`receive` from `PAID`)
or, when the time for shipping has passed, paid back like any other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from statemachine.engine import Flow
from statemachine.good import GOOD, GoodEvent, TradeMode
from statemachine.spec import Creation, Deadline, Guard, Move, Reminder, Rule, Spec, State, TimerEffect
from statemachine.texts import Text


class BillStatus(IntEnum):
    """What has become of an order's money: the API's `bill_status`."""

    UNPAID = 1
    PAID = 2
    SELLER_PAID = 3
    REFUND_REQUESTED = 4
    REFUNDED = 5


class OrderStatus(IntEnum):
    """Where an order's goods are: the API's `order_status`."""

    UNSHIPPED = 6
    SHIPPED = 7
    RECEIVED = 8
    RETURNED = 9
    RETURN_RECEIVED = 10


class Role(StrEnum):
    """Who acts on an order. `system` is a deadline that passed, `gateway` a verified payment notification."""

    BUYER = "buyer"
    SELLER = "seller"
    SYSTEM = "system"
    GATEWAY = "gateway"
    STAFF = "staff"


class OrderEvent(StrEnum):
    """What can happen to an order."""

    PAY = "pay"
    CANCEL = "cancel"
    EXPIRE = "expire"
    SHIP = "ship"
    REFUND_UNSHIPPED = "refund_unshipped"
    RECEIVE = "receive"
    EXTEND_RECEIPT = "extend_receipt"
    SETTLE = "settle"
    REQUEST_REFUND = "request_refund"
    WITHDRAW_REFUND = "withdraw_refund"
    REJECT_REFUND = "reject_refund"
    APPROVE_REFUND = "approve_refund"
    SEND_BACK = "send_back"
    LAPSE = "lapse"
    ACCEPT_RETURN = "accept_return"
    DISPUTE = "dispute"
    CONTEST_RETURN = "contest_return"
    RESOLVE_FOR_BUYER = "resolve_for_buyer"
    RESOLVE_FOR_SELLER = "resolve_for_seller"
    CONFIRM_EXTERNAL_REFUND = "confirm_external_refund"


class Pot(StrEnum):
    """Where an order's money can lie."""

    GATEWAY = "gateway"
    ESCROW = "escrow"
    SELLER_HELD = "seller_held"
    SELLER_AVAILABLE = "seller_available"


class OrderPhase(NamedTuple):
    """Where an order stands: its `BillStatus`, its `OrderStatus`, and whether it is closed.

    Fifteen combinations are legal. They have names, below; what each means is in `ORDER`.
    """

    bill: int
    goods: int
    closed: bool = False


AWAITING_PAYMENT: Final = OrderPhase(1, 6)
CANCELLED: Final = OrderPhase(1, 6, closed=True)
PAID: Final = OrderPhase(2, 6)
SHIPPED: Final = OrderPhase(2, 7)
RECEIVED: Final = OrderPhase(3, 8)
SETTLED: Final = OrderPhase(3, 8, closed=True)
# The last word is where the goods were when the buyer asked for his money, or was given it.
REFUND_REQUESTED_UNSHIPPED: Final = OrderPhase(4, 6)
REFUND_REQUESTED_SHIPPED: Final = OrderPhase(4, 7)
REFUND_REQUESTED_RECEIVED: Final = OrderPhase(4, 8)
RETURN_SENT: Final = OrderPhase(4, 9)
REFUNDED_UNSHIPPED: Final = OrderPhase(5, 6, closed=True)
REFUNDED_SHIPPED: Final = OrderPhase(5, 7, closed=True)
REFUNDED_RECEIVED: Final = OrderPhase(5, 8, closed=True)
REFUNDED_RETURNED: Final = OrderPhase(5, 10, closed=True)
AWARDED_TO_SELLER: Final = OrderPhase(3, 9, closed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What the order's guards look at.

    The first four are facts of the order: its `TradeMode`, how often its buyer has asked for a refund already, whether
    it waits for staff, whether the time for receipt was extended. They have no defaults, so that forgetting one cannot
    allow what must not be. Two are about what the actor hands in: whether he gave a reason, and whether he gave the
    buyer's one-time code and it is right. The last one is no fact of the order but of its money: whether all of it went
    back to the payer at the gateway, by refunds that are not ours.
    """

    trade_mode: int
    refund_count: int
    disputed: bool
    extended: bool
    has_reason: bool = False
    handover_code_ok: bool = False
    refunded_elsewhere: bool = False


BILL_TEXT: Final[Mapping[int, str]] = {
    BillStatus.UNPAID: "待买家付款",
    BillStatus.PAID: "买家已付款",
    BillStatus.SELLER_PAID: "卖家已收款",
    BillStatus.REFUND_REQUESTED: "买家已申请退款",
    BillStatus.REFUNDED: "卖家已退款",
}
BILL_TEXT_EN: Final[Mapping[int, str]] = {
    BillStatus.UNPAID: "awaiting payment",
    BillStatus.PAID: "paid by the buyer",
    BillStatus.SELLER_PAID: "paid to the seller",
    BillStatus.REFUND_REQUESTED: "refund requested",
    BillStatus.REFUNDED: "refunded",
}
ORDER_TEXT: Final[Mapping[int, str]] = {
    OrderStatus.UNSHIPPED: "卖家未发货",
    OrderStatus.SHIPPED: "卖家已发货",
    OrderStatus.RECEIVED: "买家已收货",
    OrderStatus.RETURNED: "买家已退货",
    OrderStatus.RETURN_RECEIVED: "卖家已收货",
}
ORDER_TEXT_EN: Final[Mapping[int, str]] = {
    OrderStatus.UNSHIPPED: "not shipped",
    OrderStatus.SHIPPED: "shipped",
    OrderStatus.RECEIVED: "received by the buyer",
    OrderStatus.RETURNED: "sent back",
    OrderStatus.RETURN_RECEIVED: "return received",
}

MAX_REFUND_REQUESTS: Final = 3
"""How often the buyer of one order may ask for a refund."""

OrderRule = Rule[OrderPhase, OrderEvent, OrderFacts]
OrderGuard = Guard[OrderFacts]
OrderDeadline = Deadline[OrderEvent]

BY_COURIER: Final = OrderGuard(
    code="face_to_face",
    condition=Text("非当面交易", "not face to face"),
    refusal=Text("当面交易的订单不需要发货", "a face-to-face order is handed over, not shipped"),
    test=lambda facts: facts.trade_mode != TradeMode.FACE_TO_FACE,
)
FACE_TO_FACE: Final = OrderGuard(
    code="not_face_to_face",
    condition=Text("当面交易", "face to face"),
    refusal=Text("卖家发货后才能确认收货", "only a face-to-face order can be received before it is shipped"),
    test=lambda facts: facts.trade_mode == TradeMode.FACE_TO_FACE,
    drawn=True,
)
HANDOVER_CODE: Final = OrderGuard(
    code="handover_code",
    condition=Text("凭买家的一次性交货码", "with the buyer's one-time code"),
    refusal=Text("交货码有误", "the buyer's one-time code is missing or wrong"),
    test=lambda facts: facts.handover_code_ok,
    on_input=True,
)
REFUNDS_LEFT: Final = OrderGuard(
    code="refund_limit",
    condition=Text(f"最多申请 {MAX_REFUND_REQUESTS} 次", f"at most {MAX_REFUND_REQUESTS} times"),
    refusal=Text(
        f"每个订单最多申请 {MAX_REFUND_REQUESTS} 次退款",
        f"a refund can be requested at most {MAX_REFUND_REQUESTS} times per order",
    ),
    test=lambda facts: facts.refund_count < MAX_REFUND_REQUESTS,
)
REASON_GIVEN: Final = OrderGuard(
    code="reason_required",
    condition=Text("须说明理由", "with a reason"),
    refusal=Text("请填写理由", "a reason is required"),
    test=lambda facts: facts.has_reason,
    on_input=True,
)
NOT_EXTENDED: Final = OrderGuard(
    code="extended",
    condition=Text("仅一次", "once"),
    refusal=Text("收货时间只能延长一次", "the time for receipt can be extended once"),
    test=lambda facts: not facts.extended,
)
REFUNDED_ELSEWHERE: Final = OrderGuard(
    code="not_refunded_elsewhere",
    condition=Text("货款已由支付平台全部退回", "all of the money went back at the gateway"),
    refusal=Text("支付平台没有退回全部货款", "not all of the money went back at the gateway without us"),
    test=lambda facts: facts.refunded_elsewhere,
    on_input=True,
)
UNDISPUTED: Final = OrderGuard(
    code="disputed",
    condition=Text("无争议", "not disputed"),
    refusal=Text("订单有争议,等待平台客服处理", "the order is disputed and waits for staff"),
    test=lambda facts: not facts.disputed,
)


def facts_after(event: OrderEvent, facts: OrderFacts) -> OrderFacts:
    """The order's facts once `event` has happened.

    Any step after a dispute ends it, for only staff or a side that gives in can make one.
    """
    return replace(
        facts,
        refund_count=facts.refund_count + (event is OrderEvent.REQUEST_REFUND),
        disputed=event in (OrderEvent.DISPUTE, OrderEvent.CONTEST_RETURN),
        extended=facts.extended or event is OrderEvent.EXTEND_RECEIPT,
    )


EXPIRE_AFTER: Final = OrderDeadline(
    OrderEvent.EXPIRE,
    "expire_after",
    timedelta(minutes=30),
    Text("买家付款截止", "payment due"),
    Reminder(Role.BUYER, "expire_reminder", timedelta(minutes=10)),
)
REFUND_UNSHIPPED_AFTER: Final = OrderDeadline(
    OrderEvent.REFUND_UNSHIPPED,
    "refund_unshipped_after",
    timedelta(days=7),
    Text("卖家交货截止", "delivery due"),
    Reminder(Role.SELLER, "refund_unshipped_reminder", timedelta(days=1)),
)
RECEIVE_AFTER: Final = OrderDeadline(
    OrderEvent.RECEIVE,
    "receive_after",
    timedelta(days=10),
    Text("自动确认收货", "receipt is assumed"),
    Reminder(Role.BUYER, "receive_reminder", timedelta(days=1)),
)
SETTLE_AFTER: Final = OrderDeadline(
    OrderEvent.SETTLE,
    "settle_after",
    timedelta(days=7),
    Text("售后期截止", "after-sale window ends"),
    Reminder(Role.BUYER, "settle_reminder", timedelta(days=1)),
)
APPROVE_UNSHIPPED_AFTER: Final = OrderDeadline(
    OrderEvent.APPROVE_REFUND,
    "approve_refund_unshipped_after",
    timedelta(hours=48),
    Text("卖家处理退款截止", "answer to the refund due"),
    Reminder(Role.SELLER, "approve_refund_unshipped_reminder", timedelta(hours=12)),
)
APPROVE_SHIPPED_AFTER: Final = OrderDeadline(
    OrderEvent.APPROVE_REFUND,
    "approve_refund_shipped_after",
    timedelta(days=5),
    Text("卖家处理退款截止", "answer to the refund due"),
    Reminder(Role.SELLER, "approve_refund_shipped_reminder", timedelta(days=1)),
)
LAPSE_AFTER: Final = OrderDeadline(
    OrderEvent.LAPSE,
    "lapse_after",
    timedelta(days=7),
    Text("买家寄回截止", "sending back due"),
    Reminder(Role.BUYER, "lapse_reminder", timedelta(days=1)),
)
ACCEPT_RETURN_AFTER: Final = OrderDeadline(
    OrderEvent.ACCEPT_RETURN,
    "accept_return_after",
    timedelta(days=10),
    Text("卖家确认收到退货截止", "receipt of the return is assumed"),
    Reminder(Role.SELLER, "accept_return_reminder", timedelta(days=1)),
)

_PAYMENT: Final = (Move(Pot.GATEWAY, Pot.ESCROW),)
_REFUND: Final = (Move(Pot.ESCROW, Pot.GATEWAY),)
_PROCEEDS: Final = (Move(Pot.ESCROW, Pot.SELLER_HELD),)
_PROCEEDS_BACK: Final = (Move(Pot.SELLER_HELD, Pot.ESCROW),)
_PROCEEDS_REFUNDED: Final = (Move(Pot.SELLER_HELD, Pot.GATEWAY),)
_SETTLEMENT: Final = (Move(Pot.SELLER_HELD, Pot.SELLER_AVAILABLE),)
_AWARD: Final = (Move(Pot.ESCROW, Pot.SELLER_AVAILABLE),)

_BUYER: Final = (Role.BUYER,)
_SELLER: Final = (Role.SELLER,)
_PARTIES: Final = (Role.BUYER, Role.SELLER)
_SYSTEM: Final = (Role.SYSTEM,)
_STAFF: Final = (Role.STAFF,)


def _state(phase: OrderPhase, zh: str, en: str) -> State[OrderPhase]:
    lines = (
        Text(f"{phase.bill} {BILL_TEXT[phase.bill]}", f"{phase.bill} {BILL_TEXT_EN[phase.bill]}"),
        Text(f"{phase.goods} {ORDER_TEXT[phase.goods]}", f"{phase.goods} {ORDER_TEXT_EN[phase.goods]}"),
    )
    key = f"{phase.bill},{phase.goods}" + (",closed" if phase.closed else "")
    return State(phase, key, lines, Text(zh, en), closed=phase.closed)


def _rules() -> tuple[OrderRule, ...]:
    on, good, timers = OrderEvent, GoodEvent, TimerEffect
    return (
        # Payment
        Rule(on.PAY, (Role.GATEWAY,), AWAITING_PAYMENT, PAID, _PAYMENT),
        Rule(on.CANCEL, _PARTIES, AWAITING_PAYMENT, CANCELLED, good_event=good.RELEASE),
        Rule(on.EXPIRE, _SYSTEM, AWAITING_PAYMENT, CANCELLED, deadline=EXPIRE_AFTER, good_event=good.RELEASE),
        # Delivery
        Rule(on.SHIP, _SELLER, PAID, SHIPPED, guards=(BY_COURIER,)),
        Rule(
            on.REFUND_UNSHIPPED,
            _SYSTEM,
            PAID,
            REFUNDED_UNSHIPPED,
            _REFUND,
            deadline=REFUND_UNSHIPPED_AFTER,
            good_event=good.RELEASE,
        ),
        Rule(on.RECEIVE, _BUYER, SHIPPED, RECEIVED, _PROCEEDS, good_event=good.FINISH),
        Rule(on.RECEIVE, _SYSTEM, SHIPPED, RECEIVED, _PROCEEDS, deadline=RECEIVE_AFTER, good_event=good.FINISH),
        Rule(on.RECEIVE, _BUYER, PAID, RECEIVED, _PROCEEDS, guards=(FACE_TO_FACE,), good_event=good.FINISH),
        Rule(
            on.RECEIVE,
            _SELLER,
            PAID,
            RECEIVED,
            _PROCEEDS,
            guards=(FACE_TO_FACE, HANDOVER_CODE),
            good_event=good.FINISH,
        ),
        Rule(on.EXTEND_RECEIPT, _BUYER, SHIPPED, SHIPPED, guards=(NOT_EXTENDED,), timers=timers.EXTEND),
        Rule(on.SETTLE, _SYSTEM, RECEIVED, SETTLED, _SETTLEMENT, deadline=SETTLE_AFTER),
        # Asking for a refund. Its state says where the goods were, so a step back knows where to without any memory.
        Rule(on.REQUEST_REFUND, _BUYER, PAID, REFUND_REQUESTED_UNSHIPPED, guards=(REFUNDS_LEFT,), timers=timers.PAUSE),
        Rule(on.REQUEST_REFUND, _BUYER, SHIPPED, REFUND_REQUESTED_SHIPPED, guards=(REFUNDS_LEFT,), timers=timers.PAUSE),
        Rule(
            on.REQUEST_REFUND,
            _BUYER,
            RECEIVED,
            REFUND_REQUESTED_RECEIVED,
            _PROCEEDS_BACK,
            guards=(REFUNDS_LEFT,),
            timers=timers.PAUSE,
        ),
        Rule(on.WITHDRAW_REFUND, _BUYER, REFUND_REQUESTED_UNSHIPPED, PAID, timers=timers.RESUME),
        Rule(on.WITHDRAW_REFUND, _BUYER, REFUND_REQUESTED_SHIPPED, SHIPPED, timers=timers.RESUME),
        Rule(on.WITHDRAW_REFUND, _BUYER, REFUND_REQUESTED_RECEIVED, RECEIVED, _PROCEEDS, timers=timers.RESUME),
        Rule(
            on.REJECT_REFUND,
            _SELLER,
            REFUND_REQUESTED_UNSHIPPED,
            PAID,
            guards=(UNDISPUTED, REASON_GIVEN),
            timers=timers.RESUME,
        ),
        Rule(
            on.REJECT_REFUND,
            _SELLER,
            REFUND_REQUESTED_SHIPPED,
            SHIPPED,
            guards=(UNDISPUTED, REASON_GIVEN),
            timers=timers.RESUME,
        ),
        Rule(
            on.REJECT_REFUND,
            _SELLER,
            REFUND_REQUESTED_RECEIVED,
            RECEIVED,
            _PROCEEDS,
            guards=(UNDISPUTED, REASON_GIVEN),
            timers=timers.RESUME,
        ),
        # Granting it without a return
        Rule(
            on.APPROVE_REFUND, _SELLER, REFUND_REQUESTED_UNSHIPPED, REFUNDED_UNSHIPPED, _REFUND, good_event=good.RELEASE
        ),
        Rule(on.APPROVE_REFUND, _SELLER, REFUND_REQUESTED_SHIPPED, REFUNDED_SHIPPED, _REFUND, good_event=good.FINISH),
        Rule(on.APPROVE_REFUND, _SELLER, REFUND_REQUESTED_RECEIVED, REFUNDED_RECEIVED, _REFUND),
        Rule(
            on.APPROVE_REFUND,
            _SYSTEM,
            REFUND_REQUESTED_UNSHIPPED,
            REFUNDED_UNSHIPPED,
            _REFUND,
            guards=(UNDISPUTED,),
            deadline=APPROVE_UNSHIPPED_AFTER,
            good_event=good.RELEASE,
        ),
        Rule(
            on.APPROVE_REFUND,
            _SYSTEM,
            REFUND_REQUESTED_SHIPPED,
            REFUNDED_SHIPPED,
            _REFUND,
            guards=(UNDISPUTED,),
            deadline=APPROVE_SHIPPED_AFTER,
            good_event=good.FINISH,
        ),
        # Returning the goods
        Rule(on.SEND_BACK, _BUYER, REFUND_REQUESTED_RECEIVED, RETURN_SENT, guards=(UNDISPUTED,)),
        Rule(
            on.LAPSE,
            _SYSTEM,
            REFUND_REQUESTED_RECEIVED,
            RECEIVED,
            _PROCEEDS,
            guards=(UNDISPUTED,),
            deadline=LAPSE_AFTER,
            timers=timers.RESUME,
        ),
        Rule(on.ACCEPT_RETURN, _SELLER, RETURN_SENT, REFUNDED_RETURNED, _REFUND),
        Rule(
            on.ACCEPT_RETURN,
            _SYSTEM,
            RETURN_SENT,
            REFUNDED_RETURNED,
            _REFUND,
            guards=(UNDISPUTED,),
            deadline=ACCEPT_RETURN_AFTER,
        ),
        # Calling staff: a fact, no state. The returned parcel is the seller's to contest. No deadline runs from here
        # on, because the system's rules want an undisputed order; the step that ends the dispute starts or resumes one.
        Rule(
            on.DISPUTE,
            _PARTIES,
            REFUND_REQUESTED_UNSHIPPED,
            REFUND_REQUESTED_UNSHIPPED,
            guards=(UNDISPUTED,),
            timers=timers.START,
        ),
        Rule(
            on.DISPUTE,
            _PARTIES,
            REFUND_REQUESTED_SHIPPED,
            REFUND_REQUESTED_SHIPPED,
            guards=(UNDISPUTED,),
            timers=timers.START,
        ),
        Rule(
            on.DISPUTE,
            _PARTIES,
            REFUND_REQUESTED_RECEIVED,
            REFUND_REQUESTED_RECEIVED,
            guards=(UNDISPUTED,),
            timers=timers.START,
        ),
        Rule(on.DISPUTE, _BUYER, RETURN_SENT, RETURN_SENT, guards=(UNDISPUTED,), timers=timers.START),
        Rule(on.CONTEST_RETURN, _SELLER, RETURN_SENT, RETURN_SENT, guards=(UNDISPUTED,), timers=timers.START),
        # Staff decide
        Rule(
            on.RESOLVE_FOR_BUYER,
            _STAFF,
            REFUND_REQUESTED_UNSHIPPED,
            REFUNDED_UNSHIPPED,
            _REFUND,
            good_event=good.RELEASE,
        ),
        Rule(on.RESOLVE_FOR_BUYER, _STAFF, REFUND_REQUESTED_SHIPPED, REFUNDED_SHIPPED, _REFUND, good_event=good.FINISH),
        Rule(on.RESOLVE_FOR_BUYER, _STAFF, REFUND_REQUESTED_RECEIVED, REFUNDED_RECEIVED, _REFUND),
        Rule(on.RESOLVE_FOR_BUYER, _STAFF, RETURN_SENT, REFUNDED_RETURNED, _REFUND),
        Rule(on.RESOLVE_FOR_SELLER, _STAFF, REFUND_REQUESTED_UNSHIPPED, PAID, timers=timers.RESUME),
        Rule(on.RESOLVE_FOR_SELLER, _STAFF, REFUND_REQUESTED_SHIPPED, SHIPPED, timers=timers.RESUME),
        Rule(on.RESOLVE_FOR_SELLER, _STAFF, REFUND_REQUESTED_RECEIVED, RECEIVED, _PROCEEDS, timers=timers.RESUME),
        Rule(on.RESOLVE_FOR_SELLER, _STAFF, RETURN_SENT, AWARDED_TO_SELLER, _AWARD),
        # Staff confirm that the gateway gave all of the money back without us; nobody has asked for it here.
        *_confirmed_elsewhere(),
    )


def _confirmed_elsewhere() -> Iterator[OrderRule]:
    for source, target, moves, good_event in (
        (PAID, REFUNDED_UNSHIPPED, _REFUND, GoodEvent.RELEASE),
        (SHIPPED, REFUNDED_SHIPPED, _REFUND, GoodEvent.FINISH),
        (RECEIVED, REFUNDED_RECEIVED, _PROCEEDS_REFUNDED, None),
        (REFUND_REQUESTED_UNSHIPPED, REFUNDED_UNSHIPPED, _REFUND, GoodEvent.RELEASE),
        (REFUND_REQUESTED_SHIPPED, REFUNDED_SHIPPED, _REFUND, GoodEvent.FINISH),
        (REFUND_REQUESTED_RECEIVED, REFUNDED_RECEIVED, _REFUND, None),
        (RETURN_SENT, REFUNDED_RETURNED, _REFUND, None),
    ):
        yield Rule(
            OrderEvent.CONFIRM_EXTERNAL_REFUND,
            _STAFF,
            source,
            target,
            moves,
            guards=(REFUNDED_ELSEWHERE,),
            good_event=good_event,
        )


ORDER: Final = Spec[OrderPhase, OrderEvent, OrderFacts](
    name="order",
    noun=Text("订单", "order"),
    start=AWAITING_PAYMENT,
    creation=Creation("buy", Role.BUYER, Text("下单", "buy"), good_event=GoodEvent.HOLD),
    states=(
        _state(AWAITING_PAYMENT, "待买家付款", "awaiting payment"),
        _state(CANCELLED, "未付款,已取消", "cancelled or not paid in time"),
        _state(PAID, "已付款", "paid, money in escrow"),
        _state(SHIPPED, "已发货", "shipped"),
        _state(RECEIVED, "已收货,售后期内", "received, in the after-sale window"),
        _state(SETTLED, "交易完成", "settled"),
        _state(REFUND_REQUESTED_UNSHIPPED, "发货前申请退款", "refund requested before shipping"),
        _state(REFUND_REQUESTED_SHIPPED, "运输中申请退款", "refund requested in transit"),
        _state(REFUND_REQUESTED_RECEIVED, "收货后申请退款", "refund requested after receipt"),
        _state(RETURN_SENT, "退货途中", "the return is on its way"),
        _state(REFUNDED_UNSHIPPED, "未发货退款", "refunded before shipping"),
        _state(REFUNDED_SHIPPED, "运输中退款", "refunded in transit"),
        _state(REFUNDED_RECEIVED, "仅退款", "refunded without a return"),
        _state(REFUNDED_RETURNED, "退货退款", "returned and refunded"),
        _state(AWARDED_TO_SELLER, "退货后裁决归卖家", "decided for the seller after a return"),
    ),
    events={
        OrderEvent.PAY: Text("付款", "pay"),
        OrderEvent.CANCEL: Text("取消订单", "cancel"),
        OrderEvent.EXPIRE: Text("超时未付款", "expire"),
        OrderEvent.SHIP: Text("发货", "ship"),
        OrderEvent.REFUND_UNSHIPPED: Text("超时未发货退款", "refund unshipped"),
        OrderEvent.RECEIVE: Text("确认收货", "receive"),
        OrderEvent.EXTEND_RECEIPT: Text("延长收货时间", "extend the time for receipt"),
        OrderEvent.SETTLE: Text("结算", "settle"),
        OrderEvent.REQUEST_REFUND: Text("申请退款", "request a refund"),
        OrderEvent.WITHDRAW_REFUND: Text("撤回退款申请", "withdraw the request"),
        OrderEvent.REJECT_REFUND: Text("拒绝退款", "reject the refund"),
        OrderEvent.APPROVE_REFUND: Text("同意退款", "approve the refund"),
        OrderEvent.SEND_BACK: Text("寄回退货", "send back"),
        OrderEvent.LAPSE: Text("超时未寄回", "lapse"),
        OrderEvent.ACCEPT_RETURN: Text("确认收到退货", "accept the return"),
        OrderEvent.DISPUTE: Text("申请平台介入", "dispute"),
        OrderEvent.CONTEST_RETURN: Text("对退货有异议", "contest the return"),
        OrderEvent.RESOLVE_FOR_BUYER: Text("裁决退款给买家", "resolve for the buyer"),
        OrderEvent.RESOLVE_FOR_SELLER: Text("裁决归卖家", "resolve for the seller"),
        OrderEvent.CONFIRM_EXTERNAL_REFUND: Text("确认支付平台已退款", "confirm a refund made at the gateway"),
    },
    roles={
        Role.BUYER: Text("买家", "buyer"),
        Role.SELLER: Text("卖家", "seller"),
        Role.SYSTEM: Text("系统", "system"),
        Role.GATEWAY: Text("支付网关", "gateway"),
        Role.STAFF: Text("平台客服", "staff"),
    },
    rules=_rules(),
    pots={
        Pot.GATEWAY: Text("支付网关", "gateway"),
        Pot.ESCROW: Text("担保账户", "escrow"),
        Pot.SELLER_HELD: Text("卖家待结算", "seller held"),
        Pot.SELLER_AVAILABLE: Text("卖家可用", "seller available"),
    },
    final_pots=frozenset({Pot.GATEWAY, Pot.SELLER_AVAILABLE}),
    linked=GOOD,
    columns=("bill_status", "order_status", "closed"),
)
"""All that can happen to an order: permissions, deadlines, texts, the database's CHECK and diagrams derive from it."""

order_flow: Final = Flow(ORDER)
"""Fires the order's events."""
