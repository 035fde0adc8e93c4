"""The API spec (`api-notes.txt`) is law: its URLs, texts and codes are checked against the running application."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from statemachine import GoodStatus, OrderPhase, order_flow
from tests.contract import api_spec
from tests.factories import (
    PASSWORD,
    auth_headers,
    make_good,
    make_order,
    make_user,
)


def test_the_api_spec_is_read_whole() -> None:
    assert len(api_spec.urls()) == 20
    assert len(api_spec.messages()) == 21
    assert api_spec.statuses() == [100, 101, 200, 201]
    assert len(api_spec.table("# 交易方式和商品状态")) == 8
    assert len(api_spec.table("# 商品分类")) == 9
    assert len(api_spec.table("# 订单状态及钱款状态")) == 10


@pytest.mark.parametrize("slash", ["as written", "other form"])
@pytest.mark.parametrize("url", api_spec.urls())
def test_every_url_with_and_without_its_slash(app: Flask, client: FlaskClient, url: str, slash: str) -> None:
    path = url.replace("(", "").replace(")", "")
    for placeholder in ("good_id", "pic_id", "order_id"):
        path = path.replace(f"/{placeholder}", "/1")
    if slash == "other form":
        path = path.removesuffix("/") if path.endswith("/") else path + "/"
    methods = app.url_map.bind("localhost").allowed_methods(path)
    assert methods, path
    user = make_user(app)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} & set(methods):
        response = client.open(path, method=method, headers=auth_headers(app, user))
        # Answered by the operation itself: no redirect, and not the framework's "no such URL".
        assert response.status_code not in (301, 302, 307, 308, 405, 500), (method, path)
        if response.content_type == "application/json":
            assert set(response.get_json()) == {"status", "msg", "data"}
            assert response.get_json()["msg"] != "请求的地址不存在"


def _register(client: FlaskClient, **fields: Any) -> TestResponse:
    captcha = client.get("/register/").get_json()["data"]
    body = {
        "username": "新用户",
        "password": "correct-horse-1",
        "captcha_id": captcha["captcha_id"],
        "captcha_code": captcha["captcha_code"],
    }
    return client.post("/register/", json=body | fields)


GOOD = {"title": "二手吉他", "description": "音色很好", "price": "520.00", "category": 9, "trade_mode": 7}


def _login_slowed(app: Flask, client: FlaskClient) -> TestResponse:
    user = make_user(app)
    for _ in range(30):
        response = client.post("/login/", json={"username": user.username, "password": "wrong-horse-1"})
        if response.status_code == 429:
            break
    return response


def _taken_name(app: Flask, client: FlaskClient) -> TestResponse:
    return _register(client, username=make_user(app, "老用户").username)


def _too_many_in_review(app: Flask, client: FlaskClient) -> TestResponse:
    user = make_user(app)
    for _ in range(50):
        make_good(app, user, status=GoodStatus.IN_REVIEW)
    return client.post("/api/good_release/", json=GOOD, headers=auth_headers(app, user))


def _release(app: Flask, client: FlaskClient) -> TestResponse:
    return client.post("/api/good_release/", json=GOOD, headers=auth_headers(app, make_user(app)))


def _on_own_good(method: str, status: GoodStatus) -> Callable[[Flask, FlaskClient], TestResponse]:
    def act(app: Flask, client: FlaskClient) -> TestResponse:
        owner = make_user(app)
        good = make_good(app, owner, status=status)
        return client.open(f"/api/good_edit/{good.id}/", method=method, json=GOOD, headers=auth_headers(app, owner))

    return act


def _login(app: Flask, client: FlaskClient, password: str = PASSWORD) -> TestResponse:
    return client.post("/login/", json={"username": make_user(app).username, "password": password})


def _one_order(app: Flask, client: FlaskClient) -> TestResponse:
    buyer = make_user(app)
    make_order(app, make_good(app, make_user(app), status=GoodStatus.IN_TRADE), buyer)
    return client.get("/api/buy_order/", headers=auth_headers(app, buyer))


SCENES: dict[tuple[int, str], Callable[[Flask, FlaskClient], TestResponse]] = {
    (100, "登录失败"): _login_slowed,
    (100, "注册失败"): _taken_name,
    (100, "用户名或密码错误"): lambda app, client: _login(app, client, "wrong-horse-1"),
    (100, "商品发布失败"): _too_many_in_review,
    (100, "商品查询失败"): lambda _app, client: client.get("/api/goods/"),
    (100, "商品修改失败"): _on_own_good("PUT", GoodStatus.IN_TRADE),
    (100, "商品删除失败"): _on_own_good("DELETE", GoodStatus.IN_TRADE),
    (101, "注册验证码有误"): lambda _app, client: _register(client, captcha_code="!!!!"),
    (101, "注册失败,信息格式不正确"): lambda _app, client: _register(client, username=""),
    (101, "登录失败,信息格式不正确"): lambda _app, client: client.post("/login/", json={"username": "x"}),
    (101, "商品信息不存在"): lambda _app, client: client.get("/api/good/1/"),
    (101, "订单信息不存在"): lambda app, client: client.get("/api/order/1/", headers=auth_headers(app, make_user(app))),
    (101, "用户信息不存在"): lambda _app, client: client.get("/api/user/1/"),
    (200, "登录成功"): _login,
    (200, "注册成功"): lambda _app, client: _register(client),
    (200, "商品发布成功"): _release,
    (200, "商品查询成功"): lambda app, client: client.get(f"/api/good/{make_good(app, make_user(app)).id}/"),
    (200, "商品修改成功"): _on_own_good("PUT", GoodStatus.PUBLISHED),
    (200, "商品删除成功"): _on_own_good("DELETE", GoodStatus.PUBLISHED),
    (200, "订单查询成功"): _one_order,
    (200, "用户查询成功"): lambda app, client: client.get(f"/api/user/{make_user(app).id}/"),
}


def test_every_message_has_its_scene() -> None:
    # The API spec lists '注册失败' and its like once per status; nothing of it may be missing here, nothing added.
    assert set(SCENES) == set(api_spec.messages())


@pytest.mark.parametrize(("status", "text"), api_spec.messages())
def test_every_message(app: Flask, client: FlaskClient, status: int, text: str) -> None:
    body = SCENES[status, text](app, client).get_json()
    assert set(body) == {"status", "msg", "data"}
    assert (body["status"], body["msg"]) == (status, text)


def test_good_and_trade_codes(app: Flask, client: FlaskClient) -> None:
    codes = api_spec.table("# 交易方式和商品状态")
    owner = make_user(app)
    headers = auth_headers(app, owner)
    seen = {}
    for status in range(1, 6):
        good = make_good(app, owner, status=GoodStatus(status))
        data = client.get(f"/api/good/{good.id}/", headers=headers).get_json()["data"]
        seen[data["good_status"]] = data["good_status_text"]
        verified = client.get(f"/api/verify/good/{good.id}").get_json()["data"]
        assert (verified["good_status"], verified["good_status_text"]) == (status, codes[status])
    choices = client.get("/api/good_release/", headers=headers).get_json()["data"]
    seen |= {choice["code"]: choice["text"] for choice in choices["trade_modes"]}
    assert seen == codes


def test_categories(app: Flask, client: FlaskClient) -> None:
    owner = make_user(app)
    headers = auth_headers(app, owner)
    choices = client.get("/api/good_release/", headers=headers).get_json()["data"]
    codes = api_spec.table("# 商品分类")
    assert {choice["code"]: choice["text"] for choice in choices["categories"]} == codes
    for code, text in codes.items():
        good = make_good(app, owner, category=code)
        data = client.get(f"/api/good/{good.id}/").get_json()["data"]
        assert (data["category"], data["category_text"]) == (code, text)


def test_order_states(app: Flask, client: FlaskClient) -> None:
    codes = api_spec.table("# 订单状态及钱款状态")
    states = client.get("/api/all_order/bill_status/").get_json()["data"]
    assert [(state["code"], state["text"]) for state in states] == list(codes.items())
    assert [state["axis"] for state in states] == ["bill"] * 5 + ["order"] * 5


@pytest.mark.parametrize("phase", order_flow.phases, ids=str)
def test_both_texts_of_every_order(app: Flask, client: FlaskClient, phase: OrderPhase) -> None:
    codes = api_spec.table("# 订单状态及钱款状态")
    buyer = make_user(app)
    order = make_order(app, make_good(app, make_user(app), status=GoodStatus.SOLD), buyer, phase=phase)
    for path in (f"/api/order/{order.id}/", "/api/buy_order/"):
        data = client.get(path, headers=auth_headers(app, buyer)).get_json()["data"]
        shown = data if "id" in data else data["items"][0]
        assert (shown["bill_status"], shown["bill_status_text"]) == (phase.bill, codes[phase.bill])
        assert (shown["order_status"], shown["order_status_text"]) == (phase.goods, codes[phase.goods])
