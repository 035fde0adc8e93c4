"""Steps that tests of accounts share."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

import jwt
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.answers import Answer
from app.db.database import db
from app.extensions import valkey
from app.web.auth import AUDIENCE, ISSUER
from tests.factories import PASSWORD, assert_envelope

Result = TypeVar("Result")


def fresh_captcha(client: FlaskClient) -> dict[str, str]:
    """`captcha_id` and `captcha_code` of a new captcha."""
    data = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    return {"captcha_id": data["captcha_id"], "captcha_code": data["captcha_code"]}


def register(
    client: FlaskClient, username: object = "小明同学", password: object = PASSWORD, **fields: object
) -> TestResponse:
    """A registration with a right captcha, unless `fields` say otherwise."""
    return client.post(
        "/register/", json={"username": username, "password": password, **fresh_captcha(client), **fields}
    )


def log_in(client: FlaskClient, username: object, password: object = PASSWORD, **options: Any) -> TestResponse:
    """A login."""
    return client.post("/login/", json={"username": username, "password": password}, **options)


def session_of(client: FlaskClient, username: str, password: str = PASSWORD) -> Any:
    """The data of a successful login."""
    return assert_envelope(log_in(client, username, password), Answer.LOGGED_IN)


def claims_of(app: Flask, token: str) -> dict[str, Any]:
    """What a token of ours says, its signature checked."""
    key = app.config["JWT_SECRET_KEY"]
    claims: dict[str, Any] = jwt.decode(token, key, ["HS256"], audience=AUDIENCE, issuer=ISSUER)
    return claims


def bearer(token: str) -> dict[str, str]:
    """Headers with `token`."""
    return {"Authorization": f"Bearer {token}"}


def all_rows(app: Flask, model: Any) -> list[dict[str, Any]]:
    """Every row of a model's table, in order of id."""
    with app.app_context(), db.engine.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(select(model.__table__).order_by(model.id))]


def valkey_keys(app: Flask, pattern: str) -> list[str]:
    """The keys that match, sorted."""
    with app.app_context():
        return sorted(valkey().keys(pattern))


def at_once(times: int, act: Callable[[int], Result]) -> list[Result]:
    """`act(0)`, `act(1)` … in as many threads, let go at the same moment."""
    barrier = Barrier(times)

    def run(number: int) -> Result:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))
