"""What each step of an order books: sums of zero, the pots that the machine names, the platform's fee to the fen."""

from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction

import pytest
from flask import Flask
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, select, update

from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.fen import MAX_FEN, format_yuan
from app.ledger.audit import DifferenceKind, audit
from app.ledger.models import LedgerAccount, LedgerEntry, LedgerTransaction
from app.money.models import Refund
from app.orders.deadlines import fire_due
from app.orders.models import Order
from app.orders.transitions import OrderCommand, fire, lock_order, platform_fee
from statemachine import ORDER, OrderEvent, Role, TradeMode
from statemachine.order import FACE_TO_FACE, PAID, RECEIVED, RETURN_SENT, OrderRule
from statemachine.spec import Move
from tests.conftest import MakeApp
from tests.factories import Made, auth_headers, lead_order, make_good, make_user
from tests.ledger.steps import balances
from tests.settings import change_settings

# The application stays the same for all examples of a test.
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
few = settings(many, max_examples=60)  # each leads an order through the services
fen = st.integers(min_value=1, max_value=MAX_FEN) | st.integers(min_value=1, max_value=500)
basis_points = st.integers(min_value=0, max_value=10_000) | st.sampled_from([0, 1, 250, 9_999, 10_000])

# By hand, from the design: where the whole amount comes from and goes to. All other steps book nothing.
MOVES = {
    OrderEvent.PAY: ("gateway_clearing", "escrow"),
    OrderEvent.RECEIVE: ("escrow", "seller_held"),
    OrderEvent.SETTLE: ("seller_held", "seller_available"),
    OrderEvent.REFUND_UNSHIPPED: ("escrow", "refund_clearing"),
    OrderEvent.APPROVE_REFUND: ("escrow", "refund_clearing"),
    OrderEvent.ACCEPT_RETURN: ("escrow", "refund_clearing"),
    OrderEvent.RESOLVE_FOR_BUYER: ("escrow", "refund_clearing"),
    OrderEvent.LAPSE: ("escrow", "seller_held"),
    OrderEvent.CONFIRM_EXTERNAL_REFUND: ("escrow", "refund_clearing"),
}
# Once the seller had the proceeds, asking takes them back and giving up returns them.
AFTER_RECEIPT = {
    OrderEvent.REQUEST_REFUND: ("seller_held", "escrow"),
    OrderEvent.WITHDRAW_REFUND: ("escrow", "seller_held"),
    OrderEvent.REJECT_REFUND: ("escrow", "seller_held"),
    OrderEvent.RESOLVE_FOR_SELLER: ("escrow", "seller_held"),
}
# Where no request has taken the proceeds back yet.
WHILE_RECEIVED = {OrderEvent.CONFIRM_EXTERNAL_REFUND: ("seller_held", "refund_clearing")}
AFTER_RETURN = {OrderEvent.RESOLVE_FOR_SELLER: ("escrow", "seller_available")}

# What the machine calls these accounts; the others have the names of their pots.
POTS = {"gateway_clearing": "gateway", "refund_clearing": "gateway"}


def moves_of(rule: OrderRule) -> tuple[str, str] | None:
    """Where the money goes, by the tables above."""
    later = {8: AFTER_RECEIPT, 9: AFTER_RETURN}.get(rule.source.goods, {})
    if rule.source == RECEIVED:
        later = later | WHILE_RECEIVED
    return later.get(rule.event) or MOVES.get(rule.event)


def step(app: Flask, order: Made, event: OrderEvent, role: Role) -> None:
    """Let `role` do it, as its service would."""
    with app.app_context(), transaction() as session:
        command = OrderCommand(event=event, role=role, note="理由", handover_code_ok=True, refunded_elsewhere=True)
        fire(session, *lock_order(session, order.id), command)


def last_booking(app: Flask, order: Made) -> list[Row[tuple[str, str, str, int | None, int]]]:
    """`(key, event, account, user, fen)` of the entries that the order's last step wrote, in their order."""
    with app.app_context():
        sequence = db.session.get_one(Order, order.id).history_length
        statement = (
            select(
                LedgerTransaction.key,
                LedgerTransaction.kind.label("event"),
                LedgerAccount.kind,
                LedgerAccount.user_id,
                LedgerEntry.amount,
            )
            .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
            .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
            .where(LedgerTransaction.key.startswith(f"order:{order.id}:{sequence}:"))
            .order_by(LedgerEntry.id)
        )
        return list(db.session.execute(statement).all())


def an_order(app: Flask, rule: OrderRule, price: int, freight: int) -> Made:
    """An order that stands where the rule begins."""
    mode = TradeMode.FACE_TO_FACE if FACE_TO_FACE in rule.guards else TradeMode.COURIER
    good = make_good(app, make_user(app), price=price, freight=freight, trade_mode=mode)
    return lead_order(app, good, make_user(app), phase=rule.source)


@pytest.fixture
def shared(make_app: MakeApp) -> Callable[[int], Flask]:
    """One application whose share the examples of a test set."""
    app = make_app()

    def charging(hundredths: int) -> Flask:
        change_settings(app, platform_fee_basis_points=hundredths)
        return app

    return charging


RULES = [(rule, role) for rule in ORDER.rules for role in rule.by]


def check_step(app: Flask, rule: OrderRule, role: Role, *, price: int, freight: int, hundredths: int) -> None:
    """Make one step, and hold what it booked against the tables above."""
    order = an_order(app, rule, price, freight)
    before = balances(app)
    step(app, order, OrderEvent(rule.event), role)
    booked = last_booking(app, order)

    assert sum(entry.amount for entry in booked) == 0
    expected: dict[tuple[str, int | None], int] = defaultdict(int)
    moves = moves_of(rule)
    if moves is None:
        assert (rule.moves, booked) == ((), [])
    else:
        source, target = moves
        assert rule.moves == (Move(POTS.get(source, source), POTS.get(target, target)),)
        assert {(entry.key, entry.event) for entry in booked} == {(booked[0].key, rule.event)}
        fee = order.amount * hundredths // 10_000 if target == "seller_available" else 0
        for account, amount in ((source, order.amount), (target, fee - order.amount), ("platform_fee", -fee)):
            expected[account, order.seller_id if account.startswith("seller") else None] += amount
    assert {(entry.kind, entry.user_id): entry.amount for entry in booked} == {
        account: amount for account, amount in expected.items() if amount
    }

    after = balances(app)
    changed = {account: after.get(account, 0) - before.get(account, 0) for account in {*after, *before}}
    assert {account: amount for account, amount in changed.items() if amount} == {
        account: amount if account[0] == "gateway_clearing" else -amount
        for account, amount in expected.items()
        if amount
    }


@few
@given(st.sampled_from(RULES), fen, st.integers(min_value=0, max_value=MAX_FEN), basis_points)
def test_a_step_books_what_the_machine_says(
    shared: Callable[[int], Flask], which: tuple[OrderRule, Role], price: int, freight: int, hundredths: int
) -> None:
    check_step(shared(hundredths), *which, price=price, freight=freight, hundredths=hundredths)


def test_each_step_of_the_machine_books_what_it_says(shared: Callable[[int], Flask]) -> None:
    for rule, role in RULES:
        check_step(shared(250), rule, role, price=10_039, freight=700, hundredths=250)
    with shared(250).app_context():
        # A payment that nobody made is what these steps lack; all else is as it should be.
        assert [str(each) for each in audit() if each.kind is not DifferenceKind.PAYMENTS] == []


def test_every_rule_has_its_line() -> None:
    """Nobody can add a rule that moves money without saying it here."""
    assert {rule.event for rule in ORDER.rules if rule.moves} == {*MOVES, *AFTER_RECEIPT, *AFTER_RETURN}
    assert [rule for rule in ORDER.rules if bool(rule.moves) != (moves_of(rule) is not None)] == []


@few
@given(st.lists(st.integers(min_value=0), max_size=12), fen, basis_points)
def test_any_way_through_the_machine_adds_up(
    shared: Callable[[int], Flask], choices: list[int], price: int, hundredths: int
) -> None:
    """After any steps the order's money lies in one place, whole, and the books are what happened."""
    app = shared(hundredths)
    good = make_good(app, make_user(app), price=price, freight=0)
    order = lead_order(app, good, make_user(app), phase=PAID)
    for choice in choices:
        with app.app_context():
            row = db.session.get_one(Order, order.id)
            phase, facts = row.phase, (row.trade_mode, row.refund_count, row.disputed, row.extended)
        open_to = [
            (rule.event, role)
            for rule, role in RULES
            if rule.source == phase
            and FACE_TO_FACE not in rule.guards
            and not (rule.event is OrderEvent.REQUEST_REFUND and facts[1] >= 3)
            and not (facts[2] and any(guard.code == "disputed" for guard in rule.guards))
            and not (facts[3] and rule.event is OrderEvent.EXTEND_RECEIPT)
        ]
        if not open_to:
            break
        step(app, order, *open_to[choice % len(open_to)])
    with app.app_context():
        fee = platform_fee(price)
        sums = dict(
            db.session.execute(
                select(LedgerAccount.kind, db.func.sum(LedgerEntry.amount))
                .join(LedgerEntry, LedgerEntry.account_id == LedgerAccount.id)
                .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
                .where(LedgerTransaction.order_id == order.id)
                .group_by(LedgerAccount.kind)
            ).all()
        )
        found = [str(difference) for difference in audit()]
    places = {kind: -int(amount) for kind, amount in sums.items() if amount and kind != "gateway_clearing"}
    assert sums["gateway_clearing"] == price
    assert places in (
        {"escrow": price},
        {"seller_held": price},
        {"refund_clearing": price},
        {kind: amount for kind, amount in (("seller_available", price - fee), ("platform_fee", fee)) if amount},
    )
    assert found == []


# --- the platform's fee ---


@many
@given(fen, basis_points)
@example(1, 250)
@example(39, 250)
@example(40, 250)
@example(MAX_FEN, 10_000)
def test_the_fee_is_rounded_down_to_the_fen(shared: Callable[[int], Flask], amount: int, hundredths: int) -> None:
    with shared(hundredths).app_context():
        fee = platform_fee(amount)
    assert type(fee) is int
    assert 0 <= fee <= amount
    assert 0 <= Fraction(amount * hundredths, 10_000) - fee < 1


@many
@given(fen, fen, basis_points)
def test_what_is_split_is_never_dearer(shared: Callable[[int], Flask], one: int, other: int, hundredths: int) -> None:
    """Two orders pay at most what one over both would, and at most a fen less."""
    assume(one + other <= MAX_FEN)
    with shared(hundredths).app_context():
        assert 0 <= platform_fee(one + other) - platform_fee(one) - platform_fee(other) <= 1


@pytest.mark.parametrize(
    ("price", "hundredths", "fee"),
    [(258800, 0, 0), (258800, 250, 6470), (39, 250, 0), (40, 250, 1), (79, 250, 1), (100, 10_000, 100)],
)
def test_a_settled_sale_pays_its_fee(make_app: MakeApp, price: int, hundredths: int, fee: int) -> None:
    app = make_app(PLATFORM_FEE_BASIS_POINTS=str(hundredths))
    good = make_good(app, make_user(app), price=price, freight=0)
    order = lead_order(app, good, make_user(app), phase=RECEIVED)
    headers = auth_headers(app, Made(order.seller_id, {}))
    client = app.test_client()

    def wallet() -> tuple[str, str, list[str]]:
        data = client.get("/api/wallet/", headers=headers).get_json()["data"]
        return data["available"], data["held"], [entry["amount"] for entry in data["items"]]

    # Until the money is the seller's to spend nothing is taken off.
    assert wallet() == ("0.00", format_yuan(price), [format_yuan(price)])
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(update(Order).values(deadline_at=utcnow()))
    with app.app_context():
        assert fire_due(limit=10) == 1
        assert audit() == []
    available, held, entries = wallet()
    assert (available, held) == (format_yuan(price - fee), "0.00")
    assert sorted(entries) == sorted(
        [format_yuan(price), f"-{format_yuan(price)}", *([format_yuan(price - fee)] if price > fee else [])]
    )
    expected = {
        ("gateway_clearing", None): price,
        ("seller_available", order.seller_id): price - fee,
        ("platform_fee", None): fee,
    }
    assert balances(app) == {account: amount for account, amount in expected.items() if amount}


def test_an_award_pays_its_fee_and_a_refund_none(make_app: MakeApp) -> None:
    app = make_app(PLATFORM_FEE_BASIS_POINTS="250")
    for decision in (OrderEvent.RESOLVE_FOR_SELLER, OrderEvent.RESOLVE_FOR_BUYER):
        good = make_good(app, make_user(app), price=10_039, freight=0)
        step(app, lead_order(app, good, make_user(app), phase=RETURN_SENT), decision, Role.STAFF)
    sums = {kind: amount for (kind, _), amount in balances(app).items()}
    assert sums == {
        "gateway_clearing": 20_078,
        "seller_available": 9_789,
        "platform_fee": 250,
        "refund_clearing": 10_039,
    }
    with app.app_context():
        assert audit() == []
        assert db.session.scalars(select(Refund.amount)).all() == [10_039]
