"""The list of notifications, the unread count, and marking them as read."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.db.transactions import transaction
from app.notifications.models import NotificationKind
from app.notifications.service import notify
from tests.factories import Made, assert_envelope, auth_headers, make_user
from tests.notifications.steps import told


def tell(app: Flask, user: Made, *titles: str) -> list[int]:
    """Notifications of `user`; returns their ids."""
    with app.app_context(), transaction() as session:
        for title in titles:
            notify(session, user_id=user.id, kind=NotificationKind.STAFF, title=title, text=f"{title}。", order_id=3)
    return [line.id for line in told(app, user.id)]


def read(client: FlaskClient, headers: dict[str, str], **body: Any) -> Any:
    return client.post("/api/notifications/read/", json=body, headers=headers)


def listed(client: FlaskClient, headers: dict[str, str], query: str = "") -> Any:
    return assert_envelope(client.get(f"/api/notifications/{query}", headers=headers), Answer.NOTIFICATION_FOUND)


def test_the_list_is_the_owner_s_newest_first(app: Flask, client: FlaskClient) -> None:
    user, other = make_user(app), make_user(app)
    ids = tell(app, user, "一", "二", "三")
    tell(app, other, "别人的")
    headers = auth_headers(app, user)
    page = listed(client, headers, "?size=2")
    assert [item["title"] for item in page["items"]] == ["三", "二"]
    assert {name: page[name] for name in ("page", "size", "total", "pages", "unread")} == {
        "page": 1,
        "size": 2,
        "total": 3,
        "pages": 2,
        "unread": 3,
    }
    item = listed(client, headers, "?size=2&page=2")["items"][0]
    assert item.pop("created_at").endswith("+08:00")
    assert item == {
        "id": ids[0],
        "kind": "staff",
        "title": "一",
        "text": "一。",
        "order_id": 3,
        "saved_search_id": None,
        "event": "",
        "read": False,
    }
    assert listed(client, headers, "?page=9")["items"] == []


def test_somebody_without_any(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    tell(app, make_user(app), "别人的")
    headers = auth_headers(app, user)
    data = assert_envelope(client.get("/api/notifications/", headers=headers), Answer.NO_NOTIFICATIONS)
    assert data == {"items": [], "page": 1, "size": 20, "total": 0, "pages": 0, "unread": 0}
    count = client.get("/api/notifications/unread_count/", headers=headers)
    assert assert_envelope(count, Answer.NOTIFICATION_FOUND) == {"unread": 0}


def test_marking_some_as_read(app: Flask, client: FlaskClient) -> None:
    user = make_user(app)
    first, second, third = tell(app, user, "一", "二", "三")
    headers = auth_headers(app, user)
    assert assert_envelope(read(client, headers, ids=[first, third, third]), Answer.NOTIFICATION_READ) == {"unread": 1}
    moments = {line.id: line.read_at for line in told(app)}
    assert moments[second] is None
    assert None not in (moments[first], moments[third])
    assert [item["id"] for item in listed(client, headers, "?unread=true")["items"]] == [second]
    unread_none = listed(client, headers, "?unread=false")
    assert [(item["id"], item["read"]) for item in unread_none["items"]] == [(third, True), (first, True)]
    assert (unread_none["total"], unread_none["unread"]) == (2, 1)
    # Again: nothing changes, also not when it was read.
    assert assert_envelope(read(client, headers, ids=[first]), Answer.NOTIFICATION_READ) == {"unread": 1}
    assert {line.id: line.read_at for line in told(app)} == moments


def test_marking_all_as_read(app: Flask, client: FlaskClient) -> None:
    user, other = make_user(app), make_user(app)
    tell(app, user, "一", "二")
    tell(app, other, "别人的")
    headers = auth_headers(app, user)
    assert assert_envelope(read(client, headers, all=True), Answer.NOTIFICATION_READ) == {"unread": 0}
    assert [line.read_at is None for line in told(app, user.id)] == [False, False]
    assert [line.read_at is None for line in told(app, other.id)] == [True]
    assert_envelope(client.get("/api/notifications/?unread=1", headers=headers), Answer.NO_NOTIFICATIONS)


def test_what_is_not_the_caller_s_does_not_exist_and_marks_nothing(app: Flask, client: FlaskClient) -> None:
    user, other = make_user(app), make_user(app)
    (own,) = tell(app, user, "自己的")
    (foreign,) = tell(app, other, "别人的")
    headers = auth_headers(app, user)
    before = told(app)
    for ids in ([foreign], [own, foreign], [own, 2**63 - 1]):
        assert assert_envelope(read(client, headers, ids=ids), Answer.NO_SUCH_NOTIFICATION) is None
    assert told(app) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"all": False}, "body"),
        ({"ids": [1], "all": True}, "body"),
        ({"ids": []}, "ids"),
        ({"ids": list(range(1, 102))}, "ids"),
        ({"ids": [0]}, "ids.0"),
        ({"ids": [1, "x"]}, "ids.1"),
        ({"ids": 1}, "ids"),
        ({"all": "maybe"}, "all"),
    ],
)
def test_bodies_that_are_wrong(app: Flask, client: FlaskClient, body: dict[str, Any], field: str) -> None:
    user = make_user(app)
    tell(app, user, *["题"] * 3)
    before = told(app)
    data = assert_envelope(read(client, auth_headers(app, user), **body), Answer.MALFORMED)
    assert list(data["errors"]) == [field]
    assert told(app) == before


def test_strangers_have_no_list(client: FlaskClient) -> None:
    for url in ("/api/notifications/", "/api/notifications/unread_count/"):
        assert_envelope(client.get(url), Answer.LOGIN_REQUIRED)
    assert_envelope(client.post("/api/notifications/read/", json={"all": True}), Answer.LOGIN_REQUIRED)
