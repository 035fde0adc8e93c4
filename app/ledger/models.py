"""Ledger accounts, transactions and entries. Amounts are fen.

Debit is positive, credit negative: the entries of a transaction sum to zero, and so do all entries together. Triggers
of the database refuse whatever would break that. Its owner can switch them off, so `flask ledger audit` checks it, too.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
    event,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.append_only import append_only
from app.db.columns import Base, fen, intpk, moment, not_negative, table_args


class AccountKind(StrEnum):
    """What an account's money is."""

    GATEWAY_CLEARING = "gateway_clearing"
    """Received by the payment gateway and not refunded."""
    ESCROW = "escrow"
    """Paid by buyers; it is not decided yet whether sellers get it."""
    SELLER_HELD = "seller_held"
    """A seller's proceeds until the after-sale window ends."""
    SELLER_AVAILABLE = "seller_available"
    """What a seller may withdraw."""
    REFUND_CLEARING = "refund_clearing"
    """To be refunded to buyers; the gateway has not confirmed it yet."""
    PAYOUT_CLEARING = "payout_clearing"
    """Withdrawn by sellers; the gateway has not confirmed it yet."""
    PAID_OUT = "paid_out"
    """Withdrawn, and confirmed by the gateway. Not booked to gateway_clearing, each of whose rows must stay at or above
    zero."""
    PLATFORM_FEE = "platform_fee"
    """The platform's share of settled orders (PLATFORM_FEE_BASIS_POINTS)."""


DEBIT_NORMAL: Final = frozenset({AccountKind.GATEWAY_CLEARING})
"""The kinds whose balance a debit raises: assets. That of all others is raised by a credit."""

USER_KINDS: Final = frozenset({AccountKind.SELLER_HELD, AccountKind.SELLER_AVAILABLE})
"""The kinds of which each user has one."""

SLOTS: Final = 16
"""How many rows each kind that is no user's is split into, so that not all orders wait for the lock of the same row."""

BALANCE_CHECK: Final = "ck_ledger_accounts_balance_not_negative"
BALANCE_AFTER_CHECK: Final = "ck_ledger_entries_balance_after_not_negative"
KEY_UNIQUE: Final = "uq_ledger_transactions_key"


def _quoted(kinds: frozenset[AccountKind] | type[AccountKind]) -> str:
    return ", ".join(f"'{kind.value}'" for kind in AccountKind if kind in kinds)


class LedgerAccount(Base):
    """One account and its balance in fen, on its kind's normal side. Only `app.ledger.service.post` changes it."""

    __tablename__ = "ledger_accounts"
    __table_args__ = table_args(
        not_negative("balance"),
        CheckConstraint(f"kind IN ({_quoted(AccountKind)})", name="kind_known"),
        CheckConstraint(f"(kind IN ({_quoted(USER_KINDS)})) = (user_id IS NOT NULL)", name="user_where_personal"),
        CheckConstraint(
            f"slot >= 0 AND slot < {SLOTS} AND (user_id IS NULL OR slot = 0)",
            name="slot_known",
        ),
        UniqueConstraint("kind", "slot", "user_id", postgresql_nulls_not_distinct=True),
        Index("ix_ledger_accounts_user_id", "user_id"),
    )

    id: Mapped[intpk]
    kind: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("users.id"))
    slot: Mapped[int] = mapped_column(SmallInteger)
    balance: Mapped[fen]


class LedgerTransaction(Base):
    """One movement of money. `key` names its cause, so that it is written once; `kind` is the event that caused it."""

    __tablename__ = "ledger_transactions"
    __table_args__ = table_args(Index("ix_ledger_transactions_order_id", "order_id"))

    id: Mapped[intpk]
    key: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(30))
    # No foreign key: checking it would wait for a lock of the order while accounts are locked. The audit checks it.
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[moment]


class LedgerEntry(Base):
    """One account's part in a transaction: debit positive, credit negative; and the account's balance after it."""

    __tablename__ = "ledger_entries"
    __table_args__ = table_args(
        CheckConstraint("amount <> 0", name="amount_not_zero"),
        not_negative("balance_after"),
        Index("ix_ledger_entries_account_id_id", "account_id", "id"),
        Index("ix_ledger_entries_transaction_id", "transaction_id"),
    )

    id: Mapped[intpk]
    transaction_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_transactions.id"))
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("ledger_accounts.id"))
    amount: Mapped[fen]
    balance_after: Mapped[fen]


_TRANSACTIONS: Final = Base.metadata.tables[LedgerTransaction.__tablename__]
_ENTRIES: Final = Base.metadata.tables[LedgerEntry.__tablename__]

append_only(_TRANSACTIONS)
append_only(_ENTRIES)

_BALANCED = """
CREATE OR REPLACE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked bigint;
    entries bigint;
    total numeric;
BEGIN
    IF TG_TABLE_NAME = 'ledger_transactions' THEN
        checked := NEW.id;
    ELSE
        checked := NEW.transaction_id;
    END IF;
    SELECT count(*), sum(amount) INTO entries, total FROM ledger_entries WHERE transaction_id = checked;
    IF entries < 2 OR total <> 0 THEN
        RAISE EXCEPTION 'ledger transaction % is not balanced: % entries, sum %', checked, entries, coalesce(total, 0)
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_transaction_balanced', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$$
"""

# The check is deferred to the commit, when all entries are there. refuse_change is append_only's function.
_STATEMENTS: Final = (
    (_TRANSACTIONS, _BALANCED),
    (
        _TRANSACTIONS,
        "CREATE CONSTRAINT TRIGGER ledger_transactions_balanced AFTER INSERT ON ledger_transactions "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced()",
    ),
    (
        _ENTRIES,
        "CREATE CONSTRAINT TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced()",
    ),
    # Of an account only the balance may change. When the table of entries is created, that of accounts exists.
    (
        _ENTRIES,
        "CREATE TRIGGER ledger_accounts_fixed BEFORE DELETE OR UPDATE OF id, kind, user_id, slot ON ledger_accounts "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    ),
    (
        _ENTRIES,
        "CREATE TRIGGER ledger_accounts_no_truncate BEFORE TRUNCATE ON ledger_accounts "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    ),
)
for _table, _statement in _STATEMENTS:
    _ddl = DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call] # SQLAlchemy leaves it untyped
    event.listen(_table, "after_create", _ddl)
