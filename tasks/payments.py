"""Refunds and payouts: jobs that ask the gateway, outside any request. The outbox retries them (`tasks.outbox`)."""

from datetime import timedelta
from typing import Final

from app.cases.stuck import open_missing_cases
from app.clock import utcnow
from app.db.transactions import transaction
from app.money import refunds
from app.orders import reconciliation
from app.outbox.models import Topic
from app.outbox.service import revive_exhausted
from app.wallet import service as wallet

_PAUSE: Final = timedelta(hours=1)


def send_refund(refund_id: int) -> None:
    """Ask the gateway to pay a refund; asking again for the same one is harmless."""
    refunds.send_refund(refund_id=refund_id)


def send_payout(payout_id: int) -> None:
    """Ask the gateway to pay a withdrawal out; asking again for the same one is harmless."""
    wallet.send_payout(payout_id=payout_id)


def ask_again() -> None:
    """Periodic: go on asking about refunds and payouts whose attempts ran out before the gateway's last word.

    What was given up for good becomes a case for staff, if it is none.
    """
    died_before = utcnow() - _PAUSE
    with transaction() as session:
        revive_exhausted(session, (Topic.PAYMENT_REFUND, Topic.PAYOUT), died_before=died_before)
    with transaction() as session:
        open_missing_cases(session, died_before=died_before)


def reconcile_bills() -> None:
    """Periodic: fetch the bills that are due, compare them with our books, and tell of differences."""
    reconciliation.reconcile_due_days()
