"""What is kept about a user, read from every domain that keeps something. As many statements however much there is."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, case, select

from app.account_data.schemas import AccountExportOut, ExportedWordsOut
from app.accounts import queries as accounts
from app.accounts.models import LoginSession
from app.accounts.schemas import address_out, own_profile_out
from app.clock import format_moment, format_moment_or_none
from app.db.erasable_texts import text_of
from app.db.transactions import rows
from app.fen import format_signed_yuan, format_yuan
from app.goods.models import Good
from app.ledger.models import LedgerAccount, LedgerEntry, LedgerTransaction
from app.notifications.models import Notification
from app.orders.models import Dispute, Order, OrderEventRecord
from app.recovery.queries import channels_of
from app.wallet.models import Payout
from statemachine import Role

_PARTIES: Final = (Role.BUYER.value, Role.SELLER.value)


def export_of(user_id: int) -> AccountExportOut:
    """Everything that is kept about the user, oldest first. Raises Refused(NO_SUCH_USER)."""
    return {
        "profile": own_profile_out(accounts.own_profile(user_id)),
        "recovery": channels_of(user_id),
        "addresses": [address_out(row) for row in accounts.addresses(user_id)],
        "goods": _each(
            select(Good.__table__).where(Good.owner_id == user_id).order_by(Good.id),
            lambda row: {
                "id": row.id,
                "title": row.title,
                "description": row.description,
                "price": format_yuan(row.price),
                "deleted": row.deleted,
                "created_at": format_moment(row.created_at),
            },
        ),
        "orders": _each(
            select(Order.__table__).where(_is_side(user_id)).order_by(Order.id),
            lambda row: {
                "order_no": row.order_no,
                "role": (Role.BUYER if row.buyer_id == user_id else Role.SELLER).value,
                "good_title": row.good_title,
                "amount": format_yuan(row.amount),
                "bill_status": row.bill_status,
                "order_status": row.order_status,
                "closed": row.closed,
                "address": row.address if row.buyer_id == user_id else None,
                "created_at": format_moment(row.created_at),
            },
        ),
        "words": _words(user_id),
        "money": _each(
            select(
                LedgerEntry.amount, LedgerAccount.kind.label("account"), LedgerTransaction.kind, LedgerTransaction.at
            )
            .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
            .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
            .where(LedgerAccount.user_id == user_id)
            .order_by(LedgerEntry.id),
            lambda row: {
                "account": row.account,
                "kind": row.kind,
                "amount": format_signed_yuan(-row.amount),  # the user's accounts grow by credits, which are negative
                "at": format_moment(row.at),
            },
        ),
        "withdrawals": _each(
            select(Payout.__table__).where(Payout.user_id == user_id).order_by(Payout.id),
            lambda row: {
                "amount": format_yuan(row.amount),
                "account": row.account,
                "name": row.name,
                "state": row.state,
                "created_at": format_moment(row.created_at),
            },
        ),
        "notifications": _each(
            select(Notification.__table__).where(Notification.user_id == user_id).order_by(Notification.id),
            lambda row: {"title": row.title, "text": row.text, "created_at": format_moment(row.created_at)},
        ),
        "sessions": _each(
            select(LoginSession.__table__).where(LoginSession.user_id == user_id).order_by(LoginSession.created_at),
            lambda row: {
                "created_at": format_moment(row.created_at),
                "refreshed_at": format_moment(row.refreshed_at),
                "ended_at": format_moment_or_none(row.ended_at),
                "end_reason": row.end_reason,
            },
        ),
    }


def _each(statement: Any, out: Callable[[Row[Any]], Any]) -> list[Any]:  # a Select and TypedDicts of several shapes
    return [out(row) for row in rows(statement)]


def _is_side(user_id: int) -> ColumnElement[bool]:
    return (Order.buyer_id == user_id) | (Order.seller_id == user_id)


def _words(user_id: int) -> list[ExportedWordsOut]:
    """What the user wrote about orders: with steps, and as statements in disputes."""
    steps = rows(
        select(
            Order.order_no,
            OrderEventRecord.event,
            OrderEventRecord.at,
            text_of(OrderEventRecord.note_digest).label("text"),
        )
        .join(Order, Order.id == OrderEventRecord.order_id)
        .where(
            OrderEventRecord.actor_id == user_id,
            OrderEventRecord.role.in_(_PARTIES),
            OrderEventRecord.note_digest.is_not(None),
        )
        .order_by(OrderEventRecord.id)
    )
    own_role = case((Order.buyer_id == user_id, Role.BUYER.value), else_=Role.SELLER.value).label("own_role")
    disputes = rows(
        select(Order.order_no, Dispute.statements, own_role)
        .join(Order, Order.id == Dispute.order_id)
        .where(_is_side(user_id))
        .order_by(Dispute.id)
    )
    words: list[ExportedWordsOut] = [
        {"order_no": row.order_no, "step": row.event, "text": row.text, "at": format_moment(row.at)} for row in steps
    ]
    words += [
        {
            "order_no": row.order_no,
            "step": "statement",
            "text": each["text"],
            "at": format_moment(datetime.fromisoformat(each["at"])),
        }
        for row in disputes
        for each in row.statements
        if each["role"] == row.own_role
    ]
    return words
