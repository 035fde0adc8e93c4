"""What codes make of a withdrawal: put back for the payee's own fault only, and never while it may still be paid."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alipay.exceptions import AliPayException
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.ledger.audit import DifferenceKind, audit
from app.money.gateway import gateway
from app.money.gateways.alipay_codes import CODES, verdict_on
from app.money.gateways.base import GatewayUnavailable, Verdict
from app.money.models import MoneyCase
from app.outbox.models import OutboxMessage
from app.outbox.service import PermanentFailure
from app.wallet import service
from app.wallet.models import Payout
from app.wallet.service import PayoutNotDecidable, PayoutUnderWay
from tasks.payments import ask_again
from tests.factories import Made, assert_envelope, auth_headers, make_user
from tests.wallet.conftest import AVAILABLE, Bank

TRANSFER = "alipay.fund.trans.uni.transfer"
UNDER_WAY = {"seller_available": AVAILABLE - 12000, "payout_clearing": 12000}
OUT = {"seller_available": AVAILABLE - 12000, "paid_out": 12000}
BACK = {"seller_available": AVAILABLE}
START = datetime(2026, 11, 29, 4, tzinfo=UTC)


def refusal(sub_code: str, code: str = "40004") -> dict[str, Any]:
    return {"code": code, "msg": "Business Failed", "sub_code": sub_code, "sub_msg": "…"}


def unsigned(answer: dict[str, Any]) -> dict[str, Any]:
    """The same, as somebody on the way could say it."""
    return {**answer, "unsigned": True}


@dataclass
class Alipay:
    """A gateway that answers as told, and may carry a transfer out hours after it was asked for it."""

    now: datetime = START
    answers: list[dict[str, Any] | None] = field(default_factory=list)
    """To the next requests for a transfer: None is no answer; without any left, it pays at once."""
    queries: list[dict[str, Any] | None] = field(default_factory=list)
    """To the next questions, where they are not answered truly."""
    late: timedelta | None = None
    """How long after an undecided request it is carried out; None: never."""
    paid: dict[str, datetime] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    """What others do during the next questions, before they are answered."""
    in_flight: list[Callable[[], object]] = field(default_factory=list)
    """What others do during the next requests for a transfer, before they are answered."""

    def __call__(self, method: str, content: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.asked.append(method)
        number = content["out_biz_no"]
        if method != TRANSFER and self.meanwhile:
            self.meanwhile.pop(0)()
        if method == TRANSFER and self.in_flight:
            self.in_flight.pop(0)()
        known = {"code": "10000", "out_biz_no": number, "order_id": f"G{number}", "status": "SUCCESS"}
        if method == TRANSFER:
            answer = self.answers.pop(0) if self.answers else known
            if answer is known:
                self.paid[number] = min(self.now, self.paid.get(number, self.now))
                return {**known, "trans_date": "2026-11-29 12:00:00"}
            final = answer is not None and is_final(answer)
            if self.late is not None and not final:
                self.paid.setdefault(number, self.now + self.late)
        elif self.queries:
            answer = self.queries.pop(0)
        elif self.paid.get(number, self.now + timedelta(1)) <= self.now:
            return {**known, "pay_date": "2026-11-29 12:00:00", "trans_amount": "120.00"}
        else:
            answer = refusal("ORDER_NOT_EXIST")
        if answer is None:
            raise TimeoutError
        if "unsigned" in answer:
            raise AliPayException(None, json.dumps({f"{method.replace('.', '_')}_response": answer}))
        return answer


def is_final(answer: dict[str, Any]) -> bool:
    """Whether nothing will come of the request."""
    return "unsigned" not in answer and verdict_on(TRANSFER, answer["code"], answer["sub_code"]) is not Verdict.ASK


@pytest.fixture
def alipay(wallet_app: Flask, clean: None, monkeypatch: pytest.MonkeyPatch) -> Alipay:
    told = Alipay()
    with wallet_app.app_context():
        monkeypatch.setattr(gateway()._sdk, "server_api", told)  # type: ignore[attr-defined]  # AlipayGateway has it
    monkeypatch.setattr(service, "utcnow", lambda: told.now)
    return told


@pytest.fixture
def till(wallet_app: Flask, alipay: Alipay) -> Bank:
    """The application at that gateway; there is no sandbox behind it."""
    return Bank(wallet_app, None)  # type: ignore[arg-type]  # nothing here looks into it


def outcome(till: Bank, payout_id: int) -> type[BaseException] | None:
    """What the job raises."""
    try:
        till.send(payout_id)
    except (GatewayUnavailable, PayoutUnderWay, PermanentFailure) as error:
        return type(error)
    return None


def cases(till: Bank) -> list[tuple[str, str, str | None]]:
    with till.app.app_context():
        found = db.session.scalars(select(MoneyCase).order_by(MoneyCase.id))
        return [(each.kind, each.reason, each.decision) for each in found]


def differences(till: Bank) -> list[str]:
    """What the audit finds, but for the money that the tests gave the sellers to begin with."""
    with till.app.app_context():
        return [str(each) for each in audit() if each.kind is not DifferenceKind.UNEXPECTED]


EXPECTED: dict[Verdict, tuple[type[BaseException] | None, str, bool]] = {
    Verdict.FINAL: (None, "failed", False),
    Verdict.RETRY: (GatewayUnavailable, "pending", False),
    Verdict.ASK: (GatewayUnavailable, "pending", False),
    Verdict.PERSON: (GatewayUnavailable, "pending", True),
    Verdict.STOP: (PermanentFailure, "pending", True),
}
"""What the job raises, the payout's state, whether there is a case."""


FINAL = {
    "PAYEE_NOT_EXIST",
    "PAYEE_ACCOUNT_NOT_EXSIT",
    "PAYEE_ACCOUNT_STATUS_ERROR",
    "PAYEE_USERINFO_STATUS_ERROR",
    "PAYEE_USER_INFO_ERROR",
    "PAYEE_ACC_OCUPIED",
    "PAYEE_CERT_INFO_ERROR",
    "PAYEE_NOT_RELNAME_CERTIFY",
    "PAYEE_USER_TYPE_ERROR",
    "PAYEE_TRUSTEESHIP_ACC_OVER_LIMIT",
    "TRUSTEESHIP_RECIEVE_QUOTA_LIMIT",
    "NO_ACCOUNT_RECEIVE_PERMISSION",
    "NO_ACCOUNT_USER_FORBBIDEN_RECIEVE",
    "BLOCK_USER_FORBBIDEN_RECIEVE",
    "RELEASE_USER_FORBBIDEN_RECIEVE",
    "CHECK_RECEIVER_CERT_NOT_ALLOW",
    "PERMIT_NON_BANK_LIMIT_PAYEE",
    "PERMIT_LIMIT_PAYEE",
    "PERMIT_CHECK_RECEIVE_LIMIT",
    "PERMIT_CHECK_PERM_AML_CERT_EXPIRED",
    "PERM_AML_NOT_REALNAME_REV",
    "EXCEED_LIMIT_UNRN_DM_AMOUNT",
    "EXCEED_LIMIT_DC_RECEIVED",
    "IDENTITY_FUND_RELATION_NOT_FOUND",
    "PAYER_PAYEE_CANNOT_SAME",
}
"""The codes upon which money goes back to a wallet, written out: one more in the table is noticed."""


def test_every_documented_code(till: Bank, alipay: Alipay) -> None:
    """And one that is documented nowhere: it decides nothing."""
    assert {code for code, (verdict, _) in CODES[TRANSFER].items() if verdict is Verdict.FINAL} == FINAL
    table = [(code, "40004", verdict) for code, (verdict, _) in CODES[TRANSFER].items()]
    table += [(f"isv.some-{code}", code, verdict) for code, (verdict, _) in CODES["common"].items()]
    table.append(("SOMETHING_NEW", "40004", Verdict.ASK))
    assert len(table) > 90
    for sub_code, code, verdict in table:
        seller = till.seller()
        payout_id = till.payout(seller)
        alipay.answers, before = [refusal(sub_code, code)], len(cases(till))
        raises, state, is_case = EXPECTED[verdict]
        assert (sub_code, outcome(till, payout_id)) == (sub_code, raises)
        row = till.row(payout_id)
        assert (sub_code, row.state, row.last_error) == (sub_code, state, f"{code} {sub_code}")
        assert (sub_code, row.state == "failed") == (sub_code, sub_code in FINAL)
        assert (sub_code, till.money(seller)["seller_available"]) == (
            sub_code,
            AVAILABLE if state == "failed" else AVAILABLE - 12000,
        )
        assert (sub_code, cases(till)[before:]) == (
            sub_code,
            [("payout", f"{code} {sub_code}", None)] if is_case else [],
        )
    assert differences(till) == []


@pytest.mark.parametrize("first", ["REQUEST_PROCESSING", "RESOURCE_LIMIT_EXCEED", "SOMETHING_NEW", None])
def test_unknown_at_the_gateway_just_after_an_undecided_request_is_not_final(
    till: Bank, alipay: Alipay, first: str | None
) -> None:
    seller = till.seller()
    payout_id = till.payout(seller)
    alipay.answers = [refusal(first) if first else None]
    assert outcome(till, payout_id) is GatewayUnavailable
    # The gateway knows nothing of it, and refuses the same request for the payee's fault: still the first may be paid.
    for _ in range(3):
        alipay.now += timedelta(hours=7, minutes=59)
        alipay.answers = [refusal("PAYEE_NOT_EXIST")]
        assert outcome(till, payout_id) is PayoutUnderWay
        assert (till.row(payout_id).state, till.money(seller), till.notices(seller)) == ("pending", UNDER_WAY, [])
    alipay.now = START + timedelta(hours=24)
    alipay.answers = [refusal("PAYEE_NOT_EXIST")]
    assert outcome(till, payout_id) is None
    assert (till.row(payout_id).state, till.money(seller)) == ("failed", BACK)
    assert alipay.paid == {}


def test_a_transfer_made_late_is_found(till: Bank, alipay: Alipay) -> None:
    seller = till.seller()
    payout_id = till.payout(seller)
    alipay.answers, alipay.late = [refusal("REQUEST_PROCESSING"), refusal("PAYEE_NOT_EXIST")], timedelta(hours=20)
    assert outcome(till, payout_id) is GatewayUnavailable
    alipay.now += timedelta(hours=1)
    assert outcome(till, payout_id) is PayoutUnderWay
    alipay.now += timedelta(hours=20)
    assert outcome(till, payout_id) is None
    assert (till.row(payout_id).state, till.money(seller), cases(till)) == ("confirmed", OUT, [])
    assert list(alipay.paid) == [till.row(payout_id).out_biz_no]


def test_a_refusal_decides_nothing_where_another_job_has_asked_since(till: Bank, alipay: Alipay) -> None:
    """As two jobs do where an attempt outlived its lease, or staff asked for another one meanwhile."""
    seller = till.seller()
    payout_id = till.payout(seller)

    def another_job() -> None:
        alipay.now += timedelta(seconds=1)
        assert outcome(till, payout_id) is GatewayUnavailable

    alipay.in_flight, alipay.late = [another_job], timedelta(hours=1)
    alipay.answers = [refusal("SYSTEM_ERROR"), refusal("PAYEE_NOT_EXIST")]
    assert outcome(till, payout_id) is PayoutUnderWay
    assert (till.row(payout_id).state, till.money(seller), till.notices(seller)) == ("pending", UNDER_WAY, [])
    alipay.now += timedelta(hours=2)
    assert outcome(till, payout_id) is None
    assert (till.row(payout_id).state, till.money(seller), cases(till)) == ("confirmed", OUT, [])


@pytest.mark.parametrize("first", ["PAYER_BALANCE_NOT_ENOUGH", "PAYER_STATUS_ERROR"])
def test_a_first_request_that_is_refused_leaves_nothing_undecided(till: Bank, alipay: Alipay, first: str) -> None:
    """So the next word can be the last one, and the money is back at once."""
    seller = till.seller()
    payout_id = till.payout(seller)
    alipay.answers = [refusal(first), refusal("PAYEE_NOT_EXIST")]
    assert outcome(till, payout_id) is GatewayUnavailable
    assert till.row(payout_id).undecided_at is None
    alipay.now += timedelta(hours=1)
    assert outcome(till, payout_id) is None
    assert (till.row(payout_id).state, till.money(seller), alipay.paid) == ("failed", BACK, {})
    assert differences(till) == []


def test_a_refusal_after_a_day_of_an_empty_account_is_final(till: Bank, alipay: Alipay) -> None:
    """What says that nothing was done, each hour, keeps no later word from being the last."""
    seller = till.seller()
    payout_id = till.payout(seller)
    for _ in range(25):
        alipay.answers = [refusal("PAYER_BALANCE_NOT_ENOUGH")]
        assert outcome(till, payout_id) is GatewayUnavailable
        alipay.now += timedelta(hours=1)
    alipay.answers = [refusal("PAYEE_NOT_EXIST")]
    assert outcome(till, payout_id) is None
    assert (till.row(payout_id).state, till.money(seller), alipay.paid) == ("failed", BACK, {})


def test_what_stays_undecided_for_a_day_is_a_case_until_the_last_word(till: Bank, alipay: Alipay) -> None:
    seller = till.seller()
    payout_id = till.payout(seller)
    alipay.now = START + timedelta(days=400)  # the row's own clock is not ours
    alipay.answers = [refusal("SYSTEM_ERROR")]
    assert outcome(till, payout_id) is GatewayUnavailable
    assert cases(till) == [("payout", "40004 SYSTEM_ERROR", None)]
    assert outcome(till, payout_id) is None
    assert cases(till) == [("payout", "40004 SYSTEM_ERROR", "settled")]
    assert till.money(seller) == OUT


@pytest.mark.parametrize(
    ("error", "hours", "is_dead"),
    [
        ("GatewayUnavailable: 40004 SYSTEM_ERROR", 2, False),
        ("PayoutUnderWay: …", 2, False),
        (None, 2, False),
        ("GatewayUnavailable: 40004 SYSTEM_ERROR", 0, True),
        ("PermanentFailure: the gateway refused", 2, True),
    ],
)
def test_asking_goes_on_after_the_attempts_ran_out(
    till: Bank, alipay: Alipay, error: str | None, hours: int, is_dead: bool
) -> None:
    till.payout(till.seller())
    with till.app.app_context(), db.engine.begin() as connection:
        died_at = utcnow() - timedelta(hours=hours)
        connection.execute(update(OutboxMessage).values(dead_at=died_at, attempts=20, last_error=error))
    with till.app.app_context():
        ask_again()
        message = db.session.scalars(select(OutboxMessage)).one()
        assert (message.dead_at is not None, message.attempts) == (is_dead, 20 if is_dead else 0)


def test_what_was_given_up_before_there_were_cases_becomes_one(till: Bank, alipay: Alipay) -> None:
    """Only what is not decided, died an hour ago, and has no case yet; once."""
    ids = [till.payout(till.seller()) for _ in range(4)]
    with till.app.app_context(), db.engine.begin() as connection:
        for payout_id, minutes in zip(ids, (61, 59, 61, 61), strict=True):
            connection.execute(
                update(OutboxMessage)
                .where(OutboxMessage.subject_id == payout_id)
                .values(dead_at=utcnow() - timedelta(minutes=minutes), last_error="PermanentFailure: refused")
            )
        connection.execute(update(Payout).where(Payout.id == ids[0]).values(last_error="40004 PAYER_STATUS_ERROR"))
        connection.execute(update(Payout).where(Payout.id == ids[2]).values(state="confirmed", finished_at=utcnow()))
        connection.execute(
            insert(MoneyCase).values(kind="payout", key=f"payout:{ids[3]}", payout_id=ids[3], reason="old", details={})
        )
    for _ in range(2):
        with till.app.app_context():
            ask_again()
        assert cases(till) == [("payout", "old", None), ("payout", "40004 PAYER_STATUS_ERROR", None)]
    with till.app.app_context():
        case = db.session.scalars(select(MoneyCase).order_by(MoneyCase.id.desc()).limit(1)).one()
        row = db.session.get_one(Payout, ids[0])
        assert (case.key, case.payout_id, case.details) == (
            f"payout:{row.id}",
            row.id,
            {"payout_no": row.out_biz_no, "amount": row.amount, "user_id": row.user_id},
        )


# --- what staff do about it ---


@pytest.fixture
def staff(till: Bank) -> Made:
    return make_user(till.app, "kefu", staff=True)


def decide(till: Bank, staff: Made, decision: str, answer: Answer, case_id: int = 1) -> Any:
    url, body = f"/api/staff/money_case/{case_id}/", {"decision": decision, "reason": "查过商家平台"}
    return assert_envelope(till.client.post(url, json=body, headers=auth_headers(till.app, staff)), answer)


def stuck(till: Bank, alipay: Alipay) -> tuple[Made, int]:
    """A withdrawal that the gateway refuses because of our own account."""
    seller = till.seller()
    payout_id = till.payout(seller)
    alipay.answers = [refusal("PAYER_STATUS_ERROR")]
    assert outcome(till, payout_id) is GatewayUnavailable
    return seller, payout_id


def test_cases_are_listed_counted_and_retried(till: Bank, alipay: Alipay, staff: Made) -> None:
    seller, payout_id = stuck(till, alipay)
    headers = auth_headers(till.app, staff)
    listed = assert_envelope(till.client.get("/api/staff/money_cases/", headers=headers), Answer.MONEY_CASES_FOUND)
    [case] = listed["items"]
    assert {name: case[name] for name in ("id", "kind", "kind_text", "reason", "payout_id", "decisions")} == {
        "id": 1,
        "kind": "payout",
        "kind_text": "提现未完成",
        "reason": "40004 PAYER_STATUS_ERROR",
        "payout_id": payout_id,
        "decisions": ["retry", "mark_paid", "credit_back", "dismiss"],
    }
    number = till.row(payout_id).out_biz_no
    assert case["details"] == {"payout_no": number, "amount": 12000, "user_id": seller.id}
    assert 'saltfish_money_cases{kind="payout"} 1.0' in till.client.get("/metrics").get_data(as_text=True)
    assert decide(till, staff, "retry", Answer.MONEY_CASE_DECIDED)["closed_at"] is None
    assert till.messages() == [payout_id]  # the message that there was, not another one
    assert outcome(till, payout_id) is None
    assert (till.money(seller), cases(till)) == (OUT, [("payout", "40004 PAYER_STATUS_ERROR", "settled")])
    assert 'saltfish_money_cases{kind="payout"} 0.0' in till.client.get("/metrics").get_data(as_text=True)
    assert decide(till, staff, "retry", Answer.MONEY_CASE_REFUSED)["reasons"] == ["这件待办已经处理过了"]
    closed = till.client.get("/api/staff/money_cases/?state=closed", headers=headers)
    assert assert_envelope(closed, Answer.MONEY_CASES_FOUND)["items"][0]["decisions"] == []
    actions = till.client.get("/api/staff/actions/?subject=money_case", headers=headers).get_json()["data"]["items"]
    assert [(each["action"], each["reason"], each["details"]["decision"]) for each in actions] == [
        ("decide_money_case", "查过商家平台", "retry")
    ]


NOTICES = {
    "credit_back": ("提现失败", "支付宝未能完成转账。120.00 元已退回钱包可用余额。"),
    "mark_paid": ("提现已完成", "120.00 元的提现已由平台另行付给你,如未收到请联系客服。"),
}


@pytest.mark.parametrize(
    ("decision", "money", "closed"), [("credit_back", BACK, "credit_back"), ("mark_paid", OUT, "mark_paid")]
)
def test_staff_settle_only_what_the_gateway_cannot_pay_any_more(
    till: Bank, alipay: Alipay, staff: Made, decision: str, money: dict[str, int], closed: str
) -> None:
    seller, payout_id = stuck(till, alipay)
    alipay.answers = [refusal("SYSTEM_ERROR")]
    assert outcome(till, payout_id) is GatewayUnavailable
    for hours in (0, 12, 23):
        alipay.now = START + timedelta(hours=hours)
        [reason] = decide(till, staff, decision, Answer.MONEY_CASE_REFUSED)["reasons"]
        assert reason == "支付宝仍可能付出这笔转账,2026-11-30T12:00:00+08:00 之后才能处理"
    alipay.now = START + timedelta(hours=24)
    alipay.queries = [None]
    [reason] = decide(till, staff, decision, Answer.MONEY_CASE_REFUSED)["reasons"]
    assert reason == "支付宝暂未答复这笔转账的结果,请稍后再试"
    assert (till.row(payout_id).state, till.money(seller)) == ("pending", UNDER_WAY)
    decide(till, staff, decision, Answer.MONEY_CASE_DECIDED)
    assert (till.money(seller), cases(till)) == (money, [("payout", "40004 PAYER_STATUS_ERROR", closed)])
    [(*_, title, text)] = till.notices(seller)
    assert (title, text) == NOTICES[decision]
    assert differences(till) == []


@pytest.mark.parametrize(
    ("refused", "until"),
    [
        ("PAYER_STATUS_ERROR", None),
        ("PAYER_BALANCE_NOT_ENOUGH", None),
        ("SYSTEM_ERROR", START + timedelta(hours=23)),
    ],
)
def test_asking_on_keeps_staff_from_nothing_where_each_request_is_refused(
    till: Bank, alipay: Alipay, staff: Made, refused: str, until: datetime | None
) -> None:
    seller, payout_id = stuck(till, alipay)
    for _ in range(23):
        alipay.now += timedelta(hours=1)
        alipay.answers = [refusal(refused)]
        assert outcome(till, payout_id) is GatewayUnavailable
    assert till.row(payout_id).undecided_at == until
    if until is not None:
        decide(till, staff, "credit_back", Answer.MONEY_CASE_REFUSED)
        alipay.now = until + timedelta(hours=24)
    decide(till, staff, "credit_back", Answer.MONEY_CASE_DECIDED)
    assert (alipay.paid, till.money(seller)) == ({}, BACK)


@pytest.mark.parametrize(("code", "sub_code"), [("40002", "isv.invalid-app-id"), ("40004", "BIZ_UNIQUE_EXCEPTION")])
def test_what_is_not_signed_calls_staff_and_decides_nothing(
    till: Bank, alipay: Alipay, staff: Made, code: str, sub_code: str
) -> None:
    seller = till.seller()
    payout_id = till.payout(seller)
    for _ in range(2):
        alipay.answers = [unsigned(refusal(sub_code, code))]
        assert outcome(till, payout_id) is GatewayUnavailable
        assert till.row(payout_id).undecided_at == alipay.now
        alipay.now += timedelta(hours=1)
    assert cases(till) == [("payout", f"{code} {sub_code}", None)]
    alipay.now = START + timedelta(hours=24)
    decide(till, staff, "credit_back", Answer.MONEY_CASE_REFUSED)
    assert (till.row(payout_id).state, till.money(seller)) == ("pending", UNDER_WAY)
    alipay.now = START + timedelta(hours=25)
    decide(till, staff, "credit_back", Answer.MONEY_CASE_DECIDED)
    assert (alipay.paid, till.money(seller)) == ({}, BACK)


def test_staff_do_not_credit_back_what_was_paid(till: Bank, alipay: Alipay, staff: Made) -> None:
    seller, payout_id = stuck(till, alipay)
    alipay.paid[till.row(payout_id).out_biz_no] = START
    alipay.now = START + timedelta(days=3)
    assert decide(till, staff, "credit_back", Answer.MONEY_CASE_REFUSED)["reasons"] == ["支付宝显示这笔转账已经成功"]
    assert till.money(seller) == UNDER_WAY
    decide(till, staff, "mark_paid", Answer.MONEY_CASE_DECIDED)
    assert till.money(seller) == OUT
    assert [(title, text) for *_, title, text in till.notices(seller)] == [
        ("提现已到账", "120.00 元已转入你的支付宝账户。")
    ]


def test_who_may_not_decide(till: Bank, alipay: Alipay, staff: Made) -> None:
    seller, _ = stuck(till, alipay)
    decide(till, seller, "retry", Answer.FORBIDDEN)
    listing = till.client.get("/api/staff/money_cases/", headers=auth_headers(till.app, seller))
    assert_envelope(listing, Answer.FORBIDDEN)
    decide(till, staff, "retry", Answer.NO_SUCH_MONEY_CASE, case_id=404)
    assert decide(till, staff, "continue", Answer.MONEY_CASE_REFUSED)["reasons"] == ["这类待办不能“订单继续”"]
    assert decide(till, staff, "dismiss", Answer.MONEY_CASE_REFUSED)["reasons"] == ["这笔提现还没有结果"]
    assert cases(till) == [("payout", "40004 PAYER_STATUS_ERROR", None)]


@pytest.mark.parametrize(("decision", "money"), [("credit_back", BACK), ("mark_paid", OUT)])
def test_what_staff_decide_while_a_job_asks_is_not_transferred(
    till: Bank, alipay: Alipay, staff: Made, decision: str, money: dict[str, int]
) -> None:
    seller, payout_id = stuck(till, alipay)
    alipay.now += timedelta(hours=25)
    alipay.meanwhile = [lambda: decide(till, staff, decision, Answer.MONEY_CASE_DECIDED)]
    assert outcome(till, payout_id) is None
    assert (alipay.paid, till.money(seller)) == ({}, money)
    assert (alipay.asked.count(TRANSFER), cases(till)) == (1, [("payout", "40004 PAYER_STATUS_ERROR", decision)])
    assert differences(till) == []


@pytest.mark.parametrize("decision", ["credit_back", "mark_paid"])
def test_staff_decide_nothing_where_a_job_asked_for_the_transfer_meanwhile(
    till: Bank, alipay: Alipay, staff: Made, decision: str
) -> None:
    seller, payout_id = stuck(till, alipay)
    alipay.now += timedelta(hours=25)
    alipay.answers, alipay.late = [refusal("SYSTEM_ERROR")], timedelta(hours=1)
    alipay.meanwhile = [lambda: outcome(till, payout_id)]
    refused = decide(till, staff, decision, Answer.MONEY_CASE_REFUSED)
    assert refused["reasons"] == ["这笔转账刚刚又请求了支付宝,请稍后再试"]
    assert till.money(seller) == UNDER_WAY
    alipay.now += timedelta(hours=1)
    assert outcome(till, payout_id) is None
    assert (till.money(seller), list(alipay.paid)) == (OUT, [till.row(payout_id).out_biz_no])


@pytest.mark.parametrize(("decision", "state"), [("credit_back", "failed"), ("mark_paid", "confirmed")])
def test_a_transfer_that_is_found_after_staff_decided_otherwise_is_a_case(
    till: Bank, alipay: Alipay, staff: Made, decision: str, state: str
) -> None:
    seller, payout_id = stuck(till, alipay)
    number = till.row(payout_id).out_biz_no
    alipay.now += timedelta(hours=25)

    def meanwhile() -> None:
        decide(till, staff, decision, Answer.MONEY_CASE_DECIDED)
        alipay.paid[number] = alipay.now

    alipay.meanwhile = [meanwhile]
    assert outcome(till, payout_id) is None
    assert till.row(payout_id).state == state
    assert cases(till) == [("payout", f"the gateway paid it after it was {state}: G{number}", None)]
    for again in ("retry", "mark_paid", "credit_back"):
        assert decide(till, staff, again, Answer.MONEY_CASE_REFUSED)["reasons"] == ["这笔提现已经有结果"]
    decide(till, staff, "dismiss", Answer.MONEY_CASE_DECIDED)
    assert till.money(seller) == (BACK if state == "failed" else OUT)


# --- never twice, never lost ---

_SUB_CODES = [*CODES[TRANSFER], "SOMETHING_NEW"]
_ANSWERS: st.SearchStrategy[dict[str, Any] | str | None] = st.one_of(
    st.sampled_from(_SUB_CODES).map(refusal),
    st.sampled_from(_SUB_CODES).map(refusal).map(unsigned),
    st.sampled_from(list(CODES["common"])).map(lambda code: refusal("isv.x", code)),
    st.none(),
    st.just("pays"),
)
_QUERY_ANSWERS = st.one_of(
    st.just("truth"), st.none(), st.sampled_from(["40006", "20000", "40002"]).map(lambda code: refusal("isv.x", code))
)
# When staff put the money back: not at all, after the job, while it asks; or they ask, and the job runs meanwhile.
_STAFF = [None, "after", "inside", "around"]
_STEPS = st.lists(
    st.tuples(_ANSWERS, _QUERY_ANSWERS, st.sampled_from([None, 1, 6, 23]), st.integers(0, 30), st.sampled_from(_STAFF)),
    min_size=1,
    max_size=7,
)


def test_the_seller_is_paid_once_or_has_his_money_whatever_the_gateway_answers(till: Bank, alipay: Alipay) -> None:
    @settings(max_examples=80)
    @given(_STEPS)
    def check(steps: list[tuple[Any, Any, int | None, int, str | None]]) -> None:
        alipay.now, alipay.paid = START, {}
        seller = till.seller()
        payout_id = till.payout(seller)
        number = till.row(payout_id).out_biz_no
        for answer, query, late, hours, staff_act in steps:
            alipay.answers = [] if answer == "pays" else [answer]
            alipay.queries = [] if query == "truth" else [query]
            alipay.late = None if late is None else timedelta(hours=late)
            if staff_act == "around":
                alipay.meanwhile = [lambda: outcome(till, payout_id)]
                put_back(payout_id)
            else:
                alipay.meanwhile = [lambda: put_back(payout_id)] if staff_act == "inside" else []
                outcome(till, payout_id)
            alipay.queries, alipay.meanwhile = [], []
            alipay.now += timedelta(hours=hours)
            if staff_act == "after":
                put_back(payout_id)
            assert_sound(number)
        # In the end the gateway tells the truth, and pays.
        alipay.now += timedelta(hours=48)
        alipay.answers, alipay.queries, alipay.late = [], [], None
        outcome(till, payout_id)
        state = assert_sound(number)
        assert state in ("confirmed", "failed")
        assert till.money(seller)["seller_available"] == (AVAILABLE if state == "failed" else AVAILABLE - 12000)

    def put_back(payout_id: int) -> None:
        with till.app.app_context():
            try:
                service.credit_payout_back(payout_id=payout_id, answer=service.ask_about_payout(payout_id=payout_id))
            except PayoutNotDecidable:
                db.session.rollback()

    def assert_sound(number: str) -> str:
        """Put back, and paid now or later: that must never be. Confirmed, and never paid: neither."""
        with till.app.app_context():
            statement = select(service.Payout.state).where(service.Payout.out_biz_no == number)
            state: str = db.session.scalars(statement).one()
        if state == "failed":
            assert number not in alipay.paid
        if state == "confirmed":
            assert alipay.paid[number] <= alipay.now
        return state

    check()
    assert differences(till) == []
