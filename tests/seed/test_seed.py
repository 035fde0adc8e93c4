"""`flask seed`: what stands on the demo market, and that filling it again changes nothing."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.categories import CATEGORY_TEXT
from app.fen import parse_yuan
from app.money.sandbox.messages import notification_fields_for
from app.money.sandbox.settings import SandboxSettings
from app.money.sandbox.store import Store
from app.seed import DEMO_LOGINS
from app.seed.demo_data import GOODS
from app.seed.listings import MODELS
from config import Environment, Settings
from statemachine import GoodStatus
from statemachine.order import (
    AWAITING_PAYMENT,
    CANCELLED,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    RETURN_SENT,
    SHIPPED,
)
from tests.applications import KeptContents, running_app
from tests.factories import assert_envelope, make_good, make_user, whole_database


@pytest.fixture(autouse=True)
def sandbox(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean: None) -> SandboxSettings:
    """The sandbox gateway's settings, in the environment as `make run` puts them there; its books are empty."""
    sandbox = SandboxSettings(store=tmp_path / "trades.sqlite3", keys=settings.instance_path / "keys")
    for name, value in sandbox.to_environment().items():
        monkeypatch.setenv(name, value)
    return sandbox


def seed(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["seed"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture
def seeded(app: Flask, kept: KeptContents, sandbox: SandboxSettings) -> None:
    """The demo market, but not what the gateway knows of it."""
    kept.begin_with("demo market", lambda: seed(app))


def all_for_sale(client: FlaskClient) -> list[dict[str, Any]]:
    data = assert_envelope(client.get("/api/goods/?size=100"), Answer.GOOD_FOUND)
    items: list[dict[str, Any]] = data["items"]
    assert data["total"] == len(items)
    return items


def test_a_small_market_of_everything(app: Flask, client: FlaskClient, sandbox: SandboxSettings) -> None:
    seed(app)
    goods = all_for_sale(client)
    assert len(goods) == 30
    assert {good["category"] for good in goods} == set(CATEGORY_TEXT)
    assert min(len(good["pictures"]) for good in goods) == 1
    for good in goods:
        for picture in good["pictures"]:
            answer = client.get(picture["url"])
            assert (answer.status_code, answer.mimetype) == (200, "image/jpeg"), good["title"]
    everything = whole_database(app)
    assert Counter(good["status"] for good in everything["goods"]) == {
        GoodStatus.PUBLISHED: 30,
        GoodStatus.IN_TRADE: 3,
        GoodStatus.SOLD: 3,
    }
    stand = Counter((order["bill_status"], order["order_status"], order["closed"]) for order in everything["orders"])
    assert stand == dict.fromkeys(
        [AWAITING_PAYMENT, CANCELLED, PAID, SHIPPED, RECEIVED, REFUND_REQUESTED_RECEIVED, RETURN_SENT], 1
    )
    # What was paid, the gateway knows of: a refund finds its trade.
    books = Store(sandbox.store, notification_fields_for(sandbox))
    paid = {payment["out_trade_no"]: payment["trade_no"] for payment in everything["payments"]}
    assert len(paid) == 5
    for order_no, trade_no in paid.items():
        trade = books.trade(order_no, now=time.time())
        assert (trade.status, trade.trade_no) == ("TRADE_SUCCESS", trade_no)
    # It has nothing to tell of them: when it starts, nobody would listen yet.
    assert books.next_pending(exclude=()) is None


@pytest.mark.usefixtures("seeded")
def test_what_things_are_offered_for_elsewhere(client: FlaskClient) -> None:
    answers = {
        model.titles[0]: client.get("/api/price_reference/", query_string={"title": model.titles[0]})
        for model in MODELS
    }
    for model in MODELS:
        data = assert_envelope(answers[model.titles[0]], Answer.PRICES_FOUND)
        assert data["count"] == 48
        assert abs(parse_yuan(data["prices"]["median"]) - model.price) < model.price * 8 // 100
        assert data["prices"]["confidence"] == "high"
    removed = answers[MODELS[0].titles[0]].get_json()["data"]["basis"]["removed"]
    assert {name: count for name, count in removed.items() if count} == {"rental": 1, "wanted": 1, "outlier": 1}
    # They are not on the market.
    assert len(all_for_sale(client)) == len(GOODS) - 6


@pytest.mark.usefixtures("seeded")
def test_the_logins_that_are_printed(client: FlaskClient) -> None:
    staff = {}
    for username, password, _ in DEMO_LOGINS:
        answer = client.post("/login/", json={"username": username, "password": password})
        staff[username] = assert_envelope(answer, Answer.LOGGED_IN)["user"]["is_staff"]
    assert staff == {"xiaoyu": False, "laowang": False, "admin": True}


def test_again_changes_nothing(app: Flask, sandbox: SandboxSettings) -> None:
    seed(app)
    before = whole_database(app)
    seed(app)
    assert whole_database(app) == before


def test_goods_of_the_same_title_are_left_alone(app: Flask, client: FlaskClient) -> None:
    """A start must not fail because somebody sells the same thing as the demo does."""
    stranger = make_user(app)
    titles = ["始祖鸟 冲锋衣 男款 L 黑色", "美的 破壁机 静音款"]
    theirs = [make_good(app, stranger, title=title) for title in titles]
    seed(app)
    before = whole_database(app)
    assert len(before["orders"]) == 7
    assert {good.id for good in theirs}.isdisjoint(order["good_id"] for order in before["orders"])
    seed(app)
    assert whole_database(app) == before


def test_production_refuses_it(app: Flask, settings: Settings) -> None:
    key, public = (settings.instance_path / "keys" / name for name in ("app_private.pem", "gateway_public.pem"))
    in_production = replace(
        settings,
        environment=Environment.PRODUCTION,
        captcha_reveal=False,
        alipay_app_private_key_path=key,
        alipay_public_key_path=public,
    )
    before = whole_database(app)
    with running_app(in_production) as production:
        result = production.test_cli_runner().invoke(args=["seed"])
    assert (result.exit_code, result.output) == (
        1,
        "Error: the demo market is for development; production refuses it\n",
    )
    assert whole_database(app) == before
