"""Suspended users: sessions end, logins are refused, goods leave the market; open orders go on."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.answers import Answer
from app.clock import format_moment, utcnow
from app.db.database import db
from app.goods.models import Good
from app.notifications.models import Notification
from app.orders.deadlines import fire_due
from app.orders.models import Order
from app.staff.models import StaffAction
from statemachine import GoodStatus, OrderPhase
from statemachine.order import PAID, RECEIVED, REFUNDED_UNSHIPPED, SHIPPED
from tasks.housekeeping import lift_ended_suspensions
from tests.accounts.steps import all_rows
from tests.factories import (
    PASSWORD,
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_address,
    make_good,
    make_user,
    whole_database,
)
from tests.goods.steps import FORM

WHY = {"reason": "多次发布假货"}


@pytest.fixture
def staff(app: Flask, client: FlaskClient) -> Made:
    return make_user(app, "kefu", staff=True)


def post(app: Flask, actor: Made, verb: str, user: Made, body: Any = WHY, **headers: str) -> TestResponse:
    url = f"/api/staff/{verb}/{user.id}/"
    return app.test_client().post(url, json=body, headers={**auth_headers(app, actor), **headers})


def log_in(app: Flask, user: Made, password: str = PASSWORD) -> TestResponse:
    return app.test_client().post("/login/", json={"username": user.username, "password": password})


def on_sale(app: Flask) -> list[int]:
    data = app.test_client().get("/api/goods/?size=100").get_json()["data"]
    return sorted(each["id"] for each in data["items"])


def recorded(app: Flask) -> list[tuple[Any, ...]]:
    columns = (StaffAction.actor_id, StaffAction.action, StaffAction.subject, StaffAction.subject_id)
    with app.app_context(), db.engine.connect() as connection:
        statement = select(*columns, StaffAction.reason, StaffAction.details).order_by(StaffAction.id)
        return [tuple(row) for row in connection.execute(statement)]


def test_suspended_and_let_in_again(app: Flask, client: FlaskClient, staff: Made) -> None:
    user, other = make_user(app, "laowang"), make_user(app)
    first, second = make_good(app, user), make_good(app, user)
    waiting = make_good(app, user, status=GoodStatus.IN_REVIEW)
    theirs = make_good(app, other)
    down = make_good(app, user, taken_down=True, takedown_cause="staff")
    tokens = assert_envelope(log_in(app, user), Answer.LOGGED_IN)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert_envelope(client.get("/api/user/", headers=headers), Answer.USER_FOUND)

    data = assert_envelope(post(app, staff, "suspend_user", user), Answer.USER_SUSPENDED)
    since = data["suspension"].pop("since")
    assert data == {
        "id": user.id,
        "username": "laowang",
        "nickname": None,
        "avatar": None,
        "is_staff": False,
        "staff_roles": [],
        "created_at": format_moment(user.created_at),
        "suspension": {"reason": "多次发布假货", "until": None},
    }
    details = {"until": None, "goods": 3}
    assert recorded(app) == [(staff.id, "suspend_user", "user", user.id, "多次发布假货", details)]

    # Sessions end, also their refresh tokens; the login says why, to who knows the password.
    assert_envelope(client.get("/api/user/", headers=headers), Answer.TOKEN_REVOKED)
    refresh = {"Authorization": f"Bearer {tokens['refresh_token']}"}
    assert_envelope(client.post("/api/token_refresh/", headers=refresh), Answer.TOKEN_REVOKED)
    told = assert_envelope(log_in(app, user), Answer.ACCOUNT_SUSPENDED)
    assert told == {"reason": "多次发布假货", "since": since, "until": None}
    assert_envelope(log_in(app, user, "wrong-password-1"), Answer.WRONG_CREDENTIALS)
    # The goods are gone, those of others are not.
    assert on_sale(app) == [theirs.id]
    for good in (first, second, waiting, down):
        assert_envelope(client.get(f"/api/good/{good.id}/"), Answer.NO_SUCH_GOOD)
    listed = client.get("/api/staff/users/?suspended=1", headers=auth_headers(app, staff)).get_json()["data"]
    assert [each["username"] for each in listed["items"]] == ["laowang"]

    lifted = assert_envelope(
        post(app, staff, "lift_suspension", user, {"reason": "申诉成立"}), Answer.SUSPENSION_LIFTED
    )
    assert lifted["suspension"] is None
    details = {"goods": 3}
    assert recorded(app)[1:] == [(staff.id, "lift_suspension", "user", user.id, "申诉成立", details)]
    assert on_sale(app) == [first.id, second.id, theirs.id]
    with app.app_context():
        back = db.session.get_one(Good, waiting.id)
        assert (back.status, back.taken_down) == (GoodStatus.IN_REVIEW, False)
        assert db.session.get_one(Good, down.id).takedown_cause == "staff"
    # The old sessions stay ended; a new one begins.
    assert_envelope(client.get("/api/user/", headers=headers), Answer.TOKEN_REVOKED)
    assert_envelope(log_in(app, user), Answer.LOGGED_IN)


def test_again_changes_nothing_but_another_time_or_reason(app: Flask, client: FlaskClient, staff: Made) -> None:
    user = make_user(app)
    make_good(app, user)
    until = format_moment(utcnow() + timedelta(days=7))
    body = {**WHY, "until": until}
    first = assert_envelope(post(app, staff, "suspend_user", user, body), Answer.USER_SUSPENDED)
    assert first["suspension"]["until"] == until
    before = whole_database(app)
    assert assert_envelope(post(app, staff, "suspend_user", user, body), Answer.USER_SUSPENDED) == first
    after = whole_database(app)
    assert {name for name in after if after[name] != before[name]} <= {"sessions", "staff_reads"}
    longer = assert_envelope(post(app, staff, "suspend_user", user), Answer.USER_SUSPENDED)
    assert (longer["suspension"]["until"], len(recorded(app))) == (None, 2)
    assert recorded(app)[1][5]["goods"] == 0
    for _ in range(2):
        assert_envelope(post(app, staff, "lift_suspension", user), Answer.SUSPENSION_LIFTED)
    assert [each[1] for each in recorded(app)] == ["suspend_user", "suspend_user", "lift_suspension"]


def test_when_the_time_is_over(app: Flask, client: FlaskClient, staff: Made) -> None:
    user = make_user(app)
    good = make_good(app, user)
    body = {**WHY, "until": format_moment(utcnow() + timedelta(hours=1))}
    assert_envelope(post(app, staff, "suspend_user", user, body), Answer.USER_SUSPENDED)
    with app.app_context():
        lift_ended_suspensions()
    assert_envelope(log_in(app, user), Answer.ACCOUNT_SUSPENDED)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(User).where(User.id == user.id).values(suspended_until=utcnow()))
    # The login does not wait for the sweep, which brings back the goods.
    assert_envelope(log_in(app, user), Answer.LOGGED_IN)
    assert on_sale(app) == []
    for _ in range(2):
        with app.app_context():
            lift_ended_suspensions()
        assert on_sale(app) == [good.id]
    ended = (None, "lift_suspension", "user", user.id, "停用期满", {"goods": 1})
    assert recorded(app)[1:] == [ended]


@pytest.mark.parametrize(
    ("suspended", "phase", "end"),
    [
        # The seller cannot ship: the buyer gets the money back. The buyer cannot confirm: receipt is assumed.
        ("seller", PAID, REFUNDED_UNSHIPPED),
        ("buyer", SHIPPED, RECEIVED),
    ],
)
def test_open_orders_go_on_by_their_deadlines(
    app: Flask, client: FlaskClient, staff: Made, suspended: str, phase: OrderPhase, end: OrderPhase
) -> None:
    people = {"seller": make_user(app), "buyer": make_user(app)}
    order = lead_order(app, make_good(app, people["seller"]), people["buyer"], phase=phase)
    before = client.get(
        f"/api/order/{order.id}/", headers=auth_headers(app, people["buyer" if suspended == "seller" else "seller"])
    ).get_json()["data"]
    assert_envelope(post(app, staff, "suspend_user", people[suspended]), Answer.USER_SUSPENDED)
    other = auth_headers(app, people["buyer" if suspended == "seller" else "seller"])
    seen = client.get(f"/api/order/{order.id}/", headers=other).get_json()["data"]
    assert (seen["deadline"], seen["actions"]) == (before["deadline"], before["actions"])
    with app.app_context():
        with db.engine.begin() as connection:
            connection.execute(update(Order).where(Order.id == order.id).values(deadline_at=utcnow(), remind_at=None))
        assert fire_due(limit=10) == 1
        assert db.session.get_one(Order, order.id).phase == end


def test_the_other_side_of_an_open_order_acts_as_ever(app: Flask, client: FlaskClient, staff: Made) -> None:
    seller, buyer = make_user(app), make_user(app)
    order = lead_order(app, make_good(app, seller), buyer, phase=PAID)
    assert_envelope(post(app, staff, "suspend_user", buyer), Answer.USER_SUSPENDED)
    parcel = {"address_id": make_address(app, seller).id, "company": "顺丰速运", "tracking_no": "SF1234567890"}
    shipped = client.post(f"/api/seller_send_delivery/{order.id}/", json=parcel, headers=auth_headers(app, seller))
    assert_envelope(shipped, Answer.ORDER_SHIPPED)


def test_staff_restore_a_good_of_somebody_suspended(app: Flask, client: FlaskClient, staff: Made) -> None:
    """It returns with its owner, not before."""
    user = make_user(app)
    good = make_good(app, user)
    headers = auth_headers(app, staff)
    client.post(f"/api/staff/take_down_good/{good.id}/", json=WHY, headers=headers)
    assert_envelope(post(app, staff, "suspend_user", user), Answer.USER_SUSPENDED)
    restored = client.post(f"/api/staff/restore_good/{good.id}/", json=WHY, headers=headers)
    data = assert_envelope(restored, Answer.GOOD_RESTORED)
    assert (data["taken_down"], data["takedown_cause"]) == (True, "suspension")
    assert on_sale(app) == []
    assert [row["event"] for row in all_rows(app, Notification)] == ["take_down"]  # nothing says that it is back
    # And the other way round: what staff take down stays away.
    other = make_good(app, user, taken_down=True, takedown_cause="suspension")
    client.post(f"/api/staff/take_down_good/{other.id}/", json=WHY, headers=headers)
    assert_envelope(post(app, staff, "lift_suspension", user), Answer.SUSPENSION_LIFTED)
    assert on_sale(app) == [good.id]


def test_a_release_that_was_under_way_is_refused(app: Flask, client: FlaskClient, staff: Made) -> None:
    """Its token was read before the suspension, which the release waits for."""
    user = make_user(app)
    with app.app_context(), db.engine.begin() as connection:
        values = {"suspended_at": utcnow(), "suspension_reason": "违规"}
        connection.execute(update(User).where(User.id == user.id).values(**values))
    before = whole_database(app)["goods"]
    response = client.post("/api/good_release/", json=FORM, headers=auth_headers(app, user))
    assert assert_envelope(response, Answer.ACCOUNT_SUSPENDED)["reason"] == "违规"
    assert whole_database(app)["goods"] == before


def test_what_is_refused(app: Flask, client: FlaskClient, staff: Made) -> None:
    user, colleague = make_user(app), make_user(app, staff=True)
    before = whole_database(app)
    assert_envelope(post(app, user, "suspend_user", colleague), Answer.FORBIDDEN)
    assert_envelope(post(app, staff, "suspend_user", colleague), Answer.FORBIDDEN)
    assert_envelope(post(app, staff, "suspend_user", staff), Answer.FORBIDDEN)
    for verb in ("suspend_user", "lift_suspension"):
        assert_envelope(post(app, staff, verb, Made(999, {})), Answer.NO_SUCH_USER)
        assert list(assert_envelope(post(app, staff, verb, user, {}), Answer.MALFORMED)["errors"]) == ["reason"]
    for until in ("tomorrow", 1, "2026-11-30", "2026-11-30T00:00:00", format_moment(utcnow()), "2999-01-01T00:00:00Z"):
        refused = post(app, staff, "suspend_user", user, {**WHY, "until": until})
        assert list(assert_envelope(refused, Answer.MALFORMED)["errors"]) == ["until"]
    after = whole_database(app)
    assert {name for name in after if after[name] != before[name]} <= {"sessions", "staff_reads"}


def flask_user(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["user", *arguments])
    return result.exit_code, result.output


def test_by_command(app: Flask, client: FlaskClient, staff: Made) -> None:
    user = make_user(app, "Laowang")
    good = make_good(app, user)
    day = f"{utcnow() + timedelta(days=3):%Y-%m-%d}"
    code, output = flask_user(app, "suspend", "laowang", "--reason", "假货", "--until", day)
    assert (code, output) == (0, f"laowang is suspended until {day}T00:00:00+08:00\n")
    assert_envelope(log_in(app, user), Answer.ACCOUNT_SUSPENDED)
    head, line = flask_user(app, "list")[1].splitlines()
    assert head.split() == ["id", "username", "since", "until", "reason"]
    assert [line.split()[index] for index in (0, 1, 3, 4)] == [
        *(str(user.id), "Laowang", f"{day}T00:00:00+08:00", "假货")
    ]
    assert flask_user(app, "suspend", "laowang", "--reason", "假货")[1] == "laowang is suspended for good\n"
    assert flask_user(app, "lift", "laowang", "--reason", "申诉成立") == (0, "laowang is not suspended\n")
    assert len(flask_user(app, "list")[1].splitlines()) == 1
    assert on_sale(app) == [good.id]
    assert [each[:2] for each in recorded(app)] == [
        *((None, "suspend_user"), (None, "suspend_user"), (None, "lift_suspension"))
    ]
    for arguments, told in (
        (("suspend", "nobody", "--reason", "假货"), "there is no user nobody"),
        (("lift", "nobody", "--reason", "假货"), "there is no user nobody"),
        (("suspend", "kefu", "--reason", "假货"), "kefu is staff: remove them from staff first"),
    ):
        assert flask_user(app, *arguments) == (1, f"Error: {told}\n")
    assert flask_user(app, "suspend", "laowang", "--reason", "假货", "--until", "2020-01-01")[0] == 2
    assert flask_user(app, "suspend", "laowang")[0] == 2
