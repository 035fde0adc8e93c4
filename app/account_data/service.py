"""The end of an account: what belongs to nobody else goes, what law and books need stays without a name."""

from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, Row, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.account_data.schemas import AccountInUse
from app.accounts import throttle
from app.accounts.models import Address, EndReason, LoginSession, User
from app.accounts.service import verify_own_password
from app.accounts.sessions import end_sessions
from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.transactions import row_or_none, transaction
from app.erasure.service import erase_words_of_user
from app.fen import format_signed_yuan
from app.goods.models import Good
from app.goods.service import delete_good
from app.goods.unused_pictures import forget_unused
from app.idempotency import IdempotencyKey
from app.ledger.models import USER_KINDS, LedgerAccount
from app.moderation.own_words import erase_review_words
from app.notifications.models import Notification
from app.orders.models import Direction, Order, Waybill
from app.profiles.service import forget_avatars
from app.recovery.models import OneTimeCode, RecoveryChannel
from app.saved_searches.service import forget_saved_searches
from app.wallet.models import Payout, PayoutState
from statemachine import GoodStatus

log = structlog.get_logger(__name__)

DELETED_NAME: Final = "已注销用户"
"""What stands where the name of a deleted account was."""

_NO_PASSWORD: Final = "!"  # noqa: S105 - no hash: nobody logs in with it
_NAMELESS: Final = literal({"name": DELETED_NAME, "mobile": "", "detail": ""}, JSONB)
_WITHOUT_ORDER: Final = (GoodStatus.IN_REVIEW, GoodStatus.PUBLISHED, GoodStatus.SOLD, GoodStatus.REJECTED)
_USER: Final = select(User.id, User.username, User.username_key, User.password_hash)


def delete_account(*, user_id: int, session_id: str, password: str) -> None:
    """Delete the account of a user who gives its password once more, unless something of it is not finished.

    Its goods leave market and search; sessions, addresses, saved searches, notifications, ways of recovery and words
    are erased; orders and bookings stay, with `DELETED_NAME`. The username is free at once. Raises Refused with
    OLD_PASSWORD_WRONG, TOO_MANY_REQUESTS, NO_SUCH_USER, and ACCOUNT_IN_USE, which names what is not finished.
    """
    user = row_or_none(_USER.where(User.id == user_id))
    if user is None:
        raise Refused(Answer.NO_SUCH_USER)
    verify_own_password(session_id=session_id, stored=user.password_hash, password=password)
    # With the password that was given: who has changed it meanwhile is asked again.
    still = User.password_hash == user.password_hash
    _delete(user, still=still, refusal=Answer.OLD_PASSWORD_WRONG, by=f"user {user_id}", why="account deleted")


def delete_account_for_user(*, user_id: int, by: str, why: str) -> None:
    """As `delete_account`, by an operator.

    For users who ask for it and are kept out, and for accounts that were deleted and are back with a restored backup.
    Raises Refused with NO_SUCH_USER, also where it is deleted already, and ACCOUNT_IN_USE.
    """
    present = User.deleted_at.is_(None)
    user = row_or_none(_USER.where(User.id == user_id, present))
    if user is None:
        raise Refused(Answer.NO_SUCH_USER)
    _delete(user, still=present, refusal=Answer.NO_SUCH_USER, by=by, why=why)


def _delete(user: Row[Any], *, still: ColumnElement[bool], refusal: Answer, by: str, why: str) -> None:
    """End the account; Refused with `refusal` where the user, once locked, is not `still` what was read."""
    user_id = user.id
    with transaction() as session:
        row = _locked(session, user_id, still)
        if row is None:
            raise Refused(refusal)
        _refuse_unfinished(session, row)
        _take_goods_down(session, user_id)
        erase_review_words(session, user_id=user_id)
        erase_words_of_user(session, user_id=user_id, by=by, why=why)
        _forget_addresses(session, user_id)
        forget_unused(session, user_id=user_id)
        forget_avatars(session, user_id=user_id)
        forget_saved_searches(session, user_id=user_id)
        end_sessions(session, user_id=user_id, reason=EndReason.ACCOUNT_DELETED)
        for statement in (
            delete(LoginSession).where(LoginSession.user_id == user_id),
            delete(Notification).where(Notification.user_id == user_id),
            delete(RecoveryChannel).where(RecoveryChannel.user_id == user_id),
            delete(OneTimeCode).where(OneTimeCode.username_key == user.username_key),
            delete(IdempotencyKey).where(IdempotencyKey.scope == user_id),
            update(Payout).where(Payout.user_id == user_id).values(account="", name=DELETED_NAME),
            update(User)
            .where(User.id == user_id)
            .values(
                username=DELETED_NAME,
                nickname=None,
                username_key=f"deleted:{user_id}",  # which nobody can type
                password_hash=_NO_PASSWORD,
                bio="",
                suspended_at=None,
                suspended_until=None,
                suspension_reason="",
                deleted_at=utcnow(),
            ),
        ):
            session.execute(statement, execution_options={"synchronize_session": False})
    throttle.forget_homes(username=user.username)
    log.info("account_deleted", user_id=user_id, by=by)


def _locked(session: Session, user_id: int, still: ColumnElement[bool]) -> User | None:
    """The user, locked against everything that refers to it: orders and goods under way have to be seen, or wait.

    First against the user's own verbs, then the goods, and only then against rows that refer to the user: whoever
    holds one of the goods, a buyer or staff, may yet write such a row, and must not wait for this transaction, which
    waits for the good.
    """
    own = select(User).where(User.id == user_id, still)
    if session.scalars(own.with_for_update(key_share=True)).one_or_none() is None:
        return None
    goods = select(Good.id).where(Good.owner_id == user_id, ~Good.deleted).order_by(Good.id)
    session.execute(goods.with_for_update())
    return session.scalars(own.with_for_update()).one()


def _refuse_unfinished(session: Session, user: User) -> None:
    """Raises Refused(ACCOUNT_IN_USE) where orders are open, money is in the wallet or on its way, or a role is held."""
    sides = (Order.buyer_id == user.id) | (Order.seller_id == user.id)
    open_orders = session.scalars(select(Order.order_no).where(sides, ~Order.closed).order_by(Order.id)).all()
    kinds = [kind.value for kind in USER_KINDS]
    own = select(func.coalesce(func.sum(LedgerAccount.balance), 0))
    balance = session.scalars(own.where(LedgerAccount.user_id == user.id, LedgerAccount.kind.in_(kinds))).one()
    unpaid = select(func.count()).where(Payout.user_id == user.id, Payout.state == PayoutState.PENDING.value)
    withdrawals = session.scalars(unpaid).one()
    reasons = [
        reason
        for reason, holds in (
            (f"还有 {len(open_orders)} 笔订单未完结", open_orders),
            (f"钱包中还有 {format_signed_yuan(int(balance))} 元", balance),
            (f"还有 {withdrawals} 笔提现未到账", withdrawals),
            ("客服账号须先由管理员撤销权限", user.is_staff),
        )
        if holds
    ]
    if reasons:
        details: AccountInUse = {
            "reasons": reasons,
            "open_orders": list(open_orders),
            "balance": format_signed_yuan(int(balance)),
            "open_withdrawals": withdrawals,
        }
        raise Refused(Answer.ACCOUNT_IN_USE, data={**details})


def _take_goods_down(session: Session, user_id: int) -> None:
    """Delete the goods, sold ones too, by their own verb: nobody sees them any more. What they describe is erased."""
    shown = select(Good.id).where(Good.owner_id == user_id, ~Good.deleted, Good.status.in_(_WITHOUT_ORDER))
    for good_id in session.scalars(shown.order_by(Good.id)).all():
        delete_good(owner_id=user_id, good_id=good_id)
    session.flush()
    session.execute(
        update(Good).where(Good.owner_id == user_id).values(description=""),
        execution_options={"synchronize_session": False},
    )


def _forget_addresses(session: Session, user_id: int) -> None:
    """Delete the address book; of the copies in orders and parcels the place stays, not the name, number and door."""
    bought, sold = (select(Order.id).where(side == user_id) for side in (Order.buyer_id, Order.seller_id))
    back = Waybill.direction == Direction.RETURN.value
    copies: tuple[tuple[Any, Any], ...] = (
        (Order.address, Order.buyer_id == user_id),
        (Waybill.recipient, ~back & Waybill.order_id.in_(bought)),
        (Waybill.sender, back & Waybill.order_id.in_(bought)),
        (Waybill.sender, ~back & Waybill.order_id.in_(sold)),
        (Waybill.recipient, back & Waybill.order_id.in_(sold)),
    )
    for column, whose in copies:
        session.execute(
            update(column.class_).where(whose, column.is_not(None)).values({column: column.op("||")(_NAMELESS)}),
            execution_options={"synchronize_session": False},
        )
    session.execute(delete(Address).where(Address.user_id == user_id))
