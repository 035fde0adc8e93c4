"""What must be so after a storm. Every check gives a line for each thing that is wrong, and none where all is well."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import redis
from flask import Flask
from rq.registry import FailedJobRegistry, StartedJobRegistry
from sqlalchemy import text

from app.db.transactions import rows
from app.orders.history import export, verify
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
from tasks.queues import QueueName, queue
from tests.money.sandbox_server import fetch
from tests.storm.clients import ClientLog
from tests.storm.processes import Market

_LEGAL = {
    *(AWAITING_PAYMENT, CANCELLED, PAID, SHIPPED, RECEIVED, SETTLED),
    *(REFUND_REQUESTED_UNSHIPPED, REFUND_REQUESTED_SHIPPED, REFUND_REQUESTED_RECEIVED, RETURN_SENT),
    *(REFUNDED_UNSHIPPED, REFUNDED_SHIPPED, REFUNDED_RECEIVED, REFUNDED_RETURNED, AWARDED_TO_SELLER),
}
# Where the good was not sold after all.
_UNSOLD = {CANCELLED, REFUNDED_UNSHIPPED}

_HANGING_SECONDS = 60.0


def settle(app: Flask, market: Market, *, seconds: float) -> list[str]:
    """Wait until nothing is under way any more; what still is after so many seconds, a line each."""
    until = time.monotonic() + seconds
    while True:
        market.restart_ended()
        left = _under_way(app)
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.5)


def _under_way(app: Flask) -> list[str]:
    counts = {
        "orders with a deadline": "SELECT count(*) FROM orders WHERE deadline_at IS NOT NULL",
        "outbox messages that are not dead": "SELECT count(*) FROM outbox WHERE dead_at IS NULL",
        "goods in review": "SELECT count(*) FROM goods WHERE status = 1 AND NOT deleted",
        "refunds that are not confirmed": "SELECT count(*) FROM refunds WHERE state = 'pending'",
        "payouts under way": "SELECT count(*) FROM payouts WHERE state = 'pending'",
        "payments that the gateway is still asked about": """
            SELECT count(*) FROM payments JOIN orders ON orders.id = order_id WHERE query_at IS NOT NULL
            AND payments.created_at > now() - interval '1 day' AND (state = 'open' OR trade_no IS NOT NULL)
        """,
    }
    with app.app_context():
        found = {what: rows(text(sql))[0][0] for what, sql in counts.items()}
        for name in QueueName:
            found[f"jobs in the queue {name}"] = len(
                [each for each in queue(name).job_ids if each.startswith(("outbox-", "check-"))]
            )
    return [f"{count} {what}" for what, count in found.items() if count]


def violations(app: Flask, market: Market, client_log: ClientLog) -> list[str]:
    """All that is wrong, a line each."""
    checks: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: iter(client_log.wrong),
        _orders,
        _goods,
        lambda: _audited(market),
        _histories,
        lambda: _gateway(market),
        _payouts_at(market),
        _money_adds_up,
        lambda: _effects(client_log),
        lambda: _jobs(market),
    )
    with app.app_context():
        return [line for check in checks for line in check()]


def facts(app: Flask) -> dict[str, int]:
    """Numbers for the table: what the storm left."""
    with app.app_context():
        orders = rows(text("SELECT bill_status, order_status, closed, disputed, count(*) FROM orders GROUP BY 1,2,3,4"))
        names = {
            "ledger transactions": "SELECT count(*) FROM ledger_transactions",
            "refunds": "SELECT count(*) FROM refunds",
            "payments that came late and went back": "SELECT count(*) FROM refunds WHERE reason = 'payment_late'",
            "payouts": "SELECT count(*) FROM payouts",
            "payouts that failed": "SELECT count(*) FROM payouts WHERE state = 'failed'",
            "notifications in users' lists": "SELECT count(*) FROM notifications",
            "notifications of the gateway": "SELECT count(*) FROM gateway_notifications",
            "outbox messages that are dead": "SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL",
            "steps by the system": "SELECT count(*) FROM order_events WHERE role = 'system'",
        }
        numbers = {name: int(rows(text(sql))[0][0]) for name, sql in names.items()}
        failed = {f"failed jobs in {name}": len(FailedJobRegistry(queue=queue(name))) for name in QueueName}
    places: Counter[str] = Counter()
    for bill, goods, closed, disputed, count in sorted(orders):
        places[f"orders at ({bill}, {goods}{', closed' if closed else ''}{', disputed' if disputed else ''})"] = count
    return {**places, **numbers, **failed}


def _orders() -> Iterator[str]:
    for row in rows(text("SELECT *, deadline_at < now() - interval '10 seconds' AS overdue FROM orders")):
        phase = (row.bill_status, row.order_status, row.closed)
        if phase not in _LEGAL:
            yield f"order {row.id} stands at {phase}"
        if row.overdue:
            yield f"order {row.id} at {phase} was due at {row.deadline_at}"
        if not row.closed and row.deadline_at is None and not row.disputed:
            yield f"order {row.id} at {phase} waits for nobody"


def _goods() -> Iterator[str]:
    sold: Counter[int] = Counter()
    held: dict[int, int] = {}
    for row in rows(text("SELECT id, good_id, bill_status, order_status, closed FROM orders")):
        phase = (row.bill_status, row.order_status, row.closed)
        if phase not in _UNSOLD:
            sold[row.good_id] += 1
            held[row.good_id] = 4 if phase[0] in (3, 5) or phase[1] >= 8 else 3
    for good_id, times in sold.items():
        if times > 1:
            yield f"good {good_id} was sold {times} times"
    for row in rows(text("SELECT id, status FROM goods")):
        wanted = {held[row.id]} if row.id in held else {2, 5}
        if row.status not in wanted:
            yield f"good {row.id} has status {row.status}, its orders say {sorted(wanted)}"


def _audited(market: Market) -> Iterator[str]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "ledger", "audit"]
    done = subprocess.run(command, env=market.env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        yield f"flask ledger audit ended with {done.returncode}: {done.stdout}{done.stderr}"


def _histories() -> Iterator[str]:
    for row in rows(text("SELECT order_no FROM orders")):
        for problem in verify(json.loads(json.dumps(export(row.order_no)))):
            yield f"history of order {row.order_no}: {problem}"


def _looked_up(market: Market, path: str) -> Any:
    answer = fetch(f"{market.gateway_url}{path}")
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def _gateway(market: Market) -> Iterator[str]:
    """Every trade at the gateway against ours: paid here and there, paid back at most once, and for a reason."""
    ours = {
        row.out_trade_no: row
        for row in rows(
            text(
                "SELECT payments.*, orders.bill_status, orders.closed, refunds.state AS refund_state,"
                " (SELECT count(*) FROM refunds WHERE payment_id = payments.id) AS refunds"
                " FROM payments JOIN orders ON orders.id = order_id LEFT JOIN refunds ON payment_id = payments.id"
            )
        )
    }
    for trade in _looked_up(market, "/sandbox/trades")["trades"]:
        number, refunded = trade["out_trade_no"], trade["refunded_fen"]
        paid = trade["status"] == "TRADE_SUCCESS" or refunded > 0
        our = ours.get(number)
        if our is None:
            yield f"the gateway has a trade {number} that we do not know"
        elif paid != (our.state == "paid"):
            yield f"trade {number} is {trade['status']} at the gateway, and {our.state} here"
        elif trade["amount_fen"] != our.amount or refunded not in (0, our.amount):
            yield f"trade {number} of {our.amount} fen: the gateway has {trade}"
        elif (refunded > 0) != (our.refund_state == "confirmed") or our.refunds > 1:
            yield f"trade {number} was refunded {refunded} fen at the gateway, our refund is {our.refund_state}"
        elif paid and refunded == 0 and our.bill_status in (1, 5):
            yield f"trade {number} was paid and not paid back, but its order stands at bill {our.bill_status}"


def _payouts_at(market: Market) -> Callable[[], Iterator[str]]:
    def check() -> Iterator[str]:
        there = {each["out_biz_no"]: each for each in _looked_up(market, "/sandbox/transfers")["transfers"]}
        for row in rows(text("SELECT * FROM payouts")):
            transfer = there.pop(row.out_biz_no, None)
            moved = transfer is not None and transfer["status"] == "SUCCESS"
            if moved != (row.state == "confirmed") or (transfer and transfer["amount_fen"] != row.amount):
                yield f"payout {row.id} of {row.amount} fen is {row.state}, the gateway has {transfer}"
        for number in there:
            yield f"the gateway has a transfer {number} that we do not know"

    return check


def _money_adds_up() -> Iterator[str]:
    """Every fen that was paid and not paid back lies in one of our accounts, by what the orders themselves say."""
    held = {row.kind: int(row.sum) for row in rows(text("SELECT kind, sum(balance) FROM ledger_accounts GROUP BY 1"))}
    by_orders = {
        "escrow": "bill_status IN (2, 4)",
        "seller_held": "bill_status = 3 AND NOT closed",
    }
    for kind, condition in by_orders.items():
        wanted = int(rows(text(f"SELECT coalesce(sum(amount), 0) FROM orders WHERE {condition}"))[0][0])  # noqa: S608 - constants
        if held.get(kind, 0) != wanted:
            yield f"{kind} holds {held.get(kind, 0)} fen, the orders say {wanted}"
    earned = int(rows(text("SELECT coalesce(sum(amount), 0) FROM orders WHERE bill_status = 3 AND closed"))[0][0])
    kept = sum(held.get(kind, 0) for kind in ("seller_available", "payout_clearing", "paid_out", "platform_fee"))
    if kept != earned:
        yield f"sellers have and had {kept} fen, the settled orders say {earned}"


def _effects(client_log: ClientLog) -> Iterator[str]:
    """What clients were told against what was done: no effect twice, none without an answer."""
    for what, told, sql in (
        ("orders", client_log.orders, "SELECT id FROM orders"),
        ("payouts", client_log.payouts, "SELECT id FROM payouts"),
    ):
        made = {row.id for row in rows(text(sql))}
        if made != told:
            yield f"{what} that nobody was told of: {sorted(made - told)}, told of but not there: {sorted(told - made)}"
    done = Counter(
        {
            row.event: row.count
            for row in rows(
                text(
                    "SELECT event, count(*) FROM order_events WHERE role IN ('buyer', 'seller', 'staff')"
                    " AND event <> 'buy' GROUP BY 1"
                )
            )
        }
    )
    for event in sorted({*done, *client_log.steps}):
        if done[event] != client_log.steps[event]:
            yield f"{event}: clients were told of {client_log.steps[event]} successes, the histories have {done[event]}"
    decided = sum(count for event, count in done.items() if event.startswith("resolve_"))
    recorded = int(rows(text("SELECT count(*) FROM staff_actions WHERE action LIKE 'resolve_%'"))[0][0])
    if decided != recorded:
        yield f"staff decided {decided} disputes, {recorded} of them are recorded"
    paid = int(rows(text("SELECT count(*) FROM payments WHERE state = 'paid'"))[0][0])
    if paid != client_log.payments:
        yield f"clients paid {client_log.payments} times, we know of {paid} payments"


def _jobs(market: Market) -> Iterator[str]:
    """Nothing hangs in the queues: what is there is periodic, and young.

    RQ gives out the job of a killed worker again once it has missed its heartbeats, long after the outbox has done the
    work: that may be just now, so a job hangs only if it stays.
    """
    until = time.monotonic() + _HANGING_SECONDS
    while (hanging := _unfinished_jobs()) and time.monotonic() < until:
        market.restart_ended()
        time.sleep(0.2)
    yield from hanging
    with redis.Redis.from_url(market.env["REDIS_URL"]) as valkey:
        if not valkey.ping():
            yield "Valkey does not answer"


def _unfinished_jobs() -> list[str]:
    return [
        f"job {job_id} is still in the queue {name}"
        for name in QueueName
        for job_id in (*queue(name).job_ids, *StartedJobRegistry(queue=queue(name)).get_job_ids())
        if job_id.startswith(("outbox-", "check-"))
    ]
