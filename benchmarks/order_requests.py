"""One order from the purchase to the accepted return, as requests: the longest way without a dispute.

Seven steps of the machine, eight requests: the buyer goes to the cashier before paying, as the gateway can only tell of
an attempt to pay that exists. What the gateway sends is signed with its key here; no gateway runs.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

import orjson

from app.fen import parse_yuan
from app.money.sandbox import keys, protocol
from app.money.sandbox.messages import notification_fields_for
from app.money.sandbox.settings import SandboxSettings
from app.money.sandbox.store import TRADE_SUCCESS
from app.money.sandbox.store import Trade as GatewayTrade
from benchmarks.market_rows import Trade, Trader

FORM = "application/x-www-form-urlencoded"

Notification = Callable[[str, int], bytes]
"""The signed form that tells of the payment of an out_trade_no, so many fen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A POST by one of the two sides, or by the gateway where `by` is None. `expected` is the status that is right."""

    step: str
    path: str
    by: Trader | None
    body: bytes = b""
    content_type: str = "application/json"
    expected: HTTPStatus = HTTPStatus.OK

    @property
    def headers(self) -> dict[str, str]:
        """`X-User` says to the bare application, which reads no tokens, who is asking."""
        headers = {"Content-Type": self.content_type} if self.body else {}
        if self.by is not None:
            headers |= {"Authorization": f"Bearer {self.by.token}", "X-User": str(self.by.user_id)}
        return headers


def lifecycle(trade: Trade, notification: Notification) -> Generator[Call, bytes, None]:
    """The eight requests about one good; each is sent the body of the answer to it."""
    buyer, seller = trade.buyer, trade.seller

    def post(step: str, path: str, by: Trader, **fields: object) -> Call:
        return Call(step=step, path=path, by=by, body=orjson.dumps(fields) if fields else b"")

    answer = yield post("buy", f"/api/buy/{trade.good_id}/", buyer, address_id=buyer.address_id, revision=1)
    order = orjson.loads(answer)["data"]
    order_id = order["id"]
    yield Call(step="checkout", path=f"/order/pay/{order_id}/", by=buyer, expected=HTTPStatus.FOUND)
    form = notification(order["order_no"], parse_yuan(order["amount"]))
    told = yield Call(step="pay", path="/order/notify/", by=None, body=form, content_type=FORM)
    if told != b"success":
        raise AssertionError(f"the notification was answered {told!r}")
    parcel = {"company": "顺丰速运", "tracking_no": f"SF{order_id:012d}"}
    yield post("ship", f"/api/seller_send_delivery/{order_id}/", seller, address_id=seller.address_id, **parcel)
    yield post("receive", f"/api/buyer_receive_delivery/{order_id}/", buyer)
    yield post(
        "request_refund", f"/api/buyer_motion_drawback/{order_id}", buyer, reason="与描述不符", description="成色差。"
    )
    yield post("send_back", f"/api/buyer_send_drawback/{order_id}/", buyer, freight="12.00", **parcel)
    yield post("accept_return", f"/api/seller_receive_drawback/{order_id}/", seller)


def notifications(folder: Path) -> Notification:
    """A gateway that is always paid at once; its keys, as `app.money.sandbox.keys` makes them, lie in `folder`."""
    key = keys.load_private_key(folder / keys.GATEWAY_PRIVATE)
    fields_of = notification_fields_for(SandboxSettings(store=folder / "unused", keys=folder))

    def notification(out_trade_no: str, amount: int) -> bytes:
        now = time.time()
        trade = GatewayTrade(
            out_trade_no=out_trade_no,
            trade_no=f"2026{out_trade_no}",
            cashier_token="",
            subject="几乎全新的相机",
            amount_fen=amount,
            refunded_fen=0,
            status=TRADE_SUCCESS,
            notify_url="",
            return_url="",
            created_at=now,
            expires_at=now,
            paid_at=now,
            closed_at=None,
        )
        fields = {**fields_of(trade, None, f"n{out_trade_no}"), "notify_time": protocol.time_text(now)}
        return urlencode(protocol.signed_form(fields, key)).encode()

    return notification
