"""The baseline of `benchmarks.orders`: Saltfish's SQL for an order's lifecycle on psycopg, and a bare Flask around it.

It writes every row that Saltfish writes, including ledger entries and outbox messages, but leaves out what a framework
and a product cost: tokens, validation, the state machine, signatures, the history's hashes, full answers. `BareOrders`
by itself shows what the database and its driver cost.
"""

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from flask import Blueprint, Flask, Response, jsonify, redirect, request
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import make_url
from werkzeug.wrappers import Response as WerkzeugResponse

from app.clock import utcnow
from app.fen import format_yuan, parse_yuan
from config import load_settings

_HASH: Final = "0" * 64
_SLOTS: Final = 16

_ADDRESS: Final = """
    SELECT name, mobile, province, city, district, detail FROM addresses
    WHERE id = %(address_id)s AND user_id = %(user)s
"""
_COUNT_UNPAID: Final = """
    SELECT count(*) FILTER (WHERE NOT closed),
        count(*) FILTER (WHERE closed_reason = 'expire' AND updated_at > %(since)s),
        max(updated_at) FILTER (WHERE closed_reason = 'expire' AND updated_at > %(since)s),
        count(*) FILTER (WHERE closed_reason = 'cancel' AND updated_at > %(since)s AND EXISTS (
            SELECT FROM order_events
            WHERE order_id = orders.id AND sequence = orders.history_length AND role = 'buyer')),
        max(updated_at) FILTER (WHERE closed_reason = 'cancel' AND updated_at > %(since)s AND EXISTS (
            SELECT FROM order_events
            WHERE order_id = orders.id AND sequence = orders.history_length AND role = 'buyer'))
    FROM orders WHERE buyer_id = %(user)s AND bill_status = 1
"""
_PICTURE: Final = """
    SELECT id FROM pictures WHERE good_id = %(good_id)s AND position IS NOT NULL ORDER BY position LIMIT 1
"""
_NEW_ORDER: Final = """
    INSERT INTO orders (order_no, good_id, buyer_id, seller_id, good_title, good_picture_id, price, freight, amount,
        trade_mode, bill_status, order_status, closed, closed_reason, history_length, history_hash, refund_count,
        address, hidden_by_buyer, hidden_by_seller, phase_since, deadline_at, remind_at, clock_left, disputed, extended,
        handover_code, handover_tries, created_at, updated_at)
    VALUES (%(order_no)s, %(good_id)s, %(buyer_id)s, %(seller_id)s, %(good_title)s, %(good_picture_id)s, %(price)s,
        %(freight)s, %(amount)s, 7, 1, 6, false, NULL, 1, %(hash)s, 0, %(address)s, false, false, %(now)s,
        %(deadline_at)s, %(remind_at)s, NULL, false, false, NULL, 0, %(now)s, %(now)s)
    RETURNING id
"""
_LOCK: Final = """
    SELECT goods.*, orders.* FROM goods JOIN orders ON orders.good_id = goods.id
    WHERE orders.id = %(order_id)s FOR NO KEY UPDATE OF goods, orders
"""
_CHANGE_ORDER: Final = """
    UPDATE orders SET bill_status = %(to_bill)s, order_status = %(to_order)s, closed = %(closed)s,
        closed_reason = %(closed_reason)s, history_length = %(sequence)s, history_hash = %(hash)s,
        refund_count = %(refund_count)s, phase_since = %(now)s, deadline_at = %(deadline_at)s,
        remind_at = %(remind_at)s, clock_left = %(clock_left)s, updated_at = %(now)s
    WHERE id = %(order_id)s
"""
_APPEND: Final = """
    INSERT INTO order_events (order_id, sequence, event, role, actor_id, from_bill, from_order, to_bill, to_order,
        closed, note_digest, at, previous_hash, hash)
    VALUES (%(order_id)s, %(sequence)s, %(event)s, %(role)s, %(actor_id)s, %(from_bill)s, %(from_order)s, %(to_bill)s,
        %(to_order)s, %(closed)s, %(note_digest)s, %(now)s, %(hash)s, %(hash)s)
    RETURNING id
"""
_KEEP_WORDS: Final = """
    INSERT INTO erasable_texts (digest, salt, text, written_at) VALUES (%(digest)s, %(salt)s, %(text)s, %(now)s)
"""
_ADD_MESSAGE: Final = """
    INSERT INTO outbox (topic, subject_id, stream, attempts, leased, due_at, created_at)
    VALUES (%(topic)s, %(subject_id)s, %(stream)s, 0, false, %(now)s, %(now)s)
"""
_CHANGE_GOOD: Final = "UPDATE goods SET status = %(status)s, updated_at = %(now)s WHERE id = %(good_id)s"
_NOT_FOUND_ANY_MORE: Final = "DELETE FROM search_documents WHERE good_id = %(good_id)s"
_NEW_PAYMENT: Final = """
    INSERT INTO payments (order_id, attempt, state, out_trade_no, amount, trade_no, paid_at, query_at, queries,
        created_at)
    VALUES (%(order_id)s, %(attempt)s, 'open', %(order_no)s, %(amount)s, NULL, NULL, %(query_at)s, 0, %(now)s)
    RETURNING id
"""
_RECORD_NOTIFICATION: Final = """
    INSERT INTO gateway_notifications (out_trade_no, trade_no, fields, refusal, received_at)
    VALUES (%(out_trade_no)s, %(trade_no)s, %(fields)s, NULL, %(now)s)
"""
_MARK_PAID: Final = """
    UPDATE payments SET state = 'paid', trade_no = %(trade_no)s, paid_at = %(now)s, query_at = NULL WHERE id = %(id)s
"""
_NEW_WAYBILL: Final = """
    INSERT INTO waybills (order_id, direction, sender, recipient, company, tracking_no, freight, created_at)
    VALUES (%(order_id)s, %(direction)s, %(sender)s, %(recipient)s, %(company)s, %(tracking_no)s, %(freight)s, %(now)s)
"""
_SENDER: Final = "SELECT sender FROM waybills WHERE order_id = %(order_id)s AND direction = 'delivery'"
_NEW_REQUEST: Final = """
    INSERT INTO refund_requests (order_id, reason, description, created_at, outcome, outcome_note, ended_at)
    VALUES (%(order_id)s, %(reason)s, %(description)s, %(now)s, NULL, '', NULL)
    RETURNING id
"""
_END_REQUEST: Final = """
    UPDATE refund_requests SET outcome = 'accept_return', outcome_note = '', ended_at = %(now)s
    WHERE order_id = %(order_id)s AND ended_at IS NULL
"""
_PAID_PAYMENT: Final = """
    SELECT * FROM payments WHERE order_id = %(order_id)s AND state = 'paid'
        AND NOT EXISTS (SELECT FROM refunds WHERE refunds.payment_id = payments.id)
"""
_PAID_TRADE: Final = """
    SELECT orders.*, payments.id AS payment_id, payments.out_trade_no, payments.trade_no
    FROM orders JOIN payments ON payments.order_id = orders.id
    WHERE orders.id = %(order_id)s AND payments.state = 'paid'
        AND NOT EXISTS (SELECT FROM refunds WHERE refunds.payment_id = payments.id)
"""
_NEW_REFUND: Final = """
    INSERT INTO refunds (payment_id, request_no, amount, reason, state, attempts, created_at)
    VALUES (%(payment_id)s, %(request_no)s, %(amount)s, 'accept_return', 'pending', 0, %(now)s)
    RETURNING id
"""
_CHANGE_BALANCES: Final = """
    WITH wanted AS (
        SELECT * FROM unnest(%(kinds)s::text[], %(users)s::bigint[], %(slots)s::smallint[], %(changes)s::bigint[])
            AS wanted (kind, user_id, slot, change)
    ), found AS (
        SELECT account.id, wanted.change
        FROM wanted JOIN ledger_accounts AS account
            ON account.kind = wanted.kind AND account.slot = wanted.slot
            AND (account.user_id = wanted.user_id OR (account.user_id IS NULL AND wanted.user_id IS NULL))
    ), locked AS MATERIALIZED (
        SELECT account.id, found.change
        FROM found JOIN ledger_accounts AS account ON account.id = found.id
        WHERE (SELECT count(*) FROM found) = cardinality(%(kinds)s::text[])
        ORDER BY account.id
        FOR UPDATE OF account
    )
    UPDATE ledger_accounts AS account SET balance = account.balance + locked.change
    FROM locked
    WHERE account.id = locked.id
    RETURNING account.id, account.kind, account.balance
"""
_POST: Final = """
    WITH written AS (
        INSERT INTO ledger_transactions (key, kind, order_id, at)
        SELECT key, kind, order_id, %(now)s
        FROM unnest(%(keys)s::text[], %(kinds)s::text[], %(orders)s::bigint[]) WITH ORDINALITY
            AS posting (key, kind, order_id, place)
        ORDER BY place
        RETURNING id, key
    )
    INSERT INTO ledger_entries (transaction_id, account_id, amount, balance_after)
    SELECT written.id, entry.account_id, entry.amount, entry.balance_after
    FROM unnest(%(entry_keys)s::text[], %(accounts)s::bigint[], %(amounts)s::bigint[], %(balances)s::bigint[])
        WITH ORDINALITY AS entry (key, account_id, amount, balance_after, place)
    JOIN written ON written.key = entry.key
    ORDER BY entry.place
"""
_READ: Final = """
    SELECT orders.*, buyer.username AS buyer_username, buyer.nickname AS buyer_nickname,
        buyer.avatar_id AS buyer_avatar_id, seller.username AS seller_username, seller.nickname AS seller_nickname,
        seller.avatar_id AS seller_avatar_id,
        delivery.company, delivery.tracking_no, delivery.freight, delivery.sender, delivery.recipient,
        delivery.created_at, returned.company, returned.tracking_no, returned.freight, returned.sender,
        returned.recipient, returned.created_at, latest_request.*, latest_refund.*
    FROM orders
    JOIN users AS buyer ON buyer.id = orders.buyer_id
    JOIN users AS seller ON seller.id = orders.seller_id
    LEFT JOIN waybills AS delivery ON delivery.order_id = orders.id AND delivery.direction = 'delivery'
    LEFT JOIN waybills AS returned ON returned.order_id = orders.id AND returned.direction = 'return'
    LEFT JOIN LATERAL (
        SELECT reason, description, created_at AS requested_at, outcome, outcome_note FROM refund_requests
        WHERE order_id = orders.id ORDER BY id DESC LIMIT 1
    ) AS latest_request ON true
    LEFT JOIN LATERAL (
        SELECT refunds.amount AS refund_amount, refunds.state
        FROM refunds JOIN payments ON payments.id = refunds.payment_id
        WHERE payments.order_id = orders.id ORDER BY refunds.reason = 'payment_late', refunds.id DESC LIMIT 1
    ) AS latest_refund ON true
    WHERE orders.id = %(order_id)s
"""

_MINUTES: Final = timedelta(minutes=10)
_DAYS: Final = timedelta(days=7)
_REMIND_BEFORE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Step:
    """The effects of an event on an order; `moves` names the accounts that are debited and credited."""

    role: str
    to_bill: int
    to_order: int
    good_status: int | None = None
    moves: tuple[str, str] | None = None
    pauses: bool = False
    closed: bool = False


_STEPS: Final[Mapping[str, _Step]] = {
    "pay": _Step("gateway", 2, 6, moves=("gateway_clearing", "escrow")),
    "ship": _Step("seller", 2, 7),
    "receive": _Step("buyer", 3, 8, good_status=4, moves=("escrow", "seller_held")),
    "request_refund": _Step("buyer", 4, 8, moves=("seller_held", "escrow"), pauses=True),
    "send_back": _Step("buyer", 4, 9),
    "accept_return": _Step("seller", 5, 10, moves=("escrow", "refund_clearing"), closed=True),
}


class BareOrders:
    """A lifecycle's eight requests as SQL on one connection. `statements` counts them, but not BEGIN and COMMIT."""

    def __init__(self, database_url: str) -> None:
        dsn = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row, options="-c timezone=UTC")
        self.statements = 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def buy(self, *, buyer_id: int, good_id: int, address_id: int, revision: int) -> dict[str, Any]:
        """Buy a good; returns the new order as read back."""
        now = utcnow()
        with self._connection.transaction():
            self._run("SELECT id FROM users WHERE id = %(user)s FOR NO KEY UPDATE", user=buyer_id)
            good = self._one("SELECT * FROM goods WHERE id = %(good_id)s FOR UPDATE", good_id=good_id)
            if good["revision"] != revision:
                raise AssertionError(f"good {good_id} was edited")
            address = self._one(_ADDRESS, address_id=address_id, user=buyer_id)
            self._run(_COUNT_UNPAID, user=buyer_id, since=now - _REMIND_BEFORE)
            picture = self._one(_PICTURE, good_id=good_id)
            order_id = self._one(
                _NEW_ORDER,
                order_no=f"{now:%Y%m%d}{secrets.randbelow(10**14):014d}",
                good_id=good_id,
                buyer_id=buyer_id,
                seller_id=good["owner_id"],
                good_title=good["title"],
                good_picture_id=picture["id"],
                price=good["price"],
                freight=good["freight"],
                amount=good["price"] + good["freight"],
                address=Jsonb(address),
                hash=_HASH,
                deadline_at=now + 3 * _MINUTES,
                remind_at=now + 2 * _MINUTES,
                now=now,
            )["id"]
            line = {"event": "buy", "role": "buyer", "actor_id": buyer_id, "from_bill": None, "from_order": None}
            self._append(
                line | {"order_id": order_id, "sequence": 1, "to_bill": 1, "to_order": 6, "closed": False}, now
            )
            self._move_good(good_id, 3, now)
        return self.read(order_id)

    def checkout(self, *, order_id: int) -> None:
        """Start an attempt to pay."""
        now = utcnow()
        with self._connection.transaction():
            order = self._one("SELECT * FROM orders WHERE id = %(order_id)s FOR NO KEY UPDATE", order_id=order_id)
            self._run("SELECT * FROM payments WHERE order_id = %(order_id)s AND state = 'open'", order_id=order_id)
            earlier = self._one("SELECT count(*) FROM payments WHERE order_id = %(order_id)s", order_id=order_id)
            self._run(
                _NEW_PAYMENT,
                order_id=order_id,
                attempt=earlier["count"] + 1,
                order_no=order["order_no"],
                amount=order["amount"],
                query_at=now + _MINUTES,
                now=now,
            )

    def pay(self, *, fields: Mapping[str, str]) -> None:
        """Process the gateway's notification of the payment."""
        now = utcnow()
        out_trade_no, trade_no = fields["out_trade_no"], fields["trade_no"]
        with self._connection.transaction():
            found = self._one("SELECT * FROM payments WHERE out_trade_no = %(number)s", number=out_trade_no)
            notified = {"out_trade_no": out_trade_no, "trade_no": trade_no, "fields": Jsonb(dict(fields))}
            self._run(_RECORD_NOTIFICATION, **notified, now=now)
            order = self._one(_LOCK, order_id=found["order_id"])
            payment = self._one("SELECT * FROM payments WHERE id = %(id)s FOR NO KEY UPDATE", id=found["id"])
            self._run(_MARK_PAID, id=payment["id"], trade_no=trade_no, now=now)
            self._step(order, "pay", actor_id=None, now=now)

    def ship(self, *, seller_id: int, order_id: int, address_id: int, company: str, tracking_no: str) -> dict[str, Any]:
        """The seller ships, after a look whether there is a trade that the gateway has to be asked about."""
        self._one(_PAID_TRADE, order_id=order_id)
        with self._stepping(order_id, "ship", actor_id=seller_id) as (order, now):
            sender = self._one(_ADDRESS, address_id=address_id, user=seller_id)
            ends = {"sender": Jsonb(sender), "recipient": Jsonb(order["address"]), "freight": order["freight"]}
            self._waybill("delivery", order_id, company, tracking_no, ends, now)
        return self.read(order_id)

    def receive(self, *, buyer_id: int, order_id: int) -> dict[str, Any]:
        """The buyer confirms receipt, after the same look."""
        self._one(_PAID_TRADE, order_id=order_id)
        with self._stepping(order_id, "receive", actor_id=buyer_id):
            pass
        return self.read(order_id)

    def request_refund(self, *, buyer_id: int, order_id: int, reason: str, description: str) -> dict[str, Any]:
        """The buyer requests a refund."""
        with self._stepping(order_id, "request_refund", actor_id=buyer_id, note=reason) as (_, now):
            self._run(_NEW_REQUEST, order_id=order_id, reason=reason, description=description, now=now)
        return self.read(order_id)

    def send_back(
        self, *, buyer_id: int, order_id: int, company: str, tracking_no: str, freight: int
    ) -> dict[str, Any]:
        """The buyer sends the goods back."""
        with self._stepping(order_id, "send_back", actor_id=buyer_id) as (order, now):
            sent = self._one(
                "SELECT sender FROM waybills WHERE order_id = %(order_id)s AND direction = 'delivery'",
                order_id=order_id,
            )
            ends = {"sender": Jsonb(order["address"]), "recipient": Jsonb(sent["sender"]), "freight": freight}
            self._waybill("return", order_id, company, tracking_no, ends, now)
        return self.read(order_id)

    def accept_return(self, *, seller_id: int, order_id: int) -> dict[str, Any]:
        """The seller accepts the return; a refund is created."""
        with self._stepping(order_id, "accept_return", actor_id=seller_id) as (_, now):
            self._run(_END_REQUEST, order_id=order_id, now=now)
            payment = self._one(_PAID_PAYMENT, order_id=order_id)
            request_no = f"{payment['out_trade_no']}_R1"
            refund = self._one(
                _NEW_REFUND, payment_id=payment["id"], request_no=request_no, amount=payment["amount"], now=now
            )
            self._add_message("payment_refund", refund["id"], f"payment:{payment['id']}", now)
        return self.read(order_id)

    def read(self, order_id: int) -> dict[str, Any]:
        """The order with everything that an answer shows."""
        return self._one(_READ, order_id=order_id)

    @contextmanager
    def _stepping(
        self, order_id: int, event: str, *, actor_id: int, note: str = ""
    ) -> Iterator[tuple[dict[str, Any], datetime]]:
        now = utcnow()
        with self._connection.transaction():
            order = self._one(_LOCK, order_id=order_id)
            self._step(order, event, actor_id=actor_id, note=note, now=now)
            yield order, now

    def _step(self, order: dict[str, Any], event: str, *, actor_id: int | None, now: datetime, note: str = "") -> None:
        step = _STEPS[event]
        deadline_at = None if step.closed else now + _DAYS
        line = {
            "order_id": order["id"],
            "event": event,
            "role": step.role,
            "actor_id": actor_id,
            "sequence": order["history_length"] + 1,
            "from_bill": order["bill_status"],
            "from_order": order["order_status"],
            "to_bill": step.to_bill,
            "to_order": step.to_order,
            "closed": step.closed,
            "note": note,
        }
        self._run(
            _CHANGE_ORDER,
            **line,
            closed_reason=event if step.closed else None,
            refund_count=order["refund_count"] + (event == "request_refund"),
            deadline_at=deadline_at,
            remind_at=deadline_at and deadline_at - _REMIND_BEFORE,
            clock_left=_DAYS if step.pauses else None,
            hash=_HASH,
            now=now,
        )
        self._append(line, now)
        if step.good_status is not None:
            self._move_good(order["good_id"], step.good_status, now)
        if step.moves is not None:
            self._post(order, f"order:{order['id']}:{line['sequence']}:{event}", event, step.moves, now)

    def _append(self, line: dict[str, Any], now: datetime) -> None:
        digest = None
        if note := line.get("note"):
            digest = secrets.token_hex(32)
            self._run(_KEEP_WORDS, digest=digest, salt=digest, text=note, now=now)
        line_id = self._one(_APPEND, **line, note_digest=digest, hash=_HASH, now=now)["id"]
        self._add_message("order_step", line_id, f"order:{line['order_id']}", now)

    def _move_good(self, good_id: int, status: int, now: datetime) -> None:
        self._run(_CHANGE_GOOD, status=status, good_id=good_id, now=now)
        self._add_message("search_index", good_id, None, now)
        self._run(_NOT_FOUND_ANY_MORE, good_id=good_id)

    def _add_message(self, topic: str, subject_id: int, stream: str | None, now: datetime) -> None:
        self._run(_ADD_MESSAGE, topic=topic, subject_id=subject_id, stream=stream, now=now)

    def _waybill(
        self, direction: str, order_id: int, company: str, tracking_no: str, ends: dict[str, Any], now: datetime
    ) -> None:
        self._run(
            _NEW_WAYBILL,
            direction=direction,
            order_id=order_id,
            company=company,
            tracking_no=tracking_no,
            **ends,
            now=now,
        )

    def _post(self, order: dict[str, Any], key: str, kind: str, moves: tuple[str, str], now: datetime) -> None:
        amount, seller = order["amount"], order["seller_id"]
        changed = self._all(
            _CHANGE_BALANCES,
            kinds=list(moves),
            users=[seller if each == "seller_held" else None for each in moves],
            slots=[0 if each == "seller_held" else order["id"] % _SLOTS for each in moves],
            # The gateway's clearing account is the only one of these whose balance a debit increases.
            changes=[amount if moves[0] == "gateway_clearing" else -amount, amount],
        )
        accounts = {row["kind"]: row for row in changed}
        self._run(
            _POST,
            keys=[key],
            kinds=[kind],
            orders=[order["id"]],
            entry_keys=[key, key],
            accounts=[accounts[each]["id"] for each in moves],
            amounts=[amount, -amount],
            balances=[accounts[each]["balance"] for each in moves],
            now=now,
        )

    def _run(self, statement: str, **parameters: Any) -> "psycopg.Cursor[dict[str, Any]]":
        self.statements += 1
        return self._connection.execute(statement, parameters)

    def _one(self, statement: str, **parameters: Any) -> dict[str, Any]:
        row = self._run(statement, **parameters).fetchone()
        if row is None:
            raise AssertionError(f"no row of {statement}")
        return row

    def _all(self, statement: str, **parameters: Any) -> Sequence[dict[str, Any]]:
        return self._run(statement, **parameters).fetchall()


_routes = Blueprint("orders", __name__)
_per_thread = threading.local()


def create_app() -> Flask:
    """The bare application. It trusts the header `X-User`, and answers with little more than the order's number."""
    app = Flask(__name__)
    app.register_blueprint(_routes)
    return app


def _orders() -> BareOrders:
    if not hasattr(_per_thread, "orders"):
        _per_thread.orders = BareOrders(load_settings().database_url)
    bare: BareOrders = _per_thread.orders
    return bare


def _user() -> int:
    return int(request.headers["X-User"])


def _answer(order: dict[str, Any]) -> Response:
    data = {"id": order["id"], "order_no": order["order_no"], "amount": format_yuan(order["amount"])}
    return jsonify(status=200, msg="OK", data=data)


@_routes.get("/alive")
def _alive() -> Response:
    return jsonify(status=200)


@_routes.post("/api/buy/<int:good_id>/")
def _buy(good_id: int) -> Response:
    return _answer(_orders().buy(buyer_id=_user(), good_id=good_id, **request.get_json()))


@_routes.post("/order/pay/<int:order_id>/")
def _checkout(order_id: int) -> WerkzeugResponse:
    _orders().checkout(order_id=order_id)
    return redirect("http://127.0.0.1/cashier")


@_routes.post("/order/notify/")
def _pay() -> Response:
    _orders().pay(fields=request.form.to_dict())
    return Response("success", content_type="text/plain")


@_routes.post("/api/seller_send_delivery/<int:order_id>/")
def _ship(order_id: int) -> Response:
    return _answer(_orders().ship(seller_id=_user(), order_id=order_id, **request.get_json()))


@_routes.post("/api/buyer_receive_delivery/<int:order_id>/")
def _receive(order_id: int) -> Response:
    return _answer(_orders().receive(buyer_id=_user(), order_id=order_id))


@_routes.post("/api/buyer_motion_drawback/<int:order_id>")
def _request_refund(order_id: int) -> Response:
    return _answer(_orders().request_refund(buyer_id=_user(), order_id=order_id, **request.get_json()))


@_routes.post("/api/buyer_send_drawback/<int:order_id>/")
def _send_back(order_id: int) -> Response:
    body = request.get_json()
    freight = parse_yuan(body.pop("freight"))
    return _answer(_orders().send_back(buyer_id=_user(), order_id=order_id, freight=freight, **body))


@_routes.post("/api/seller_receive_drawback/<int:order_id>/")
def _accept_return(order_id: int) -> Response:
    return _answer(_orders().accept_return(seller_id=_user(), order_id=order_id))
