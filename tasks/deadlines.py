"""Periodic jobs about time: due deadlines, due reminders, payments whose outcome the gateway has not sent in time."""

from typing import Final

from app.notifications import reminders
from app.orders import deadlines, payments

_ORDERS_PER_RUN: Final = 2000  # bounds a job's run time, so that a worker told to stop ends soon


def sweep_deadlines() -> None:
    """Periodic: fire every due deadline and send every due reminder."""
    deadlines.fire_due(limit=_ORDERS_PER_RUN)
    reminders.remind_due(limit=_ORDERS_PER_RUN)


def query_payments() -> None:
    """Periodic: ask the gateway about payments whose outcome it has not sent in time."""
    payments.query_due_payments()


def check_paid_trades() -> None:
    """Periodic: ask the gateway whether trades of orders that go on were refunded there without us."""
    payments.check_paid_trades()
