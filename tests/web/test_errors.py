"""Whatever goes wrong answers in the envelope, with its id and headers, and without a redirect."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from threading import Barrier
from typing import Any, get_args

import jwt as pyjwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token, create_refresh_token
from sqlalchemy import select, text
from sqlalchemy.pool import QueuePool

from app.accounts.sessions import end_session
from app.answers import Answer
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import Good
from app.refusals import REFUSAL_DETAILS
from app.web.api import Api
from app.web.envelope import envelope
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, make_address, make_good, make_session, make_user
from tests.live import PROJECT

# Public: programs compare `data.error` with them. A name may be added; none is changed or taken away.
ERRORS = [
    "LOGIN_FAILED",
    "REGISTRATION_FAILED",
    "WRONG_CREDENTIALS",
    "RELEASE_FAILED",
    "EDIT_FAILED",
    "DELETE_FAILED",
    "ACCOUNT_SUSPENDED",
    "TAKE_DOWN_FAILED",
    "RESTORE_FAILED",
    "APPEAL_REFUSED",
    "REPORT_REFUSED",
    "REVIEW_TAKEN",
    "REVIEW_OUTDATED",
    "TOO_MANY_SAVED_SEARCHES",
    "TOO_MANY_ADDRESSES",
    "FORM_EXPIRED",
    "SECOND_FACTOR_WRONG",
    "OLD_PASSWORD_WRONG",
    "PICTURE_QUOTA_FULL",
    "ACCOUNT_IN_USE",
    "CODE_WRONG",
    "TOO_MANY_CODES",
    "CHANNEL_UNAVAILABLE",
    "GOOD_NOT_FOR_SALE",
    "GOOD_CHANGED",
    "OWN_GOOD",
    "TRADE_MODE_REFUSED",
    "WRONG_STATE",
    "PAYMENT_LATE",
    "INSUFFICIENT_FUNDS",
    "TOO_MANY_WITHDRAWALS",
    "MONEY_CASE_REFUSED",
    "LOGIN_REQUIRED",
    "METHOD_NOT_ALLOWED",
    "TOO_LARGE",
    "REQUEST_TIMEOUT",
    "TOO_MANY_REQUESTS",
    "TOO_MANY_PICTURES",
    "REQUEST_RUNNING",
    "BUSY",
    "FAULT",
    "NOT_READY",
    "GATEWAY_UNAVAILABLE",
    "TOO_MANY_UNPAID",
    "TOO_MANY_EXPIRED",
    "TOO_MANY_CANCELLED",
    "TOO_MANY_STATEMENTS",
    "HANDOVER_CODE_WRONG",
    "HANDOVER_LOCKED",
    "CAPTCHA_WRONG",
    "REGISTRATION_MALFORMED",
    "LOGIN_MALFORMED",
    "NO_SUCH_GOOD",
    "NO_SUCH_ORDER",
    "NO_SUCH_USER",
    "NO_SUCH_ADDRESS",
    "NO_SUCH_REGION",
    "NO_SUCH_NOTIFICATION",
    "NO_SUCH_PICTURE",
    "NO_SUCH_WITHDRAWAL",
    "NO_SUCH_REVIEW",
    "NO_SUCH_BAN",
    "NO_SUCH_MONEY_CASE",
    "NO_SUCH_SAVED_SEARCH",
    "RELEASE_MALFORMED",
    "EDIT_MALFORMED",
    "MALFORMED",
    "KEY_REUSED",
    "BAD_REQUEST",
    "UNSUPPORTED_TYPE",
    "NO_SUCH_URL",
    "FORBIDDEN",
    "TOKEN_EXPIRED",
    "TOKEN_INVALID",
    "TOKEN_REVOKED",
]


def test_the_names_of_refusals_stay() -> None:
    assert [answer.name for answer in Answer if answer.is_refusal] == ERRORS


def test_what_is_no_refusal_has_no_error_and_what_is_one_is_no_success() -> None:
    refusals = [answer for answer in Answer if answer.is_refusal]
    assert {answer.status for answer in refusals} == {100, 101}
    empty = [answer.name for answer in Answer if not answer.is_refusal and answer.status == 100]
    assert empty == [
        "NO_GOODS",
        "NO_ORDERS",
        "NO_NOTIFICATIONS",
        "NO_DISPUTES",
        "NO_PAYMENTS",
        "NO_REFUNDS",
        "NO_STAFF_READS",
        "NO_MESSAGES",
        "NO_STAFF_ACTIONS",
        "NO_USERS",
        "NO_MONEY_CASES",
        "NO_ADDRESSES",
        "NO_REVIEWS",
        "NO_WORDS",
        "NO_BANS",
        "NO_WITHDRAWALS",
        "TOO_FEW_PRICES",
        "NO_SUGGESTIONS",
        "NO_QUERIES",
        "NO_SAVED_SEARCHES",
    ]
    assert set(REFUSAL_DETAILS) <= set(refusals)


def test_the_page_of_refusals_lists_each_as_it_is() -> None:
    page = (PROJECT / "docs" / "errors.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    told = {answer: _fields(REFUSAL_DETAILS.get(answer)) for answer in Answer}
    expected = [
        [f"`{answer.name}`", str(answer.status), str(answer.http), answer.msg, told[answer]]
        for answer in Answer
        if answer.is_refusal
    ]
    assert [[*row[1:4], row[5]] for row in rows[1:]] == [each[1:] for each in expected]
    assert [row[0] for row in rows[1:]] == [each[0] for each in expected]
    assert all(row[4] for row in rows)


def _fields(details: Any) -> str:
    """The page's last cell: the names of the fields."""
    always, *or_none = get_args(details) or (details,)
    if always is None:
        return ""
    return ", ".join(f"`{name}`" for name in always.__annotations__) + (", where it applies" if or_none else "")


@pytest.mark.parametrize("answer", [answer for answer in Answer if answer.is_refusal], ids=lambda answer: answer.name)
def test_every_refusal_names_itself(client: FlaskClient, answer: Answer) -> None:
    with client.application.app_context():
        assert envelope(answer).get_json() == {
            "status": answer.status,
            "msg": answer.msg,
            "data": {"error": answer.name},
        }
        told = envelope(answer, {"errors": {"field": ["必填"]}})
        assert list(told.get_json()["data"].items()) == [("error", answer.name), ("errors", {"field": ["必填"]})]


@pytest.mark.parametrize(
    "path", ["/nowhere", "/nowhere/", "/login/login/", "/api/good/", "/api/good/1/2/", "/docs/assets/.."]
)
def test_unknown_url(client: FlaskClient, path: str) -> None:
    assert assert_envelope(client.get(path), Answer.NO_SUCH_URL) is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/login/", "OPTIONS, POST"),
        ("DELETE", "/login", "OPTIONS, POST"),
        ("POST", "/api/good/1/", "GET, HEAD, OPTIONS"),
        ("GET", "/api/good_edit/1", None),
        ("PUT", "/healthz", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
def test_wrong_method(client: FlaskClient, method: str, path: str, allowed: str | None) -> None:
    response = client.open(path, method=method)
    if allowed is None:  # this one exists
        assert_envelope(response, Answer.LOGIN_REQUIRED)
        return
    assert assert_envelope(response, Answer.METHOD_NOT_ALLOWED) is None
    assert response.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["/healthz", "/docs/states", "/register", "/api/all_order/bill_status", "/api/goods"])
def test_trailing_slash_is_optional_and_never_redirects(client: FlaskClient, path: str) -> None:
    with_slash, without = client.get(path + "/"), client.get(path)
    assert (with_slash.status_code, without.status_code) == (200, 200)
    assert with_slash.content_type == without.content_type


def test_head_answers_the_headers_alone(client: FlaskClient) -> None:
    got, head = client.get("/healthz"), client.head("/healthz")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_options_names_the_methods(client: FlaskClient) -> None:
    response = client.options("/login/")
    assert (response.status_code, response.data) == (200, b"")
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("body", [b"{", b"", b"\xff\xfe", b'{"a": NaN}', b"[" * 5000, b'{"username": "\\ud800"}'])
def test_body_that_is_no_json(client: FlaskClient, body: bytes) -> None:
    response = client.post("/login/", data=body, content_type="application/json")
    if body:
        assert assert_envelope(response, Answer.BAD_REQUEST) is None
    else:
        assert set(assert_envelope(response, Answer.LOGIN_MALFORMED)["errors"]) == {"username", "password"}


def test_json_behind_a_byte_order_mark_is_read(client: FlaskClient) -> None:
    response = client.post("/login/", data=b'\xef\xbb\xbf{"username": "a"}', content_type="application/json")
    assert set(assert_envelope(response, Answer.LOGIN_MALFORMED)["errors"]) == {"username", "password"}


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"1"])
def test_json_that_is_no_object(client: FlaskClient, body: bytes) -> None:
    response = client.post("/login/", data=body, content_type="application/json")
    assert assert_envelope(response, Answer.LOGIN_MALFORMED) == {"errors": {"body": ["须为 JSON 对象"]}}


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/octet-stream", "nonsense", ""])
def test_unsupported_type(client: FlaskClient, kind: str) -> None:
    response = client.post("/login/", data=b'{"username": "a"}', headers={"Content-Type": kind})
    assert assert_envelope(response, Answer.UNSUPPORTED_TYPE) is None


def test_body_that_is_too_large(make_app: MakeApp) -> None:
    client = make_app(MAX_BODY_BYTES="1000").test_client()
    for content_type in ("application/json", "application/x-www-form-urlencoded"):
        response = client.post("/login/", data=b"a" * 1001, content_type=content_type)
        assert assert_envelope(response, Answer.TOO_LARGE) is None
    response = client.post("/login/", data={"pictures": (io.BytesIO(b"a" * 1001), "a.jpg")})
    assert assert_envelope(response, Answer.TOO_LARGE) is None
    client.post("/login/", data=b"{" + b" " * 998 + b"}", content_type="application/json")
    assert_envelope(
        client.post("/login/", data=b"{" + b" " * 998 + b"}", content_type="application/json"), Answer.LOGIN_MALFORMED
    )


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"username": [' + b"1," * 998 + b"1]}", Answer.LOGIN_MALFORMED),
        (b'{"username": [' + b"1," * 999 + b"1]}", Answer.TOO_LARGE),
        (b'{"username": ' + b"[" * 7 + b"]" * 7 + b"}", Answer.LOGIN_MALFORMED),
        (b'{"username": ' + b"[" * 8 + b"]" * 8 + b"}", Answer.BAD_REQUEST),
    ],
)
def test_json_of_many_values_or_of_great_depth(client: FlaskClient, body: bytes, answer: Answer) -> None:
    """F3: what the body may hold is counted before it is parsed."""
    assert_envelope(client.post("/login/", data=body, content_type="application/json"), answer)


@pytest.mark.parametrize(("fields", "answer"), [(100, Answer.LOGIN_MALFORMED), (101, Answer.TOO_LARGE)])
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_forms_of_many_fields(client: FlaskClient, kind: str, fields: int, answer: Answer) -> None:
    form = {f"field{number}": "1" for number in range(fields)}
    assert_envelope(client.post("/login/", data=form, content_type=kind), answer)


def test_too_many_requests(make_app: MakeApp) -> None:
    client = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_CAPTCHA="2 per minute").test_client()
    for _ in range(2):
        assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    response = client.get("/register/")
    assert assert_envelope(response, Answer.TOO_MANY_REQUESTS) is None
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert_envelope(client.get("/healthz"), Answer.OK)
    other = client.get("/register/", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert_envelope(other, Answer.CAPTCHA_MADE)


def test_methods_of_one_view_have_a_limit_each(make_app: MakeApp) -> None:
    """Stacked registrations of one view would otherwise count every request twice."""
    app = make_app(RATE_LIMITS_ENABLED="1", RATE_LIMIT_RELEASE="2 per minute")
    client, headers = app.test_client(), auth_headers(app, make_user(app))
    for _ in range(2):
        assert_envelope(client.patch("/api/good_edit/1/", json={"title": "新"}, headers=headers), Answer.NO_SUCH_GOOD)
    response = client.patch("/api/good_edit/1/", json={"title": "新"}, headers=headers)
    assert_envelope(response, Answer.TOO_MANY_REQUESTS)


@pytest.fixture
def faulty(make_app: MakeApp) -> Flask:
    """An application with views that do not what they declare."""
    api = Api("faulty", __name__, tag="故障", about="what goes wrong")

    @api.get("/faulty/raises/")
    def raises() -> None:
        raise RuntimeError("the reason, which the client must not read")

    @api.get("/faulty/<any(missing, mistyped, undeclared, right):kind>/", out=dict[str, int])
    def answers(kind: str) -> object:
        return {"missing": None, "mistyped": {"a": "1"}, "undeclared": {"a": 1, 2: 3}, "right": {"a": 1}}[kind]

    app = make_app()
    app.register_blueprint(api)
    return app


def test_fault_answers_500_without_its_reason(faulty: Flask) -> None:
    response = faulty.test_client().get("/faulty/raises/")
    assert assert_envelope(response, Answer.FAULT) is None
    assert b"reason" not in response.data
    assert response.headers["X-Request-Id"]


@pytest.mark.parametrize("kind", ["missing", "mistyped", "undeclared"])
def test_answers_that_were_not_declared_fail_in_tests(faulty: Flask, kind: str) -> None:
    assert_envelope(faulty.test_client().get(f"/faulty/{kind}/"), Answer.FAULT)


def test_declared_answers_pass(faulty: Flask) -> None:
    assert assert_envelope(faulty.test_client().get("/faulty/right/"), Answer.OK) == {"a": 1}


@pytest.mark.parametrize("limits", ["0", "1"])
def test_valkey_that_is_gone(make_app: MakeApp, limits: str) -> None:
    app = make_app(REDIS_URL="redis://127.0.0.1:1/0", RATE_LIMITS_ENABLED=limits)
    response = app.test_client().get("/register/", headers={"X-Request-Id": "my-request-1"})
    assert assert_envelope(response, Answer.NOT_READY) is None
    assert (response.headers["Retry-After"], response.headers["X-Request-Id"]) == ("5", "my-request-1")


def test_a_database_that_is_gone(make_app: MakeApp) -> None:
    client = make_app(DATABASE_URL="postgresql+psycopg://saltfish@127.0.0.1:1/saltfish").test_client()
    response = client.get("/api/good/1/", headers={"X-Request-Id": "my-request-1"})
    assert assert_envelope(response, Answer.NOT_READY) is None
    assert (response.headers["Retry-After"], response.headers["X-Request-Id"]) == ("5", "my-request-1")


@pytest.fixture
def troubled(make_app: MakeApp) -> Flask:
    """An application with views that run into the database's troubles."""
    api = Api("troubled", __name__, tag="故障", about="what goes wrong")
    both = Barrier(2)

    @api.get("/troubled/raises/<sqlstate>/")
    def raises(*, sqlstate: str) -> None:
        with transaction() as session:
            session.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$"))

    @api.get("/troubled/killed/")
    def killed() -> None:
        with transaction() as session:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    @api.get("/troubled/deadlock/<first>/<second>/")
    def deadlock(*, first: str, second: str) -> None:
        with transaction() as session:
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(first)})
            both.wait(10)
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(second)})

    app = make_app(DATABASE_POOL_SIZE="1", DATABASE_LOCK_TIMEOUT="2")  # deadlocks are looked for after 1 s
    app.register_blueprint(api)
    return app


@pytest.mark.parametrize(
    ("sqlstate", "answer", "retry_after"),
    [
        ("40001", Answer.BUSY, "1"),
        ("40P01", Answer.BUSY, "1"),
        ("55P03", Answer.BUSY, "1"),
        ("57P01", Answer.NOT_READY, "5"),
        ("57P02", Answer.NOT_READY, "5"),
        ("57P03", Answer.NOT_READY, "5"),
        ("08006", Answer.NOT_READY, "5"),
        ("53100", Answer.NOT_READY, "5"),
        ("57014", Answer.FAULT, None),
        ("22003", Answer.FAULT, None),
        ("23505", Answer.FAULT, None),
        ("XX000", Answer.FAULT, None),
    ],
)
def test_what_the_database_says(troubled: Flask, sqlstate: str, answer: Answer, retry_after: str | None) -> None:
    response = troubled.test_client().get(f"/troubled/raises/{sqlstate}/")
    assert assert_envelope(response, answer) is None
    assert response.headers.get("Retry-After") == retry_after


def test_a_connection_that_is_cut_and_the_next_one(troubled: Flask) -> None:
    client = troubled.test_client()
    assert_envelope(client.get("/api/good/1/"), Answer.NO_SUCH_GOOD)
    response = client.get("/troubled/killed/")
    assert assert_envelope(response, Answer.NOT_READY) is None
    assert response.headers["Retry-After"] == "5"
    assert_envelope(client.get("/api/good/1/"), Answer.NO_SUCH_GOOD)


def test_of_two_in_a_deadlock_one_is_told_to_come_again(troubled: Flask) -> None:
    paths = ["/troubled/deadlock/1/2/", "/troubled/deadlock/2/1/"]
    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(lambda path: troubled.test_client().get(path), paths))
    refused, done = sorted(responses, key=lambda response: response.status_code, reverse=True)
    assert assert_envelope(refused, Answer.BUSY) is None
    assert refused.headers["Retry-After"] == "1"
    assert_envelope(done, Answer.OK)


def test_a_lock_that_somebody_keeps(troubled: Flask) -> None:
    seller, buyer = make_user(troubled), make_user(troubled)
    good, address = make_good(troubled, seller), make_address(troubled, buyer)
    buy = {"path": f"/api/buy/{good.id}/", "json": {"address_id": address.id}, "headers": auth_headers(troubled, buyer)}
    with troubled.app_context(), db.engine.begin() as connection:
        connection.execute(select(Good.id).with_for_update())
        response = troubled.test_client().post(**buy)
    assert assert_envelope(response, Answer.BUSY) is None
    assert response.headers["Retry-After"] == "1"
    assert_envelope(troubled.test_client().post(**buy), Answer.ORDER_CREATED)


def test_no_connection_left_in_the_pool(troubled: Flask) -> None:
    client = troubled.test_client()
    with troubled.app_context(), ExitStack() as stack:
        pool = db.engine.pool
        assert isinstance(pool, QueuePool)
        pool._timeout = 0.1  # the test need not wait for the default of 30 seconds
        for _ in range(2):  # the pool's size and as many beyond
            stack.enter_context(db.engine.connect())
        response = client.get("/api/good/1/")
    assert assert_envelope(response, Answer.BUSY) is None
    assert response.headers["Retry-After"] == "1"
    assert_envelope(client.get("/api/good/1/"), Answer.NO_SUCH_GOOD)


@pytest.mark.parametrize(
    ("path", "answer"),
    [("/healthz", Answer.OK), ("/nowhere", Answer.NO_SUCH_URL), ("/api/user/", Answer.LOGIN_REQUIRED)],
)
def test_always_200(make_app: MakeApp, path: str, answer: Answer) -> None:
    response = make_app(ENVELOPE_ALWAYS_200="1").test_client().get(path)
    assert response.status_code == 200
    assert (response.get_json()["status"], response.get_json()["msg"]) == (answer.status, answer.msg)


def test_every_kind_of_bad_token(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    living = {"session": make_session(app, user.id)}
    with app.app_context():
        access = create_access_token(identity=str(user.id), additional_claims=living)
        ended = {"session": make_session(app, user.id, "ended")}
        revoked = create_access_token(identity=str(user.id), additional_claims=ended)
        end_session(user_id=user.id, session_id="ended")
        no_session = create_access_token(identity=str(user.id))
        nobody = create_access_token(identity="x1", additional_claims=living)
        expired = create_access_token(
            identity=str(user.id), additional_claims=living, expires_delta=timedelta(seconds=-1)
        )
        refresh = create_refresh_token(identity=str(user.id), additional_claims=living)
    claims = pyjwt.decode(access, options={"verify_signature": False})
    forged = pyjwt.encode(claims, hashlib.sha256(b"another key").hexdigest(), algorithm="HS256")
    unsigned = pyjwt.encode(claims, None, algorithm="none")
    header_of = {
        Answer.LOGIN_REQUIRED: [None],
        Answer.TOKEN_EXPIRED: [f"Bearer {expired}"],
        Answer.TOKEN_REVOKED: [f"Bearer {revoked}"],
        Answer.TOKEN_INVALID: [
            f"Bearer {token}" for token in ("garbage", "a.b.c", forged, unsigned, refresh, no_session, nobody)
        ],
    }
    for answer, headers in header_of.items():
        for header in headers:
            response = client.get("/api/user/", headers={"Authorization": header} if header else {})
            assert assert_envelope(response, answer) is None
            assert response.headers["WWW-Authenticate"] == "Bearer"
    assert_envelope(client.get("/api/user/", headers={"Authorization": f"Bearer {access}"}), Answer.USER_FOUND)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0123-abc.DEF_9", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("short", False),
        ("with space", False),
        ("请求编号一二三四五六", False),
    ],
)
def test_request_id_is_kept_if_well_formed(client: FlaskClient, given: str, *, kept: bool) -> None:
    answered = client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert (answered == given) is kept
    assert kept or len(answered) == 16


def test_request_ids_differ(client: FlaskClient) -> None:
    assert len({client.get("/healthz").headers["X-Request-Id"] for _ in range(20)}) == 20


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/docs/", "/metrics"])
def test_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"


def test_browsers_may_call_from_the_origins_of_the_setting_only(make_app: MakeApp) -> None:
    client = make_app(CORS_ORIGINS="https://shop.example, https://m.example").test_client()
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = client.options("/api/buy/1/", headers={"Origin": "https://m.example", **asked})
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://m.example"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"].lower() == "authorization"
    assert preflight.headers["Access-Control-Max-Age"] == "7200"
    answer = client.get("/nowhere", headers={"Origin": "https://shop.example"})
    assert_envelope(answer, Answer.NO_SUCH_URL)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert answer.headers["Vary"] == "Origin"
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert sorted(exposed) == ["Idempotency-Replayed", "Retry-After", "WWW-Authenticate", "X-Request-Id"]
    # A cache may hand the answer to one page on to another: all say that they differ.
    stranger, nobody = client.get("/healthz", headers={"Origin": "https://evil.example"}), client.get("/healthz")
    for other in (stranger, nobody):
        assert "Access-Control-Allow-Origin" not in other.headers
        assert other.headers["Vary"] == "Origin"


def test_no_origin_may_call_unless_set(client: FlaskClient) -> None:
    response = client.get("/healthz", headers={"Origin": "https://shop.example"})
    assert not [name for name in response.headers.keys() if name.startswith(("Access-Control", "Vary"))]  # noqa: SIM118 - iterating yields pairs
