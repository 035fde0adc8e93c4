"""The audit: recomputes balances from entries, and the entries from what orders, refunds and payouts say.

It reads one snapshot, so it may run while everything else goes on. PostgreSQL does the work: each check is a query that
returns only the differences.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

from sqlalchemy import ARRAY, Boolean, Connection, SmallInteger, Text, TextClause, bindparam, text

from app.db.database import db
from app.ledger.models import DEBIT_NORMAL, SLOTS, USER_KINDS, AccountKind
from statemachine import ORDER, Pot


class DifferenceKind(StrEnum):
    """The kinds of differences."""

    BALANCE = "balance"
    """An account's balance is not the sum of its entries."""
    CHAIN = "chain"
    """An entry's `balance_after` is not that of the account's entry before it, plus its amount."""
    UNBALANCED = "unbalanced"
    """A transaction has fewer than two entries, or they do not sum to zero."""
    ORPHAN = "orphan"
    """An entry of a transaction or an account that does not exist."""
    TOTALS = "totals"
    """The sum of debit balances is not that of credit balances, or more was paid out than was ever received."""
    MISSING = "missing"
    """A step, refund or payout moved money, and the ledger has no transaction for it."""
    UNEXPECTED = "unexpected"
    """The ledger has a transaction, and there is no step, refund or payout for it."""
    WRONG = "wrong"
    """A transaction moved other amounts, or between other accounts, than its step, refund or payout says."""
    HISTORY = "history"
    """An order's history has a step that is no rule of the machine, or a gap, or does not end at the order's phase."""
    PAYMENTS = "payments"
    """An order's payments and refunds do not match its history."""
    CLEARING = "clearing"
    """The amounts of unfinished refunds or payouts are not the balance of their clearing accounts."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: its kind, what it is about (an account, a transaction's key, an order), and both values."""

    kind: DifferenceKind
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.text}"


@dataclass(frozen=True, slots=True)
class _Check:
    """One query; `sql` returns a row (kind, subject, text) for each difference."""

    title: str
    sql: str


def audit(*, progress: Callable[[str, int, int], None] = lambda _title, _done, _of: None) -> list[Difference]:
    """All differences in what is committed now; empty where there are none.

    `progress(title, done, of)` is called before each check, and once after the last with the title empty.
    """
    return list(_differences(progress))


def _differences(progress: Callable[[str, int, int], None]) -> Iterator[Difference]:
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with db.engine.connect().execution_options(**options) as connection:
        # The checks read whole tables, so they may take longer than the limit for requests.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        for done, check in enumerate(_CHECKS):
            progress(check.title, done, len(_CHECKS))
            yield from _run(connection, check)
        connection.rollback()
    progress("", len(_CHECKS), len(_CHECKS))


def _run(connection: Connection, check: _Check) -> Iterator[Difference]:
    rows = connection.execution_options(yield_per=1000).execute(*_statement(check))
    for kind, subject, words in rows:
        yield Difference(DifferenceKind(kind), subject, words)


@cache
def _statement(check: _Check) -> tuple[TextClause, dict[str, Any]]:
    """The check's query and what it is executed with."""
    names = text(check.sql).compile().params
    statement = text(check.sql).bindparams(*(_PARAMETERS[name][0] for name in names))
    return statement, {name: _PARAMETERS[name][1] for name in names}


_ACCOUNTS: Final = {
    Pot.GATEWAY: AccountKind.GATEWAY_CLEARING,
    Pot.ESCROW: AccountKind.ESCROW,
    Pot.SELLER_HELD: AccountKind.SELLER_HELD,
    Pot.SELLER_AVAILABLE: AccountKind.SELLER_AVAILABLE,
}


def _moves() -> dict[str, list[Any]]:
    """The rules of the order's machine as columns: a row for each move of money, one without accounts where none is."""
    columns: dict[str, list[Any]] = {name: [] for name in _MOVE_COLUMNS}
    for rule in ORDER.rules:
        for role in rule.by:
            # Money goes back to the gateway by way of refund_clearing, until the gateway confirms the refund.
            moves: list[tuple[str | None, str | None]] = [
                (
                    _ACCOUNTS[Pot(move.source)].value,
                    AccountKind.REFUND_CLEARING if move.target == Pot.GATEWAY else _ACCOUNTS[Pot(move.target)],
                )
                for move in rule.moves
            ]
            for source, target in moves or [(None, None)]:
                row = (str(rule.event), str(role), *rule.source, *rule.target, source, target)
                for name, value in zip(_MOVE_COLUMNS, row, strict=True):
                    columns[name].append(value)
    return columns


_MOVE_COLUMNS: Final[dict[str, Any]] = {
    "events": Text,
    "roles": Text,
    "from_bills": SmallInteger,
    "from_orders": SmallInteger,
    "from_closeds": Boolean,
    "to_bills": SmallInteger,
    "to_orders": SmallInteger,
    "to_closeds": Boolean,
    "sources": Text,
    "targets": Text,
}

_PARAMETERS: Final[dict[str, tuple[Any, Any]]] = {
    **{name: (bindparam(name, type_=ARRAY(_MOVE_COLUMNS[name])), values) for name, values in _moves().items()},
    "debit_normal": (bindparam("debit_normal", type_=ARRAY(Text)), [kind.value for kind in DEBIT_NORMAL]),
    "user_kinds": (bindparam("user_kinds", type_=ARRAY(Text)), [kind.value for kind in USER_KINDS]),
    "slots": (bindparam("slots"), SLOTS),
}

_RULES: Final = """
    rules AS (
        SELECT * FROM unnest(:events, :roles, :from_bills, :from_orders, :from_closeds, :to_bills, :to_orders,
            :to_closeds, :sources, :targets) AS rule (event, role, from_bill, from_order, from_closed, to_bill,
            to_order, to_closed, source, target)
    )"""

_ACCOUNT_NAME: Final = """account.kind || CASE WHEN account.user_id IS NULL THEN ' slot ' || account.slot
    ELSE ' of user ' || account.user_id END"""

# The transfers that there must be for the steps of orders, late payments, refunds and payouts.
_HAPPENED: Final = f"""
    {_RULES.strip()}, happened AS (
        SELECT concat_ws(':', 'order', step.order_id, step.sequence, step.event) AS key, step.event::text AS kind,
            step.order_id, orders.seller_id AS user_id, step.order_id % :slots AS slot, rules.source, rules.target,
            orders.amount
        FROM order_events AS step JOIN orders ON orders.id = step.order_id
        JOIN rules ON rules.source IS NOT NULL AND rules.event = step.event AND rules.role = step.role
            AND rules.from_bill = step.from_bill AND rules.from_order = step.from_order
            AND rules.to_bill = step.to_bill AND rules.to_order = step.to_order AND rules.to_closed = step.closed
        UNION ALL
        SELECT concat_ws(':', 'payment', payments.id, 'late'), 'payment_late', payments.order_id, NULL,
            payments.order_id % :slots, 'gateway_clearing', 'refund_clearing', payments.amount
        FROM refunds JOIN payments ON payments.id = refunds.payment_id WHERE refunds.reason = 'payment_late'
        UNION ALL
        SELECT concat_ws(':', 'refund', refunds.id), 'refund_confirmed', payments.order_id, NULL,
            payments.order_id % :slots, 'refund_clearing', 'gateway_clearing', refunds.amount
        FROM refunds JOIN payments ON payments.id = refunds.payment_id WHERE refunds.state = 'confirmed'
        UNION ALL
        SELECT concat_ws(':', 'payout', payouts.id, word), 'payout_' || word, NULL, payouts.user_id,
            payouts.user_id % :slots, source, target, payouts.amount
        FROM payouts JOIN (VALUES
            ('requested', NULL, 'seller_available', 'payout_clearing'),
            ('confirmed', 'confirmed', 'payout_clearing', 'paid_out'),
            ('failed', 'failed', 'payout_clearing', 'seller_available')
        ) AS move (word, state, source, target) ON move.state IS NULL OR move.state = payouts.state
    )"""  # noqa: S608 - put together from constants

# The entries of those transfers (due) are compared with the entries in the ledger (booked). The platform's fee counts
# as the seller's entry, of which it was taken.
_COMPARED: Final = f"""
    WITH {_HAPPENED.strip()}, due AS (
        SELECT key, kind, order_id, side.account_kind,
            CASE WHEN side.account_kind = ANY(:user_kinds) THEN user_id END AS user_id,
            CASE WHEN side.account_kind = ANY(:user_kinds) THEN 0 ELSE slot END AS slot,
            sum(side.sign * amount) AS amount
        FROM happened CROSS JOIN LATERAL (VALUES (source, 1), (target, -1)) AS side (account_kind, sign)
        GROUP BY 1, 2, 3, 4, 5, 6
    ), written AS (
        SELECT entry.transaction_id, entry.amount,
            CASE WHEN is_fee THEN 'seller_available' ELSE account.kind END AS account_kind,
            CASE WHEN is_fee THEN orders.seller_id ELSE account.user_id END AS user_id,
            CASE WHEN is_fee THEN 0 ELSE account.slot END AS slot
        FROM ledger_entries AS entry JOIN ledger_accounts AS account ON account.id = entry.account_id
        CROSS JOIN LATERAL (SELECT account.kind = 'platform_fee' AS is_fee)
        LEFT JOIN ledger_transactions AS fee ON is_fee AND fee.id = entry.transaction_id
        LEFT JOIN orders ON is_fee AND orders.id = fee.order_id
    ), booked AS (
        SELECT key, kind, order_id, account_kind, user_id, slot, sum(amount) AS amount
        FROM ledger_transactions AS posting LEFT JOIN written ON written.transaction_id = posting.id
        GROUP BY 1, 2, 3, 4, 5, 6
    ), different AS (
        SELECT coalesce(due.key, booked.key) AS key,
            CASE WHEN due.key IS NOT NULL
                THEN concat_ws(' ', due.kind, 'of order ' || due.order_id, due.account_kind, 'of user ' || due.user_id,
                    'slot ' || due.slot, due.amount) END AS wanted,
            CASE WHEN booked.key IS NOT NULL
                THEN concat_ws(' ', booked.kind, 'of order ' || booked.order_id, booked.account_kind,
                    'of user ' || booked.user_id, 'slot ' || booked.slot, booked.amount) END AS found
        FROM due FULL JOIN booked ON booked.key = due.key AND booked.account_kind = due.account_kind
            AND booked.slot = due.slot AND coalesce(booked.user_id, 0) = coalesce(due.user_id, 0)
        WHERE (due.kind, due.order_id, due.amount) IS DISTINCT FROM (booked.kind, booked.order_id, booked.amount)
    )
    SELECT CASE
            WHEN NOT EXISTS (SELECT FROM ledger_transactions WHERE key = different.key) THEN 'missing'
            WHEN NOT EXISTS (SELECT FROM happened WHERE key = different.key) THEN 'unexpected'
            ELSE 'wrong'
        END,
        key,
        'it should be: ' || coalesce(string_agg(wanted, '; ' ORDER BY wanted), 'nothing')
            || ', the ledger has: ' || coalesce(string_agg(found, '; ' ORDER BY found), 'nothing')
    FROM different GROUP BY key ORDER BY key
"""  # noqa: S608 - put together from constants

_CHECKS: Final = (
    _Check(
        "balances against entries",
        f"""
        SELECT 'balance', {_ACCOUNT_NAME}, 'the balance is ' || account.balance || ', the entries come to ' || total
        FROM ledger_accounts AS account LEFT JOIN (
            SELECT account_id, sum(amount) AS debits FROM ledger_entries GROUP BY account_id
        ) AS entries ON entries.account_id = account.id
        CROSS JOIN LATERAL (
            SELECT CASE WHEN account.kind = ANY(:debit_normal) THEN coalesce(debits, 0) ELSE -coalesce(debits, 0) END
        ) AS recomputed (total)
        WHERE account.balance <> total ORDER BY account.id
        """,  # noqa: S608 - put together from constants
    ),
    _Check(
        "each entry's balance",
        f"""
        SELECT 'chain', {_ACCOUNT_NAME}, 'entry ' || link.id || ' of ' || link.amount || ' left ' || link.balance_after
            || ', before it there was ' || link.before
        FROM (
            SELECT id, account_id, amount, balance_after,
                lag(balance_after, 1, 0::bigint) OVER (PARTITION BY account_id ORDER BY id) AS before
            FROM ledger_entries
        ) AS link JOIN ledger_accounts AS account ON account.id = link.account_id
        WHERE link.balance_after <> link.before
            + CASE WHEN account.kind = ANY(:debit_normal) THEN link.amount ELSE -link.amount END
        ORDER BY link.id
        """,  # noqa: S608 - put together from constants
    ),
    _Check(
        "transactions sum to zero",
        """
        SELECT 'unbalanced', posting.key, coalesce(parts, 0) || ' entries sum to ' || coalesce(total, 0)
        FROM ledger_transactions AS posting LEFT JOIN (
            SELECT transaction_id, count(*) AS parts, sum(amount) AS total FROM ledger_entries GROUP BY transaction_id
        ) AS entries ON entries.transaction_id = posting.id
        WHERE coalesce(parts, 0) < 2 OR total <> 0 ORDER BY posting.id
        """,
    ),
    _Check(
        "entries belong somewhere",
        """
        SELECT 'orphan', 'entry ' || entry.id, CASE WHEN posting.id IS NULL
            THEN 'there is no transaction ' || entry.transaction_id ELSE 'there is no account ' || entry.account_id END
        FROM ledger_entries AS entry LEFT JOIN ledger_transactions AS posting ON posting.id = entry.transaction_id
        LEFT JOIN ledger_accounts AS account ON account.id = entry.account_id
        WHERE posting.id IS NULL OR account.id IS NULL ORDER BY entry.id
        """,
    ),
    _Check(
        "totals",
        """
        SELECT 'totals', subject, words FROM (
            SELECT coalesce(sum(balance) FILTER (WHERE kind = ANY(:debit_normal)), 0) AS debit,
                coalesce(sum(balance) FILTER (WHERE NOT kind = ANY(:debit_normal)), 0) AS credit,
                coalesce(sum(balance) FILTER (WHERE kind = 'paid_out'), 0) AS paid_out
            FROM ledger_accounts
        ) AS sums CROSS JOIN LATERAL (VALUES
            ('all accounts', debit <> credit, 'debit balances are ' || debit || ', credit balances ' || credit),
            ('paid_out', paid_out > debit, paid_out || ' were paid out, the gateway ever held ' || debit)
        ) AS verdict (subject, is_wrong, words) WHERE is_wrong
        """,
    ),
    _Check("what happened against what was booked", _COMPARED),
    _Check(
        "histories",
        f"""
        WITH {_RULES.strip()}, steps AS (
            SELECT step.*, count(*) OVER whole AS length, row_number() OVER (whole ORDER BY sequence) AS place,
                lag(to_bill) OVER (whole ORDER BY sequence) AS before_bill,
                lag(to_order) OVER (whole ORDER BY sequence) AS before_order
            FROM order_events AS step WINDOW whole AS (PARTITION BY order_id)
        ), ends AS (
            SELECT orders.*, steps.to_bill, steps.to_order, steps.closed AS step_closed, coalesce(length, 0) AS length
            FROM orders LEFT JOIN steps ON steps.order_id = orders.id AND steps.place = steps.length
        )
        SELECT 'history', 'order ' || order_id, 'step ' || sequence || ' (' || event || ' by ' || role || ') from '
            || concat_ws(',', from_bill, from_order) || ' to ' || concat_ws(',', to_bill, to_order)
            || ' after ' || coalesce(before_bill || ',' || before_order, 'nothing')
        FROM steps WHERE place <> sequence OR (from_bill, from_order) IS DISTINCT FROM (before_bill, before_order)
            OR (place > 1 AND NOT EXISTS (
                SELECT FROM rules WHERE rules.event = steps.event AND rules.role = steps.role
                    AND rules.from_bill = steps.from_bill AND rules.from_order = steps.from_order
                    AND rules.to_bill = steps.to_bill AND rules.to_order = steps.to_order
                    AND rules.to_closed = steps.closed
            ))
        UNION ALL
        SELECT 'history', 'order ' || id, 'stands at ' || concat_ws(',', bill_status, order_status, closed)
            || ' after ' || history_length || ' steps, its history ends at '
            || concat_ws(',', to_bill, to_order, step_closed) || ' after ' || length
        FROM ends WHERE length <> history_length
            OR (bill_status, order_status, closed) IS DISTINCT FROM (to_bill, to_order, step_closed)
        """,  # noqa: S608 - put together from constants
    ),
    _Check(
        "payments and refunds",
        """
        SELECT 'payments', 'order ' || orders.id, 'payments: ' || paid || ' paid, ' || late || ' of them paid back as'
            || ' late; the history has ' || funded || ' payments and ' || sent_back || ' refunds, there are '
            || refunded || ' refunds; amounts that differ: ' || odd
        FROM orders LEFT JOIN (
            SELECT payments.order_id, count(*) FILTER (WHERE payments.paid_at IS NOT NULL) AS paid,
                count(*) FILTER (WHERE refunds.reason = 'payment_late') AS late,
                count(*) FILTER (WHERE refunds.reason <> 'payment_late') AS refunded,
                count(*) FILTER (WHERE refunds.amount <> payments.amount OR payments.amount <> orders.amount) AS odd
            FROM payments JOIN orders ON orders.id = payments.order_id
            LEFT JOIN refunds ON refunds.payment_id = payments.id GROUP BY payments.order_id
        ) AS at_gateway ON at_gateway.order_id = orders.id LEFT JOIN (
            SELECT order_id, count(*) FILTER (WHERE event = 'pay') AS funded, count(*) FILTER (WHERE to_bill = 5)
                AS sent_back FROM order_events GROUP BY order_id
        ) AS steps ON steps.order_id = orders.id
        WHERE coalesce(paid, 0) <> coalesce(funded, 0) + coalesce(late, 0)
            OR coalesce(refunded, 0) <> coalesce(sent_back, 0) OR coalesce(odd, 0) > 0
        ORDER BY orders.id
        """,
    ),
    _Check(
        "money under way",
        """
        WITH held AS (SELECT kind, sum(balance) AS balance FROM ledger_accounts GROUP BY kind)
        SELECT 'clearing', kind, 'the accounts hold ' || coalesce(balance, 0) || ', ' || what || ' come to ' || due
        FROM (
            SELECT 'refund_clearing', 'unconfirmed refunds', coalesce(sum(amount), 0) FROM refunds
            WHERE state <> 'confirmed'
            UNION ALL
            SELECT 'payout_clearing', 'pending payouts', coalesce(sum(amount), 0) FROM payouts WHERE state = 'pending'
            UNION ALL
            SELECT 'paid_out', 'confirmed payouts', coalesce(sum(amount), 0) FROM payouts WHERE state = 'confirmed'
        ) AS under_way (kind, what, due) LEFT JOIN held USING (kind)
        WHERE coalesce(balance, 0) <> due
        """,
    ),
)
