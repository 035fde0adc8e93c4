"""The README's walk once more, from registration to an accepted return, by the generated Python client."""

import importlib
import io
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.e2e.product import until
from tests.live import PROJECT

PASSWORD = "walk-2026-ok"
HOME = {"province": "浙江省", "city": "杭州市", "district": "西湖区", "detail": "文三路 1 号"}

HISTORY = [
    ("buyer", "buy", 1, 6),
    ("gateway", "pay", 2, 6),
    ("seller", "ship", 2, 7),
    ("buyer", "receive", 3, 8),
    ("buyer", "request_refund", 4, 8),
    ("buyer", "send_back", 4, 9),
    ("seller", "accept_return", 5, 10),
]


@dataclass
class Caller:
    """Somebody who uses the generated package, logged in or not."""

    url: str
    token: str | None = None
    package: ModuleType = field(default_factory=lambda: importlib.import_module("saltfish_client"))

    @property
    def models(self) -> Any:
        """The shapes of what goes in and comes out."""
        return importlib.import_module("saltfish_client.models")

    def detailed(self, operation: str, *ids: int, **arguments: Any) -> Any:
        """The whole response of `orders.buy` and the like."""
        domain, _, _ = operation.partition(".")
        module = importlib.import_module(f"saltfish_client.api.{domain}.{operation.replace('.', '_')}")
        options = {"base_url": self.url, "raise_on_unexpected_status": True}
        client = (
            self.package.AuthenticatedClient(token=self.token, **options)
            if self.token
            else self.package.Client(**options)
        )
        with client:
            return module.sync_detailed(*ids, client=client, **arguments)

    def data(self, operation: str, *ids: int, **arguments: Any) -> Any:
        """The `data` of a success."""
        response = self.detailed(operation, *ids, **arguments)
        assert response.status_code == 200, response.content.decode()
        return response.parsed.data

    def refusal(self, operation: str, *ids: int, **arguments: Any) -> tuple[str, Any]:
        """The name of the refusal's class, and its `data`."""
        response = self.detailed(operation, *ids, **arguments)
        assert response.status_code >= 400, response.content.decode()
        return type(response.parsed).__name__, response.parsed.data


def enter(url: str, username: str) -> Caller:
    """Register and log in."""
    nobody = Caller(url)
    models = nobody.models
    captcha = nobody.data("accounts.captcha")
    registration = models.RegisterIn(
        username=username, password=PASSWORD, captcha_id=captcha.captcha_id, captcha_code=captcha.captcha_code
    )
    assert nobody.data("accounts.register", body=registration).username == username
    name, data = nobody.refusal("accounts.register", body=registration)  # a captcha works once
    assert (name, data.error) == ("CaptchaWrongRefusal", "CAPTCHA_WRONG")
    login = nobody.data("accounts.login", body=models.LoginIn(username=username, password=PASSWORD))
    assert login.user.username == username
    return Caller(url, login.access_token)


def wait_for(read: Callable[[], Any], wanted: object, *, seconds: float = 60) -> None:
    """Return as soon as `read()` is `wanted`."""
    until(lambda: read() == wanted, seconds=seconds, what=str(wanted))


def pay(buyer: Caller, order_id: int) -> None:
    """As a browser pays: our cashier by a ticket, then the gateway's; each is a page with one form, to be posted."""
    page = urljoin(buyer.url, buyer.data("cashier.make_ticket", order_id).url)
    for expected in (302, 200):
        [action] = re.findall(r'<form[^>]* action="([^"]+)"', httpx.get(page).text)
        sent_on = httpx.post(urljoin(page, action), follow_redirects=expected == 200)
        assert sent_on.status_code == expected
        page = sent_on.headers.get("Location", "")


def walk(url: str) -> None:
    """All of it, on a running product at `url`."""
    stamp = time.time_ns() // 1_000_000 % 10**9
    seller, buyer = enter(url, f"c_seller_{stamp}"), enter(url, f"c_buyer_{stamp}")
    models = seller.models
    types = importlib.import_module("saltfish_client.types")
    sender = seller.data("accounts.add_address", body=models.AddressIn(name="林小鱼", mobile="13800000001", **HOME))
    recipient = buyer.data("accounts.add_address", body=models.AddressIn(name="王小明", mobile="13800000002", **HOME))
    name, data = buyer.refusal("accounts.add_address", body=models.AddressIn(name="王小明", mobile="1", **HOME))
    assert (name, data.error, list(data.errors.additional_properties)) == ("MalformedRefusal", "MALFORMED", ["mobile"])

    picture = io.BytesIO((PROJECT / "docs" / "walk" / "guitar.jpg").read_bytes())
    form = models.GoodsReleaseBody(
        title=f"九成新 民谣吉他 {stamp}",
        description="音色温暖,送琴包和变调夹。",
        price="520.00",
        freight="20",
        category=models.Category.TOYS_AND_INSTRUMENTS,
        trade_mode=models.TradeMode.COURIER,
        pictures=[types.File(payload=picture, file_name="guitar.jpg", mime_type="image/jpeg")],
    )
    good = seller.data("goods.release", body=form)
    assert (good.good_status, good.category_text, len(good.pictures)) == (models.GoodStatus.IN_REVIEW, "玩具乐器", 1)
    wait_for(lambda: seller.data("moderation.verify_good", good.id).good_status, models.GoodStatus.PUBLISHED)
    assert buyer.detailed("goods.picture", good.pictures[0].id).parsed.payload.read(3) == b"\xff\xd8\xff"

    seen = buyer.data("goods.good", good.id)
    changed = models.BuyIn(address_id=recipient.id, revision=seen.revision, expected_amount="539.99")
    name, data = buyer.refusal("orders.buy", good.id, body=changed)
    assert (name, data.error, data.amount) == ("GoodChangedRefusal", "GOOD_CHANGED", "540.00")
    purchase = models.BuyIn(address_id=recipient.id, revision=seen.revision, expected_amount="540.00")
    assert seller.refusal("orders.buy", good.id, body=purchase)[1].error == "OWN_GOOD"
    key = str(uuid.uuid4())
    order = buyer.data("orders.buy", good.id, body=purchase, idempotency_key=key)
    assert buyer.data("orders.buy", good.id, body=purchase, idempotency_key=key).id == order.id
    name, data = buyer.refusal("orders.buy", good.id, body=purchase)
    assert (name, data.error) == ("GoodNotForSaleRefusal", "GOOD_NOT_FOR_SALE")
    assert (order.amount, order.bill_status, order.order_status) == (
        "540.00",
        models.BillStatus.UNPAID,
        models.OrderStatus.UNSHIPPED,
    )
    assert [action.name for action in order.actions] == [models.ActionName.PAY, models.ActionName.CANCEL]
    assert order.deadline.what is models.OrderEvent.EXPIRE

    parcel = models.ShipIn(address_id=sender.id, company="顺丰速运", tracking_no="SF1234567890")
    name, data = seller.refusal("orders.ship", order.id, body=parcel)
    assert (name, data.error, data.event, data.allowed) == (
        "WrongStateRefusal",
        "WRONG_STATE",
        models.AttemptedAction.SHIP,
        [models.OrderEvent.CANCEL],
    )
    pay(buyer, order.id)
    wait_for(lambda: buyer.data("orders.detail", order.id).bill_status, models.BillStatus.PAID)
    shipped = seller.data("orders.ship", order.id, body=parcel)
    assert (shipped.delivery.tracking_no, shipped.delivery.sender.name) == ("SF1234567890", "林小鱼")
    buyer.data("orders.receive", order.id)
    buyer.data("orders.ask_refund", order.id, body=models.OrdersAskRefundBody(reason="与描述不符"))
    back = models.ReturnIn(company="中通快递", tracking_no="ZT1234567890")
    buyer.data("orders.return_goods", order.id, body=back)
    seller.data("orders.accept_return", order.id)
    wait_for(lambda: buyer.data("orders.detail", order.id).refund.state, models.RefundState.CONFIRMED)

    detail = buyer.data("orders.detail", order.id)
    assert [
        (step.role.value, step.event.value, step.to_bill_status.value, step.to_order_status.value)
        for step in detail.history
    ] == HISTORY
    moments = [step.at for step in detail.history]
    assert all(isinstance(moment, datetime) and moment.tzinfo is not None for moment in moments)
    assert moments == sorted(moments)
    bought = buyer.data("orders.bought")
    assert [(each.id, each.bill_status, each.order_status) for each in bought.items] == [
        (order.id, models.BillStatus.REFUNDED, models.OrderStatus.RETURN_RECEIVED)
    ]
    # A list without a row is no refusal.
    sold = buyer.detailed("orders.sold").parsed
    assert (sold.status, sold.msg, sold.data.items) == (100, "暂无订单", [])
