"""Members of staff who log in to the back office, with the second factor that they set up, and what pages hold."""

import re
from dataclasses import dataclass
from html import unescape

import pyotp
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.clock import utcnow
from app.db.transactions import transaction
from app.staff.login import enrolment_of
from app.staff.models import SecondFactor
from app.staff_roles import StaffRole
from tests.factories import PASSWORD, Made, make_user

COOKIE = "saltfish-office"


@dataclass(frozen=True)
class Person:
    """A member, the secret of their second factor, and a browser of theirs."""

    user: Made
    secret: str
    browser: FlaskClient

    def code(self) -> str:
        """The one-time password of now."""
        return pyotp.TOTP(self.secret).at(utcnow())

    def post(self, path: str, page: str, **fields: object) -> TestResponse:
        """Send a form as it stands on `page`, with the token that stands there."""
        return self.browser.post(path, data={"csrf": csrf_of(self.browser.get(page)), **fields})


def csrf_of(page: TestResponse) -> str:
    """The token of the forms of a page."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found, page.text[:2000]
    return found[1]


def member(app: Flask, *roles: StaffRole, username: str | None = None) -> Person:
    """Somebody of staff with these roles (all of them where none is named) who has a second factor."""
    user = make_user(app, username, staff=True, roles=roles)
    with app.app_context():
        enrolment = enrolment_of(user.id)
        assert enrolment is not None
        with transaction() as session:
            session.get_one(SecondFactor, user.id).confirmed_at = utcnow()
    return Person(user, enrolment.secret, app.test_client())


def log_in(app: Flask, *roles: StaffRole, username: str | None = None) -> Person:
    """As `member`, logged in."""
    person = member(app, *roles, username=username)
    page = person.browser.get("/admin/login/")
    fields = {"csrf": csrf_of(page), "username": person.user.username, "password": PASSWORD}
    answer = person.browser.post("/admin/login/", data=fields)
    assert (answer.status_code, answer.location) == (303, "/admin/second-factor/"), answer.text
    page = person.browser.get(answer.location)
    answer = person.browser.post("/admin/second-factor/", data={"csrf": csrf_of(page), "code": person.code()})
    assert answer.status_code == 303, answer.text
    return person


def words(page: TestResponse) -> str:
    """What a page says, without its markup."""
    inside = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    return " ".join(unescape(inside).split())
