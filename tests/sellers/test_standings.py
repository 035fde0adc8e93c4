"""What a seller's orders and goods come to."""

from typing import Any

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import insert, select

from app.db.database import db
from app.sellers.models import SellerStanding
from app.sellers.queries import Standings, read_standings
from app.sellers.service import count_standings
from tests.factories import Made, make_good, make_order, make_user

pytestmark = pytest.mark.usefixtures("clean")


def closed(app: Flask, seller: Made, *reasons: str) -> None:
    """Orders of the seller that were closed so."""
    buyer = make_user(app)
    for reason in reasons:
        make_order(app, make_good(app, seller), buyer, closed=True, closed_reason=reason, deadline_at=None)


def counted(app: Flask) -> dict[int, tuple[Any, ...]]:
    with app.app_context():
        count_standings()
        with db.engine.connect() as connection:
            found = connection.execute(select(SellerStanding.__table__)).all()
    return {row.user_id: (row.settled, row.failed, row.taken_down, row.standing) for row in found}


@pytest.mark.parametrize(
    ("reasons", "taken_down", "expected"),
    [
        (["settle"], 0, (1, 0, 0, 9)),
        (["settle"] * 10, 0, (10, 0, 0, 50)),
        (["settle", "resolve_for_seller"], 0, (2, 0, 0, 17)),
        (["refund_unshipped"], 0, (0, 1, 0, -23)),
        (["settle", "resolve_for_buyer"], 0, (1, 1, 0, -14)),
        ([], 1, (0, 0, 1, -33)),
        (["settle"] * 5, 1, (5, 0, 1, 0)),
        # What the buyer gave up, or did not pay, says nothing of the seller
        (["cancel", "expire"], 0, None),
        ([], 0, None),
    ],
)
def test_what_orders_and_goods_come_to(
    app: Flask, reasons: list[str], taken_down: int, expected: tuple[int, ...] | None
) -> None:
    seller = make_user(app)
    closed(app, seller, *reasons)
    for _ in range(taken_down):
        make_good(app, seller, taken_down=True, takedown_cause="staff")
    make_good(app, seller, taken_down=True, takedown_cause="suspension")
    assert counted(app) == ({} if expected is None else {seller.id: expected})


def test_they_are_counted_anew(app: Flask) -> None:
    seller, gone = make_user(app), make_user(app)
    closed(app, seller, "settle")
    assert counted(app) == {seller.id: (1, 0, 0, 9)}
    with app.app_context(), db.engine.begin() as connection:
        old = {"settled": 9, "failed": 0, "taken_down": 0, "standing": 47, "counted_at": db.func.now()}
        connection.execute(insert(SellerStanding).values(user_id=gone.id, **old))
    closed(app, seller, "settle")
    assert counted(app) == {seller.id: (2, 0, 0, 17)}
    with app.app_context():
        assert read_standings().of(np.array([gone.id, seller.id, 0])).tolist() == [0.0, 0.17, 0.0]


def test_of_nobody_nothing_is_known() -> None:
    assert Standings({}).of(np.array([1, 2])).tolist() == [0.0, 0.0]
    assert Standings({5: 100, 2: -50}).of(np.array([2, 3, 5, 9])).tolist() == [-0.5, 0.0, 1.0, 0.0]
