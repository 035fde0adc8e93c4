"""The cashier's URLs: the pages where a buyer pays (the only HTML for users), and the gateway's notifications."""

import math
import secrets

from flask import Response, make_response, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from app.answers import Answer, Refused
from app.clock import utcnow
from app.fen import format_yuan
from app.orders import payments
from app.orders.payments import CashierBill
from app.settings import settings
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api(
    "cashier", __name__, tag="支付", about="the cashier, and where the gateway calls back", template_folder="templates"
)

# The pages load no other resource and run one small inline script.
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@api.get(
    "/order/pay/<id:order_id>/", auth=Auth.BROWSER, refuses=(Answer.NO_SUCH_ORDER,), media=("text/html; charset=utf-8",)
)
def show(*, actor: Actor, order_id: int) -> Response:
    """The cashier: amount, what is bought, countdown, pay button."""
    bill = payments.cashier_bill(order_id=order_id, buyer_id=actor.id)
    return _page("cashier.html", bill=bill, token=request.args.get("token", ""))


@api.post(
    "/order/pay/<id:order_id>/",
    auth=Auth.BROWSER,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE, Answer.PAYMENT_LATE),
    redirects=True,
)
def pay(*, actor: Actor, order_id: int) -> Response:
    """Go to the gateway's cashier."""
    ticket = _tickets().dumps(order_id)
    location = payments.start_payment(
        buyer_id=actor.id,
        order_id=order_id,
        return_url=settings().base_url + url_for("cashier.result", ticket=ticket),
    )
    return make_response(redirect(location))


@api.get("/order/pay/result/<ticket>/", refuses=(Answer.NO_SUCH_ORDER,), media=("text/html; charset=utf-8",))
def result(*, ticket: str) -> Response:
    """Where the gateway sends the payer back to: shows what we know, believes nothing in the URL."""
    try:
        order_id = int(_tickets().loads(ticket))
    except BadSignature:
        raise Refused(Answer.NO_SUCH_ORDER) from None
    return _page("result.html", bill=payments.cashier_bill(order_id=order_id))


@api.post("/order/notify/", limit="rate_limit_notify", media=("text/plain; charset=utf-8",), idempotent=False)
def notify() -> Response:
    """The gateway's asynchronous notification. Answers `success`, or `failure` when it was not believed."""
    believed = payments.process_notification(form=request.form)
    return Response("success" if believed else "failure", content_type="text/plain; charset=utf-8")


def _tickets() -> URLSafeSerializer:
    """Signs the order id in the return URL, so that the payer can come back without an access token in the URL."""
    return URLSafeSerializer(settings().jwt_secret_key, salt="payment-result")


def _page(template: str, *, bill: CashierBill, token: str = "") -> Response:
    nonce = secrets.token_urlsafe(16)
    # Rounded up, so that when the page's countdown reaches zero the deadline has passed here, too.
    seconds_left = max(0, math.ceil((bill.expires_at - utcnow()).total_seconds()))
    page = render_template(
        template,
        bill=bill,
        amount=format_yuan(bill.amount),
        price=format_yuan(bill.price),
        freight=format_yuan(bill.freight),
        seconds_left=seconds_left,
        token=token,
        nonce=nonce,
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    response.headers["Cache-Control"] = "no-store"
    return response
