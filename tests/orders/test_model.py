"""The real services against a model of the design: random people, random steps, allowed or not, time that jumps.

The table below is written by hand from the order's design, not read from the machine. PostgreSQL, Valkey and the
gateway are real; notifications are signed with the gateway's own key and delivered late, twice and out of order.

`STORM_STEPS=20000 pytest tests/orders/test_model.py` takes more steps, and other ones each time.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text, update

from app.answers import Answer, Refused
from app.clock import utcnow
from app.db.database import db
from app.db.transactions import transaction
from app.ledger.audit import audit
from app.money.gateway import gateway
from app.notifications.reminders import remind_due
from app.orders import service
from app.orders.deadlines import fire_due
from app.orders.history import export, verify
from app.orders.models import Order
from app.orders.payments import process_notification, query_due_payments, start_payment
from app.orders.transitions import OrderCommand, fire, lock_order
from app.outbox.models import OutboxMessage, Topic
from app.wallet.service import request_payout
from config import Settings, load_settings
from statemachine import BillStatus, OrderEvent, OrderPhase, Role
from statemachine.order import (
    AWAITING_PAYMENT,
    PAID,
    RECEIVED,
    REFUND_REQUESTED_RECEIVED,
    REFUND_REQUESTED_SHIPPED,
    REFUND_REQUESTED_UNSHIPPED,
    RETURN_SENT,
    SHIPPED,
)
from tasks.outbox import WORK, work_message
from tasks.relay import relay_once
from tests.applications import empty_stores, running_app
from tests.factories import Made, make_address, make_good, make_user
from tests.money.sandbox_server import SandboxServer, fetch, form_action, start_sandbox
from tests.races.steps import signed_notification

HOUR = 60
DAY = 24 * HOUR
STEPS_PER_RUN = 50
LEAST_STEPS = 2000
UNPAID_LIMIT = 3
QUERY_AFTER = 10  # minutes

# event, by whom, from where to where (the two numbers of the API spec, "x" for closed), the pots that money moves
# between, what becomes of the good, guards
TABLE = """
    pay                 gateway         1,6 2,6     gateway>escrow    -        -
    cancel              buyer,seller    1,6 1,6x    -                 release  -
    expire              system          1,6 1,6x    -                 release  -
    ship                seller          2,6 2,7     -                 -        courier
    refund_unshipped    system          2,6 5,6x    escrow>gateway    release  -
    receive             buyer,system    2,7 3,8     escrow>held       sell     -
    receive             buyer           2,6 3,8     escrow>held       sell     face
    receive             seller          2,6 3,8     escrow>held       sell     face,code
    extend_receipt      buyer           2,7 2,7     -                 -        once
    settle              system          3,8 3,8x    held>available    -        -
    request_refund      buyer           2,6 4,6     -                 -        refunds
    request_refund      buyer           2,7 4,7     -                 -        refunds
    request_refund      buyer           3,8 4,8     held>escrow       -        refunds
    withdraw_refund     buyer           4,6 2,6     -                 -        -
    withdraw_refund     buyer           4,7 2,7     -                 -        -
    withdraw_refund     buyer           4,8 3,8     escrow>held       -        -
    reject_refund       seller          4,6 2,6     -                 -        undisputed
    reject_refund       seller          4,7 2,7     -                 -        undisputed
    reject_refund       seller          4,8 3,8     escrow>held       -        undisputed
    approve_refund      seller          4,6 5,6x    escrow>gateway    release  -
    approve_refund      seller          4,7 5,7x    escrow>gateway    sell     -
    approve_refund      seller          4,8 5,8x    escrow>gateway    -        -
    approve_refund      system          4,6 5,6x    escrow>gateway    release  undisputed
    approve_refund      system          4,7 5,7x    escrow>gateway    sell     undisputed
    send_back           buyer           4,8 4,9     -                 -        undisputed
    lapse               system          4,8 3,8     escrow>held       -        undisputed
    accept_return       seller          4,9 5,10x   escrow>gateway    -        -
    accept_return       system          4,9 5,10x   escrow>gateway    -        undisputed
    dispute             buyer,seller    4,6 4,6     -                 -        undisputed
    dispute             buyer,seller    4,7 4,7     -                 -        undisputed
    dispute             buyer,seller    4,8 4,8     -                 -        undisputed
    dispute             buyer           4,9 4,9     -                 -        undisputed
    contest_return      seller          4,9 4,9     -                 -        undisputed
    resolve_for_buyer   staff           4,6 5,6x    escrow>gateway    release  -
    resolve_for_buyer   staff           4,7 5,7x    escrow>gateway    sell     -
    resolve_for_buyer   staff           4,8 5,8x    escrow>gateway    -        -
    resolve_for_buyer   staff           4,9 5,10x   escrow>gateway    -        -
    resolve_for_seller  staff           4,6 2,6     -                 -        -
    resolve_for_seller  staff           4,7 2,7     -                 -        -
    resolve_for_seller  staff           4,8 3,8     escrow>held       -        -
    resolve_for_seller  staff           4,9 3,9x    escrow>available  -        -
    confirm_external_refund staff       2,6 5,6x    escrow>gateway    release  -
    confirm_external_refund staff       2,7 5,7x    escrow>gateway    sell     -
    confirm_external_refund staff       3,8 5,8x    held>gateway      -        -
    confirm_external_refund staff       4,6 5,6x    escrow>gateway    release  -
    confirm_external_refund staff       4,7 5,7x    escrow>gateway    sell     -
    confirm_external_refund staff       4,8 5,8x    escrow>gateway    -        -
    confirm_external_refund staff       4,9 5,10x   escrow>gateway    -        -
"""

# Where the system acts after so many minutes, and how.
DEADLINES = {
    AWAITING_PAYMENT: ("expire", HOUR // 2),
    PAID: ("refund_unshipped", 7 * DAY),
    SHIPPED: ("receive", 10 * DAY),
    RECEIVED: ("settle", 7 * DAY),
    REFUND_REQUESTED_UNSHIPPED: ("approve_refund", 2 * DAY),
    REFUND_REQUESTED_SHIPPED: ("approve_refund", 5 * DAY),
    REFUND_REQUESTED_RECEIVED: ("lapse", 7 * DAY),
    RETURN_SENT: ("accept_return", 10 * DAY),
}
JUMPS = (20, 20, 5 * HOUR, 50 * HOUR)


@dataclass(frozen=True)
class Row:
    """One row of TABLE."""

    event: str
    by: tuple[str, ...]
    source: OrderPhase
    target: OrderPhase
    money: str
    good: str
    guards: frozenset[str]


def _phase(word: str) -> OrderPhase:
    bill, goods = word.removesuffix("x").split(",")
    return OrderPhase(int(bill), int(goods), word.endswith("x"))


def _rows() -> Iterator[Row]:
    for line in TABLE.strip().splitlines():
        event, by, source, target, money, good, guards = line.split()
        yield Row(
            event,
            tuple(by.split(",")),
            _phase(source),
            _phase(target),
            money,
            good,
            frozenset(guards.split(",")) - {"-"},
        )


ROWS = tuple(_rows())
EVENTS = tuple(dict.fromkeys(row.event for row in ROWS))
CONFIRM = "confirm_external_refund"


@dataclass
class Attempt:
    """One attempt to pay.

    `at_gateway` is the state of its trade there: none (empty), waiting, paid or closed; `known_as` the state that we
    know of: open, paid or closed.
    """

    number: str
    url: str
    query_at: int | None
    queries: int = 0
    at_gateway: str = ""
    known_as: str = "open"


@dataclass
class ModelOrder:
    """What the model knows of an order. Moments are minutes of the model's own clock; money is fen."""

    id: int
    good: "ModelGood"
    buyer: int
    seller: int
    amount: int
    mode: int
    deadline: int | None
    phase: OrderPhase = AWAITING_PAYMENT
    remaining: int | None = None
    disputed: bool = False
    extended: bool = False
    refund_count: int = 0
    pot: str = "gateway"
    code_tries: int = 0
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def open_attempt(self) -> Attempt | None:
        return next((each for each in self.attempts if each.known_as == "open"), None)


@dataclass
class ModelGood:
    """A good: 2 on sale, 3 in trade, 4 sold."""

    id: int
    owner: int
    price: int
    status: int = 2


@dataclass
class Money:
    """Where money lies by the model, beside the pots of the orders."""

    refunding: int = 0
    withdrawn: dict[int, int] = field(default_factory=dict)  # from `available`, by user, not failed
    under_way: list[tuple[int, int, str]] = field(default_factory=list)  # (user, fen, payee)
    paid_out: int = 0
    received: int = 0  # at the gateway, and not paid back


def _goes_on(function: Any) -> Any:
    """Makes a rule of a method that takes an open order some steps further, with a choice for each step."""
    taken = rule(which=st.integers(0, 50), choices=st.lists(st.integers(0, 1000), min_size=2, max_size=6))
    return precondition(lambda self: any(not order.phase.closed for order in self.orders))(taken(function))


class Shop(RuleBasedStateMachine):
    """Every rule does one thing to the services and to the model; every invariant compares them."""

    app: Flask
    settings: Settings
    keys: Path
    steps = 0
    taken_by_all: ClassVar[Counter[Row]] = Counter()
    """How often each row of TABLE was taken, by all walks."""

    def __init__(self) -> None:
        super().__init__()
        empty_stores(self.app)
        self.now = 0
        self.orders: list[ModelOrder] = []
        self.money = Money()
        self.taken: Counter[Row] = Counter()
        self.context = self.app.app_context()
        self.context.push()

    def teardown(self) -> None:
        self.taken_by_all.update(self.taken)
        try:
            assert audit() == []
            for order_no in db.session.scalars(select(Order.order_no)).all():
                assert verify(export(order_no)) == []
        finally:
            db.session.rollback()
            self.context.pop()

    @initialize(choices=st.lists(st.integers(0, 1000), min_size=10, max_size=20))
    def begin(self, choices: list[int]) -> None:
        self.people = [make_user(self.app).id for _ in range(4)]
        self.staff = make_user(self.app, staff=True).id
        self.addresses = {each: make_address(self.app, Made(each, {})).id for each in self.people}
        self.goods = [self._new_good(owner) for owner in self.people]
        for buyer, mode in enumerate((7, 6, 7, 7)):
            self._buy_and_pay(self.people[buyer], mode)
        # A market that is under way already.
        for place in range(len(self.people)):
            self._go_on(place, choices[place :: len(self.people)])

    def _buy_and_pay(self, person: int, mode: int) -> None:
        """An order that is bought and paid. Walks begin with some, or few of their random steps would be allowed."""
        sold = [each for each in self.goods if each.status == 2 and each.owner != person]
        good = sold[0] if sold else self._new_good(next(each for each in self.people if each != person))
        if not sold:
            self.goods.append(good)
        self._buy(person, good, mode)
        order = self.orders[-1]
        if order.good is not good:  # too many unpaid
            return
        self._go_to_cashier(order, person)
        attempt = order.attempts[-1]
        self._pay_at_gateway(attempt, pays=True)
        self._notify(order, attempt)

    @rule(buyer=st.integers(0, 3), mode=st.sampled_from([6, 7, 7]))
    def buy_and_pay(self, buyer: int, mode: int) -> None:
        self._buy_and_pay(self.people[buyer], mode)

    def _new_good(self, owner: int) -> ModelGood:
        price = 1000 + 37 * len(getattr(self, "goods", ()))
        return ModelGood(make_good(self.app, Made(owner, {}), price=price, freight=0, trade_mode=8).id, owner, price)

    # --- buying and paying ---

    @rule(owner=st.integers(0, 3))
    def offer(self, owner: int) -> None:
        self.goods.append(self._new_good(self.people[owner]))

    @rule(buyer=st.integers(0, 3), which=st.integers(0, 20), mode=st.sampled_from([6, 7]))
    def buy(self, buyer: int, which: int, mode: int) -> None:
        self._buy(self.people[buyer], self.goods[-1 - which % len(self.goods)], mode)

    def _buy(self, person: int, good: ModelGood, mode: int) -> None:
        unpaid = sum(each.buyer == person and each.phase == AWAITING_PAYMENT for each in self.orders)
        wanted = (
            Answer.OWN_GOOD
            if good.owner == person
            else Answer.GOOD_NOT_FOR_SALE
            if good.status != 2
            else Answer.TOO_MANY_UNPAID
            if unpaid >= UNPAID_LIMIT
            else None
        )
        made: list[int] = []
        address = self.addresses[person] if mode == 7 else None
        self._expect(
            wanted,
            lambda: made.append(
                service.buy_good(buyer_id=person, good_id=good.id, address_id=address, trade_mode=mode)
            ),
        )
        if wanted is None:
            good.status = 3
            deadline = self.now + DEADLINES[AWAITING_PAYMENT][1]
            self.orders.append(ModelOrder(made[0], good, person, good.owner, good.price, mode, deadline))

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 50), stranger=st.integers(0, 9))
    def go_to_cashier(self, which: int, stranger: int) -> None:
        order = self._order(which)
        self._go_to_cashier(order, self.people[stranger] if stranger < 4 else order.buyer)

    def _go_to_cashier(self, order: ModelOrder, person: int) -> None:
        wanted = (
            Answer.NO_SUCH_ORDER
            if person != order.buyer
            else Answer.WRONG_STATE
            if order.phase != AWAITING_PAYMENT
            else Answer.PAYMENT_LATE
            if order.deadline is not None and order.deadline <= self.now
            else None
        )
        urls: list[str] = []
        self._expect(
            wanted,
            lambda: urls.append(
                start_payment(buyer_id=person, order_id=order.id, return_url="http://127.0.0.1:9/back")
            ),
        )
        if wanted is None and order.open_attempt is None:
            number = dict(parse_qsl(urls[0].partition("?")[2]))["biz_content"].partition('"out_trade_no":"')[2]
            order.attempts.append(Attempt(number.partition('"')[0], urls[0], self.now + QUERY_AFTER))

    @precondition(lambda self: any(order.attempts for order in self.orders))
    @rule(which=st.integers(0, 50), pays=st.integers(0, 3))
    def pay_at_gateway(self, which: int, pays: int) -> None:
        """The payer opens the gateway's page, mostly to pay; also when the order is long closed."""
        self._pay_at_gateway(self._attempt(which)[1], pays=bool(pays))

    def _pay_at_gateway(self, attempt: Attempt, *, pays: bool) -> None:
        page = fetch(attempt.url)
        assert page.status == (200 if attempt.at_gateway in ("", "waiting") else 400)
        if page.status == 200:
            attempt.at_gateway = "waiting"
            if pays:
                assert fetch(form_action(page.text), form={}).status in (200, 302)
                attempt.at_gateway = "paid"

    @precondition(lambda self: any(order.attempts for order in self.orders))
    @rule(which=st.integers(0, 50))
    def close_at_gateway(self, which: int) -> None:
        """Somebody closes a waiting trade in the gateway's console."""
        _, attempt = self._attempt(which)
        if attempt.at_gateway == "waiting" and attempt.known_as == "open":
            assert gateway().close(attempt.number)
            attempt.at_gateway = "closed"

    @precondition(lambda self: any(each.at_gateway == "paid" for order in self.orders for each in order.attempts))
    @rule(which=st.integers(0, 50), times=st.integers(1, 2), amount=st.sampled_from([0, 0, 0, 1]))
    def notify(self, which: int, times: int, amount: int) -> None:
        """A notification of a paid trade comes: early, late, again, or with another amount."""
        paid = [(order, each) for order in self.orders for each in order.attempts if each.at_gateway == "paid"]
        self._notify(*paid[-1 - which % len(paid)], times=times, amount=amount)

    def _notify(self, order: ModelOrder, attempt: Attempt, *, times: int = 1, amount: int = 0) -> None:
        body = signed_notification(self.keys, out_trade_no=attempt.number, amount=order.amount + amount)
        form = dict(parse_qsl(body.decode()))
        for _ in range(times):
            assert process_notification(form=form) is (amount == 0)
        if amount == 0:
            self._take_payment(order, attempt)

    @rule()
    def query(self) -> None:
        """The periodic job asks the gateway about attempts."""
        due = [
            (order, each)
            for order in self.orders
            for each in order.attempts
            if each.query_at is not None and each.query_at <= self.now
        ]
        assert query_due_payments() == len(due)
        for order, attempt in due:
            attempt.query_at = self.now + min(QUERY_AFTER * 2**attempt.queries, HOUR)
            attempt.queries += 1
            if attempt.at_gateway == "waiting" and order.phase != AWAITING_PAYMENT:
                attempt.at_gateway = "closed"
            if attempt.at_gateway == "paid":
                self._take_payment(order, attempt)
            elif attempt.at_gateway == "closed":
                attempt.known_as, attempt.query_at = "closed", None

    # --- the order's steps ---

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 50), event=st.sampled_from(EVENTS), who=st.sampled_from(["buyer", "seller", "other"]))
    def step(self, which: int, event: str, who: str) -> None:
        """The buyer, the seller or a stranger calls any of the service's functions."""
        order = self._order(which)
        if event in _VERBS:
            self._do(order, event, who)

    @_goes_on
    def go_on(self, which: int, choices: list[int]) -> None:
        """Buyer and seller, and staff once they are called, do what they may: otherwise most walks end early."""
        self._go_on(which, choices)

    @_goes_on
    def go_on_again(self, which: int, choices: list[int]) -> None:
        """The same again. Each rule is as likely as any other, and without these most walks would end early."""
        self._go_on(which, choices)

    @_goes_on
    def go_on_once_more(self, which: int, choices: list[int]) -> None:
        """The same again."""
        self._go_on(which, choices)

    def _go_on(self, which: int, choices: list[int]) -> None:
        living = [order for order in self.orders if not order.phase.closed]
        if not living:
            return
        order = living[-1 - which % len(living)]
        for choice in choices:
            possible = [
                (row, role)
                for row in ROWS
                for role in row.by
                if row.source == order.phase and self._fits(order, row, code=True)
                if role != "staff" or (order.disputed and row.event != CONFIRM)
                if role != "gateway" or order.deadline is None or order.deadline > self.now
            ]
            if not possible:
                return
            if choice % 2:  # what this walk has seen least of
                least = min(self.taken[row] for row, _ in possible)
                possible = [each for each in possible if self.taken[each[0]] == least]
            self._take(order, *possible[choice // 2 % len(possible)])
            self.agrees()

    def _take(self, order: ModelOrder, row: Row, role: str) -> None:
        """Do what the row says, by the means that its role has."""
        if role == "gateway":
            self._go_to_cashier(order, order.buyer)
            self._pay_at_gateway(order.attempts[-1], pays=True)
            self._notify(order, order.attempts[-1])
        elif role == "system":
            order.deadline = self.now
            with db.engine.begin() as connection:
                connection.execute(update(Order).where(Order.id == order.id).values(deadline_at=utcnow()))
            self._sweep()
        elif role == "staff":
            self._fire(order, row.event, role)
            self._apply(order, row.event, role)
        elif "code" in row.guards:
            self._hand_over(order, right=True)
        else:
            self._do(order, row.event, role)

    @precondition(lambda self: any(order.deadline is not None for order in self.orders))
    @rule()
    def await_the_deadline(self) -> None:
        """Nobody does anything until the system acts."""
        nearest = min(order.deadline for order in self.orders if order.deadline is not None)
        self._jump(max(nearest - self.now, 0))
        self._sweep()

    def _do(self, order: ModelOrder, event: str, who: str) -> None:
        actor = {"buyer": order.buyer, "seller": order.seller}.get(who)
        if actor is None:
            actor = next(each for each in self.people if each not in (order.buyer, order.seller))
        if event == "cancel" and who != "other" and order.phase == AWAITING_PAYMENT:
            self._close_trade(order)
        wanted = self._answer(order, event, who)
        self._expect(wanted, lambda: _VERBS[event](self, order, actor))
        if wanted is None:
            self._apply(order, event, who)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 50), right=st.booleans())
    def hand_over(self, which: int, right: bool) -> None:
        """The seller types a handover code: the right one, or another."""
        self._hand_over(self._order(which), right=right)

    def _hand_over(self, order: ModelOrder, *, right: bool) -> None:
        code = self._column(order, "handover_code")
        asked = order.phase == PAID and order.mode == 6
        assert (code is not None) == (
            order.mode == 6 and order.phase.bill in (BillStatus.PAID, BillStatus.REFUND_REQUESTED)
        )
        given = code if right and code else f"{(int(code or 0) + 1) % 10**6:06d}"
        wanted = self._answer(order, "receive", "seller", code=asked)
        if asked:
            locked = order.code_tries >= 5
            order.code_tries += not locked
            wanted = Answer.HANDOVER_LOCKED if locked else None if right else Answer.HANDOVER_CODE_WRONG
        self._expect(wanted, lambda: service.hand_over(actor_id=order.seller, order_id=order.id, code=given))
        if wanted is None:
            self._apply(order, "receive", "seller", code=True)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 50), who=st.sampled_from(["buyer", "seller"]))
    def renew_code(self, which: int, who: str) -> None:
        order = self._order(which)
        wanted = (
            Answer.FORBIDDEN
            if who == "seller"
            else None
            if order.phase == PAID and order.mode == 6
            else Answer.WRONG_STATE
        )
        actor = order.buyer if who == "buyer" else order.seller
        self._expect(wanted, lambda: service.renew_handover_code(actor_id=actor, order_id=order.id))
        if wanted is None:
            order.code_tries = 0

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 50), event=st.sampled_from(EVENTS), role=st.sampled_from(["staff", "system", "gateway"]))
    def reach_past_the_verbs(self, which: int, event: str, role: str) -> None:
        """Staff decide; whatever else is tried here has to be refused."""
        order = self._order(which)
        wanted = self._answer(order, event, role)
        if wanted is None and role != "staff":
            return  # legal only together with a payment or a deadline
        self._expect(wanted, lambda: self._fire(order, event, role))
        if wanted is None:
            self._apply(order, event, role)

    @precondition(lambda self: any(order.disputed for order in self.orders))
    @rule(which=st.integers(0, 50), event=st.sampled_from(["resolve_for_buyer", "resolve_for_seller"]))
    def decide(self, which: int, event: str) -> None:
        """Staff decide a dispute."""
        disputed = [order for order in self.orders if order.disputed]
        order = disputed[-1 - which % len(disputed)]
        self._fire(order, event, "staff")
        self._apply(order, event, "staff")

    def _fire(self, order: ModelOrder, event: str, role: str) -> None:
        with transaction() as session:
            good, row = lock_order(session, order.id)
            actor = self.staff if role == "staff" else None
            command = OrderCommand(
                event=OrderEvent(event), role=Role(role), actor_id=actor, note="理由", refunded_elsewhere=True
            )
            fire(session, good, row, command)

    # --- time, jobs, money ---

    @rule(minutes=st.sampled_from(JUMPS))
    def jump(self, minutes: int) -> None:
        """Time passes: everything that waits for a moment is that much nearer to it."""
        self._jump(minutes)

    def _jump(self, minutes: int) -> None:
        self.now += minutes
        moments = {
            "orders": ("deadline_at", "remind_at", "phase_since", "created_at", "updated_at"),
            "payments": ("query_at", "created_at"),
            "outbox": ("due_at", "created_at"),
            "payouts": ("created_at",),
        }
        with db.engine.begin() as connection:
            for table, columns in moments.items():
                changes = ", ".join(f"{name} = {name} - make_interval(mins => :minutes)" for name in columns)
                connection.execute(text(f"UPDATE {table} SET {changes}"), {"minutes": minutes})  # noqa: S608 - constants

    @rule()
    def sweep(self) -> None:
        """The periodic job fires what is due."""
        self._sweep()

    def _sweep(self) -> None:
        due = [order for order in self.orders if order.deadline is not None and order.deadline <= self.now]
        expiring = [order for order in due if order.phase == AWAITING_PAYMENT]
        for order in expiring:
            self._close_trade(order)
        fired = [order for order in due if order not in expiring or order.phase == AWAITING_PAYMENT]
        assert fire_due(limit=1000) == len(fired)
        remind_due(limit=1000)
        for order in fired:
            self._apply(order, DEADLINES[order.phase][0], "system")

    @rule()
    def work(self) -> None:
        """The relay and the jobs do what waits in the outbox."""
        waiting = select(OutboxMessage.id).where(
            OutboxMessage.topic.in_([Topic.ORDER_STEP.value, *WORK]), OutboxMessage.dead_at.is_(None)
        )
        while True:
            relay_once()
            given = select(OutboxMessage.id, OutboxMessage.attempts).where(OutboxMessage.leased)
            with transaction() as session:
                jobs = session.execute(given).all()
            for message_id, attempts in jobs:
                work_message(message_id, attempts)
            with transaction() as session:
                if session.scalar(waiting.limit(1)) is None:
                    break
        self.money.received -= self.money.refunding
        self.money.refunding = 0
        for user, fen, payee in self.money.under_way:
            if payee == _REFUSED:
                self.money.withdrawn[user] -= fen
            else:
                self.money.paid_out += fen
        self.money.under_way = []

    @rule(who=st.integers(0, 3), part=st.sampled_from([1, 2, 3]), refused=st.booleans())
    def withdraw(self, who: int, part: int, refused: bool) -> None:
        """Withdraw all, half, or one fen more than there is."""
        user = self.people[who]
        available = self._available(user)
        fen = {1: available, 2: available // 2, 3: available + 1}[part]
        if fen < 10:
            return
        payee = _REFUSED if refused else "wang@example.com"
        self._expect(
            None if fen <= available else Answer.INSUFFICIENT_FUNDS,
            lambda: request_payout(user_id=user, amount=fen, account=payee, name="王小明"),
        )
        if fen <= available:
            self.money.withdrawn[user] = self.money.withdrawn.get(user, 0) + fen
            self.money.under_way.append((user, fen, payee))

    # --- what must be so after every step ---

    @invariant()
    def agrees(self) -> None:
        """Orders and goods are in the states that the model has them in, and every fen is where the model has it."""
        type(self).steps += 1
        with db.engine.connect() as connection:
            order_rows = connection.execute(
                text(
                    "SELECT id, bill_status, order_status, closed, disputed, extended, refund_count,"
                    " deadline_at IS NOT NULL AS has_deadline FROM orders ORDER BY id"
                )
            ).all()
            good_rows = connection.execute(text("SELECT id, status FROM goods ORDER BY id")).all()
            accounts = connection.execute(
                text("SELECT kind, user_id, sum(balance)::bigint FROM ledger_accounts GROUP BY 1, 2")
            ).all()
        assert [tuple(row) for row in order_rows] == [
            (each.id, *each.phase, each.disputed, each.extended, each.refund_count, each.deadline is not None)
            for each in self.orders
        ]
        if self.orders or hasattr(self, "goods"):
            assert [tuple(row) for row in good_rows] == [(each.id, each.status) for each in self.goods]
        assert {(kind, user): fen for kind, user, fen in accounts if fen} == self._balances()
        open_goods = [each.good.id for each in self.orders if not each.phase.closed]
        assert len(open_goods) == len(set(open_goods))

    def _balances(self) -> dict[tuple[str, int | None], int]:
        found: dict[tuple[str, int | None], int] = {
            ("gateway_clearing", None): self.money.received,
            ("escrow", None): sum(each.amount for each in self.orders if each.pot == "escrow"),
            ("refund_clearing", None): self.money.refunding,
            ("payout_clearing", None): sum(fen for _, fen, _ in self.money.under_way),
            ("paid_out", None): self.money.paid_out,
        }
        for user in getattr(self, "people", ()):
            held = sum(each.amount for each in self.orders if (each.seller, each.pot) == (user, "held"))
            found["seller_held", user] = held
            found["seller_available", user] = self._available(user)
        assert all(fen >= 0 for fen in found.values())
        return {account: fen for account, fen in found.items() if fen}

    def _available(self, user: int) -> int:
        earned = sum(each.amount for each in self.orders if (each.seller, each.pot) == (user, "available"))
        return earned - self.money.withdrawn.get(user, 0)

    # --- the model ---

    def _order(self, which: int) -> ModelOrder:
        return self.orders[-1 - which % len(self.orders)]

    def _attempt(self, which: int) -> tuple[ModelOrder, Attempt]:
        attempts = [(order, each) for order in self.orders for each in order.attempts]
        return attempts[-1 - which % len(attempts)]

    def _column(self, order: ModelOrder, name: str) -> Any:
        with transaction() as session:
            return session.scalar(select(getattr(Order, name)).where(Order.id == order.id))

    def _fits(self, order: ModelOrder, row: Row, *, code: bool = False) -> bool:
        holds = {
            "courier": order.mode == 7,
            "face": order.mode == 6,
            "code": code,
            "refunds": order.refund_count < 3,
            "undisputed": not order.disputed,
            "once": not order.extended,
        }
        return all(holds[guard] for guard in row.guards)

    def _row(self, order: ModelOrder, event: str, role: str, *, code: bool = False) -> Row | None:
        return next(
            (
                row
                for row in ROWS
                if (row.event, row.source) == (event, order.phase)
                and role in row.by
                and self._fits(order, row, code=code)
            ),
            None,
        )

    def _answer(self, order: ModelOrder, event: str, role: str, *, code: bool = False) -> Answer | None:
        """The answer that must refuse the step; None if it is allowed."""
        if role == "other":
            return Answer.NO_SUCH_ORDER
        if self._row(order, event, role, code=code):
            return None
        here = [row for row in ROWS if (row.event, row.source) == (event, order.phase)]
        return Answer.WRONG_STATE if not here or any(role in row.by for row in here) else Answer.FORBIDDEN

    def _apply(self, order: ModelOrder, event: str, role: str, *, code: bool = False) -> None:
        row = self._row(order, event, role, code=code)
        assert row is not None
        source, target = row.money.split(">") if ">" in row.money else (order.pot, order.pot)
        assert order.pot == source, "the exit is funded"
        self.taken[row] += 1
        order.pot = target
        if event == "pay":
            self.money.received += order.amount
        if row.money.endswith(">gateway"):
            self.money.refunding += order.amount
        order.good.status = {"release": 2, "sell": 4}.get(row.good, order.good.status)
        order.refund_count += event == "request_refund"
        order.extended = order.extended or event == "extend_receipt"
        order.disputed = event in ("dispute", "contest_return")
        if event == "request_refund" and order.deadline is not None:
            order.remaining = max(order.deadline - self.now, 0)
        before, order.phase = order.deadline, row.target
        back = event in ("withdraw_refund", "reject_refund", "lapse", "resolve_for_seller")
        if order.phase.closed or order.disputed:
            order.deadline = None
        elif event == "extend_receipt":
            assert before is not None
            order.deadline = max(before, self.now) + DEADLINES[SHIPPED][1]
        elif back and order.remaining is not None:
            order.deadline = self.now + order.remaining
        elif row.target == row.source:  # changes no state, so nobody gets more time
            order.deadline = before
        else:
            order.deadline = self.now + DEADLINES[order.phase][1]

    def _take_payment(self, order: ModelOrder, attempt: Attempt) -> None:
        """We learn that an attempt was paid: the order's money, or on its way back at once."""
        if attempt.known_as == "paid":
            return
        attempt.known_as, attempt.query_at = "paid", None
        if order.phase == AWAITING_PAYMENT:
            self._apply(order, "pay", "gateway")
        else:
            self.money.received += order.amount
            self.money.refunding += order.amount

    def _close_trade(self, order: ModelOrder) -> None:
        """Before an unpaid order is closed its trade is, unless it turns out to be paid."""
        attempt = order.open_attempt
        if attempt is None:
            return
        if attempt.at_gateway == "paid":
            self._take_payment(order, attempt)
        elif attempt.at_gateway == "":
            attempt.known_as = "closed"  # it can still be opened, and paid: we go on asking
        else:
            attempt.at_gateway, attempt.known_as, attempt.query_at = "closed", "closed", None

    def _expect(self, wanted: Answer | None, call: Callable[[], Any]) -> None:
        """Call the service. It must refuse with just the `wanted` answer; with None it must not refuse."""
        try:
            call()
        except Refused as refusal:
            answer, why = refusal.answer, refusal.data
        else:
            answer, why = None, None
        assert answer is wanted, f"{answer} instead of {wanted}: {why}"


_REFUSED = "refuse@example.com"
_PARCEL = {"company": "顺丰速运", "tracking_no": "SF1234567890"}


def _verb(verb: Callable[..., None], **more: Any) -> Callable[[Shop, ModelOrder, int], None]:
    return lambda _shop, order, actor: verb(actor_id=actor, order_id=order.id, **more)


def _dispute(event: OrderEvent) -> Callable[[Shop, ModelOrder, int], None]:
    return _verb(service.raise_dispute, event=event, reason="理由", description="")


_VERBS: dict[str, Callable[[Shop, ModelOrder, int], None]] = {
    "cancel": _verb(service.cancel_order),
    "ship": lambda shop, order, actor: service.ship_order(
        actor_id=actor, order_id=order.id, address_id=shop.addresses[actor], **_PARCEL
    ),
    "receive": _verb(service.receive_order),
    "extend_receipt": _verb(service.extend_receipt),
    "request_refund": _verb(service.request_refund, reason="不想要了", description=""),
    "withdraw_refund": _verb(service.withdraw_refund),
    "reject_refund": _verb(service.reject_refund, reason="理由"),
    "approve_refund": _verb(service.approve_refund),
    "send_back": _verb(service.send_back, **_PARCEL, freight=0),
    "accept_return": _verb(service.accept_return),
    "dispute": _dispute(OrderEvent.DISPUTE),
    "contest_return": _dispute(OrderEvent.CONTEST_RETURN),
}


@pytest.fixture
def model_gateway(environment: dict[str, str], tmp_path: Path) -> Iterator[SandboxServer]:
    """A sandbox that delivers no notification to anybody: the test does."""
    with start_sandbox(tmp_path, keys_dir=Path(environment["INSTANCE_PATH"]) / "keys") as running:
        yield running


@pytest.fixture
def shop(app: Flask, environment: dict[str, str], model_gateway: SandboxServer) -> Iterator[type[Shop]]:
    """The model's state machine, bound to an application of its own."""
    variables = {
        **environment,
        "ALIPAY_GATEWAY_URL": model_gateway.gateway_url,
        "PUBLIC_URL": "http://127.0.0.1:9",  # the discard port: nobody listens
        "UNPAID_ORDERS_LIMIT": str(UNPAID_LIMIT),
        "EXPIRED_ORDERS_ALLOWED": "1000000",
        "CANCELLED_ORDERS_ALLOWED": "1000000",
        "WITHDRAW_DAILY_LIMIT": "1000000",
        "PAYMENT_QUERY_AFTER": str(QUERY_AFTER * 60),
        "LOG_LEVEL": "CRITICAL",  # refused refunds and late payments are what this is about
    }
    Shop.settings, Shop.keys, Shop.steps = load_settings(variables), model_gateway.keys, 0
    Shop.taken_by_all.clear()
    with running_app(Shop.settings) as Shop.app:
        yield Shop


def _path_to(goal: Row, mode: int) -> list[tuple[Row, str]]:
    """The shortest path by the table from a new order to where the row can be taken; staff decide only disputes."""
    wants_dispute = goal.by == ("staff",) and goal.event != CONFIRM
    paths: dict[tuple[OrderPhase, bool], list[tuple[Row, str]]] = {(AWAITING_PAYMENT, False): []}
    for at, disputed in (reached := list(paths)):
        if (at, disputed) == (goal.source, wants_dispute):
            return paths[at, disputed]
        for row in ROWS:
            refused = {"courier" if mode == 6 else "face", *(["undisputed"] if disputed else [])}
            after = (row.target, row.event in ("dispute", "contest_return"))
            if row.source == at and not row.guards & refused and row.by != ("staff",) and after not in paths:
                paths[after] = [*paths[at, disputed], (row, row.by[0])]
                reached.append(after)
    raise AssertionError(f"there is no path to {goal}")


def test_every_line_of_the_table(shop: type[Shop]) -> None:
    """Each row, by each role, at the end of the shortest path to it."""
    machine = shop()
    try:
        machine.begin(choices=[])
        for row in ROWS:
            mode = 6 if "face" in row.guards else 7
            for role in row.by:
                machine.goods.append(good := machine._new_good(machine.people[0]))
                machine._buy(machine.people[1], good, mode)
                order = machine.orders[-1]
                for step, by in [*_path_to(row, mode), (row, role)]:
                    machine._take(order, step, by)
                    machine.agrees()
                assert order.phase == row.target
        machine.work()
        machine.agrees()
    finally:
        machine.teardown()
    assert [row for row in ROWS if not shop.taken_by_all[row]] == []


# Traced, it takes a third longer and covers nothing that others do not.
@pytest.mark.no_cover
def test_the_services_do_what_the_design_says(shop: type[Shop]) -> None:
    """Random walks through what people, the gateway and time can do."""
    steps = int(os.environ.get("STORM_STEPS", "0"))
    run_state_machine_as_test(
        shop,
        settings=settings(
            # Not every walk has as many of its own, but the market that each begins with takes some as well.
            max_examples=max(steps, LEAST_STEPS) * 21 // 20 // STEPS_PER_RUN,
            stateful_step_count=STEPS_PER_RUN,
            derandomize=not steps,
            # The shortest walk that fails takes minutes to find: only for who asks.
            phases=(Phase.generate, Phase.shrink) if steps else (Phase.generate,),
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{shop.steps} steps; of the table:")
    for row in ROWS:
        print(f"{shop.taken_by_all[row]:6} {row.event} by {', '.join(row.by)} at {row.source}")
    # Or the walk has become shorter, or shallower, without anybody noticing.
    assert shop.steps >= max(steps, LEAST_STEPS)
    assert sum(shop.taken_by_all.values()) >= max(steps, LEAST_STEPS) // 4
    assert len(shop.taken_by_all) >= len(ROWS) * 2 // 3
