"""An order's own way, drawn from the history that the services wrote."""

import re
from xml.etree import ElementTree as ET

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, text

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import autocommit_connection, transaction
from app.money.models import Payment
from app.orders import service
from app.orders.diagram import _drawn, order_diagram
from app.orders.models import OrderEventRecord
from app.orders.payments import record_paid_trade, start_payment
from tests.factories import Made, assert_envelope, auth_headers, make_address, make_good, make_user

SVG = "{http://www.w3.org/2000/svg}"
SPINE = (
    "1 下单 · 买家; 2 付款 · 支付网关; 3 发货 · 卖家; 4 确认收货 · 买家; 5 申请退款 · 买家; 6 寄回退货 · 买家; "
    "7 确认收到退货 · 卖家; 现在: 退货退款"
)


@pytest.fixture
def seller(app: Flask) -> Made:
    return make_user(app)


@pytest.fixture
def buyer(app: Flask) -> Made:
    return make_user(app)


@pytest.fixture
def returned(app: Flask, seller: Made, buyer: Made) -> int:
    """The id of an order that went the whole spine and ended returned and refunded."""
    good = make_good(app, seller)
    to, back = make_address(app, buyer), make_address(app, seller)
    with app.test_request_context():
        order_id = service.buy_good(buyer_id=buyer.id, good_id=good.id, address_id=to.id, trade_mode=None)
        start_payment(buyer_id=buyer.id, order_id=order_id, return_url="https://shop.example/paid")
        with transaction() as session:
            payment = session.scalars(select(Payment).where(Payment.order_id == order_id)).one()
            record_paid_trade(session, payment, trade_no="2026112200001", paid_at=utcnow())
        service.ship_order(
            actor_id=seller.id, order_id=order_id, address_id=back.id, company="顺丰速运", tracking_no="SF100"
        )
        service.receive_order(actor_id=buyer.id, order_id=order_id)
        service.request_refund(
            actor_id=buyer.id, order_id=order_id, reason="商品与描述不符", description="有划痕", uploads=()
        )
        service.send_back(actor_id=buyer.id, order_id=order_id, company="顺丰速运", tracking_no="SF101", freight=0)
        service.accept_return(actor_id=seller.id, order_id=order_id)
    return order_id


def test_both_sides_and_staff_see_the_whole_way(app: Flask, seller: Made, buyer: Made, returned: int) -> None:
    staff = make_user(app, staff=True)
    with app.app_context():
        pictures = {order_diagram(user_id=each.id, order_id=returned, form="svg") for each in (seller, buyer, staff)}
    assert len(pictures) == 1
    root = ET.fromstring(pictures.pop())  # noqa: S314 - our own text
    description = root.find(f"{SVG}desc")
    assert description is not None
    assert description.text == SPINE
    numbered = ["".join(text.itertext()) for text in root.iter(f"{SVG}text") if text.get("font-weight") == "bold"]
    assert sorted(text[0] for text in numbered) == list("①②③④⑤⑥⑦")


def test_the_mermaid_form_says_the_same(app: Flask, buyer: Made, returned: int) -> None:
    with app.app_context():
        source = order_diagram(user_id=buyer.id, order_id=returned, form="mermaid")
    assert f"    accDescr: {SPINE}\n" in source
    assert sorted(re.findall("[①-⑳]", source)) == list("①②③④⑤⑥⑦")
    assert "    class s_5_10_closed present\n" in source


def test_an_order_that_just_began(app: Flask, seller: Made, buyer: Made) -> None:
    good, to = make_good(app, seller), make_address(app, buyer)
    with app.app_context():
        order_id = service.buy_good(buyer_id=buyer.id, good_id=good.id, address_id=to.id, trade_mode=None)
        assert "<desc>1 下单 · 买家; 现在: 待买家付款</desc>" in order_diagram(
            user_id=buyer.id, order_id=order_id, form="svg"
        )


@pytest.mark.parametrize("form", ["svg", "mermaid"])
def test_strangers_are_told_what_nobody_is_told(app: Flask, returned: int, form: str) -> None:
    stranger = make_user(app)
    with app.app_context():
        for user_id, order_id in ((stranger.id, returned), (stranger.id, returned + 1)):
            with pytest.raises(Refused) as refused:
                order_diagram(user_id=user_id, order_id=order_id, form=form)  # type: ignore[arg-type] # both are forms
            assert refused.value.answer is Answer.NO_SUCH_ORDER


def test_over_http(app: Flask, client: FlaskClient, buyer: Made, returned: int) -> None:
    url = f"/api/order/{returned}/diagram"
    with app.app_context():
        svg = order_diagram(user_id=buyer.id, order_id=returned, form="svg")
        mermaid = order_diagram(user_id=buyer.id, order_id=returned, form="mermaid")
    headers = auth_headers(app, buyer)
    picture = client.get(url, headers=headers)
    assert (picture.status_code, picture.mimetype, picture.get_data(as_text=True)) == (200, "image/svg+xml", svg)
    text = client.get(f"{url}?format=mermaid", headers=headers)
    assert (text.status_code, text.get_data(as_text=True)) == (200, mermaid)
    assert text.mimetype.startswith("text/")
    assert_envelope(client.get(url, headers=auth_headers(app, make_user(app))), Answer.NO_SUCH_ORDER)


def test_a_way_is_drawn_once(app: Flask, client: FlaskClient, seller: Made, buyer: Made, returned: int) -> None:
    """To draw takes as long as fifty other requests, and everybody may ask again and again."""
    with app.app_context():
        drawn = {order_diagram(user_id=each.id, order_id=returned, form="svg") for each in (seller, buyer)}
        before = _drawn.cache_info()
        for each in (seller, buyer, seller):
            drawn.add(order_diagram(user_id=each.id, order_id=returned, form="svg"))
        after = _drawn.cache_info()
    assert (len(drawn), after.misses - before.misses, after.hits - before.hits) == (1, 0, 3)
    url = f"/api/order/{returned}/diagram"
    first = client.get(url, headers=auth_headers(app, buyer))
    assert first.headers["Cache-Control"] == "private, no-cache"
    for who, form, status in ((buyer, "svg", 304), (seller, "svg", 304), (buyer, "mermaid", 200)):
        headers = {**auth_headers(app, who), "If-None-Match": first.headers["ETag"]}
        again = client.get(f"{url}?format={form}", headers=headers)
        assert (again.status_code, bool(again.data)) == (status, status == 200)
    stranger = {**auth_headers(app, make_user(app)), "If-None-Match": first.headers["ETag"]}
    assert_envelope(client.get(url, headers=stranger), Answer.NO_SUCH_ORDER)
    # One step more is another picture.
    with app.app_context(), autocommit_connection() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(
            delete(OrderEventRecord).where(OrderEventRecord.order_id == returned, OrderEventRecord.sequence == 7)
        )
        connection.execute(text("SET session_replication_role = origin"))
    shorter = client.get(url, headers={**auth_headers(app, buyer), "If-None-Match": first.headers["ETag"]})
    assert (shorter.status_code, shorter.headers["ETag"] == first.headers["ETag"]) == (200, False)
