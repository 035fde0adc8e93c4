"""A shop whose payments go to a real sandbox, and whose notifications the test delivers itself, when it wants."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from app.clock import utcnow
from app.db.database import db
from app.goods.models import Good
from app.ledger.audit import audit
from app.ledger.models import DEBIT_NORMAL, AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction
from app.money.models import GatewayNotification, Payment, Refund
from app.money.sandbox import keys, protocol
from app.orders.models import Order, OrderEventRecord
from app.outbox.models import OutboxMessage, Topic
from config import load_settings
from statemachine import GoodStatus
from statemachine.order import AWAITING_PAYMENT, PAID
from tests.applications import running_app
from tests.conftest import MakeApp
from tests.factories import Made, auth_headers, make_address, make_good, make_user
from tests.money.sandbox_server import NotifyReceiver, SandboxServer, eventually, start_sandbox

PRICE, FREIGHT, AMOUNT = 258800, 1200, 260000


@dataclass(frozen=True)
class Purchase:
    """An order that somebody has just made; it awaits payment."""

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
class PurchaseState:
    """All that a payment may change, of one order."""

    phase: tuple[int, int, bool] = AWAITING_PAYMENT
    good_status: int = GoodStatus.IN_TRADE
    events: list[str] = field(default_factory=lambda: ["buy"])
    attempts: list[tuple[int, str, str | None]] = field(default_factory=list)
    """`(attempt, state, the gateway's number)`."""
    refunds: list[tuple[int, int, str, str]] = field(default_factory=list)
    """`(attempt, fen, reason, state)`."""
    refunds_left: int = 0
    """Messages in the outbox that ask for a refund."""
    money: dict[str, int] = field(default_factory=dict)
    """What the order's ledger transactions left in the accounts, by their kind; 0 left out."""


FRESH = PurchaseState()
STARTED = replace(FRESH, attempts=[(1, "open", None)])


def paid(trade_no: str) -> PurchaseState:
    """How an order stands once its first attempt was paid."""
    return PurchaseState(
        phase=PAID,
        events=["buy", "pay"],
        attempts=[(1, "paid", trade_no)],
        money={"gateway_clearing": AMOUNT, "escrow": AMOUNT},
    )


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

    def start(self, purchase: Purchase) -> str:
        """Go to the gateway: the address of its cashier."""
        response = self.client.post(purchase.url, headers=purchase.headers)
        assert response.status_code == 302, response.text
        return response.headers["Location"]

    def pay(self, purchase: Purchase) -> dict[str, str]:
        """Pay at the sandbox's cashier; the signed form that the sandbox sends because of it, not delivered yet."""
        location = self.start(purchase)
        self.sandbox.pay(location)
        return self.letter(out_trade_no_in(location))

    def letter(self, out_trade_no: str) -> dict[str, str]:
        """The sandbox's first notification about the trade, once it has come."""

        def find() -> dict[str, str] | None:
            forms = [dict(form) for form in self.letters.received]
            return next((form for form in forms if form["out_trade_no"] == out_trade_no), None)

        return eventually(find, what="the notification")

    def cancel(self, purchase: Purchase, **headers: str) -> TestResponse:
        """The buyer cancels."""
        return self.client.post(f"/api/cancel_order/{purchase.order_id}/", headers={**purchase.headers, **headers})

    def is_due(self, **columns: Any) -> None:
        """Let the gateway be asked about every attempt that is asked for at all; `columns` are written too."""
        with self.app.app_context(), db.engine.begin() as connection:
            statement = update(Payment).where(Payment.query_at.is_not(None))
            connection.execute(statement.values(query_at=utcnow(), **columns))

    @cached_property
    def gateway_key(self) -> RSAPrivateKey:
        """What the gateway signs with. Kept, as reading it takes longer than a request."""
        return keys.load_private_key(self.sandbox.keys / keys.GATEWAY_PRIVATE)

    def sign(self, form: Mapping[str, str], **changes: str) -> dict[str, str]:
        """`form` with `changes` (an empty text takes the field out), signed by the gateway's own key."""
        fields = {name: value for name, value in {**form, **changes}.items() if name not in ("sign", "sign_type")}
        return protocol.signed_form(fields, self.gateway_key)

    def notify(self, form: Any) -> str:
        """Deliver a form (a mapping, or bytes as they stand); what the gateway hears."""
        response = self.client.post(
            "/order/notify/", data=form, content_type="application/x-www-form-urlencoded; charset=utf-8"
        )
        assert (response.status_code, response.content_type) == (200, "text/plain; charset=utf-8")
        return response.get_data(as_text=True)

    def state_of(self, purchase: Purchase) -> PurchaseState:
        """Where everything stands now."""
        with self.app.app_context():
            order = db.session.get_one(Order, purchase.order_id)
            payments = db.session.scalars(
                select(Payment).where(Payment.order_id == order.id).order_by(Payment.attempt)
            ).all()
            attempts = {payment.id: payment.attempt for payment in payments}
            refunds = db.session.scalars(
                select(Refund).where(Refund.payment_id.in_(attempts)).order_by(Refund.id)
            ).all()
            asked = select(func.count()).where(
                OutboxMessage.topic == Topic.PAYMENT_REFUND, OutboxMessage.subject_id.in_([each.id for each in refunds])
            )
            history = select(OrderEventRecord.event).where(OrderEventRecord.order_id == order.id)
            return PurchaseState(
                phase=(order.bill_status, order.order_status, order.closed),
                good_status=db.session.get_one(Good, order.good_id).status,
                events=list(db.session.scalars(history.order_by(OrderEventRecord.sequence))),
                attempts=[(each.attempt, each.state, each.trade_no) for each in payments],
                refunds=[(attempts[each.payment_id], each.amount, each.reason, each.state) for each in refunds],
                refunds_left=db.session.execute(asked).scalar_one(),
                money=money_of(order.id),
            )

    def audit(self) -> list[str]:
        """What `flask ledger audit` would find."""
        with self.app.app_context():
            return [str(difference) for difference in audit()]

    def refusals(self) -> list[str | None]:
        """What became of each notification that was recorded: None if it was believed."""
        with self.app.app_context():
            return list(db.session.scalars(select(GatewayNotification.refusal).order_by(GatewayNotification.id)))


def out_trade_no_in(location: str) -> str:
    """Our number of the trade that a cashier's address opens."""
    [content] = parse_qs(urlsplit(location).query)["biz_content"]
    return str(json.loads(content)["out_trade_no"])


def money_of(order_id: int) -> dict[str, int]:
    """What the ledger transactions of an order left in the accounts, by their kind. Wants an app context."""
    sums = db.session.execute(
        select(LedgerAccount.kind, func.sum(LedgerEntry.amount))
        .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(LedgerTransaction.order_id == order_id)
        .group_by(LedgerAccount.kind)
    )
    return {kind: int(sum_ if AccountKind(kind) in DEBIT_NORMAL else -sum_) for kind, sum_ in sums if sum_}


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
        with running_app(load_settings({**environment, **changed})) as paying:
            yield Shop(paying, gateway_server, letters)


@pytest.fixture
def shop(paying_shop: Shop, clean: None) -> Shop:
    """The shop on empty stores."""
    return paying_shop


@pytest.fixture
def away(shop: Shop, make_app: MakeApp) -> Shop:
    """The same shop in front of a gateway that is down."""
    return replace(shop, app=make_app(ALIPAY_GATEWAY_URL="http://127.0.0.1:1/gateway.do"))
