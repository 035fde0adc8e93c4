"""The order URLs."""

import functools
import hashlib

from flask import Response, request
from werkzeug.datastructures import FileStorage

from app.answers import Answer, Refused
from app.goods.picture_links import PictureQuery, seconds_granted
from app.goods.pictures import read_rendition
from app.goods.storage import picture_storage
from app.orders import queries, service
from app.orders.actions import REFUND_REASONS, STATES
from app.orders.diagram import order_diagram
from app.orders.evidence import evidence_rendition
from app.orders.schemas import (
    NOT_READ,
    BuyIn,
    DiagramQuery,
    DisputeIn,
    HandoverIn,
    OrderCountsOut,
    OrderDetailOut,
    OrderOut,
    OwnOrderQuery,
    RefundIn,
    RefundReasonsOut,
    RejectIn,
    ReturnIn,
    ShipIn,
    StatementIn,
    StateOut,
)
from app.paging import Page, page_of
from app.web.api import Api
from app.web.auth import Actor, Auth
from app.web.pictures import hidden_cache, picture_response
from statemachine import OrderEvent, Role
from statemachine.order import ORDER_TEXT

api = Api("orders", __name__, tag="订单", about="buying, shipping, receiving, refunds, disputes")

_DIAGRAM_TYPES = {"svg": "image/svg+xml", "mermaid": "text/vnd.mermaid; charset=utf-8"}
_EVIDENCE_CACHE = "private, max-age=3600"  # by the browser of who has shown a token
_STEP = (Answer.NO_SUCH_ORDER, Answer.FORBIDDEN, Answer.WRONG_STATE)


@api.get("/api/all_order/bill_status/", out=list[StateOut], answer=Answer.STATES_FOUND)
def bill_status() -> list[StateOut]:
    """All states an order can be in, money (1–5) and goods (6–10)."""
    return STATES


@api.post(
    "/api/buy/<id:good_id>/",
    auth=Auth.USER,
    body=BuyIn,
    not_read=NOT_READ,
    out=OrderOut,
    answer=Answer.ORDER_CREATED,
    refuses=(
        Answer.NO_SUCH_GOOD,
        Answer.OWN_GOOD,
        Answer.GOOD_NOT_FOR_SALE,
        Answer.GOOD_CHANGED,
        Answer.TRADE_MODE_REFUSED,
        Answer.NO_SUCH_ADDRESS,
        Answer.NO_SUCH_USER,
        Answer.TOO_MANY_UNPAID,
        Answer.TOO_MANY_EXPIRED,
        Answer.TOO_MANY_CANCELLED,
    ),
)
def buy(*, actor: Actor, good_id: int, body: BuyIn) -> OrderOut:
    """Buy a good: one buyer gets it, however many try at once.

    `expected_amount` and `revision` say what the buyer saw. Where one is sent and the good is another one by now,
    nothing is bought, and the answer has the present figures.
    """
    order_id = service.buy_good(
        buyer_id=actor.id,
        good_id=good_id,
        address_id=body.address_id,
        trade_mode=body.trade_mode,
        expected_amount=body.expected_amount,
        revision=body.revision,
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.get(
    "/api/buy_order/",
    auth=Auth.USER,
    query=OwnOrderQuery,
    out=Page[OrderOut],
    answer=Answer.ORDER_FOUND,
    empty=Answer.NO_ORDERS,
)
def bought(*, actor: Actor, query: OwnOrderQuery) -> Page[OrderOut]:
    """What the caller bought, newest first."""
    items, total = queries.list_orders(user_id=actor.id, role=Role.BUYER, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/sell_order/",
    auth=Auth.USER,
    query=OwnOrderQuery,
    out=Page[OrderOut],
    answer=Answer.ORDER_FOUND,
    empty=Answer.NO_ORDERS,
)
def sold(*, actor: Actor, query: OwnOrderQuery) -> Page[OrderOut]:
    """What the caller sold, newest first."""
    items, total = queries.list_orders(user_id=actor.id, role=Role.SELLER, query=query)
    return page_of(items, total=total, query=query)


@api.get("/api/order_counts/", auth=Auth.USER, out=OrderCountsOut, answer=Answer.ORDERS_COUNTED)
def counts(*, actor: Actor) -> OrderCountsOut:
    """How many orders the caller's two lists have, by state and by what waits for the caller."""
    return queries.count_orders(actor.id)


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
    "/api/cancel_order/<id:order_id>/",
    auth=Auth.USER,
    out=OrderOut,
    answer=Answer.ORDER_CANCELLED,
    refuses=(*_STEP, Answer.GATEWAY_UNAVAILABLE, Answer.BUSY),
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
    files="pictures",
    out=OrderOut,
    answer=Answer.REFUND_REQUESTED,
    refuses=_STEP,
    limit="rate_limit_evidence",
)
def ask_refund(*, actor: Actor, order_id: int, body: RefundIn, files: list[FileStorage]) -> OrderOut:
    """The buyer asks for the money back, with pictures as evidence."""
    service.request_refund(
        actor_id=actor.id,
        order_id=order_id,
        reason=body.reason,
        description=body.description,
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.get("/api/refund_reasons/", out=list[RefundReasonsOut], answer=Answer.REASONS_FOUND)
def refund_reasons() -> list[RefundReasonsOut]:
    """The reasons that a buyer is offered, by where the goods are. Other words are taken as well."""
    return [
        {"order_status": status.value, "order_status_text": ORDER_TEXT[status], "reasons": list(reasons)}
        for status, reasons in REFUND_REASONS.items()
    ]


@api.post(
    "/api/buyer_withdraw_drawback/<id:order_id>/",
    auth=Auth.USER,
    out=OrderOut,
    answer=Answer.REFUND_WITHDRAWN,
    refuses=_STEP,
)
def withdraw_refund(*, actor: Actor, order_id: int) -> OrderOut:
    """The buyer takes the request for a refund back."""
    service.withdraw_refund(actor_id=actor.id, order_id=order_id)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/seller_reject_drawback/<id:order_id>/",
    auth=Auth.USER,
    body=RejectIn,
    out=OrderOut,
    answer=Answer.REFUND_REJECTED,
    refuses=_STEP,
)
def reject_refund(*, actor: Actor, order_id: int, body: RejectIn) -> OrderOut:
    """The seller refuses the refund and says why."""
    service.reject_refund(actor_id=actor.id, order_id=order_id, reason=body.reason)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/seller_approve_drawback/<id:order_id>/",
    auth=Auth.USER,
    out=OrderOut,
    answer=Answer.REFUND_APPROVED,
    refuses=_STEP,
)
def approve_refund(*, actor: Actor, order_id: int) -> OrderOut:
    """The seller grants the refund without a return."""
    service.approve_refund(actor_id=actor.id, order_id=order_id)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/dispute_order/<id:order_id>/",
    auth=Auth.USER,
    body=DisputeIn,
    files="pictures",
    out=OrderOut,
    answer=Answer.DISPUTE_RAISED,
    refuses=_STEP,
    limit="rate_limit_evidence",
)
def dispute(*, actor: Actor, order_id: int, body: DisputeIn, files: list[FileStorage]) -> OrderOut:
    """Either side calls staff; the deadlines of the refund stop."""
    service.raise_dispute(
        actor_id=actor.id,
        order_id=order_id,
        event=OrderEvent.DISPUTE,
        reason=body.reason,
        description=body.description,
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/seller_contest_drawback/<id:order_id>/",
    auth=Auth.USER,
    body=DisputeIn,
    files="pictures",
    out=OrderOut,
    answer=Answer.RETURN_CONTESTED,
    refuses=_STEP,
    limit="rate_limit_evidence",
)
def contest_return(*, actor: Actor, order_id: int, body: DisputeIn, files: list[FileStorage]) -> OrderOut:
    """The seller contests the parcel that came back; staff decide."""
    service.raise_dispute(
        actor_id=actor.id,
        order_id=order_id,
        event=OrderEvent.CONTEST_RETURN,
        reason=body.reason,
        description=body.description,
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/dispute_statement/<id:order_id>/",
    auth=Auth.USER,
    body=StatementIn,
    files="pictures",
    out=OrderDetailOut,
    answer=Answer.STATEMENT_ADDED,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE, Answer.TOO_MANY_STATEMENTS),
    limit="rate_limit_evidence",
)
def state_case(*, actor: Actor, order_id: int, body: StatementIn, files: list[FileStorage]) -> OrderDetailOut:
    """Either side tells staff its view of a dispute, with pictures; at most five times each."""
    service.state_case(
        actor_id=actor.id,
        order_id=order_id,
        text=body.text,
        picture_ids=body.picture_ids,
        uploads=[file.stream for file in files],
    )
    return queries.order_detail(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/buyer_extend_receipt/<id:order_id>/",
    auth=Auth.USER,
    out=OrderOut,
    answer=Answer.RECEIPT_EXTENDED,
    refuses=_STEP,
)
def extend_receipt(*, actor: Actor, order_id: int) -> OrderOut:
    """The buyer gets the time for receipt once more, once per order."""
    service.extend_receipt(actor_id=actor.id, order_id=order_id)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/seller_hand_over/<id:order_id>/",
    auth=Auth.USER,
    body=HandoverIn,
    out=OrderOut,
    answer=Answer.GOODS_HANDED_OVER,
    refuses=(*_STEP, Answer.HANDOVER_CODE_WRONG, Answer.HANDOVER_LOCKED),
)
def hand_over(*, actor: Actor, order_id: int, body: HandoverIn) -> OrderOut:
    """当面交易: the seller confirms the handover with the code that the buyer told."""
    service.hand_over(actor_id=actor.id, order_id=order_id, code=body.code)
    return queries.order_of(user_id=actor.id, order_id=order_id)


@api.post(
    "/api/buyer_handover_code/<id:order_id>/",
    auth=Auth.USER,
    out=OrderDetailOut,
    answer=Answer.HANDOVER_CODE_MADE,
    refuses=_STEP,
)
def renew_handover_code(*, actor: Actor, order_id: int) -> OrderDetailOut:
    """当面交易: a new code for the buyer; the one before is worth nothing any more."""
    service.renew_handover_code(actor_id=actor.id, order_id=order_id)
    return queries.order_detail(user_id=actor.id, order_id=order_id)


@api.get(
    "/api/evidence/<id:pic_id>/",
    auth=Auth.OPTIONAL,
    query=PictureQuery,
    refuses=(Answer.NO_SUCH_PICTURE, Answer.LOGIN_REQUIRED),
    media=("image/jpeg", "image/webp"),
    conditional=True,
)
def evidence(*, actor: Actor | None, pic_id: int, query: PictureQuery) -> Response:
    """A picture that goes with a refund request or a dispute; for both sides and staff.

    `until` and `sign` are those of a link in an answer (`links`): it shows this width without a token, for minutes.
    """
    granted = seconds_granted(queries.evidence_url(pic_id), query)
    if actor is None and granted is None:
        raise Refused(Answer.LOGIN_REQUIRED)
    reader_id = None if actor is None or granted is not None else actor.id
    rendition = evidence_rendition(picture_id=pic_id, reader_id=reader_id, wanted=query.w)
    return picture_response(
        functools.partial(read_rendition, picture_storage(), rendition),
        content_type=rendition.content_type,
        key=rendition.key,
        cache=hidden_cache(granted, otherwise=_EVIDENCE_CACHE),
    )


@api.get(
    "/api/order/<id:order_id>/diagram",
    auth=Auth.USER,
    query=DiagramQuery,
    refuses=(Answer.NO_SUCH_ORDER,),
    media=("image/svg+xml", "text/vnd.mermaid; charset=utf-8"),
    conditional=True,
)
def diagram(*, actor: Actor, order_id: int, query: DiagramQuery) -> Response:
    """The order's own way through its machine, as a picture or as Mermaid text."""
    drawn = order_diagram(user_id=actor.id, order_id=order_id, form=query.format)
    response = Response(drawn, content_type=_DIAGRAM_TYPES[query.format])
    response.set_etag(hashlib.sha256(drawn.encode()).hexdigest()[:32])
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    response.make_conditional(request)
    return response


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
