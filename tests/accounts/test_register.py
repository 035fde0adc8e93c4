"""Registration: what is accepted, what is refused and in which order, and who gets a contested name."""

import itertools

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts.models import User
from app.accounts.passwords import verify_password
from app.accounts.service import create_user
from app.answers import Answer, Refused
from app.db.transactions import transaction
from app.staff_roles import StaffRole
from tests.accounts.steps import all_rows, at_once, fresh_captcha, register, session_of, valkey_keys
from tests.factories import PASSWORD, assert_envelope

CHARACTERS = "只能包含中文、字母、数字和下划线"
LENGTH = "须为 3 至 20 个字符"


def test_a_registration_makes_one_user(client: FlaskClient, app: Flask) -> None:
    data = assert_envelope(register(client, "咸鱼_Fan1"), Answer.REGISTERED)
    [row] = all_rows(app, User)
    assert data == {"user_id": row["id"], "username": "咸鱼_Fan1"}
    assert (row["username"], row["username_key"], row["bio"], row["is_staff"]) == ("咸鱼_Fan1", "咸鱼_fan1", "", False)
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(row["password_hash"], PASSWORD)


def test_forms_register_as_well(client: FlaskClient, app: Flask) -> None:
    fields = {"username": "form_user", "password": PASSWORD, **fresh_captcha(client)}
    assert_envelope(client.post("/register", data=fields), Answer.REGISTERED)
    assert [row["username"] for row in all_rows(app, User)] == ["form_user"]


def test_nobody_registers_as_staff(client: FlaskClient, app: Flask) -> None:
    data = assert_envelope(register(client, "climber", is_staff=True, id=7), Answer.REGISTRATION_MALFORMED)
    assert sorted(data["errors"]) == ["id", "is_staff"]
    assert all_rows(app, User) == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("abc", "abc"),
        ("a" * 20, "a" * 20),
        ("咸" * 20, "咸" * 20),
        ("  trimmed ", "trimmed"),
        ("Ａｌｉｃｅ１", "Alice1"),
        ("\ufeffali\u200bce\u202c", "alice"),
        ("ali\ufe0fce\n", "alice"),
        ("𠮷野家", "𠮷野家"),
        ("豈可修", "豈可修"),
        ("___", "___"),
        ("123", "123"),
    ],
)
def test_usernames_that_are_accepted(client: FlaskClient, app: Flask, given: str, stored: str) -> None:
    assert assert_envelope(register(client, given), Answer.REGISTERED)["username"] == stored
    assert [row["username"] for row in all_rows(app, User)] == [stored]


@pytest.mark.parametrize(
    ("username", "reason"),
    [
        ("", LENGTH),
        ("ab", LENGTH),
        ("  ab  ", LENGTH),
        ("a" * 21, LENGTH),
        ("咸" * 21, LENGTH),
        ("a" * 10_000, LENGTH),
        ("a\u0301\u0300" * 10_000, LENGTH),
        ("ali ce", CHARACTERS),
        ("ali-ce", CHARACTERS),
        ("ali\x00ce", CHARACTERS),
        ("ali\nce", CHARACTERS),
        ("alice🐟", CHARACTERS),
        ("аlice", CHARACTERS),  # the first letter is Cyrillic
        ("שלום", CHARACTERS),
        ("مرحبا", CHARACTERS),
        ("ひらがな", CHARACTERS),
        ("<b>x</b>", CHARACTERS),
        (None, "须为文字"),
        (12345, "须为文字"),
        (True, "须为文字"),
        (["alice"], "须为文字"),
        ({"a": 1}, "须为文字"),
    ],
)
def test_usernames_that_are_refused(client: FlaskClient, app: Flask, username: object, reason: str) -> None:
    data = assert_envelope(register(client, username), Answer.REGISTRATION_MALFORMED)
    assert data == {"errors": {"username": [reason]}}
    assert all_rows(app, User) == []


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "须为 8 至 64 个字符"),
        ("short-1", "须为 8 至 64 个字符"),
        ("a1" * 32 + "x", "须为 8 至 64 个字符"),
        ("a1" * 10_000, "须为 8 至 64 个字符"),
        ("only-letters", "须同时包含字母和数字"),
        ("12345678", "须同时包含字母和数字"),
        ("--------", "须同时包含字母和数字"),
        ("with\x00nul-1", "含有不允许的字符"),
        ("with\nline-1", "含有不允许的字符"),
        ("with\u202ebidi-1", "含有不允许的字符"),
        ("Plain_name_1", "不能与用户名相同"),
        (None, "须为文字"),
        (12345678, "须为文字"),
        (False, "须为文字"),
    ],
)
def test_passwords_that_are_refused(client: FlaskClient, app: Flask, password: object, reason: str) -> None:
    data = assert_envelope(register(client, "plain_name_1", password), Answer.REGISTRATION_MALFORMED)
    assert data == {"errors": {"password": [reason]}}
    assert all_rows(app, User) == []


@pytest.mark.parametrize("password", ["abcdefg1", "a1" * 32, "密码真的很长很长1", "with space 1", "émoji🐟-1"])
def test_passwords_that_are_accepted_log_in(client: FlaskClient, password: str) -> None:
    assert_envelope(register(client, "alice", password), Answer.REGISTERED)
    assert session_of(client, "alice", password)["user"]["username"] == "alice"


def test_a_password_may_be_composed_either_way(client: FlaskClient) -> None:
    assert_envelope(register(client, "alice", "caf\u00e9-12345"), Answer.REGISTERED)
    session_of(client, "alice", "cafe\u0301-12345")


def test_every_wrong_field_is_named(client: FlaskClient, app: Flask) -> None:
    data = assert_envelope(client.post("/register/", json={}), Answer.REGISTRATION_MALFORMED)
    assert data == {
        "errors": {"username": ["必填"], "password": ["必填"], "captcha_id": ["必填"], "captcha_code": ["必填"]}
    }
    assert all_rows(app, User) == []


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("captcha_id", "", "不能为空"),
        ("captcha_id", "x" * 65, "至多 64 个字符"),
        ("captcha_id", "x\x00", "含有不允许的字符"),
        ("captcha_id", 5, "须为文字"),
        ("captcha_code", "", "不能为空"),
        ("captcha_code", "x" * 17, "至多 16 个字符"),
        ("captcha_code", None, "须为文字"),
    ],
)
def test_captcha_fields_have_a_format(client: FlaskClient, app: Flask, field: str, value: object, reason: str) -> None:
    data = assert_envelope(register(client, **{field: value}), Answer.REGISTRATION_MALFORMED)
    assert data == {"errors": {field: [reason]}}
    assert all_rows(app, User) == []


def test_a_malformed_registration_leaves_the_captcha_unused(client: FlaskClient, app: Flask) -> None:
    captcha = fresh_captcha(client)
    assert_envelope(register(client, "x", **captcha), Answer.REGISTRATION_MALFORMED)
    assert_envelope(register(client, "alice", **captcha), Answer.REGISTERED)


def test_the_captcha_is_checked_before_the_name(client: FlaskClient, app: Flask) -> None:
    assert_envelope(register(client, "alice"), Answer.REGISTERED)
    before = all_rows(app, User)
    assert assert_envelope(register(client, "alice", captcha_code="wrong"), Answer.CAPTCHA_WRONG) is None
    assert all_rows(app, User) == before


@pytest.mark.parametrize("again", ["Alice", "ALICE", "alice", "ａｌｉｃｅ"])
def test_a_name_is_taken_whatever_its_case_and_width(client: FlaskClient, app: Flask, again: str) -> None:
    assert_envelope(register(client, "Alice"), Answer.REGISTERED)
    before = all_rows(app, User)
    captcha = fresh_captcha(client)
    data = assert_envelope(register(client, again, **captcha), Answer.REGISTRATION_FAILED)
    assert data == {"errors": {"username": ["用户名已被使用"]}}
    assert all_rows(app, User) == before
    assert valkey_keys(app, f"captcha:{captcha['captcha_id']}") == []


def test_of_simultaneous_registrations_of_one_name_one_succeeds(app: Flask, clean: None) -> None:
    client = app.test_client()
    for turn in range(5):
        spellings = itertools.cycle([f"Racer_{turn}", f"racer_{turn}", f"RACER_{turn}"])
        bodies = [{"username": next(spellings), "password": PASSWORD, **fresh_captcha(client)} for _ in range(8)]
        responses = at_once(8, lambda number, bodies=bodies: app.test_client().post("/register/", json=bodies[number]))
        winners = [response for response in responses if response.status_code == 200]
        assert len(winners) == 1
        data = assert_envelope(winners[0], Answer.REGISTERED)
        for response in responses:
            if response is not winners[0]:
                refused = assert_envelope(response, Answer.REGISTRATION_FAILED)
                assert refused == {"errors": {"username": ["用户名已被使用"]}}
        rows = all_rows(app, User)
        assert len(rows) == turn + 1
        assert (rows[-1]["id"], rows[-1]["username"]) == (data["user_id"], data["username"])


def test_a_failed_transaction_makes_no_user(context: Flask) -> None:
    def fail() -> None:
        with transaction() as session:
            create_user(session, username="alice", password=PASSWORD)
            create_user(session, username="ALICE", password=PASSWORD)

    with pytest.raises(Refused) as refused:
        fail()
    assert refused.value.answer is Answer.REGISTRATION_FAILED
    assert all_rows(context, User) == []


def test_the_seeder_makes_staff(context: Flask) -> None:
    with transaction() as session:
        user_id = create_user(session, username="管理员", password=PASSWORD, staff_roles=(StaffRole.REVIEWER,)).id
    [row] = all_rows(context, User)
    assert (row["id"], row["is_staff"], row["staff_roles"]) == (user_id, True, ["reviewer"])
