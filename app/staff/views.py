"""The URLs for staff."""

from app.answers import Answer
from app.paging import Page, page_of
from app.staff import queries, service
from app.staff.schemas import (
    ActionQuery,
    CaseOut,
    DecisionIn,
    DisputeQuery,
    LedgerOut,
    LedgerQuery,
    PaymentQuery,
    ResetCodeIn,
    ResetCodeOut,
    StaffActionOut,
    StaffGoodOut,
    StaffOrderDetailOut,
    StaffOrderOut,
    StaffOrderQuery,
    StaffPaymentOut,
    StaffUserOut,
    SuspendIn,
    UserQuery,
)
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("staff", __name__, tag="客服", about="what only staff may do: disputes, orders, money, goods, users")


@api.get(
    "/api/staff/disputes/",
    auth=Auth.STAFF,
    query=DisputeQuery,
    out=Page[CaseOut],
    answer=Answer.DISPUTES_FOUND,
    empty=Answer.NO_DISPUTES,
)
def disputes(*, actor: Actor, query: DisputeQuery) -> Page[CaseOut]:
    """The disputes that wait for staff, oldest first, each with what is needed to decide it."""
    items, total = queries.list_disputes(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/resolve_for_buyer/<id:order_id>/",
    auth=Auth.STAFF,
    body=DecisionIn,
    out=StaffOrderOut,
    answer=Answer.DISPUTE_DECIDED,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE),
)
def resolve_for_buyer(*, actor: Actor, order_id: int, body: DecisionIn) -> StaffOrderOut:
    """Decide for the buyer: the money goes back."""
    service.resolve_for_buyer(actor_id=actor.id, order_id=order_id, reason=body.reason)
    return queries.order_of(actor_id=actor.id, order_id=order_id)


@api.post(
    "/api/staff/resolve_for_seller/<id:order_id>/",
    auth=Auth.STAFF,
    body=DecisionIn,
    out=StaffOrderOut,
    answer=Answer.DISPUTE_DECIDED,
    refuses=(Answer.NO_SUCH_ORDER, Answer.WRONG_STATE),
)
def resolve_for_seller(*, actor: Actor, order_id: int, body: DecisionIn) -> StaffOrderOut:
    """Decide for the seller: the order goes on, or ends in the seller's favour if the goods were sent back."""
    service.resolve_for_seller(actor_id=actor.id, order_id=order_id, reason=body.reason)
    return queries.order_of(actor_id=actor.id, order_id=order_id)


@api.get(
    "/api/staff/orders/",
    auth=Auth.STAFF,
    query=StaffOrderQuery,
    out=Page[StaffOrderOut],
    answer=Answer.ORDER_FOUND,
    empty=Answer.NO_ORDERS,
)
def orders(*, actor: Actor, query: StaffOrderQuery) -> Page[StaffOrderOut]:
    """All orders, newest first; also those that their sides took off their lists."""
    items, total = queries.list_orders(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/staff/order/<id:order_id>/",
    auth=Auth.STAFF,
    out=StaffOrderDetailOut,
    answer=Answer.ORDER_FOUND,
    refuses=(Answer.NO_SUCH_ORDER,),
)
def order(*, actor: Actor, order_id: int) -> StaffOrderDetailOut:
    """One order with its history, its money, and what the gateway and staff did about it."""
    return queries.order_detail(actor_id=actor.id, order_id=order_id)


@api.get(
    "/api/staff/payments/",
    auth=Auth.STAFF,
    query=PaymentQuery,
    out=Page[StaffPaymentOut],
    answer=Answer.PAYMENTS_FOUND,
    empty=Answer.NO_PAYMENTS,
)
def payments(*, actor: Actor, query: PaymentQuery) -> Page[StaffPaymentOut]:
    """Attempts to pay and their refunds, newest first; with `by=paid` by the day that the gateway's bill uses."""
    items, total = queries.list_payments(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get("/api/staff/ledger/", auth=Auth.STAFF, query=LedgerQuery, out=LedgerOut, answer=Answer.LEDGER_FOUND)
def ledger(*, actor: Actor, query: LedgerQuery) -> LedgerOut:
    """Where the money lies, and the transactions that moved it, newest first."""
    return queries.ledger(actor_id=actor.id, query=query)


@api.get(
    "/api/staff/actions/",
    auth=Auth.STAFF,
    query=ActionQuery,
    out=Page[StaffActionOut],
    answer=Answer.STAFF_ACTIONS_FOUND,
    empty=Answer.NO_STAFF_ACTIONS,
)
def staff_actions(*, actor: Actor, query: ActionQuery) -> Page[StaffActionOut]:
    """What staff did and why, newest first."""
    items, total = queries.list_actions(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/user/<id:user_id>/reset_code/",
    auth=Auth.STAFF,
    body=ResetCodeIn,
    out=ResetCodeOut,
    answer=Answer.RESET_CODE_ISSUED,
    refuses=(Answer.NO_SUCH_USER,),
    idempotent=False,  # its answer would be kept, and the code with it
)
def issue_reset_code(*, actor: Actor, user_id: int, body: ResetCodeIn) -> ResetCodeOut:
    """A code with which a user sets a new password, for one who proved who they are in another way.

    It lives a day. Not for members of staff (403): an operator issues theirs.
    """
    return service.issue_reset_code(actor_id=actor.id, user_id=user_id, reason=body.reason)


@api.post(
    "/api/staff/take_down_good/<id:good_id>/",
    auth=Auth.STAFF,
    body=DecisionIn,
    out=StaffGoodOut,
    answer=Answer.GOOD_TAKEN_DOWN,
    refuses=(Answer.NO_SUCH_GOOD, Answer.TAKE_DOWN_FAILED),
)
def take_down_good(*, actor: Actor, good_id: int, body: DecisionIn) -> StaffGoodOut:
    """Take a good off the market and out of the search at once; its owner is told why.

    An order that holds it goes on. Taken down already, it stays as it is.
    """
    service.take_down_good(actor_id=actor.id, good_id=good_id, reason=body.reason)
    return queries.good_of(actor_id=actor.id, good_id=good_id)


@api.post(
    "/api/staff/restore_good/<id:good_id>/",
    auth=Auth.STAFF,
    body=DecisionIn,
    out=StaffGoodOut,
    answer=Answer.GOOD_RESTORED,
    refuses=(Answer.NO_SUCH_GOOD, Answer.RESTORE_FAILED),
)
def restore_good(*, actor: Actor, good_id: int, body: DecisionIn) -> StaffGoodOut:
    """Put a good that was taken down back where it stood; while its owner is suspended, it returns with them."""
    service.restore_good(actor_id=actor.id, good_id=good_id, reason=body.reason)
    return queries.good_of(actor_id=actor.id, good_id=good_id)


@api.get(
    "/api/staff/users/",
    auth=Auth.STAFF,
    query=UserQuery,
    out=Page[StaffUserOut],
    answer=Answer.USER_FOUND,
    empty=Answer.NO_USERS,
)
def users(*, actor: Actor, query: UserQuery) -> Page[StaffUserOut]:
    """Users, newest first, each with the suspension that is in force."""
    items, total = queries.list_users(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/suspend_user/<id:user_id>/",
    auth=Auth.STAFF,
    body=SuspendIn,
    out=StaffUserOut,
    answer=Answer.USER_SUSPENDED,
    refuses=(Answer.NO_SUCH_USER,),
)
def suspend_user(*, actor: Actor, user_id: int, body: SuspendIn) -> StaffUserOut:
    """Keep a user out, until a moment or for good: sessions end, logins are refused, goods leave the market.

    Open orders go on: the other side acts as ever, and deadlines act for the suspended one.
    """
    service.suspend_user(actor_id=actor.id, user_id=user_id, reason=body.reason, until=body.until)
    return queries.user_of(actor_id=actor.id, user_id=user_id)


@api.post(
    "/api/staff/lift_suspension/<id:user_id>/",
    auth=Auth.STAFF,
    body=DecisionIn,
    out=StaffUserOut,
    answer=Answer.SUSPENSION_LIFTED,
    refuses=(Answer.NO_SUCH_USER,),
)
def lift_suspension(*, actor: Actor, user_id: int, body: DecisionIn) -> StaffUserOut:
    """Let a suspended user in again; the goods that left for the suspension return."""
    service.lift_suspension(actor_id=actor.id, user_id=user_id, reason=body.reason)
    return queries.user_of(actor_id=actor.id, user_id=user_id)
