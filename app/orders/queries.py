"""Reads of orders, as the API returns them: few SQL statements per list, however many orders it has."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypedDict

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    Row,
    Select,
    SmallInteger,
    SQLColumnExpression,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from app.accounts.models import User
from app.accounts.queries import PERSON
from app.accounts.schemas import person_out
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.clock import MomentOut, format_moment, format_moment_or_none, utcnow
from app.db.transactions import reading, row_or_none, rows
from app.fen import format_yuan
from app.goods.models import Good, Picture
from app.goods.picture_links import links_to
from app.goods.queries import PUBLIC_STATUSES, picture_url
from app.money.models import PAID_LATE, Payment, Refund
from app.orders.actions import actions, deadline, hold
from app.orders.addresses import AddressView, stage_of
from app.orders.models import (
    Direction,
    Dispute,
    EvidencePicture,
    Order,
    OrderEventRecord,
    RefundRequest,
    Waybill,
)
from app.orders.schemas import (
    TO_DO_TEXT,
    DisputeOut,
    EventOut,
    EvidenceOut,
    HistoryOut,
    OrderCountsOut,
    OrderDetailOut,
    OrderGoodOut,
    OrderOut,
    OwnOrderQuery,
    PartyOut,
    RefundOut,
    RefundRequestOut,
    SideCountsOut,
    WaybillOut,
)
from app.orders.to_do import NOW, WAITING, to_do_of
from statemachine import ORDER, OrderFacts, OrderPhase, Role
from statemachine.good import TRADE_TEXT
from statemachine.order import BILL_TEXT, ORDER_TEXT

_buyer, _seller = aliased(User), aliased(User)
_delivery, _return = aliased(Waybill), aliased(Waybill)
_latest_request = (
    select(
        RefundRequest.reason,
        RefundRequest.description,
        RefundRequest.created_at,
        RefundRequest.outcome,
        RefundRequest.outcome_note,
    )
    .where(RefundRequest.order_id == Order.id)
    .order_by(RefundRequest.id.desc())
    .limit(1)
    .lateral("latest_request")
)
# The refund that the order's own events caused; otherwise that of a payment which came too late for the order.
_latest_refund = (
    select(Refund.amount, Refund.state)
    .join(Payment, Payment.id == Refund.payment_id)
    .where(Payment.order_id == Order.id)
    .order_by(Refund.reason == PAID_LATE, Refund.id.desc())
    .limit(1)
    .lateral("latest_refund")
)


# Whether the picture that an order shows is one that everybody may see still.
_PICTURE_IS_PUBLIC: Final = (
    exists()
    .where(
        Picture.id == Order.good_picture_id,
        Picture.position.is_not(None),
        Good.id == Picture.good_id,
        Good.status.in_(PUBLIC_STATUSES),
        ~Good.deleted,
        ~Good.taken_down,
    )
    .label("picture_is_public")
)


def _waybill_columns(waybill: Any, prefix: str) -> list[ColumnElement[Any]]:
    names = ("company", "tracking_no", "freight", "sender", "recipient", "created_at")
    return [getattr(waybill, name).label(f"{prefix}_{name}") for name in names]


def _person_columns(person: Any, prefix: str) -> list[ColumnElement[Any]]:
    return [getattr(person, column.key).label(f"{prefix}_{column.key}") for column in PERSON]


_ORDERS: Select[Any] = (
    select(
        Order.__table__,
        *_person_columns(_buyer, "buyer"),
        *_person_columns(_seller, "seller"),
        _PICTURE_IS_PUBLIC,
        *_waybill_columns(_delivery, "delivery"),
        *_waybill_columns(_return, "return"),
        _latest_request.c.reason.label("refund_reason"),
        _latest_request.c.description.label("refund_description"),
        _latest_request.c.created_at.label("refund_requested_at"),
        _latest_request.c.outcome.label("refund_outcome"),
        _latest_request.c.outcome_note.label("refund_outcome_note"),
        _latest_refund.c.amount.label("refund_amount"),
        _latest_refund.c.state.label("refund_state"),
    )
    .join(_buyer, _buyer.id == Order.buyer_id)
    .join(_seller, _seller.id == Order.seller_id)
    .outerjoin(_delivery, and_(_delivery.order_id == Order.id, _delivery.direction == Direction.DELIVERY.value))
    .outerjoin(_return, and_(_return.order_id == Order.id, _return.direction == Direction.RETURN.value))
    .outerjoin(_latest_request, literal_column("true"))
    .outerjoin(_latest_refund, literal_column("true"))
)

_ORDER: Final = _ORDERS.where(Order.id == bindparam("order_id"))

_HISTORY: Final[Select[Any]] = (
    select(*OrderEventRecord.__table__.c, OrderEventRecord.note.label("note"))
    .where(OrderEventRecord.order_id == bindparam("order_id"))
    .order_by(OrderEventRecord.sequence)
)


class _Side(NamedTuple):
    """The column that a list of orders goes by, and the one that says whether its side removed an order from it."""

    user: SQLColumnExpression[int]
    hidden: SQLColumnExpression[bool]


_SIDES: Final = {
    Role.BUYER: _Side(Order.buyer_id, Order.hidden_by_buyer),
    Role.SELLER: _Side(Order.seller_id, Order.hidden_by_seller),
}


def _list_of(role: Role) -> tuple[Select[int], Select[Any]]:
    """The statements that count the orders of a list and read one page of it."""
    side = _SIDES[role]
    conditions = [side.user == bindparam("user_id"), side.hidden.is_(False)]
    filters: tuple[tuple[str, SQLColumnExpression[Any], Any], ...] = (
        ("bill_status", Order.bill_status, SmallInteger),
        ("order_status", Order.order_status, SmallInteger),
        ("closed", Order.closed, Boolean),
        ("to_do", to_do_of(role), Text),
    )
    for name, column, kind in filters:
        wanted = cast(bindparam(name), kind)
        conditions.append(or_(wanted.is_(None), column == wanted))
    size, offset = bindparam("size", type_=Integer), bindparam("offset", type_=Integer)
    page = _ORDERS.where(*conditions).order_by(Order.id.desc()).limit(size).offset(offset)
    return select(func.count()).select_from(Order).where(*conditions), page


# Built once: building and compiling them at each request took a quarter of a list's time.
_LISTS: Final = {role: _list_of(role) for role in _SIDES}


def _counts_of(role: Role) -> Select[Any]:
    side = _SIDES[role]
    columns = (Order.bill_status, Order.order_status, Order.closed, to_do_of(role).label("to_do"))
    found = select(*columns).where(side.user == bindparam("user_id"), side.hidden.is_(False)).subquery()
    return select(literal(role.value).label("role"), *found.c, func.count().label("orders")).group_by(*found.c)


_COUNTS: Final = union_all(*map(_counts_of, _SIDES))
"""How many orders of a user stand where, by the same conditions as the lists: one row for each kind that there is."""


def phase_of(order: Any) -> OrderPhase:
    """Where an order, or a row of one, stands."""
    return OrderPhase(order.bill_status, order.order_status, order.closed)


def orders_of_market(
    *, phase: OrderPhase | None, username: str | None, since: datetime | None, limit: int
) -> Sequence[Row[Any]]:
    """The newest orders: those in `phase`, that `username` bought or sold, that were made from `since` on.

    Each row has what a table of orders shows: the columns of `orders`, and the names `buyer` and `seller`.
    """
    statement = (
        select(Order.__table__, _buyer.username.label("buyer"), _seller.username.label("seller"))
        .join(_buyer, _buyer.id == Order.buyer_id)
        .join(_seller, _seller.id == Order.seller_id)
        .order_by(Order.id.desc())
        .limit(limit)
    )
    if phase is not None:
        statement = statement.where(
            Order.bill_status == phase.bill, Order.order_status == phase.goods, Order.closed == phase.closed
        )
    if username is not None:
        key = username_key(username)
        statement = statement.where(or_(_buyer.username_key == key, _seller.username_key == key))
    if since is not None:
        statement = statement.where(Order.created_at >= since)
    return rows(statement)


def facts_of(order: Any) -> OrderFacts:
    """The facts that the machine's guards look at, from an order or a row of one."""
    return OrderFacts(
        trade_mode=order.trade_mode,
        refund_count=order.refund_count,
        disputed=order.disputed,
        extended=order.extended,
    )


def list_orders(*, user_id: int, role: Role, query: OwnOrderQuery) -> tuple[list[OrderOut], int]:
    """One page of what the user bought (`role` buyer) or sold (seller), newest first, and the total."""
    count, page = _LISTS[role]
    filters = {
        "user_id": user_id,
        "bill_status": query.bill_status,
        "order_status": query.order_status,
        "closed": query.closed,
        "to_do": query.to_do,
        NOW.key: utcnow(),
    }
    with reading() as connection:
        total = connection.execute(count, filters).scalar_one()
        window = {"size": query.size, "offset": query.offset}
        found = connection.execute(page, filters | window).all() if total > query.offset else []
    return [order_out(row, role=role) for row in found], total


def count_orders(user_id: int) -> OrderCountsOut:
    """How many orders the user bought and sold, by state and by what they wait for, in one statement."""
    found = rows(_COUNTS, {"user_id": user_id, NOW.key: utcnow()})
    bought, sold = ([row for row in found if row.role == role] for role in (Role.BUYER, Role.SELLER))
    return {"bought": _side_counts(bought, Role.BUYER), "sold": _side_counts(sold, Role.SELLER)}


def _side_counts(found: Sequence[Row[Any]], role: Role) -> SideCountsOut:
    all_of: Counter[tuple[str, Any]] = Counter()
    open_of: Counter[tuple[str, Any]] = Counter()
    for row in found:
        for key in (
            ("bill", row.bill_status),
            ("order", row.order_status),
            ("phase", phase_of(row)),
            ("to_do", row.to_do),
        ):
            all_of[key] += row.orders
            open_of[key] += 0 if row.closed else row.orders
    to_do = [waiting.to_do for waiting in WAITING[role]]
    phases = sorted(phase for kind, phase in all_of if kind == "phase")
    return {
        "total": sum(row.orders for row in found),
        "open": sum(row.orders for row in found if not row.closed),
        "bill_status": [
            {"code": code, "text": text, "count": all_of["bill", code], "open": open_of["bill", code]}
            for code, text in BILL_TEXT.items()
        ],
        "order_status": [
            {"code": code, "text": text, "count": all_of["order", code], "open": open_of["order", code]}
            for code, text in ORDER_TEXT.items()
        ],
        "phases": [
            {
                "bill_status": phase.bill,
                "order_status": phase.goods,
                "closed": phase.closed,
                "count": all_of["phase", phase],
            }
            for phase in phases
        ],
        "to_do": [{"name": each, "text": TO_DO_TEXT[each], "count": all_of["to_do", each]} for each in to_do],
        "to_do_total": sum(all_of["to_do", each] for each in to_do),
    }


def order_of(*, user_id: int, order_id: int) -> OrderOut:
    """One order as `user_id` sees it. Raises NO_SUCH_ORDER, also for users who are not its buyer or seller."""
    row = row_or_none(_ORDER, {"order_id": order_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    return order_out(row, role=role_of(row, user_id))


def order_detail(*, user_id: int, order_id: int) -> OrderDetailOut:
    """As `order_of`, with its history, refund requests, disputes and payments."""
    row = row_or_none(_ORDER, {"order_id": order_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    return detail_out(row, role=role_of(row, user_id))


def order_row(order_id: int) -> Row[Any]:
    """The row that `detail_out` takes. Checks no permission: the caller must have. Raises NO_SUCH_ORDER."""
    row = row_or_none(_ORDER, {"order_id": order_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_ORDER)
    return row


def order_rows(order_ids: Collection[int]) -> dict[int, Row[Any]]:
    """The rows that `order_out` takes, by id, in one statement. Checks no permission: the caller must have."""
    return {row.id: row for row in rows(_ORDERS.where(Order.id.in_(order_ids)))}


def detail_out(row: Row[Any], *, role: Role) -> OrderDetailOut:
    """The order in `row` with its details, as `role` sees it; only the buyer sees the handover code."""
    records = rows(_HISTORY, {"order_id": row.id})
    pictures: Sequence[Row[Any]] = ()
    requests: Sequence[Row[Any]] = ()
    disputes: Sequence[Row[Any]] = ()
    if row.refund_count:  # disputes and evidence exist only after a refund request
        pictures, requests, disputes = (
            rows(select(table.__table__).where(table.order_id == row.id).order_by(table.id))
            for table in (EvidencePicture, RefundRequest, Dispute)
        )
    payments = rows(
        select(Payment.__table__, Refund.state.label("refund_state"), Refund.reason.label("refund_reason"))
        .outerjoin(Refund, Refund.payment_id == Payment.id)
        .where(Payment.order_id == row.id)
        .order_by(Payment.attempt)
    )
    return {
        **order_out(row, role=role),
        "history": _history(records, reader=role),
        "disputed": row.disputed,
        "handover_code": row.handover_code if role is Role.BUYER else None,
        "refund_requests": [request_out(each, pictures) for each in requests],
        "disputes": [dispute_out(each, pictures) for each in disputes],
        "payments": [
            {
                "attempt": each.attempt,
                "out_trade_no": each.out_trade_no,
                "trade_no": each.trade_no,
                "amount": format_yuan(each.amount),
                "state": each.state,
                "paid_at": format_moment_or_none(each.paid_at),
                "refund_state": each.refund_state,
                "refund_reason": each.refund_reason,
                "created_at": format_moment(each.created_at),
            }
            for each in payments
        ],
    }


def request_out(request: Row[Any], pictures: Iterable[Row[Any]]) -> RefundRequestOut:
    """The refund request in `request`, with those of the evidence `pictures` that belong to it."""
    return {
        "reason": request.reason,
        "description": request.description,
        "pictures": _evidence(picture for picture in pictures if picture.refund_request_id == request.id),
        "created_at": format_moment(request.created_at),
        **_outcome(request),
    }


def dispute_out(dispute: Row[Any], pictures: Iterable[Row[Any]]) -> DisputeOut:
    """The dispute in `dispute`, with those of the evidence `pictures` that belong to it."""
    return {
        "role": dispute.role,
        "role_text": ORDER.roles[dispute.role].zh,
        "event": dispute.event,
        "reason": dispute.reason,
        "description": dispute.description,
        "pictures": _evidence(picture for picture in pictures if picture.dispute_id == dispute.id),
        "statements": [
            {
                "role": each["role"],
                "role_text": ORDER.roles[each["role"]].zh,
                "text": each["text"],
                "created_at": format_moment(datetime.fromisoformat(each["at"])),
            }
            for each in dispute.statements
        ],
        "created_at": format_moment(dispute.created_at),
        **_outcome(dispute),
    }


class _Outcome(TypedDict):
    outcome: EventOut | None
    outcome_text: str | None
    outcome_note: str
    ended_at: MomentOut | None


def _outcome(ended: Row[Any]) -> _Outcome:
    return {
        "outcome": ended.outcome,
        "outcome_text": None if ended.outcome is None else _EVENT_TEXT[ended.outcome],
        "outcome_note": ended.outcome_note,
        "ended_at": format_moment_or_none(ended.ended_at),
    }


def evidence_url(picture_id: int) -> str:
    """The URL that serves the picture."""
    return f"/api/evidence/{picture_id}/"


def _evidence(pictures: Iterable[Row[Any]]) -> list[EvidenceOut]:
    return [
        {
            "id": each.id,
            "uploader_id": each.uploader_id,
            "url": evidence_url(each.id),
            "width": each.width,
            "height": each.height,
            "links": links_to(evidence_url(each.id)),
        }
        for each in pictures
    ]


def role_of(order: Any, user_id: int) -> Role:
    """The role of `user_id` in the order (or row of one): buyer or seller. Raises NO_SUCH_ORDER for anybody else."""
    if user_id == order.buyer_id:
        return Role.BUYER
    if user_id == order.seller_id:
        return Role.SELLER
    raise Refused(Answer.NO_SUCH_ORDER)


def order_out(row: Row[Any], *, role: Role) -> OrderOut:
    """The order in `row` as `role` sees it."""
    phase = phase_of(row)
    facts = facts_of(row)
    stage = stage_of(phase=phase, since=row.phase_since, shipped=row.delivery_company is not None)
    addresses = AddressView(role, stage)
    hidden = row.hidden_by_buyer if role is Role.BUYER else row.hidden_by_seller
    return {
        "id": row.id,
        "order_no": row.order_no,
        "good": _good(row),
        "buyer": _party(row, "buyer"),
        "seller": _party(row, "seller"),
        "price": format_yuan(row.price),
        "freight": format_yuan(row.freight),
        "amount": format_yuan(row.amount),
        "trade_mode": row.trade_mode,
        "trade_mode_text": TRADE_TEXT[row.trade_mode],
        "bill_status": row.bill_status,
        "bill_status_text": BILL_TEXT[row.bill_status],
        "order_status": row.order_status,
        "order_status_text": ORDER_TEXT[row.order_status],
        "closed": row.closed,
        "closed_reason": row.closed_reason,
        "actions": actions(
            order_id=row.id,
            phase=phase,
            deadline_at=row.deadline_at,
            role=role,
            facts=facts,
            hidden=hidden,
            held=row.held_at is not None,
        ),
        "deadline": deadline(phase=phase, deadline_at=row.deadline_at, facts=facts, held=row.held_at is not None),
        "hold": hold(held_at=row.held_at, role=role),
        "address": addresses.of(Role.BUYER, row.address),
        "delivery": _waybill(row, "delivery", addresses, sender=Role.SELLER, recipient=Role.BUYER),
        "return_delivery": _waybill(row, "return", addresses, sender=Role.BUYER, recipient=Role.SELLER),
        "refund": _refund(row),
        "created_at": format_moment(row.created_at),
        "updated_at": format_moment(row.updated_at),
    }


def _good(row: Row[Any]) -> OrderGoodOut:
    if row.good_picture_id is None:
        return {"id": row.good_id, "title": row.good_title, "picture": None}
    url = picture_url(row.good_picture_id)
    good: OrderGoodOut = {"id": row.good_id, "title": row.good_title, "picture": url}
    return good if row.picture_is_public else {**good, "links": links_to(url)}


def _party(row: Row[Any], prefix: str) -> PartyOut:
    values = row._mapping
    shown = {column.key: values[f"{prefix}_{column.key}"] for column in PERSON}
    return person_out(values[f"{prefix}_id"], **shown)


def _waybill(row: Row[Any], prefix: str, addresses: AddressView, *, sender: Role, recipient: Role) -> WaybillOut | None:
    values = row._mapping
    if values[f"{prefix}_company"] is None:
        return None
    return {
        "company": values[f"{prefix}_company"],
        "tracking_no": values[f"{prefix}_tracking_no"],
        "freight": format_yuan(values[f"{prefix}_freight"]),
        "sender": addresses.of(sender, values[f"{prefix}_sender"]),
        "recipient": addresses.of(recipient, values[f"{prefix}_recipient"]),
        "created_at": format_moment(values[f"{prefix}_created_at"]),
    }


def _refund(row: Row[Any]) -> RefundOut | None:
    if row.refund_requested_at is None and row.refund_state is None:
        return None
    return {
        "reason": row.refund_reason,
        "description": row.refund_description,
        "requested_at": format_moment_or_none(row.refund_requested_at),
        "requests": row.refund_count,
        "outcome": row.refund_outcome,
        "outcome_note": row.refund_outcome_note,
        "amount": None if row.refund_amount is None else format_yuan(row.refund_amount),
        "state": row.refund_state,
    }


_EVENT_TEXT = {event.value: text.zh for event, text in ORDER.events.items()} | {
    ORDER.creation.name: ORDER.creation.text.zh
}


def _history(records: Sequence[Row[Any]], *, reader: Role) -> list[HistoryOut]:
    """The lines of the history; only staff see which member of staff acted."""
    named = {record.id: reader is Role.STAFF or record.role != Role.STAFF for record in records}
    return [
        {
            "sequence": record.sequence,
            "event": record.event,
            "text": _EVENT_TEXT[record.event],
            "role": record.role,
            "role_text": ORDER.roles[record.role].zh,
            "actor_id": record.actor_id if named[record.id] else None,
            "from_bill_status": record.from_bill,
            "from_order_status": record.from_order,
            "to_bill_status": record.to_bill,
            "to_order_status": record.to_order,
            "closed": record.closed,
            "note": record.note,
            "at": format_moment(record.at),
        }
        for record in records
    ]
