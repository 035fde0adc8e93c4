"""Bearer tokens: what each wrong kind answers, rotation, logging out."""

import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import decode_token

from app.answers import Answer
from app.extensions import valkey
from config import Settings
from tests.accounts.steps import at_once, bearer, session_of, valkey_keys
from tests.factories import assert_envelope, auth_headers, make_user

OWN = "/api/user/"
REFRESH = "/api/token_refresh/"
LOGOUT = "/api/logout/"


def claims_of(app: Flask, token: str) -> dict[str, Any]:
    with app.app_context():
        claims: dict[str, Any] = decode_token(token)
    return claims


def forged(settings: Settings, *, key: str | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    """A token such as ours, with some claims changed (None: left out), signed by `key` (default: ours)."""
    now = int(time.time())
    claims = {"sub": "1", "type": "access", "fresh": False, "iat": now, "nbf": now, "exp": now + 600}
    claims |= {"jti": "forged", "session": "forged"} | changes
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, settings.jwt_secret_key if key is None else key, algorithm)


def test_a_right_token_is_let_in(client: FlaskClient, app: Flask) -> None:
    alice = make_user(app, "alice")
    tokens = session_of(client, "alice")
    data = assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.USER_FOUND)
    assert data["id"] == alice.id


@pytest.mark.parametrize(
    ("method", "url"), [("get", OWN), ("post", LOGOUT), ("post", REFRESH), ("get", "/api/address/")]
)
def test_no_token_asks_for_a_login(client: FlaskClient, method: str, url: str) -> None:
    assert assert_envelope(getattr(client, method)(url), Answer.LOGIN_REQUIRED) is None


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("", Answer.LOGIN_REQUIRED),
        ("   ", Answer.LOGIN_REQUIRED),
        ("Basic YTpi", Answer.LOGIN_REQUIRED),
        ("garbage", Answer.LOGIN_REQUIRED),
        (",  ,", Answer.TOKEN_INVALID),
        (",  ,Bearer x", Answer.TOKEN_INVALID),
        ("Bearer", Answer.TOKEN_INVALID),
        ("Bearer ", Answer.TOKEN_INVALID),
        ("Bearer a b", Answer.TOKEN_INVALID),
        ("Bearer garbage", Answer.TOKEN_INVALID),
        ("Bearer a.b.c", Answer.TOKEN_INVALID),
        ("Bearer ...", Answer.TOKEN_INVALID),
        ("Bearer \u00e9\u00e9\u00e9", Answer.TOKEN_INVALID),
        ("Bearer bnVsbA.bnVsbA.bnVsbA", Answer.TOKEN_INVALID),  # header and payload are `null`
        ("Bearer " + "W1tb" * 4000 + ".e30.x", Answer.TOKEN_INVALID),  # a header of 12,000 opening brackets
        ("Bearer " + "x" * 60_000, Answer.TOKEN_INVALID),
    ],
)
def test_headers_that_carry_no_token(client: FlaskClient, header: str, answer: Answer) -> None:
    assert assert_envelope(client.get(OWN, headers={"Authorization": header}), answer) is None


def test_an_expired_token(client: FlaskClient, app: Flask) -> None:
    headers = auth_headers(app, make_user(app, "alice"), lifetime=timedelta(seconds=-1))
    assert assert_envelope(client.get(OWN, headers=headers), Answer.TOKEN_EXPIRED) is None


def test_an_expired_refresh_token(client: FlaskClient, app: Flask, settings: Settings) -> None:
    make_user(app, "alice")
    token = forged(settings, type="refresh", exp=int(time.time()) - 1)
    assert assert_envelope(client.post(REFRESH, headers=bearer(token)), Answer.TOKEN_EXPIRED) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "another-secret-key-of-at-least-32-characters"},
        {"key": "", "algorithm": "none"},
        {"key": "another-secret-key-of-at-least-64-characters-for-another-algorithm", "algorithm": "HS512"},
        {"sub": None},
        {"sub": 1},
        {"sub": ""},
        {"sub": "alice"},
        {"sub": "-1"},
        {"sub": "１"},
        {"session": None},
        {"session": 5},
        {"nbf": 4_000_000_000},  # in 2096
        {"iat": "yesterday"},
        {"exp": "tomorrow"},
        {"type": "refresh"},
    ],
    ids=str,
)
def test_forged_and_incomplete_tokens(
    client: FlaskClient, app: Flask, settings: Settings, changes: dict[str, Any]
) -> None:
    make_user(app, "alice")
    token = forged(settings, **changes)
    assert assert_envelope(client.get(OWN, headers=bearer(token)), Answer.TOKEN_INVALID) is None


def test_the_forger_would_have_succeeded_with_our_key(client: FlaskClient, app: Flask, settings: Settings) -> None:
    """So each refusal above is owed to the one claim that was changed."""
    alice = make_user(app, "alice")
    response = client.get(OWN, headers=bearer(forged(settings)))
    assert assert_envelope(response, Answer.USER_FOUND)["id"] == alice.id


def test_a_tampered_payload(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    make_user(app, "mallory")
    tokens = [session_of(client, name)["access_token"].split(".") for name in ("alice", "mallory")]
    mixed = ".".join([tokens[1][0], tokens[0][1], tokens[1][2]])
    assert assert_envelope(client.get(OWN, headers=bearer(mixed)), Answer.TOKEN_INVALID) is None


def test_a_refresh_token_is_no_access_token(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    headers = bearer(session_of(client, "alice")["refresh_token"])
    for method, url in (("get", OWN), ("post", LOGOUT), ("get", "/api/address/"), ("post", "/api/add_address/")):
        assert assert_envelope(getattr(client, method)(url, headers=headers), Answer.TOKEN_INVALID) is None


def test_an_access_token_is_no_refresh_token(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    headers = bearer(session_of(client, "alice")["access_token"])
    assert assert_envelope(client.post(REFRESH, headers=headers), Answer.TOKEN_INVALID) is None
    assert valkey_keys(app, "used-refresh-token:*") == []


def test_a_token_in_the_query_string_is_not_looked_at(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    token = session_of(client, "alice")["access_token"]
    assert_envelope(client.get(OWN, query_string={"token": token}), Answer.LOGIN_REQUIRED)


@pytest.mark.parametrize("sub", ["0", "-1", "alice", "007", str(2**63), "１"])
def test_a_token_whose_subject_is_no_user_id(client: FlaskClient, settings: Settings, sub: str) -> None:
    headers = bearer(forged(settings, sub=sub, type="access"))
    assert_envelope(client.get(OWN, headers=headers), Answer.TOKEN_INVALID)


@pytest.mark.parametrize("sub", ["999", str(10**18 - 1)])
def test_a_token_of_somebody_who_does_not_exist(client: FlaskClient, app: Flask, settings: Settings, sub: str) -> None:
    make_user(app, "alice")
    access, refresh = (bearer(forged(settings, sub=sub, type=kind)) for kind in ("access", "refresh"))
    passwords = {"old_password": "correct-horse-1", "new_password": "correct-horse-2"}
    assert_envelope(client.get(OWN, headers=access), Answer.NO_SUCH_USER)
    assert_envelope(client.patch(OWN, json={"bio": "x"}, headers=access), Answer.NO_SUCH_USER)
    assert_envelope(client.post("/api/user/password/", json=passwords, headers=access), Answer.NO_SUCH_USER)
    assert_envelope(client.post("/api/address/1/default/", headers=access), Answer.NO_SUCH_USER)
    assert_envelope(client.delete("/api/address/1/", headers=access), Answer.NO_SUCH_USER)
    assert_envelope(client.get("/api/address/", headers=access), Answer.NO_ADDRESSES)
    assert_envelope(client.post(REFRESH, headers=refresh), Answer.NO_SUCH_USER)
    assert valkey_keys(app, "used-refresh-token:*") == []


def test_a_refresh_answers_a_new_pair_of_the_same_session(client: FlaskClient, app: Flask, settings: Settings) -> None:
    alice = make_user(app, "alice")
    first = session_of(client, "alice")
    second = assert_envelope(client.post(REFRESH, headers=bearer(first["refresh_token"])), Answer.TOKEN_REFRESHED)
    assert set(second) == {"access_token", "refresh_token", "expires_in"}
    assert second["expires_in"] == settings.access_token_lifetime
    old, new = (claims_of(app, each["refresh_token"]) for each in (first, second))
    assert (new["sub"], new["session"], new["type"]) == (str(alice.id), old["session"], "refresh")
    assert new["jti"] != old["jti"]
    for tokens in (first, second):
        assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.USER_FOUND)
    third = assert_envelope(client.post(REFRESH, headers=bearer(second["refresh_token"])), Answer.TOKEN_REFRESHED)
    assert_envelope(client.get(OWN, headers=bearer(third["access_token"])), Answer.USER_FOUND)


def test_a_refresh_token_used_again_ends_its_session(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    stolen, other = session_of(client, "alice"), session_of(client, "alice")
    renewed = assert_envelope(client.post(REFRESH, headers=bearer(stolen["refresh_token"])), Answer.TOKEN_REFRESHED)
    again = client.post(REFRESH, headers=bearer(stolen["refresh_token"]))
    assert assert_envelope(again, Answer.TOKEN_REVOKED) is None
    for tokens in (stolen, renewed):
        assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.TOKEN_REVOKED)
        assert_envelope(client.post(REFRESH, headers=bearer(tokens["refresh_token"])), Answer.TOKEN_REVOKED)
    assert_envelope(client.get(OWN, headers=bearer(other["access_token"])), Answer.USER_FOUND)
    assert_envelope(client.post(REFRESH, headers=bearer(other["refresh_token"])), Answer.TOKEN_REFRESHED)


def test_of_simultaneous_refreshes_one_succeeds_and_the_session_ends(app: Flask, clean: None) -> None:
    make_user(app, "alice")
    tokens = session_of(app.test_client(), "alice")
    headers = bearer(tokens["refresh_token"])
    responses = at_once(8, lambda _number: app.test_client().post(REFRESH, headers=headers))
    assert sorted(response.status_code for response in responses) == [200] + [401] * 7
    [winner] = [response for response in responses if response.status_code == 200]
    renewed = assert_envelope(winner, Answer.TOKEN_REFRESHED)
    for response in responses:
        if response is not winner:
            assert assert_envelope(response, Answer.TOKEN_REVOKED) is None
    client = app.test_client()
    assert_envelope(client.get(OWN, headers=bearer(renewed["access_token"])), Answer.TOKEN_REVOKED)


def test_what_is_remembered_of_a_used_token_lives_as_long_as_the_token(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    token = session_of(client, "alice")["refresh_token"]
    claims = claims_of(app, token)
    assert_envelope(client.post(REFRESH, headers=bearer(token)), Answer.TOKEN_REFRESHED)
    with app.app_context():
        left = valkey().ttl(f"used-refresh-token:{claims['jti']}")
    assert 0 <= left - (claims["exp"] - time.time()) <= 2


def test_logging_out_ends_the_session_and_no_other(client: FlaskClient, app: Flask, settings: Settings) -> None:
    alice = make_user(app, "alice")
    here, elsewhere = session_of(client, "alice"), session_of(client, "alice")
    renewed = assert_envelope(client.post(REFRESH, headers=bearer(here["refresh_token"])), Answer.TOKEN_REFRESHED)
    assert assert_envelope(client.post(LOGOUT, headers=bearer(here["access_token"])), Answer.LOGGED_OUT) is None
    for tokens in (here, renewed):
        assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.TOKEN_REVOKED)
        assert_envelope(client.post(LOGOUT, headers=bearer(tokens["access_token"])), Answer.TOKEN_REVOKED)
        assert_envelope(client.post(REFRESH, headers=bearer(tokens["refresh_token"])), Answer.TOKEN_REVOKED)
    assert_envelope(client.get(OWN, headers=bearer(elsewhere["access_token"])), Answer.USER_FOUND)
    with app.app_context():
        session = claims_of(app, here["access_token"])["session"]
        assert valkey().ttl(f"denied-token:{session}") in range(
            settings.refresh_token_lifetime - 5, settings.refresh_token_lifetime + 1
        )
        assert valkey().zrange(f"sessions:{alice.id}", 0, -1) == [claims_of(app, elsewhere["access_token"])["session"]]
