"""The numbers of the day, orders, and disputes to decide."""

from typing import Annotated, Final, Literal

from flask import Response
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from app.fields import CleanText
from app.office.charts import bars
from app.office.views.pages import done, office, show
from app.orders.actions import STATES
from app.orders.addresses import masked
from app.orders.diagram import order_diagram
from app.orders.schemas import OrderAddressOut, WaybillOut
from app.paging import page_of
from app.staff import figures, queries, service
from app.staff.schemas import (
    DecisionIn,
    DisputeQuery,
    FiguresQuery,
    ReasonIn,
    StaffOrderDetailOut,
    StaffOrderQuery,
)
from app.staff.sessions import Member
from app.staff_roles import Permission

_STATES: Final = {
    "bills": [(each["code"], each["text"]) for each in STATES if each["axis"] == "bill"],
    "goods_states": [(each["code"], each["text"]) for each in STATES if each["axis"] == "order"],
}


class RevealIn(BaseModel):
    """Why somebody has to see addresses and numbers."""

    model_config = ConfigDict(frozen=True)

    reason: Annotated[str, CleanText(2, 200)]


class DisputeIn(DecisionIn):
    """For whom a dispute is decided."""

    decision: Literal["buyer", "seller"]
    reason: ReasonIn


@office.page("/", title="今日", permission=Permission.FIGURES, query=FiguresQuery)
def today(*, member: Member, query: FiguresQuery) -> Response:
    """The numbers of a day as charts, and what waits for a person."""
    found = figures.figures(query)
    hours, days = found["hours"], found["days"]
    charts = (
        ("每小时下单", "单", bars([(f"{each['hour']} 时", each["orders"]) for each in hours], unit="单")),
        ("每小时付款", "单", bars([(f"{each['hour']} 时", each["paid_orders"]) for each in hours], unit="单")),
        ("每小时发布", "件", bars([(f"{each['hour']} 时", each["goods"]) for each in hours], unit="件")),
        ("近 14 天付款金额", "元", bars([(each["day"][5:], each["paid_amount"]) for each in days], unit="元")),
        ("近 14 天下单", "单", bars([(each["day"][5:], each["orders"]) for each in days], unit="单")),
        ("近 14 天争议", "件", bars([(each["day"][5:], each["disputes"]) for each in days], unit="件")),
    )
    return show("today.html", figures=found, charts=charts)


@office.page("/orders/", title="订单", permission=Permission.ORDERS, query=StaffOrderQuery)
def orders(*, member: Member, query: StaffOrderQuery) -> Response:
    """All orders, filtered."""
    items, total = queries.list_orders(actor_id=member.id, query=query)
    return show("orders.html", page=page_of(items, total=total, query=query), query=query, states=_STATES)


@office.page("/orders/<id:order_id>/", title="订单详情", permission=Permission.ORDERS)
def order(*, member: Member, order_id: int) -> Response:
    """One order: history, diagram, messages and money. Who it names stays masked until somebody says why."""
    return _order(member, order_id, whole=False)


@office.form("/orders/<id:order_id>/", title="订单详情", permission=Permission.ORDERS, body=RevealIn)
def reveal_order(*, member: Member, order_id: int, body: RevealIn) -> Response:
    """The same with addresses and numbers; the reason is recorded."""
    return _order(member, order_id, whole=True)


def _order(member: Member, order_id: int, *, whole: bool) -> Response:
    found = queries.order_detail(actor_id=member.id, order_id=order_id)
    drawn = order_diagram(user_id=member.id, order_id=order_id, form="svg")
    return show(
        "order.html",
        order=found if whole else _masked(found),
        whole=whole,
        diagram=Markup(drawn),  # noqa: S704 - drawn by ourselves, which escapes every text
    )


def _masked(order: StaffOrderDetailOut) -> StaffOrderDetailOut:
    """The order without what names people's homes, phones and accounts at the gateway."""
    return {
        **order,
        "address": _masked_address(order["address"]),
        "delivery": _masked_waybill(order["delivery"]),
        "return_delivery": _masked_waybill(order["return_delivery"]),
        "gateway_notifications": [{**each, "fields": {}} for each in order["gateway_notifications"]],
    }


def _masked_address(address: OrderAddressOut | None) -> OrderAddressOut | None:
    return None if address is None else masked(address)


def _masked_waybill(waybill: WaybillOut | None) -> WaybillOut | None:
    if waybill is None:
        return None
    return {
        **waybill,
        "sender": _masked_address(waybill["sender"]),
        "recipient": _masked_address(waybill["recipient"]),
    }


@office.page("/disputes/", title="争议", permission=Permission.DISPUTES, query=DisputeQuery)
def disputes(*, member: Member, query: DisputeQuery) -> Response:
    """What waits for staff, oldest first, each with what is needed to decide it."""
    items, total = queries.list_disputes(actor_id=member.id, query=query)
    return show("disputes.html", page=page_of(items, total=total, query=query), query=query)


@office.form("/disputes/<id:order_id>/", title="争议裁决", permission=Permission.DISPUTES, body=DisputeIn)
def decide_dispute(*, member: Member, order_id: int, body: DisputeIn) -> Response:
    """Decide for the buyer or for the seller."""
    resolve = service.resolve_for_buyer if body.decision == "buyer" else service.resolve_for_seller
    resolve(actor_id=member.id, order_id=order_id, reason=body.reason)
    side = "买家" if body.decision == "buyer" else "卖家"
    return done(f"订单 {order_id} 已裁决:支持{side}", to="/admin/disputes/")
