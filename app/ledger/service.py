"""The one function that writes the ledger, `post`, and the values that describe what to write.

    post(
        session,
        [
            Posting(
                key=f"order:{order.id}:{sequence}:receive",
                kind="receive",
                order_id=order.id,
                transfers=(
                    Transfer(
                        order_account(AccountKind.ESCROW, order.id),
                        user_account(AccountKind.SELLER_HELD, order.seller_id),
                        order.amount,
                    ),
                ),
            )
        ],
        at=now,
    )

To exclude deadlocks, accounts are locked last, after goods and orders, and in the order of their ids. So everything
that one database transaction moves has to be posted in one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.errors import Diagnostic
from sqlalchemy import BigInteger, SmallInteger, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.ledger.models import (
    BALANCE_AFTER_CHECK,
    BALANCE_CHECK,
    DEBIT_NORMAL,
    KEY_UNIQUE,
    SLOTS,
    USER_KINDS,
    AccountKind,
)


class InsufficientFunds(Exception):  # noqa: N818 - says what happened
    """An account's balance would become negative. The database transaction is aborted and must be rolled back."""


class AlreadyPosted(Exception):  # noqa: N818 - says what happened
    """A posting's key is in the ledger already. The database transaction is aborted and must be rolled back."""


@dataclass(frozen=True, slots=True)
class AccountRef:
    """Names an account, which is created when it is first used; made by `order_account` and its like."""

    kind: AccountKind
    user_id: int | None
    slot: int


def order_account(kind: AccountKind, order_id: int) -> AccountRef:
    """The shared account of `kind` for this order's money."""
    return _shared_account(kind, order_id)


def payout_account(kind: AccountKind, user_id: int) -> AccountRef:
    """The shared account of `kind` for this user's withdrawals."""
    return _shared_account(kind, user_id)


def user_account(kind: AccountKind, user_id: int) -> AccountRef:
    """The user's own account of `kind`: seller_held or seller_available."""
    if kind not in USER_KINDS:
        raise ValueError(f"{kind} is no user's account")
    return AccountRef(kind, user_id, 0)


def _shared_account(kind: AccountKind, spread_by: int) -> AccountRef:
    if kind in USER_KINDS:
        raise ValueError(f"{kind} is a user's account")
    return AccountRef(kind, None, spread_by % SLOTS)


@dataclass(frozen=True, slots=True)
class Transfer:
    """`amount` fen (> 0) from `source` to `target`: debits `source`, credits `target`."""

    source: AccountRef
    target: AccountRef
    amount: int

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError(f"a transfer moves at least one fen, not {self.amount}")
        if self.source == self.target:
            raise ValueError(f"a transfer goes somewhere else than {self.source}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One ledger transaction. `key` names its cause and can be used once:

    `order:{order_id}:{history sequence}:{event}`, `refund:{refund_id}`, `payment:{payment_id}:late`,
    `payout:{payout_id}:requested|confirmed|failed`. `kind` is the name of the event that caused it, by which
    `app.wallet.texts` finds the text of a user's entry.
    """

    key: str
    kind: str
    order_id: int | None
    transfers: tuple[Transfer, ...]

    def __post_init__(self) -> None:
        if not self.amounts():
            raise ValueError(f"the posting {self.key} moves nothing")

    def amounts(self) -> dict[AccountRef, int]:
        """The entries: for each account whose sum is not zero its amount, debit positive, credit negative."""
        sums: dict[AccountRef, int] = {}
        for transfer in self.transfers:
            sums[transfer.source] = sums.get(transfer.source, 0) + transfer.amount
            sums[transfer.target] = sums.get(transfer.target, 0) - transfer.amount
        return {account: amount for account, amount in sums.items() if amount}


# All rows are locked in the order of their ids before the first is changed: two postings over the same accounts wait
# for each other, but never deadlock. Where an account does not exist yet nothing is locked either: who holds an account
# while it opens another waits for him who has just opened that one and now wants the first.
_CHANGE: Final = text("""
    WITH wanted AS (
        SELECT * FROM unnest(:kinds, :users, :slots, :changes) AS wanted (kind, user_id, slot, change)
    ), found AS (
        SELECT account.id, wanted.change
        FROM wanted JOIN ledger_accounts AS account
            ON account.kind = wanted.kind AND account.slot = wanted.slot
            AND (account.user_id = wanted.user_id OR (account.user_id IS NULL AND wanted.user_id IS NULL))
    ), locked AS MATERIALIZED (
        SELECT account.id, found.change
        FROM found JOIN ledger_accounts AS account ON account.id = found.id
        WHERE (SELECT count(*) FROM found) = cardinality(:kinds)
        ORDER BY account.id
        FOR UPDATE OF account
    )
    UPDATE ledger_accounts AS account SET balance = account.balance + locked.change
    FROM locked
    WHERE account.id = locked.id
    RETURNING account.id, account.kind, account.user_id, account.slot, account.balance
""").bindparams(
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("users", type_=ARRAY(BigInteger)),
    bindparam("slots", type_=ARRAY(SmallInteger)),
    bindparam("changes", type_=ARRAY(BigInteger)),
)

_OPEN: Final = text("""
    INSERT INTO ledger_accounts (kind, user_id, slot, balance)
    SELECT kind, user_id, slot, 0 FROM unnest(:kinds, :users, :slots) AS wanted (kind, user_id, slot)
    ORDER BY kind, user_id, slot
    ON CONFLICT DO NOTHING
""").bindparams(
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("users", type_=ARRAY(BigInteger)),
    bindparam("slots", type_=ARRAY(SmallInteger)),
)

_WRITE: Final = text("""
    WITH written AS (
        INSERT INTO ledger_transactions (key, kind, order_id, at)
        SELECT key, kind, order_id, :at
        FROM unnest(:keys, :kinds, :orders) WITH ORDINALITY AS posting (key, kind, order_id, place)
        ORDER BY place
        RETURNING id, key
    )
    INSERT INTO ledger_entries (transaction_id, account_id, amount, balance_after)
    SELECT written.id, entry.account_id, entry.amount, entry.balance_after
    FROM unnest(:entry_keys, :accounts, :amounts, :balances) WITH ORDINALITY
        AS entry (key, account_id, amount, balance_after, place)
    JOIN written ON written.key = entry.key
    ORDER BY entry.place
""").bindparams(
    bindparam("keys", type_=ARRAY(Text)),
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("orders", type_=ARRAY(BigInteger)),
    bindparam("entry_keys", type_=ARRAY(Text)),
    bindparam("accounts", type_=ARRAY(BigInteger)),
    bindparam("amounts", type_=ARRAY(BigInteger)),
    bindparam("balances", type_=ARRAY(BigInteger)),
)


def post(session: Session, postings: Sequence[Posting], *, at: datetime) -> None:
    """Write `postings`, in their order, and change the balances, in the caller's transaction.

    Executes two SQL statements, however many postings there are; four when an account is used for the first time.
    Raises InsufficientFunds where a posting would make a balance negative, AlreadyPosted where a key was used before;
    both leave the database transaction aborted, so that nothing of it can be committed.
    """
    if not postings:
        return
    entries = [(posting.key, account, amount) for posting in postings for account, amount in posting.amounts().items()]
    changes: dict[AccountRef, int] = {}
    for _, account, amount in entries:
        changes[account] = changes.get(account, 0) + _change(account, amount)
    try:
        accounts = _move(session, changes)
        balances = {account: balance - changes[account] for account, (_, balance) in accounts.items()}
        balances_after = []
        for _, account, amount in entries:
            balances[account] += _change(account, amount)
            balances_after.append(balances[account])
        session.execute(
            _WRITE,
            {
                "at": at,
                "keys": [posting.key for posting in postings],
                "kinds": [posting.kind for posting in postings],
                "orders": [posting.order_id for posting in postings],
                "entry_keys": [key for key, _, _ in entries],
                "accounts": [accounts[account][0] for _, account, _ in entries],
                "amounts": [amount for _, _, amount in entries],
                "balances": balances_after,
            },
        )
    except IntegrityError as error:
        constraint = _diagnostic(error).constraint_name
        if constraint in (BALANCE_CHECK, BALANCE_AFTER_CHECK):
            raise InsufficientFunds(", ".join(posting.key for posting in postings)) from error
        if constraint == KEY_UNIQUE:
            raise AlreadyPosted(", ".join(posting.key for posting in postings)) from error
        raise


def _change(account: AccountRef, amount: int) -> int:
    """How an entry of `amount` (debit positive) changes the account's balance."""
    return amount if account.kind in DEBIT_NORMAL else -amount


def _move(session: Session, changes: dict[AccountRef, int]) -> dict[AccountRef, tuple[int, int]]:
    """Lock the accounts and change their balances; returns each one's id and new balance."""
    parameters = {
        "kinds": [account.kind.value for account in changes],
        "users": [account.user_id for account in changes],
        "slots": [account.slot for account in changes],
    }
    rows = session.execute(_CHANGE, {**parameters, "changes": list(changes.values())}).all()
    if not rows:
        session.execute(_OPEN, parameters)
        rows = session.execute(_CHANGE, {**parameters, "changes": list(changes.values())}).all()
    return {AccountRef(AccountKind(row.kind), row.user_id, row.slot): (row.id, row.balance) for row in rows}


def _diagnostic(error: IntegrityError) -> Diagnostic:
    """What PostgreSQL says about the error."""
    diagnostic: Diagnostic = error.orig.diag  # type: ignore[union-attr] # psycopg's, the only driver here
    return diagnostic
