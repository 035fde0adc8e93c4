"""A market in which every operation has something to do: what buyer and seller own, and everybody's tokens."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.answers import Answer
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.goods.models import CaseKind, Picture, ReviewCase
from app.moderation.decisions import open_case as open_review
from app.moderation.review_queue import ban_picture
from app.moderation.service import check_good
from app.moderation.verdicts import Category
from app.money.cases import open_case
from app.money.models import MoneyCase, MoneyCaseKind
from app.notifications.models import Notification
from app.orders.models import EvidencePicture
from app.saved_searches.service import save_search
from app.staff.service import add_staff, suspend_user
from app.staff_roles import StaffRole
from app.wallet.service import request_payout
from statemachine import GoodStatus, OrderPhase, Role, TradeMode
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    RETURN_SENT,
    SETTLED,
    SHIPPED,
)
from tasks.relay import relay_once
from tests.factories import (
    PASSWORD,
    SNAPSHOT,
    Made,
    assert_envelope,
    lead_order,
    make_address,
    make_good,
    make_user,
    picture_bytes,
)
from tests.goods.steps import multipart, publish, release
from tests.profiles.steps import shown, waiting

PEOPLE = ("stranger", "buyer", "seller", "suspended", "staff")

ELSEWHERE = {
    "name": "李四",
    "mobile": "13900139000",
    "province": "江苏省",
    "city": "南京市",
    "district": "玄武区",
    "detail": "长江路 1 号",
}
"""Where those live who are no side of an order."""

PRIVATE = (SNAPSHOT["detail"], "SF1234567890", "屏幕有划痕", "协商不成")
"""Texts of the sides' addresses, parcels and words, which nobody else may read in any answer. (The document of the API
has their mobile number as an example.)"""

_ORDERS: dict[str, OrderPhase] = {
    "unpaid": AWAITING_PAYMENT,
    "paid": PAID,
    "shipped": SHIPPED,
    "received": RECEIVED,
    "requested": REFUND_REQUESTED_RECEIVED,
    "returned": RETURN_SENT,
    "settled": SETTLED,
}


@dataclass(frozen=True)
class Market:
    """Ids (or what else stands in a URL) of the things by name, each person's address, tokens, and handover code."""

    things: dict[str, int | str]
    addresses: dict[str, int]
    access: dict[str, str]
    refresh: dict[str, str]
    handover_code: str


def fill_market(app: Flask, client: FlaskClient) -> Market:
    """Make it, on empty stores."""
    people = {name: make_user(app, name) for name in PEOPLE}
    with app.app_context():
        add_staff(username="staff", reason="入职", roles=tuple(StaffRole))
        colleague = make_user(app, "colleague", staff=True)
    buyer, seller = people["buyer"], people["seller"]
    addresses = {
        name: make_address(app, person, **({} if person in (buyer, seller) else ELSEWHERE)).id
        for name, person in people.items()
    }
    tokens = {name: _log_in(client, name) for name in people}
    access = {name: each["access_token"] for name, each in tokens.items()}

    things: dict[str, int | str] = {
        "seller": seller.id,
        "stranger": people["stranger"].id,
        "colleague": colleague.id,
        "address": addresses["buyer"],
        "asset": "docs.css",
    }
    for name in ("public", "review"):
        good = release(app, client, seller, picture_bytes())
        things[name], things[f"{name}_picture"] = good["id"], good["pictures"][0]["id"]
    publish(app, int(things["public"]))
    things["refused"] = make_good(app, seller, status=GoodStatus.REJECTED).id
    waiting_good = make_good(app, seller, status=GoodStatus.IN_REVIEW)
    with app.app_context():
        check_good(good_id=waiting_good.id, revision=1)
        with transaction() as session:
            review = {"good_id": waiting_good.id, "revision": 1, "kind": CaseKind.RELEASE}
            open_review(session, **review, now=utcnow())
        things["to_review"] = db.session.scalars(select(ReviewCase.id)).one()
        picture_id = int(things["review_picture"])
        why = {"category": Category.FRAUD, "note": "骗子常用图"}
        things["ban"] = ban_picture(actor_id=people["staff"].id, picture_id=picture_id, **why)
    uploaded = client.post(
        "/api/pictures/", headers={"Authorization": f"Bearer {access['seller']}"}, **multipart(picture_bytes())
    )
    things["unused_picture"] = assert_envelope(uploaded, Answer.PICTURE_UPLOADED)["id"]
    for name, phase in _ORDERS.items():
        things[name] = lead_order(app, make_good(app, seller), buyer, phase=phase).id
    in_person = make_good(app, seller, trade_mode=TradeMode.FACE_TO_FACE)
    handed_over = lead_order(app, in_person, buyer, phase=PAID)
    things["face_to_face"] = handed_over.id
    disputed = lead_order(app, make_good(app, seller), buyer, phase=REFUND_REQUESTED_SHIPPED, disputed_by=Role.BUYER)
    things["disputed"] = disputed.id
    told = client.post(
        f"/api/dispute_statement/{disputed.id}/",
        headers={"Authorization": f"Bearer {access['buyer']}"},
        **multipart(picture_bytes(), text="屏幕有划痕,见图"),
    )
    assert_envelope(told, Answer.STATEMENT_ADDED)
    things["ticket"] = _result_ticket(client, lead_order(app, make_good(app, seller), buyer), access["buyer"])
    things["forged_ticket"] = f"{things['ticket']}x"
    with app.app_context():
        things["saved_search"] = save_search(user_id=buyer.id, q="民谣吉他", notify_me=True)
        things["withdrawal"] = request_payout(user_id=seller.id, amount=1000, account="13700137000", name="王小明")
        with transaction() as session:
            open_case(session, kind=MoneyCaseKind.BILL, key="bill:2026-11-22", reason="1 differences")
        things["case"] = db.session.scalars(select(MoneyCase.id)).one()
        while relay_once():
            pass
        things["notification"] = (
            db.session.scalars(
                select(Notification.id).where(Notification.user_id == buyer.id).order_by(Notification.id)
            ).first()
            or 0
        )
        things["evidence"] = db.session.scalars(select(EvidencePicture.id)).one()
        assert things["public_picture"] in db.session.scalars(select(Picture.id)).all()
    with app.app_context():
        suspend_user(actor_id=people["staff"].id, user_id=people["suspended"].id, reason="违规交易", until=None)
    things["avatar"] = shown(app, client, seller)
    things["waiting_avatar"] = waiting(app, client, seller, picture_bytes(100, 100))["id"]
    return Market(
        things=things,
        addresses=addresses,
        access=access,
        refresh={name: each["refresh_token"] for name, each in tokens.items()},
        handover_code=handed_over.handover_code,
    )


def _log_in(client: FlaskClient, username: str) -> dict[str, Any]:
    response = client.post("/login/", json={"username": username, "password": PASSWORD})
    data: dict[str, Any] = assert_envelope(response, Answer.LOGGED_IN)
    return data


def _result_ticket(client: FlaskClient, order: Made, token: str) -> str:
    """The ticket in the address to which the gateway sends the payer back."""
    response = client.post(f"/order/pay/{order.id}/", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 302, response.text
    [return_url] = parse_qs(urlsplit(response.headers["Location"]).query)["return_url"]
    return urlsplit(return_url).path.rstrip("/").rpartition("/")[2]
