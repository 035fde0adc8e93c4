"""An event that a table of the application forgets stops the import, by name."""

import subprocess
import sys

import pytest

from config import PROJECT_ROOT

# The machine of orders with one rule more, or another one, from before the module under test is imported.
CHANGED_MACHINE = """
import importlib, sys
from dataclasses import replace
import statemachine
from statemachine import Move, OrderEvent, Pot, Role, Rule, TimerEffect, order

def use(*rules):
    order.ORDER = statemachine.ORDER = replace(order.ORDER, rules=rules)
"""
STAFF_EXTEND = """
more = Rule(OrderEvent.EXTEND_RECEIPT, (Role.STAFF,), order.SHIPPED, order.SHIPPED, timers=TimerEffect.KEEP)
use(*order.ORDER.rules, more)
"""
SHIPPING_PAYS = """
paid = (Move(Pot.ESCROW, Pot.SELLER_HELD),)
use(*(replace(rule, moves=paid) if rule.event is OrderEvent.SHIP else rule for rule in order.ORDER.rules))
"""
CANCELLED_IN_TIME = """
import app.notifications.service, app.orders.actions
expire = next(rule for rule in order.ORDER.rules if rule.event is OrderEvent.EXPIRE)
cancel = replace(expire, event=OrderEvent.CANCEL, deadline=replace(expire.deadline, event=OrderEvent.CANCEL))
rules = (cancel if rule is expire else rule for rule in order.ORDER.rules)
use(*rules, replace(expire, by=(Role.STAFF,), deadline=None))
"""


@pytest.mark.parametrize(
    ("change", "module", "message"),
    [
        (STAFF_EXTEND, "app.orders.actions", "EVENT_URLS in app/orders/actions.py: (extend_receipt, staff) is missing"),
        (
            STAFF_EXTEND,
            "app.notifications.texts",
            "NOTIFICATION_TEXTS in app/notifications/texts.py: "
            "(extend_receipt, staff, buyer) is missing; (extend_receipt, staff, seller) is missing",
        ),
        (
            CANCELLED_IN_TIME,
            "app.notifications.reminders",
            "_REMINDERS in app/notifications/reminders.py: cancel is missing; expire is never looked up",
        ),
        (SHIPPING_PAYS, "app.wallet.texts", "KIND_TEXT in app/wallet/texts.py: ship is missing"),
    ],
)
def test_what_a_table_lacks_stops_the_import(change: str, module: str, message: str) -> None:
    code = f"{CHANGED_MACHINE}{change}\nimportlib.import_module({module!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"statemachine.errors.SpecError: {message}"
