"""A shop whose payments go to a real sandbox, and whose notifications the test delivers itself, when it wants."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import create_app
from app.extensions import db
from app.goods.models import Good
from app.money.models import GatewayNotification, Payment, Refund
from app.money.sandbox import keys, protocol
from app.orders.models import Order, OrderEventRecord
from app.outbox import OutboxMessage, Topic
from config import load_settings
from tests.factories import Made, auth_headers, make_address, make_good, make_user
from tests.money.sandbox_server import NotifyReceiver, SandboxServer, eventually, start_sandbox

PRICE, FREIGHT, AMOUNT = 258800, 1200, 260000
UNPAID, PAID, CANCELLED = (1, 6, False), (2, 6, False), (1, 6, True)


@dataclass(frozen=True)
class Purchase:
    """An order that somebody has just made, at (1, 6)."""

    order_id: int
    order_no: str
    good_id: int
    seller: Made
    buyer: Made
    headers: dict[str, str]

    @property
    def url(self) -> str:
        """Its cashier."""
        return f"/order/pay/{self.order_id}/"


@dataclass(frozen=True)
class Standing:
    """All that a payment may change. `refunds` are (amount, reason, state), `events` the history's."""

    phase: tuple[int, int, bool]
    good_status: int
    events: list[str]
    trade_no: str | None
    paid: bool
    refunds: list[tuple[int, str, str]]
    refunds_left: int
    """Messages in the outbox that ask for a refund."""


@dataclass(frozen=True)
class Shop:
    """The application, the sandbox, and the letter box that the sandbox's notifications end in."""

    app: Flask
    sandbox: SandboxServer
    letters: NotifyReceiver

    @property
    def client(self) -> FlaskClient:
        """A new test client."""
        return self.app.test_client()

    def buy(self) -> Purchase:
        """A purchase by a new buyer from a new seller, worth AMOUNT."""
        seller, buyer = make_user(self.app), make_user(self.app)
        good = make_good(self.app, seller, price=PRICE, freight=FREIGHT)
        headers = auth_headers(self.app, buyer)
        body = {"address_id": make_address(self.app, buyer).id}
        order = self.client.post(f"/api/buy/{good.id}/", json=body, headers=headers).get_json()["data"]
        return Purchase(order["id"], order["order_no"], good.id, seller, buyer, headers)

    def pay(self, purchase: Purchase) -> dict[str, str]:
        """Pay at the sandbox's cashier; the signed form that the sandbox sends because of it, not delivered yet."""
        self.sandbox.pay(self.client.post(purchase.url, headers=purchase.headers).headers["Location"])
        return self.letter(purchase)

    def letter(self, purchase: Purchase) -> dict[str, str]:
        """The sandbox's first notification about the order, once it has come."""

        def find() -> dict[str, str] | None:
            forms = [dict(form) for form in self.letters.received]
            return next((form for form in forms if form["out_trade_no"] == purchase.order_no), None)

        return eventually(find, what="the notification")

    def sign(self, form: Mapping[str, str], **changes: str) -> dict[str, str]:
        """`form` with `changes` (an empty text takes the field out), signed by the gateway's own key."""
        fields = {name: value for name, value in {**form, **changes}.items() if name not in ("sign", "sign_type")}
        return protocol.signed_form(fields, keys.load_private_key(self.sandbox.keys / keys.GATEWAY_PRIVATE))

    def notify(self, form: Any) -> str:
        """Deliver a form (a mapping, or bytes as they stand); what the gateway hears."""
        response = self.client.post(
            "/order/notify/", data=form, content_type="application/x-www-form-urlencoded; charset=utf-8"
        )
        assert (response.status_code, response.content_type) == (200, "text/plain; charset=utf-8")
        return response.get_data(as_text=True)

    def standing(self, purchase: Purchase) -> Standing:
        """Where everything stands now."""
        with self.app.app_context():
            order = db.session.get_one(Order, purchase.order_id)
            payment = db.session.scalar(select(Payment).where(Payment.order_id == order.id))
            refunds = db.session.scalars(
                select(Refund).join(Payment, Payment.id == Refund.payment_id).where(Payment.order_id == order.id)
            ).all()
            asked = select(OutboxMessage).where(
                OutboxMessage.topic == Topic.PAYMENT_REFUND, OutboxMessage.subject_id.in_([each.id for each in refunds])
            )
            history = select(OrderEventRecord.event).where(OrderEventRecord.order_id == order.id)
            return Standing(
                phase=(order.bill_status, order.order_status, order.closed),
                good_status=db.session.get_one(Good, order.good_id).status,
                events=list(db.session.scalars(history.order_by(OrderEventRecord.sequence))),
                trade_no=payment.trade_no if payment else None,
                paid=payment is not None and payment.paid_at is not None,
                refunds=[(each.amount, each.reason, each.state) for each in refunds],
                refunds_left=len(db.session.scalars(asked).all()),
            )

    def refusals(self) -> list[str | None]:
        """What became of each notification that was recorded: None if it was believed."""
        with self.app.app_context():
            return list(db.session.scalars(select(GatewayNotification.refusal).order_by(GatewayNotification.id)))


@pytest.fixture(scope="session")
def gateway_server(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxServer]:
    """The sandbox with the application's keys, for the whole session."""
    folder = Path(environment["INSTANCE_PATH"]) / "keys"
    with start_sandbox(tmp_path_factory.mktemp("gateway"), keys_dir=folder) as running:
        yield running


@pytest.fixture(scope="session")
def paying_shop(app: Flask, environment: dict[str, str], gateway_server: SandboxServer) -> Iterator[Shop]:
    """The application with that sandbox; its stores are those of `app`."""
    with NotifyReceiver() as letters:
        public_url = letters.url.removesuffix("/notify")
        changed = {"ALIPAY_GATEWAY_URL": gateway_server.gateway_url, "PUBLIC_URL": public_url}
        paying = create_app(load_settings({**environment, **changed}))
        yield Shop(paying, gateway_server, letters)
        with paying.app_context():
            db.session.remove()
            db.engine.dispose()
        paying.extensions["valkey"].close()


@pytest.fixture
def shop(paying_shop: Shop, clean: None) -> Shop:
    """The shop on empty stores."""
    return paying_shop
