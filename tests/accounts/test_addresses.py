"""Delivery addresses: their format, their owner, and the one default."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import Address
from app.accounts.service import MAX_ADDRESSES, address_snapshot
from app.answers import Answer, Refused
from app.clock import format_moment
from app.db.database import db
from tests.accounts.steps import all_rows, at_once
from tests.conftest import MakeApp
from tests.factories import Made, assert_envelope, auth_headers, make_address, make_user
from tests.fields.test_pasted import PHONE_EXPECTED

ADD = "/api/add_address/"
LIST = "/api/address/"
HOME = {
    "name": "王小明",
    "mobile": "13800138000",
    "province": "浙江省",
    "city": "杭州市",
    "district": "余杭区",
    "detail": "文一西路 969 号",
}
WORK = {
    "name": "Wang Xiaoming",
    "mobile": "19912345678",
    "province": "上海市",
    "city": "上海市",
    "district": "浦东新区",
    "detail": "张江路 1 号🐟",
}


def add(client: FlaskClient, headers: dict[str, str], **fields: Any) -> Any:
    return assert_envelope(client.post(ADD, json={**HOME, **fields}, headers=headers), Answer.ADDRESS_ADDED)


def defaults(app: Flask, user: Made) -> list[int]:
    return [row["id"] for row in all_rows(app, Address) if row["user_id"] == user.id and row["is_default"]]


@pytest.fixture
def alice(app: Flask, clean: None) -> Made:
    return make_user(app, "alice")


@pytest.fixture
def bob(app: Flask, clean: None) -> Made:
    return make_user(app, "bob")


@pytest.fixture
def headers(app: Flask, alice: Made) -> dict[str, str]:
    return auth_headers(app, alice)


def test_an_address_is_added(client: FlaskClient, app: Flask, alice: Made, headers: dict[str, str]) -> None:
    data = add(client, headers)
    [row] = all_rows(app, Address)
    assert row["user_id"] == alice.id
    assert data == {
        "id": row["id"],
        **HOME,
        "is_default": True,
        "created_at": format_moment(row["created_at"]),
        "updated_at": format_moment(row["created_at"]),
    }
    assert assert_envelope(client.get(f"/api/address/{row['id']}/", headers=headers), Answer.ADDRESS_FOUND) == data


def test_forms_add_as_well(client: FlaskClient, app: Flask, headers: dict[str, str]) -> None:
    assert_envelope(client.post(ADD, data={**HOME, "is_default": "true"}, headers=headers), Answer.ADDRESS_ADDED)
    assert [row["name"] for row in all_rows(app, Address)] == ["王小明"]


def test_texts_are_trimmed_and_the_owner_is_the_caller(
    client: FlaskClient, app: Flask, alice: Made, bob: Made, headers: dict[str, str]
) -> None:
    data = add(client, headers, name="  王小明\u3000", mobile=" 13800138000 ")
    assert (data["name"], data["mobile"]) == ("王小明", "13800138000")
    for name in ("user_id", "id"):
        refused = client.post(ADD, json={**HOME, name: bob.id}, headers=headers)
        assert list(assert_envelope(refused, Answer.MALFORMED)["errors"]) == [name]
    assert [(row["id"], row["user_id"]) for row in all_rows(app, Address)] == [(1, alice.id)]


MALFORMED = [
    ("name", "", "不能为空"),
    ("name", "   ", "不能为空"),
    ("name", "\u200b", "不能为空"),
    ("name", "王" * 31, "至多 30 个字符"),
    ("name", "王\x00", "含有不允许的字符"),
    ("name", True, "须为文字"),
    ("mobile", "12800138000", PHONE_EXPECTED),
    ("mobile", "1380013800", PHONE_EXPECTED),
    ("mobile", "138001380000", PHONE_EXPECTED),
    ("mobile", "+8613800138", PHONE_EXPECTED),
    ("mobile", "13800138000 13900139000", PHONE_EXPECTED),
    ("mobile", "1380013800a", PHONE_EXPECTED),
    ("mobile", 13800138000, "须为文字"),
    ("province", "省" * 31, "至多 30 个字符"),
    ("city", None, "须为文字"),
    ("detail", "号" * 201, "至多 200 个字符"),
    ("detail", "x" * 10_000, "至多 200 个字符"),
    ("detail", {"a": 1}, "须为文字"),
    ("is_default", "perhaps", "须为布尔值"),
    ("is_default", None, "须为布尔值"),
    ("is_default", [], "须为布尔值"),
]


@pytest.mark.parametrize(("field", "value", "reason"), MALFORMED)
def test_malformed_fields_are_named_and_nothing_changes(
    client: FlaskClient, app: Flask, headers: dict[str, str], field: str, value: object, reason: str
) -> None:
    url = f"/api/address/{add(client, headers)['id']}/"
    before = all_rows(app, Address)
    body = {**WORK, field: value}
    for response in (
        client.post(ADD, json=body, headers=headers),
        client.put(url, json=body, headers=headers),
        client.patch(url, json={field: value}, headers=headers),
    ):
        assert assert_envelope(response, Answer.MALFORMED) == {"errors": {field: [reason]}}
    assert all_rows(app, Address) == before


def test_every_missing_field_is_named(client: FlaskClient, app: Flask, headers: dict[str, str]) -> None:
    data = assert_envelope(client.post(ADD, json={}, headers=headers), Answer.MALFORMED)
    required = {field: ["必填"] for field in ("name", "province", "detail", "mobile")}
    assert data == {"errors": {**required, "city": ["须填写城市"]}}
    assert all_rows(app, Address) == []


def test_the_first_address_is_the_default_whatever_it_says(
    client: FlaskClient, app: Flask, alice: Made, headers: dict[str, str]
) -> None:
    first = add(client, headers, is_default=False)
    second = add(client, headers)
    assert (first["is_default"], second["is_default"]) == (True, False)
    third = add(client, headers, is_default=True)
    assert third["is_default"] is True
    assert defaults(app, alice) == [third["id"]]


def test_the_list_shows_the_default_first_then_the_newest(
    client: FlaskClient, app: Flask, bob: Made, headers: dict[str, str]
) -> None:
    assert assert_envelope(client.get(LIST, headers=headers), Answer.NO_ADDRESSES) == {
        "items": [],
        "page": 1,
        "size": 20,
        "total": 0,
        "pages": 0,
    }
    made = [add(client, headers, name=f"第{number}个") for number in range(3)]
    add(client, auth_headers(app, bob))
    data = assert_envelope(client.get(LIST, headers=headers), Answer.ADDRESS_FOUND)
    assert data == {"items": [made[0], made[2], made[1]], "page": 1, "size": 20, "total": 3, "pages": 1}
    data = assert_envelope(client.get(LIST + "?page=2&size=2", headers=headers), Answer.ADDRESS_FOUND)
    assert data == {"items": [made[1]], "page": 2, "size": 2, "total": 3, "pages": 2}
    data = assert_envelope(client.get(LIST + "?size=101", headers=headers), Answer.MALFORMED)
    assert data == {"errors": {"size": ["不能大于 100"]}}


def test_an_address_is_replaced(client: FlaskClient, app: Flask, alice: Made, headers: dict[str, str]) -> None:
    first, second = add(client, headers), add(client, headers)
    url = f"/api/address/{second['id']}"
    data = assert_envelope(client.put(url, json=WORK, headers=headers), Answer.ADDRESS_EDITED)
    assert {name: data[name] for name in WORK} == WORK
    assert (data["id"], data["is_default"], data["created_at"]) == (second["id"], False, second["created_at"])
    assert defaults(app, alice) == [first["id"]]
    data = assert_envelope(client.put(url, json={**WORK, "is_default": True}, headers=headers), Answer.ADDRESS_EDITED)
    assert data["is_default"] is True
    assert defaults(app, alice) == [second["id"]]


def test_some_fields_of_an_address_are_edited(client: FlaskClient, app: Flask, headers: dict[str, str]) -> None:
    first, second = add(client, headers), add(client, headers)
    before = all_rows(app, Address)
    url = f"/api/address/{second['id']}/"
    data = assert_envelope(client.patch(url, json={"city": "宁波市"}, headers=headers), Answer.ADDRESS_EDITED)
    assert {name: data[name] for name in HOME} == {**HOME, "city": "宁波市"}
    rows = all_rows(app, Address)
    assert rows[0] == before[0]
    assert rows[1]["updated_at"] > before[1]["updated_at"]
    assert {**rows[1], "updated_at": None} == {**before[1], "city": "宁波市", "updated_at": None}
    assert first["id"] != second["id"]


def test_the_default_is_never_only_taken_away(
    client: FlaskClient, app: Flask, alice: Made, headers: dict[str, str]
) -> None:
    first = add(client, headers)
    url = f"/api/address/{first['id']}/"
    for response in (
        client.put(url, json={**HOME, "is_default": False}, headers=headers),
        client.patch(url, json={"is_default": False}, headers=headers),
        client.patch(url, json={}, headers=headers),
    ):
        assert assert_envelope(response, Answer.ADDRESS_EDITED)["is_default"] is True
    assert defaults(app, alice) == [first["id"]]


def test_another_default_is_chosen(client: FlaskClient, app: Flask, alice: Made, headers: dict[str, str]) -> None:
    first, second = add(client, headers), add(client, headers)
    for chosen in (second, second, first):
        response = client.post(f"/api/address/{chosen['id']}/default/", headers=headers)
        assert assert_envelope(response, Answer.ADDRESS_EDITED)["is_default"] is True
        assert defaults(app, alice) == [chosen["id"]]


def test_deleting_the_default_makes_the_newest_one_the_default(
    client: FlaskClient, app: Flask, alice: Made, headers: dict[str, str]
) -> None:
    made = [add(client, headers)["id"] for _ in range(4)]
    remaining = set(made)
    for deleted, default in ((made[0], made[3]), (made[1], made[3]), (made[3], made[2]), (made[2], None)):
        response = client.delete(f"/api/address/{deleted}/", headers=headers)
        assert assert_envelope(response, Answer.ADDRESS_DELETED) is None
        remaining.remove(deleted)
        assert {row["id"] for row in all_rows(app, Address)} == remaining
        assert defaults(app, alice) == ([] if default is None else [default])
    assert add(client, headers)["is_default"] is True


def every_way(client: FlaskClient, address_id: object, headers: dict[str, str]) -> list[Any]:
    url = f"/api/address/{address_id}/"
    return [
        client.get(url, headers=headers),
        client.put(url, json={**WORK, "is_default": True}, headers=headers),
        client.patch(url, json={"city": "宁波市", "is_default": True}, headers=headers),
        client.post(url + "default/", headers=headers),
        client.delete(url, headers=headers),
    ]


def test_other_peoples_addresses_do_not_exist(
    client: FlaskClient, app: Flask, bob: Made, headers: dict[str, str]
) -> None:
    add(client, headers)
    theirs = make_address(app, bob, is_default=True)
    before = all_rows(app, Address)
    for response in every_way(client, theirs.id, headers):
        assert assert_envelope(response, Answer.NO_SUCH_ADDRESS) is None
    assert all_rows(app, Address) == before


@pytest.mark.parametrize("address_id", ["0", "-1", "999", str(2**63 - 1), str(2**63), "home", "1.0", "%00"])
def test_addresses_that_do_not_exist(client: FlaskClient, app: Flask, headers: dict[str, str], address_id: str) -> None:
    add(client, headers)
    before = all_rows(app, Address)
    for response in every_way(client, address_id, headers):
        assert assert_envelope(response, Answer.NO_SUCH_ADDRESS) is None
    assert all_rows(app, Address) == before


def test_without_a_token_nothing_is_shown_or_changed(client: FlaskClient, app: Flask, alice: Made) -> None:
    address = make_address(app, alice)
    before = all_rows(app, Address)
    for response in [client.post(ADD, json=HOME), client.get(LIST), *every_way(client, address.id, {})]:
        assert assert_envelope(response, Answer.LOGIN_REQUIRED) is None
    assert all_rows(app, Address) == before


def test_a_user_keeps_at_most_twenty(
    client: FlaskClient, app: Flask, alice: Made, bob: Made, headers: dict[str, str]
) -> None:
    assert MAX_ADDRESSES == 20
    made = [make_address(app, alice) for _ in range(20)]
    before = all_rows(app, Address)
    response = client.post(ADD, json={**HOME, "is_default": True}, headers=headers)
    assert assert_envelope(response, Answer.TOO_MANY_ADDRESSES) is None
    assert all_rows(app, Address) == before
    add(client, auth_headers(app, bob))
    assert_envelope(client.delete(f"/api/address/{made[0].id}/", headers=headers), Answer.ADDRESS_DELETED)
    add(client, headers)


def test_simultaneous_first_addresses_leave_one_default(app: Flask, alice: Made, headers: dict[str, str]) -> None:
    bodies = [{**HOME, "is_default": number % 2 == 0} for number in range(8)]
    responses = at_once(8, lambda number: app.test_client().post(ADD, json=bodies[number], headers=headers))
    for response in responses:
        assert_envelope(response, Answer.ADDRESS_ADDED)
    assert len(all_rows(app, Address)) == 8
    assert len(defaults(app, alice)) == 1


def test_simultaneous_additions_keep_the_limit(app: Flask, alice: Made, headers: dict[str, str]) -> None:
    for _ in range(17):
        make_address(app, alice)
    responses = at_once(8, lambda _number: app.test_client().post(ADD, json=HOME, headers=headers))
    assert sorted(response.status_code for response in responses) == [200] * 3 + [409] * 5
    for response in responses:
        assert_envelope(response, Answer.ADDRESS_ADDED if response.status_code == 200 else Answer.TOO_MANY_ADDRESSES)
    assert len(all_rows(app, Address)) == 20


def test_simultaneous_choices_and_deletions_leave_one_default(app: Flask, alice: Made, headers: dict[str, str]) -> None:
    for _ in range(5):
        made = [add(app.test_client(), headers)["id"] for _ in range(4)]

        def act(number: int, made: list[int] = made) -> Any:
            url = f"/api/address/{made[number % 4]}/"
            if number < 4:
                return app.test_client().post(url + "default/", headers=headers)
            return app.test_client().delete(url, headers=headers)

        responses = at_once(7, act)
        answers = {200: (Answer.ADDRESS_EDITED, Answer.ADDRESS_DELETED), 404: (Answer.NO_SUCH_ADDRESS,) * 2}
        for number, response in enumerate(responses):
            assert_envelope(response, answers[response.status_code][number >= 4])
        assert all(response.status_code == 200 for response in responses[3:])
        [default] = defaults(app, alice)
        assert default in {row["id"] for row in all_rows(app, Address)}


def test_an_order_gets_a_snapshot(context: Flask, alice: Made, bob: Made) -> None:
    address = make_address(context, alice, **WORK)
    assert address_snapshot(user_id=alice.id, address_id=address.id) == WORK
    db.session.rollback()
    for user_id, address_id in ((bob.id, address.id), (alice.id, 0), (alice.id, 999)):
        with pytest.raises(Refused) as refused:
            address_snapshot(user_id=user_id, address_id=address_id)
        assert refused.value.answer is Answer.NO_SUCH_ADDRESS


def test_logs_show_neither_mobile_nor_address_nor_password(
    make_app: MakeApp, headers: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_app(LOG_LEVEL="DEBUG").test_client()
    url = f"/api/address/{add(client, headers)['id']}/"
    client.put(url, json=WORK, headers=headers)
    client.patch(url, json={"mobile": "13800138000x"}, headers=headers)
    client.post("/login/", json={"username": "alice", "password": "correct-horse-1"})
    client.post("/login/", json={"username": "alice", "password": "wrong-horse-1"})
    logged = capsys.readouterr().err
    for secret in (HOME["mobile"], WORK["mobile"], HOME["detail"], WORK["detail"], "horse-1", headers["Authorization"]):
        assert secret not in logged
    # Otherwise the test would look into the void.
    assert "user_logged_in" in logged
    assert logged.count("/api/address/1/") == 2
