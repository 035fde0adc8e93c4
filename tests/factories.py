"""Rows and requests that tests need, made as simply as the database allows.

`make_…` functions work with or without an app context (they push one) and return plain values.
"""

import functools
import io
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any

from flask import Flask
from flask_jwt_extended import create_access_token
from PIL import Image, ImageDraw
from pydantic import TypeAdapter
from sqlalchemy import Connection, RowMapping, Select, Text, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from werkzeug.test import TestResponse

from app.accounts.models import Address, LoginSession, User
from app.accounts.passwords import hash_password
from app.accounts.sessions import lives
from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import autocommit_connection, transaction
from app.goods.models import Good
from app.money.models import Payment
from app.orders import service as orders
from app.orders.models import Order
from app.orders.payments import record_paid_trade
from app.orders.transitions import OrderCommand, fire, lock_order
from app.refusals import REFUSAL_DETAILS
from app.staff_roles import StaffRole
from statemachine import (
    ORDER,
    GoodStatus,
    OrderEvent,
    OrderFacts,
    OrderPhase,
    OrderStatus,
    Role,
    TradeMode,
    order_flow,
)
from statemachine.order import (
    AWAITING_PAYMENT,
    AWARDED_TO_SELLER,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    REFUNDED_RECEIVED,
    REFUNDED_RETURNED,
    REFUNDED_SHIPPED,
    REFUNDED_UNSHIPPED,
    RETURN_SENT,
    SETTLED,
    SHIPPED,
)

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
    with app.app_context(), autocommit_connection() as connection:
        row_id = connection.execute(insert(model).values(**values).returning(model.id)).scalar_one()
    return Made(row_id, values)


def make_user(
    app: Flask,
    username: str | None = None,
    *,
    staff: bool = False,
    roles: Sequence[StaffRole] = (),
    password: str = PASSWORD,
) -> Made:
    """A user with `password`; one of staff has all roles, or `roles`."""
    name = username or f"user{next(_numbers)}"
    if password not in _hashes:
        with app.app_context():
            _hashes[password] = hash_password(password)
    user = _make(
        app,
        User,
        {
            "username": name,
            "username_key": name.casefold(),
            "password_hash": _hashes[password],
            "bio": "",
            "is_staff": staff,
            "staff_roles": [role.value for role in (roles or StaffRole)] if staff else [],
            "created_at": utcnow(),
        },
    )
    make_session(app, user.id)
    return user


def make_session(app: Flask, user_id: int, session_id: str | None = None) -> str:
    """A living session of the user; its id, which is `test-session-` and the user's unless given.

    Where there is one already, nothing is changed.
    """
    session_id = session_id or f"test-session-{user_id}"
    now = utcnow()
    values = {
        "id": session_id,
        "user_id": user_id,
        "generation": select(User.generation).where(User.id == user_id).scalar_subquery(),
        "refresh_jti": f"refresh-{session_id}",
        "created_at": now,
        "refreshed_at": now,
        "expires_at": now + timedelta(days=30),
    }
    with app.app_context(), autocommit_connection() as connection:
        connection.execute(upsert(LoginSession).values(**values).on_conflict_do_nothing())
    return session_id


def auth_headers(app: Flask, user: Made, *, lifetime: timedelta | None = None) -> dict[str, str]:
    """Headers with a valid access token of `user`, whose session is cached as living."""
    session_id = make_session(app, user.id)
    with app.app_context():
        lives(session_id=session_id, user_id=user.id)
        token = create_access_token(
            identity=str(user.id), additional_claims={"session": session_id}, expires_delta=lifetime
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
    """The bare row of an order of `good` by `buyer` at `phase`, its deadline running where it has one.

    Nothing led there: no history, no payment, no money. The good's status is left to the caller. For an order that
    steps with money are tried on, use `lead_order`.
    """
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
        "refund_count": 0,
        "disputed": False,
        "extended": False,
        "address": SNAPSHOT,
        "phase_since": now,
        "created_at": now,
        "updated_at": now,
    } | columns
    facts = OrderFacts(**{name: values[name] for name in ("trade_mode", "refund_count", "disputed", "extended")})
    # What no machine knows (the database's CHECK refuses it) has no deadline.
    deadline = order_flow.deadline(phase, facts) if phase in order_flow.phases else None
    deadline_at = None if deadline is None else values["phase_since"] + deadline.default
    return _make(app, Order, {"deadline_at": deadline_at, **values})


EVENTS_TO: dict[OrderPhase, tuple[OrderEvent, ...]] = {
    AWAITING_PAYMENT: (),
    CANCELLED: (OrderEvent.CANCEL,),
    PAID: (OrderEvent.PAY,),
    SHIPPED: (OrderEvent.PAY, OrderEvent.SHIP),
    RECEIVED: (OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE),
    SETTLED: (OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE, OrderEvent.SETTLE),
    REFUND_REQUESTED_UNSHIPPED: (OrderEvent.PAY, OrderEvent.REQUEST_REFUND),
    REFUND_REQUESTED_SHIPPED: (OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.REQUEST_REFUND),
    REFUND_REQUESTED_RECEIVED: (OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE, OrderEvent.REQUEST_REFUND),
    RETURN_SENT: (
        *(OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE),
        *(OrderEvent.REQUEST_REFUND, OrderEvent.SEND_BACK),
    ),
    REFUNDED_UNSHIPPED: (OrderEvent.PAY, OrderEvent.REQUEST_REFUND, OrderEvent.APPROVE_REFUND),
    REFUNDED_SHIPPED: (OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.REQUEST_REFUND, OrderEvent.APPROVE_REFUND),
    REFUNDED_RECEIVED: (
        *(OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE),
        *(OrderEvent.REQUEST_REFUND, OrderEvent.APPROVE_REFUND),
    ),
    REFUNDED_RETURNED: (
        *(OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE),
        *(OrderEvent.REQUEST_REFUND, OrderEvent.SEND_BACK, OrderEvent.ACCEPT_RETURN),
    ),
    AWARDED_TO_SELLER: (
        *(OrderEvent.PAY, OrderEvent.SHIP, OrderEvent.RECEIVE, OrderEvent.REQUEST_REFUND),
        *(OrderEvent.SEND_BACK, OrderEvent.CONTEST_RETURN, OrderEvent.RESOLVE_FOR_SELLER),
    ),
}
"""The shortest path to each phase, of an order that is shipped."""


def lead_order(
    app: Flask,
    good: Made,
    buyer: Made,
    *,
    phase: OrderPhase = ORDER.start,
    disputed_by: Role | None = None,
    **columns: Any,
) -> Made:
    """An order of the published `good` that went through `EVENTS_TO[phase]`, each step by the service that makes it.

    So it has its history, its payment, its bookings, parcels and requests: `flask ledger audit` finds nothing. With
    `disputed_by`, that side has called staff (the seller of a returned parcel contests it). `columns` are written over
    the row at the end; the values of the result are the row's.
    """
    sides = {Role.BUYER: buyer.id, Role.SELLER: good.owner_id}
    addresses = {side: make_address(app, Made(user_id, {})).id for side, user_id in sides.items()}
    with app.app_context(), transaction() as session:
        order_id = orders.buy_good(
            buyer_id=buyer.id, good_id=good.id, address_id=addresses[Role.BUYER], trade_mode=None
        )
        for event in EVENTS_TO[phase]:
            # 当面交易 is handed over, not shipped.
            if not (good.trade_mode == TradeMode.FACE_TO_FACE and event is OrderEvent.SHIP):
                _lead_on(order_id, event, sides, addresses[Role.SELLER])
        if disputed_by is not None:
            contested = phase.goods == OrderStatus.RETURNED and disputed_by is Role.SELLER
            orders.raise_dispute(
                actor_id=sides[disputed_by],
                order_id=order_id,
                event=OrderEvent.CONTEST_RETURN if contested else OrderEvent.DISPUTE,
                reason="协商不成",
                description="",
            )
        session.flush()
        if columns:
            session.execute(update(Order).where(Order.id == order_id).values(**columns))
        row = session.execute(select(Order.__table__).where(Order.id == order_id)).one()
    return Made(order_id, dict(row._mapping))


_PARCEL: dict[str, Any] = {"company": "顺丰速运", "tracking_no": "SF1234567890"}
_WORDS: dict[str, Any] = {"reason": "与描述不符", "description": "屏幕有划痕"}
# What a side does, but for the parcel that needs an address.
_SERVICE_CALLS: dict[OrderEvent, tuple[Role, Callable[..., None]]] = {
    OrderEvent.CANCEL: (Role.BUYER, orders.cancel_order),
    OrderEvent.RECEIVE: (Role.BUYER, orders.receive_order),
    OrderEvent.REQUEST_REFUND: (Role.BUYER, partial(orders.request_refund, **_WORDS)),
    OrderEvent.SEND_BACK: (Role.BUYER, partial(orders.send_back, **_PARCEL, freight=0)),
    OrderEvent.APPROVE_REFUND: (Role.SELLER, orders.approve_refund),
    OrderEvent.ACCEPT_RETURN: (Role.SELLER, orders.accept_return),
    OrderEvent.CONTEST_RETURN: (
        Role.SELLER,
        partial(orders.raise_dispute, event=OrderEvent.CONTEST_RETURN, **_WORDS),
    ),
}
_OTHERS = {OrderEvent.SETTLE: Role.SYSTEM, OrderEvent.RESOLVE_FOR_SELLER: Role.STAFF}


def _lead_on(order_id: int, event: OrderEvent, sides: dict[Role, int], address_id: int) -> None:
    if event is OrderEvent.PAY:
        make_payment(order_id)
    elif event is OrderEvent.SHIP:
        orders.ship_order(actor_id=sides[Role.SELLER], order_id=order_id, address_id=address_id, **_PARCEL)
    elif event in _OTHERS:
        with transaction() as session:
            fire(session, *lock_order(session, order_id), OrderCommand(event=event, role=_OTHERS[event]))
    else:
        role, do = _SERVICE_CALLS[event]
        do(actor_id=sides[role], order_id=order_id)


def make_payment(order_id: int) -> None:
    """The first attempt to pay the order, as the gateway would tell of it; wants an app context."""
    with transaction() as session:
        order = session.get_one(Order, order_id)
        now = utcnow()
        payment = Payment(
            order_id=order.id,
            attempt=1,
            out_trade_no=order.order_no,
            amount=order.amount,
            created_at=now,
        )
        session.add(payment)
        session.flush()
        record_paid_trade(session, payment, trade_no=f"2026112222001{order.id:08d}", paid_at=now)


def picture_bytes(width: int = 64, height: int = 48, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002 - Pillow's name
    """A picture file with a diagonal gradient."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def photo_bytes(seed: int = 0, width: int = 160, height: int = 120) -> bytes:
    """A picture file that passes its review: `seed` says what is drawn, and no two look alike."""
    chance = random.Random(seed)
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        left, top = chance.randrange(width), chance.randrange(height)
        box = (left, top, left + chance.randrange(10, width // 2), top + chance.randrange(10, height // 2))
        pen.ellipse(box, fill=(chance.randrange(256), chance.randrange(256), chance.randrange(256)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


def assert_envelope(response: TestResponse, answer: Answer) -> Any:
    """Assert that `response` is exactly the envelope of `answer`; returns its data.

    A refusal's data is asserted to hold the name of `answer` as `error`, and beside it what `app.refusals` says. That
    rest is returned, or None where it tells nothing more.
    """
    assert response.content_type == "application/json", response.data[:500]
    body = response.get_json()
    assert set(body) == {"status", "msg", "data"}
    assert (response.status_code, body["status"], body["msg"]) == (answer.http, answer.status, answer.msg), body
    if not answer.is_refusal:
        return body["data"]
    told = dict(body["data"])
    assert told.pop("error") == answer.name
    assert _details_adapter(answer).validate_python(told or None, strict=True) == (told or None)
    return told or None


@functools.cache
def _details_adapter(answer: Answer) -> TypeAdapter[Any]:
    return TypeAdapter(REFUSAL_DETAILS.get(answer))


def whole_database(app: Flask) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, in the order of its primary key, for "nothing changed".

    A table is read again only if it has other versions of rows than the last time.
    """
    selects, select_versions = _reads()
    known = _known.setdefault(app.config["SQLALCHEMY_DATABASE_URI"], {})
    # To end a transaction would cost a round trip, and the driver the statements that it has prepared.
    with app.app_context(), autocommit_connection() as connection:
        for name, versions in connection.execute(select_versions).one()._mapping.items():
            if name not in known or known[name][0] != versions:
                known[name] = versions, connection.execute(selects[name]).mappings().all() if versions else ()
    return {name: [dict(row) for row in known[name][1]] for name in selects}


_known: dict[str, dict[str, tuple[str | None, Sequence[RowMapping]]]] = {}
"""For each database the versions and rows of each table, when they were last read."""


@cache
def _reads() -> tuple[dict[str, Select[Any]], Select[Any]]:
    """For each table by name a statement that reads it, and one that tells the versions of all rows of each.

    Whatever changes a row makes a version of it that another transaction wrote or that lies elsewhere.
    """
    tables = db.metadata.sorted_tables
    reads = {table.name: select(table).order_by(*table.primary_key) for table in tables}
    version = literal_column("ctid::text || ' ' || xmin::text", Text)
    return reads, select(
        *(
            select(func.md5(func.string_agg(version, ","))).select_from(table).scalar_subquery().label(table.name)
            for table in tables
        )
    )


class StatementCounter:
    """Collects the SQL statements of a stretch of code."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def on_execute(self, _connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        """SQLAlchemy's `before_cursor_execute`."""
        self.statements.append(statement)
