"""The dearest good there can be, with the dearest freight: the gateway is believed about it as about others."""

from app.fen import MAX_FEN
from app.orders.payments import query_due_payments
from app.orders.service import cancel_order
from statemachine.order import CANCELLED, PAID
from tests.factories import auth_headers, make_address, make_good, make_user
from tests.money.conftest import Purchase, Shop
from tests.money.test_attempts import refund_everything

AMOUNT = 2 * MAX_FEN


def buy(shop: Shop) -> Purchase:
    seller, buyer = make_user(shop.app), make_user(shop.app)
    good = make_good(shop.app, seller, price=MAX_FEN, original_price=MAX_FEN, freight=MAX_FEN)
    headers = auth_headers(shop.app, buyer)
    body = {"address_id": make_address(shop.app, buyer).id}
    order = shop.client.post(f"/api/buy/{good.id}/", json=body, headers=headers).get_json()["data"]
    assert order["amount"] == "19999999.98"
    return Purchase(order["id"], order["order_no"], good.id, seller, buyer, headers)


def test_its_notification_is_believed(shop: Shop) -> None:
    purchase = buy(shop)
    form = shop.pay(purchase)
    assert (form["total_amount"], shop.notify(form)) == ("19999999.98", "success")
    found = shop.state_of(purchase)
    assert (found.phase, found.money) == (PAID, {"gateway_clearing": AMOUNT, "escrow": AMOUNT})
    assert (shop.refusals(), shop.audit()) == ([None], [])


def test_it_is_found_without_a_notification_and_paid_back(shop: Shop) -> None:
    purchase = buy(shop)
    shop.pay(purchase)
    shop.is_due()
    with shop.app.app_context():
        assert query_due_payments() == 1
    assert shop.state_of(purchase).phase == PAID
    asked = shop.client.post(
        f"/api/buyer_motion_drawback/{purchase.order_id}", json={"reason": "不想要了"}, headers=purchase.headers
    )
    assert asked.status_code == 200, asked.text
    approved = shop.client.post(
        f"/api/seller_approve_drawback/{purchase.order_id}/", headers=auth_headers(shop.app, purchase.seller)
    )
    assert approved.status_code == 200, approved.text
    refund_everything(shop)
    found = shop.state_of(purchase)
    assert (found.refunds, found.money) == ([(1, AMOUNT, "approve_refund", "confirmed")], {})
    assert (shop.sandbox.trade(purchase.order_no)["refunded_fen"], shop.audit()) == (AMOUNT, [])


def test_it_can_be_cancelled(shop: Shop) -> None:
    purchase = buy(shop)
    shop.start(purchase)
    with shop.app.app_context():
        cancel_order(actor_id=purchase.buyer.id, order_id=purchase.order_id)
    assert shop.state_of(purchase).phase == CANCELLED
