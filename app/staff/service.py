"""Staff decide disputes, take goods down and suspend users; operators appoint staff. One function per verb.

Each action is recorded with a reason, in the transaction of what was done. Asked for what is so already, goods and
users are left as they are, and nothing is recorded.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.accounts.queries import may
from app.accounts.suspensions import lift, lock_user, suspend, suspension_of
from app.accounts.usernames import username_key
from app.answers import Answer, Refused
from app.clock import format_moment, format_moment_or_none, utcnow
from app.db.erasable_texts import keep_text
from app.db.transactions import rows, transaction
from app.goods.models import CaseKind, Good, TakedownCause
from app.goods.revisions import OF_WHAT_IS_PUBLIC, end_cases, grant_appeal
from app.goods.service import lock_good, restore, restore_all, take_down, take_down_all
from app.notifications.models import NotificationKind
from app.notifications.service import notify
from app.orders.transitions import OrderCommand, fire, lock_order, refusal_details
from app.recovery import service as recovery
from app.staff.models import ActionKind, StaffAction, Subject
from app.staff.schemas import ResetCodeOut
from app.staff.sessions import end_staff_sessions
from app.staff_roles import BEFORE_ROLES, Permission, StaffRole
from statemachine import GoodRole, OrderEvent, Role

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
        check_staff(session, actor_id, Permission.DISPUTES)
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
        record_action(
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
        check_staff(session, actor_id, Permission.SUSPEND)
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
    record_action(
        session,
        ActionKind.ISSUE_RESET_CODE,
        actor_id=actor_id,
        subject=Subject.USER,
        subject_id=user_id,
        reason=reason,
        details={"expires_at": format_moment(expires_at)},
    )
    return {"code": code, "expires_at": format_moment(expires_at)}


def take_down_good(*, actor_id: int, good_id: int, reason: str) -> None:
    """Take a good off the market and out of the search, at once; its owner is told why. An order of it goes on.

    Raises FORBIDDEN for an actor who is not staff or owns the good, NO_SUCH_GOOD, TAKE_DOWN_FAILED for a deleted one.
    """
    with transaction() as session:
        good = _good_for(session, actor_id, good_id)
        if not take_down(session, good, cause=TakedownCause.STAFF):
            return
        # What users reported, or a later check found, is answered by it.
        end_cases(session, good, *OF_WHAT_IS_PUBLIC, decision="reject", actor_id=actor_id, now=utcnow())
        _record_of_good(session, ActionKind.TAKE_DOWN_GOOD, good, actor_id=actor_id, reason=reason)
        _tell(
            session, good.owner_id, "商品已被下架", f"你的商品「{good.title}」已被平台下架。原因:{reason}", "take_down"
        )
    log.info("good_taken_down", actor_id=actor_id, good_id=good_id)


def restore_good(*, actor_id: int, good_id: int, reason: str) -> None:
    """Put a good back where it stood; its owner is told. While the owner is suspended it only returns afterwards,
    which the end of the suspension tells.

    Raises FORBIDDEN as `take_down_good`, NO_SUCH_GOOD, RESTORE_FAILED for a deleted one.
    """
    with transaction() as session:
        good = _good_for(session, actor_id, good_id)
        if good.takedown_cause == TakedownCause.SUSPENSION or (not good.taken_down and not good.deleted):
            return
        if put_back(session, good):
            words = f"你的商品「{good.title}」已由平台恢复。说明:{reason}"
            _tell(session, good.owner_id, "商品已恢复", words, "restore")
        end_cases(session, good, CaseKind.TAKEDOWN_APPEAL, decision="approve", actor_id=actor_id, now=utcnow())
        grant_appeal(session, good, answer=reason, now=utcnow())
        _record_of_good(session, ActionKind.RESTORE_GOOD, good, actor_id=actor_id, reason=reason)
    log.info("good_restored", actor_id=actor_id, good_id=good_id)


def put_back(session: Session, good: Good) -> bool:
    """Put a locked good that staff took down back where it stood; False where its owner is suspended, and it returns
    with the end of that.
    """
    if suspension_of(session.get_one(User, good.owner_id)) is None:
        restore(session, good, by=GoodRole.STAFF)
        return True
    good.takedown_cause = TakedownCause.SUSPENSION.value
    return False


def suspend_user(*, actor_id: int | None, user_id: int, reason: str, until: datetime | None) -> None:
    """Keep a user out until that moment (None: for good). Their sessions end, their goods leave the market.

    Open orders go on: the other side acts as ever, and the deadlines act for the user. `actor_id` is None for an
    operator on the command line. Asked again with another reason or time, these are changed.

    Raises FORBIDDEN for an actor who is not staff and for a user who is, NO_SUCH_USER.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.SUSPEND)
        user = lock_user(session, user_id)
        if user.is_staff:
            raise Refused(Answer.FORBIDDEN)
        known = suspension_of(user)
        if known is not None and (user.suspension_reason, user.suspended_until) == (reason, until):
            return
        suspend(session, user, reason=reason, until=until)
        goods = take_down_all(session, owner_id=user_id)
        details = {"until": format_moment_or_none(until), "goods": goods}
        record_action(
            session,
            ActionKind.SUSPEND_USER,
            actor_id=actor_id,
            subject=Subject.USER,
            subject_id=user_id,
            reason=reason,
            details=details,
        )
    log.info("user_suspended", actor_id=actor_id, user_id=user_id, goods=goods)


def lift_suspension(*, actor_id: int | None, user_id: int, reason: str) -> None:
    """Let a suspended user in again; the goods that left for the suspension return.

    Raises FORBIDDEN for an actor who is not staff, NO_SUCH_USER.
    """
    with transaction() as session:
        check_staff(session, actor_id, Permission.SUSPEND)
        _lift(session, lock_user(session, user_id), actor_id=actor_id, reason=reason, by=GoodRole.STAFF)


def lift_ended_suspensions() -> int:
    """End the suspensions whose time is over; returns how many. Several may run at once."""
    ended = select(User.id).where(User.suspended_until <= utcnow()).order_by(User.id)
    user_ids = [row.id for row in rows(ended)]
    for user_id in user_ids:
        with transaction() as session:
            user = lock_user(session, user_id)
            # It may have been lifted or prolonged meanwhile.
            if user.suspended_until is not None and user.suspended_until <= utcnow():
                _lift(session, user, actor_id=None, reason=_TIME_IS_OVER, by=GoodRole.SYSTEM)
    return len(user_ids)


_TIME_IS_OVER: Final = "停用期满"


def _lift(session: Session, user: User, *, actor_id: int | None, reason: str, by: GoodRole) -> None:
    if user.suspended_at is None:
        return
    lift(user)
    goods = restore_all(session, owner_id=user.id, by=by)
    record_action(
        session,
        ActionKind.LIFT_SUSPENSION,
        actor_id=actor_id,
        subject=Subject.USER,
        subject_id=user.id,
        reason=reason,
        details={"goods": goods},
    )
    _tell(session, user.id, "账号已恢复", f"你的账号已恢复使用。说明:{reason}", "lift_suspension")
    log.info("suspension_lifted", actor_id=actor_id, user_id=user.id, goods=goods)


def check_staff(session: Session, actor_id: int | None, permission: Permission) -> None:
    """Raise FORBIDDEN for an actor who has not got this permission; None is an operator, who may do everything."""
    # Locked, so that somebody whose role is being taken away cannot do anything afterwards.
    if actor_id is not None and not session.scalar(
        select(may(permission)).where(User.id == actor_id).with_for_update(read=True)
    ):
        raise Refused(Answer.FORBIDDEN)


def _good_for(session: Session, actor_id: int, good_id: int) -> Good:
    """The good, locked, for somebody of staff who does not own it."""
    check_staff(session, actor_id, Permission.GOODS)
    good = lock_good(session, good_id)
    if good.owner_id == actor_id:
        raise Refused(Answer.FORBIDDEN)
    return good


def _record_of_good(session: Session, action: ActionKind, good: Good, *, actor_id: int, reason: str) -> None:
    record_action(
        session,
        action,
        actor_id=actor_id,
        subject=Subject.GOOD,
        subject_id=good.id,
        reason=reason,
        details={"good_status": good.status, "owner_id": good.owner_id},
    )


def _tell(session: Session, user_id: int, title: str, text: str, event: str) -> None:
    notify(session, user_id=user_id, kind=NotificationKind.STAFF, title=title, text=text, event=event)


def add_staff(*, username: str, reason: str, roles: Collection[StaffRole] = BEFORE_ROLES) -> None:
    """Make a user one of staff, with these roles. Raises AppointmentRefused where there is none, or they are already.

    Without `roles` it is what all staff may do but administer each other.
    """
    with transaction() as session:
        user = _named(session, username)
        if user.is_staff:
            raise AppointmentRefused(f"{user.username} is staff already")
        _set_roles(session, user, roles, action=ActionKind.ADD_STAFF, reason=reason)


def change_roles(*, username: str, roles: Collection[StaffRole], reason: str) -> None:
    """Give a member of staff these roles and no others. Raises AppointmentRefused for one who has them, or is none."""
    with transaction() as session:
        user = _named(session, username)
        if not user.is_staff:
            raise AppointmentRefused(f"{user.username} is no staff")
        if set(user.staff_roles) == set(roles):
            raise AppointmentRefused(f"{user.username} has these roles already")
        _set_roles(session, user, roles, action=ActionKind.CHANGE_ROLES, reason=reason)


def remove_staff(*, username: str, reason: str) -> None:
    """Take every role away; they end with this. Raises AppointmentRefused where there is no such member."""
    with transaction() as session:
        user = _named(session, username)
        if not user.is_staff:
            raise AppointmentRefused(f"{user.username} is no staff")
        _set_roles(session, user, (), action=ActionKind.REMOVE_STAFF, reason=reason)


def _named(session: Session, username: str) -> User:
    statement = select(User).where(User.username_key == username_key(username)).with_for_update(key_share=True)
    user = session.scalar(statement.execution_options(populate_existing=True))
    if user is None:
        raise AppointmentRefused(f"there is no user {username}")
    return user


def _set_roles(session: Session, user: User, roles: Collection[StaffRole], *, action: ActionKind, reason: str) -> None:
    before = list(user.staff_roles)
    user.staff_roles = [role.value for role in StaffRole if role in roles]
    user.is_staff = bool(user.staff_roles)
    if not user.is_staff:
        end_staff_sessions(session, user.id)
    record_action(
        session,
        action,
        actor_id=None,
        subject=Subject.USER,
        subject_id=user.id,
        reason=reason,
        details={"before": before, "after": user.staff_roles},
    )
    log.info("staff_roles_changed", user_id=user.id, before=before, after=user.staff_roles)


def record_export(*, actor_id: int, what: str, rows: int, filters: dict[str, Any], reason: str) -> None:
    """Record that a list was taken along as a file: which, how many rows of it, and why."""
    with transaction() as session:
        record_action(
            session,
            ActionKind.EXPORT_LIST,
            actor_id=actor_id,
            subject=Subject.LIST,
            subject_id=0,
            reason=reason,
            details={"list": what, "rows": rows, "filters": {name: each for name, each in filters.items() if each}},
        )
    log.info("list_exported", actor_id=actor_id, list=what, rows=rows)


def record_action(
    session: Session,
    action: ActionKind,
    *,
    actor_id: int | None,
    subject: Subject,
    subject_id: int,
    reason: str,
    details: dict[str, Any],
) -> None:
    """Record what was done, in the caller's transaction; `actor_id` is None for an operator on the command line."""
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
