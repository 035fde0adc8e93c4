"""Periodic jobs for what has a limited time: rows that are kept for it, users who are suspended for it."""

from app import idempotency
from app.accounts import sessions
from app.clock import utcnow
from app.orders import notification_records
from app.pictures.service import collect_pictures
from app.recovery import codes
from app.staff import service as staff
from app.staff.sessions import purge_staff_sessions


def purge_idempotency_keys() -> None:
    """Periodic: delete the answers kept under idempotency keys that have expired."""
    idempotency.purge(before=utcnow() - idempotency.RETENTION)


def lift_ended_suspensions() -> None:
    """Periodic: let users in again, and their goods back, when the time of their suspension is over."""
    staff.lift_ended_suspensions()


def purge_refused_notifications() -> None:
    """Periodic: delete old notifications that were refused, because the gateway had not sent them."""
    notification_records.purge_refused_notifications()


def purge_sessions() -> None:
    """Periodic: delete the rows of sessions whose tokens have all expired, and of staff's that are long over."""
    sessions.purge_sessions()
    purge_staff_sessions()


def collect_unused_pictures() -> None:
    """Periodic: delete pictures that nothing shows any more."""
    collect_pictures()


def purge_one_time_codes() -> None:
    """Periodic: delete the codes that are over."""
    codes.purge_codes()
