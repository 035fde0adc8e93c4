"""Login: the tokens, the one refusal for wrong names and wrong passwords, and the slowing of guesses."""

import sys
import time
from types import FrameType
from typing import Any, Self

import argon2
import pytest
from argon2 import extract_parameters, low_level
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.accounts import passwords
from app.accounts.models import LoginSession, User
from app.accounts.throttle import HOMES_KEPT, LONGEST_WAIT, admit, forgive
from app.answers import Answer
from app.clock import format_moment
from app.db.database import db
from app.extensions import valkey
from config import Settings
from tests.accounts.steps import all_rows, at_once, claims_of, log_in, session_of, valkey_keys
from tests.conftest import MakeApp
from tests.factories import PASSWORD, assert_envelope, make_user

LOCAL = "127.0.0.1"
ALICE = f"origin:alice:{LOCAL}"
NETWORK = f"network:{LOCAL}"


def failures(app: Flask, subject: str) -> int:
    with app.app_context():
        return int(valkey().get(f"login-failures:{subject}") or 0)


def fail_before(app: Flask, subject: str, times: int) -> None:
    """As if `subject` had failed `times` times, and waited."""
    with app.app_context():
        valkey().set(f"login-failures:{subject}", times, ex=900)


def _counters(username: str, network: str) -> list[str]:
    subjects = (f"account:{username}", f"network:{network}", f"origin:{username}:{network}")
    return [f"login-failures:{subject}" for subject in subjects]


def reopen(app: Flask) -> None:
    """As if the waits were over: what Valkey's own expiry does, without waiting for it."""
    with app.app_context():
        for key in valkey().keys("login-closed:*"):
            valkey().delete(key)


def test_a_login_answers_tokens_and_the_user(client: FlaskClient, app: Flask, settings: Settings) -> None:
    alice = make_user(app, "Alice")
    data = session_of(client, "alice")
    assert set(data) == {"access_token", "refresh_token", "expires_in", "user"}
    assert data["expires_in"] == settings.access_token_lifetime == 3600
    assert data["user"] == {
        "id": alice.id,
        "username": "Alice",
        "nickname": None,
        "avatar": None,
        "bio": "",
        "is_staff": False,
        "created_at": format_moment(alice.created_at),
    }
    access, refresh = claims_of(app, data["access_token"]), claims_of(app, data["refresh_token"])
    assert (access["sub"], access["type"]) == (str(alice.id), "access")
    assert (refresh["sub"], refresh["type"]) == (str(alice.id), "refresh")
    assert access["session"] == refresh["session"]
    assert access["exp"] - access["iat"] == 3600
    assert refresh["exp"] - refresh["iat"] == settings.refresh_token_lifetime == 30 * 86400


def test_every_login_is_a_session_of_its_own(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    tokens = [session_of(client, "alice")["access_token"] for _ in range(2)]
    assert claims_of(app, tokens[0])["session"] != claims_of(app, tokens[1])["session"]


@pytest.mark.parametrize("spelling", ["Alice", "ALICE", " alice ", "ａｌｉｃｅ"])
def test_the_name_may_be_spelt_in_any_case_and_width(client: FlaskClient, app: Flask, spelling: str) -> None:
    alice = make_user(app, "Alice")
    assert session_of(client, spelling)["user"]["id"] == alice.id


def test_forms_log_in_as_well(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    assert_envelope(client.post("/login", data={"username": "alice", "password": PASSWORD}), Answer.LOGGED_IN)


@pytest.mark.parametrize(("username", "password"), [("alice", "wrong-pass-1"), ("nobody", PASSWORD), ("alice", "x")])
def test_a_wrong_name_and_a_wrong_password_answer_the_same(
    client: FlaskClient, app: Flask, username: str, password: str
) -> None:
    make_user(app, "alice")
    response = log_in(client, username, password)
    assert assert_envelope(response, Answer.WRONG_CREDENTIALS) is None
    assert "Retry-After" not in response.headers
    assert len(all_rows(app, LoginSession)) == 1  # the one of the factory


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"username": ["必填"], "password": ["必填"]}),
        ({"username": "alice"}, {"password": ["必填"]}),
        ({"username": "alice", "password": ""}, {"password": ["须为 1 至 64 个可见字符"]}),
        ({"username": "alice", "password": "x" * 65}, {"password": ["须为 1 至 64 个可见字符"]}),
        ({"username": "alice", "password": "a\x00b"}, {"password": ["须为 1 至 64 个可见字符"]}),
        ({"username": "alice", "password": 5}, {"password": ["须为文字"]}),
        ({"username": "alice", "password": None}, {"password": ["须为文字"]}),
        ({"username": "al", "password": PASSWORD}, {"username": ["须为 3 至 20 个字符"]}),
        ({"username": "a' OR 1=1", "password": PASSWORD}, {"username": ["只能包含中文、字母、数字和下划线"]}),
        ({"username": ["alice"], "password": PASSWORD}, {"username": ["须为文字"]}),
    ],
)
def test_a_malformed_login_is_refused_and_not_counted(
    client: FlaskClient, app: Flask, body: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    make_user(app, "alice")
    assert assert_envelope(client.post("/login/", json=body), Answer.LOGIN_MALFORMED) == {"errors": errors}
    assert valkey_keys(app, "*") == []


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"data": b"{", "content_type": "application/json"}, Answer.BAD_REQUEST),
        ({"data": b'{"username": "\\ud800"}', "content_type": "application/json"}, Answer.BAD_REQUEST),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, Answer.BAD_REQUEST),
        ({"data": b"<a/>", "content_type": "application/xml"}, Answer.UNSUPPORTED_TYPE),
        ({"data": b"[]", "content_type": "application/json"}, Answer.LOGIN_MALFORMED),
    ],
)
def test_a_body_that_is_no_fields_is_refused(client: FlaskClient, options: dict[str, Any], answer: Answer) -> None:
    assert_envelope(client.post("/login/", **options), answer)


class Argon2Calls:
    """The hashes that argon2 verifies inside the block, seen by Python's own profiling hook: nothing is replaced."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def _see(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is low_level.verify_secret.__code__:
            self.hashes.append(frame.f_locals["hash"].decode())

    def __enter__(self) -> Self:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_exception: object) -> None:
        sys.setprofile(None)


def test_a_name_that_does_not_exist_costs_the_same_verification(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    [row] = all_rows(app, User)
    seen = []
    for username in ("alice", "nobody"):
        with Argon2Calls() as calls:
            assert_envelope(log_in(client, username, "wrong-pass-1"), Answer.WRONG_CREDENTIALS)
        seen.append(calls.hashes)
    [[real], [dummy]] = seen
    assert real == row["password_hash"]
    assert dummy != real
    assert extract_parameters(dummy) == extract_parameters(real)


def test_the_parameters_are_those_of_owasp() -> None:
    parameters = extract_parameters(passwords.hash_password(PASSWORD))
    assert parameters == argon2.Parameters(
        type=argon2.Type.ID, version=19, salt_len=16, hash_len=32, time_cost=2, memory_cost=19 * 1024, parallelism=1
    )


def test_nobody_has_no_password(client: FlaskClient) -> None:
    assert not passwords.verify_password(None, PASSWORD)
    assert not passwords.verify_password(None, "")


def test_a_login_renews_a_hash_made_with_older_parameters(client: FlaskClient, app: Flask) -> None:
    alice = make_user(app, "alice")
    old = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(User).where(User.id == alice.id).values(password_hash=old))
    assert_envelope(log_in(client, "alice", "wrong-pass-1"), Answer.WRONG_CREDENTIALS)
    assert all_rows(app, User)[0]["password_hash"] == old
    session_of(client, "alice")
    renewed = all_rows(app, User)[0]["password_hash"]
    assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    session_of(client, "alice")
    assert all_rows(app, User)[0]["password_hash"] == renewed


def test_five_failures_are_free_then_each_closes_for_twice_as_long(context: Flask, settings: Settings) -> None:
    assert settings.login_failures_allowed == 5
    for _ in range(5):
        assert admit(username="alice", origin=LOCAL) == 0
    for wait in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        assert admit(username="alice", origin=LOCAL) == wait
        reopen(context)
        assert admit(username="alice", origin=LOCAL) == 0


@pytest.mark.parametrize("username", ["alice", "nobody"])
def test_a_closed_account_says_when_to_come_back_whether_or_not_it_exists(
    client: FlaskClient, app: Flask, username: str
) -> None:
    make_user(app, "alice")
    fail_before(app, f"origin:{username}:{LOCAL}", 9)
    assert_envelope(log_in(client, username, "wrong-pass-1"), Answer.WRONG_CREDENTIALS)
    response = log_in(client, username, "wrong-pass-1")
    assert assert_envelope(response, Answer.LOGIN_FAILED) is None
    assert response.headers["Retry-After"] in ("32", "31")


def test_a_closed_account_refuses_the_right_password_without_looking_at_it(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    fail_before(app, ALICE, 9)
    log_in(client, "alice", "wrong-pass-1")
    with Argon2Calls() as calls:
        assert_envelope(log_in(client, "ALICE"), Answer.LOGIN_FAILED)
    assert calls.hashes == []
    assert failures(app, ALICE) == 10
    assert len(all_rows(app, LoginSession)) == 1  # the one of the factory


def test_the_wait_ends_by_itself(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    for _ in range(5):
        log_in(client, "alice", "wrong-pass-1")
    deadline = time.monotonic() + 10
    while (response := log_in(client, "alice")).status_code == 429 and time.monotonic() < deadline:
        assert_envelope(response, Answer.LOGIN_FAILED)
    assert_envelope(response, Answer.LOGGED_IN)


def test_the_wait_is_at_most_fifteen_minutes(context: Flask, settings: Settings) -> None:
    assert LONGEST_WAIT == 900
    valkey().set(f"login-failures:{ALICE}", 500)
    assert admit(username="alice", origin=LOCAL) == 0
    assert admit(username="alice", origin=LOCAL) == 900
    # The count outlives the wait, so that the next failure closes for as long again.
    assert valkey().ttl(f"login-failures:{ALICE}") in range(1795, 1801)


def test_failures_are_forgotten_after_the_window(context: Flask, settings: Settings) -> None:
    admit(username="alice", origin=LOCAL)
    for subject in (ALICE, NETWORK):
        assert valkey().ttl(f"login-failures:{subject}") in range(895, 901)


def test_a_right_password_clears_what_this_caller_failed(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    for _ in range(4):
        log_in(client, "alice", "wrong-pass-1")
    assert failures(app, ALICE) == 4
    session_of(client, "alice")
    assert failures(app, ALICE) == 0
    assert failures(app, NETWORK) == 4


def test_right_passwords_are_never_slowed(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    for _ in range(12):
        session_of(client, "alice")
    assert failures(app, NETWORK) == 0


def test_one_account_closed_leaves_the_others_open(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    make_user(app, "bob")
    fail_before(app, ALICE, 9)
    log_in(client, "alice", "wrong-pass-1")
    assert_envelope(log_in(client, "alice"), Answer.LOGIN_FAILED)
    session_of(client, "bob")


def test_a_closed_address_refuses_every_account(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    make_user(app, "bob")
    fail_before(app, NETWORK, 54)
    log_in(client, "alice", "wrong-pass-1")
    response = log_in(client, "bob")
    assert_envelope(response, Answer.LOGIN_FAILED)
    assert response.headers["Retry-After"] in ("32", "31")
    elsewhere = log_in(client, "bob", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert_envelope(elsewhere, Answer.LOGGED_IN)


def test_ten_times_as_many_failures_close_an_address(context: Flask) -> None:
    for number in range(50):
        assert admit(username=f"user{number}", origin="192.0.2.1") == 0
    assert admit(username="another", origin="192.0.2.1") == 1
    assert admit(username="another", origin="192.0.2.2") == 0


def test_an_own_account_does_not_wash_away_guesses_at_others(context: Flask) -> None:
    for number in range(49):
        admit(username=f"user{number}", origin="192.0.2.1")
    assert admit(username="mine", origin="192.0.2.1") == 0
    forgive(username="mine", origin="192.0.2.1")
    assert valkey().get("login-failures:network:192.0.2.1") == "49"
    assert admit(username="victim", origin="192.0.2.1") == 0
    assert admit(username="victim", origin="192.0.2.1") == 1


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_an_ipv6_customer_is_one_address(context: Flask, first: str, second: str, same: bool) -> None:
    for number in range(50):
        admit(username=f"user{number}", origin=first)
    assert admit(username="another", origin=second) == (1 if same else 0)


@pytest.mark.parametrize("forwarded", ["192.0.2.7", "192.0.2.7, 192.0.2.8", "unknown", "192.0.2.7:1234"])
def test_nobody_chooses_the_address_they_are_counted_by(client: FlaskClient, app: Flask, forwarded: str) -> None:
    response = log_in(client, "nobody", headers={"X-Forwarded-For": forwarded, "Forwarded": "for=192.0.2.9"})
    assert_envelope(response, Answer.WRONG_CREDENTIALS)
    assert valkey_keys(app, "login-*") == _counters("nobody", LOCAL)


@pytest.mark.parametrize(
    ("forwarded", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("198.51.100.1, 192.0.2.7", "192.0.2.7"),  # what the caller sent stands before what our proxy added
        ("192.0.2.7:1234", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("unix:", "unknown"),
        ("unknown", "unknown"),
    ],
)
def test_a_trusted_proxy_names_the_address(make_app: MakeApp, forwarded: str, counted: str) -> None:
    app = make_app(TRUSTED_PROXIES="1")
    response = log_in(app.test_client(), "nobody", headers={"X-Forwarded-For": forwarded})
    assert_envelope(response, Answer.WRONG_CREDENTIALS)
    assert valkey_keys(app, "login-*") == _counters("nobody", counted)


def test_forgiving_what_has_expired_leaves_nothing_but_the_home(context: Flask) -> None:
    forgive(username="alice", origin=LOCAL)
    assert valkey().keys("*") == ["login-homes:alice"]


def at(address: str) -> dict[str, Any]:
    return {"environ_base": {"REMOTE_ADDR": address}}


def test_a_stranger_shuts_out_nobody_but_himself(client: FlaskClient, app: Flask) -> None:
    """Six wrong passwords, as many more as he likes, and the owner neither at home nor elsewhere waits."""
    make_user(app, "alice")
    token = session_of(client, "alice")["access_token"]
    for _ in range(6):
        log_in(client, "alice", "wrong-pass-1", **at("192.0.2.66"))
    slowed = log_in(client, "alice", **at("192.0.2.66"))
    assert_envelope(slowed, Answer.LOGIN_FAILED)
    assert slowed.headers["Retry-After"] in ("1", "2")
    assert_envelope(log_in(client, "alice"), Answer.LOGGED_IN)
    assert_envelope(log_in(client, "alice", **at("198.51.100.7")), Answer.LOGGED_IN)
    body = {"old_password": PASSWORD, "new_password": "new-secret-2"}
    headers = {"Authorization": f"Bearer {token}"}
    assert_envelope(client.post("/api/user/password/", json=body, headers=headers), Answer.PASSWORD_CHANGED)


@pytest.mark.parametrize("username", ["alice", "nobody"])
def test_guessers_from_many_networks_are_slowed_and_the_owner_at_home_is_not(
    client: FlaskClient, app: Flask, username: str
) -> None:
    make_user(app, "alice")
    session_of(client, "alice")
    for number in range(25):
        assert_envelope(log_in(client, username, "wrong-pass-1", **at(f"192.0.2.{number}")), Answer.WRONG_CREDENTIALS)
    for number in range(3):
        slowed = log_in(client, username, "wrong-pass-1", **at(f"198.51.100.{number}"))
        assert_envelope(slowed, Answer.LOGIN_FAILED)
        assert slowed.headers["Retry-After"] == "1"
    session_of(client, "alice")
    assert failures(app, f"account:{username}") == 25


def test_guessers_from_many_networks_wait_longer_and_longer(context: Flask) -> None:
    valkey().set("login-failures:account:alice", 34)
    assert admit(username="alice", origin="192.0.2.1") == 0
    assert admit(username="alice", origin="192.0.2.2") == LONGEST_WAIT


def test_the_networks_remembered_of_an_account_are_few(context: Flask) -> None:
    for number in range(HOMES_KEPT + 5):
        forgive(username="alice", origin=f"192.0.2.{number}")
    assert valkey().zcard("login-homes:alice") == HOMES_KEPT
    assert valkey().zscore("login-homes:alice", "192.0.2.4") is None
    assert valkey().ttl("login-homes:alice") in range(90 * 86400 - 5, 90 * 86400 + 1)


def test_the_wait_that_is_told_is_the_one_that_is_left(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    with app.app_context():
        valkey().set(f"login-closed:{ALICE}", "1", px=31_900)
    assert log_in(client, "alice").headers["Retry-After"] == "32"


def test_simultaneous_guesses_cannot_pass_together(app: Flask, clean: None) -> None:
    make_user(app, "alice")
    fail_before(app, ALICE, 9)
    responses = at_once(16, lambda number: log_in(app.test_client(), "alice", f"guess-{number}"))
    assert sorted(response.status_code for response in responses) == [401] + [429] * 15
    assert failures(app, ALICE) == 10
