"""The sandbox's database, one SQLite file: trades, refunds, transfers and notifications to be sent.

Every method is one transaction that takes the write lock at its start (`BEGIN IMMEDIATE`): otherwise two transactions
could both read, and one overwrite what the other decided. Times are seconds since 1970, money is fen. Safe to share
between threads.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from . import protocol
from .protocol import Problem, ProblemFound

WAIT_BUYER_PAY = "WAIT_BUYER_PAY"
TRADE_SUCCESS = "TRADE_SUCCESS"
TRADE_CLOSED = "TRADE_CLOSED"

SUCCESS = "SUCCESS"
DEALING = "DEALING"
FAIL = "FAIL"
REFUND = "REFUND"

# Alipay: 15 days for a trade without time_expire.
DEFAULT_LIFETIME_S = 15 * 24 * 3600

# Alipay: 0.1 yuan.
MIN_TRANSFER_FEN = 10

# Not Alipay's: to make failures reproducible, the ending of a payee's account decides the outcome of a transfer. The
# transfer itself and the first query report the first status; from the second query on it has the second one.
SCRIPTED_TRANSFERS: Mapping[str, tuple[str, str]] = {
    "slow@example.com": (DEALING, SUCCESS),
    "fail@example.com": (DEALING, FAIL),
    "back@example.com": (SUCCESS, REFUND),
}
REFUSED_PAYEES: Mapping[str, Problem] = {
    "refuse@example.com": Problem.PAYEE_NOT_EXIST,
    "broke@example.com": Problem.PAYER_BALANCE_NOT_ENOUGH,
}
_SECOND_QUERY = 2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trades (
    out_trade_no TEXT PRIMARY KEY,
    trade_no TEXT NOT NULL UNIQUE,
    cashier_token TEXT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    refunded_fen INTEGER NOT NULL DEFAULT 0 CHECK (refunded_fen BETWEEN 0 AND amount_fen),
    status TEXT NOT NULL CHECK (status IN ('WAIT_BUYER_PAY', 'TRADE_SUCCESS', 'TRADE_CLOSED')),
    notify_url TEXT NOT NULL,
    return_url TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    paid_at REAL,
    closed_at REAL,
    CHECK ((paid_at IS NULL) OR (status <> 'WAIT_BUYER_PAY')),
    CHECK ((closed_at IS NULL) = (status <> 'TRADE_CLOSED'))
) STRICT;
CREATE TABLE IF NOT EXISTS refunds (
    out_trade_no TEXT NOT NULL REFERENCES trades,
    out_request_no TEXT NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    reason TEXT NOT NULL,
    refunded_at REAL NOT NULL,
    PRIMARY KEY (out_trade_no, out_request_no)
) STRICT;
CREATE TABLE IF NOT EXISTS transfers (
    out_biz_no TEXT PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    payee_account TEXT NOT NULL,
    payee_name TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('SUCCESS', 'DEALING', 'FAIL', 'REFUND')),
    requested_at REAL NOT NULL,
    paid_at REAL,         -- NULL while no money left us
    questions INTEGER NOT NULL DEFAULT 0,
    CHECK ((paid_at IS NOT NULL) = (status IN ('SUCCESS', 'REFUND')))
) STRICT;
CREATE TABLE IF NOT EXISTS notifications (
    notify_id TEXT PRIMARY KEY,
    out_trade_no TEXT NOT NULL REFERENCES trades,
    url TEXT NOT NULL,
    fields TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL,          -- NULL once it was delivered or given up
    delivered_at REAL,
    last_answer TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS notifications_due ON notifications (due_at) WHERE due_at IS NOT NULL;
"""


@dataclass(frozen=True, slots=True)
class Trade:
    """One row of trades; `cashier_token` makes the URL of the payment page unguessable."""

    out_trade_no: str
    trade_no: str
    cashier_token: str
    subject: str
    amount_fen: int
    refunded_fen: int
    status: str
    notify_url: str
    return_url: str
    created_at: float
    expires_at: float
    paid_at: float | None
    closed_at: float | None


@dataclass(frozen=True, slots=True)
class Refund:
    """One row of refunds."""

    out_trade_no: str
    out_request_no: str
    amount_fen: int
    reason: str
    refunded_at: float


@dataclass(frozen=True, slots=True)
class Transfer:
    """One row of transfers; `questions` counts how often it was queried."""

    out_biz_no: str
    order_id: str
    amount_fen: int
    payee_account: str
    payee_name: str
    title: str
    status: str
    requested_at: float
    paid_at: float | None
    questions: int


@dataclass(frozen=True, slots=True)
class PendingNotification:
    """A notification to be sent; `fields` are those that are the same in each repetition."""

    notify_id: str
    url: str
    fields: Mapping[str, str]
    attempts: int
    due_at: float


NotificationFields = Callable[[Trade, Refund | None, str], dict[str, str]]
"""Builds the fields of a notification from a trade, a refund of it (or None) and the notify_id."""


class Store:
    """The database in the SQLite file `path`, which is created if it is missing; only its owner may read it."""

    def __init__(self, path: Path, notification_fields: NotificationFields) -> None:
        self._path = path
        self._notification_fields = notification_fields
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Before SQLite opens it, as it gives the files beside it (-wal, -shm) the mode of the file itself.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        for each in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
            with suppress(FileNotFoundError):
                each.chmod(0o600)
        connection = self._connect()
        try:
            # A persistent setting of the file: readers do not wait for the writer, and a commit survives kill -9.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # A new connection each time costs 0.1 ms and leaves none open in any thread.
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        finally:
            connection.close()

    def open_trade(
        self,
        *,
        out_trade_no: str,
        subject: str,
        amount_fen: int,
        notify_url: str,
        return_url: str,
        expires_at: float,
        now: float,
    ) -> Trade:
        """The trade with this number, created if there is none; subject and expiry remain those of the first call.

        Raises ProblemFound for another amount, for a paid or closed trade, or if `expires_at` has passed.
        """
        with self._transaction() as connection:
            trade = _find(connection, now, out_trade_no=out_trade_no)
            if trade is None:
                if expires_at <= now:
                    raise ProblemFound(Problem.INVALID_PARAMETER, "time_expire")
                connection.execute(
                    "INSERT INTO trades (out_trade_no, trade_no, cashier_token, subject, amount_fen, status,"
                    " notify_url, return_url, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        out_trade_no,
                        _new_number(now, kind="22001"),
                        secrets.token_urlsafe(24),
                        subject,
                        amount_fen,
                        WAIT_BUYER_PAY,
                        notify_url,
                        return_url,
                        now,
                        expires_at,
                    ),
                )
            else:
                if trade.amount_fen != amount_fen:
                    raise ProblemFound(Problem.CONTEXT_INCONSISTENT)
                _must_wait_for_payer(trade)
                connection.execute(
                    "UPDATE trades SET notify_url = ?, return_url = ? WHERE out_trade_no = ?",
                    (notify_url, return_url, out_trade_no),
                )
            return _get(connection, now, out_trade_no)

    def trade(self, out_trade_no: str, *, now: float) -> Trade:
        """The trade with this number; raises ProblemFound where there is none."""
        with self._transaction() as connection:
            return _get(connection, now, out_trade_no)

    def trade_at_cashier(self, cashier_token: str, *, now: float) -> Trade:
        """The trade whose payment page has this token; raises ProblemFound where there is none."""
        with self._transaction() as connection:
            return _get_at_cashier(connection, now, cashier_token)

    def pay(self, cashier_token: str, *, now: float) -> Trade:
        """Pay the trade and add its notification; a second call changes nothing. Returns the trade.

        Raises ProblemFound where there is no such trade, or it is closed (or expired).
        """
        with self._transaction() as connection:
            trade = _get_at_cashier(connection, now, cashier_token)
            if trade.status == TRADE_SUCCESS or (trade.status == TRADE_CLOSED and trade.paid_at is not None):
                return trade
            _must_wait_for_payer(trade)
            connection.execute(
                "UPDATE trades SET status = ?, paid_at = ? WHERE out_trade_no = ?",
                (TRADE_SUCCESS, now, trade.out_trade_no),
            )
            paid = _get(connection, now, trade.out_trade_no)
            self._add_notification(connection, paid, None, now)
            return paid

    def refund(
        self, *, out_trade_no: str, out_request_no: str, amount_fen: int, reason: str, now: float
    ) -> tuple[Trade, bool]:
        """Refund the trade, once per `out_request_no`. Returns the trade, and whether this call moved money.

        Raises ProblemFound where there is no such trade, it is not paid, the amount is more than is left, or the number
        was used for another amount.
        """
        with self._transaction() as connection:
            trade = _get(connection, now, out_trade_no)
            earlier = _find_refund(connection, out_trade_no, out_request_no)
            if earlier is not None:
                if earlier.amount_fen != amount_fen:
                    raise ProblemFound(Problem.DISCORDANT_REPEAT)
                return trade, False
            if trade.paid_at is None:
                raise ProblemFound(Problem.TRADE_STATUS_ERROR)
            if trade.refunded_fen + amount_fen > trade.amount_fen:
                raise ProblemFound(Problem.REFUND_TOO_MUCH)
            refund = Refund(out_trade_no, out_request_no, amount_fen, reason, now)
            connection.execute(
                "INSERT INTO refunds VALUES (?, ?, ?, ?, ?)", (out_trade_no, out_request_no, amount_fen, reason, now)
            )
            connection.execute(
                "UPDATE trades SET refunded_fen = refunded_fen + ? WHERE out_trade_no = ?", (amount_fen, out_trade_no)
            )
            connection.execute(
                "UPDATE trades SET status = ?, closed_at = ? WHERE out_trade_no = ? AND refunded_fen = amount_fen",
                (TRADE_CLOSED, now, out_trade_no),
            )
            trade = _get(connection, now, out_trade_no)
            if trade.status == TRADE_SUCCESS:
                self._add_notification(connection, trade, refund, now)
            return trade, True

    def refund_of(self, *, out_trade_no: str, out_request_no: str, now: float) -> tuple[Trade, Refund | None]:
        """The trade and its refund with this number; raises ProblemFound where there is no such trade."""
        with self._transaction() as connection:
            trade = _get(connection, now, out_trade_no)
            return trade, _find_refund(connection, out_trade_no, out_request_no)

    def close(self, out_trade_no: str, *, now: float) -> Trade:
        """Close the trade and return it; raises ProblemFound unless it waits for payment."""
        with self._transaction() as connection:
            trade = _get(connection, now, out_trade_no)
            if trade.status != WAIT_BUYER_PAY:
                raise ProblemFound(Problem.TRADE_STATUS_ERROR)
            connection.execute(
                "UPDATE trades SET status = ?, closed_at = ? WHERE out_trade_no = ?", (TRADE_CLOSED, now, out_trade_no)
            )
            return _get(connection, now, out_trade_no)

    def transfer(
        self, *, out_biz_no: str, amount_fen: int, payee_account: str, payee_name: str, title: str, now: float
    ) -> Transfer:
        """Make the transfer, once per `out_biz_no`; returns the new or the earlier one.

        Raises ProblemFound for too small an amount, another amount or payee under a used number, or a payee in
        REFUSED_PAYEES.
        """
        with self._transaction() as connection:
            earlier = _find_transfer(connection, out_biz_no)
            if earlier is not None:
                asked = (amount_fen, payee_account, payee_name)
                if asked != (earlier.amount_fen, earlier.payee_account, earlier.payee_name):
                    raise ProblemFound(Problem.DISCORDANT_TRANSFER)
                return earlier
            if amount_fen < MIN_TRANSFER_FEN:
                raise ProblemFound(Problem.TRANSFER_TOO_SMALL)
            if refusal := _by_ending(REFUSED_PAYEES, payee_account):
                raise ProblemFound(refusal)
            status, _ = _scripted_statuses(payee_account)
            made = Transfer(
                out_biz_no=out_biz_no,
                order_id=_new_number(now, kind="1100700"),
                amount_fen=amount_fen,
                payee_account=payee_account,
                payee_name=payee_name,
                title=title,
                status=status,
                requested_at=now,
                paid_at=now if status == SUCCESS else None,
                questions=0,
            )
            connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(made))
            return made

    def query_transfer(self, out_biz_no: str, *, now: float) -> Transfer:
        """Query the transfer, which advances its scripted status; raises ProblemFound where there is none."""
        with self._transaction() as connection:
            transfer = _get_transfer(connection, out_biz_no)
            status, questions = transfer.status, transfer.questions + 1
            if questions == _SECOND_QUERY:
                _, status = _scripted_statuses(transfer.payee_account)
            paid_at = now if transfer.paid_at is None and status == SUCCESS else transfer.paid_at
            connection.execute(
                "UPDATE transfers SET status = ?, paid_at = ?, questions = ? WHERE out_biz_no = ?",
                (status, paid_at, questions, out_biz_no),
            )
            return _get_transfer(connection, out_biz_no)

    def transfers(self) -> list[dict[str, Any]]:
        """All transfers, the oldest first, for tests and demonstrations."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT * FROM transfers ORDER BY rowid").fetchall()
        return [_inspected_transfer(Transfer(**row)) for row in rows]

    def inspect_transfer(self, out_biz_no: str) -> dict[str, Any]:
        """Everything stored about a transfer; does not count as a query. Raises ProblemFound where there is none."""
        with self._transaction() as connection:
            return _inspected_transfer(_get_transfer(connection, out_biz_no))

    def trades(self, *, now: float) -> list[dict[str, Any]]:
        """Number, status and amounts of every trade, the oldest first."""
        with self._transaction() as connection:
            _close_expired(connection, now)
            rows = connection.execute(
                "SELECT out_trade_no, status, amount_fen, refunded_fen FROM trades ORDER BY rowid"
            ).fetchall()
        return [dict(row) for row in rows]

    def movements(self, *, since: float, until: float) -> list[tuple[Trade, Refund | None]]:
        """Payments (refund None) and refunds from `since` to before `until`, in the order of time."""
        with self._transaction() as connection:
            trades = {row["out_trade_no"]: Trade(**row) for row in connection.execute("SELECT * FROM trades")}
            refunds = [
                Refund(**row)
                for row in connection.execute(
                    "SELECT * FROM refunds WHERE refunded_at >= ? AND refunded_at < ?", (since, until)
                )
            ]
        paid = [
            (trade.paid_at, trade, None)
            for trade in trades.values()
            if trade.paid_at is not None and since <= trade.paid_at < until
        ]
        refunded = [(refund.refunded_at, trades[refund.out_trade_no], refund) for refund in refunds]
        return [(trade, refund) for _, trade, refund in sorted([*paid, *refunded], key=itemgetter(0))]

    def inspect(self, out_trade_no: str, *, now: float) -> dict[str, Any]:
        """Everything stored about a trade, for tests and demonstrations; raises ProblemFound where there is none."""
        with self._transaction() as connection:
            trade = _get(connection, now, out_trade_no)
            refunds = connection.execute(
                "SELECT * FROM refunds WHERE out_trade_no = ? ORDER BY refunded_at", (out_trade_no,)
            ).fetchall()
            notifications = connection.execute(
                "SELECT * FROM notifications WHERE out_trade_no = ? ORDER BY rowid", (out_trade_no,)
            ).fetchall()
        return {
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "subject": trade.subject,
            "status": trade.status,
            "amount_fen": trade.amount_fen,
            "refunded_fen": trade.refunded_fen,
            "notify_url": trade.notify_url,
            "return_url": trade.return_url,
            "created_at": protocol.iso_text(trade.created_at),
            "expires_at": protocol.iso_text(trade.expires_at),
            "paid_at": protocol.iso_text(trade.paid_at),
            "closed_at": protocol.iso_text(trade.closed_at),
            "refunds": [
                {
                    "out_request_no": row["out_request_no"],
                    "amount_fen": row["amount_fen"],
                    "reason": row["reason"],
                    "refunded_at": protocol.iso_text(row["refunded_at"]),
                }
                for row in refunds
            ],
            "notifications": [
                {
                    "notify_id": row["notify_id"],
                    "url": row["url"],
                    "attempts": row["attempts"],
                    "due_at": protocol.iso_text(row["due_at"]),
                    "delivered_at": protocol.iso_text(row["delivered_at"]),
                    "last_answer": row["last_answer"],
                }
                for row in notifications
            ],
        }

    def next_pending(self, *, exclude: Collection[str]) -> PendingNotification | None:
        """The pending notification that is due first, now or later, without the notify_ids in `exclude`; or None."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT * FROM notifications WHERE due_at IS NOT NULL"
                " AND notify_id NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at LIMIT 1",
                (json.dumps(list(exclude)),),
            ).fetchone()
        if row is None:
            return None
        fields = json.loads(row["fields"])
        return PendingNotification(row["notify_id"], row["url"], fields, row["attempts"], row["due_at"])

    def record_attempt(self, notify_id: str, *, answer: str, delivered: bool, due_at: float | None, now: float) -> None:
        """Record an attempt to send: `answer` is the receiver's, `due_at` when to try again (None: never)."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE notifications SET attempts = attempts + 1, due_at = ?, delivered_at = ?, last_answer = ?"
                " WHERE notify_id = ?",
                (due_at, now if delivered else None, answer, notify_id),
            )

    def _add_notification(
        self, connection: sqlite3.Connection, trade: Trade, refund: Refund | None, now: float
    ) -> None:
        if not trade.notify_url:
            return
        notify_id = secrets.token_hex(17)
        fields = json.dumps(self._notification_fields(trade, refund, notify_id), ensure_ascii=False)
        connection.execute(
            "INSERT INTO notifications (notify_id, out_trade_no, url, fields, due_at) VALUES (?, ?, ?, ?, ?)",
            (notify_id, trade.out_trade_no, trade.notify_url, fields, now),
        )


def _new_number(now: float, *, kind: str) -> str:
    """A new number that begins with the day, as Alipay's do."""
    return f"{protocol.time_text(now)[:10].replace('-', '')}{kind}{secrets.randbelow(10**15):015d}"


T = TypeVar("T")


def _by_ending(table: Mapping[str, T], account: str) -> T | None:
    return next((value for ending, value in table.items() if account.endswith(ending)), None)


def _scripted_statuses(payee_account: str) -> tuple[str, str]:
    return _by_ending(SCRIPTED_TRANSFERS, payee_account) or (SUCCESS, SUCCESS)


def _find_transfer(connection: sqlite3.Connection, out_biz_no: str) -> Transfer | None:
    row = connection.execute("SELECT * FROM transfers WHERE out_biz_no = ?", (out_biz_no,)).fetchone()
    return None if row is None else Transfer(**row)


def _get_transfer(connection: sqlite3.Connection, out_biz_no: str) -> Transfer:
    transfer = _find_transfer(connection, out_biz_no)
    if transfer is None:
        raise ProblemFound(Problem.TRANSFER_NOT_EXIST)
    return transfer


def _inspected_transfer(transfer: Transfer) -> dict[str, Any]:
    """All of it, with a payee that can be recognised by who knows it: anybody may inspect."""
    account, at, domain = transfer.payee_account.partition("@")
    return {
        **asdict(transfer),
        "payee_account": f"{account[:1]}***{at}{domain}" if at else f"{account[:3]}****{account[-2:]}",
        "payee_name": transfer.payee_name[:1] + "*" * len(transfer.payee_name[1:]),
        "requested_at": protocol.iso_text(transfer.requested_at),
        "paid_at": protocol.iso_text(transfer.paid_at),
    }


def _must_wait_for_payer(trade: Trade) -> None:
    if trade.status == TRADE_SUCCESS:
        raise ProblemFound(Problem.TRADE_HAS_SUCCESS)
    if trade.status == TRADE_CLOSED:
        raise ProblemFound(Problem.TRADE_HAS_CLOSE)


def _close_expired(connection: sqlite3.Connection, now: float) -> None:
    """Close trades that have expired. Every read calls this first, so no background job is needed."""
    connection.execute(
        "UPDATE trades SET status = ?, closed_at = expires_at WHERE status = ? AND expires_at <= ?",
        (TRADE_CLOSED, WAIT_BUYER_PAY, now),
    )


def _find(connection: sqlite3.Connection, now: float, *, out_trade_no: str) -> Trade | None:
    _close_expired(connection, now)
    row = connection.execute("SELECT * FROM trades WHERE out_trade_no = ?", (out_trade_no,)).fetchone()
    return None if row is None else Trade(**row)


def _get(connection: sqlite3.Connection, now: float, out_trade_no: str) -> Trade:
    trade = _find(connection, now, out_trade_no=out_trade_no)
    if trade is None:
        raise ProblemFound(Problem.TRADE_NOT_EXIST)
    return trade


def _get_at_cashier(connection: sqlite3.Connection, now: float, cashier_token: str) -> Trade:
    _close_expired(connection, now)
    row = connection.execute("SELECT * FROM trades WHERE cashier_token = ?", (cashier_token,)).fetchone()
    if row is None:
        raise ProblemFound(Problem.TRADE_NOT_EXIST)
    return Trade(**row)


def _find_refund(connection: sqlite3.Connection, out_trade_no: str, out_request_no: str) -> Refund | None:
    row = connection.execute(
        "SELECT * FROM refunds WHERE out_trade_no = ? AND out_request_no = ?", (out_trade_no, out_request_no)
    ).fetchone()
    return None if row is None else Refund(**row)
