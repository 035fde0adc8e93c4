"""Writes the demo market. Running it again adds only what is missing."""

import io
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import exists, select

from app.accounts.models import Address, User
from app.accounts.service import add_address, create_user
from app.clock import utcnow
from app.db.transactions import transaction
from app.goods.models import Good
from app.goods.service import release_good
from app.moderation.service import publish_without_a_look, revision_in_review
from app.money.models import Payment, PaymentState
from app.money.sandbox.messages import notification_fields_for
from app.money.sandbox.settings import SandboxSettings
from app.money.sandbox.store import Store
from app.orders import service as orders
from app.orders.models import Order
from app.orders.payments import record_paid_trade
from app.seed import DEMO_PASSWORD
from app.seed.demo_data import ADDRESSES, GOODS, ORDERS, PEOPLE, DemoGood, DemoOrder
from app.seed.drawings import draw_picture
from app.seed.listings import seed_listings
from app.settings import settings
from app.staff_roles import StaffRole
from statemachine import GoodStatus, OrderEvent

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


def seed_market(*, track: Progress) -> None:
    """Fill the market; `track(items, text)` yields `items` and shows progress.

    Paid orders are also recorded as paid trades in the sandbox gateway's store (whose settings come from the
    environment), so that a refund finds its trade there.
    """
    people = {name: _person(name) for name in track(PEOPLE, "people")}
    for name, address in ADDRESSES.items():
        _address(people[name], address)
    goods = {good.title: _good(people[good.owner], good) for good in track(GOODS, "goods")}
    seed_listings()
    if settings().alipay_gateway_url:
        return  # another gateway than the sandbox: payments that were never made cannot be recorded there
    sandbox = SandboxSettings.from_environment()
    store = Store(sandbox.store, notification_fields_for(sandbox))
    for order in track(ORDERS, "orders"):
        _order(people, order, goods[order.title], store)


def _person(username: str) -> int:
    with transaction() as session:
        known = session.scalar(select(User.id).where(User.username_key == username))
        if known is not None:
            return known
        return create_user(
            session,
            username=username,
            password=DEMO_PASSWORD,
            staff_roles=tuple(StaffRole) if username == "admin" else (),
        ).id


def _address(user_id: int, texts: dict[str, str]) -> None:
    with transaction() as session:
        if not session.scalar(select(exists().where(Address.user_id == user_id))):
            add_address(user_id=user_id, is_default=True, **texts)


def _good(owner_id: int, wanted: DemoGood) -> int:
    with transaction() as session:
        same = select(Good.id).where(Good.owner_id == owner_id, Good.title == wanted.title)
        good_id = session.scalar(same.order_by(Good.id).limit(1))
    if good_id is None:
        drawn = (draw_picture(thing=wanted.thing, colour=wanted.colour, view=view) for view in range(wanted.pictures))
        good_id = release_good(
            owner_id=owner_id,
            fields={
                "title": wanted.title,
                "description": wanted.description,
                "price": wanted.price,
                "original_price": wanted.original_price,
                "freight": wanted.freight,
                "category": wanted.category,
                "trade_mode": wanted.trade_mode,
            },
            uploads=[io.BytesIO(picture) for picture in drawn],
        )["id"]
    # Orders need published goods at once. The review jobs that the release has queued then find nothing to do.
    revision = revision_in_review(good_id)
    if revision is not None:
        publish_without_a_look(good_id=good_id, revision=revision)
    return good_id


def _order(people: dict[str, int], wanted: DemoOrder, good_id: int, store: Store) -> None:
    buyer_id = people[wanted.buyer]
    with transaction() as session:
        good = session.get_one(Good, good_id)
        if good.status != GoodStatus.PUBLISHED or session.scalar(select(exists().where(Order.good_id == good_id))):
            return
        seller_id = good.owner_id
        addresses = {
            user_id: session.scalars(select(Address.id).where(Address.user_id == user_id)).first()
            for user_id in (buyer_id, seller_id)
        }
        # One transaction around all steps: if the process is killed, there is a whole order or none.
        order_id = orders.buy_good(
            buyer_id=buyer_id,
            good_id=good_id,
            address_id=addresses[buyer_id],
            trade_mode=None,
            revision=good.revision,
        )
        for event in wanted.steps:
            _STEPS[event](order_id=order_id, buyer_id=buyer_id, seller_id=seller_id, addresses=addresses, store=store)


def _pay(*, order_id: int, store: Store, **_: Any) -> None:
    with transaction() as session:
        order = session.get_one(Order, order_id)
        now = utcnow()
        trade = store.open_trade(
            out_trade_no=order.order_no,
            subject=order.good_title,
            amount_fen=order.amount,
            notify_url="",  # we know of it already, and nobody listens yet
            return_url="",
            expires_at=(now + timedelta(minutes=30)).timestamp(),
            now=time.time(),
        )
        paid = store.pay(trade.cashier_token, now=time.time())
        payment = Payment(
            order_id=order.id,
            state=PaymentState.OPEN.value,
            out_trade_no=order.order_no,
            amount=order.amount,
            created_at=now,
        )
        session.add(payment)
        session.flush()
        record_paid_trade(session, payment, trade_no=paid.trade_no, paid_at=now)


def _ship(*, order_id: int, seller_id: int, addresses: dict[int, int], **_: Any) -> None:
    orders.ship_order(
        actor_id=seller_id,
        order_id=order_id,
        address_id=addresses[seller_id],
        company="顺丰速运",
        tracking_no=f"SF{order_id:010d}",
    )


def _receive(*, order_id: int, buyer_id: int, **_: Any) -> None:
    orders.receive_order(actor_id=buyer_id, order_id=order_id)


def _ask_refund(*, order_id: int, buyer_id: int, **_: Any) -> None:
    orders.request_refund(
        actor_id=buyer_id, order_id=order_id, reason="与描述不符", description="成色比描述差一些,想退货退款。"
    )


def _send_back(*, order_id: int, buyer_id: int, **_: Any) -> None:
    orders.send_back(
        actor_id=buyer_id, order_id=order_id, company="中通快递", tracking_no=f"ZT{order_id:010d}", freight=1200
    )


def _cancel(*, order_id: int, buyer_id: int, **_: Any) -> None:
    orders.cancel_order(actor_id=buyer_id, order_id=order_id)


_STEPS: Final[dict[OrderEvent, Callable[..., None]]] = {
    OrderEvent.PAY: _pay,
    OrderEvent.SHIP: _ship,
    OrderEvent.RECEIVE: _receive,
    OrderEvent.REQUEST_REFUND: _ask_refund,
    OrderEvent.SEND_BACK: _send_back,
    OrderEvent.CANCEL: _cancel,
}
