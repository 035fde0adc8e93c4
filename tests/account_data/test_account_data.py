"""What is kept about a user as one document, and the end of an account: what goes, what stays, what prevents it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.account_data.service import DELETED_NAME, delete_account_for_user
from app.accounts import service as accounts
from app.accounts.models import Address, LoginSession, User
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import rows, transaction
from app.goods.models import Good, Picture
from app.goods.service import lock_good
from app.idempotency import IdempotencyKey
from app.ledger.audit import audit
from app.ledger.models import LedgerAccount
from app.notifications.models import Notification
from app.orders.models import Dispute, EvidencePicture, Order, RefundRequest, Waybill
from app.orders.service import buy_good
from app.outbox.models import OutboxMessage, Topic
from app.profiles.service import edit_profile
from app.recovery.models import OneTimeCode, RecoveryChannel
from app.wallet.models import Payout
from statemachine import GoodStatus, TradeMode
from statemachine.order import CANCELLED, PAID, REFUNDED_RECEIVED, SETTLED
from tasks.relay import relay_once
from tests.accounts.steps import all_rows, bearer, log_in, register, session_of
from tests.factories import (
    PASSWORD,
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    whole_database,
)
from tests.moderation.steps import waiting_for_locks
from tests.money.sandbox_server import eventually
from tests.recovery.test_recovery import add_channel

OWN = "/api/user/"
EXPORT = "/api/user/export/"
RIGHT = {"password": PASSWORD}


@pytest.fixture
def alice(app: Flask, clean: None) -> Made:
    return make_user(app, "alice")


@pytest.fixture
def bob(app: Flask, clean: None) -> Made:
    return make_user(app, "bob")


def delete(app: Flask, client: FlaskClient, user: Made, **fields: Any) -> Any:
    return client.delete(OWN, json=RIGHT | fields, headers=auth_headers(app, user))


def refunded(app: Flask, buyer: Made, seller: Made) -> Made:
    """An order that is over, with a parcel, the buyer's words, and no money left."""
    return lead_order(app, make_good(app, seller, title="台灯"), buyer, phase=REFUNDED_RECEIVED)


def notify(app: Flask) -> None:
    with app.app_context():
        while relay_once():
            pass


def test_all_that_is_kept_is_told(app: Flask, client: FlaskClient, alice: Made, bob: Made) -> None:
    order = refunded(app, alice, bob)
    good = make_good(app, alice, title="吉他", description="民谣吉他,送拨片。")
    add_channel(app, alice)
    notify(app)
    tokens = session_of(client, "alice")
    data = assert_envelope(client.get(EXPORT, headers=bearer(tokens["access_token"])), Answer.ACCOUNT_EXPORTED)
    assert data["profile"]["username"] == "alice"
    assert data["recovery"]["email"]["address"] == "a***@example.com"
    assert [each["name"] for each in data["addresses"]] == ["王小明"]
    assert [(each["id"], each["title"], each["description"]) for each in data["goods"]] == [
        (good.id, "吉他", "民谣吉他,送拨片。")
    ]
    [bought] = data["orders"]
    assert (bought["order_no"], bought["role"], bought["closed"]) == (order.order_no, "buyer", True)
    assert bought["address"]["mobile"] == "13800138000"
    assert [(each["step"], each["order_no"]) for each in data["words"]] == [("request_refund", order.order_no)]
    assert "与描述不符" in data["words"][0]["text"]
    assert len(data["notifications"]) == len([row for row in all_rows(app, Notification) if row["user_id"] == alice.id])
    assert [each["ended_at"] for each in data["sessions"]] == [None, None]
    assert (data["money"], data["withdrawals"], data["cut"]) == ([], [], [])
    theirs = assert_envelope(client.get(EXPORT, headers=auth_headers(app, bob)), Answer.ACCOUNT_EXPORTED)
    assert [(each["role"], each["address"]) for each in theirs["orders"]] == [("seller", None)]
    assert theirs["words"] == []


def test_what_belongs_to_orders_and_what_staff_did_is_told_to_its_side_alone(
    app: Flask, client: FlaskClient, alice: Made, bob: Made
) -> None:
    order = refunded(app, alice, bob)
    good = make_good(app, alice)
    whose = app.test_cli_runner().invoke(args=["user", "reset-code", "alice", "--reason", "来函核实"])
    assert whose.exit_code == 0
    file = {"sha256": "0" * 64, "content_type": "image/jpeg", "size": 1, "width": 1, "height": 1}
    with app.app_context(), transaction() as session:
        [asked] = session.scalars(select(RefundRequest.id)).all()
        session.add(Picture(good_id=good.id, position=1, **file))
        session.add(Picture(good_id=good.id, position=None, **file))  # an edit took it off
        session.add(EvidencePicture(order_id=order.id, refund_request_id=asked, uploader_id=alice.id, **file))
        session.add(Waybill(order_id=order.id, direction="return", company="顺丰速运", tracking_no="SF1"))
        session.add(
            Dispute(
                order_id=order.id,
                raised_by=alice.id,
                role="buyer",
                event="dispute",
                reason="与描述不符",
                statements=[
                    {"role": role, "text": f"{role} 的陈述", "at": utcnow().isoformat()} for role in ("buyer", "seller")
                ],
                created_at=utcnow(),
                outcome="resolve_for_buyer",
                ended_at=utcnow(),
            )
        )
        session.flush()
        # One end of each parcel is whose it is.
        for parcel in session.scalars(select(Waybill)):
            ends = ("sender", "recipient") if parcel.direction == "delivery" else ("recipient", "sender")
            for end, name in zip(ends, ("seller", "buyer"), strict=True):
                setattr(parcel, end, {**(getattr(parcel, end) or {}), "name": name})
    data, theirs = (
        assert_envelope(client.get(EXPORT, headers=auth_headers(app, user)), Answer.ACCOUNT_EXPORTED)
        for user in (alice, bob)
    )
    with app.app_context():
        pictures = [row.id for row in rows(select(Picture.id).where(Picture.good_id == good.id).order_by(Picture.id))]
        [evidence] = [row.id for row in rows(select(EvidencePicture.id))]
    assert [each["pictures"] for each in data["goods"]] == [[f"/api/pic/{picture_id}/" for picture_id in pictures]]
    assert len(pictures) >= 2
    assert [(each["order_no"], each["url"]) for each in data["evidence"]] == [
        (order.order_no, f"/api/evidence/{evidence}/")
    ]
    amount = f"{order.amount / 100:.2f}"
    assert [(each["order_no"], each["amount"], each["state"]) for each in data["payments"]] == [
        (order.order_no, amount, "paid")
    ]
    assert [(each["order_no"], each["amount"]) for each in data["refunds"]] == [(order.order_no, amount)]
    assert [(each["action"], each["subject_id"], each["reason"]) for each in data["staff_actions"]] == [
        ("issue_reset_code", alice.id, "来函核实")
    ]
    for parcels, own in ((data["parcels"], "buyer"), (theirs["parcels"], "seller")):
        assert [(each["direction"], each["address"]["name"]) for each in parcels] == [
            ("delivery", own),
            ("return", own),
        ]
    for found, own in ((data, "buyer"), (theirs, "seller")):
        assert [each["text"] for each in found["words"] if each["step"] == "statement"] == [f"{own} 的陈述"]
    for name in ("evidence", "payments", "refunds", "staff_actions"):
        assert theirs[name] == [], name


def test_an_export_is_as_long_as_memory_bears(
    app: Flask, client: FlaskClient, alice: Made, bob: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods = [make_good(app, alice) for _ in range(3)]
    monkeypatch.setattr("app.account_data.queries.MOST_LINES", 2)
    data = assert_envelope(client.get(EXPORT, headers=auth_headers(app, alice)), Answer.ACCOUNT_EXPORTED)
    assert ([each["id"] for each in data["goods"]], data["cut"]) == ([goods[1].id, goods[2].id], ["goods"])


def test_a_sellers_money_is_told_with_its_sign(app: Flask, client: FlaskClient, alice: Made, bob: Made) -> None:
    order = lead_order(app, make_good(app, bob), alice, phase=SETTLED)
    data = assert_envelope(client.get(EXPORT, headers=auth_headers(app, bob)), Answer.ACCOUNT_EXPORTED)
    amount = f"{order.amount / 100:.2f}"
    assert [(each["account"], each["amount"]) for each in data["money"]][-2:] in (
        [("seller_held", f"-{amount}"), ("seller_available", amount)],
        [("seller_available", amount), ("seller_held", f"-{amount}")],
    )


def test_an_operator_deletes_the_account_of_a_user_who_is_kept_out(
    app: Flask, client: FlaskClient, alice: Made, bob: Made
) -> None:
    """A suspended user has no session to delete the account with; a restored backup knows nothing of a deletion."""
    refunded(app, alice, bob)
    good = make_good(app, alice, title="吉他", status=GoodStatus.PUBLISHED)
    run = app.test_cli_runner().invoke
    before = whole_database(app)
    for words, said in (
        (["delete"], "say USERNAME or --id"),
        (["delete", "alice", "--id", "1"], "say USERNAME or --id"),
        (["delete", "nobody"], "there is no user nobody"),
        (["delete", "--id", "4711"], "there is no user 4711"),
    ):
        refused = run(args=["user", *words, "--reason", "来函要求"])
        assert (refused.exit_code != 0, said in refused.output) == (True, True)
    assert whole_database(app) == before
    lead_order(app, make_good(app, bob), make_user(app), phase=PAID)
    refused = run(args=["user", "delete", "bob", "--reason", "来函要求"])
    assert (refused.exit_code, refused.output) == (1, "Error: it is in use:\n还有 1 笔订单未完结\n")
    assert run(args=["user", "suspend", "alice", "--reason", "骗人"]).exit_code == 0
    ran = run(args=["user", "delete", "Alice", "--reason", "来函要求", "--by", "laowang"])
    assert (ran.exit_code, ran.output) == (0, f"deleted the account {alice.id}\n")
    row = next(row for row in all_rows(app, User) if row["id"] == alice.id)
    assert (row["username"], row["deleted_at"] is None) == (DELETED_NAME, False)
    assert (row["suspended_at"], row["suspended_until"], row["suspension_reason"]) == (None, None, "")
    assert next(row["deleted"] for row in all_rows(app, Good) if row["id"] == good.id)
    again = run(args=["user", "delete", "--id", str(alice.id), "--reason", "来函要求"])
    assert (again.exit_code, again.output) == (1, f"Error: there is no user {alice.id}\n")


def test_a_deleted_account_leaves_no_name_and_whole_books(
    app: Flask, client: FlaskClient, alice: Made, bob: Made, tmp_path: Path
) -> None:
    orders = [refunded(app, alice, bob), refunded(app, bob, alice)]
    for_sale = make_good(app, alice, title="吉他", description="民谣吉他")
    waiting = make_good(app, alice, status=GoodStatus.IN_REVIEW)
    sold = make_good(app, alice, status=GoodStatus.SOLD)
    add_channel(app, alice)
    notify(app)
    tokens = session_of(client, "alice")
    own = bearer(tokens["access_token"])
    assert_envelope(client.patch(OWN, json={"bio": "爱弹琴"}, headers=own), Answer.PROFILE_EDITED)
    home = {"name": "王小明", "mobile": "13800138000", "province": "浙江省", "city": "杭州市", "district": "西湖区"}
    added = client.post(
        "/api/add_address/", json={**home, "detail": "文三路 1 号"}, headers={**own, "Idempotency-Key": "of-alice"}
    )
    assert_envelope(added, Answer.ADDRESS_ADDED)
    for name in ("alice", "bob"):
        assert_envelope(client.post("/api/password/forgot/", json={"username": name}), Answer.RESET_REQUESTED)
    assert (
        assert_envelope(client.delete(OWN, json=RIGHT, headers=bearer(tokens["access_token"])), Answer.ACCOUNT_DELETED)
        is None
    )
    # What is the user's alone is gone.
    for model in (Address, LoginSession, Notification, RecoveryChannel):
        assert alice.id not in {row["user_id"] for row in all_rows(app, model)}, model
    assert [row["username_key"] for row in all_rows(app, OneTimeCode)] == ["bob"]
    with app.app_context():
        assert rows(select(IdempotencyKey.key)) == []
    row = all_rows(app, User)[0]
    assert (row["username"], row["username_key"], row["bio"]) == (DELETED_NAME, f"deleted:{alice.id}", "")
    assert row["deleted_at"] is not None
    # Nobody gets in.
    assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.TOKEN_REVOKED)
    assert_envelope(client.post("/api/token_refresh/", headers=bearer(tokens["refresh_token"])), Answer.TOKEN_REVOKED)
    assert_envelope(log_in(client, "alice"), Answer.WRONG_CREDENTIALS)
    assert_envelope(client.get(f"/api/user/{alice.id}/"), Answer.NO_SUCH_USER)
    # The goods leave market and search.
    goods = {each["id"]: each for each in all_rows(app, Good) if each["owner_id"] == alice.id}
    assert {each["deleted"] for each in goods.values()} == {True}
    assert {each["description"] for each in goods.values()} == {""}
    indexed = [each["subject_id"] for each in all_rows(app, OutboxMessage) if each["topic"] == Topic.SEARCH_INDEX]
    assert {for_sale.id, waiting.id, sold.id} <= set(indexed)
    for good_id in goods:
        assert_envelope(client.get(f"/api/good/{good_id}/"), Answer.NO_SUCH_GOOD)
    # Orders stay, for the other side too, without the name, the number, the door and the words.
    kept = json.dumps([all_rows(app, Order), all_rows(app, Waybill)], default=str, ensure_ascii=False)
    for order, role in zip(orders, ("buyer", "seller"), strict=True):
        detail = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, bob)).get_json()["data"]
        assert detail[role]["username"] == DELETED_NAME
    assert "浙江省" in kept
    mine = [each["address"] for each in all_rows(app, Order) if each["buyer_id"] == alice.id]
    assert [(each["name"], each["mobile"], each["detail"]) for each in mine] == [(DELETED_NAME, "", "")]
    theirs = [each["address"] for each in all_rows(app, Order) if each["buyer_id"] == bob.id]
    assert [(each["name"], each["mobile"]) for each in theirs] == [("王小明", "13800138000")]
    parcels = {each["order_id"]: each for each in all_rows(app, Waybill)}
    assert (parcels[orders[0].id]["recipient"]["name"], parcels[orders[0].id]["sender"]["name"]) == (
        DELETED_NAME,
        "王小明",
    )
    assert (parcels[orders[1].id]["sender"]["name"], parcels[orders[1].id]["recipient"]["name"]) == (
        DELETED_NAME,
        "王小明",
    )
    detail = client.get(f"/api/order/{orders[0].id}/", headers=auth_headers(app, bob)).get_json()["data"]
    assert "屏幕有划痕" not in json.dumps(detail, ensure_ascii=False)
    with app.app_context():
        assert audit() == []
    runner = app.test_cli_runner()
    for order in orders:
        file = str(tmp_path / order.order_no)
        assert runner.invoke(args=["order", "export", order.order_no, "--output", file]).exit_code == 0
        assert runner.invoke(args=["order", "verify", file]).exit_code == 0
    # The name is free.
    assert_envelope(register(client, "alice"), Answer.REGISTERED)


@pytest.mark.parametrize("side", ["buyer", "seller"])
def test_open_orders_prevent_it(app: Flask, client: FlaskClient, alice: Made, bob: Made, side: str) -> None:
    buyer, seller = (alice, bob) if side == "buyer" else (bob, alice)
    order = lead_order(app, make_good(app, seller), buyer, phase=PAID)
    lead_order(app, make_good(app, seller), buyer, phase=CANCELLED)
    headers = auth_headers(app, alice)
    before = whole_database(app)
    refused = client.delete(OWN, json=RIGHT, headers=headers)
    assert assert_envelope(refused, Answer.ACCOUNT_IN_USE) == {
        "reasons": ["还有 1 笔订单未完结"],
        "open_orders": [order.order_no],
        "balance": "0.00",
        "open_withdrawals": 0,
    }
    assert whole_database(app) == before


def test_money_prevents_it_until_it_has_arrived(app: Flask, client: FlaskClient, alice: Made, bob: Made) -> None:
    order = lead_order(app, make_good(app, bob), alice, phase=SETTLED)
    amount = f"{order.amount / 100:.2f}"
    data = assert_envelope(delete(app, client, bob), Answer.ACCOUNT_IN_USE)
    assert (data["reasons"], data["balance"]) == ([f"钱包中还有 {amount} 元"], amount)
    body = {"amount": amount, "account": "13800138000", "name": "王小明"}
    asked = client.post("/api/withdraw/", json=body, headers=auth_headers(app, bob))
    assert_envelope(asked, Answer.WITHDRAWAL_REQUESTED)
    data = assert_envelope(delete(app, client, bob), Answer.ACCOUNT_IN_USE)
    assert (data["reasons"], data["open_withdrawals"]) == (["还有 1 笔提现未到账"], 1)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Payout).values(state="confirmed", finished_at=Payout.created_at))
    assert_envelope(delete(app, client, bob), Answer.ACCOUNT_DELETED)
    assert [(row["account"], row["name"]) for row in all_rows(app, Payout)] == [("", DELETED_NAME)]
    assert {row["balance"] for row in all_rows(app, LedgerAccount) if row["user_id"] == bob.id} == {0}


def test_staff_resign_first(app: Flask, client: FlaskClient, clean: None) -> None:
    data = assert_envelope(delete(app, client, make_user(app, "service", staff=True)), Answer.ACCOUNT_IN_USE)
    assert data["reasons"] == ["客服账号须先由管理员撤销权限"]


def test_a_stolen_session_deletes_nothing(app: Flask, client: FlaskClient, alice: Made) -> None:
    before = whole_database(app)
    for _ in range(5):
        assert_envelope(delete(app, client, alice, password="wrong-pass-1"), Answer.OLD_PASSWORD_WRONG)
    assert_envelope(delete(app, client, alice), Answer.TOO_MANY_REQUESTS)
    assert whole_database(app) == before


@pytest.mark.parametrize("by_operator", [False, True], ids=["by the user", "by an operator"])
def test_a_password_that_is_changed_meanwhile_keeps_off_who_gave_the_old_one(
    app: Flask, alice: Made, by_operator: bool
) -> None:
    """Not the operator, who gave none."""
    headers = auth_headers(app, alice)

    def operate() -> None:
        with app.app_context():
            delete_account_for_user(user_id=alice.id, by="laowang", why="来函要求")

    def delete_own() -> None:
        refused = app.test_client().delete(OWN, json=RIGHT, headers=headers)
        assert assert_envelope(refused, Answer.OLD_PASSWORD_WRONG) is None

    with ThreadPoolExecutor(1) as pool, app.app_context():
        with transaction() as session:
            session.execute(update(User).where(User.id == alice.id).values(password_hash="another"))
            ended = pool.submit(operate if by_operator else delete_own)
            eventually(lambda: waiting_for_locks(app) == 1, within_s=60, what="the deletion's wait")
        ended.result()
    [row] = all_rows(app, User)
    assert (row["username"], row["deleted_at"] is None) == ((DELETED_NAME, False) if by_operator else ("alice", True))


def test_the_end_of_an_account_waits_for_a_purchase_and_not_the_purchase_for_it(
    app: Flask, client: FlaskClient, alice: Made, bob: Made
) -> None:
    """Neither is killed as a deadlock: the buyer holds the good and comes first, so the account has an open order."""
    good = make_good(app, bob, trade_mode=TradeMode.FACE_TO_FACE)
    headers = auth_headers(app, bob)
    with ThreadPoolExecutor(1) as pool, app.app_context():
        with transaction() as session:
            lock_good(session, good.id)
            ended = pool.submit(lambda: app.test_client().delete(OWN, json=RIGHT, headers=headers))
            eventually(lambda: waiting_for_locks(app) == 1, within_s=60, what="the deletion's wait")
            buy_good(buyer_id=alice.id, good_id=good.id, address_id=None, trade_mode=None)
        data = assert_envelope(ended.result(), Answer.ACCOUNT_IN_USE)
    assert data["reasons"] == ["还有 1 笔订单未完结"]
    assert [row["deleted_at"] for row in all_rows(app, User)] == [None, None]


def test_a_request_that_was_under_way_does_nothing_any_more(app: Flask, clean: None) -> None:
    """It was let in before the account ended, and comes to its row after that."""
    alice, bob = make_user(app, "alice"), make_user(app, "bob")
    good = make_good(app, bob, trade_mode=TradeMode.FACE_TO_FACE)
    assert_envelope(delete(app, app.test_client(), alice), Answer.ACCOUNT_DELETED)
    before = whole_database(app)
    address = dict.fromkeys(("name", "mobile", "province", "city", "district", "detail"), "x")
    for act in (
        lambda: buy_good(buyer_id=alice.id, good_id=good.id, address_id=None, trade_mode=None),
        lambda: accounts.add_address(user_id=alice.id, is_default=False, **address),
        lambda: edit_profile(user_id=alice.id, changes={"bio": "x"}),
    ):
        with app.app_context(), pytest.raises(Refused) as refused:
            act()
        assert refused.value.answer is Answer.NO_SUCH_USER
    assert whole_database(app) == before
