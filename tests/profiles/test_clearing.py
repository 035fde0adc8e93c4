"""Staff take away nicknames, bios and avatars that break the rules."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.answers import Answer
from app.db.database import db
from app.notifications.models import Notification
from app.profiles.service import review_avatar
from app.staff.models import StaffAction
from tests.factories import Made, assert_envelope, auth_headers, make_user, picture_bytes, whole_database
from tests.profiles.steps import shown, waiting

pytestmark = pytest.mark.usefixtures("clean")

REASON = "含站外引流"


def clear(app: Flask, actor: Made, user: Made, *parts: str) -> TestResponse:
    url = f"/api/staff/clear_profile/{user.id}/"
    return app.test_client().post(url, json={"parts": parts, "reason": REASON}, headers=auth_headers(app, actor))


def write(app: Flask, user: Made, **columns: Any) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(User).where(User.id == user.id).values(**columns))


def test_what_is_cleared_is_gone_and_the_rest_stays(app: Flask, client: FlaskClient) -> None:
    staff, user, other = make_user(app, staff=True), make_user(app), make_user(app)
    for each in (user, other):
        write(app, each, nickname="看头像加我", bio="详情看头像")
    avatar_id, waits = shown(app, client, user), waiting(app, client, user, picture_bytes(50))
    others = shown(app, client, other, picture_bytes(60))

    assert assert_envelope(clear(app, staff, user, "avatar", "nickname"), Answer.PROFILE_CLEARED) is None
    seen = assert_envelope(client.get(f"/api/user/{user.id}/"), Answer.USER_FOUND)
    assert (seen["nickname"], seen["bio"], seen["avatar"]) == (None, "详情看头像", None)
    assert client.get(f"/api/avatar/{avatar_id}/").status_code == 404
    with app.app_context():
        review_avatar(waits["id"])  # its review was under way
    assert client.get(waits["url"]).status_code == 404
    untouched = assert_envelope(client.get(f"/api/user/{other.id}/"), Answer.USER_FOUND)
    assert (untouched["nickname"], untouched["avatar"]) == ("看头像加我", f"/api/avatar/{others}/")
    with app.app_context():
        [action] = db.session.scalars(select(StaffAction)).all()
        assert (action.actor_id, action.action, action.subject, action.subject_id) == (
            staff.id,
            "clear_profile",
            "user",
            user.id,
        )
        assert (action.reason, action.details) == (REASON, {"parts": ["nickname", "avatar"]})
        [told] = db.session.scalars(select(Notification)).all()
    assert (told.user_id, told.title) == (user.id, "资料已被清除")
    assert told.text == f"你的昵称、头像违反平台规则,已被清除。原因:{REASON}"

    before = whole_database(app)
    assert_envelope(clear(app, staff, user, "avatar", "nickname"), Answer.PROFILE_CLEARED)  # there is nothing left
    assert whole_database(app) == before
    assert_envelope(clear(app, staff, user, "bio"), Answer.PROFILE_CLEARED)
    assert assert_envelope(client.get(f"/api/user/{user.id}/"), Answer.USER_FOUND)["bio"] == ""


def test_who_may_and_of_whom(app: Flask) -> None:
    staff, colleague, user = make_user(app, staff=True), make_user(app, staff=True), make_user(app)
    for each in (colleague, user):
        write(app, each, nickname="小鱼")
    before = whole_database(app)
    assert_envelope(clear(app, user, user, "nickname"), Answer.FORBIDDEN)
    assert_envelope(clear(app, staff, colleague, "nickname"), Answer.FORBIDDEN)
    assert_envelope(clear(app, staff, Made(10**9, {}), "nickname"), Answer.NO_SUCH_USER)
    for parts, field in (((), "parts"), (("password_hash",), "parts.0"), (("nickname",) * 4, "parts")):
        assert list(assert_envelope(clear(app, staff, user, *parts), Answer.MALFORMED)["errors"]) == [field]
    assert whole_database(app) == before
