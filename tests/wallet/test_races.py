"""Two withdrawals at once: of the last fen, over HTTP, fifty times, and of the day's last one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask
from sqlalchemy import text

from app.answers import Answer, Refused
from app.db.database import db
from app.ledger.audit import DifferenceKind, audit
from app.wallet.service import request_payout
from tests.factories import auth_headers, make_user
from tests.ledger.steps import balances, give
from tests.live import LiveServer
from tests.moderation.steps import waiting_for_locks
from tests.tasks.steps import wait_until

ROUNDS, AVAILABLE = 50, 12345


def test_two_withdrawals_of_the_last_fen(app: Flask, live_server: LiveServer) -> None:
    body = {"amount": "123.45", "account": "13800138000", "name": "王小明"}
    won, lost = Answer.WITHDRAWAL_REQUESTED, Answer.INSUFFICIENT_FUNDS
    expected = sorted([(won.http, won.status, won.msg), (lost.http, lost.status, lost.msg)])
    sellers = [make_user(app) for _ in range(ROUNDS)]
    with ThreadPoolExecutor(2) as pool:
        for seller in sellers:
            give(app, seller, available=AVAILABLE)
            headers, together = auth_headers(app, seller), threading.Barrier(2)

            def withdraw(
                headers: dict[str, str] = headers, together: threading.Barrier = together
            ) -> tuple[int, int, str]:
                together.wait()
                reply = live_server.call("POST", "/api/withdraw/", body=body, headers=headers)
                return reply.status, reply.body["status"], reply.body["msg"]

            answers = [pool.submit(withdraw) for _ in range(2)]
            assert sorted(answer.result() for answer in answers) == expected
    assert balances(app) == {
        ("gateway_clearing", None): ROUNDS * AVAILABLE,
        ("payout_clearing", None): ROUNDS * AVAILABLE,
    }
    with app.app_context():
        # What the test itself gave is unexpected; nothing else is.
        differences = audit()
    assert {each.kind for each in differences} == {DifferenceKind.UNEXPECTED}
    assert len(differences) == ROUNDS


def test_two_withdrawals_of_the_last_one_of_the_day(make_app: Any, app: Flask) -> None:
    """There is money for both, but only one more may be made today. Both are let go on at the same moment."""
    limited, seller = make_app(WITHDRAW_DAILY_LIMIT="1"), make_user(app)
    give(app, seller, available=2 * AVAILABLE)

    def withdraw() -> str:
        with limited.app_context():
            try:
                request_payout(user_id=seller.id, amount=AVAILABLE, account="13800138000", name="王小明")
            except Refused as refusal:
                return refusal.answer.name
            return "done"

    with ThreadPoolExecutor(2) as pool, app.app_context(), db.engine.connect() as holder:
        holder.execute(text("SELECT FROM ledger_accounts WHERE kind = 'seller_available' FOR UPDATE"))
        answers = [pool.submit(withdraw) for _ in range(2)]
        wait_until(lambda: waiting_for_locks(app) == 2, "both wait")
        holder.rollback()
        assert sorted(answer.result() for answer in answers) == ["TOO_MANY_WITHDRAWALS", "done"]
    assert balances(app)["payout_clearing", None] == AVAILABLE
