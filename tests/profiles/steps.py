"""Steps that tests of profiles share."""

import io
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from app.answers import Answer
from app.profiles.service import review_avatar
from tests.factories import Made, assert_envelope, auth_headers, picture_bytes

AVATAR = "/api/user/avatar/"


def upload(app: Flask, client: FlaskClient, user: Made, *files: bytes, name: str = "picture") -> TestResponse:
    """An upload of an avatar; of a gradient where no file is given."""
    data = {name: [(io.BytesIO(file), "me.jpg") for file in files or (picture_bytes(),)]}
    return client.post(AVATAR, data=data, headers=auth_headers(app, user))


def waiting(app: Flask, client: FlaskClient, user: Made, *files: bytes) -> Any:
    """The avatar of the user that now waits for its review."""
    found = assert_envelope(upload(app, client, user, *files), Answer.AVATAR_UPLOADED)["waiting"]
    assert found["state"] == "pending"
    return found


def shown(app: Flask, client: FlaskClient, user: Made, *files: bytes) -> int:
    """The id of an avatar of the user that passed its review."""
    avatar_id: int = waiting(app, client, user, *files)["id"]
    with app.app_context():
        review_avatar(avatar_id)
    return avatar_id


def opened(response: TestResponse) -> Image.Image:
    """The picture of an answer."""
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.data))
