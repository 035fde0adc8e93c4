"""The log: one JSON object a line, with the request's id, and nothing that is nobody's business."""

import io
import json
import logging
import os
import re
import sys
from contextlib import suppress
from typing import Any

import pytest
import structlog
from flask import Flask
from sqlalchemy.exc import IntegrityError

from app.answers import Answer
from app.web.api import Api
from tests.conftest import MakeApp
from tests.factories import PASSWORD, assert_envelope, make_address, make_good, make_user


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_one_line_for_each_request(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    client = make_app(LOG_LEVEL="INFO").test_client()
    client.get("/nowhere?token=a-secret-token", headers={"X-Request-Id": "request-one"})
    (line,) = lines(capsys)
    assert line.pop("milliseconds") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "logger": "request",
        "request_id": "request-one",
        "method": "GET",
        "path": "/nowhere",
        "http": 404,
    }


def test_an_answer_does_not_depend_on_its_line(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the log, or a pipe that nobody reads, made a fault of everything that had been done."""
    closed = io.StringIO()
    closed.close()
    reader, writer = os.pipe()
    os.close(reader)
    unread = os.fdopen(writer, "w", buffering=1)
    for stream in (unread, closed):
        monkeypatch.setattr(sys, "stderr", stream)
        assert_envelope(make_app(LOG_LEVEL="INFO").test_client().get("/nowhere"), Answer.NO_SUCH_URL)
    monkeypatch.undo()
    with suppress(BrokenPipeError):  # what it could not write, it tries again at its end
        unread.close()


def test_probes_are_counted_and_not_told_of(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    for level, told in (("INFO", []), ("DEBUG", ["/healthz", "/readyz", "/metrics"])):
        client = make_app(LOG_LEVEL=level).test_client()
        for path in ("/healthz", "/readyz", "/metrics"):
            client.get(path)
        assert [line["path"] for line in lines(capsys) if line["event"] == "request"] == told
    counted = r'saltfish_http_requests_total\{http="200",method="GET",rule="/healthz"\} ([0-9.]+)'
    [count] = re.findall(counted, client.get("/metrics").get_data(as_text=True))
    assert float(count) >= 2


def test_a_fault_is_logged_with_its_traceback_and_request(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api("faulty", __name__, tag="故障", about="what goes wrong")

    @api.get("/faulty/")
    def faulty() -> None:
        raise RuntimeError("the reason")

    app = make_app()
    app.register_blueprint(api)
    assert_envelope(app.test_client().get("/faulty/", headers={"X-Request-Id": "request-two"}), Answer.FAULT)
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["request_id"]) == ("unhandled_fault", "error", "request-two")
    assert "RuntimeError: the reason" in line["exception"]


def test_a_store_that_is_gone_is_logged_in_one_line(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(REDIS_URL="redis://127.0.0.1:1/0")
    assert_envelope(app.test_client().get("/register/", headers={"X-Request-Id": "request-two"}), Answer.NOT_READY)
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["request_id"]) == ("valkey_away", "error", "request-two")
    assert "exception" not in line


def test_secrets_of_a_whole_visit_are_in_no_line(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(LOG_LEVEL="DEBUG")
    secrets = visit(app)
    logged = capsys.readouterr().err
    assert logged.count('"event":"request"') == 8
    for what, secret in secrets.items():
        assert secret not in logged, what


def visit(app: Flask) -> dict[str, str]:
    """Register, log in (wrongly too), add an address, change the password; returns what nobody must read."""
    client = app.test_client()
    mobile, detail = "13912345678", "文一西路 969 号 3 幢"
    captcha = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    account = {"username": "quiet_one", "password": PASSWORD}
    form = {**account, "captcha_id": captcha["captcha_id"], "captcha_code": captcha["captcha_code"]}
    assert_envelope(client.post("/register/", json=form), Answer.REGISTERED)
    wrong = {**account, "password": "a-wrong-password-7"}
    assert_envelope(client.post("/login/", json=wrong), Answer.WRONG_CREDENTIALS)
    tokens = assert_envelope(client.post("/login/", data=account), Answer.LOGGED_IN)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    address = {
        "name": "王小明",
        "mobile": mobile,
        "province": "浙江省",
        "city": "杭州市",
        "district": "余杭区",
        "detail": detail,
    }
    assert_envelope(client.post("/api/add_address/", json=address, headers=headers), Answer.ADDRESS_ADDED)
    client.get(f"/order/pay/1/?token={tokens['access_token']}")
    client.get("/api/user/", headers={"Authorization": "Bearer broken." + tokens["refresh_token"]})
    renewed = client.post("/api/token_refresh/", headers={"Authorization": f"Bearer {tokens['refresh_token']}"})
    assert_envelope(renewed, Answer.TOKEN_REFRESHED)
    return {
        "password": PASSWORD,
        "wrong password": wrong["password"],
        "captcha": captcha["captcha_code"],
        "access token": tokens["access_token"],
        "refresh token": tokens["refresh_token"],
        "mobile": mobile,
        "address": detail,
        "name": address["name"],
    }


@pytest.mark.parametrize("library", [False, True], ids=["ours", "a library's"])
def test_secret_fields_are_hidden_whoever_passes_them(
    make_app: MakeApp, capsys: pytest.CaptureFixture[str], *, library: bool
) -> None:
    make_app(LOG_LEVEL="INFO")
    if library:
        logging.getLogger("some.library").info("opened", extra={"password": "hidden-from-extra"})
    else:
        structlog.get_logger("ours").info("opened", password="p", mobile="139", token="t", good_id=7)
    (line,) = lines(capsys)
    assert line["event"] == "opened"
    if library:
        assert "password" not in line
    else:
        assert {name: line[name] for name in ("password", "mobile", "token", "good_id")} == {
            "password": "[hidden]",
            "mobile": "[hidden]",
            "token": "[hidden]",
            "good_id": 7,
        }


def test_a_row_that_breaks_a_constraint_is_not_quoted(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(LOG_LEVEL="INFO")
    owner = make_user(app)
    mobile = "1391234" + "5678"  # in two, because a traceback quotes the source too
    try:
        make_address(app, owner, mobile=mobile, name=None)
    except IntegrityError:
        structlog.get_logger("ours").exception("fault")
    (line,) = lines(capsys)
    assert line["exception"].count("Failing row contains ([hidden])\n") == 2
    assert mobile not in line["exception"]
    assert "文一西路" not in line["exception"]
    assert "[SQL: INSERT INTO addresses" in line["exception"]


def test_a_row_of_several_lines_is_not_quoted(make_app: MakeApp, capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app(LOG_LEVEL="INFO")
    owner = make_user(app)
    words = "自用" + "一年"  # in two, as above
    try:
        make_good(app, owner, title=f"{words})\n{words}.", description=f"{words}\n", price=-1)
    except IntegrityError:
        structlog.get_logger("ours").exception("fault")
    (line,) = lines(capsys)
    assert line["exception"].count("Failing row contains ([hidden])\n") == 2
    assert words not in line["exception"]
