"""What is kept about a user, read from every domain that keeps something. As many statements however much there is."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Row, and_, case, cast, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.account_data.schemas import AccountExportOut, ExportedWordsOut
from app.accounts import queries as accounts
from app.accounts.models import LoginSession
from app.accounts.schemas import address_out, avatar_url, own_profile_out
from app.clock import format_moment, format_moment_or_none
from app.db.erasable_texts import text_of
from app.db.transactions import rows
from app.fen import format_signed_yuan, format_yuan, format_yuan_or_none
from app.goods.models import Appeal, Good, GoodRevision, Picture
from app.goods.queries import picture_url
from app.ledger.models import LedgerAccount, LedgerEntry, LedgerTransaction
from app.moderation.models import GoodReport
from app.money.models import Payment, Refund
from app.notifications.models import Notification
from app.orders.models import Direction, Dispute, EvidencePicture, Order, OrderEventRecord, Waybill
from app.orders.queries import evidence_url
from app.profiles.models import Avatar
from app.recovery.queries import channels_of
from app.saved_searches.models import SavedSearch
from app.staff.models import ActionKind, StaffAction, Subject
from app.staff.texts import ACTION_TEXT
from app.wallet.models import Payout
from statemachine import Role

MOST_LINES: Final = 10_000
"""Lines of one kind that an export tells, the newest; its `cut` names the kinds that have more."""

_PICTURES: Final = (
    select(func.coalesce(func.array_agg(aggregate_order_by(Picture.id, Picture.id)), cast([], ARRAY(BigInteger))))
    .where(Picture.good_id == Good.id)
    .correlate(Good)
    .scalar_subquery()
    .label("pictures")
)
_PARTIES: Final = (Role.BUYER.value, Role.SELLER.value)


def export_of(user_id: int) -> AccountExportOut:
    """Everything that is kept about the user, oldest first, at most `MOST_LINES` of each kind.

    Raises Refused(NO_SUCH_USER).
    """
    cut: list[str] = []

    def each(name: str, statement: Any, newest: Any, out: Callable[[Row[Any]], Any]) -> list[Any]:
        # A Select and TypedDicts of several shapes.
        found = rows(statement.order_by(newest.desc()).limit(MOST_LINES + 1))
        if len(found) > MOST_LINES and name not in cut:
            cut.append(name)
        return [out(row) for row in reversed(found[:MOST_LINES])]

    return {
        "profile": own_profile_out(accounts.own_profile(user_id)),
        "recovery": channels_of(user_id),
        "avatars": each(
            "avatars",
            select(Avatar.__table__).where(Avatar.user_id == user_id),
            Avatar.id,
            lambda row: {
                "url": avatar_url(row.id),
                "state": row.state,
                "reasons": row.reasons,
                "created_at": format_moment(row.created_at),
            },
        ),
        "addresses": [address_out(row) for row in accounts.addresses(user_id)],
        "goods": each(
            "goods",
            select(Good.__table__, _PICTURES).where(Good.owner_id == user_id),
            Good.id,
            lambda row: {
                "id": row.id,
                "title": row.title,
                "description": row.description,
                "price": format_yuan(row.price),
                "deleted": row.deleted,
                "pictures": [picture_url(picture_id) for picture_id in row.pictures],
                "created_at": format_moment(row.created_at),
            },
        ),
        "revisions": each(
            "revisions",
            select(GoodRevision.__table__).join(Good, Good.id == GoodRevision.good_id).where(Good.owner_id == user_id),
            GoodRevision.id,
            lambda row: {
                "good_id": row.good_id,
                "revision": row.revision,
                "title": row.title,
                "description": row.description,
                "price": format_yuan(row.price),
                "pictures": [picture_url(picture_id) for picture_id in row.picture_ids],
                "state": row.state,
                "text": row.text,
                "submitted_at": format_moment(row.submitted_at),
            },
        ),
        "appeals": each(
            "appeals",
            select(Appeal.__table__).join(Good, Good.id == Appeal.good_id).where(Good.owner_id == user_id),
            Appeal.id,
            lambda row: {
                "good_id": row.good_id,
                "revision": row.revision,
                "text": row.text,
                "state": row.state,
                "answer": row.answer,
                "created_at": format_moment(row.created_at),
            },
        ),
        "reports": each(
            "reports",
            select(GoodReport.__table__).where(GoodReport.reporter_id == user_id),
            GoodReport.id,
            lambda row: {
                "good_id": row.good_id,
                "category": row.category,
                "text": row.text,
                "created_at": format_moment(row.created_at),
            },
        ),
        "unused_pictures": each(
            "unused_pictures",
            select(Picture.id, Picture.created_at).where(
                Picture.uploader_id == user_id, Picture.good_id.is_(None), Picture.used_at.is_(None)
            ),
            Picture.id,
            lambda row: {"url": picture_url(row.id), "created_at": format_moment(row.created_at)},
        ),
        "orders": each(
            "orders",
            select(Order.__table__).where(_is_side(user_id)),
            Order.id,
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
        "parcels": each(
            "parcels",
            select(Waybill.__table__, Order.order_no, Order.buyer_id)
            .join(Order, Order.id == Waybill.order_id)
            .where(_is_side(user_id)),
            Waybill.id,
            lambda row: {
                "order_no": row.order_no,
                "direction": row.direction,
                "company": row.company,
                "tracking_no": row.tracking_no,
                "address": _own_end(row, user_id),
                "created_at": format_moment(row.created_at),
            },
        ),
        "evidence": each(
            "evidence",
            select(EvidencePicture.__table__, Order.order_no)
            .join(Order, Order.id == EvidencePicture.order_id)
            .where(EvidencePicture.uploader_id == user_id, _is_side(user_id)),
            EvidencePicture.id,
            lambda row: {
                "order_no": row.order_no,
                "url": evidence_url(row.id),
                "created_at": format_moment(row.created_at),
            },
        ),
        "payments": each(
            "payments",
            select(Payment.__table__, Order.order_no)
            .join(Order, Order.id == Payment.order_id)
            .where(Order.buyer_id == user_id),
            Payment.id,
            lambda row: {
                "order_no": row.order_no,
                "out_trade_no": row.out_trade_no,
                "trade_no": row.trade_no,
                "amount": format_yuan(row.amount),
                "state": row.state,
                "paid_at": format_moment_or_none(row.paid_at),
                "created_at": format_moment(row.created_at),
            },
        ),
        "refunds": each(
            "refunds",
            select(Refund.__table__, Order.order_no)
            .join(Payment, Payment.id == Refund.payment_id)
            .join(Order, Order.id == Payment.order_id)
            .where(Order.buyer_id == user_id),
            Refund.id,
            lambda row: {
                "order_no": row.order_no,
                "amount": format_yuan(row.amount),
                "reason": row.reason,
                "state": row.state,
                "confirmed_at": format_moment_or_none(row.confirmed_at),
                "created_at": format_moment(row.created_at),
            },
        ),
        "staff_actions": each(
            "staff_actions",
            select(StaffAction.__table__, text_of(StaffAction.reason_digest).label("reason")).where(_is_about(user_id)),
            StaffAction.id,
            lambda row: {
                "action": row.action,
                "action_text": ACTION_TEXT[ActionKind(row.action)],
                "subject": row.subject,
                "subject_id": row.subject_id,
                "reason": row.reason,
                "at": format_moment(row.at),
            },
        ),
        "words": _words(user_id, each),
        "money": each(
            "money",
            select(
                LedgerEntry.amount, LedgerAccount.kind.label("account"), LedgerTransaction.kind, LedgerTransaction.at
            )
            .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
            .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
            .where(LedgerAccount.user_id == user_id),
            LedgerEntry.id,
            lambda row: {
                "account": row.account,
                "kind": row.kind,
                "amount": format_signed_yuan(-row.amount),  # the user's accounts grow by credits, which are negative
                "at": format_moment(row.at),
            },
        ),
        "withdrawals": each(
            "withdrawals",
            select(Payout.__table__).where(Payout.user_id == user_id),
            Payout.id,
            lambda row: {
                "amount": format_yuan(row.amount),
                "account": row.account,
                "name": row.name,
                "state": row.state,
                "created_at": format_moment(row.created_at),
            },
        ),
        "saved_searches": each(
            "saved_searches",
            select(SavedSearch.__table__).where(SavedSearch.user_id == user_id),
            SavedSearch.id,
            lambda row: {
                "q": row.q,
                "category": row.category,
                "price_min": format_yuan_or_none(row.price_min),
                "price_max": format_yuan_or_none(row.price_max),
                "trade_mode": row.trade_mode,
                "notify": row.notify,
                "created_at": format_moment(row.created_at),
            },
        ),
        "notifications": each(
            "notifications",
            select(Notification.__table__).where(Notification.user_id == user_id),
            Notification.id,
            lambda row: {"title": row.title, "text": row.text, "created_at": format_moment(row.created_at)},
        ),
        "sessions": each(
            "sessions",
            select(LoginSession.__table__).where(LoginSession.user_id == user_id),
            LoginSession.created_at,
            lambda row: {
                "created_at": format_moment(row.created_at),
                "refreshed_at": format_moment(row.refreshed_at),
                "ended_at": format_moment_or_none(row.ended_at),
                "end_reason": row.end_reason,
            },
        ),
        "cut": cut,
    }


def _own_end(parcel: Row[Any], user_id: int) -> dict[str, Any] | None:
    """The address of a parcel that is the user's: who sends it, or gets it."""
    sends = (parcel.direction == Direction.DELIVERY.value) != (parcel.buyer_id == user_id)
    address: dict[str, Any] | None = parcel.sender if sends else parcel.recipient
    return address


def _is_about(user_id: int) -> ColumnElement[bool]:
    """Whether a staff action was done to the user, to a good of the user's, or an order."""
    goods, orders = select(Good.id).where(Good.owner_id == user_id), select(Order.id).where(_is_side(user_id))
    return or_(
        and_(StaffAction.subject == Subject.USER.value, StaffAction.subject_id == user_id),
        and_(StaffAction.subject == Subject.GOOD.value, StaffAction.subject_id.in_(goods)),
        and_(StaffAction.subject == Subject.ORDER.value, StaffAction.subject_id.in_(orders)),
    )


def _is_side(user_id: int) -> ColumnElement[bool]:
    return (Order.buyer_id == user_id) | (Order.seller_id == user_id)


def _words(user_id: int, each: Callable[..., list[Any]]) -> list[ExportedWordsOut]:
    """What the user wrote about orders: with steps, and as statements in disputes, read by `each`."""
    steps = each(
        "words",
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
        ),
        OrderEventRecord.id,
        lambda row: row,
    )
    own_role = case((Order.buyer_id == user_id, Role.BUYER.value), else_=Role.SELLER.value).label("own_role")
    disputes = each(
        "words",
        select(Order.order_no, Dispute.statements, own_role)
        .join(Order, Order.id == Dispute.order_id)
        .where(_is_side(user_id)),
        Dispute.id,
        lambda row: row,
    )
    words: list[ExportedWordsOut] = [
        {"order_no": row.order_no, "step": row.event, "text": row.text, "at": format_moment(row.at)} for row in steps
    ]
    words += [
        {
            "order_no": row.order_no,
            "step": "statement",
            "text": said["text"],
            "at": format_moment(datetime.fromisoformat(said["at"])),
        }
        for row in disputes
        for said in row.statements
        if said["role"] == row.own_role
    ]
    return words
