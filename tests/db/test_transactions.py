"""Transactions that join, reads that see what they wrote, and what stays when they are rolled back."""

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from app.accounts.models import User
from app.answers import Answer, Refused
from app.db.database import db
from app.db.transactions import autocommit_connection, independent_transaction, reading, row_or_none, rows, transaction
from tests.factories import make_user

BIOS = select(User.bio).order_by(User.id)


def committed() -> list[str]:
    """What everybody sees."""
    with autocommit_connection() as connection:
        return list(connection.scalars(BIOS))


def test_reads_in_a_transaction_see_what_it_wrote(context: Flask) -> None:
    user = make_user(context)
    with transaction() as session:
        session.execute(update(User).values(bio="written"))
        session.get_one(User, user.id).username = "flushed"
        assert [tuple(row) for row in rows(select(User.bio, User.username))] == [("written", "flushed")]
        found = row_or_none(BIOS)
        assert found is not None
        assert found.bio == "written"
        with reading() as connection:
            assert connection.scalar(select(func.pg_backend_pid())) == session.scalar(select(func.pg_backend_pid()))
        assert committed() == [""]
    assert committed() == ["written"]


def test_reads_outside_take_no_transaction(context: Flask) -> None:
    make_user(context)
    in_transaction = text("SELECT now() <> statement_timestamp()")
    with reading() as connection:
        connection.execute(BIOS)
        assert connection.scalar(in_transaction) is False
    with transaction() as session:
        session.execute(BIOS)
        assert session.scalar(in_transaction) is True


def test_a_transaction_knows_nothing_from_before(context: Flask) -> None:
    """What the session read outside of it may be old by now: locks and checks need what is there."""
    user = make_user(context)
    known = db.session.get_one(User, user.id)  # held, because the session forgets what nobody holds
    assert known.bio == ""
    with autocommit_connection() as connection:
        connection.execute(update(User).values(bio="changed meanwhile"))
    with transaction() as session:
        assert session.get_one(User, user.id).bio == "changed meanwhile"


def test_joined_blocks_commit_with_the_outermost(context: Flask) -> None:
    make_user(context)
    with transaction() as session:
        with transaction() as joined:
            assert joined is session
            joined.execute(update(User).values(bio="joined"))
        assert committed() == [""]
    assert committed() == ["joined"]

    def refused_half_way() -> None:
        with transaction():
            with transaction() as joined:
                joined.execute(update(User).values(bio="rolled back"))
            raise Refused(Answer.WRONG_STATE)

    with pytest.raises(Refused):
        refused_half_way()
    assert committed() == ["joined"]
    # What follows is a transaction of its own again.
    with transaction() as session:
        session.execute(update(User).values(bio="afterwards"))
    assert committed() == ["afterwards"]


def test_what_is_written_outside_outlives_a_rollback(context: Flask) -> None:
    first, second = make_user(context), make_user(context)

    def refused_half_way() -> None:
        with transaction() as session:
            session.execute(update(User).where(User.id == first.id).values(bio="inside"))
            with autocommit_connection() as connection:
                connection.execute(update(User).where(User.id == second.id).values(bio="outside"))
            raise Refused(Answer.WRONG_STATE)

    with pytest.raises(Refused):
        refused_half_way()
    assert committed() == ["", "outside"]


def test_a_detached_transaction_outlives_the_one_around_it(context: Flask) -> None:
    first, second = make_user(context), make_user(context)

    def refused_half_way() -> None:
        with transaction() as session:
            session.execute(update(User).where(User.id == first.id).values(bio="around"))
            with independent_transaction():
                with transaction() as other:
                    assert other is not session
                    other.execute(update(User).where(User.id == second.id).values(bio="detached"))
                    assert [row.bio for row in rows(BIOS)] == ["", "detached"]
                assert committed() == ["", "detached"]
            assert [row.bio for row in rows(BIOS)] == ["around", "detached"]
            raise Refused(Answer.WRONG_STATE)

    with pytest.raises(Refused):
        refused_half_way()
    assert committed() == ["", "detached"]
