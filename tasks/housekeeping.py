"""What is only kept for a while goes."""

from app import idempotency
from app.clock import utcnow


def purge_idempotency_keys() -> None:
    """Periodic: delete kept answers that nobody gets any more."""
    idempotency.purge(before=utcnow() - idempotency.RETENTION)
