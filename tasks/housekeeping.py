"""What is only kept for a while goes."""

from app import idempotency
from app.clock import utcnow
from app.orders import payments


def purge_idempotency_keys() -> None:
    """Periodic: delete kept answers that nobody gets any more."""
    idempotency.purge(before=utcnow() - idempotency.RETENTION)


def purge_refused_notifications() -> None:
    """Periodic: delete what the gateway did not send."""
    payments.purge_refused_notifications()
