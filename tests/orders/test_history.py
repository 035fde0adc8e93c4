"""Histories: one line per step, chained by hashes; exported, checked, and found out whatever is changed in them."""

import copy
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg.errors import RestrictViolation
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.database import db
from app.orders import service
from app.orders.history import BadFile, NoSuchOrder, compare, export, line_hash, parse, verify
from statemachine import OrderPhase
from statemachine.order import REFUNDED_RETURNED, SHIPPED
from tests.factories import EVENTS_TO, Made, lead_order, make_good, make_user
from tests.orders.table import name_of

Evidence = dict[str, Any]
FIELDS = (
    *("order_no", "sequence", "event", "role", "actor_id", "from_bill", "from_order", "to_bill", "to_order"),
    *("closed", "note_digest", "legacy_hash", "at", "previous_hash", "hash", "words"),
)
HASHED = FIELDS[:-2]


@pytest.fixture
def order(context: Flask) -> Made:
    """An order that was returned and refunded: bought, paid, shipped, received, asked for, sent back, accepted."""
    return lead_order(context, make_good(context, make_user(context)), make_user(context), phase=REFUNDED_RETURNED)


@pytest.fixture
def evidence(order: Made) -> Evidence:
    """Its history, as a file holds it."""
    return as_file(export(order.order_no))


def as_file(evidence: Evidence) -> Evidence:
    found: Evidence = parse(json.dumps(evidence).encode())
    return found


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["order", *arguments])


def chained(evidence: Evidence) -> Evidence:
    """The same lines with hashes made anew, as somebody would who knows how."""
    previous = "0" * 64
    for line in evidence["lines"]:
        line["previous_hash"] = previous
        line["hash"] = previous = line_hash({name: line[name] for name in HASHED})
    evidence["last_hash"] = previous
    return evidence


# --- what is written ---


def test_the_lines_of_a_whole_life(order: Made, evidence: Evidence) -> None:
    assert (evidence["format"], evidence["order_no"]) == ("saltfish-order-history/2", order.order_no)
    steps = [
        (*(line[name] for name in FIELDS[1:10]), line["words"] and line["words"]["text"]) for line in evidence["lines"]
    ]
    buyer, seller = order.buyer_id, order.seller_id
    assert steps == [
        (1, "buy", "buyer", buyer, None, None, 1, 6, False, None),
        (2, "pay", "gateway", None, 1, 6, 2, 6, False, None),
        (3, "ship", "seller", seller, 2, 6, 2, 7, False, None),
        (4, "receive", "buyer", buyer, 2, 7, 3, 8, False, None),
        (5, "request_refund", "buyer", buyer, 3, 8, 4, 8, False, "与描述不符"),
        (6, "send_back", "buyer", buyer, 4, 8, 4, 9, False, None),
        (7, "accept_return", "seller", seller, 4, 9, 5, 10, True, None),
    ]
    assert all(set(line) == set(FIELDS) for line in evidence["lines"])
    assert [line["legacy_hash"] for line in evidence["lines"]] == [None] * 7
    said = evidence["lines"][4]
    # printf '%s' 与描述不符 | openssl dgst -sha256 -mac hmac -macopt hexkey:$salt
    digest = hmac.new(bytes.fromhex(said["words"]["salt"]), "与描述不符".encode(), "sha256").hexdigest()
    assert (said["note_digest"], len(said["words"]["salt"])) == (digest, 64)
    assert [line["note_digest"] for line in evidence["lines"] if line is not said] == [None] * 6
    hashes = [line["hash"] for line in evidence["lines"]]
    assert [line["previous_hash"] for line in evidence["lines"]] == ["0" * 64, *hashes[:-1]]
    assert evidence["last_hash"] == hashes[-1] == order.history_hash


def test_the_hash_is_what_the_docstring_says() -> None:
    """Somebody without this program can compute it: SHA-256 of the fields as JSON, keys sorted, UTF-8, no spaces."""
    line = {"b": "退款", "a": None, "c": True, "d": 7}
    # printf '%s' '{"a":null,"b":"退款","c":true,"d":7}' | sha256sum
    assert line_hash(line) == "f2d7f766c2ac95869c851dad908c24b06fa1c4026c4f37970c3fcf7f46f0ee9f"


@pytest.mark.parametrize("phase", EVENTS_TO, ids=name_of)
def test_every_way_is_whole(context: Flask, phase: OrderPhase) -> None:
    order = lead_order(context, make_good(context, make_user(context)), make_user(context), phase=phase)
    evidence = as_file(export(order.order_no))
    assert (verify(evidence), compare(evidence)) == ([], [])
    assert len(evidence["lines"]) == len(EVENTS_TO[phase]) + 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE order_events SET note_digest = NULL WHERE sequence = 5",
        "UPDATE order_events SET note_digest = note_digest",
        "DELETE FROM order_events WHERE sequence = 7",
        "TRUNCATE order_events, notifications",
        "TRUNCATE order_events CASCADE",
    ],
)
def test_the_database_refuses_to_change_them(order: Made, evidence: Evidence, statement: str) -> None:
    with pytest.raises(DBAPIError, match="order_events is append-only") as refused, db.engine.begin() as connection:
        connection.execute(text(statement))
    assert isinstance(refused.value.orig, RestrictViolation)
    assert refused.value.orig.sqlstate == "23001"
    assert as_file(export(order.order_no))["lines"] == evidence["lines"]


# --- what is found ---

OTHER: dict[str, Any] = {
    "order_no": "2026112200000000000000",
    "sequence": 9,
    "event": "pay",
    "role": "staff",
    "actor_id": 99,
    "from_bill": 5,
    "from_order": 10,
    "to_bill": 0,
    "to_order": 7,
    "closed": None,
    "note_digest": "e" * 64,
    "legacy_hash": "d" * 64,
    "at": "2026-11-22T00:00:00.000000+00:00",
    "previous_hash": "f" * 64,
    "hash": "f" * 64,
    "words": {"text": "另一句话", "salt": "ab" * 32},
}


@pytest.mark.parametrize("number", [1, 4, 7])
@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_is_named(evidence: Evidence, field: str, number: int) -> None:
    line = evidence["lines"][number - 1]
    assert line[field] != OTHER[field]
    line[field] = OTHER[field]
    problems = verify(evidence)
    assert (f"line {number}: was changed, its hash does not fit" in problems) == (field != "words")
    extra = {
        "words": f"line {number}: has words that nobody wrote",
        "order_no": f"line {number}: is about order 2026112200000000000000",
        "sequence": f"line {number}: has sequence 9",
        "previous_hash": f"line {number}: does not follow the line before it",
    }
    assert field not in extra or extra[field] in problems
    if field == "hash":
        after = "the last line is not the one that the order ends with: lines are missing at the end"
        assert (after if number == 7 else f"line {number + 1}: does not follow the line before it") in problems
    assert f"line {number}: differs from the database" in compare(evidence)


def _drop(lines: list[Any], number: int) -> None:
    del lines[number - 1]


def _swap(lines: list[Any], number: int) -> None:
    lines[number - 1], lines[number] = lines[number], lines[number - 1]


def _double(lines: list[Any], number: int) -> None:
    lines.insert(number, copy.deepcopy(lines[number - 1]))


def _cut(lines: list[Any], number: int) -> None:
    del lines[number:]


@pytest.mark.parametrize(
    ("change", "number", "named"),
    [
        (_drop, 1, ["line 1: has sequence 2", "line 1: does not follow the line before it"]),
        (_drop, 1, ["line 1: a history begins with the purchase"]),
        (_drop, 4, ["line 4: has sequence 5", "line 4: does not begin where the line before ended"]),
        (_drop, 7, ["the last line is not the one that the order ends with: lines are missing at the end"]),
        (_cut, 1, ["the last line is not the one that the order ends with: lines are missing at the end"]),
        (_cut, 5, ["the last line is not the one that the order ends with: lines are missing at the end"]),
        (_swap, 2, ["line 2: has sequence 3", "line 3: has sequence 2", "line 3: does not follow the line before it"]),
        (_swap, 6, ["line 6: has sequence 7", "line 7: has sequence 6"]),
        (_double, 3, ["line 4: has sequence 3", "line 4: does not follow the line before it"]),
        (_double, 7, ["line 8: has sequence 7", "line 8: does not follow the line before it"]),
    ],
)
def test_lines_that_are_missing_or_moved_are_named(
    evidence: Evidence, change: Callable[[list[Any], int], None], number: int, named: list[str]
) -> None:
    change(evidence["lines"], number)
    problems = verify(evidence)
    assert set(named) <= set(problems)


def test_what_was_forged_well_is_found_by_the_database(evidence: Evidence) -> None:
    """All hashes made anew: the file is whole by itself, and it is not ours."""
    said = evidence["lines"][4]
    said["words"]["text"] = "不想要了"
    salt = bytes.fromhex(said["words"]["salt"])
    said["note_digest"] = hmac.new(salt, "不想要了".encode(), "sha256").hexdigest()
    assert verify(chained(evidence)) == []
    assert compare(evidence) == [
        "line 5: differs from the database",
        "line 6: differs from the database",
        "line 7: differs from the database",
    ]


def test_a_step_that_the_machine_does_not_know_is_found_without_the_database(evidence: Evidence) -> None:
    evidence["lines"][6]["role"] = "buyer"
    assert verify(chained(evidence)) == ["line 7: is a step that the machine does not know"]
    evidence["lines"][6] |= {"role": "seller", "to_order": 9}
    assert verify(chained(evidence)) == ["line 7: is a step that the machine does not know"]


def test_a_step_after_the_end_is_found(evidence: Evidence) -> None:
    last = evidence["lines"][-1]
    more = {**last, "sequence": 8, "event": "settle", "role": "system", "from_bill": 5, "from_order": 10}
    evidence["lines"].append(more)
    assert verify(chained(evidence)) == ["line 8: is a step that the machine does not know"]
    assert compare(evidence) == ["the database has only 7 lines"]


def test_a_row_that_the_databases_owner_changed_is_found(context: Flask, order: Made, evidence: Evidence) -> None:
    """Triggers do not stop him; the chain does, and the file that somebody took home."""
    with db.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE order_events SET role = 'seller' WHERE sequence = 4"))
        connection.execute(text("UPDATE erasable_texts SET text = '不想要了'"))
    assert verify(as_file(export(order.order_no))) == [
        "line 4: was changed, its hash does not fit",
        "line 4: is a step that the machine does not know",
        "line 5: its words were changed",
    ]
    assert compare(evidence) == ["line 4: differs from the database", "line 5: differs from the database"]


@pytest.mark.parametrize(
    "words",
    [None, {}, {"text": "与描述不符"}, {"text": "与描述不符", "salt": None}, "与描述不符", {"erased_at": "now"}],
)
def test_missing_words_are_told(evidence: Evidence, words: Any) -> None:
    evidence["lines"][4]["words"] = words
    assert verify(evidence) == ["line 5: its words are missing"]
    assert compare(evidence) == ["line 5: differs from the database"]


@pytest.mark.parametrize("salt", ["zz", "", "ab" * 32, "\ud800"])
def test_another_salt_is_found(evidence: Evidence, salt: str) -> None:
    evidence["lines"][4]["words"]["salt"] = salt
    assert verify(evidence) == ["line 5: its words were changed"]


def test_an_older_file_is_still_right(context: Flask) -> None:
    order = lead_order(context, make_good(context, make_user(context)), make_user(context), phase=SHIPPED)
    older = as_file(export(order.order_no))
    service.receive_order(actor_id=order.buyer_id, order_id=order.id)
    assert (verify(older), compare(older)) == ([], [])
    assert len(export(order.order_no)["lines"]) == len(older["lines"]) + 1


def test_an_order_of_another_database(evidence: Evidence) -> None:
    for line in evidence["lines"]:
        line["order_no"] = "2026112200000000000000"
    evidence["order_no"] = "2026112200000000000000"
    assert verify(chained(evidence)) == []
    assert compare(evidence) == ["the database has no order 2026112200000000000000"]
    with pytest.raises(NoSuchOrder):
        export("2026112200000000000000")


# --- whatever is changed ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(data=st.data())
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_single_change_is_found(evidence: Evidence, data: st.DataObject) -> None:
    changed = copy.deepcopy(evidence)
    place = data.draw(st.sampled_from(["line", "field", "file"]), "what is changed")
    if place == "line":
        lines = changed["lines"]
        number = data.draw(st.integers(1, len(lines) - 1))
        data.draw(st.sampled_from([_drop, _swap, _double, _cut]))(lines, number)
    else:
        # `exported_at` is when the file was made; it is about no step.
        names = ["format", "order_no", "lines", "last_hash"]
        holder = changed if place == "file" else data.draw(st.sampled_from(changed["lines"]))
        field = data.draw(st.sampled_from(names if place == "file" else FIELDS))
        value = data.draw(JSON, "the new value")
        assume(json.dumps(value) != json.dumps(holder[field]))
        holder[field] = value
    try:
        found = verify(as_file(changed))
    except BadFile:
        return
    assert found


@given(
    number=st.integers(0, 6),
    field=st.sampled_from([each for each in HASHED if each != "previous_hash"]),
    value=JSON,
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_forgery_passes_the_database(evidence: Evidence, number: int, field: str, value: Any) -> None:
    """A single field is changed and the chain made anew: no file but ours passes both checks."""
    changed = copy.deepcopy(evidence)
    assume(json.dumps(value) != json.dumps(changed["lines"][number][field]))
    changed["lines"][number][field] = value
    try:
        chained(changed)
    except TypeError:  # what cannot be hashed cannot be forged
        return
    assert verify(changed) + compare(changed)


# --- the commands ---


def test_export_and_verify(context: Flask, order: Made, tmp_path: Path) -> None:
    file = tmp_path / "evidence.json"
    done = run(context, "export", order.order_no, "--output", str(file))
    assert (done.exit_code, done.output) == (0, "")
    printed = run(context, "export", order.order_no)
    assert printed.exit_code == 0
    ours, theirs = (json.loads(each) for each in (file.read_bytes(), printed.stdout))
    assert ours["lines"] == theirs["lines"] == export(order.order_no)["lines"]
    for options in ([], ["--offline"]):
        whole = run(context, "verify", str(file), *options)
        assert (whole.exit_code, whole.output) == (0, f"the history of order {order.order_no} is whole: 7 lines\n")


def test_verify_names_every_problem(context: Flask, evidence: Evidence, tmp_path: Path) -> None:
    evidence["lines"][4]["words"]["text"] = "不想要了"
    file = tmp_path / "evidence.json"
    file.write_text(json.dumps(evidence))
    changed = "line 5: its words were changed\n"
    offline = run(context, "verify", str(file), "--offline")
    assert (offline.exit_code, offline.stdout, offline.stderr) == (1, changed, "problems: 1\n")
    online = run(context, "verify", str(file))
    assert (online.exit_code, online.stdout, online.stderr) == (
        1,
        f"{changed}line 5: differs from the database\n",
        "problems: 2\n",
    )


HEAD = b'"format": "saltfish-order-history/1", "order_no": "1", "exported_at": "", "last_hash": ""'
BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"format": "\xff"}',
    "nothing": b"null",
    "another format": b'{"format": "saltfish-order-history/3"}',
    "a format that is no text": b'{"format": ["saltfish-order-history/2"]}',
    "not a number": b'{"format": NaN}',
    "nested": b"[" * 100_000,
    "no lines": b"{" + HEAD + b', "lines": []}',
    "without lines": b"{" + HEAD + b"}",
    "a line that is none": b"{" + HEAD + b', "lines": [1]}',
    "a name of its own": b"{" + HEAD + b', "lines": [{}], "verdict": "whole"}',
    "a name twice": b"{" + HEAD + b', "lines": [1], "lines": []}',
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
def test_files_that_are_none(app: Flask, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "evidence.json"
    file.write_bytes(content)
    result = run(app, "verify", str(file), "--offline")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1


def test_numbers_and_texts_that_no_line_holds(evidence: Evidence) -> None:
    for value in (2**80, "\ud800"):
        evidence["lines"][1]["note_digest"] = value
        problems = ["line 2: was changed, its hash does not fit", "line 2: its words are missing"]
        assert verify(evidence) == problems


def test_what_is_not_there(context: Flask, tmp_path: Path) -> None:
    unknown = run(context, "export", "2026112200000000000000", "--output", str(tmp_path / "evidence.json"))
    assert (unknown.exit_code, unknown.output) == (1, "Error: there is no order 2026112200000000000000\n")
    assert list(tmp_path.iterdir()) == []
    missing = run(context, "verify", str(tmp_path / "evidence.json"))
    assert missing.exit_code == 2
    assert "No such file" in missing.stderr
