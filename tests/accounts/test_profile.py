"""Profiles: one's own, everybody's, and the change of password."""

from datetime import datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import queries
from app.accounts.models import User
from app.answers import Answer
from app.clock import format_moment
from app.extensions import valkey
from app.staff_roles import Permission
from statemachine import GoodStatus
from tests.accounts.steps import all_rows, at_once, bearer, log_in, register, session_of
from tests.factories import PASSWORD, assert_envelope, auth_headers, make_good, make_user

OWN = "/api/user/"
CHANGE = "/api/user/password/"
NEW = "new-secret-2"


def test_the_own_profile(client: FlaskClient, app: Flask) -> None:
    user_id = assert_envelope(register(client, "Alice"), Answer.REGISTERED)["user_id"]
    headers = bearer(session_of(client, "alice")["access_token"])
    data = assert_envelope(client.get(OWN, headers=headers), Answer.USER_FOUND)
    [row] = all_rows(app, User)
    assert data == {
        "id": user_id,
        "username": "Alice",
        "nickname": None,
        "avatar": None,
        "bio": "",
        "is_staff": False,
        "created_at": format_moment(row["created_at"]),
    }
    assert datetime.fromisoformat(data["created_at"]).utcoffset() is not None


def test_editing_the_profile(client: FlaskClient, app: Flask) -> None:
    alice, bob = make_user(app, "alice"), make_user(app, "bob")
    bio = "  爱数码🐟\r\n诚信交易  "
    headers = auth_headers(app, alice)
    data = assert_envelope(client.patch(OWN, json={"bio": bio}, headers=headers), Answer.PROFILE_EDITED)
    assert data["bio"] == "爱数码🐟\n诚信交易"
    assert [(row["id"], row["bio"]) for row in all_rows(app, User)] == [(alice.id, "爱数码🐟\n诚信交易"), (bob.id, "")]
    data = assert_envelope(client.patch(OWN, json={"bio": ""}, headers=headers), Answer.PROFILE_EDITED)
    assert data["bio"] == ""


def test_nobody_edits_more_than_the_bio(client: FlaskClient, app: Flask) -> None:
    alice = make_user(app, "alice")
    before = all_rows(app, User)
    fields = {"bio": "", "is_staff": True, "username": "root", "id": 5, "password_hash": "x"}
    data = assert_envelope(client.patch(OWN, json=fields, headers=auth_headers(app, alice)), Answer.MALFORMED)
    assert sorted(data["errors"]) == ["id", "is_staff", "password_hash", "username"]
    assert all_rows(app, User) == before


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"bio": "鱼" * 201}, "至多 200 个字符"),
        ({"bio": "鱼" * 10_000}, "至多 200 个字符"),
        ({"bio": "a\x00b"}, "含有不允许的字符"),
        ({"bio": None}, "须为文字"),
        ({"bio": 1}, "须为文字"),
        ({"bio": ["a"]}, "须为文字"),
    ],
)
def test_bios_that_are_refused(client: FlaskClient, app: Flask, body: dict[str, object], reason: str) -> None:
    alice = make_user(app, "alice")
    before = all_rows(app, User)
    data = assert_envelope(client.patch(OWN, json=body, headers=auth_headers(app, alice)), Answer.MALFORMED)
    assert data == {"errors": {"bio": [reason]}}
    assert all_rows(app, User) == before


def test_the_public_profile_counts_the_goods_on_sale(client: FlaskClient, app: Flask) -> None:
    alice, bob = make_user(app, "alice", staff=True), make_user(app, "bob")
    for status in GoodStatus:
        make_good(app, alice, status=status)
    make_good(app, alice)
    make_good(app, alice, deleted=True)
    make_good(app, bob)
    data = assert_envelope(client.get(f"/api/user/{alice.id}"), Answer.USER_FOUND)
    assert data == {
        "id": alice.id,
        "username": "alice",
        "nickname": None,
        "avatar": None,
        "bio": "",
        "created_at": format_moment(alice.created_at),
        "goods_on_sale": 2,
    }


@pytest.mark.parametrize(
    "user_id", ["0", "-1", "999", str(2**63 - 1), str(2**63), "9" * 50, "alice", "1.0", "%00", "１"]
)
def test_somebody_who_does_not_exist(client: FlaskClient, app: Flask, user_id: str) -> None:
    make_user(app, "alice")
    assert assert_envelope(client.get(f"/api/user/{user_id}/"), Answer.NO_SUCH_USER) is None


def test_who_is_staff(context: Flask) -> None:
    alice, bob = make_user(context, "alice", staff=True), make_user(context, "bob")
    for permission in Permission:
        assert queries.has_permission(alice.id, permission) is True
        assert queries.has_permission(bob.id, permission) is False
        assert queries.has_permission(999, permission) is False


def change(client: FlaskClient, token: str, **fields: object) -> object:
    body = {"old_password": PASSWORD, "new_password": NEW, **fields}
    return client.post(CHANGE, json=body, headers=bearer(token))


def test_changing_the_password_ends_all_other_sessions(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    make_user(app, "bob")
    here, elsewhere, bobs = (session_of(client, name) for name in ("alice", "alice", "bob"))
    assert assert_envelope(change(client, here["access_token"]), Answer.PASSWORD_CHANGED) is None
    assert_envelope(client.get(OWN, headers=bearer(here["access_token"])), Answer.USER_FOUND)
    assert_envelope(client.get(OWN, headers=bearer(bobs["access_token"])), Answer.USER_FOUND)
    assert_envelope(client.get(OWN, headers=bearer(elsewhere["access_token"])), Answer.TOKEN_REVOKED)
    refresh = bearer(elsewhere["refresh_token"])
    assert_envelope(client.post("/api/token_refresh/", headers=refresh), Answer.TOKEN_REVOKED)
    assert_envelope(log_in(client, "alice"), Answer.WRONG_CREDENTIALS)
    session_of(client, "alice", NEW)
    session_of(client, "bob")


def test_the_old_password_is_needed(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    here, elsewhere = session_of(client, "alice"), session_of(client, "alice")
    before = all_rows(app, User)
    response = change(client, here["access_token"], old_password="wrong-pass-1")
    assert assert_envelope(response, Answer.OLD_PASSWORD_WRONG) is None
    assert all_rows(app, User) == before
    assert_envelope(client.get(OWN, headers=bearer(elsewhere["access_token"])), Answer.USER_FOUND)


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"new_password": "short-1"}, {"new_password": ["须为 8 至 64 个字符"]}),
        ({"new_password": "only-letters"}, {"new_password": ["须同时包含字母和数字"]}),
        ({"new_password": "ALICE_NO1"}, {"new_password": ["不能与用户名相同"]}),
        ({"new_password": PASSWORD}, {"new_password": ["不能与原密码相同"]}),
        ({"new_password": 5}, {"new_password": ["须为文字"]}),
        ({"old_password": ""}, {"old_password": ["须为 1 至 64 个可见字符"]}),
        ({"old_password": None, "new_password": None}, {"old_password": ["须为文字"], "new_password": ["须为文字"]}),
    ],
)
def test_new_passwords_that_are_refused(
    client: FlaskClient, app: Flask, fields: dict[str, object], errors: dict[str, list[str]]
) -> None:
    make_user(app, "alice_no1")
    token = session_of(client, "alice_no1")["access_token"]
    before = all_rows(app, User)
    assert assert_envelope(change(client, token, **fields), Answer.MALFORMED) == {"errors": errors}
    assert all_rows(app, User) == before


def test_of_simultaneous_changes_one_succeeds(app: Flask, clean: None) -> None:
    make_user(app, "alice")
    token = session_of(app.test_client(), "alice")["access_token"]
    responses = at_once(4, lambda number: change(app.test_client(), token, new_password=f"new-secret-{number}"))
    assert sorted(response.status_code for response in responses) == [200] + [403] * 3
    [winner] = [number for number, response in enumerate(responses) if response.status_code == 200]
    with app.app_context():
        valkey().flushdb()  # wrong guesses of the new password are slowed
    for number in range(4):
        expected = Answer.LOGGED_IN if number == winner else Answer.WRONG_CREDENTIALS
        assert_envelope(log_in(app.test_client(), "alice", f"new-secret-{number}"), expected)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("加微信13912345678", "加微信"),
        ("老王１３９１２３４５６７８", "手机号码"),
        ("老王一三九一二三四五六七八", "手机号码"),
        ("139_1234_5678", "手机号码"),
        ("微信laowang88", "微信"),
        ("QQ12345678", "QQ 号"),
        ("扣扣12345678", "QQ 号"),
        ("加微信139", "加微信"),
        ("加_V_信老王", "加v信"),
        ("加ＶＸ看图", "加vx"),
        ("老王微信同号", "微信"),
        ("进qq群有礼", "群"),
    ],
)
def test_names_and_profiles_give_no_contacts(client: FlaskClient, app: Flask, text: str, kind: str) -> None:
    alice = make_user(app, "alice")
    before = all_rows(app, User)
    reason = f"不能含有联系方式({kind})"
    named = register(client, text)
    assert assert_envelope(named, Answer.REGISTRATION_MALFORMED) == {"errors": {"username": [reason]}}
    edited = client.patch(OWN, json={"bio": f"卖闲置。{text}"}, headers=auth_headers(app, alice))
    assert assert_envelope(edited, Answer.MALFORMED) == {"errors": {"bio": [reason]}}
    assert all_rows(app, User) == before


@pytest.mark.parametrize(
    ("bio", "kind"),
    [
        ("电话 139 1234 5678", "手机号码"),
        ("電話 +852 9876 5432", "手机号码"),
        ("+886-0912-345-678", "手机号码"),
        ("139\u30001234\u30005678", "手机号码"),
        ("1️⃣3️⃣9️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣", "手机号码"),
        ("1\u200b3\u200b9\u200b1\u200b2\u200b3\u200b4\u200b5\u200b6\u200b7\u200b8", "手机号码"),
        ("+86 139-1234-5678", "手机号码"),
        ("139\n12345678", "手机号码"),
        ("wechat: laowang_88", "微信"),
        ("加 微 信 详谈", "加微信"),
        ("+V 看更多", "微信"),
    ],
)
def test_contacts_in_disguise(client: FlaskClient, app: Flask, bio: str, kind: str) -> None:
    alice = make_user(app, "alice")
    edited = client.patch(OWN, json={"bio": bio}, headers=auth_headers(app, alice))
    assert assert_envelope(edited, Answer.MALFORMED) == {"errors": {"bio": [f"不能含有联系方式({kind})"]}}


@pytest.mark.parametrize(
    "bio",
    ["不加微信,站内聊", "加vip会员卡转让", "2026年11月29日起每周上新 138 件", "微信支付周边收藏", "vivo qqmini 玩家"],
)
def test_what_only_looks_like_a_contact(client: FlaskClient, app: Flask, bio: str) -> None:
    alice = make_user(app, "alice")
    edited = client.patch(OWN, json={"bio": bio}, headers=auth_headers(app, alice))
    assert assert_envelope(edited, Answer.PROFILE_EDITED)["bio"] == bio


def test_a_name_from_before_the_rule_logs_in(client: FlaskClient, app: Flask) -> None:
    make_user(app, "加微信13912345678")
    session_of(client, "加微信13912345678")
