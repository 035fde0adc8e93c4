"""The table of `access.py` is what the application answers, for every operation and caller, and nothing else happens.

What is refused leaves the database as it was, what is read does too, and nobody but an order's sides and staff finds
the sides' words and addresses in any answer.
"""

import json
import logging
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.accounts.models import User
from app.answers import Answer
from app.db.database import db
from app.factory import APIS
from app.web.api import Operation
from app.web.auth import Auth
from config import PROJECT_ROOT, Settings
from tests.applications import KeptContents, empty_stores
from tests.factories import PASSWORD, assert_envelope, picture_bytes, whole_database
from tests.goods.steps import multipart
from tests.security.access import CALLERS, REFUSALS, ROWS, Row
from tests.security.market import ELSEWHERE, PRIVATE, Market, fill_market
from tests.test_bad_input import MISSING, RIGHT

pytestmark = pytest.mark.xdist_group("access")

_METHODS = {"get", "post", "put", "patch", "delete"}
_DOCUMENT = json.loads((PROJECT_ROOT / "docs" / "openapi.json").read_bytes())
DOCUMENTED = {
    f"{method.upper()} {path}": str(described["operationId"])
    for path, item in _DOCUMENT["paths"].items()
    for method, described in item.items()
    if method in _METHODS
}
OPERATIONS = {each.name: each for api in APIS for each in api.operations}

_MISSING = {**MISSING, "ticket": Answer.NO_SUCH_ORDER, "notification": Answer.NO_SUCH_NOTIFICATION}
_QUERIES = {
    "search.search": {"q": "iPhone"},
    "suggestions.suggest": {"q": "iPh"},
    "listings.price_reference": {"title": "iPhone 13", "category": "1"},
    "listings.chart": {"title": "iPhone 13", "category": "1"},
}


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert {row.operation for row in ROWS} == set(DOCUMENTED)
    assert len({(row.operation, row.thing) for row in ROWS}) == len(ROWS)


def test_who_reads_what_is_not_his_is_refused() -> None:
    """Of the table itself: what needs a login is for nobody without one, and what is for staff for nobody else."""
    for row in ROWS:
        auth = OPERATIONS[DOCUMENTED[row.operation]].auth
        if auth not in (Auth.NONE, Auth.OPTIONAL):
            assert (row.answers["nobody"], row.answers["suspended"]) == ("401", "revoked"), row
        if auth is Auth.STAFF:
            assert {row.answers[name] for name in ("stranger", "buyer", "seller")} == {"403"}, row


@pytest.fixture(scope="module")
def market(app: Flask, settings: Settings, kept: KeptContents) -> Market:
    empty_stores(app)
    # Nor has the index what an earlier test wrote into it.
    app.extensions.pop("saltfish.search", None)
    shutil.rmtree(settings.search_index_path, ignore_errors=True)
    return kept.begin_with("market", lambda: fill_market(app, app.test_client()))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_may(app: Flask, kept: KeptContents, market: Market, row: Row) -> None:
    operation = OPERATIONS[DOCUMENTED[row.operation]]
    client = app.test_client()
    before = _kept(app)
    for caller in CALLERS:
        wanted = row.answers[caller]
        response = _call(client, market, operation, row, caller)
        _assert_answer(response, operation, row, wanted)
        if caller in ("nobody", "stranger", "suspended"):
            found = [text for text in PRIVATE if text.encode() in response.data]
            assert found == [], (row, caller)
        if operation.method == "GET" or wanted not in ("ok", "empty"):
            assert _kept(app) == before, (row, caller)
        else:
            kept.begin_with("market", _never)
            before = _kept(app)


def _kept(app: Flask) -> dict[str, Any]:
    """The database but for the record of what staff read, which grows with each look."""
    return {name: found for name, found in whole_database(app).items() if name != "staff_reads"}


def _never() -> Market:
    raise AssertionError("the market is made by its fixture")


def _call(client: FlaskClient, market: Market, operation: Operation, row: Row, caller: str) -> TestResponse:
    method, path = row.operation.split()
    start, opened, rest = path.partition("{")
    url = start + str(market.things[row.thing]) + rest.partition("}")[2] if opened else path
    tokens = market.refresh if operation.auth is Auth.REFRESH else market.access
    headers = {} if caller == "nobody" else {"Authorization": f"Bearer {tokens[caller]}"}
    options: dict[str, Any] = {"json": _body(client, market, row, caller)} if operation.body is not None else {}
    if operation.one_file:
        options = multipart(picture_bytes())
    return client.open(url, method=method, headers=headers, query_string=_QUERIES.get(operation.name), **options)


def _body(client: FlaskClient, market: Market, row: Row, caller: str) -> dict[str, Any]:
    """A right body for the operation, as this caller would send it."""
    rule = next(name for name in RIGHT if _same(name, row.operation))
    return RIGHT[rule] | _OWN.get(row.operation, lambda *_: {})(client, market, row, caller)


def _same(rule: str, operation: str) -> bool:
    return rule.replace("<id:", "{").replace(">", "}") == operation


def _captcha(client: FlaskClient, *_: object) -> dict[str, Any]:
    made = assert_envelope(client.get("/register/"), Answer.CAPTCHA_MADE)
    return {"captcha_id": made["captcha_id"], "captcha_code": made["captcha_code"]}


def _own_address(_client: FlaskClient, market: Market, row: Row, caller: str) -> dict[str, Any]:
    return {"address_id": market.addresses[caller if caller in market.addresses else "buyer"]}


def _notifications(_client: FlaskClient, market: Market, row: Row, _caller: str) -> dict[str, Any]:
    return {} if row.thing == "-" else {"ids": [market.things[row.thing]], "all": False}


_OWN: dict[str, Callable[..., dict[str, Any]]] = {
    "POST /register/": _captcha,
    "POST /login/": lambda _client, _market, _row, caller: {"username": caller, "password": PASSWORD},
    "POST /api/password/reset/": lambda _client, _market, _row, caller: {"username": caller},
    "POST /api/add_address/": lambda *_: ELSEWHERE,
    "PUT /api/address/{address_id}/": lambda *_: ELSEWHERE,
    "POST /api/buy/{good_id}/": _own_address,
    "POST /api/seller_send_delivery/{order_id}/": _own_address,
    "POST /api/seller_hand_over/{order_id}/": lambda _client, market, *_: {"code": market.handover_code},
    "POST /api/notifications/read/": _notifications,
}


def _assert_answer(response: TestResponse, operation: Operation, row: Row, wanted: str) -> None:
    if wanted == "404":
        parameter = operation.rule.partition("<")[2].partition(">")[0].removeprefix("id:")
        assert_envelope(response, _MISSING[parameter or row.thing])
    elif wanted == "ok" and operation.redirects:
        assert response.status_code == 302, response.text
    elif wanted == "ok" and operation.media:
        assert response.status_code == 200, response.text
        assert response.mimetype in {media.partition(";")[0] for media in operation.media}
    elif wanted == "empty":
        assert operation.empty is not None
        assert_envelope(response, operation.empty)
    else:
        assert_envelope(response, operation.answer if wanted == "ok" else REFUSALS[wanted])


# --- what staff read ---

_STAFF_ONLY = [row for row in ROWS if OPERATIONS[DOCUMENTED[row.operation]].auth is Auth.STAFF]
_OF_OTHERS = [
    row
    for row in ROWS
    if row.operation.startswith("GET ")
    and row.thing != "-"
    and OPERATIONS[DOCUMENTED[row.operation]].auth not in (Auth.NONE, Auth.STAFF)
]


_OF_NOBODY = {
    "GET /api/staff/figures/": "counts",
    "GET /api/staff/queries/": "counts of what several clients searched for",
    "GET /api/staff/operations/": "queues and sweeps",
    "GET /api/staff/outbox/": "ids and topics of messages",
    "GET /api/staff/reads/": "what colleagues read, by ids",
    "GET /api/staff/word_lists/": "rules",
    "GET /api/staff/words/": "rules",
    "POST /api/staff/try_text/": "what the caller wrote",
    "POST /api/staff/outbox/replay/": "how many were replayed; here none is due",
    "POST /api/staff/clear_profile/{user_id}/": "nothing; and here there is nothing to clear",
}
"""What staff read by these is of no other user."""


def _reads(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if line["event"] == "staff_read"]


@pytest.mark.parametrize("row", [*_STAFF_ONLY, *_OF_OTHERS], ids=str)
def test_what_staff_read_of_others_is_recorded(
    app: Flask, kept: KeptContents, market: Market, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    """What only staff may call, and whatever else answers them other than it does a stranger; and nothing besides.

    What they do without reading (a code that they issue) is in the record of actions.
    """
    kept.begin_with("market", _never)
    operation = OPERATIONS[DOCUMENTED[row.operation]]
    client = app.test_client()
    strangers = _call(client, market, operation, row, "stranger")
    done = len(whole_database(app)["staff_actions"])
    caplog.set_level(logging.INFO)
    caplog.clear()
    response = _call(client, market, operation, row, "staff")
    done = len(whole_database(app)["staff_actions"]) - done
    with app.app_context():
        staff_id = db.session.scalars(select(User.id).where(User.username == "staff")).one()
    sees_more = response.status_code < 400 and (strangers.status_code, strangers.data) != (200, response.data)
    if row.operation in _OF_NOBODY or (operation.empty and response.json["msg"] == operation.empty.msg):
        sees_more = False
    assert bool(_reads(caplog) or done) is sees_more
    assert done <= (operation.method == "POST")
    for line in _reads(caplog):
        assert set(line) >= {"actor_id", "subject", "subject_ids"}
        assert (line["actor_id"], line["subject_ids"] != []) == (staff_id, True)
        if operation.auth is not Auth.STAFF and isinstance(market.things[row.thing], int):
            assert line["subject_ids"] == [market.things[row.thing]]
    assert [text for text in PRIVATE if text in caplog.text] == []


def test_what_staff_see_that_others_do_not() -> None:
    """So that the table above has something to find: it is these, beside what is staff's alone."""
    differ = {str(row) for row in _OF_OTHERS if row.answers["staff"] != row.answers["stranger"]}
    assert differ == {
        "GET /api/good/{good_id}/ of review",
        "GET /api/pic/{pic_id}/ of unused_picture",
        "GET /api/pic/{pic_id}/ of review_picture",
        "GET /api/avatar/{avatar_id}/ of waiting_avatar",
        "GET /api/order/{order_id}/diagram of disputed",
        "GET /api/evidence/{pic_id}/ of evidence",
    }
