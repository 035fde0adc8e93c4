"""Captchas: pictures of codes that live for their time and work once."""

import base64
import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from app.accounts.captcha import ALPHABET, LENGTH, consume_captcha, make_captcha
from app.accounts.models import User
from app.answers import Answer
from app.extensions import valkey
from config import Settings
from tests.accounts.steps import all_rows, at_once, register
from tests.conftest import MakeApp
from tests.factories import assert_envelope


def test_a_captcha_is_a_png_and_an_id(client: FlaskClient) -> None:
    data = assert_envelope(client.get("/register"), Answer.CAPTCHA_MADE)
    assert set(data) == {"captcha_id", "image", "captcha_code"}
    kind, _, encoded = data["image"].partition(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
    assert (picture.format, picture.size) == ("PNG", (180, 64))
    assert len(data["captcha_code"]) == LENGTH
    assert set(data["captcha_code"]) <= set(ALPHABET)
    assert not set("0O1IL2Z5S6G8BUV") & set(ALPHABET)


def test_every_captcha_is_new(client: FlaskClient) -> None:
    made = [assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE) for _ in range(10)]
    assert len({each["captcha_id"] for each in made}) == 10
    assert len({each["image"] for each in made}) == 10


def test_the_answer_stays_inside_unless_the_setting_reveals_it(make_app: MakeApp) -> None:
    app = make_app(CAPTCHA_REVEAL="0")
    response = app.test_client().get("/register/")
    data = assert_envelope(response, Answer.CAPTCHA_MADE)
    assert set(data) == {"captcha_id", "image"}
    code = app.extensions["valkey"].get(f"captcha:{data['captcha_id']}")
    assert len(code) == LENGTH
    assert code.upper() not in response.get_data(as_text=True).replace(data["image"], "").upper()


def test_a_captcha_lives_as_long_as_the_setting_says(context: Flask, settings: Settings) -> None:
    assert settings.captcha_lifetime == 300
    data = assert_envelope(context.test_client().get("/register/"), Answer.CAPTCHA_MADE)
    assert 299 <= valkey().ttl(f"captcha:{data['captcha_id']}") <= 300


def test_an_expired_captcha_is_wrong(context: Flask) -> None:
    made = make_captcha(lifetime=300)
    # The server's own expiry, set to a moment that has passed.
    valkey().expireat(f"captcha:{made.id}", 1)
    assert not consume_captcha(captcha_id=made.id, code=made.code)


@pytest.mark.parametrize(
    "typed",
    [str.upper, str.lower, lambda code: "".join(chr(ord(each) + 0xFEE0) for each in code)],
    ids=["upper", "lower", "full width"],
)
def test_case_and_width_do_not_matter(context: Flask, typed: object) -> None:
    made = make_captcha(lifetime=300)
    assert consume_captcha(captcha_id=made.id, code=typed(made.code))  # type: ignore[operator] # the parameters are callables


def test_a_captcha_works_once(client: FlaskClient, app: Flask) -> None:
    captcha = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    captcha.pop("image")
    assert_envelope(register(client, "第一个", **captcha), Answer.REGISTERED)
    assert assert_envelope(register(client, "第二个", **captcha), Answer.CAPTCHA_WRONG) is None
    assert [row["username"] for row in all_rows(app, User)] == ["第一个"]


@pytest.mark.parametrize("guess", ["0", "00000", "验证码", "🐟", "\u00e9" * 5])
def test_a_wrong_guess_uses_the_captcha_up(client: FlaskClient, app: Flask, guess: str) -> None:
    captcha = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    captcha.pop("image")
    assert assert_envelope(register(client, **{**captcha, "captcha_code": guess}), Answer.CAPTCHA_WRONG) is None
    assert assert_envelope(register(client, **captcha), Answer.CAPTCHA_WRONG) is None
    assert all_rows(app, User) == []


@pytest.mark.parametrize("captcha_id", ["unknown", "*", "../x", "captcha:x"])
def test_an_unknown_captcha_is_wrong(client: FlaskClient, app: Flask, captcha_id: str) -> None:
    assert assert_envelope(register(client, captcha_id=captcha_id), Answer.CAPTCHA_WRONG) is None
    assert all_rows(app, User) == []


def test_of_simultaneous_uses_one_counts(app: Flask, clean: None) -> None:
    client = app.test_client()
    for turn in range(5):
        captcha = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
        captcha.pop("image")
        responses = at_once(
            8,
            lambda number, turn=turn, captcha=captcha: app.test_client().post(
                "/register/", json={"username": f"racer_{turn}_{number}", "password": "secret-123", **captcha}
            ),
        )
        codes = sorted(response.status_code for response in responses)
        assert codes == [200] + [422] * 7
        for response in responses:
            assert_envelope(response, Answer.REGISTERED if response.status_code == 200 else Answer.CAPTCHA_WRONG)
        assert len(all_rows(app, User)) == turn + 1
