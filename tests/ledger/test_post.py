"""Posting: what it writes, what it refuses and then leaves alone, what it costs."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from app.clock import utcnow
from app.db.database import db
from app.db.transactions import rows, transaction
from app.ledger.audit import DifferenceKind, audit
from app.ledger.models import SLOTS, AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction
from app.ledger.service import (
    AccountRef,
    AlreadyPosted,
    InsufficientFunds,
    Posting,
    Transfer,
    order_account,
    payout_account,
    post,
    user_account,
)
from tests.factories import StatementCounter, make_user
from tests.ledger.steps import ESCROW, GATEWAY, balances, post_now, posting
from tests.moderation.steps import waiting_for_locks
from tests.tasks.steps import wait_until


def ledger() -> tuple[list[Any], list[Any], list[Any]]:
    """All that the ledger holds."""
    accounts = rows(select(LedgerAccount.__table__).order_by(LedgerAccount.id))
    transactions = rows(select(LedgerTransaction.__table__).order_by(LedgerTransaction.id))
    return list(accounts), list(transactions), list(rows(select(LedgerEntry.__table__).order_by(LedgerEntry.id)))


def entries() -> list[tuple[str, str, int, int]]:
    """`(key, account kind, amount, balance after)` of each entry, in order."""
    statement = (
        select(LedgerTransaction.key, LedgerAccount.kind, LedgerEntry.amount, LedgerEntry.balance_after)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .order_by(LedgerEntry.id)
    )
    return [tuple(row) for row in rows(statement)]


def test_which_account_is_which() -> None:
    assert order_account(AccountKind.ESCROW, 35) == AccountRef(AccountKind.ESCROW, None, 3)
    assert payout_account(AccountKind.PAID_OUT, 16) == AccountRef(AccountKind.PAID_OUT, None, 0)
    assert user_account(AccountKind.SELLER_HELD, 35) == AccountRef(AccountKind.SELLER_HELD, 35, 0)
    assert SLOTS == 16
    with pytest.raises(ValueError, match="seller_held is a user's account"):
        order_account(AccountKind.SELLER_HELD, 1)
    with pytest.raises(ValueError, match="escrow is no user's account"):
        user_account(AccountKind.ESCROW, 1)


def test_a_posting_debits_the_source_and_credits_the_target(context: Flask) -> None:
    seller = make_user(context)
    held = user_account(AccountKind.SELLER_HELD, seller.id)
    at = utcnow()
    with transaction() as session:
        post(
            session,
            [Posting(key="order:7:2:pay", kind="pay", order_id=7, transfers=(Transfer(GATEWAY, ESCROW, 500),))],
            at=at,
        )
        post(session, [posting(Transfer(ESCROW, held, 200), key="second")], at=at)
    assert entries() == [
        ("order:7:2:pay", "gateway_clearing", 500, 500),
        ("order:7:2:pay", "escrow", -500, 500),
        ("second", "escrow", 200, 300),
        ("second", "seller_held", -200, 200),
    ]
    first = rows(select(LedgerTransaction.__table__).order_by(LedgerTransaction.id))[0]
    assert (first.key, first.kind, first.order_id, first.at) == ("order:7:2:pay", "pay", 7, at)
    assert balances(context) == {
        ("gateway_clearing", None): 500,
        ("escrow", None): 300,
        ("seller_held", seller.id): 200,
    }


def test_one_entry_per_account_and_posting_and_balances_in_sequence(context: Flask) -> None:
    seller = make_user(context)
    held, available = (
        user_account(kind, seller.id) for kind in (AccountKind.SELLER_HELD, AccountKind.SELLER_AVAILABLE)
    )
    fee = order_account(AccountKind.PLATFORM_FEE, 0)
    post_now(
        posting(Transfer(GATEWAY, ESCROW, 100), key="a"),
        posting(Transfer(ESCROW, held, 100), key="b"),
        posting(Transfer(held, available, 94), Transfer(held, fee, 6), key="c"),
        posting(Transfer(GATEWAY, ESCROW, 30), key="d"),
    )
    assert entries() == [
        ("a", "gateway_clearing", 100, 100),
        ("a", "escrow", -100, 100),
        ("b", "escrow", 100, 0),
        ("b", "seller_held", -100, 100),
        ("c", "seller_held", 100, 0),
        ("c", "seller_available", -94, 94),
        ("c", "platform_fee", -6, 6),
        ("d", "gateway_clearing", 30, 130),
        ("d", "escrow", -30, 30),
    ]


@pytest.mark.parametrize(
    "others", [[], [posting(Transfer(GATEWAY, ESCROW, 1000))]], ids=["alone", "before it is funded"]
)
def test_nothing_below_zero(context: Flask, others: list[Posting]) -> None:
    post_now(posting(Transfer(GATEWAY, ESCROW, 100)))
    before = ledger()
    target = order_account(AccountKind.REFUND_CLEARING, 0)
    with pytest.raises(InsufficientFunds, match="too-much"):
        post_now(posting(Transfer(ESCROW, target, 101), key="too-much"), *others)
    assert ledger() == before


def test_money_the_gateway_does_not_hold_cannot_leave_it(context: Flask) -> None:
    post_now(posting(Transfer(GATEWAY, ESCROW, 100)))
    before = ledger()
    elsewhere = order_account(AccountKind.GATEWAY_CLEARING, 1)
    with pytest.raises(InsufficientFunds):
        post_now(posting(Transfer(ESCROW, elsewhere, 100)))
    assert ledger() == before


def test_a_key_is_used_once(context: Flask) -> None:
    post_now(posting(Transfer(GATEWAY, ESCROW, 100), key="once"))
    before = ledger()
    with pytest.raises(AlreadyPosted, match="once"):
        post_now(
            posting(Transfer(GATEWAY, ESCROW, 100), key="other"), posting(Transfer(GATEWAY, ESCROW, 1), key="once")
        )
    assert ledger() == before


@pytest.mark.parametrize("amount", [0, -1])
def test_a_transfer_moves_something(amount: int) -> None:
    with pytest.raises(ValueError, match="at least one fen"):
        Transfer(GATEWAY, ESCROW, amount)


def test_a_transfer_goes_somewhere() -> None:
    with pytest.raises(ValueError, match="somewhere else"):
        Transfer(ESCROW, ESCROW, 1)
    with pytest.raises(ValueError, match="the posting nowhere moves nothing"):
        posting(Transfer(GATEWAY, ESCROW, 1), Transfer(ESCROW, GATEWAY, 1), key="nowhere")
    with pytest.raises(ValueError, match="the posting empty moves nothing"):
        posting(key="empty")


def test_no_postings_no_statement(context: Flask) -> None:
    counter = StatementCounter()
    event.listen(db.engine, "before_cursor_execute", counter.on_execute)
    try:
        post_now()
        assert counter.statements == []
        post_now(posting(Transfer(GATEWAY, ESCROW, 1)))
        verbs = [statement.split()[0] for statement in counter.statements]
        assert verbs == ["WITH", "INSERT", "WITH", "WITH"]  # nothing there, open, change, write
        counter.statements.clear()
        post_now(*(posting(Transfer(GATEWAY, ESCROW, 1)) for _ in range(20)))
        assert [statement.split()[0] for statement in counter.statements] == ["WITH", "WITH"]
    finally:
        event.remove(db.engine, "before_cursor_execute", counter.on_execute)


_REFS = [
    GATEWAY,
    ESCROW,
    order_account(AccountKind.ESCROW, 1),
    order_account(AccountKind.REFUND_CLEARING, 0),
    order_account(AccountKind.PLATFORM_FEE, 0),
]
_transfers = st.builds(
    Transfer, st.sampled_from(_REFS[:2]), st.sampled_from(_REFS[2:]), st.integers(1, 1000)
) | st.builds(Transfer, st.sampled_from(_REFS[2:]), st.sampled_from(_REFS[:2]), st.integers(1, 300))
_calls = st.lists(st.lists(st.lists(_transfers, min_size=1, max_size=3), min_size=1, max_size=3), max_size=8)


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=_calls)
def test_any_transfers_keep_the_books(context: Flask, calls: list[list[list[Transfer]]]) -> None:
    """As a plain model does it: the same balances, the same refusals, and an audit that finds the sums right."""
    known = {AccountRef(AccountKind(row.kind), row.user_id, row.slot): row.balance for row in ledger()[0]}
    model = {account: known.get(account, 0) for account in _REFS}
    for call in calls:
        try:
            postings = [posting(*transfers) for transfers in call]
        except ValueError:  # transfers that cancel each other
            continue
        trial, funded = dict(model), True
        for each in postings:
            for account, amount in each.amounts().items():
                trial[account] += amount if account.kind is AccountKind.GATEWAY_CLEARING else -amount
            funded = funded and min(trial.values()) >= 0
        if funded:
            post_now(*postings)
            model = trial
        else:
            with pytest.raises(InsufficientFunds):
                post_now(*postings)
    found = {AccountRef(AccountKind(row.kind), row.user_id, row.slot): row.balance for row in ledger()[0]}
    assert {account: found.get(account, 0) for account in _REFS} == model
    # Nothing that happened stands behind these postings, and refunds are made up: the audit says so, and no more.
    assert {each.kind for each in audit()} <= {DifferenceKind.UNEXPECTED, DifferenceKind.CLEARING}


def test_who_opens_an_account_holds_no_other_meanwhile(context: Flask) -> None:
    """Or two would deadlock: one has opened an account and wants an older one, which the other holds while opening."""
    older, newer = (user_account(AccountKind.SELLER_AVAILABLE, make_user(context).id) for _ in range(2))
    post_now(posting(Transfer(GATEWAY, older, 1000)))

    def move() -> None:
        with context.app_context():
            post_now(posting(Transfer(older, newer, 400)))

    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            session.add(LedgerAccount(kind=newer.kind, user_id=newer.user_id, slot=newer.slot, balance=0))
            session.flush()
            moving = pool.submit(move)
            wait_until(lambda: waiting_for_locks(context) == 1, "the posting waits for the new account")
            # Refused where the other one holds it.
            locked = select(LedgerAccount.balance).filter_by(user_id=older.user_id).with_for_update(nowait=True)
            assert session.scalar(locked) == 1000
        moving.result(timeout=10)
    held = balances(context)
    assert (held["seller_available", older.user_id], held["seller_available", newer.user_id]) == (600, 400)


def test_many_at_once_neither_deadlock_nor_lose_money(context: Flask) -> None:
    """Threads that move money between the same accounts, in every direction, some of them opened at that moment."""
    sellers = [make_user(context) for _ in range(4)]
    accounts = [user_account(AccountKind.SELLER_AVAILABLE, seller.id) for seller in sellers]
    post_now(*(posting(Transfer(GATEWAY, account, 1000)) for account in accounts[:2]))

    def work(seed: int) -> int:
        chance, moved = random.Random(seed), 0
        with context.app_context():
            for _ in range(25):
                source, target = chance.sample(accounts, 2)
                try:
                    post_now(posting(Transfer(source, target, chance.randint(1, 400))))
                except InsufficientFunds:
                    continue
                moved += 1
            db.session.remove()
        return moved

    with ThreadPoolExecutor(8) as pool:
        moved = sum(pool.map(work, range(8)))
    assert moved > 50
    assert sum(fen for (kind, _), fen in balances(context).items() if kind == "seller_available") == 2000
    assert {each.kind for each in audit()} == {DifferenceKind.UNEXPECTED}
    assert len(ledger()[1]) == moved + 2
