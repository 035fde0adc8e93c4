"""Money in the ledger: put there plainly, or by orders that really go their way."""

import itertools

from flask import Flask
from sqlalchemy import select

from app.clock import utcnow
from app.db.database import db
from app.db.transactions import autocommit_connection, transaction
from app.ledger.models import AccountKind, LedgerAccount
from app.ledger.service import Posting, Transfer, order_account, post, user_account
from app.money.models import Payment, PaymentState
from app.orders.models import Order
from app.orders.service import buy_good
from app.orders.transitions import OrderCommand, fire, lock_order
from statemachine import OrderEvent, Role
from tests.factories import Made, make_address, make_good, make_user

_numbers = itertools.count(1)

GATEWAY = order_account(AccountKind.GATEWAY_CLEARING, 0)
ESCROW = order_account(AccountKind.ESCROW, 0)


def posting(*transfers: Transfer, key: str | None = None, kind: str = "settle") -> Posting:
    """A posting with a key of its own."""
    return Posting(key=key or f"test:{next(_numbers)}", kind=kind, order_id=None, transfers=transfers)


def post_now(*postings: Posting) -> None:
    """Post in a transaction of its own."""
    with transaction() as session:
        post(session, postings, at=utcnow())


def give(app: Flask, user: Made, *, available: int = 0, held: int = 0) -> None:
    """Put fen into the user's wallet, out of nowhere."""
    kinds = {AccountKind.SELLER_AVAILABLE: available, AccountKind.SELLER_HELD: held}
    with app.app_context():
        post_now(*(posting(Transfer(GATEWAY, user_account(kind, user.id), fen)) for kind, fen in kinds.items() if fen))


def balances(app: Flask) -> dict[tuple[str, int | None], int]:
    """`{(kind, user id or None): fen}`, slots added up, without the empty ones."""
    sums: dict[tuple[str, int | None], int] = {}
    with app.app_context(), autocommit_connection() as connection:
        for row in connection.execute(select(LedgerAccount.__table__)):
            sums[row.kind, row.user_id] = sums.get((row.kind, row.user_id), 0) + row.balance
    return {account: fen for account, fen in sums.items() if fen}


def walk(app: Flask, *steps: tuple[OrderEvent, Role]) -> Made:
    """An order that was bought and has made these steps by the real transitions; a payment goes before `pay`."""
    seller, buyer = make_user(app), make_user(app)
    good = make_good(app, seller)
    address = make_address(app, buyer)
    with app.app_context():
        order_id = buy_good(buyer_id=buyer.id, good_id=good.id, address_id=address.id, trade_mode=None)
        for event, role in steps:
            with transaction() as session:
                row_of_good, order = lock_order(session, order_id)
                if event is OrderEvent.PAY:
                    session.add(
                        Payment(
                            order_id=order.id,
                            out_trade_no=order.order_no,
                            amount=order.amount,
                            state=PaymentState.PAID.value,
                            paid_at=utcnow(),
                            created_at=utcnow(),
                        )
                    )
                    session.flush()
                fire(session, row_of_good, order, OrderCommand(event=event, role=role, note="理由"))
        row = db.session.execute(select(Order.__table__).where(Order.id == order_id)).one()
        db.session.rollback()
    return Made(order_id, {**row._mapping, "seller": seller, "buyer": buyer})
