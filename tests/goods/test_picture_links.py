"""Links that show a picture that is not public in an `<img>`, which sends no token: what one opens, and how long."""

import io
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from app.answers import Answer
from app.clock import utcnow
from app.goods import picture_links
from statemachine import GoodStatus
from statemachine.order import REFUND_REQUESTED_SHIPPED
from tests.conftest import MakeApp
from tests.factories import assert_envelope, auth_headers, lead_order, make_good, make_user, picture_bytes
from tests.goods.steps import multipart, publish, release
from tests.orders.table import ACTIONS
from tests.settings import settings_with

WIDTHS = {"whole": 1000, "w120": 120, "w240": 240, "w480": 480, "w960": 960}


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let that many seconds go by, for links."""
    monkeypatch.setattr(picture_links, "utcnow", lambda: utcnow() + timedelta(seconds=seconds))


def shown_width(client: FlaskClient, url: str) -> int:
    response = client.get(url)
    assert response.status_code == 200, (url, response.data)
    return Image.open(io.BytesIO(response.data)).width


def test_who_may_see_a_hidden_good_gets_links_for_an_img(app: Flask, client: FlaskClient) -> None:
    owner, staff = make_user(app), make_user(app, staff=True)
    good = release(app, client, owner, picture_bytes(1000, 500), picture_bytes(60, 40))

    def links_of(url: str, user: Any) -> list[dict[str, str]]:
        data = client.get(url, headers=auth_headers(app, user)).get_json()["data"]
        shown = data["items"][0] if "items" in data else data
        return [each["links"] for each in shown["pictures"]]

    told = [
        [each["links"] for each in good["pictures"]],
        *[links_of(f"/api/{name}/{good['id']}/", owner) for name in ("good", "good_edit")],
        links_of("/api/my_goods/", owner),
        links_of(f"/api/good/{good['id']}/", staff),
    ]
    for first, _ in told:
        assert {name: shown_width(client, first[name]) for name in WIDTHS} == WIDTHS
        assert first["expires_at"].endswith("+08:00")
        for name in WIDTHS:
            wanted = set() if name == "whole" else {"w"}
            assert set(parse_qs(urlsplit(first[name]).query)) == {"until", "sign"} | wanted
    response = client.get(good["pictures"][0]["links"]["w240"])
    kind, _, seconds = response.headers["Cache-Control"].partition(", max-age=")
    assert kind == "private"
    assert 290 < int(seconds) <= 600
    assert response.headers["Referrer-Policy"] == "no-referrer"
    publish(app, good["id"])
    data = assert_envelope(client.get(f"/api/good/{good['id']}/", headers=auth_headers(app, owner)), Answer.GOOD_FOUND)
    assert [set(each) for each in data["pictures"]] == [{"id", "url", "width", "height"}] * 2
    # Then it is what all see.
    assert client.get(good["pictures"][0]["links"]["w240"]).headers["Cache-Control"].startswith("public")


def test_a_link_opens_one_picture_in_one_width_for_minutes(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = make_user(app)
    good = release(app, client, owner, picture_bytes(1000, 500), picture_bytes(900, 500))
    first, second = ({**each["links"], "url": each["url"]} for each in good["pictures"])
    query = {name: values[0] for name, values in parse_qs(urlsplit(first["w240"]).query).items()}
    until, sign = int(query["until"]), query["sign"]
    forged = [
        second["w240"].partition("?")[0] + "?" + first["w240"].partition("?")[2],
        first["w240"].replace("w=240", "w=960"),
        first["w240"].replace("w=240&", ""),
        first["whole"] + "&w=120",
        first["w240"].replace(f"until={until}", f"until={until + 300}"),
        first["w240"].replace(f"until={until}", "until=1"),
        first["w240"].replace(sign, sign[:-1]),
        first["w240"].replace(sign, sign[::-1]),
        first["w240"].replace(sign, ""),
        first["w240"].replace(sign, "%E4%BD%A0"),
        first["w240"].replace(f"&sign={sign}", ""),
        f"{first['url']}?w=240",
        first["w240"].replace("/api/pic/", "/api/evidence/"),
    ]
    for url in forged:
        expected = Answer.LOGIN_REQUIRED if "evidence" in url else Answer.NO_SUCH_PICTURE
        assert_envelope(client.get(url), expected)
        # It takes nothing from who may see the picture anyway.
        if "evidence" not in url and "/pic/" in url:
            assert client.get(url, headers=auth_headers(app, owner)).status_code == 200
    left = until - utcnow().timestamp()
    at(monkeypatch, left - 5)
    assert client.get(first["w240"]).headers["Cache-Control"] in ("private, max-age=4", "private, max-age=5")
    at(monkeypatch, left + 1)
    assert_envelope(client.get(first["w240"]), Answer.NO_SUCH_PICTURE)
    monkeypatch.undo()
    with settings_with(app, jwt_secret_key="another secret of at least thirty-two characters"):
        assert_envelope(client.get(first["w240"]), Answer.NO_SUCH_PICTURE)
    assert shown_width(client, first["w240"]) == 240


def test_links_of_one_lifetime_are_the_same(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a browser need not fetch a picture again for each answer that tells of it."""
    begin = 1_800_000_000 - utcnow().timestamp()
    seen = {}
    with app.app_context():
        for seconds in (1, 298, 301):
            at(monkeypatch, begin + seconds)
            seen[seconds] = picture_links.links_to("/api/pic/1/")
    assert seen[1] == seen[298] != seen[301]
    assert seen[1]["whole"].startswith("/api/pic/1/?until=1800000600&sign=")


def test_evidence_shows_to_both_sides_and_staff(app: Flask, client: FlaskClient) -> None:
    buyer, seller, staff = make_user(app), make_user(app), make_user(app, staff=True)
    order = lead_order(app, make_good(app, seller), buyer, phase=REFUND_REQUESTED_SHIPPED)
    form = multipart(picture_bytes(1000, 500), **ACTIONS["dispute"].body)
    sent = client.post(ACTIONS["dispute"].url.format(id=order.id), headers=auth_headers(app, buyer), **form)
    assert_envelope(sent, Answer.DISPUTE_RAISED)
    told = []
    for user in (buyer, seller):
        detail = client.get(f"/api/order/{order.id}/", headers=auth_headers(app, user)).get_json()["data"]
        told.append(detail["disputes"][0]["pictures"][0])
    cases = client.get("/api/staff/disputes/", headers=auth_headers(app, staff)).get_json()["data"]
    told.append(cases["items"][0]["dispute"]["pictures"][0])
    for picture in told:
        assert {name: shown_width(client, picture["links"][name]) for name in WIDTHS} == WIDTHS
        response = client.get(picture["links"]["w120"])
        assert response.headers["Cache-Control"].startswith("private, max-age=")
        assert_envelope(client.get(picture["links"]["w120"].replace("w=120", "w=240")), Answer.LOGIN_REQUIRED)
        as_good = picture["links"]["w120"].replace("/api/evidence/", "/api/pic/")
        assert_envelope(client.get(as_good), Answer.NO_SUCH_PICTURE)
    small = client.get(f"{told[0]['url']}?w=240", headers=auth_headers(app, seller))
    assert Image.open(io.BytesIO(small.data)).width == 240


def test_a_link_that_was_called_is_in_no_line_of_the_log(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(LOG_LEVEL="DEBUG")
    client, owner = app.test_client(), make_user(app)
    good = release(app, client, owner, picture_bytes(300, 200))
    link = good["pictures"][0]["links"]["w240"]
    publish(app, good["id"], status=GoodStatus.REJECTED)
    assert shown_width(client, link) == 240
    logged = capsys.readouterr().err
    assert f'"path":"{good["pictures"][0]["url"]}"' in logged
    assert parse_qs(urlsplit(link).query)["sign"][0] not in logged
