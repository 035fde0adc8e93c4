"""How much is stored for one user: counted exactly, refused where it were too much, for goods and for evidence."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.answers import Answer
from app.db.database import db
from app.goods.models import PictureUsage
from app.orders.models import EvidencePicture
from config import Settings
from statemachine.order import RECEIVED
from tests.factories import (
    Made,
    assert_envelope,
    auth_headers,
    lead_order,
    make_good,
    make_user,
    picture_bytes,
    whole_database,
)
from tests.goods.steps import at_once, everything, form_with, multipart, picture_rows, release
from tests.orders.table import ACTIONS
from tests.settings import settings_with

URL = "/api/good_release/"


def usage(app: Flask) -> dict[int, int]:
    """What is counted for each user."""
    with app.app_context(), db.engine.connect() as connection:
        found = connection.execute(select(PictureUsage.user_id, PictureUsage.bytes))
        return {row.user_id: row.bytes for row in found}


def stored_sizes(app: Flask) -> list[int]:
    """The sizes of the goods' pictures, by id."""
    return [row["size"] for row in picture_rows(app)]


def test_what_is_stored_for_goods_and_evidence_is_counted(app: Flask, client: FlaskClient) -> None:
    buyer, seller = make_user(app), make_user(app)
    good = release(app, client, seller, picture_bytes(60, 40), picture_bytes(80, 40), picture_bytes(60, 40))
    first = stored_sizes(app)
    assert usage(app) == {seller.id: sum(first)}
    form = multipart(picture_bytes(90, 90))
    client.patch(f"/api/good_edit/{good['id']}/", headers=auth_headers(app, seller), **form)
    # The three are not shown any more, but still there.
    assert usage(app) == {seller.id: sum(stored_sizes(app))}
    assert len(stored_sizes(app)) == 4
    order = lead_order(app, make_good(app, seller), buyer, phase=RECEIVED)
    url = ACTIONS["request"].url.format(id=order.id)
    form = multipart(picture_bytes(30, 30), **ACTIONS["request"].body)
    assert_envelope(client.post(url, headers=auth_headers(app, buyer), **form), Answer.REFUND_REQUESTED)
    with app.app_context():
        evidence = db.session.scalars(select(EvidencePicture.size)).one()
    assert usage(app) == {seller.id: sum(stored_sizes(app)), buyer.id: evidence}


def test_what_is_too_much_is_refused_and_leaves_nothing(app: Flask, client: FlaskClient, settings: Settings) -> None:
    buyer, seller = make_user(app), make_user(app)
    good = release(app, client, seller, picture_bytes(60, 40))
    used = usage(app)[seller.id]
    order = lead_order(app, make_good(app, seller), buyer, phase=RECEIVED)
    release(app, client, buyer, picture_bytes(60, 40))
    before, rows = everything(app, settings), whole_database(app)

    def post(user: Made, url: str, fields: dict[str, Any], method: str = "POST") -> Any:
        return client.open(
            url, method=method, headers=auth_headers(app, user), **multipart(picture_bytes(60, 40), **fields)
        )

    # One more fits not, by one byte; and where all is used, no picture is decoded.
    for quota, pictures in ((2 * used - 1, picture_bytes(60, 40)), (used, b"no picture")):
        with settings_with(app, picture_quota=quota):
            for response in (
                client.post(URL, headers=auth_headers(app, seller), **form_with(pictures)),
                post(seller, f"/api/good_edit/{good['id']}/", {"title": "新标题"}, "PATCH"),
                post(buyer, ACTIONS["request"].url.format(id=order.id), ACTIONS["request"].body),
            ):
                data = assert_envelope(response, Answer.PICTURE_QUOTA_FULL)
                assert data == {"used": used, "limit": quota}
    assert everything(app, settings) == before
    assert whole_database(app) == rows
    with settings_with(app, picture_quota=2 * used):
        release(app, client, seller, picture_bytes(60, 40))
        # What has no pictures needs no room.
        release(app, client, seller)
    assert usage(app)[seller.id] == 2 * used


def test_the_quota_holds_for_releases_at_once(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    release(app, client, owner, picture_bytes(60, 40))
    size = usage(app)[owner.id]
    headers, form = auth_headers(app, owner), form_with(picture_bytes(60, 40))
    with settings_with(app, picture_quota=4 * size, picture_requests_limit=99):
        statuses = at_once(*[lambda: app.test_client().post(URL, headers=headers, **form).status_code] * 6)
    assert sorted(statuses) == [200, 200, 200, 409, 409, 409]
    assert usage(app) == {owner.id: 4 * size}
    assert stored_sizes(app) == [size] * 4


@pytest.mark.parametrize("kept", ["quota", "budget"])
def test_a_refusal_is_the_same_under_an_idempotency_key(app: Flask, client: FlaskClient, kept: str) -> None:
    """A full quota is a refusal by the state of things, and kept; what may be tried again in a minute is not."""
    owner = make_user(app)
    release(app, client, owner, picture_bytes(60, 40))
    headers, form = {**auth_headers(app, owner), "Idempotency-Key": f"release-{kept}"}, form_with(picture_bytes(60, 40))
    limits = {"picture_quota": 10} if kept == "quota" else {"picture_budget_pixels": 10}
    with settings_with(app, **limits):
        first = client.post(URL, headers=headers, **form)
    again = client.post(URL, headers=headers, **form)
    assert (first.status_code, again.status_code) == ((409, 409) if kept == "quota" else (429, 200))
