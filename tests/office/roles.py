"""Who may open what: a row for each page and form of the back office, by role. Written by hand.

`yes` is what the role may do, `no` is refused with 403. Who is not logged in is led to the login from all of them.
"""

from typing import Final

ROLES: Final = ("reviewer", "arbiter", "operator", "admin")

_TABLE: Final = """
page                                            reviewer arbiter operator admin

GET  /admin/                                    yes      yes     yes      yes
GET  /admin/review/                             yes      no      no       yes
GET  /admin/review/<id:case_id>/                yes      no      no       yes
POST /admin/review/<id:case_id>/                yes      no      no       yes
POST /admin/review/<id:case_id>/claim/          yes      no      no       yes
POST /admin/review/<id:case_id>/skip/           yes      no      no       yes
POST /admin/review/next/                        yes      no      no       yes
POST /admin/review/leave/                       yes      no      no       yes
GET  /admin/appeals/                            yes      no      no       yes
GET  /admin/banned/                             yes      no      no       yes
POST /admin/banned/<id:picture_id>/             yes      no      no       yes
POST /admin/banned/<id:ban_id>/lift/            yes      no      no       yes
GET  /admin/words/                              yes      no      no       yes
POST /admin/words/                              yes      no      no       yes
GET  /admin/orders/                             no       yes     yes      yes
GET  /admin/orders/<id:order_id>/               no       yes     yes      yes
POST /admin/orders/<id:order_id>/               no       yes     yes      yes
GET  /admin/disputes/                           no       yes     no       yes
POST /admin/disputes/<id:order_id>/             no       yes     no       yes
GET  /admin/cases/                              no       no      yes      yes
POST /admin/cases/<id:case_id>/                 no       no      yes      yes
GET  /admin/payments/                           no       no      yes      yes
GET  /admin/refunds/                            no       no      yes      yes
GET  /admin/withdrawals/                        no       no      yes      yes
GET  /admin/ledger/                             no       no      yes      yes
POST /admin/export/                             no       no      yes      yes
GET  /admin/goods/                              yes      yes     yes      yes
GET  /admin/goods/<id:good_id>/                 yes      yes     yes      yes
POST /admin/goods/<id:good_id>/take_down/       yes      yes     yes      yes
POST /admin/goods/<id:good_id>/restore/         yes      yes     yes      yes
GET  /admin/users/                              yes      yes     yes      yes
GET  /admin/users/<id:user_id>/                 yes      yes     yes      yes
POST /admin/users/<id:user_id>/suspend/         yes      no      yes      yes
POST /admin/users/<id:user_id>/lift/            yes      no      yes      yes
POST /admin/users/<id:user_id>/clear/           yes      no      yes      yes
POST /admin/users/<id:user_id>/reset_code/      yes      no      yes      yes
GET  /admin/outbox/                             no       no      yes      yes
POST /admin/outbox/replay/                      no       no      yes      yes
GET  /admin/operations/                         no       no      yes      yes
GET  /admin/actions/                            no       no      yes      yes
GET  /admin/reads/                              no       no      yes      yes
GET  /admin/members/                            no       no      no       yes
POST /admin/members/<id:user_id>/reset_second_factor/ no no      no       yes
"""

_HEADING, *_LINES = _TABLE.strip().splitlines()
assert tuple(_HEADING.split()[1:]) == ROLES

PAGES: Final = {
    (method, rule): dict(zip(ROLES, answers, strict=True))
    for method, rule, *answers in (line.split() for line in _LINES if line)
}

OPEN: Final = {
    ("GET", "/admin/login/"),
    ("POST", "/admin/login/"),
    ("GET", "/admin/second-factor/"),
    ("POST", "/admin/second-factor/"),
    ("POST", "/admin/logout/"),
}
"""What asks for no session."""

FILES: Final = {("GET", "/admin/assets/<name>")}
"""Style sheets and scripts, which everybody may have."""
