"""The cashier's URLs: the pages where a buyer pays (the only HTML for users), and the gateway's notifications."""

import math
import secrets
from datetime import datetime, timedelta

from flask import Response, make_response, redirect, render_template, request, url_for

from app.answers import Answer, Refused
from app.cashier.schemas import TicketOut
from app.clock import utcnow
from app.fen import format_yuan
from app.orders import payments
from app.orders.payments import CashierBill
from app.orders.schemas import NOT_READ
from app.origin import network_of
from app.settings import settings
from app.web.api import Api
from app.web.auth import Actor, Auth
from app.web.tickets import new_cashier_ticket, new_result_ticket, read_result_ticket

api = Api(
    "cashier", __name__, tag="支付", about="the cashier, and where the gateway calls back", template_folder="templates"
)

# The pages load no other resource and run one small inline script.
_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self' data:; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@api.post(
    "/order/pay/<id:order_id>/ticket/",
    auth=Auth.USER,
    out=TicketOut,
    answer=Answer.TICKET_MADE,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE, Answer.PAYMENT_LATE),
    idempotent=False,
)
def make_ticket(*, actor: Actor, order_id: int) -> TicketOut:
    """A ticket that opens the cashier of this order in a browser, and pays it.

    The page is `url`. The ticket lives for `expires_in` seconds and is worth one attempt to pay; the access token need
    not stand in any URL.
    """
    attempt = payments.next_attempt(buyer_id=actor.id, order_id=order_id)
    ticket = new_cashier_ticket(order_id=order_id, buyer_id=actor.id, attempt=attempt)
    url = f"{url_for('cashier.show', order_id=order_id)}/?token={ticket}"
    return {"url": url, "ticket": ticket, "expires_in": settings().cashier_ticket_lifetime}


@api.get(
    "/order/pay/<id:order_id>/",
    auth=Auth.CASHIER,
    strangers=True,  # messengers add to an address that is sent on
    refuses=(Answer.NO_SUCH_ORDER,),
    media=("text/html; charset=utf-8",),
)
def show(*, actor: Actor, order_id: int) -> Response:
    """The cashier: amount, what is bought, countdown, pay button."""
    bill = payments.cashier_bill(order_id=order_id, buyer_id=actor.id)
    token, until = request.args.get("token", ""), actor.ticket.expires_at if actor.ticket else None
    if not token and bill.payable:
        # Opened with a header, which the form will not have.
        attempt = payments.next_attempt(buyer_id=actor.id, order_id=order_id)
        token = new_cashier_ticket(order_id=order_id, buyer_id=actor.id, attempt=attempt)
        until = utcnow() + timedelta(seconds=settings().cashier_ticket_lifetime)
    return _page("cashier.html", bill=bill, token=token, token_until=until)


@api.post(
    "/order/pay/<id:order_id>/",
    auth=Auth.CASHIER,
    not_read=NOT_READ,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE, Answer.PAYMENT_LATE),
    redirects=True,
)
def pay(*, actor: Actor, order_id: int) -> Response:
    """Go to the gateway's cashier."""
    location = payments.start_payment(
        buyer_id=actor.id,
        order_id=order_id,
        return_url=settings().base_url + url_for("cashier.result", ticket=new_result_ticket(order_id)),
        attempt=actor.ticket.attempt if actor.ticket else None,
    )
    return make_response(redirect(location))


@api.get(
    "/order/pay/result/<ticket>/",
    strangers=True,  # the gateway adds what it knows
    refuses=(Answer.NO_SUCH_ORDER,),
    media=("text/html; charset=utf-8",),
)
def result(*, ticket: str) -> Response:
    """Where the gateway sends the payer back to: shows what we know, believes nothing in the URL."""
    order_id = read_result_ticket(ticket)
    if order_id is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    return _page("result.html", bill=payments.cashier_bill(order_id=order_id))


@api.post(
    "/order/notify/",
    strangers=True,  # the fields are the gateway's
    limit="rate_limit_notify",
    media=("text/plain; charset=utf-8",),
    idempotent=False,
)
def notify() -> Response:
    """The gateway's asynchronous notification. Answers `success`, or `failure` when it was not believed."""
    believed = payments.process_notification(form=request.form, origin=network_of(request.remote_addr))
    return Response("success" if believed else "failure", content_type="text/plain; charset=utf-8")


def _back(order_id: int) -> str:
    """Where the pages lead back: the shop's page of the order, or this server's own start page."""
    return settings().shop_order_url.replace("{order_id}", str(order_id)) or "/"


def _page(template: str, *, bill: CashierBill, token: str = "", token_until: datetime | None = None) -> Response:
    nonce = secrets.token_urlsafe(16)
    now = utcnow()
    # Rounded up, so that when the page's countdown reaches zero the deadline has passed here, too.
    seconds_left = max(0, math.ceil((bill.expires_at - now).total_seconds()))
    page = render_template(
        template,
        bill=bill,
        amount=format_yuan(bill.amount),
        price=format_yuan(bill.price),
        freight=format_yuan(bill.freight),
        seconds_left=seconds_left,
        token=token,
        # Rounded down: the button must not be there any more when the token in the form is refused.
        token_seconds=math.floor((token_until - now).total_seconds()) if token_until else None,
        nonce=nonce,
        back=_back(bill.order_id),
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    response.headers["Cache-Control"] = "no-store"
    return response
