"""Periodic jobs that delete what is kept for a limited time."""

from app import idempotency
from app.accounts import sessions
from app.clock import utcnow
from app.orders import notification_records
from app.pictures.service import collect_pictures
from app.recovery import codes


def purge_idempotency_keys() -> None:
    """Periodic: delete the answers kept under idempotency keys that have expired."""
    idempotency.purge(before=utcnow() - idempotency.RETENTION)


def purge_refused_notifications() -> None:
    """Periodic: delete old notifications that were refused, because the gateway had not sent them."""
    notification_records.purge_refused_notifications()


def purge_sessions() -> None:
    """Periodic: delete the rows of sessions whose tokens have all expired."""
    sessions.purge_sessions()


def collect_unused_pictures() -> None:
    """Periodic: delete pictures that nothing shows any more."""
    collect_pictures()


def purge_one_time_codes() -> None:
    """Periodic: delete the codes that are over."""
    codes.purge_codes()
