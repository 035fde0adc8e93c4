"""Nicknames: what is taken, what is refused, and where they are shown."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.look_alikes import looks_of
from app.accounts.models import User
from app.answers import Answer
from app.profiles.nicknames import claims_to_be_official
from tests.accounts.steps import all_rows, register
from tests.factories import assert_envelope, auth_headers, lead_order, make_good, make_user

OWN = "/api/user/"
ALIKE = "与平台工作人员的名称过于相似"
OFFICIAL = "不能冒充平台或客服"


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("小鱼", "小鱼"),
        ("  小 \u3000 鱼  ", "小 鱼"),
        ("鱼" * 20, "鱼" * 20),
        ("🐟" * 20, "🐟" * 20),
        ("Zoë & Ко", "Zoë & Ко"),
        ("小鱼\n", "小鱼"),
        ("小\u200b鱼\u2060", "小鱼"),
        ("\u202d小鱼\u202c", "小鱼"),
        ("👨\u200d👩\u200d👧 之家", "👨\u200d👩\u200d👧 之家"),
        ("小管理想家", "小管理想家"),
        ("service2go", "service2go"),
        ("", None),
        (None, None),
    ],
)
def test_nicknames_that_are_taken(app: Flask, client: FlaskClient, given: str | None, stored: str | None) -> None:
    alice = make_user(app, "alice")
    headers = auth_headers(app, alice)
    assert_envelope(client.patch(OWN, json={"nickname": "从前", "bio": "卖书"}, headers=headers), Answer.PROFILE_EDITED)
    data = assert_envelope(client.patch(OWN, json={"nickname": given}, headers=headers), Answer.PROFILE_EDITED)
    assert (data["username"], data["nickname"], data["avatar"], data["bio"]) == ("alice", stored, None, "卖书")
    [row] = all_rows(app, User)
    assert (row["username"], row["nickname"], row["bio"]) == ("alice", stored, "卖书")


@pytest.mark.parametrize(
    ("nickname", "reason"),
    [
        ("鱼" * 21, "至多 20 个字符"),
        ("鱼" * 10_000, "至多 20 个字符"),
        ("   ", "不能为空"),
        ("\u200b\u2060", "不能为空"),
        ("a\x00b", "含有不允许的字符"),
        ("z\u0335\u0336\u0337a", "含有不允许的字符"),
        (1, "须为文字"),
        (["小鱼"], "须为文字"),
        ("加微信139", "不能含有联系方式(加微信)"),
        ("13912345678", "不能含有联系方式(手机号码)"),
        ("卖枪支的", "不能使用(涉嫌发布管制器具:枪支)"),
        ("平台客服", OFFICIAL),
        ("官　方", OFFICIAL),
        ("客.服01号", OFFICIAL),
        ("管理員", OFFICIAL),
        ("Admin_01", OFFICIAL),
        ("аdmin", OFFICIAL),  # the first letter is Cyrillic
        ("Ｓｔａｆｆ", OFFICIAL),
        ("xiaowang", ALIKE),
        ("Xiao_Wang", ALIKE),
        ("хiа0wаng", ALIKE),
        ("x1aowang", ALIKE),
        ("王小二", ALIKE),
        ("BOB", "与其他用户的用户名相同"),
    ],
)
def test_nicknames_that_are_refused(app: Flask, client: FlaskClient, nickname: object, reason: str) -> None:
    alice, staff = make_user(app, "alice"), make_user(app, "xiaowang", staff=True)
    make_user(app, "bob")
    named = client.patch(OWN, json={"nickname": "王小二"}, headers=auth_headers(app, staff))
    assert_envelope(named, Answer.PROFILE_EDITED)
    before = all_rows(app, User)
    refused = client.patch(OWN, json={"nickname": nickname, "bio": "x"}, headers=auth_headers(app, alice))
    assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"nickname": [reason]}}
    assert all_rows(app, User) == before


def test_nothing_to_edit(app: Flask, client: FlaskClient) -> None:
    headers = auth_headers(app, make_user(app))
    refused = client.patch(OWN, json={}, headers=headers)
    assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"body": ["没有要修改的内容"]}}


def test_staff_say_what_they_are(app: Flask, client: FlaskClient) -> None:
    staff, colleague = make_user(app, "xiaowang", staff=True), make_user(app, "laoli", staff=True)
    for member, name in ((staff, "客服小王"), (staff, "XiaoWang"), (colleague, "客服老李")):
        edited = client.patch(OWN, json={"nickname": name}, headers=auth_headers(app, member))
        assert assert_envelope(edited, Answer.PROFILE_EDITED)["nickname"] == name
    refused = client.patch(OWN, json={"nickname": "xiaowang"}, headers=auth_headers(app, colleague))
    assert assert_envelope(refused, Answer.MALFORMED) == {"errors": {"nickname": [ALIKE]}}


def test_nicknames_need_not_be_unique(app: Flask, client: FlaskClient) -> None:
    for _ in range(2):
        edited = client.patch(OWN, json={"nickname": "小鱼"}, headers=auth_headers(app, make_user(app)))
        assert_envelope(edited, Answer.PROFILE_EDITED)


@pytest.mark.parametrize("username", ["xia0wang", "Xiao_Wang", "x1aowang"])
def test_nobody_registers_with_a_name_that_looks_like_one_of_staff(
    app: Flask, client: FlaskClient, username: str
) -> None:
    make_user(app, "xiaowang", staff=True)
    make_user(app, "lisi")
    before = all_rows(app, User)
    refused = assert_envelope(register(client, username), Answer.REGISTRATION_FAILED)
    assert refused == {"errors": {"username": [ALIKE]}}
    assert all_rows(app, User) == before
    taken = assert_envelope(register(client, "XIAOWANG"), Answer.REGISTRATION_FAILED)
    assert taken == {"errors": {"username": ["用户名已被使用"]}}
    for free in ("xiaowang2", "l1si", "xiaowangba"):
        assert_envelope(register(client, free), Answer.REGISTERED)


def test_looks() -> None:
    for one, other in (("admin", "Αdm1n"), ("客服小王", "客-服小王"), ("O0o", "ooo"), ("管理员", "管理員"), ("", "🐟")):
        assert looks_of(one) == looks_of(other)
    for one, other in (("admin", "adnin"), ("小王", "小玉"), ("alice", "alicia")):
        assert looks_of(one) != looks_of(other)
    for name in (
        "平台方",
        "系统消息",
        "Customer Service",
        "root",
        "官方旗舰店",
        "Admin小王",
        "小王 KeFu",
        "已注销用户",
    ):
        assert claims_to_be_official(name)
    for name in ("阳台", "服务客", "supporter", "mystaff", "理想员", "小王supporter", "系统工程"):
        assert not claims_to_be_official(name)


def test_where_a_nickname_is_shown(app: Flask, client: FlaskClient) -> None:
    seller, buyer = make_user(app, "seller"), make_user(app, "buyer")
    staff = make_user(app, "staff", staff=True)
    for user, name in ((seller, "卖书的"), (buyer, "买书的")):
        edited = client.patch(OWN, json={"nickname": name}, headers=auth_headers(app, user))
        assert_envelope(edited, Answer.PROFILE_EDITED)
    good = make_good(app, seller)
    order = lead_order(app, make_good(app, seller), buyer)
    as_seller = {"id": seller.id, "username": "seller", "nickname": "卖书的", "avatar": None}
    as_buyer = {"id": buyer.id, "username": "buyer", "nickname": "买书的", "avatar": None}
    assert client.get(f"/api/good/{good.id}/").get_json()["data"]["owner"] == as_seller
    assert client.get("/api/goods/").get_json()["data"]["items"][0]["owner"] == as_seller
    assert {name: client.get(f"/api/user/{seller.id}/").get_json()["data"][name] for name in as_seller} == as_seller
    listed = client.get("/api/buy_order/", headers=auth_headers(app, buyer)).get_json()["data"]["items"]
    assert [(each["id"], each["buyer"], each["seller"]) for each in listed] == [(order.id, as_buyer, as_seller)]
    users = client.get("/api/staff/users/?username=buyer", headers=auth_headers(app, staff)).get_json()["data"]
    assert {name: users["items"][0][name] for name in as_buyer} == as_buyer
    login = client.post("/login/", json={"username": "seller", "password": "correct-horse-1"}).get_json()["data"]
    assert (login["user"]["nickname"], login["user"]["avatar"]) == ("卖书的", None)
