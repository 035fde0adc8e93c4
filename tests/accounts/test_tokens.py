"""Bearer tokens: what each wrong kind answers, rotation, logging out."""

import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.web.auth import AUDIENCE, ISSUER
from config import Settings
from tests.accounts.steps import bearer, claims_of, session_of, valkey_keys
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_user

OWN = "/api/user/"
REFRESH = "/api/token_refresh/"
LOGOUT = "/api/logout/"


def forged(settings: Settings, *, key: str | None = None, algorithm: str = "HS256", **changes: Any) -> str:
    """A token such as ours, with some claims changed (None: left out), signed by `key` (default: ours)."""
    now = int(time.time())
    claims = {"sub": "1", "type": "access", "fresh": False, "iat": now, "nbf": now, "exp": now + 600}
    claims |= {"iss": ISSUER, "aud": AUDIENCE, "jti": "forged", "session": "test-session-1"} | changes
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
        (",  ,", Answer.LOGIN_REQUIRED),
        (",  ,Bearer x", Answer.TOKEN_INVALID),
        ("Bearer x, bearer y", Answer.TOKEN_INVALID),
        ("BearerX", Answer.LOGIN_REQUIRED),
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


def test_two_tokens_are_none(client: FlaskClient, app: Flask) -> None:
    """Which of them counts would be anybody's guess, a proxy's for one."""
    for name in ("alice", "bob"):
        make_user(app, name)
    first, second = (session_of(client, name)["access_token"] for name in ("alice", "bob"))
    header = {"Authorization": f"Bearer {first}, Bearer {second}"}
    assert assert_envelope(client.get(OWN, headers=header), Answer.TOKEN_INVALID) is None


@pytest.mark.parametrize(
    "spelling",
    ["bearer {}", "BEARER {}", "bEaReR {}", "  Bearer   {}  ", "Bearer\t{}", "Bearer {},", "Basic YTpi, Bearer {}"],
)
def test_the_scheme_is_spelt_in_any_way(client: FlaskClient, app: Flask, spelling: str) -> None:
    alice = make_user(app, "alice")
    tokens = session_of(client, "alice")
    header = {"Authorization": spelling.format(tokens["access_token"])}
    assert assert_envelope(client.get(OWN, headers=header), Answer.USER_FOUND)["id"] == alice.id
    header = {"Authorization": spelling.format(tokens["refresh_token"])}
    assert_envelope(client.post(REFRESH, headers=header), Answer.TOKEN_REFRESHED)


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
        {"session": ""},
        {"session": "a\x00b"},
        {"session": "x" * 65},
        {"exp": None},
        {"iat": None},
        {"nbf": None},
        {"jti": None},
        {"type": None},
        {"type": "cashier"},
        {"iss": None},
        {"iss": "another"},
        {"aud": None},
        {"aud": "saltfish-cashier"},
        {"aud": AUDIENCE.upper()},
        {"aud": [AUDIENCE]},  # for this API and perhaps for others
        {"aud": [AUDIENCE, "saltfish-cashier"]},
        {"nbf": 4_000_000_000},  # in 2096
        {"iat": "yesterday"},
        {"exp": "tomorrow"},
        {"exp": float("inf")},
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
    for answer in (
        client.get(OWN, headers=access),
        client.patch(OWN, json={"bio": "x"}, headers=access),
        client.post("/api/user/password/", json=passwords, headers=access),
        client.get("/api/address/", headers=access),
        client.post(REFRESH, headers=refresh),
    ):
        assert_envelope(answer, Answer.TOKEN_REVOKED)
    assert valkey_keys(app, "*") == []


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


def test_logging_out_ends_the_session_and_no_other(client: FlaskClient, app: Flask) -> None:
    make_user(app, "alice")
    here, elsewhere = session_of(client, "alice"), session_of(client, "alice")
    renewed = assert_envelope(client.post(REFRESH, headers=bearer(here["refresh_token"])), Answer.TOKEN_REFRESHED)
    assert assert_envelope(client.post(LOGOUT, headers=bearer(here["access_token"])), Answer.LOGGED_OUT) is None
    for tokens in (here, renewed):
        assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.TOKEN_REVOKED)
        assert_envelope(client.post(LOGOUT, headers=bearer(tokens["access_token"])), Answer.TOKEN_REVOKED)
        assert_envelope(client.post(REFRESH, headers=bearer(tokens["refresh_token"])), Answer.TOKEN_REVOKED)
    assert_envelope(client.get(OWN, headers=bearer(elsewhere["access_token"])), Answer.USER_FOUND)


def test_tokens_are_signed_and_read_by_the_instances_own_key(make_app: MakeApp, settings: Settings) -> None:
    """Where JWT_SECRET_KEY is not set, outside of production."""
    app = make_app(JWT_SECRET_KEY="")
    alice = make_user(app, "alice")
    client = app.test_client()
    tokens = session_of(client, "alice")
    assert assert_envelope(client.get(OWN, headers=bearer(tokens["access_token"])), Answer.USER_FOUND)["id"] == alice.id
    assert_envelope(client.post(REFRESH, headers=bearer(tokens["refresh_token"])), Answer.TOKEN_REFRESHED)
    assert_envelope(client.get(OWN, headers=bearer(forged(settings))), Answer.TOKEN_INVALID)
