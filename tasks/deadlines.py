"""The clock: due deadlines, reminders, and payments of which the gateway has not told us."""

from typing import Final

from app.notifications import reminders
from app.orders import deadlines, payments

_ORDERS_PER_RUN: Final = 2000  # a job ends now and then, so that a stopped worker ends soon


def sweep_deadlines() -> None:
    """Periodic: fire every due deadline and send every due reminder."""
    deadlines.fire_due(limit=_ORDERS_PER_RUN)
    reminders.remind_due(limit=_ORDERS_PER_RUN)


def query_payments() -> None:
    """Periodic: ask the gateway about payments that it has not told us of in time."""
    payments.query_due_payments()
