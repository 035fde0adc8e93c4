"""Which role may call which operation of staff: a table written by hand."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.answers import Answer
from app.factory import APIS
from app.staff_roles import StaffRole
from app.web.auth import Auth
from tests.factories import auth_headers, make_user

# r reviewer, a arbiter, o operator; an admin may call all of them.
_TABLE = """
GET  /api/staff/disputes/                             a
POST /api/staff/resolve_for_buyer/<id:order_id>/      a
POST /api/staff/resolve_for_seller/<id:order_id>/     a
GET  /api/staff/orders/                               ao
GET  /api/staff/order/<id:order_id>/                  ao
GET  /api/staff/payments/                             o
GET  /api/staff/refunds/                              o
GET  /api/staff/withdrawals/                          o
GET  /api/staff/ledger/                               o
GET  /api/staff/money_cases/                          o
POST /api/staff/money_case/<id:case_id>/              o
GET  /api/staff/actions/                              o
GET  /api/staff/reads/                                o
GET  /api/staff/outbox/                               o
POST /api/staff/outbox/replay/                        o
GET  /api/staff/operations/                           o
GET  /api/staff/figures/                              rao
GET  /api/staff/goods/                                rao
GET  /api/staff/good/<id:good_id>/                    rao
POST /api/staff/take_down_good/<id:good_id>/          rao
POST /api/staff/restore_good/<id:good_id>/            rao
GET  /api/staff/users/                                rao
GET  /api/staff/user/<id:user_id>/                    rao
POST /api/staff/suspend_user/<id:user_id>/            ro
POST /api/staff/lift_suspension/<id:user_id>/         ro
POST /api/staff/user/<id:user_id>/reset_code/         ro
POST /api/staff/clear_profile/<id:user_id>/           ro
GET  /api/staff/members/                              -
POST /api/staff/member/<id:user_id>/reset_second_factor/ -
GET  /api/staff/word_lists/                           r
GET  /api/staff/words/                                r
POST /api/staff/try_text/                             r
GET  /api/staff/reviews/                              r
POST /api/staff/next_review/                          r
GET  /api/staff/review/<id:review_id>/                r
POST /api/staff/review/<id:review_id>/                r
POST /api/staff/claim_review/<id:review_id>/          r
POST /api/staff/skip_review/<id:review_id>/           r
GET  /api/staff/banned_pictures/                      r
POST /api/staff/ban_picture/<id:picture_id>/          r
POST /api/staff/lift_ban/<id:ban_id>/                 r
GET  /api/staff/queries/                              r
POST /api/staff/ban_query/                            r
POST /api/staff/allow_query/                          r
"""
ROWS = {(method, rule): roles for method, rule, roles in map(str.split, _TABLE.strip().splitlines())}
LETTERS = {"r": StaffRole.REVIEWER, "a": StaffRole.ARBITER, "o": StaffRole.OPERATOR}


def test_the_table_has_every_operation_of_staff() -> None:
    operations = {(each.method, each.rule) for api in APIS for each in api.operations if each.auth is Auth.STAFF}
    assert operations == set(ROWS)


@pytest.mark.parametrize("role", list(StaffRole))
def test_who_may_call_what(app: Flask, client: FlaskClient, role: StaffRole) -> None:
    headers = auth_headers(app, make_user(app, staff=True, roles=[role]))
    for (method, rule), letters in ROWS.items():
        url = re.sub("<id:[a-z_]+>", "999", rule)
        answer = client.open(url, method=method, headers=headers, json={} if method == "POST" else None)
        allowed = role is StaffRole.ADMIN or role in {LETTERS[letter] for letter in letters if letter != "-"}
        if allowed:
            assert answer.status_code in (200, 404, 422), (role, rule, answer.status_code)
        else:
            assert (answer.status_code, answer.get_json()["msg"]) == (403, Answer.FORBIDDEN.msg), (role, rule)
