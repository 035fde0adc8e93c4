"""What staff read. The number of SQL statements per list does not depend on its length.

Every read is logged with its reader (event `staff_read`), because it shows personal data, such as addresses.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Row,
    Select,
    Subquery,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
)

from app.accounts.models import StaffRead, User
from app.accounts.queries import PERSON, has_permission
from app.accounts.schemas import PersonOut, person_out
from app.accounts.staff_reads import record_staff_read
from app.accounts.suspensions import suspension_of
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.clock import SHANGHAI, format_moment, format_moment_or_none, utcnow
from app.db.transactions import reading, row_or_none, rows
from app.fen import format_signed_yuan, format_yuan
from app.goods.models import Good
from app.goods.queries import GOODS, good_out
from app.ledger.models import DEBIT_NORMAL, AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction
from app.money.models import GatewayNotification, Payment, Refund
from app.orders.models import Dispute, EvidencePicture, Order, RefundRequest
from app.orders.queries import detail_out, dispute_out, order_out, order_row, order_rows, request_out
from app.paging import PageQuery, page_of
from app.staff.models import ActionKind, SecondFactor, StaffAction, StaffSession, Subject
from app.staff.schemas import (
    ActionQuery,
    CaseOut,
    DaysQuery,
    DisputeQuery,
    GatewayNotificationOut,
    GoodQuery,
    LedgerOut,
    LedgerQuery,
    LedgerTransactionOut,
    MemberOut,
    PaymentQuery,
    PayoutQuery,
    PotOut,
    ReadQuery,
    RefundQuery,
    StaffActionOut,
    StaffGoodDetailOut,
    StaffGoodOut,
    StaffOrderDetailOut,
    StaffOrderOut,
    StaffOrderQuery,
    StaffPaymentOut,
    StaffPayoutOut,
    StaffReadOut,
    StaffRefundOut,
    StaffRefundRowOut,
    StaffUserDetailOut,
    StaffUserOut,
    UserQuery,
)
from app.staff.texts import ACCOUNT_TEXT, ACTION_TEXT, POSTING_TEXT
from app.staff_roles import Permission
from app.wallet.models import Payout, PayoutState
from app.wallet.queries import mask_account, mask_name
from app.wallet.texts import STATE_TEXT
from statemachine import ORDER, GoodStatus, Role

# Limited, because anybody can send any number of notifications (which are refused, but recorded).
_NOTIFICATIONS_SHOWN: Final = 100


# --- disputes ---

_REQUEST_ID: Final = (
    select(RefundRequest.id)
    .where(RefundRequest.order_id == Dispute.order_id, RefundRequest.created_at <= Dispute.created_at)
    .order_by(RefundRequest.id.desc())
    .limit(1)
    .scalar_subquery()
)
_DISPUTES: Final = select(Dispute.__table__, *PERSON, _REQUEST_ID.label("request_id")).join(
    User, User.id == Dispute.raised_by
)


def list_disputes(*, actor_id: int, query: DisputeQuery) -> tuple[list[CaseOut], int]:
    """One page of disputes, oldest first, and the total."""
    wanted = Dispute.ended_at.is_(None) if query.state == "open" else Dispute.ended_at.is_not(None)
    found, total = _page(
        select(func.count()).select_from(Dispute).where(wanted),
        _DISPUTES.where(wanted).order_by(Dispute.id),
        query,
    )
    orders = order_rows({each.order_id for each in found})
    request_ids = {each.request_id for each in found if each.request_id is not None}
    requests = {
        each.id: each for each in rows(select(RefundRequest.__table__).where(RefundRequest.id.in_(request_ids)))
    }
    is_evidence = EvidencePicture.refund_request_id.in_(request_ids) | EvidencePicture.dispute_id.in_(
        [each.id for each in found]
    )
    pictures = rows(select(EvidencePicture.__table__).where(is_evidence).order_by(EvidencePicture.id))
    pots = _pots_by_order(orders)
    now = utcnow()
    record_staff_read(actor_id, subject="order", subject_ids=orders)
    return [
        {
            "id": each.id,
            "raised_by": _person(each, each.raised_by),
            "dispute": dispute_out(each, pictures),
            "event_text": ORDER.events[each.event].zh,
            "waiting_seconds": int(((each.ended_at or now) - each.created_at).total_seconds()),
            "order": _order_out(orders[each.order_id], actor_id),
            "request": None if each.request_id is None else request_out(requests[each.request_id], pictures),
            "pots": pots[each.order_id],
        }
        for each in found
    ], total


# --- orders ---


def list_orders(*, actor_id: int, query: StaffOrderQuery) -> tuple[list[StaffOrderOut], int]:
    """One page of all orders, newest first, and the total."""
    conditions = _equal(
        {
            Order.order_no: query.order_no,
            Order.bill_status: query.bill_status,
            Order.order_status: query.order_status,
            Order.closed: query.closed,
            Order.disputed: query.disputed,
        }
    )
    if query.user_id is not None:
        conditions.append(or_(Order.buyer_id == query.user_id, Order.seller_id == query.user_id))
    found, total = _page(
        select(func.count()).select_from(Order).where(*conditions),
        select(Order.id).where(*conditions).order_by(Order.id.desc()),
        query,
    )
    orders = order_rows([each.id for each in found])
    record_staff_read(actor_id, subject="order", subject_ids=orders)
    return [_order_out(orders[each.id], actor_id) for each in found], total


def order_of(*, actor_id: int, order_id: int) -> StaffOrderOut:
    """One order as in the list. Raises NO_SUCH_ORDER."""
    row = order_row(order_id)
    record_staff_read(actor_id, subject="order", subject_ids=[order_id])
    return _order_out(row, actor_id)


def order_detail(*, actor_id: int, order_id: int) -> StaffOrderDetailOut:
    """Everything recorded about one order. Raises NO_SUCH_ORDER."""
    row = order_row(order_id)
    detail = detail_out(row, role=Role.STAFF)
    if actor_id in (row.buyer_id, row.seller_id):
        detail["actions"] = []
    out_trade_nos = [each["out_trade_no"] for each in detail["payments"]]
    notifications = rows(
        select(GatewayNotification.__table__)
        .where(GatewayNotification.out_trade_no.in_(out_trade_nos))
        .order_by(GatewayNotification.id.desc())
        .limit(_NOTIFICATIONS_SHOWN)
    )
    staff_actions = rows(
        _ACTIONS.where(StaffAction.subject == Subject.ORDER.value, StaffAction.subject_id == order_id).order_by(
            StaffAction.id
        )
    )
    pots = _pots_by_order([order_id])
    ledger_transactions = _transactions(
        select(LedgerTransaction.__table__).where(LedgerTransaction.order_id == order_id).subquery(), newest_first=False
    )
    record_staff_read(actor_id, subject="order", subject_ids=[order_id])
    return {
        **detail,
        "pots": pots[order_id],
        "ledger": ledger_transactions,
        "refunds": [_refund_out(each) for each in rows(_REFUNDS.where(Payment.order_id == order_id))],
        "gateway_notifications": [_notification_out(each) for each in reversed(notifications)],
        "staff_actions": [_action_out(each) for each in staff_actions],
    }


def _order_out(row: Row[Any], actor_id: int) -> StaffOrderOut:
    order = order_out(row, role=Role.STAFF)
    if actor_id in (row.buyer_id, row.seller_id):
        order["actions"] = []  # staff must not decide about their own orders
    return {**order, "disputed": row.disputed, "held_at": format_moment_or_none(row.held_at)}


def _notification_out(row: Row[Any]) -> GatewayNotificationOut:
    return {
        "id": row.id,
        "out_trade_no": row.out_trade_no,
        "trade_no": row.trade_no,
        "fields": row.fields,
        "refusal": row.refusal,
        "received_at": format_moment(row.received_at),
    }


# --- payments ---

_REFUNDS: Final = (
    select(Refund.__table__, Payment.out_trade_no).join(Payment, Payment.id == Refund.payment_id).order_by(Refund.id)
)


def list_payments(*, actor_id: int, query: PaymentQuery) -> tuple[list[StaffPaymentOut], int]:
    """One page of the attempts to pay, newest first, and the total."""
    conditions = _equal({Payment.state: query.state, Refund.state: query.refund_state})
    moment = Payment.paid_at if query.by == "paid" else Payment.created_at
    if query.by == "paid":
        conditions.append(moment.is_not(None))
    conditions += _within(moment, query)
    count = select(func.count()).select_from(Payment)
    if query.refund_state is not None:
        count = count.join(Refund, Refund.payment_id == Payment.id)
    found, total = _page(
        count.where(*conditions),
        select(Payment.__table__, Order.order_no)
        .join(Order, Order.id == Payment.order_id)
        .outerjoin(Refund, Refund.payment_id == Payment.id)
        .where(*conditions)
        .order_by(*([moment.desc()] if query.by == "paid" else []), Payment.id.desc()),
        query,
    )
    refunds = {each.payment_id: each for each in rows(_REFUNDS.where(Payment.id.in_([each.id for each in found])))}
    record_staff_read(actor_id, subject="payment", subject_ids=[each.id for each in found])
    return [_payment_out(each, refunds.get(each.id)) for each in found], total


def _payment_out(row: Row[Any], refund: Row[Any] | None) -> StaffPaymentOut:
    return {
        "id": row.id,
        "order_id": row.order_id,
        "order_no": row.order_no,
        "attempt": row.attempt,
        "out_trade_no": row.out_trade_no,
        "trade_no": row.trade_no,
        "amount": format_yuan(row.amount),
        "state": row.state,
        "paid_at": format_moment_or_none(row.paid_at),
        "queries": row.queries,
        "query_at": format_moment_or_none(row.query_at),
        "refund": None if refund is None else _refund_out(refund),
        "created_at": format_moment(row.created_at),
    }


def _refund_out(row: Row[Any]) -> StaffRefundOut:
    return {
        "id": row.id,
        "request_no": row.request_no,
        "out_trade_no": row.out_trade_no,
        "amount": format_yuan(row.amount),
        "reason": row.reason,
        "reason_text": POSTING_TEXT[row.reason],
        "state": row.state,
        "attempts": row.attempts,
        "last_error": row.last_error,
        "confirmed_at": format_moment_or_none(row.confirmed_at),
        "created_at": format_moment(row.created_at),
    }


def list_refunds(*, actor_id: int, query: RefundQuery) -> tuple[list[StaffRefundRowOut], int]:
    """One page of the refunds, newest first, and the total."""
    conditions = _equal({Refund.state: query.state, Payment.order_id: query.order_id})
    conditions += _within(Refund.created_at, query)
    found, total = _page(
        select(func.count()).select_from(Refund).join(Payment, Payment.id == Refund.payment_id).where(*conditions),
        select(Refund.__table__, Payment.out_trade_no, Payment.order_id, Order.order_no)
        .join(Payment, Payment.id == Refund.payment_id)
        .join(Order, Order.id == Payment.order_id)
        .where(*conditions)
        .order_by(Refund.id.desc()),
        query,
    )
    record_staff_read(actor_id, subject="refund", subject_ids=[each.id for each in found])
    return [{**_refund_out(each), "order_id": each.order_id, "order_no": each.order_no} for each in found], total


def list_payouts(*, actor_id: int, query: PayoutQuery) -> tuple[list[StaffPayoutOut], int]:
    """One page of everybody's withdrawals, newest first, and the total."""
    conditions = _equal({Payout.state: query.state, Payout.user_id: query.user_id})
    conditions += _within(Payout.created_at, query)
    found, total = _page(
        select(func.count()).select_from(Payout).where(*conditions),
        select(Payout.__table__, *PERSON)
        .join(User, User.id == Payout.user_id)
        .where(*conditions)
        .order_by(Payout.id.desc()),
        query,
    )
    record_staff_read(actor_id, subject="withdrawal", subject_ids=[each.id for each in found])
    return [_payout_out(each) for each in found], total


def _payout_out(row: Row[Any]) -> StaffPayoutOut:
    return {
        "id": row.id,
        "payout_no": row.out_biz_no,
        "user": _person(row, row.user_id),
        "amount": format_yuan(row.amount),
        "account": mask_account(row.account),
        "name": mask_name(row.name),
        "state": row.state,
        "state_text": STATE_TEXT[PayoutState(row.state)],
        "reason": row.reason,
        "gateway_order_no": row.gateway_order_no,
        "attempts": row.attempts,
        "last_error": row.last_error,
        "created_at": format_moment(row.created_at),
        "finished_at": format_moment_or_none(row.finished_at),
    }


# --- the ledger ---

# Positive in the direction that increases accounts of this kind, as their balances are.
_NORMAL_AMOUNT: Final = case(
    (LedgerAccount.kind.in_([kind.value for kind in DEBIT_NORMAL]), LedgerEntry.amount), else_=-LedgerEntry.amount
)
_POTS: Final = (
    select(LedgerTransaction.order_id, LedgerAccount.kind, func.sum(_NORMAL_AMOUNT).label("amount"))
    .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
    .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
    .group_by(LedgerTransaction.order_id, LedgerAccount.kind)
    .having(func.sum(LedgerEntry.amount) != 0)
)


def ledger(*, actor_id: int, query: LedgerQuery) -> LedgerOut:
    """The sums of the accounts by kind, and one page of ledger transactions with their entries, newest first."""
    conditions = _equal({LedgerTransaction.order_id: query.order_id}) + _within(LedgerTransaction.at, query)
    if query.user_id is not None:
        of_user = (
            select(LedgerEntry.transaction_id)
            .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
            .where(LedgerAccount.user_id == query.user_id)
        )
        conditions.append(LedgerTransaction.id.in_(of_user))
    with reading() as connection:
        count = select(func.count()).select_from(LedgerTransaction).where(*conditions)
        total = connection.execute(count).scalar_one()
    page = select(LedgerTransaction.__table__).where(*conditions).order_by(LedgerTransaction.id.desc())
    found = _transactions(page.limit(query.size).offset(query.offset).subquery(), newest_first=True)
    record_staff_read(actor_id, subject="ledger_transaction", subject_ids=[each["id"] for each in found])
    return {"accounts": _pots(rows(_sums(query))), **page_of(found, total=total, query=query)}


def _sums(query: LedgerQuery) -> Executable:
    """The statement for `kind, amount` of the accounts that the query selects."""
    of_user = _equal({LedgerAccount.user_id: query.user_id})
    if query.order_id is not None:
        return _POTS.where(LedgerTransaction.order_id == query.order_id, *of_user)
    amount = func.sum(LedgerAccount.balance).label("amount")
    return select(LedgerAccount.kind, amount).where(*of_user).group_by(LedgerAccount.kind)


def _pots_by_order(order_ids: Collection[int]) -> dict[int, list[PotOut]]:
    """For each of these orders, in which accounts its money is."""
    found = rows(_POTS.where(LedgerTransaction.order_id.in_(order_ids)))
    return {order_id: _pots([each for each in found if each.order_id == order_id]) for order_id in order_ids}


def _pots(sums: Iterable[Row[Any]]) -> list[PotOut]:
    amounts = {each.kind: int(each.amount) for each in sums}
    return [
        {"account": kind.value, "account_text": ACCOUNT_TEXT[kind], "amount": format_signed_yuan(amounts[kind.value])}
        for kind in AccountKind
        if kind.value in amounts
    ]


def _transactions(transactions: Subquery, *, newest_first: bool) -> list[LedgerTransactionOut]:
    """These ledger transactions with their entries."""
    columns = transactions.c
    found = rows(
        select(
            LedgerEntry.__table__,
            *(columns[name] for name in ("key", "order_id", "at")),
            columns.kind.label("posting_kind"),
            *(getattr(LedgerAccount, name) for name in ("kind", "user_id", "slot")),
        )
        .join(transactions, columns.id == LedgerEntry.transaction_id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .order_by(columns.id.desc() if newest_first else columns.id, LedgerEntry.id)
    )
    return [_transaction_out(list(entries)) for _, entries in groupby(found, key=lambda row: row.transaction_id)]


def _transaction_out(entries: Sequence[Row[Any]]) -> LedgerTransactionOut:
    first = entries[0]
    return {
        "id": first.transaction_id,
        "key": first.key,
        "kind": first.posting_kind,
        "kind_text": POSTING_TEXT[first.posting_kind],
        "order_id": first.order_id,
        "at": format_moment(first.at),
        "entries": [
            {
                "account_id": each.account_id,
                "account": each.kind,
                "account_text": ACCOUNT_TEXT[AccountKind(each.kind)],
                "user_id": each.user_id,
                "slot": each.slot,
                "amount": format_signed_yuan(each.amount),
                "balance": format_yuan(each.balance_after),
            }
            for each in entries
        ],
    }


# --- goods and users ---

_GOODS: Final = GOODS
_GOOD: Final = _GOODS.where(Good.id == bindparam("good_id"))
_LATEST: Final = 20
_OWNER: Final = bindparam("user_id", type_=BigInteger)


def _count(model: Any, *conditions: ColumnElement[bool]) -> Any:  # a scalar subquery, whose type is private
    return select(func.count()).select_from(model).where(*conditions).scalar_subquery()


def _goods_count(*conditions: ColumnElement[bool]) -> Any:
    return _count(Good, Good.owner_id == _OWNER, *conditions)


_COUNTS: Final = select(
    select(User.bio).where(User.id == _OWNER).scalar_subquery().label("bio"),
    (_count(User, User.id == _OWNER, User.deleted_at.is_not(None)) > 0).label("deleted"),
    _goods_count(Good.status == GoodStatus.PUBLISHED, ~Good.deleted, ~Good.taken_down).label("goods_for_sale"),
    _goods_count(Good.status == GoodStatus.SOLD).label("goods_sold"),
    _goods_count(Good.status == GoodStatus.REJECTED, ~Good.deleted).label("goods_rejected"),
    _goods_count(Good.taken_down.is_(true())).label("goods_taken_down"),
    _count(Order, Order.buyer_id == _OWNER).label("orders_bought"),
    _count(Order, Order.seller_id == _OWNER).label("orders_sold"),
    _count(Dispute, Dispute.raised_by == _OWNER).label("disputes"),
)
_USERS: Final = select(
    *(
        User.__table__.c[name]
        for name in (
            *("id", "username", "nickname", "avatar_id", "is_staff", "staff_roles", "created_at"),
            *("suspended_at", "suspended_until", "suspension_reason"),
        )
    )
)


def good_of(*, actor_id: int, good_id: int) -> StaffGoodOut:
    """Anybody's good, as it stands. Raises NO_SUCH_GOOD."""
    row = row_or_none(_GOOD, {"good_id": good_id})
    if row is None:
        raise Refused(Answer.NO_SUCH_GOOD)
    record_staff_read(actor_id, subject="good", subject_ids=[good_id])
    return _good_out(row)


def _good_out(row: Row[Any]) -> StaffGoodOut:
    return {
        **good_out(row),
        "deleted": row.deleted,
        "taken_down": row.taken_down,
        "takedown_cause": row.takedown_cause,
    }


def list_goods(*, actor_id: int, query: GoodQuery) -> tuple[list[StaffGoodOut], int]:
    """One page of all goods, newest first, and the total."""
    conditions = _equal(
        {
            Good.owner_id: query.owner_id,
            Good.category: query.category,
            Good.status: query.good_status,
            Good.taken_down: query.taken_down,
            Good.deleted: query.deleted,
        }
    )
    if query.title is not None:
        conditions.append(Good.title.icontains(query.title, autoescape=True))
    found, total = _page(
        select(func.count()).select_from(Good).where(*conditions),
        _GOODS.where(*conditions).order_by(Good.id.desc()),
        query,
    )
    record_staff_read(actor_id, subject="good", subject_ids=[each.id for each in found])
    return [_good_out(each) for each in found], total


def good_detail(*, actor_id: int, good_id: int) -> StaffGoodDetailOut:
    """Anybody's good with what staff did to it, and its orders where the actor may see any. Raises NO_SUCH_GOOD."""
    good = good_of(actor_id=actor_id, good_id=good_id)
    counted = row_or_none(select(func.count()).select_from(Order).where(Order.good_id == good_id))
    return {
        **good,
        "staff_actions": _actions_on(Subject.GOOD, good_id),
        "orders_total": 0 if counted is None else counted[0],
        "orders": _orders_of_good(actor_id, good_id) if has_permission(actor_id, Permission.ORDERS) else [],
    }


def _orders_of_good(actor_id: int, good_id: int) -> list[StaffOrderOut]:
    """The latest ones first."""
    of_good = select(Order.id).where(Order.good_id == good_id).order_by(Order.id.desc()).limit(_LATEST)
    ids = [each.id for each in rows(of_good)]
    orders = order_rows(ids)
    record_staff_read(actor_id, subject="order", subject_ids=ids)
    return [_order_out(orders[order_id], actor_id) for order_id in ids]


def _actions_on(subject: Subject, subject_id: int) -> list[StaffActionOut]:
    """What staff did to this, the latest first."""
    of_subject = _ACTIONS.where(StaffAction.subject == subject.value, StaffAction.subject_id == subject_id)
    return [_action_out(each) for each in rows(of_subject.order_by(StaffAction.id.desc()).limit(_LATEST))]


def user_detail(*, actor_id: int, user_id: int) -> StaffUserDetailOut:
    """One user with what is theirs in numbers. Raises NO_SUCH_USER."""
    user = user_of(actor_id=actor_id, user_id=user_id)
    counts = row_or_none(_COUNTS, {"user_id": user_id})
    assert counts is not None  # noqa: S101 - a select without FROM has one row
    return {
        **user,
        "bio": counts.bio,
        "deleted": counts.deleted,
        "goods_for_sale": counts.goods_for_sale,
        "goods_sold": counts.goods_sold,
        "goods_rejected": counts.goods_rejected,
        "goods_taken_down": counts.goods_taken_down,
        "orders_bought": counts.orders_bought,
        "orders_sold": counts.orders_sold,
        "disputes": counts.disputes,
        "staff_actions": _actions_on(Subject.USER, user_id),
    }


def user_of(*, actor_id: int, user_id: int) -> StaffUserOut:
    """One user as in the list. Raises NO_SUCH_USER."""
    row = row_or_none(_USERS.where(User.id == user_id))
    if row is None:
        raise Refused(Answer.NO_SUCH_USER)
    record_staff_read(actor_id, subject="user", subject_ids=[user_id])
    return _user_out(row)


def list_users(*, actor_id: int, query: UserQuery) -> tuple[list[StaffUserOut], int]:
    """One page of users, those who came last first, and the total."""
    conditions: list[ColumnElement[bool]] = []
    if query.username is not None:
        conditions.append(User.username_key == username_key(query.username))
    if query.name is not None:
        parts = (User.username, User.nickname)
        conditions.append(or_(*(part.icontains(query.name, autoescape=True) for part in parts)))
    if query.suspended is not None:
        conditions.append(suspended_now() if query.suspended else ~suspended_now())
    found, total = _page(
        select(func.count()).select_from(User).where(*conditions),
        _USERS.where(*conditions).order_by(User.id.desc()),
        query,
    )
    record_staff_read(actor_id, subject="user", subject_ids=[each.id for each in found])
    return [_user_out(each) for each in found], total


def suspended_users() -> Sequence[Row[Any]]:
    """The columns of users, of everybody who is suspended, the latest first."""
    return rows(_USERS.where(suspended_now()).order_by(User.suspended_at.desc(), User.id))


def suspended_now() -> ColumnElement[bool]:
    """Whether a user's suspension is in force, as `app.accounts.suspensions.suspension_of` says."""
    return User.suspended_at.is_not(None) & (User.suspended_until.is_(None) | (User.suspended_until > utcnow()))


def _user_out(row: Row[Any]) -> StaffUserOut:
    return {
        **_person(row, row.id),
        "is_staff": row.is_staff,
        "staff_roles": row.staff_roles,
        "created_at": format_moment(row.created_at),
        "suspension": suspension_of(row),
    }


# --- what staff did ---

_ACTIONS: Final[Select[Any]] = select(*StaffAction.__table__.c, StaffAction.reason.label("reason"), *PERSON).outerjoin(
    User, User.id == StaffAction.actor_id
)


def list_actions(*, actor_id: int, query: ActionQuery) -> tuple[list[StaffActionOut], int]:
    """One page of what staff did, newest first, and the total."""
    conditions = _equal(
        {
            StaffAction.actor_id: query.actor_id,
            StaffAction.subject: query.subject,
            StaffAction.subject_id: query.subject_id,
        }
    )
    found, total = _page(
        select(func.count()).select_from(StaffAction).where(*conditions),
        _ACTIONS.where(*conditions).order_by(StaffAction.id.desc()),
        query,
    )
    record_staff_read(actor_id, subject="staff_action", subject_ids=[each.id for each in found])
    return [_action_out(each) for each in found], total


def _action_out(row: Row[Any]) -> StaffActionOut:
    return {
        "id": row.id,
        "actor": None if row.actor_id is None else _person(row, row.actor_id),
        "action": row.action,
        "action_text": ACTION_TEXT[ActionKind(row.action)],
        "subject": row.subject,
        "subject_id": row.subject_id,
        "reason": row.reason,
        "details": row.details,
        "at": format_moment(row.at),
    }


def list_reads(*, actor_id: int, query: ReadQuery) -> tuple[list[StaffReadOut], int]:
    """One page of what staff read of other people, newest first, and the total."""
    conditions = _equal({StaffRead.actor_id: query.actor_id, StaffRead.subject: query.subject})
    if query.subject_id is not None:
        conditions.append(StaffRead.subject_ids.contains([query.subject_id]))
    found, total = _page(
        select(func.count()).select_from(StaffRead).where(*conditions),
        select(*StaffRead.__table__.c, StaffRead.reason.label("reason"), *PERSON)
        .join(User, User.id == StaffRead.actor_id)
        .where(*conditions)
        .order_by(StaffRead.id.desc()),
        query,
    )
    record_staff_read(actor_id, subject="staff_read", subject_ids=[each.id for each in found])
    return [
        {
            "id": each.id,
            "actor": _person(each, each.actor_id),
            "subject": each.subject,
            "subject_ids": each.subject_ids,
            "place": each.place,
            "reason": each.reason,
            "at": format_moment(each.at),
        }
        for each in found
    ], total


def list_members(*, actor_id: int) -> list[MemberOut]:
    """Everybody of staff, with their roles, since when and why, and when they last used the back office."""
    seen = select(func.max(StaffSession.seen_at)).where(StaffSession.user_id == User.id).scalar_subquery()
    more = {
        each.id: each
        for each in rows(
            select(User.id, *PERSON, SecondFactor.confirmed_at, seen.label("seen_at"))
            .outerjoin(SecondFactor, SecondFactor.user_id == User.id)
            .where(User.is_staff)
        )
    }
    found = [each for each in members() if each.id in more]
    record_staff_read(actor_id, subject="user", subject_ids=[each.id for each in found])
    return [
        {
            **_person(more[each.id], each.id),
            "staff_roles": each.staff_roles,
            "second_factor": more[each.id].confirmed_at is not None,
            "seen_at": format_moment_or_none(more[each.id].seen_at),
            "appointed_at": format_moment_or_none(each.at),
            "appointed_for": each.reason,
        }
        for each in found
    ]


def members() -> Sequence[Row[Any]]:
    """`id, username, staff_roles, at, reason` of all staff; the last two are of the appointment, None if unknown."""
    appointment = (
        select(StaffAction.at, StaffAction.reason.label("reason"))
        .where(
            StaffAction.subject == Subject.USER.value,
            StaffAction.subject_id == User.id,
            StaffAction.action == ActionKind.ADD_STAFF.value,
        )
        .order_by(StaffAction.id.desc())
        .limit(1)
        .lateral("appointment")
    )
    return rows(
        select(User.id, User.username, User.staff_roles, appointment.c.at, appointment.c.reason)
        .outerjoin(appointment, literal_column("true"))
        .where(User.is_staff)
        .order_by(User.id)
    )


# --- all lists ---


def _person(row: Row[Any], user_id: int) -> PersonOut:
    """The user of a row with the columns `PERSON`."""
    return person_out(user_id, username=row.username, nickname=row.nickname, avatar_id=row.avatar_id)


def _equal(wanted: dict[Any, Any]) -> list[ColumnElement[bool]]:  # Any: attributes of models of any type
    """A condition `column = value` for each value that is not None."""
    return [column == value for column, value in wanted.items() if value is not None]


def _within(moment: Any, query: DaysQuery) -> list[ColumnElement[bool]]:  # Any: an attribute of a model
    """The conditions for a moment on one of the query's days."""
    conditions = []
    if query.since is not None:
        conditions.append(moment >= datetime.combine(query.since, time(), SHANGHAI))
    if query.until is not None:
        conditions.append(moment < datetime.combine(query.until + timedelta(days=1), time(), SHANGHAI))
    return conditions


def _page(count: Select[int], page: Select[Any], query: PageQuery) -> tuple[Sequence[Row[Any]], int]:
    """The rows of one page, and the total number of rows."""
    with reading() as connection:
        total = connection.execute(count).scalar_one()
        return connection.execute(page.limit(query.size).offset(query.offset)).all(), total
