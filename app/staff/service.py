"""Staff decide disputes, and operators appoint staff; one function per verb. Each action is recorded with a reason."""

from typing import Any

import structlog
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.clock import format_moment, utcnow
from app.db.erasable_texts import keep_text
from app.db.transactions import transaction
from app.orders.transitions import OrderCommand, fire, lock_order, refusal_details
from app.recovery import service as recovery
from app.staff.models import ActionKind, StaffAction, Subject
from app.staff.schemas import ResetCodeOut
from statemachine import OrderEvent, Role

log = structlog.get_logger(__name__)


class AppointmentRefused(Exception):  # noqa: N818 - it says what happened
    """There is no such user, or nothing to change about their role; the text says which."""


def resolve_for_buyer(*, actor_id: int, order_id: int, reason: str) -> None:
    """Decide a refund request for the buyer: the money is refunded.

    Raises FORBIDDEN for an actor who is not staff or is a party of the order, NO_SUCH_ORDER, WRONG_STATE.
    """
    _resolve(OrderEvent.RESOLVE_FOR_BUYER, actor_id=actor_id, order_id=order_id, reason=reason)


def resolve_for_seller(*, actor_id: int, order_id: int, reason: str) -> None:
    """Decide a refund request for the seller: the order goes on as before it, or ends if the goods were sent back.

    Raises as `resolve_for_buyer`.
    """
    _resolve(OrderEvent.RESOLVE_FOR_SELLER, actor_id=actor_id, order_id=order_id, reason=reason)


def _resolve(event: OrderEvent, *, actor_id: int, order_id: int, reason: str) -> None:
    with transaction() as session:
        # Locked, so that somebody who is being removed from staff cannot decide anything afterwards.
        if not session.scalar(select(User.is_staff).where(User.id == actor_id).with_for_update(read=True)):
            raise Refused(Answer.FORBIDDEN)
        good, order = lock_order(session, order_id)
        if actor_id in (order.buyer_id, order.seller_id):
            refusal = refusal_details(order, event=event, role=Role.STAFF, reasons=["不能裁决自己参与的订单"])
            raise Refused(Answer.FORBIDDEN, data={**refusal, "allowed": []})
        step = fire(session, good, order, OrderCommand(event=event, role=Role.STAFF, actor_id=actor_id, note=reason))
        details = {
            "order_no": order.order_no,
            "sequence": order.history_length,  # of the line in the order's history
            "from": [step.source.bill, step.source.goods],
            "to": [step.target.bill, step.target.goods],
            "amount": order.amount,
        }
        _record(
            session,
            ActionKind(event.value),
            actor_id=actor_id,
            subject=Subject.ORDER,
            subject_id=order_id,
            reason=reason,
            details=details,
        )
    log.info("dispute_decided", actor_id=actor_id, order_id=order_id, decision=event.value)


def issue_reset_code(*, actor_id: int, user_id: int, reason: str) -> ResetCodeOut:
    """A code with which the user sets a new password; who issued it and why is recorded.

    Raises Refused with FORBIDDEN for an actor who is not staff, and for the account of one who is; NO_SUCH_USER.
    """
    with transaction() as session:
        if not session.scalar(select(User.is_staff).where(User.id == actor_id).with_for_update(read=True)):
            raise Refused(Answer.FORBIDDEN)
        if session.scalar(select(User.is_staff).where(User.id == user_id)):
            raise Refused(Answer.FORBIDDEN)
        return _issue_reset_code(session, user_id=user_id, actor_id=actor_id, reason=reason)


def issue_reset_code_by_name(*, username: str, reason: str) -> ResetCodeOut:
    """As `issue_reset_code`, by an operator and for anybody. Raises Refused(NO_SUCH_USER)."""
    with transaction() as session:
        user_id = session.scalar(select(User.id).where(User.username_key == username_key(username)))
        if user_id is None:
            raise Refused(Answer.NO_SUCH_USER)
        return _issue_reset_code(session, user_id=user_id, actor_id=None, reason=reason)


def _issue_reset_code(session: Session, *, user_id: int, actor_id: int | None, reason: str) -> ResetCodeOut:
    code, expires_at = recovery.issue_reset_code(session, user_id=user_id)
    _record(
        session,
        ActionKind.ISSUE_RESET_CODE,
        actor_id=actor_id,
        subject=Subject.USER,
        subject_id=user_id,
        reason=reason,
        details={"expires_at": format_moment(expires_at)},
    )
    return {"code": code, "expires_at": format_moment(expires_at)}


def add_staff(*, username: str, reason: str) -> None:
    """Make a user one of staff. Raises AppointmentRefused where there is no such user, or they are that already."""
    _set_staff(ActionKind.ADD_STAFF, username=username, reason=reason, is_staff=True)


def remove_staff(*, username: str, reason: str) -> None:
    """Take the role away; it ends with this. Raises AppointmentRefused as `add_staff`."""
    _set_staff(ActionKind.REMOVE_STAFF, username=username, reason=reason, is_staff=False)


def _set_staff(action: ActionKind, *, username: str, reason: str, is_staff: bool) -> None:
    with transaction() as session:
        statement = select(User).where(User.username_key == username_key(username)).with_for_update(key_share=True)
        user = session.scalar(statement.execution_options(populate_existing=True))
        if user is None:
            raise AppointmentRefused(f"there is no user {username}")
        if user.is_staff == is_staff:
            raise AppointmentRefused(
                f"{user.username} is staff already" if is_staff else f"{user.username} is no staff"
            )
        user.is_staff = is_staff
        _record(
            session,
            action,
            actor_id=None,
            subject=Subject.USER,
            subject_id=user.id,
            reason=reason,
            details={},
        )
        user_id = user.id
    log.info("staff_role_changed", user_id=user_id, is_staff=is_staff)


def _record(
    session: Session,
    action: ActionKind,
    *,
    actor_id: int | None,
    subject: Subject,
    subject_id: int,
    reason: str,
    details: dict[str, Any],
) -> None:
    now = utcnow()
    session.execute(
        insert(StaffAction).values(
            actor_id=actor_id,
            action=action.value,
            subject=subject.value,
            subject_id=subject_id,
            reason_digest=keep_text(session, reason, written_at=now),
            details=details,
            at=now,
        )
    )
