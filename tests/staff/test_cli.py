"""`flask staff …`: appointing, and what is recorded of it."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.accounts.models import User
from app.db.database import db
from app.staff.models import StaffAction
from tests.accounts.steps import at_once
from tests.factories import make_user, whole_database

pytestmark = pytest.mark.usefixtures("clean")


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["staff", *arguments])
    return result.exit_code, result.output


def recorded(app: Flask) -> list[tuple[Any, ...]]:
    columns = (StaffAction.actor_id, StaffAction.action, StaffAction.subject, StaffAction.subject_id)
    with app.app_context(), db.engine.connect() as connection:
        statement = select(*columns, StaffAction.reason, StaffAction.details).order_by(StaffAction.id)
        return [tuple(row) for row in connection.execute(statement)]


def is_staff(app: Flask, user_id: int) -> bool:
    with app.app_context(), db.engine.connect() as connection:
        return connection.execute(select(User.is_staff).where(User.id == user_id)).scalar_one()


def test_somebody_comes_and_goes(app: Flask) -> None:
    user = make_user(app, "Laowang")
    assert run(app, "add", "laowang", "--reason", "  入职,负责纠纷 ") == (0, "laowang is staff from now on\n")
    assert is_staff(app, user.id)
    roles = ["reviewer", "arbiter", "operator"]
    added = (None, "add_staff", "user", user.id, "入职,负责纠纷", {"before": [], "after": roles})
    assert recorded(app) == [added]
    code, output = run(app, "list")
    assert code == 0
    head, line = output.splitlines()
    assert head.split() == ["id", "username", "roles", "since", "reason"]
    assert line.split()[:5] == [str(user.id), "Laowang", "reviewer,", "arbiter,", "operator"]
    assert line.split()[6] == "入职,负责纠纷"
    assert run(app, "remove", "LAOWANG", "--reason", "离职") == (0, "LAOWANG is no staff from now on\n")
    assert not is_staff(app, user.id)
    assert recorded(app) == [added, (None, "remove_staff", "user", user.id, "离职", {"before": roles, "after": []})]
    assert len(run(app, "list")[1].splitlines()) == 1


def test_who_was_made_staff_without_a_record_is_listed(app: Flask) -> None:
    user = make_user(app, "admin", staff=True)
    line = run(app, "list")[1].splitlines()[1]
    assert line.split() == [str(user.id), "admin", "reviewer,", "arbiter,", "operator,", "admin"]


def test_roles_are_given_and_changed(app: Flask) -> None:
    user = make_user(app, "plain")
    assert run(app, "add", "plain", "--role", "arbiter", "--reason", "入职")[0] == 0
    assert roles_of(app, user.id) == ["arbiter"]
    told = run(app, "roles", "plain", "--role", "admin", "--role", "reviewer", "--reason", "转岗")
    assert told == (0, "plain is reviewer, admin from now on\n")
    assert roles_of(app, user.id) == ["reviewer", "admin"]
    assert recorded(app)[1][1:] == (
        *("change_roles", "user", user.id, "转岗"),
        {"before": ["arbiter"], "after": ["reviewer", "admin"]},
    )


def roles_of(app: Flask, user_id: int) -> list[str]:
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(select(User.staff_roles).where(User.id == user_id)).scalar_one())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("add", "nobody", "--reason", "入职"), 1, "Error: there is no user nobody"),
        (("remove", "nobody", "--reason", "离职"), 1, "Error: there is no user nobody"),
        (("add", "Chief", "--reason", "入职"), 1, "Error: chief is staff already"),
        (("remove", "plain", "--reason", "离职"), 1, "Error: plain is no staff"),
        (("add", "plain"), 2, "Missing option '--reason'"),
        (("add", "plain", "--role", "boss", "--reason", "入职"), 2, "'boss' is not one of"),
        (("roles", "chief", "--reason", "转岗"), 2, "name at least one --role"),
        (("roles", "plain", "--role", "admin", "--reason", "转岗"), 1, "Error: plain is no staff"),
        (("reset-second-factor", "plain", "--reason", "换手机"), 1, "Error: plain is no staff"),
        (("add", "plain", "--reason", ""), 2, "1 to 500 characters"),
        (("add", "plain", "--reason", " \u200b "), 2, "1 to 500 characters"),
        (("remove", "chief", "--reason", "由" * 501), 2, "1 to 500 characters"),
        (("remove", "chief", "--reason", "由\x07"), 2, "1 to 500 characters"),
    ],
)
def test_what_is_refused(app: Flask, arguments: tuple[str, ...], code: int, told: str) -> None:
    make_user(app, "chief", staff=True)
    make_user(app, "plain")
    before = whole_database(app)
    result = run(app, *arguments)
    assert result[0] == code
    assert told in result[1]
    assert whole_database(app) == before


def test_two_operators_at_once(app: Flask) -> None:
    user = make_user(app, "plain")
    results = at_once(4, lambda number: _add(app, number))
    assert sorted(results) == [False, False, False, True]
    assert is_staff(app, user.id)
    assert len(recorded(app)) == 1


def _add(app: Flask, number: int) -> bool:
    # Click's test runner swaps the process's streams, so threads call the service.
    from app.staff.service import AppointmentRefused, add_staff

    with app.app_context():
        try:
            add_staff(username="plain", reason=f"第 {number} 次")
        except AppointmentRefused:
            return False
        return True
