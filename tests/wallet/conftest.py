"""The application with a real sandbox gateway that pays out."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.db.database import db
from app.notifications.models import Notification
from app.outbox.models import OutboxMessage, Topic
from app.wallet import service
from app.wallet.models import Payout
from config import load_settings
from tests.applications import running_app
from tests.factories import Made, auth_headers, make_user
from tests.ledger.steps import balances, give
from tests.live import free_port
from tests.money.sandbox_server import SandboxServer, fetch, start_sandbox

AVAILABLE = 50000


@dataclass(frozen=True)
class Bank:
    """The application, its gateway, and where the gateway keeps its books."""

    app: Flask
    sandbox: SandboxServer

    @property
    def client(self) -> FlaskClient:
        """A new test client."""
        return self.app.test_client()

    def seller(self, *, available: int = AVAILABLE, held: int = 0) -> Made:
        """A user with money in his wallet."""
        user = make_user(self.app)
        give(self.app, user, available=available, held=held)
        return user

    def withdraw(self, user: Made, **changes: Any) -> Any:
        """The answer to a withdrawal of 120.00 yuan to wang@example.com; `changes` replace fields."""
        body = {"amount": "120.00", "account": "wang@example.com", "name": "王小明", **changes}
        return self.client.post("/api/withdraw/", json=body, headers=auth_headers(self.app, user))

    def payout(self, user: Made, **changes: Any) -> int:
        """A withdrawal's id."""
        response = self.withdraw(user, **changes)
        assert response.status_code == 200, response.text
        payout_id: int = response.get_json()["data"]["id"]
        return payout_id

    def send(self, payout_id: int) -> None:
        """What the outbox's job does."""
        with self.app.app_context():
            service.send_payout(payout_id=payout_id)

    def row(self, payout_id: int) -> Payout:
        """The payout as it is stored."""
        with self.app.app_context():
            payout = db.session.get_one(Payout, payout_id)
            db.session.expunge(payout)
            db.session.rollback()
        return payout

    def money(self, user: Made) -> dict[str, int]:
        """Where the user's money is, in fen; 0 left out."""
        kinds = {"seller_available": user.id, "seller_held": user.id, "payout_clearing": None, "paid_out": None}
        sums = balances(self.app)
        return {kind: sums[kind, owner] for kind, owner in kinds.items() if (kind, owner) in sums}

    def messages(self) -> list[int]:
        """The payouts that the outbox is to send."""
        with self.app.app_context():
            statement = select(OutboxMessage.subject_id).where(OutboxMessage.topic == Topic.PAYOUT.value)
            return list(db.session.scalars(statement.order_by(OutboxMessage.id)))

    def notices(self, user: Made) -> list[tuple[str, str, str, str]]:
        """`(kind, event, title, text)` of what the user was told."""
        with self.app.app_context():
            statement = select(Notification).where(Notification.user_id == user.id).order_by(Notification.id)
            return [(each.kind, each.event, each.title, each.text) for each in db.session.scalars(statement)]

    def transfers(self) -> int:
        """How many transfers the gateway knows."""
        return len(self.sandbox_json("/sandbox/transfers")["transfers"])

    def sandbox_json(self, path: str) -> Any:
        """What the sandbox tells those who look into it."""
        answer = fetch(f"{self.sandbox.url}{path}")
        assert answer.status == 200, answer.text
        return json.loads(answer.text)


@pytest.fixture(scope="session")
def wallet_keys(environment: dict[str, str]) -> Path:
    """The keys that the application and its gateway share."""
    return Path(environment["INSTANCE_PATH"]) / "keys"


@pytest.fixture(scope="module")
def gateway_port() -> int:
    """The port at which the application looks for its gateway."""
    return free_port()


@pytest.fixture(scope="module")
def wallet_app(environment: dict[str, str], gateway_port: int) -> Iterator[Flask]:
    """The application of `bank`; its stores are those of `app`."""
    url = f"http://127.0.0.1:{gateway_port}/gateway.do"
    with running_app(load_settings({**environment, "ALIPAY_GATEWAY_URL": url})) as application:
        yield application


@pytest.fixture
def bank(wallet_app: Flask, gateway_port: int, wallet_keys: Path, tmp_path: Path, clean: None) -> Iterator[Bank]:
    """The application with a sandbox of its own, both empty."""
    with start_sandbox(tmp_path, keys_dir=wallet_keys, port=gateway_port) as sandbox:
        yield Bank(wallet_app, sandbox)


@pytest.fixture
def lonely(bank: Bank) -> Bank:
    """As `bank`, but its gateway does not run: a test starts one at the same port itself."""
    bank.sandbox.stop()
    return bank
