"""Reminders of orders' deadlines, one before each deadline.

The time of the next one is a column of the order, so none is lost while no process runs. Several sweeps may run at the
same time: each skips rows that another has locked.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select

from app.clock import format_moment, utcnow
from app.db.transactions import transaction
from app.notifications.models import TITLE_LENGTH, NotificationKind
from app.notifications.service import notify
from app.orders.models import Order
from app.orders.queries import facts_of
from statemachine import ORDER, OrderEvent, Role, order_flow
from statemachine.spec import check_total

_BATCH: Final = 50
"""Orders in one database transaction."""


def remind_due(*, limit: int) -> int:
    """Notify buyers or sellers of the deadlines whose reminder is due, of at most `limit` orders; returns how many."""
    reminded = taken = 0
    while taken < limit:
        # In batches, because no step can be taken with their orders while they are locked.
        due, sent = _remind_batch(min(_BATCH, limit - taken))
        if due == 0:
            break
        taken += due
        reminded += sent
    return reminded


def _remind_batch(size: int) -> tuple[int, int]:
    """Returns how many orders were due, and how many reminders were sent: the deadline may be over by now."""
    sent = 0
    with transaction() as session:
        due: Sequence[Order] = session.scalars(
            select(Order)
            .where(Order.remind_at <= utcnow(), Order.held_at.is_(None))
            .order_by(Order.remind_at)
            .limit(size)
            .with_for_update(skip_locked=True)
        ).all()
        for order in due:
            order.remind_at = None
            deadline = order_flow.deadline(order.phase, facts_of(order))
            if deadline is None or order.deadline_at is None or order.deadline_at <= utcnow():
                continue
            notify(
                session,
                user_id=order.buyer_id if deadline.reminder.role == Role.BUYER else order.seller_id,
                kind=NotificationKind.REMINDER,
                title=f"{deadline.text.zh}:{order.good_title}"[:TITLE_LENGTH],
                text=_REMINDERS[deadline.event].format(title=order.good_title, at=_minute(order.deadline_at)),
                order_id=order.id,
                event=deadline.event.value,
            )
            sent += 1
        return len(due), sent


def _minute(moment: datetime) -> str:
    """`11月22日 20:15` in Shanghai."""
    text = format_moment(moment)
    return f"{int(text[5:7])}月{int(text[8:10])}日 {text[11:16]}"


_REMINDERS: Final = {
    OrderEvent.EXPIRE: "“{title}”请在 {at} 前付款,逾期订单将自动取消。",
    OrderEvent.REFUND_UNSHIPPED: "买家已付款的“{title}”请在 {at} 前发货或交货,逾期将自动退款给买家。",
    OrderEvent.RECEIVE: "“{title}”将于 {at} 自动确认收货,如未收到或有问题请及时延长收货或申请退款。",
    OrderEvent.SETTLE: "“{title}”的售后期将于 {at} 结束,之后不能再申请退款。",
    OrderEvent.APPROVE_REFUND: "买家申请退款的“{title}”请在 {at} 前处理,逾期将自动退款给买家。",
    OrderEvent.LAPSE: "“{title}”请在 {at} 前寄回并填写运单,逾期退款申请将自动关闭。",
    OrderEvent.ACCEPT_RETURN: "买家已寄回“{title}”,请在 {at} 前确认收货或提出异议,逾期将自动退款给买家。",
}

check_total(
    "_REMINDERS in app/notifications/reminders.py",
    _REMINDERS.keys(),
    {rule.event for rule in ORDER.rules if rule.deadline},
)
