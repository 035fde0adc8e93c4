"""Rows and requests that tests need, made as simply as the database allows.

`make_…` functions work with or without an app context (they push one) and return plain values.
"""

import io
import itertools
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Flask
from flask_jwt_extended import create_access_token
from PIL import Image
from sqlalchemy import Connection, insert
from werkzeug.test import TestResponse

from app.accounts.models import Address, User
from app.accounts.passwords import hash_password
from app.answers import Answer
from app.clock import utcnow
from app.extensions import db
from app.goods.models import Good
from app.orders.models import Order
from statemachine import ORDER, GoodStatus, OrderPhase, TradeMode

PASSWORD = "correct-horse-1"

_numbers = itertools.count(1)
_hashes: dict[str, str] = {}


@dataclass(frozen=True)
class Made:
    """A row that was made: its id and the values given."""

    id: int
    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


def _make(app: Flask, model: Any, values: dict[str, Any]) -> Made:
    with app.app_context(), db.engine.begin() as connection:
        row_id = connection.execute(insert(model).values(**values).returning(model.id)).scalar_one()
    return Made(row_id, values)


def make_user(app: Flask, username: str | None = None, *, staff: bool = False, password: str = PASSWORD) -> Made:
    """A user with `password`."""
    name = username or f"user{next(_numbers)}"
    if password not in _hashes:
        with app.app_context():
            _hashes[password] = hash_password(password)
    return _make(
        app,
        User,
        {
            "username": name,
            "username_key": name.casefold(),
            "password_hash": _hashes[password],
            "bio": "",
            "is_staff": staff,
            "created_at": utcnow(),
        },
    )


def auth_headers(app: Flask, user: Made, *, lifetime: timedelta | None = None) -> dict[str, str]:
    """Headers with a valid access token of `user`."""
    with app.app_context():
        token = create_access_token(
            identity=str(user.id), additional_claims={"session": f"test-session-{user.id}"}, expires_delta=lifetime
        )
    return {"Authorization": f"Bearer {token}"}


def make_good(app: Flask, owner: Made, *, status: GoodStatus = GoodStatus.PUBLISHED, **columns: Any) -> Made:
    """A good of `owner`, published unless said otherwise."""
    now = utcnow()
    values = {
        "owner_id": owner.id,
        "title": "九成新 iPhone 13 128G",
        "description": "自用一年,无磕碰,配件齐全。",
        "price": 258800,
        "original_price": 599900,
        "freight": 1200,
        "category": 1,
        "trade_mode": TradeMode.COURIER,
        "status": status,
        "deleted": False,
        "revision": 1,
        "published_at": None if status in (GoodStatus.IN_REVIEW, GoodStatus.REJECTED) else now,
        "created_at": now,
        "updated_at": now,
    }
    return _make(app, Good, values | columns)


def make_address(app: Flask, user: Made, **columns: Any) -> Made:
    """A delivery address of `user`; not the default one."""
    now = utcnow()
    values = {
        "user_id": user.id,
        "name": "王小明",
        "mobile": "13800138000",
        "province": "浙江省",
        "city": "杭州市",
        "district": "余杭区",
        "detail": "文一西路 969 号",
        "is_default": False,
        "created_at": now,
        "updated_at": now,
    }
    return _make(app, Address, values | columns)


SNAPSHOT = {
    "name": "王小明",
    "mobile": "13800138000",
    "province": "浙江省",
    "city": "杭州市",
    "district": "余杭区",
    "detail": "文一西路 969 号",
}


def make_order(app: Flask, good: Made, buyer: Made, *, phase: OrderPhase = ORDER.start, **columns: Any) -> Made:
    """An order of `good` by `buyer` that stands at `phase`. The good's status is left to the caller."""
    now = utcnow()
    values = {
        "order_no": f"T{next(_numbers):020d}",
        "good_id": good.id,
        "buyer_id": buyer.id,
        "seller_id": good.owner_id,
        "good_title": good.title,
        "good_picture_id": None,
        "price": good.price,
        "freight": good.freight,
        "amount": good.price + good.freight,
        "trade_mode": TradeMode.COURIER,
        "bill_status": phase.bill,
        "order_status": phase.goods,
        "closed": phase.closed,
        "address": SNAPSHOT,
        "phase_since": now,
        "created_at": now,
        "updated_at": now,
    }
    return _make(app, Order, values | columns)


def picture_bytes(width: int = 64, height: int = 48, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002 - Pillow's name
    """A picture file with a diagonal gradient."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def assert_envelope(response: TestResponse, answer: Answer) -> Any:
    """Assert that `response` is exactly the envelope of `answer`; returns its data."""
    assert response.content_type == "application/json", response.data[:500]
    body = response.get_json()
    assert set(body) == {"status", "msg", "data"}
    assert (response.status_code, body["status"], body["msg"]) == (answer.http, answer.status, answer.msg), body
    return body["data"]


class StatementCounter:
    """Collects the SQL statements of a stretch of code."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def on_execute(self, _connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        """SQLAlchemy's `before_cursor_execute`."""
        self.statements.append(statement)
