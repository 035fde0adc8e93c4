"""Every cell over HTTP: each legal phase × each action that the API serves × buyer, seller and stranger.

What is allowed, and what an action does, is in `tests.orders.table`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.answers import Answer
from app.ledger.audit import audit
from statemachine import OrderPhase, Role, TradeMode
from statemachine.order import PAID, RECEIVED, REFUND_REQUESTED_SHIPPED, RETURN_SENT, SHIPPED
from tests.applications import KeptContents
from tests.factories import (
    SNAPSHOT,
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_user,
    whole_database,
)
from tests.orders.steps import LEFT, RESUMABLE, Database, assert_done, only
from tests.orders.table import (
    ACTIONS,
    BUYER,
    CONCESSIONS,
    EFFECTS,
    FACE_TO_FACE,
    OFFERED,
    OFFERED_DISPUTED,
    PARCEL,
    PHASES,
    REFUND_PHASES,
    RENEW_URL,
    ROLES,
    SELLER,
    STRANGER,
    Effect,
    name_of,
)


class Market(NamedTuple):
    app: Flask
    client: FlaskClient
    kept: KeptContents
    people: dict[str, Made]
    address: Made

    def do(self, action: str, role: str, order: Made, **body: Any) -> TestResponse:
        """Let somebody do it, with the right body."""
        address = {"address_id": self.address.id} if action == "ship" else {}
        return self.client.post(
            ACTIONS[action].url.format(id=order.id),
            json={**ACTIONS[action].body, **address, **body},
            headers=auth_headers(self.app, self.people[role]),
        )

    def order_at(self, phase: OrderPhase, mode: TradeMode = TradeMode.COURIER, **options: Any) -> Made:
        """A new order that went its way to `phase`, the only one in the market."""
        if phase in RESUMABLE:
            options["clock_left"] = LEFT

        def lead() -> Made:
            good = make_good(self.app, self.people[SELLER], trade_mode=mode)
            return lead_order(self.app, good, self.people[BUYER], phase=phase, **options)

        return self.kept.begin_with((phase, mode, *options.items()), lead)

    def refused(self, answers: Mapping[str, Answer], act: Callable[[str], TestResponse]) -> dict[str, Any]:
        """Let each side `act`: it gets its answer, and nothing changes. The data of each refusal."""
        before = whole_database(self.app)
        refusals = {}
        for role, answer in answers.items():
            refusals[role] = assert_envelope(act(role), answer)
            assert whole_database(self.app) == before, role
        return refusals

    def differences(self) -> list[str]:
        """What `flask ledger audit` would name."""
        with self.app.app_context():
            return [str(difference) for difference in audit()]


@pytest.fixture
def market(app: Flask, client: FlaskClient, kept: KeptContents) -> Market:
    def settle() -> tuple[dict[str, Made], Made]:
        people = {role: make_user(app, role) for role in ROLES}
        return people, make_address(app, people[SELLER], is_default=True)

    return Market(app, client, kept, *kept.begin_with("people", settle))


def assert_action_done(before: Database, after: Database, action: str, role: str, effect: Effect) -> None:
    note = ACTIONS[action].body.get("reason", "")
    assert_done(before, after, effect, event=ACTIONS[action].event, role=role, note=note)


CELLS = [(action, role, phase) for (action, phase), effect in EFFECTS.items() for role in effect.by]


@pytest.mark.parametrize(
    ("action", "role", "phase"), CELLS, ids=[f"{action}-{role}-{name_of(phase)}" for action, role, phase in CELLS]
)
def test_allowed(market: Market, action: str, role: str, phase: OrderPhase) -> None:
    effect = EFFECTS[action, phase]
    order = market.order_at(phase)
    before = whole_database(market.app)
    data = assert_envelope(market.do(action, role, order), ACTIONS[action].answer)
    assert (data["bill_status"], data["order_status"], data["closed"]) == effect.target
    after = whole_database(market.app)
    assert_action_done(before, after, action, role, effect)
    assert only(after["orders"])["disputed"] is (action in ("dispute", "contest"))
    assert only(after["orders"])["extended"] is (action == "extend")
    assert only(after["orders"])["refund_count"] == order.refund_count + (action == "request")
    assert market.differences() == []


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("phase", PHASES, ids=name_of)
def test_refused(market: Market, phase: OrderPhase, action: str) -> None:
    """Everybody whom the table does not name; each refusal says why, and changes nothing."""
    effect = EFFECTS.get((action, phase))
    doers = effect.by if effect else ()
    # The URL of the seller's handover fires what the buyer does after shipping.
    elsewhere = EFFECTS.get(("receive", phase)) if action == "hand_over" else None
    order = market.order_at(phase)
    answer = Answer.FORBIDDEN if doers or elsewhere else Answer.WRONG_STATE
    answers = {role: silent_answer(action, role) or answer for role in ROLES if role not in doers}
    refusals = market.refused(answers, lambda role: market.do(action, role, order))
    for role, data in refusals.items():
        assert_refusal(data, action, role, phase, OFFERED)


def silent_answer(action: str, role: str) -> Answer | None:
    """How somebody is refused whom the order is hidden from, or who may not do this to any order."""
    if role == STRANGER:
        return Answer.NO_SUCH_ORDER
    return Answer.FORBIDDEN if (action, role) == ("hand_over", BUYER) else None


def assert_refusal(data: Any, action: str, role: str, phase: OrderPhase, offered: Any) -> None:
    """A refusal tells where the order stands and what can be done instead, unless it is a silent one."""
    if silent_answer(action, role):
        assert data is None
        return
    buttons = offered[phase][ROLES.index(role)]
    assert data["reasons"]
    assert {name: data[name] for name in ("event", "bill_status", "order_status", "closed", "allowed")} == {
        "event": ACTIONS[action].event,
        "bill_status": phase.bill,
        "order_status": phase.goods,
        "closed": phase.closed,
        "allowed": [each for each in buttons if each not in ("pay", "hide", "state_case")],
    }


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("phase", REFUND_PHASES, ids=name_of)
def test_disputed(market: Market, phase: OrderPhase, action: str) -> None:
    """While staff are called a side may only give in; that ends the dispute."""
    disputer = Role.SELLER if phase == RETURN_SENT else Role.BUYER
    order = market.order_at(phase, disputed_by=disputer)
    effect = EFFECTS.get((action, phase))
    assert (order.deadline_at, order.disputed) == (None, True)
    before = whole_database(market.app)
    doers = effect.by if effect else ()
    concede = [role for role in doers if (action, role) in CONCESSIONS]
    usual = Answer.FORBIDDEN if effect else Answer.WRONG_STATE
    answers = {
        role: silent_answer(action, role) or (Answer.WRONG_STATE if role in doers else usual)
        for role in ROLES
        if role not in concede
    }
    refusals = market.refused(answers, lambda role: market.do(action, role, order))
    for role, data in refusals.items():
        assert_refusal(data, action, role, phase, OFFERED_DISPUTED)
        if role in doers:
            assert data["reasons"] == ["订单有争议,等待平台客服处理"]
    for role in concede:
        assert effect is not None
        assert_envelope(market.do(action, role, order), ACTIONS[action].answer)
        after = whole_database(market.app)
        assert_action_done(before, after, action, role, effect._replace(writes=(*effect.writes, "disputes")))
        assert only(after["orders"])["disputed"] is False
        dispute = only(after["disputes"])
        assert (dispute["outcome"], dispute["ended_at"]) == (ACTIONS[action].event, only(after["orders"])["updated_at"])
        assert market.differences() == []


@pytest.mark.parametrize(("action", "role", "phase"), [(d, r, p) for (d, p), e in FACE_TO_FACE.items() for r in e.by])
def test_face_to_face(market: Market, action: str, role: str, phase: OrderPhase) -> None:
    order = market.order_at(phase, TradeMode.FACE_TO_FACE)
    before = whole_database(market.app)
    body = {"code": order.handover_code} if action == "hand_over" else {}
    data = assert_envelope(market.do(action, role, order, **body), ACTIONS[action].answer)
    assert (data["bill_status"], data["order_status"], data["closed"]) == (3, 8, False)
    after = whole_database(market.app)
    assert_action_done(before, after, action, role, FACE_TO_FACE[action, phase])
    assert only(after["orders"])["handover_code"] is None
    assert market.differences() == []


@pytest.mark.parametrize(
    ("action", "role", "answer", "reasons"),
    [
        ("receive", SELLER, Answer.WRONG_STATE, ["交货码有误"]),
        ("ship", SELLER, Answer.WRONG_STATE, ["当面交易的订单不需要发货"]),
        ("ship", BUYER, Answer.FORBIDDEN, ["只有卖家可以发货"]),
        ("extend", BUYER, Answer.WRONG_STATE, ["订单当前为“已付款”,不能延长收货时间"]),
    ],
)
def test_face_to_face_refused(market: Market, action: str, role: str, answer: Answer, reasons: list[str]) -> None:
    order = market.order_at(PAID, TradeMode.FACE_TO_FACE)
    before = whole_database(market.app)
    assert assert_envelope(market.do(action, role, order), answer)["reasons"] == reasons
    assert whole_database(market.app) == before


def test_a_courier_order_is_not_handed_over(market: Market) -> None:
    order = market.order_at(PAID)
    before = whole_database(market.app)
    for action, role, reasons in (
        ("receive", BUYER, ["卖家发货后才能确认收货"]),
        ("hand_over", SELLER, ["卖家发货后才能确认收货", "交货码有误"]),
    ):
        assert assert_envelope(market.do(action, role, order), Answer.WRONG_STATE)["reasons"] == reasons
    assert whole_database(market.app) == before


RENEWALS = [
    (mode, phase)
    for mode in (TradeMode.COURIER, TradeMode.FACE_TO_FACE)
    for phase in PHASES
    if mode == TradeMode.COURIER or phase.goods != 7  # what is handed over is not shipped
]


@pytest.mark.parametrize(("mode", "phase"), RENEWALS, ids=[f"{mode.name}-{name_of(phase)}" for mode, phase in RENEWALS])
def test_renewing_the_handover_code(market: Market, mode: TradeMode, phase: OrderPhase) -> None:
    order = market.order_at(phase, mode)

    def renew(role: str) -> TestResponse:
        return market.client.post(RENEW_URL.format(id=order.id), headers=auth_headers(market.app, market.people[role]))

    refusals = market.refused({STRANGER: Answer.NO_SUCH_ORDER, SELLER: Answer.FORBIDDEN}, renew)
    assert refusals == {STRANGER: None, SELLER: None}
    if (mode, phase) == (TradeMode.FACE_TO_FACE, PAID):
        # The one who may, where it may be: see test_handover.py.
        assert_envelope(renew(BUYER), Answer.HANDOVER_CODE_MADE)
    else:
        [data] = market.refused({BUYER: Answer.WRONG_STATE}, renew).values()
        assert data["reasons"] == ["订单没有待使用的交货码"]


def test_at_most_three_requests(market: Market) -> None:
    order = market.order_at(RECEIVED)
    for _ in range(3):
        assert_envelope(market.do("request", BUYER, order), Answer.REFUND_REQUESTED)
        assert_envelope(market.do("reject", SELLER, order), Answer.REFUND_REJECTED)
    before = whole_database(market.app)
    data = assert_envelope(market.do("request", BUYER, order), Answer.WRONG_STATE)
    assert (data["reasons"], data["allowed"]) == (["每个订单最多申请 3 次退款"], [])
    assert whole_database(market.app) == before
    assert [each["outcome"] for each in before["refund_requests"]] == ["reject_refund"] * 3
    assert {each["outcome_note"] for each in before["refund_requests"]} == {"商品与描述一致"}
    assert market.differences() == []


def test_the_receipt_is_extended_once(market: Market) -> None:
    order = market.order_at(SHIPPED)
    assert_envelope(market.do("extend", BUYER, order), Answer.RECEIPT_EXTENDED)
    before = whole_database(market.app)
    data = assert_envelope(market.do("extend", BUYER, order), Answer.WRONG_STATE)
    assert data["reasons"] == ["收货时间只能延长一次"]
    assert data["allowed"] == ["receive", "request_refund"]
    assert whole_database(market.app) == before


def test_two_disputes_one_after_the_other(market: Market) -> None:
    """A dispute that ended is over; the next request can be disputed again, by the other side too."""
    order = market.order_at(REFUND_REQUESTED_SHIPPED)
    assert_envelope(market.do("dispute", BUYER, order), Answer.DISPUTE_RAISED)
    assert_envelope(market.do("withdraw", BUYER, order), Answer.REFUND_WITHDRAWN)
    assert_envelope(market.do("request", BUYER, order), Answer.REFUND_REQUESTED)
    assert_envelope(market.do("dispute", SELLER, order), Answer.DISPUTE_RAISED)
    detail = market.client.get(f"/api/order/{order.id}/", headers=auth_headers(market.app, market.people[SELLER]))
    data = assert_envelope(detail, Answer.ORDER_FOUND)
    assert data["disputed"] is True
    assert [(each["role"], each["reason"], each["outcome"], each["outcome_text"]) for each in data["disputes"]] == [
        ("buyer", "协商不成", "withdraw_refund", "撤回退款申请"),
        ("seller", "协商不成", None, None),
    ]


def test_what_has_ended_keeps_its_outcome(market: Market) -> None:
    """A later request, and a later dispute, end with their own outcome, and the one before keeps its own."""
    order = market.order_at(SHIPPED)
    for action, role in (
        *(("request", BUYER), ("dispute", BUYER), ("withdraw", BUYER)),
        *(("request", BUYER), ("reject", SELLER), ("request", BUYER)),
        *(("dispute", SELLER), ("approve", SELLER)),
    ):
        assert_envelope(market.do(action, role, order), ACTIONS[action].answer)
    headers = auth_headers(market.app, market.people[BUYER])
    data = assert_envelope(market.client.get(f"/api/order/{order.id}/", headers=headers), Answer.ORDER_FOUND)
    assert [(each["outcome"], each["outcome_note"]) for each in data["refund_requests"]] == [
        ("withdraw_refund", ""),
        ("reject_refund", "商品与描述一致"),
        ("approve_refund", ""),
    ]
    assert [each["outcome"] for each in data["disputes"]] == ["withdraw_refund", "approve_refund"]
    assert market.differences() == []


def test_snapshot_is_the_waybills_recipient(market: Market) -> None:
    order = market.order_at(PAID)
    headers = auth_headers(market.app, market.people[SELLER])
    data = assert_envelope(market.do("ship", SELLER, order), Answer.ORDER_SHIPPED)
    assert data["delivery"]["recipient"] == SNAPSHOT
    assert data["delivery"]["sender"] == SNAPSHOT
    assert (data["delivery"]["company"], data["delivery"]["tracking_no"]) == tuple(PARCEL.values())
    # Where the seller lives from now on is of no matter to what was shipped.
    moved = market.client.patch(f"/api/address/{market.address.id}/", json={"detail": "别处 1 号"}, headers=headers)
    assert assert_envelope(moved, Answer.ADDRESS_EDITED)["detail"] == "别处 1 号"
    later = assert_envelope(market.client.get(f"/api/order/{order.id}/", headers=headers), Answer.ORDER_FOUND)
    assert later["delivery"] == data["delivery"]


def test_a_return_goes_back_to_where_it_was_shipped_from(market: Market) -> None:
    order = market.order_at(PAID)
    headers = auth_headers(market.app, market.people[SELLER])
    moved = market.client.patch(f"/api/address/{market.address.id}/", json={"detail": "别处 1 号"}, headers=headers)
    assert_envelope(moved, Answer.ADDRESS_EDITED)
    for action, role in (("ship", SELLER), ("receive", BUYER), ("request", BUYER)):
        assert_envelope(market.do(action, role, order), ACTIONS[action].answer)
    data = assert_envelope(market.do("send_back", BUYER, order), Answer.RETURN_SENT)
    assert data["return_delivery"]["recipient"] == {**SNAPSHOT, "detail": "别处 1 号"}
    assert data["return_delivery"]["sender"] == SNAPSHOT


@pytest.mark.parametrize("phase", PHASES, ids=name_of)
def test_hiding(market: Market, phase: OrderPhase) -> None:
    order = market.order_at(phase)

    def hide(role: str) -> TestResponse:
        headers = auth_headers(market.app, market.people[role])
        return market.client.delete(f"/api/edit_order/{order.id}/", headers=headers)

    assert market.refused({STRANGER: Answer.NO_SUCH_ORDER}, hide) == {STRANGER: None}
    if not (phase.closed or phase == RECEIVED):
        for data in market.refused(dict.fromkeys((BUYER, SELLER), Answer.WRONG_STATE), hide).values():
            assert data["reasons"] == ["订单尚未结束"]
        return
    for role in (BUYER, SELLER):
        before = whole_database(market.app)
        assert assert_envelope(hide(role), Answer.ORDER_HIDDEN) is None
        hidden = only(whole_database(market.app)["orders"])
        assert hidden == {**only(before["orders"]), f"hidden_by_{role}": True}
