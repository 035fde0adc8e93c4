"""Two requests at the same moment, over HTTP, to the application as granian serves it."""

import threading
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Flask
from sqlalchemy import select, update

from app.answers import Answer
from app.clock import format_moment, utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.fen import format_yuan
from app.goods.models import Good
from app.ledger.audit import audit
from app.money.models import Payment, Refund
from app.money.sandbox import DEFAULT_APP_ID, DEFAULT_SELLER_ID, keys, protocol
from app.orders.models import Order, OrderEventRecord
from app.orders.payments import start_payment
from tests.factories import Made, auth_headers
from tests.ledger.steps import walk
from tests.live import LiveServer, Reply

ROUNDS = 50

NOTIFY = "/order/notify/"
BELIEVED = (200, "success")


@dataclass(frozen=True)
class PurchaseState:
    """What a race may change of an order: where it and its good stand, its steps, its payment, its refunds."""

    phase: tuple[int, int, bool]
    good: int
    events: list[str]
    payment: str | None
    refunds: list[str]
    """The reasons."""


@dataclass(frozen=True)
class Arena:
    """The live application, the same one in this process, and the gateway's keys."""

    app: Flask
    server: LiveServer
    keys: Path

    def order(self, *steps: Any) -> Made:
        """An order that has made `steps` (see `tests.ledger.steps.walk`)."""
        return walk(self.app, *steps)

    def opened(self, order: Made) -> Made:
        """The order with an attempt to pay; the payer has not come to the gateway yet."""
        with self.app.app_context():
            start_payment(buyer_id=order.buyer_id, order_id=order.id, return_url="http://127.0.0.1/")
        return order

    def make_due(self, order: Made) -> None:
        """Let the order's time be over just now."""
        with self.app.app_context(), db.engine.begin() as connection:
            connection.execute(update(Order).where(Order.id == order.id).values(deadline_at=utcnow(), remind_at=None))

    def notification(self, order: Made, *, notify_id: str = "n1") -> bytes:
        """What the gateway sends when the order's first attempt was paid, signed by the gateway's own key."""
        return signed_notification(self.keys, out_trade_no=order.order_no, amount=order.amount, notify_id=notify_id)

    def notify(self, order: Made, *, notify_id: str = "n1") -> Callable[[], tuple[int, str]]:
        """A call that delivers this notification; the status and what the gateway hears."""
        body = self.notification(order, notify_id=notify_id)
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

        def deliver() -> tuple[int, str]:
            reply = self.server.call("POST", NOTIFY, body=body, headers=headers)
            return reply.status, reply.content.decode()

        return deliver

    def post(
        self, path: str, user_id: int, body: Any = None, *, method: str = "POST", key: str | None = None
    ) -> Callable[[], Answer]:
        """A call that makes this request as the user; which answer it is."""
        headers = {**auth_headers(self.app, Made(user_id, {})), **({"Idempotency-Key": key} if key else {})}
        return lambda: answer_of(self.server.call(method, path, body=body, headers=headers))

    def state_of(self, order: Made) -> PurchaseState:
        """Where everything stands now."""
        with self.app.app_context(), transaction() as session:
            row = session.get_one(Order, order.id)
            steps = select(OrderEventRecord.event).where(OrderEventRecord.order_id == order.id)
            payment = session.scalar(select(Payment.state).where(Payment.order_id == order.id))
            refunds = select(Refund.reason).join(Payment, Payment.id == Refund.payment_id)
            return PurchaseState(
                phase=(row.bill_status, row.order_status, row.closed),
                good=session.get_one(Good, row.good_id).status,
                events=list(session.scalars(steps.order_by(OrderEventRecord.sequence))),
                payment=payment,
                refunds=list(session.scalars(refunds.where(Payment.order_id == order.id))),
            )

    def assert_clean(self) -> None:
        """Every fen is where it should be."""
        with self.app.app_context():
            assert audit() == []


def signed_notification(
    folder: Path, *, out_trade_no: str, amount: int, notify_id: str = "n1", trade_no: str | None = None
) -> bytes:
    """The form that the gateway sends for a paid trade, signed by its key in `folder`."""
    now = format_moment(utcnow()).replace("T", " ")[:19]
    fields = {
        "notify_type": "trade_status_sync",
        "notify_id": notify_id,
        "notify_time": now,
        "charset": "utf-8",
        "version": "1.0",
        "app_id": DEFAULT_APP_ID,
        "seller_id": DEFAULT_SELLER_ID,
        "out_trade_no": out_trade_no,
        "trade_no": trade_no or f"2026112222001{out_trade_no[-12:]}",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": format_yuan(amount),
        "gmt_payment": now,
    }
    signed = protocol.signed_form(fields, _gateway_key(folder))
    return urllib.parse.urlencode(signed).encode()


@cache
def _gateway_key(folder: Path) -> RSAPrivateKey:
    """Read once: to check a key takes longer than anything that it is used for."""
    return keys.load_private_key(folder / keys.GATEWAY_PRIVATE)


def answer_of(reply: Reply) -> Answer:
    """The declared answer that the reply is, byte for byte."""
    told = (reply.status, reply.body["status"], reply.body["msg"])
    [answer] = [each for each in Answer if (each.http, each.status, each.msg) == told]
    return answer


def at_once(pool: ThreadPoolExecutor, *calls: Callable[[], Any]) -> list[Any]:
    """What the calls gave, all of them let go at the same moment."""
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        together.wait()
        return call()

    return [each.result() for each in [pool.submit(run, call) for call in calls]]
