"""The order URLs."""

from app.answers import Answer
from app.orders import queries, service
from app.orders.lifecycle import STATES
from app.orders.schemas import BuyIn, OrderDetailOut, OrderOut, OrderQuery, RefundIn, ReturnIn, ShipIn, StateOut
from app.web.api import Api
from app.web.auth import Actor, Auth
from app.web.paging import Page, page_of
from statemachine import Role

api = Api("orders", __name__, tag="订单")

_STEP = (Answer.NO_SUCH_ORDER, Answer.FORBIDDEN, Answer.WRONG_STATE)


@api.get("/api/all_order/bill_status/", out=list[StateOut], answer=Answer.STATES_FOUND)
def bill_status() -> list[StateOut]:
    """All states an order can be in, money (1–5) and goods (6–10)."""
    return STATES


@api.post(
    "/api/buy/<id:good_id>/",
    auth=Auth.USER,
    body=BuyIn,
    out=OrderOut,
    answer=Answer.ORDER_CREATED,
    refuses=(
        Answer.NO_SUCH_GOOD,
        Answer.OWN_GOOD,
        Answer.GOOD_NOT_FOR_SALE,
        Answer.TRADE_MODE_REFUSED,
        Answer.NO_SUCH_ADDRESS,
        Answer.NO_SUCH_USER,
    ),
)
def buy(*, actor: Actor, good_id: int, body: BuyIn) -> OrderOut:
    """Buy a good: one buyer gets it, however many try at once."""
    order_id = service.buy_good(
        buyer_id=actor.id, good_id=good_id, address_id=body.address_id, trade_mode=body.trade_mode
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.get(
    "/api/buy_order/",
    auth=Auth.USER,
    query=OrderQuery,
    out=Page[OrderOut],
    answer=Answer.ORDER_FOUND,
    empty=Answer.NO_ORDERS,
)
def bought(*, actor: Actor, query: OrderQuery) -> Page[OrderOut]:
    """What the caller bought, newest first."""
    items, total = queries.list_orders(user_id=actor.id, role=Role.BUYER, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/sell_order/",
    auth=Auth.USER,
    query=OrderQuery,
    out=Page[OrderOut],
    answer=Answer.ORDER_FOUND,
    empty=Answer.NO_ORDERS,
)
def sold(*, actor: Actor, query: OrderQuery) -> Page[OrderOut]:
    """What the caller sold, newest first."""
    items, total = queries.list_orders(user_id=actor.id, role=Role.SELLER, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/order/<id:order_id>/",
    auth=Auth.USER,
    out=OrderDetailOut,
    answer=Answer.ORDER_FOUND,
    refuses=(Answer.NO_SUCH_ORDER,),
)
def detail(*, actor: Actor, order_id: int) -> OrderDetailOut:
    """One order with its history."""
    return queries.order_detail(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/cancel_order/<id:order_id>/", auth=Auth.USER, out=OrderOut, answer=Answer.ORDER_CANCELLED, refuses=_STEP
)
def cancel(*, actor: Actor, order_id: int) -> OrderOut:
    """Cancel an order that is not paid yet."""
    service.cancel_order(actor_id=actor.id, order_id=order_id)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/seller_send_delivery/<id:order_id>/",
    auth=Auth.USER,
    body=ShipIn,
    out=OrderOut,
    answer=Answer.ORDER_SHIPPED,
    refuses=(*_STEP, Answer.NO_SUCH_ADDRESS),
)
def ship(*, actor: Actor, order_id: int, body: ShipIn) -> OrderOut:
    """The seller ships."""
    service.ship_order(
        actor_id=actor.id,
        order_id=order_id,
        address_id=body.address_id,
        company=body.company,
        tracking_no=body.tracking_no,
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/buyer_receive_delivery/<id:order_id>/",
    auth=Auth.USER,
    out=OrderOut,
    answer=Answer.ORDER_RECEIVED,
    refuses=_STEP,
)
def receive(*, actor: Actor, order_id: int) -> OrderOut:
    """The buyer confirms receipt."""
    service.receive_order(actor_id=actor.id, order_id=order_id)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/buyer_motion_drawback/<id:order_id>",
    auth=Auth.USER,
    body=RefundIn,
    out=OrderOut,
    answer=Answer.REFUND_REQUESTED,
    refuses=_STEP,
)
def ask_refund(*, actor: Actor, order_id: int, body: RefundIn) -> OrderOut:
    """The buyer asks for the money back."""
    service.request_refund(actor_id=actor.id, order_id=order_id, reason=body.reason, description=body.description)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/buyer_send_drawback/<id:order_id>/",
    auth=Auth.USER,
    body=ReturnIn,
    out=OrderOut,
    answer=Answer.RETURN_SENT,
    refuses=_STEP,
)
def return_goods(*, actor: Actor, order_id: int, body: ReturnIn) -> OrderOut:
    """The buyer sends the goods back."""
    service.send_back(
        actor_id=actor.id,
        order_id=order_id,
        company=body.company,
        tracking_no=body.tracking_no,
        freight=body.freight,
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/seller_receive_drawback/<id:order_id>/",
    auth=Auth.USER,
    out=OrderOut,
    answer=Answer.RETURN_ACCEPTED,
    refuses=_STEP,
)
def accept_return(*, actor: Actor, order_id: int) -> OrderOut:
    """The seller has the goods back; the money goes back to the buyer."""
    service.accept_return(actor_id=actor.id, order_id=order_id)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.delete(
    "/api/edit_order/<id:order_id>/",
    auth=Auth.USER,
    answer=Answer.ORDER_HIDDEN,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE),
)
def hide(*, actor: Actor, order_id: int) -> None:
    """Take a finished order off the caller's lists; nothing is deleted."""
    service.hide_order(actor_id=actor.id, order_id=order_id)
