"""Who may call what: a row for each operation of docs/openapi.json on each thing that it makes a difference for.

A new operation without a row fails `test_access.py`, and so does a row without its operation. What is in a row is asked
of the running application, for each caller, and has to be answered exactly so.

Callers: *nobody* sends no token; *buyer* and *seller* are the sides of every order and own the things below; *stranger*
is any other user; *suspended* is one whom staff suspended, with the tokens from before it; *staff* is no side of any
order.

Answers: `ok` is what the operation declares as its success, `empty` its list without a row, `404` that what the URL
names (or the body, where it names a thing) does not exist; the others are in `REFUSALS`.

Things, of the market in `market.py`: `public` and `review` are goods of the seller with a picture, for sale and not yet
reviewed, `refused` is one that did not pass, `to_review` the case of one that waits for a person, `ban` a banned
picture; `unused_picture` is one that the seller has uploaded for no good yet; `address`, `notification` and
`saved_search` are the buyer's; `withdrawal` is the seller's, who shows `avatar` while `waiting_avatar` is not
reviewed; `colleague` is another member of staff; `case` is one about a day's bill; the others are orders where they
stand, or what belongs to them.
"""

from typing import Final, NamedTuple

from app.answers import Answer

CALLERS: Final = ("nobody", "stranger", "buyer", "seller", "suspended", "staff")

REFUSALS: Final = {
    "401": Answer.LOGIN_REQUIRED,
    "403": Answer.FORBIDDEN,
    "code": Answer.CODE_WRONG,
    "inuse": Answer.ACCOUNT_IN_USE,
    "down": Answer.NOT_READY,
    "funds": Answer.INSUFFICIENT_FUNDS,
    "own": Answer.OWN_GOOD,
    "revoked": Answer.TOKEN_REVOKED,
    "shut": Answer.ACCOUNT_SUSPENDED,
    "wrong": Answer.WRONG_CREDENTIALS,
}

_TABLE: Final = """
operation                                        thing           nobody stranger buyer seller suspended staff

GET    /register/                                -               ok     ok       ok    ok     ok        ok
POST   /register/                                -               ok     ok       ok    ok     ok        ok
POST   /login/                                   -               wrong  ok       ok    ok     shut      ok
POST   /api/token_refresh/                       -               401    ok       ok    ok     revoked   ok
POST   /api/logout/                              -               401    ok       ok    ok     revoked   ok
GET    /api/user/                                -               401    ok       ok    ok     revoked   ok
PATCH  /api/user/                                -               401    ok       ok    ok     revoked   ok
POST   /api/user/                                -               401    ok       ok    ok     revoked   ok
DELETE /api/user/                                -               401    ok       inuse inuse  revoked   inuse
GET    /api/user/export/                         -               401    ok       ok    ok     revoked   ok
GET    /api/user/avatar/                         -               401    ok       ok    ok     revoked   ok
POST   /api/user/avatar/                         -               401    ok       ok    ok     revoked   ok
DELETE /api/user/avatar/                         -               401    ok       ok    ok     revoked   ok
GET    /api/avatar/{avatar_id}/                  avatar          ok     ok       ok    ok     revoked   ok
GET    /api/avatar/{avatar_id}/                  waiting_avatar  404    404      404   ok     revoked   ok
POST   /api/user/password/                       -               401    ok       ok    ok     revoked   ok
GET    /api/user/recovery/                       -               401    ok       ok    ok     revoked   ok
POST   /api/user/recovery/                       -               401    ok       ok    ok     revoked   ok
POST   /api/user/recovery/verify/                -               401    code     code  code   revoked   code
DELETE /api/user/recovery/                       -               401    ok       ok    ok     revoked   ok
POST   /api/password/forgot/                     -               ok     ok       ok    ok     ok        ok
POST   /api/password/reset/                      -               code   code     code  code   code      code
GET    /api/user/{user_id}/                      seller          ok     ok       ok    ok     ok        ok
POST   /api/add_address/                         -               401    ok       ok    ok     revoked   ok
GET    /api/address/                             -               401    ok       ok    ok     revoked   ok
GET    /api/address/{address_id}/                address         401    404      ok    404    revoked   404
PUT    /api/address/{address_id}/                address         401    404      ok    404    revoked   404
PATCH  /api/address/{address_id}/                address         401    404      ok    404    revoked   404
POST   /api/address/{address_id}/                address         401    404      ok    404    revoked   404
DELETE /api/address/{address_id}/                address         401    404      ok    404    revoked   404
POST   /api/address/{address_id}/default/        address         401    404      ok    404    revoked   404
GET    /api/regions/                             -               ok     ok       ok    ok     ok        ok

GET    /api/good_release/                        -               401    ok       ok    ok     revoked   ok
POST   /api/good_release/                        -               401    ok       ok    ok     revoked   ok
GET    /api/good/{good_id}/                      public          ok     ok       ok    ok     revoked   ok
GET    /api/good/{good_id}/                      review          404    404      404   ok     revoked   ok
GET    /api/categories/                          -               ok     ok       ok    ok     ok        ok
GET    /api/goods/                               -               ok     ok       ok    ok     ok        ok
GET    /api/user/{user_id}/goods/                seller          ok     ok       ok    ok     ok        ok
GET    /api/user/{user_id}/goods/                stranger        empty  empty    empty empty  empty     empty
GET    /api/my_goods/                            -               401    empty    empty ok     revoked   empty
GET    /api/good_edit/{good_id}/                 public          401    404      404   ok     revoked   404
PUT    /api/good_edit/{good_id}/                 public          401    404      404   ok     revoked   404
PATCH  /api/good_edit/{good_id}/                 public          401    404      404   ok     revoked   404
POST   /api/good_edit/{good_id}/                 public          401    404      404   ok     revoked   404
DELETE /api/good_edit/{good_id}/                 public          401    404      404   ok     revoked   404
POST   /api/pictures/                            -               401    ok       ok    ok     revoked   ok
GET    /api/pic/{pic_id}/                        unused_picture  404    404      404   ok     revoked   ok
GET    /api/pic/{pic_id}/                        public_picture  ok     ok       ok    ok     revoked   ok
GET    /api/pic/{pic_id}/                        review_picture  404    404      404   ok     revoked   ok
GET    /api/verify/good/{good_id}                review          ok     ok       ok    ok     revoked   ok

GET    /api/all_order/bill_status/               -               ok     ok       ok    ok     ok        ok
GET    /api/refund_reasons/                      -               ok     ok       ok    ok     ok        ok
POST   /api/buy/{good_id}/                       public          401    ok       ok    own    revoked   ok
POST   /api/buy/{good_id}/                       review          401    404      404   404    revoked   404
GET    /api/buy_order/                           -               401    empty    ok    empty  revoked   empty
GET    /api/sell_order/                          -               401    empty    empty ok     revoked   empty
GET    /api/order_counts/                        -               401    ok       ok    ok     revoked   ok
GET    /api/order/{order_id}/                    disputed        401    404      ok    ok     revoked   404
GET    /api/order/{order_id}/diagram             disputed        401    404      ok    ok     revoked   ok
POST   /api/cancel_order/{order_id}/             unpaid          401    404      ok    ok     revoked   404
POST   /api/seller_send_delivery/{order_id}/     paid            401    404      403   ok     revoked   404
POST   /api/buyer_receive_delivery/{order_id}/   shipped         401    404      ok    403    revoked   404
POST   /api/buyer_extend_receipt/{order_id}/     shipped         401    404      ok    403    revoked   404
POST   /api/seller_hand_over/{order_id}/         face_to_face    401    404      403   ok     revoked   404
POST   /api/buyer_handover_code/{order_id}/      face_to_face    401    404      ok    403    revoked   404
POST   /api/buyer_motion_drawback/{order_id}     received        401    404      ok    403    revoked   404
POST   /api/buyer_withdraw_drawback/{order_id}/  requested       401    404      ok    403    revoked   404
POST   /api/seller_reject_drawback/{order_id}/   requested       401    404      403   ok     revoked   404
POST   /api/seller_approve_drawback/{order_id}/  requested       401    404      403   ok     revoked   404
POST   /api/buyer_send_drawback/{order_id}/      requested       401    404      ok    403    revoked   404
POST   /api/seller_receive_drawback/{order_id}/  returned        401    404      403   ok     revoked   404
POST   /api/seller_contest_drawback/{order_id}/  returned        401    404      403   ok     revoked   404
POST   /api/dispute_order/{order_id}/            requested       401    404      ok    ok     revoked   404
POST   /api/dispute_statement/{order_id}/        disputed        401    404      ok    ok     revoked   404
GET    /api/evidence/{pic_id}/                   evidence        401    404      ok    ok     revoked   ok
DELETE /api/edit_order/{order_id}/               received        401    404      ok    ok     revoked   404

GET    /order/pay/{order_id}/                    unpaid          401    404      ok    404    revoked   404
GET    /order/pay/{order_id}/                    paid            401    404      ok    404    revoked   404
POST   /order/pay/{order_id}/                    unpaid          401    404      ok    404    revoked   404
POST   /order/pay/{order_id}/ticket/             unpaid          401    404      ok    404    revoked   404
GET    /order/pay/result/{ticket}/               ticket          ok     ok       ok    ok     ok        ok
GET    /order/pay/result/{ticket}/               forged_ticket   404    404      404   404    404       404
POST   /order/notify/                            -               ok     ok       ok    ok     ok        ok

GET    /api/wallet/                              -               401    ok       ok    ok     revoked   ok
POST   /api/withdraw/                            -               401    funds    funds ok     revoked   funds
GET    /api/withdraw/                            -               401    empty    empty ok     revoked   empty
GET    /api/withdraw/{payout_id}/                withdrawal      401    404      404   ok     revoked   404
GET    /api/notifications/                       -               401    empty    ok    ok     revoked   empty
GET    /api/notifications/unread_count/          -               401    ok       ok    ok     revoked   ok
POST   /api/good_appeal/{good_id}/               refused         401    404      404   ok     revoked   404
POST   /api/good_report/{good_id}/               public          401    ok       ok    own    revoked   ok
POST   /api/good_report/{good_id}/               review          401    404      404   404    revoked   404
POST   /api/notifications/read/                  -               401    ok       ok    ok     revoked   ok
POST   /api/notifications/read/                  notification    401    404      ok    404    revoked   404

GET    /api/staff/disputes/                      -               401    403      403   403    revoked   ok
POST   /api/staff/resolve_for_buyer/{order_id}/  disputed        401    403      403   403    revoked   ok
POST   /api/staff/resolve_for_seller/{order_id}/ disputed        401    403      403   403    revoked   ok
GET    /api/staff/orders/                        -               401    403      403   403    revoked   ok
GET    /api/staff/order/{order_id}/              disputed        401    403      403   403    revoked   ok
GET    /api/staff/payments/                      -               401    403      403   403    revoked   ok
GET    /api/staff/ledger/                        -               401    403      403   403    revoked   ok
POST   /api/staff/user/{user_id}/reset_code/     seller          401    403      403   403    revoked   ok
GET    /api/staff/actions/                       -               401    403      403   403    revoked   ok
GET    /api/staff/users/                         -               401    403      403   403    revoked   ok
POST   /api/staff/take_down_good/{good_id}/      public          401    403      403   403    revoked   ok
GET    /api/staff/goods/                         -               401    403      403   403    revoked   ok
GET    /api/staff/good/{good_id}/                review          401    403      403   403    revoked   ok
GET    /api/staff/user/{user_id}/                seller          401    403      403   403    revoked   ok
GET    /api/staff/refunds/                       -               401    403      403   403    revoked   empty
GET    /api/staff/withdrawals/                   -               401    403      403   403    revoked   ok
GET    /api/staff/reads/                         -               401    403      403   403    revoked   ok
GET    /api/staff/members/                       -               401    403      403   403    revoked   ok
POST   /api/staff/member/{user_id}/reset_second_factor/ colleague 401   403      403   403    revoked   ok
GET    /api/staff/outbox/                        -               401    403      403   403    revoked   empty
POST   /api/staff/outbox/replay/                 -               401    403      403   403    revoked   ok
GET    /api/staff/operations/                    -               401    403      403   403    revoked   ok
GET    /api/staff/figures/                       -               401    403      403   403    revoked   ok
GET    /api/staff/word_lists/                    -               401    403      403   403    revoked   ok
GET    /api/staff/words/                         -               401    403      403   403    revoked   ok
POST   /api/staff/try_text/                      -               401    403      403   403    revoked   ok
GET    /api/staff/reviews/                       -               401    403      403   403    revoked   ok
POST   /api/staff/next_review/                   -               401    403      403   403    revoked   ok
GET    /api/staff/review/{review_id}/            to_review       401    403      403   403    revoked   ok
POST   /api/staff/review/{review_id}/            to_review       401    403      403   403    revoked   ok
POST   /api/staff/claim_review/{review_id}/      to_review       401    403      403   403    revoked   ok
POST   /api/staff/skip_review/{review_id}/       to_review       401    403      403   403    revoked   ok
GET    /api/staff/banned_pictures/               -               401    403      403   403    revoked   ok
POST   /api/staff/ban_picture/{picture_id}/      public_picture  401    403      403   403    revoked   ok
POST   /api/staff/lift_ban/{ban_id}/             ban             401    403      403   403    revoked   ok
POST   /api/staff/restore_good/{good_id}/        public          401    403      403   403    revoked   ok
POST   /api/staff/suspend_user/{user_id}/        stranger        401    403      403   403    revoked   ok
POST   /api/staff/lift_suspension/{user_id}/     stranger        401    403      403   403    revoked   ok
POST   /api/staff/clear_profile/{user_id}/       stranger        401    403      403   403    revoked   ok
GET    /api/staff/queries/                       -               401    403      403   403    revoked   empty
POST   /api/staff/ban_query/                     -               401    403      403   403    revoked   ok
POST   /api/staff/allow_query/                   -               401    403      403   403    revoked   ok
GET    /api/staff/money_cases/                   -               401    403      403   403    revoked   ok
POST   /api/staff/money_case/{case_id}/          case            401    403      403   403    revoked   ok

GET    /test/                                    -               empty  empty    empty empty  empty     empty
GET    /api/good/{good_id}/similar/             public          empty  empty    empty empty  empty     empty
GET    /api/good/{good_id}/similar/             review          404    404      404   404    404       404
GET    /api/suggest/                             -               empty  empty    empty empty  empty     empty
GET    /api/hot_queries/                         -               empty  empty    empty empty  empty     empty
POST   /api/search_click/                        -               ok     ok       ok    ok     ok        ok
GET    /api/saved_search/                        -               401    empty    ok    empty  revoked   empty
POST   /api/saved_search/                        -               401    ok       ok    ok     revoked   ok
GET    /api/saved_search/{search_id}/            saved_search    401    404      ok    404    revoked   404
PATCH  /api/saved_search/{search_id}/            saved_search    401    404      ok    404    revoked   404
POST   /api/saved_search/{search_id}/            saved_search    401    404      ok    404    revoked   404
DELETE /api/saved_search/{search_id}/            saved_search    401    404      ok    404    revoked   404
GET    /api/saved_search/{search_id}/goods/      saved_search    401    404      empty 404    revoked   404
GET    /api/price_reference/                     -               empty  empty    empty empty  empty     empty
GET    /api/price_reference/chart/               -               ok     ok       ok    ok     ok        ok
GET    /                                         -               ok     ok       ok    ok     ok        ok
GET    /docs/openapi.json                        -               ok     ok       ok    ok     ok        ok
GET    /docs/                                    -               ok     ok       ok    ok     ok        ok
GET    /docs/states/                             -               ok     ok       ok    ok     ok        ok
GET    /docs/assets/{name}                       asset           ok     ok       ok    ok     ok        ok
GET    /healthz                                  -               ok     ok       ok    ok     ok        ok
GET    /readyz                                   -               down   down     down  down   down      down
GET    /metrics                                  -               ok     ok       ok    ok     ok        ok
"""


class Row(NamedTuple):
    """One line of the table: `operation` is `METHOD path`, as in docs/openapi.json; the answers are by caller."""

    operation: str
    thing: str
    answers: dict[str, str]

    def __str__(self) -> str:
        return self.operation if self.thing == "-" else f"{self.operation} of {self.thing}"


def _row(line: str) -> Row:
    method, path, thing, *answers = line.split()
    return Row(f"{method} {path}", thing, dict(zip(CALLERS, answers, strict=True)))


_HEADING, *_LINES = _TABLE.strip().splitlines()
assert tuple(_HEADING.split()[2:]) == CALLERS

ROWS: Final = [_row(line) for line in _LINES if line]
