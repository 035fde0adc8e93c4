"""The way into the back office: password, second factor, cookie; and what nobody else can do with any of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from app.accounts.service import change_password
from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.office.views.pages import POLICY
from app.staff.login import reset_second_factor_by_name
from app.staff.models import SecondFactor, StaffSession
from app.staff.service import remove_staff
from app.staff.sessions import purge_staff_sessions
from app.staff_roles import StaffRole
from tests.conftest import MakeApp
from tests.factories import PASSWORD, auth_headers, make_user
from tests.office.steps import COOKIE, Person, csrf_of, log_in, member, words


def sessions(app: Flask) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(StaffSession).order_by(StaffSession.created_at)))


def set_sessions(app: Flask, **values: Any) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(StaffSession).values(**values))


def give_password(person: Person, password: str = PASSWORD, *, next_: str = "") -> Any:
    page = person.browser.get("/admin/login/")
    fields = {"csrf": csrf_of(page), "username": person.user.username, "password": password, "next": next_}
    return person.browser.post("/admin/login/", data=fields)


def give_code(person: Person, code: str, *, next_: str = "") -> Any:
    page = person.browser.get("/admin/second-factor/")
    return person.browser.post("/admin/second-factor/", data={"csrf": csrf_of(page), "code": code, "next": next_})


# --- in ---


def test_the_first_login_sets_up_the_second_factor(app: Flask, client: FlaskClient) -> None:
    user = make_user(app, staff=True)
    page = client.get("/admin/login/")
    fields = {"csrf": csrf_of(page), "username": user.username, "password": PASSWORD}
    assert client.post("/admin/login/", data=fields).location == "/admin/second-factor/"
    page = client.get("/admin/second-factor/")
    assert "<svg" in page.text
    with app.app_context():
        sealed = db.session.get_one(SecondFactor, user.id).secret
    secret = page.text.partition('class="secret">')[2].partition("</code>")[0].replace(" ", "")
    assert len(secret) == 32
    assert secret not in sealed
    # The same secret until it was confirmed.
    assert secret[:4] in client.get("/admin/second-factor/").text
    code = pyotp.TOTP(secret).at(utcnow())
    answer = client.post("/admin/second-factor/", data={"csrf": csrf_of(page), "code": code})
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert client.get("/admin/").status_code == 200
    # Afterwards nobody is told it again.
    other = app.test_client()
    page = other.get("/admin/login/")
    other.post("/admin/login/", data={**fields, "csrf": csrf_of(page)})
    assert "<svg" not in other.get("/admin/second-factor/").text


def test_a_password_alone_opens_nothing(app: Flask, client: FlaskClient) -> None:
    person = member(app)
    assert give_password(person).location == "/admin/second-factor/"
    answer = person.browser.get("/admin/orders/?closed=1")
    assert (answer.status_code, answer.location) == (303, "/admin/second-factor/?next=/admin/orders/?closed%3D1")
    assert person.browser.get("/admin/").status_code == 303


@pytest.mark.parametrize(
    ("next_", "target"),
    [
        ("", "/admin/"),
        ("/admin/users/?suspended=1", "/admin/users/?suspended=1"),
        ("https://evil.example/admin/", "/admin/"),
        ("//evil.example/admin/", "/admin/"),
        ("/admin/\\evil.example", "/admin/"),
        ("/api/user/", "/admin/"),
        ("/admin/\r\nSet-Cookie: a=b", "/admin/"),
        ("javascript:alert(1)//admin/", "/admin/"),
        ("//[", "/admin/"),
    ],
)
def test_where_the_login_leads(app: Flask, client: FlaskClient, next_: str, target: str) -> None:
    person = member(app)
    give_password(person)
    answer = give_code(person, person.code(), next_=next_)
    assert (answer.status_code, answer.location) == (303, target)


def test_who_is_not_of_staff_stays_out(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    page = client.get("/admin/login/")
    fields = {"csrf": csrf_of(page), "username": user.username, "password": PASSWORD}
    answer = client.post("/admin/login/", data=fields)
    assert (answer.status_code, "这个账号不是平台工作人员" in answer.text) == (403, True)
    assert sessions(app) == []


def test_guessing_passwords_and_codes_is_slowed(app: Flask, client: FlaskClient) -> None:
    person = member(app)
    answers = [give_password(person, "wrong-horse-1").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    app.extensions["valkey"].flushdb()
    give_password(person)
    wrong = f"{(int(person.code()) + 1) % 1_000_000:06d}"
    answers = [give_code(person, wrong).status_code for _ in range(6)]
    assert answers == [403] * 5 + [429]
    answer = give_code(person, person.code())
    assert (answer.status_code, int(answer.headers.get("Retry-After", 0) or 1) > 0) == (429, True)


def test_a_code_works_once(app: Flask, client: FlaskClient) -> None:
    person = member(app)
    give_password(person)
    code = person.code()
    assert give_code(person, code).status_code == 303
    again = Person(person.user, person.secret, app.test_client())
    give_password(again)
    answer = give_code(again, code)
    assert (answer.status_code, Answer.SECOND_FACTOR_WRONG.msg in answer.text) == (403, True)


def test_a_code_works_once_of_two_at_the_same_time(app: Flask, client: FlaskClient) -> None:
    person = member(app)
    twice = [person, Person(person.user, person.secret, app.test_client())]
    for each in twice:
        give_password(each)
    pages = [each.browser.get("/admin/second-factor/") for each in twice]
    fields = [{"csrf": csrf_of(page), "code": person.code()} for page in pages]
    begin = Barrier(2, timeout=60)

    def give(number: int) -> int:
        begin.wait()
        return twice[number].browser.post("/admin/second-factor/", data=fields[number]).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(give, range(2))) == [303, 403]
    assert sorted(each.browser.get("/admin/").status_code for each in twice) == [200, 303]


def test_logs_have_no_secret(app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    person = member(app)
    give_password(person, "wrong-horse-1")
    give_password(person)
    half = person.browser.get_cookie(COOKIE)
    code = person.code()
    give_code(person, code)
    whole = person.browser.get_cookie(COOKIE)
    assert half is not None
    assert whole is not None
    assert person.browser.get("/admin/").status_code == 200
    assert "staff_logged_in" in caplog.text
    for secret in (PASSWORD, "wrong-horse-1", person.secret, half.value, whole.value):
        assert secret not in caplog.text
    assert f"'{code}'" not in caplog.text


# --- the cookie ---


def test_no_token_that_a_browser_brings_is_taken_over(app: Flask, client: FlaskClient) -> None:
    """Session fixation: whoever plants a cookie, his own or a made-up one, does not share the login that follows."""
    person = member(app)
    planted = "planted-by-somebody-else"
    person.browser.set_cookie(COOKIE, planted)
    give_password(person)
    half = person.browser.get_cookie(COOKIE)
    assert half is not None
    assert half.value != planted
    give_code(person, person.code())
    whole = person.browser.get_cookie(COOKIE)
    assert whole is not None
    assert len({planted, half.value, whole.value}) == 3
    assert person.browser.get("/admin/").status_code == 200
    for token in (planted, half.value):
        stranger = app.test_client()
        stranger.set_cookie(COOKIE, token)
        assert stranger.get("/admin/").status_code == 303


def test_the_cookie_is_for_this_site_and_no_script(app: Flask, client: FlaskClient) -> None:
    person = member(app)
    set_cookie = give_password(person).headers["Set-Cookie"]
    assert set_cookie.startswith(f"{COOKIE}=")
    assert set_cookie.partition("; ")[2] == "HttpOnly; Path=/; SameSite=Strict"
    stored = [each.id for each in sessions(app)]
    token = set_cookie.partition("=")[2].partition(";")[0]
    assert len(token) == 43
    assert token not in stored


def test_under_https_the_cookie_is_held_to_the_host(app: Flask, client: FlaskClient) -> None:
    set_cookie = client.get("/admin/login/", base_url="https://shop.example").headers["Set-Cookie"]
    assert set_cookie.startswith("__Host-saltfish-office=")
    assert set_cookie.partition("; ")[2] == "Secure; HttpOnly; Path=/; SameSite=Strict"


def test_tokens_of_the_api_and_cookies_are_two_things(app: Flask, client: FlaskClient) -> None:
    person = log_in(app)
    assert client.get("/admin/", headers=auth_headers(app, person.user)).status_code == 303
    assert person.browser.get("/api/staff/orders/").status_code == 401


# --- out ---


@pytest.mark.parametrize("how", ["logout", "password", "removed", "reset", "idle", "over"])
def test_what_ends_a_session(app: Flask, client: FlaskClient, how: str) -> None:
    person = log_in(app)
    assert person.browser.get("/admin/").status_code == 200
    with app.app_context():
        if how == "logout":
            assert person.post("/admin/logout/", "/admin/").location == "/admin/login/"
        elif how == "password":
            change_password(
                user_id=person.user.id, session_id="other", old_password=PASSWORD, new_password="another-horse-2"
            )
        elif how == "removed":
            remove_staff(username=person.user.username, reason="离职")
        elif how == "reset":
            reset_second_factor_by_name(username=person.user.username, reason="换手机")
    if how == "idle":
        set_sessions(app, seen_at=utcnow() - timedelta(hours=1, seconds=1))
    elif how == "over":
        set_sessions(app, expires_at=utcnow())
    answer = person.browser.get("/admin/")
    assert (answer.status_code, answer.location) == (303, "/admin/login/?next=/admin/")


def test_use_keeps_a_session_alive(app: Flask, client: FlaskClient) -> None:
    person = log_in(app)
    before = utcnow() - timedelta(minutes=59)
    set_sessions(app, seen_at=before)
    assert person.browser.get("/admin/").status_code == 200
    assert sessions(app)[-1].seen_at > before + timedelta(minutes=58)


def test_a_page_that_asks_by_itself_keeps_no_session_alive(app: Flask, client: FlaskClient) -> None:
    """The page of queues is loaded anew every few seconds, whether or not anybody looks at it."""
    person = log_in(app)
    before = utcnow() - timedelta(minutes=59)
    set_sessions(app, seen_at=before)
    assert person.browser.get("/admin/operations/", headers={"HX-Request": "true"}).status_code == 200
    assert sessions(app)[-1].seen_at == before


def test_old_sessions_are_purged(app: Flask, client: FlaskClient) -> None:
    log_in(app)
    set_sessions(app, expires_at=utcnow() - timedelta(days=31))
    with app.app_context():
        assert purge_staff_sessions() == 2
    assert sessions(app) == []


def test_an_admin_resets_the_factor_of_others_only(app: Flask, client: FlaskClient) -> None:
    admin, other = log_in(app, StaffRole.ADMIN), log_in(app, StaffRole.REVIEWER)
    path = "/admin/members/{}/reset_second_factor/"
    own = admin.post(path.format(admin.user.id), "/admin/members/", reason="自己")
    assert own.status_code == 403
    answer = admin.post(path.format(other.user.id), "/admin/members/", reason="手机丢失,已视频核实")
    assert answer.location == "/admin/members/"
    assert other.browser.get("/admin/").status_code == 303
    with app.app_context():
        assert [each.user_id for each in db.session.scalars(select(SecondFactor))] == [admin.user.id]
    assert "手机丢失,已视频核实" in words(admin.browser.get("/admin/actions/"))


# --- forms, frames ---


@pytest.mark.parametrize("kind", ["none", "other session", "cross-site", "same-site"])
def test_nobody_else_can_send_a_form(app: Flask, client: FlaskClient, kind: str) -> None:
    person, other = log_in(app), log_in(app)
    target = make_user(app)
    fields = {"reason": "跨站", "days": "forever"}
    headers = {}
    if kind != "none":
        page = (other if kind == "other session" else person).browser.get(f"/admin/users/{target.id}/")
        fields["csrf"] = csrf_of(page)
    if "site" in kind:
        headers["Sec-Fetch-Site"] = kind
    answer = person.browser.post(f"/admin/users/{target.id}/suspend/", data=fields, headers=headers)
    assert (answer.status_code, Answer.FORM_EXPIRED.msg in answer.text) == (403, True)
    assert "已停用" not in words(person.browser.get(f"/admin/users/{target.id}/")).partition("处理")[0]


def test_nobody_can_log_somebody_in_as_himself(app: Flask, client: FlaskClient) -> None:
    """Login CSRF: the form of the login, too, is of this browser."""
    attacker = member(app)
    fields = {"username": attacker.user.username, "password": PASSWORD}
    assert client.post("/admin/login/", data=fields).status_code == 403
    page = attacker.browser.get("/admin/login/")
    client.get("/admin/login/")
    assert client.post("/admin/login/", data={**fields, "csrf": csrf_of(page)}).status_code == 403
    assert sessions(app) == []


def test_pages_cannot_be_framed_and_run_no_foreign_script(app: Flask, client: FlaskClient) -> None:
    person = log_in(app)
    for path in ("/admin/login/", "/admin/", "/admin/users/999/"):
        headers = person.browser.get(path).headers
        assert headers["Content-Security-Policy"] == POLICY
        assert "frame-ancestors 'none'" in POLICY
        assert "unsafe" not in POLICY
        assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store")
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_production_needs_encryption_for_the_cookie(make_app: MakeApp) -> None:
    app = make_app(PUBLIC_URL="https://shop.example")
    set_cookie = app.test_client().get("/admin/login/").headers["Set-Cookie"]
    assert set_cookie.startswith("__Host-saltfish-office=")
    assert "Secure" in set_cookie
