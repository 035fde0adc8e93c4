"""Refunds and payouts: jobs that ask the gateway, outside any request. The outbox retries them (`tasks.outbox`)."""

from app.money import refunds
from app.wallet import service as wallet


def send_refund(refund_id: int) -> None:
    """Ask the gateway to pay a refund; asking again for the same one is harmless."""
    refunds.send_refund(refund_id=refund_id)


def send_payout(payout_id: int) -> None:
    """Ask the gateway to pay a withdrawal out; asking again for the same one is harmless."""
    wallet.send_payout(payout_id=payout_id)
