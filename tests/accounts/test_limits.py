"""Rate limits of the account URLs, per address of origin."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.answers import Answer
from app.extensions import valkey
from tests.conftest import MakeApp
from tests.factories import assert_envelope

REFUSED_LOGIN = {"username": "nobody", "password": "wrong-pass-1"}


@pytest.mark.parametrize(
    ("method", "url", "body", "before"),
    [
        ("GET", "/register/", None, Answer.CAPTCHA_MADE),
        ("POST", "/register/", {}, Answer.REGISTRATION_MALFORMED),
        ("POST", "/login/", REFUSED_LOGIN, Answer.WRONG_CREDENTIALS),
        ("POST", "/api/token_refresh/", None, Answer.LOGIN_REQUIRED),
        ("POST", "/api/user/password/", {}, Answer.LOGIN_REQUIRED),
    ],
)
def test_the_fourth_request_is_refused_to_this_address_only(
    make_app: MakeApp, method: str, url: str, body: Any, before: Answer
) -> None:
    three = dict.fromkeys(("RATE_LIMIT_CAPTCHA", "RATE_LIMIT_REGISTER", "RATE_LIMIT_LOGIN"), "3 per hour")
    client = make_app(RATE_LIMITS_ENABLED="1", **three).test_client()
    for _ in range(3):
        response = client.open(url, method=method, json=body)
        assert_envelope(response, before)
        assert "Retry-After" not in response.headers
    response = client.open(url, method=method, json=body)
    assert assert_envelope(response, Answer.TOO_MANY_REQUESTS) is None
    assert 3590 < int(response.headers["Retry-After"]) <= 3600
    # The trailing slash makes no second URL of it.
    assert_envelope(client.open(url.rstrip("/"), method=method, json=body), Answer.TOO_MANY_REQUESTS)
    elsewhere = client.open(url, method=method, json=body, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert_envelope(elsewhere, before)


def test_limits_count_an_ipv6_customer_as_one_and_believe_no_stranger(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_CAPTCHA="3 per hour").test_client()

    def ask(address: str, forwarded: str) -> TestResponse:
        return client.get("/register/", environ_base={"REMOTE_ADDR": address}, headers={"X-Forwarded-For": forwarded})

    for number in range(3):
        assert_envelope(ask(f"2001:db8:1:2::{number}", f"192.0.2.{number}"), Answer.CAPTCHA_MADE)
    assert_envelope(ask("2001:db8:1:2:ffff::9", "192.0.2.9"), Answer.TOO_MANY_REQUESTS)
    assert_envelope(ask("2001:db8:1:3::1", "192.0.2.9"), Answer.CAPTCHA_MADE)


def test_a_slowed_login_tells_its_own_wait_and_not_the_limits(make_app: MakeApp) -> None:
    app = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_LOGIN="60 per minute")
    with app.app_context():
        valkey().set("login-closed:origin:nobody:127.0.0.1", "1", px=31_900)
    response = app.test_client().post("/login/", json=REFUSED_LOGIN)
    assert_envelope(response, Answer.LOGIN_FAILED)
    assert response.headers["Retry-After"] == "32"
