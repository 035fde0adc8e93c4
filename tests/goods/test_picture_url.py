"""`/api/pic/`: bytes, caching, thumbnails, and who may see what."""

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.http import http_date

from app.answers import Answer
from config import Settings
from statemachine import GoodStatus
from tests.factories import Made, assert_envelope, auth_headers, make_order, make_user, picture_bytes
from tests.goods.steps import (
    assert_malformed,
    counting,
    picture_in,
    picture_rows,
    publish,
    release,
    review,
    row_of,
    stored_files,
)


def _released(app: Flask, client: FlaskClient, *pictures: bytes, status: int = 2) -> tuple[Made, Any, str]:
    """An owner, a good of theirs at `status`, and its first picture's URL."""
    owner = make_user(app)
    good = release(app, client, owner, *(pictures or (picture_bytes(600, 400),)))
    publish(app, good["id"], status=status)
    return owner, good, good["pictures"][0]["url"]


def test_the_bytes(app: Flask, client: FlaskClient, settings: Settings) -> None:
    _, _, url = _released(app, client)
    (row,) = picture_rows(app)
    with counting(app) as statements:
        response = client.get(url)
    assert len(statements) == 1
    name = row["sha256"]
    assert response.status_code == 200
    assert response.data == (settings.instance_path / "pictures" / name[:2] / name[2:4] / name).read_bytes()
    assert {
        header: response.headers.get(header)
        for header in (
            *("Content-Type", "Content-Length", "ETag", "Cache-Control", "Last-Modified"),
            *("X-Content-Type-Options", "Content-Disposition", "Content-Security-Policy"),
        )
    } == {
        "Content-Type": "image/jpeg",
        "Content-Length": str(row["size"]),
        "ETag": f'"{name}"',
        "Cache-Control": "public, max-age=31536000, immutable",
        "Last-Modified": http_date(row["created_at"]),
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": "inline",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    assert client.get(url.rstrip("/")).data == response.data


def test_head(app: Flask, client: FlaskClient) -> None:
    _, _, url = _released(app, client)
    for query in ("", "?w=120"):
        got, head = client.get(url + query), client.head(url + query)
        assert (head.status_code, head.data) == (200, b"")
        same = ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Last-Modified")
        assert {name: head.headers[name] for name in same} == {name: got.headers[name] for name in same}


def test_conditional_requests(app: Flask, client: FlaskClient) -> None:
    _, _, url = _released(app, client)
    for query in ("", "?w=240"):
        got = client.get(url + query)
        for headers in (
            {"If-None-Match": got.headers["ETag"]},
            {"If-None-Match": f'"other", {got.headers["ETag"]}'},
            {"If-None-Match": "*"},
            {"If-Modified-Since": got.headers["Last-Modified"]},
        ):
            response = client.get(url + query, headers=headers)
            assert (response.status_code, response.data) == (304, b"")
            assert response.headers["ETag"] == got.headers["ETag"]
            assert response.headers["Cache-Control"] == got.headers["Cache-Control"]
        for headers in ({"If-None-Match": '"other"'}, {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}):
            response = client.get(url + query, headers=headers)
            assert (response.status_code, response.data) == (200, got.data)


def test_a_known_thumbnail_is_not_made_for_a_304(app: Flask, client: FlaskClient, settings: Settings) -> None:
    _, _, url = _released(app, client)
    (row,) = picture_rows(app)
    response = client.get(f"{url}?w=240", headers={"If-None-Match": f'"{row["sha256"]}-w240"'})
    assert response.status_code == 304
    assert stored_files(settings) == [row["sha256"]]


def test_thumbnails(app: Flask, client: FlaskClient, settings: Settings) -> None:
    _, _, url = _released(app, client)
    (row,) = picture_rows(app)
    for width, height in ((120, 80), (240, 160), (480, 320)):
        response = client.get(f"{url}?w={width}")
        assert (response.status_code, response.content_type) == (200, "image/webp")
        assert response.headers["ETag"] == f'"{row["sha256"]}-w{width}"'
        with Image.open(io.BytesIO(response.data)) as image:
            assert (image.format, image.size) == ("WEBP", (width, height))
        assert client.get(f"{url}?w={width}").data == response.data
    # Wider than the picture is: the picture.
    assert client.get(f"{url}?w=960").data == client.get(url).data
    assert client.get(f"{url}?w=").data == client.get(url).data
    names = [row["sha256"], *(f"{row['sha256']}-w{width}" for width in (120, 240, 480))]
    assert stored_files(settings) == sorted(names)


@pytest.mark.parametrize(
    ("width", "reason"),
    [(width, "不在可选范围内") for width in ("0", "-120", "121", "10000000")]
    + [(width, "须为整数") for width in ("x", "120.0", "120px", str(10**30))],
)
def test_other_widths_are_refused(app: Flask, client: FlaskClient, settings: Settings, width: str, reason: str) -> None:
    _, _, url = _released(app, client)
    before = stored_files(settings)
    assert_malformed(client.get(f"{url}?w={width}"), Answer.MALFORMED, w=[reason])
    assert stored_files(settings) == before


def test_a_transparent_picture_is_webp(app: Flask, client: FlaskClient) -> None:
    _, _, url = _released(app, client, picture_in((10, 20, 30, 100)))
    response = client.get(url)
    assert response.content_type == "image/webp"
    with Image.open(io.BytesIO(response.data)) as image:
        assert image.mode == "RGBA"


@pytest.mark.parametrize("status", [GoodStatus.PUBLISHED, GoodStatus.IN_TRADE, GoodStatus.SOLD])
def test_everybody_sees_the_pictures_of_a_public_good(app: Flask, client: FlaskClient, status: GoodStatus) -> None:
    owner, _, url = _released(app, client, status=status)
    for headers in ({}, auth_headers(app, owner), auth_headers(app, make_user(app))):
        response = client.get(url, headers=headers)
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert assert_envelope(client.get(url, headers={"Authorization": "Bearer a.b.c"}), Answer.TOKEN_INVALID) is None


@pytest.mark.parametrize(
    ("status", "deleted"),
    [
        (GoodStatus.IN_REVIEW, False),
        (GoodStatus.REJECTED, False),
        (GoodStatus.PUBLISHED, True),
        (GoodStatus.SOLD, True),
    ],
)
def test_pictures_of_a_hidden_good(
    app: Flask, client: FlaskClient, settings: Settings, status: GoodStatus, deleted: bool
) -> None:
    owner, good, url = _released(app, client)
    client.get(f"{url}?w=120")
    publish(app, good["id"], status=status, deleted=deleted)
    etag = f'"{picture_rows(app)[0]["sha256"]}"'
    before = stored_files(settings)
    for headers in ({}, auth_headers(app, make_user(app))):
        for query in ("", "?w=120", "?w=240"):
            for options in (headers, headers | {"If-None-Match": etag}):
                assert assert_envelope(client.get(url + query, headers=options), Answer.NO_SUCH_PICTURE) is None
        assert client.head(url, headers=headers).status_code == 404
    assert stored_files(settings) == before
    for user in (owner, make_user(app, staff=True)):
        response = client.get(url, headers=auth_headers(app, user))
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "private, no-store"
    token = auth_headers(app, owner)["Authorization"].removeprefix("Bearer ")
    # A token in a URL opens nothing, and is not passed over.
    assert list(assert_envelope(client.get(f"{url}?token={token}"), Answer.MALFORMED)["errors"]) == ["token"]


def test_an_order_shows_its_picture_to_both_sides_for_good(app: Flask, client: FlaskClient) -> None:
    owner, good, url = _released(app, client, picture_bytes(50, 40), picture_bytes(60, 40))
    buyer, stranger = make_user(app), make_user(app)
    bought = Made(good["id"], row_of(app, good["id"]))
    make_order(app, bought, buyer, good_picture_id=good["pictures"][0]["id"])
    other_url = good["pictures"][1]["url"]
    publish(app, good["id"], deleted=True)

    def statuses(url: str) -> dict[str, int]:
        people = {"buyer": buyer, "seller": owner, "stranger": stranger}
        found = {name: client.get(url, headers=auth_headers(app, user)).status_code for name, user in people.items()}
        return found | {"anonymous": client.get(url).status_code}

    assert statuses(url) == {"buyer": 200, "seller": 200, "stranger": 404, "anonymous": 404}
    assert statuses(other_url) == {"buyer": 404, "seller": 200, "stranger": 404, "anonymous": 404}
    response = client.get(url, headers=auth_headers(app, buyer))
    assert response.headers["Cache-Control"] == "private, no-store"


def test_a_picture_that_was_taken_off(app: Flask, client: FlaskClient) -> None:
    owner, good, url = _released(app, client)
    headers = auth_headers(app, owner)
    response = client.patch(f"/api/good_edit/{good['id']}/", json={"keep_pictures": []}, headers=headers)
    assert_envelope(response, Answer.GOOD_EDITED)
    assert client.get(url).status_code == 200  # as long as it is approved
    review(app, good["id"])
    for strangers in ({}, auth_headers(app, make_user(app))):
        assert assert_envelope(client.get(url, headers=strangers), Answer.NO_SUCH_PICTURE) is None
    for insider in (headers, auth_headers(app, make_user(app, staff=True))):
        assert client.get(url, headers=insider).status_code == 200
    buyer = make_user(app)
    make_order(app, Made(good["id"], row_of(app, good["id"])), buyer, good_picture_id=good["pictures"][0]["id"])
    assert client.get(url, headers=auth_headers(app, buyer)).status_code == 200


def test_no_such_picture(client: FlaskClient) -> None:
    assert assert_envelope(client.get("/api/pic/1/"), Answer.NO_SUCH_PICTURE) is None
    assert assert_envelope(client.get("/api/pic/1/?w=120"), Answer.NO_SUCH_PICTURE) is None
