"""Words are erased wherever they stand; what happened is proved as before, and that they are gone is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.answers import Answer
from app.db.database import db
from app.db.transactions import transaction
from app.erasure.service import erase_words_of_user
from app.notifications.service import notify_of_steps
from app.orders.history import compare, export, parse, verify
from app.orders.models import OrderEventRecord
from statemachine.order import PAID
from tests.factories import Made, assert_envelope, auth_headers, lead_order, make_good, make_user, whole_database

SECRETS = ("微信 fish2026", "打 13912345678", "林女士在家", "卖家是骗子", "王先生说的", "证据不足,见电话记录")
ERASED = "[内容已删除]"


class Quarrel:
    """An order about which everybody wrote: asked, refused, disputed, stated, decided."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.buyer, self.seller, self.staff = make_user(app), make_user(app), make_user(app, staff=True)
        self.order = lead_order(app, make_good(app, self.seller), self.buyer, phase=PAID)
        asked = {"reason": SECRETS[0], "description": SECRETS[1]}
        self._post(self.buyer, "/api/buyer_motion_drawback/{id}", asked)
        self._post(self.seller, "/api/seller_reject_drawback/{id}/", {"reason": SECRETS[2]})
        self._post(self.buyer, "/api/buyer_motion_drawback/{id}", {"reason": "不想要了"})
        self._post(self.buyer, "/api/dispute_order/{id}/", {"reason": SECRETS[3], "description": "无"})
        self._post(self.seller, "/api/dispute_statement/{id}/", {"text": SECRETS[4]})
        self._post(self.staff, "/api/staff/resolve_for_buyer/{id}/", {"reason": SECRETS[5]})
        with app.app_context(), transaction() as session:
            notify_of_steps(session, event_ids=list(session.scalars(select(OrderEventRecord.id))))

    def _post(self, who: Made, url: str, body: dict[str, str]) -> None:
        response = self.app.test_client().post(
            url.format(id=self.order.id), json=body, headers=auth_headers(self.app, who)
        )
        assert response.status_code == 200, response.text

    def command(self, *arguments: str) -> Result:
        return self.app.test_cli_runner().invoke(args=["order", *arguments])

    def left(self) -> set[str]:
        """Those of the secrets that stand anywhere in the database."""
        found = json.dumps(whole_database(self.app), ensure_ascii=False, default=str)
        return {secret for secret in SECRETS if secret in found}

    def detail(self, who: Made) -> dict[str, Any]:
        response = self.app.test_client().get(f"/api/order/{self.order.id}/", headers=auth_headers(self.app, who))
        data: dict[str, Any] = assert_envelope(response, Answer.ORDER_FOUND)
        return data

    def problems(self) -> list[str]:
        with self.app.app_context():
            return verify(parse(json.dumps(export(self.order.order_no)).encode()))


@pytest.fixture
def quarrel(app: Flask, clean: None) -> Quarrel:
    return Quarrel(app)


def exported(quarrel: Quarrel) -> dict[str, Any]:
    with quarrel.app.app_context():
        found: dict[str, Any] = parse(json.dumps(export(quarrel.order.order_no)).encode())
    return found


def test_all_words_of_an_order_go_and_its_history_stays(quarrel: Quarrel, tmp_path: Path) -> None:
    before = exported(quarrel)
    assert quarrel.left() == set(SECRETS)
    done = quarrel.command("erase-words", quarrel.order.order_no, "--reason", "用户要求", "--by", "laowang")
    said = f"order {quarrel.order.order_no}: lines whose words are erased: 3, 4, 5, 6, 7\n"
    assert (done.exit_code, done.output) == (0, said)
    assert quarrel.left() == set()

    after = exported(quarrel)
    hashed = [{name: value for name, value in line.items() if name != "words"} for line in before["lines"]]
    assert [{name: value for name, value in line.items() if name != "words"} for line in after["lines"]] == hashed
    assert after["last_hash"] == before["last_hash"]
    assert quarrel.problems() == []
    [erased_at] = {line["words"]["erased_at"] for line in after["lines"] if line["words"]}
    erased = {"erased_at": erased_at, "erased_by": "laowang", "erased_why": "用户要求"}
    assert [line["words"] for line in after["lines"]] == [None, None, *[erased] * 5]

    # The commands tell it; a file from before is still right, and says what was said.
    file = tmp_path / "history.json"
    for evidence, told in ((after, True), (before, False)):
        file.write_text(json.dumps(evidence))
        for options in ([], ["--offline"]):
            checked = quarrel.command("verify", str(file), *options)
            lines = [f"line {n}: its words were erased at {erased_at} by laowang: 用户要求" for n in range(3, 8)]
            whole = f"the history of order {quarrel.order.order_no} is whole: 7 lines"
            assert (checked.exit_code, checked.output.splitlines()) == (0, [*(lines if told else []), whole])

    # The sides read that it is gone, in every place.
    for who in (quarrel.buyer, quarrel.seller):
        detail = quarrel.detail(who)
        assert [line["note"] for line in detail["history"]] == ["", "", *[ERASED] * 5]
        assert [each["reason"] for each in detail["refund_requests"]] == [ERASED] * 2
        assert [each["description"] for each in detail["refund_requests"]] == [ERASED, ""]
        assert [each["outcome_note"] for each in detail["refund_requests"]] == [ERASED] * 2
        [dispute] = detail["disputes"]
        assert (dispute["reason"], dispute["description"], dispute["outcome_note"]) == (ERASED,) * 3
        assert [each["text"] for each in dispute["statements"]] == [ERASED]
    actions = quarrel.app.test_client().get("/api/staff/actions/", headers=auth_headers(quarrel.app, quarrel.staff))
    assert [each["reason"] for each in actions.get_json()["data"]["items"]] == [ERASED]


def test_again_changes_nothing(quarrel: Quarrel) -> None:
    for by in ("first", "second"):
        assert quarrel.command("erase-words", quarrel.order.order_no, "--reason", "r", "--by", by).exit_code == 0
    assert {line["words"]["erased_by"] for line in exported(quarrel)["lines"] if line["words"]} == {"first"}


@pytest.mark.parametrize(("line", "gone"), [(3, SECRETS[:2]), (4, SECRETS[2:3]), (6, SECRETS[3:4]), (7, SECRETS[5:])])
def test_one_line_goes_with_its_copies_and_no_other(quarrel: Quarrel, line: int, gone: tuple[str, ...]) -> None:
    order_no = quarrel.order.order_no
    done = quarrel.command("erase-words", order_no, "--line", str(line), "--reason", "含他人电话")
    assert (done.exit_code, done.output) == (0, f"order {order_no}: lines whose words are erased: {line}\n")
    assert quarrel.left() == set(SECRETS) - set(gone)
    assert quarrel.problems() == []
    notes = [each["note"] for each in quarrel.detail(quarrel.buyer)["history"]]
    assert [number for number, note in enumerate(notes, start=1) if note == ERASED] == [line]


def test_a_users_own_words_go_and_not_the_others(quarrel: Quarrel) -> None:
    mine: list[tuple[Made, set[int]]] = [(quarrel.buyer, {0, 1, 3}), (quarrel.seller, {2, 4}), (quarrel.staff, set())]
    left = set(range(len(SECRETS)))
    for who, numbers in mine:
        with quarrel.app.app_context(), transaction() as session:
            erase_words_of_user(session, user_id=who.id, by=f"user {who.id}", why="account deleted")
        left -= numbers
        assert quarrel.left() == {SECRETS[number] for number in left}
        assert quarrel.problems() == []
    assert quarrel.left() == {SECRETS[5]}
    again = Quarrel(quarrel.app)  # others' orders are left alone
    with quarrel.app.app_context(), transaction() as session:
        erase_words_of_user(session, user_id=quarrel.buyer.id, by="x", why="y")
    assert again.left() == set(SECRETS)


def test_what_is_erased_cannot_be_guessed(quarrel: Quarrel) -> None:
    quarrel.command("erase-words", quarrel.order.order_no, "--reason", "r")
    with quarrel.app.app_context(), db.engine.connect() as connection:
        kept = connection.execute(text("SELECT salt, text, erased_at IS NULL FROM erasable_texts")).all()
    assert [tuple(row) for row in kept] == [(None, None, False)] * 6


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE erasable_texts SET text = NULL WHERE text LIKE '微信%'",
        "UPDATE erasable_texts SET erased_at = now() WHERE text LIKE '微信%'",
        "DELETE FROM erasable_texts WHERE text LIKE '微信%'",
    ],
)
def test_the_database_refuses_half_an_erasure(quarrel: Quarrel, change: str) -> None:
    before = whole_database(quarrel.app)
    with quarrel.app.app_context(), db.engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(text(change))
    assert whole_database(quarrel.app) == before


def test_words_that_were_changed_are_not_erased_by_the_way(quarrel: Quarrel) -> None:
    with quarrel.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE erasable_texts SET text = '别的' WHERE text LIKE '微信%'"))
    order_no, before = quarrel.order.order_no, whole_database(quarrel.app)
    refused = quarrel.command("erase-words", order_no, "--reason", "r")
    problem = "line 3: its words were changed"
    text_ = "the history is not whole; export it first, then say --although-broken"
    assert (refused.exit_code, refused.output) == (1, f"Error: {text_}\n{problem}\n")
    assert whole_database(quarrel.app) == before
    assert quarrel.command("erase-words", order_no, "--reason", "r", "--although-broken").exit_code == 0
    assert quarrel.left() == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2026112200000000000000", "--reason", "r"], "there is no order 2026112200000000000000"),
        (["{order_no}", "--line", "3", "--line", "9", "--line", "8", "--reason", "r"], "the history has no line 8, 9"),
        (["{order_no}", "--reason", " "], "--reason has 1 to 200 characters, --by 1 to 60"),
        (["{order_no}", "--reason", "r" * 201], "--reason has 1 to 200 characters, --by 1 to 60"),
        (["{order_no}", "--reason", "r", "--by", "b" * 61], "--reason has 1 to 200 characters, --by 1 to 60"),
    ],
)
def test_what_is_refused_changes_nothing(quarrel: Quarrel, arguments: list[str], said: str) -> None:
    before = whole_database(quarrel.app)
    words = [word.format(order_no=quarrel.order.order_no) for word in arguments]
    refused = quarrel.command("erase-words", *words)
    assert (refused.exit_code, refused.output) == (1, f"Error: {said}\n")
    assert whole_database(quarrel.app) == before


def test_an_erasure_that_is_not_the_databases_is_found(quarrel: Quarrel) -> None:
    forged = exported(quarrel)
    forged["lines"][2]["words"] = {"erased_at": "2026-11-29", "erased_by": "x", "erased_why": "y"}
    assert verify(forged) == []
    with quarrel.app.app_context():
        assert compare(forged) == ["line 3: differs from the database"]
