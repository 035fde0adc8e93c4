"""Two withdrawals of the last fen, at once, over HTTP, fifty times: one wins, the other is told why not."""

import threading
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from app.answers import Answer
from app.ledger.audit import DifferenceKind, audit
from tests.factories import auth_headers, make_user
from tests.ledger.steps import balances, give
from tests.live import LiveServer

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
