"""Sends steps of orders to the operator's URL, and that orders are held and go on.

A message of the topic `webhook` in the outbox is one step to be sent, one of `held_webhook` or `released_webhook` a
case about an order's money that begins or ends a hold. The messages of an order are a stream, so its steps and holds
are delivered in their order. Delivery is at least once: a receiver recognises a repetition by its `webhook-id`.
"""

import functools
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
import urllib3
from sqlalchemy import ColumnElement, Row, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.clock import format_moment, utcnow
from app.db.transactions import row_or_none, transaction
from app.fen import format_yuan
from app.money.cases import total_when_held, total_when_released
from app.money.models import MoneyCase
from app.orders.models import HoldReason, Order, OrderEventRecord
from app.outbox.models import OutboxMessage, Topic
from app.outbox.service import PermanentFailure
from app.settings import settings
from app.version import __version__
from app.webhooks.signing import signed_headers

log = structlog.get_logger(__name__)

_GONE: Final = 410

_STEP: Final = select(
    OrderEventRecord.id,
    OrderEventRecord.sequence,
    OrderEventRecord.event,
    OrderEventRecord.role,
    OrderEventRecord.from_bill,
    OrderEventRecord.from_order,
    OrderEventRecord.to_bill,
    OrderEventRecord.to_order,
    OrderEventRecord.closed,
    OrderEventRecord.at,
    Order.order_no,
    Order.amount,
).join(Order, Order.id == OrderEventRecord.order_id)

_CASE: Final = select(MoneyCase.opened_at, MoneyCase.closed_at, MoneyCase.details, Order.order_no, Order.amount).join(
    Order, Order.id == MoneyCase.order_id
)


class WebhookRefused(Exception):  # noqa: N818 - it says what happened
    """The receiver answered with another status than 2xx: the delivery is tried again."""


def enabled() -> bool:
    """Whether webhooks are sent: WEBHOOK_URL is set."""
    return bool(settings().webhook_url)


def add_webhooks(session: Session, *, event_ids: Collection[int]) -> None:
    """Add a message for each of these rows of `order_events`, in the caller's transaction; none if not `enabled`."""
    if enabled():
        _add_step_messages(session, OrderEventRecord.id.in_(event_ids))


def add_hold_webhooks(session: Session, topic: Topic, *, case_ids: Collection[int]) -> None:
    """Add a message of HELD_WEBHOOK or RELEASED_WEBHOOK for each of these cases, as `add_webhooks`."""
    if enabled():
        _insert_messages(session, topic, MoneyCase.id, MoneyCase.order_id, MoneyCase.id.in_(case_ids))


def replay(*, order_no: str | None = None, since: datetime | None = None) -> int:
    """Send steps again: those of one order, or all since a time. Returns how many.

    Messages that still wait are not added twice; those that were given up are replaced. The receiver gets the same
    `webhook-id` as before. Raises LookupError where there is no such order.
    """
    with transaction() as session:
        wanted: list[ColumnElement[bool]] = []
        if order_no is not None:
            order_id = session.scalar(select(Order.id).where(Order.order_no == order_no))
            if order_id is None:
                raise LookupError(order_no)
            wanted.append(OrderEventRecord.order_id == order_id)
        if since is not None:
            wanted.append(OrderEventRecord.at >= since)
        of_webhooks = OutboxMessage.topic == Topic.WEBHOOK.value
        given_up = select(OrderEventRecord.id).where(*wanted)
        session.execute(
            delete(OutboxMessage)
            .where(of_webhooks, OutboxMessage.dead_at.is_not(None), OutboxMessage.subject_id.in_(given_up))
            .execution_options(synchronize_session=False)
        )
        waiting = select(OutboxMessage.subject_id).where(of_webhooks)
        return _add_step_messages(session, *wanted, OrderEventRecord.id.not_in(waiting))


def _add_step_messages(session: Session, *wanted: ColumnElement[bool]) -> int:
    return _insert_messages(session, Topic.WEBHOOK, OrderEventRecord.id, OrderEventRecord.order_id, *wanted)


def _insert_messages(
    session: Session,
    topic: Topic,
    subject_id: InstrumentedAttribute[int],
    order_id: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    *wanted: ColumnElement[bool],
) -> int:
    """Add messages for all `wanted` steps or cases in one statement; returns how many."""
    now = utcnow()
    subjects = (
        select(
            literal(topic.value),
            subject_id,
            func.concat("webhook:order:", order_id),
            literal(now),
            literal(now),
        )
        .where(*wanted)
        .order_by(subject_id)
    )
    columns = ["topic", "subject_id", "stream", "due_at", "created_at"]
    statement = insert(OutboxMessage).from_select(columns, subjects, include_defaults=False)
    result = session.execute(statement.execution_options(preserve_rowcount=True))
    return int(result.rowcount)  # type: ignore[attr-defined] # what executes an INSERT is a CursorResult


def send_webhook(event_id: int) -> None:
    """Send the step with this id in `order_events` to the operator's URL, signed.

    Raises `PermanentFailure` where the receiver answers 410 Gone or webhooks are disabled by now; `WebhookRefused` or
    urllib3's HTTPError where it is to be tried again.
    """
    step = row_or_none(_STEP.where(OrderEventRecord.id == event_id))
    if step is None:
        raise PermanentFailure(f"no order event {event_id}")
    status = _deliver(message_id=f"evt_{event_id}", body=payload(step))
    log.info("webhook_delivered", order_event_id=event_id, http=status)


def send_held_webhook(case_id: int) -> None:
    """Send that an order is held for this case about its money. Raises as `send_webhook`."""
    case = _case(case_id)
    _send_case(case_id, case, "held", at=case.opened_at, refunded=total_when_held(case.details))


def send_released_webhook(case_id: int) -> None:
    """Send that an order goes on, as this case about its money was decided. Raises as `send_webhook`."""
    case = _case(case_id)
    _send_case(case_id, case, "released", at=case.closed_at, refunded=total_when_released(case.details))


def _case(case_id: int) -> Any:
    case = row_or_none(_CASE.where(MoneyCase.id == case_id))
    if case is None:
        raise PermanentFailure(f"no case {case_id}")
    return case


def _send_case(case_id: int, case: Any, what: str, *, at: datetime, refunded: int) -> None:
    """Send what a row of `_CASE` tells of this moment: each time the same, also where more went back since."""
    moment = format_moment(at)
    data = {
        "order_no": case.order_no,
        "reason": HoldReason.REFUNDED_ELSEWHERE.value,
        "refunded": format_yuan(refunded),
        "amount": format_yuan(case.amount),
        "at": moment,
    }
    body = {"type": f"order.{what}", "timestamp": moment, "data": data}
    status = _deliver(message_id=f"{what}_{case_id}", body=body)
    log.info("webhook_delivered", case_id=case_id, http=status)


def _deliver(*, message_id: str, body: dict[str, Any]) -> int:
    """POST `body` to the operator's URL; returns the HTTP status of the delivery. Raises as `send_webhook`."""
    if not settings().webhook_url:
        raise PermanentFailure("WEBHOOK_URL is not set")
    status = _post(message_id=message_id, body=orjson.dumps(body))
    if status == _GONE:
        raise PermanentFailure("the receiver answered 410 Gone")
    if not 200 <= status < 300:
        raise WebhookRefused(f"the receiver answered {status}")
    return status


def _post(*, message_id: str, body: bytes) -> int:
    """POST `body`; returns the HTTP status. The body of the answer is not read."""
    secrets = [secret for secret in (settings().webhook_secret, settings().webhook_previous_secret) if secret]
    headers = {
        "content-type": "application/json",
        "user-agent": f"saltfish/{__version__}",
        **signed_headers(message_id=message_id, at=utcnow(), body=body, secrets=secrets),
    }
    response = _pool().request(
        "POST",
        settings().webhook_url,
        body=body,
        headers=headers,
        timeout=urllib3.Timeout(total=settings().webhook_timeout),
        retries=False,
        redirect=False,
        preload_content=False,
    )
    response.close()
    return response.status


@functools.cache
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager()


def payload(step: Row[Any]) -> dict[str, Any]:
    """The body for one step, a row of `_STEP`: the order's change of state, and no personal data."""
    at = format_moment(step.at)
    came_from = None
    if step.from_bill is not None:
        came_from = {"bill_status": step.from_bill, "order_status": step.from_order}
    return {
        "type": f"order.{step.event}",
        "timestamp": at,
        "data": {
            "order_no": step.order_no,
            "sequence": step.sequence,
            "event": step.event,
            "role": step.role,
            "from": came_from,
            "to": {"bill_status": step.to_bill, "order_status": step.to_order, "closed": step.closed},
            "amount": format_yuan(step.amount),
            "at": at,
        },
    }
