"""Money on its way back: the gateway is asked outside any request."""

from app.money import service as money
from tasks.queues import QueueName, enqueue


def enqueue_refund(refund_id: int) -> None:
    """Queue asking the gateway for the refund."""
    enqueue(QueueName.DEFAULT, send_refund_job, refund_id)


def send_refund_job(refund_id: int) -> None:
    """Ask the gateway; asking again for the same refund is harmless."""
    money.send_refund(refund_id=refund_id)


def sweep_pending_refunds() -> None:
    """Periodic: ask again for refunds that the gateway has not confirmed."""
    money.request_pending_refunds()
