"""Orders that wait for staff, brought there by the real services; and what a decision may touch."""

import io

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db.database import db
from app.orders import service
from app.orders.models import Order
from statemachine import OrderEvent, OrderPhase, Role
from statemachine.order import (
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    RETURN_SENT,
)
from tests.factories import Made, auth_headers, make_address, picture_bytes
from tests.ledger.steps import walk

REQUESTED = [REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT]
REASON = "凭证属实\n支持退款"


def order_at(app: Flask, phase: OrderPhase, *, disputed: bool = True, pictures: int = 0) -> Made:
    """An order whose buyer asked for the money back, at `phase`; its side's `seller` and `buyer` are in the values.

    Disputed by the buyer, or by the seller where the goods are on their way back.
    """
    order = walk(app, (OrderEvent.PAY, Role.GATEWAY))
    buyer, seller = {"actor_id": order.buyer.id}, {"actor_id": order.seller.id}
    at = {"order_id": order.id}
    parcel = {"company": "顺丰速运", "tracking_no": "SF1234567890"}
    address_id = make_address(app, order.seller).id
    with app.app_context():
        if phase.goods >= 7:
            service.ship_order(**seller, **at, address_id=address_id, **parcel)
        if phase.goods >= 8:
            service.receive_order(**buyer, **at)
        service.request_refund(
            **buyer, **at, reason="与描述不符", description="屏幕有划痕", uploads=_uploads(pictures, width=60)
        )
        if phase.goods == 9:
            service.send_back(**buyer, **at, **parcel, freight=1000)
        if disputed:
            contested = phase.goods == 9
            service.raise_dispute(
                **(seller if contested else buyer),
                **at,
                event=OrderEvent.CONTEST_RETURN if contested else OrderEvent.DISPUTE,
                reason="退回的不是原物" if contested else "卖家不回复",
                description="见图",
                uploads=_uploads(pictures, width=80),
            )
    return order


def _uploads(count: int, *, width: int) -> list[io.BytesIO]:
    return [io.BytesIO(picture_bytes(width + each)) for each in range(count)]


def row_of(app: Flask, order: Made) -> Order:
    """The order as it is now, detached."""
    with app.app_context():
        row = db.session.scalars(select(Order).where(Order.id == order.id)).one()
        db.session.expunge(row)
        return row


def decide(
    app: Flask, client: FlaskClient, staff: Made, event: str, order: Made, *, reason: str = REASON, **headers: str
) -> TestResponse:
    """Let `staff` decide."""
    return client.post(
        f"/api/staff/{event}/{order.id}/", json={"reason": reason}, headers={**auth_headers(app, staff), **headers}
    )
