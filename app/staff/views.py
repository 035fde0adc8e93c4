"""The URLs for staff."""

from app.answers import Answer
from app.paging import Page, page_of
from app.staff import figures, login, operations, queries, service
from app.staff.schemas import (
    ActionQuery,
    CaseOut,
    DecisionIn,
    DisputeQuery,
    FiguresOut,
    FiguresQuery,
    GoodQuery,
    LedgerOut,
    LedgerQuery,
    MemberOut,
    OperationsOut,
    OutboxMessageOut,
    OutboxQuery,
    PaymentQuery,
    PayoutQuery,
    ReadQuery,
    RefundQuery,
    ReplayedOut,
    ReplayIn,
    ResetCodeIn,
    ResetCodeOut,
    StaffActionOut,
    StaffGoodDetailOut,
    StaffGoodOut,
    StaffOrderDetailOut,
    StaffOrderOut,
    StaffOrderQuery,
    StaffPaymentOut,
    StaffPayoutOut,
    StaffReadOut,
    StaffRefundRowOut,
    StaffUserDetailOut,
    StaffUserOut,
    SuspendIn,
    UserQuery,
)
from app.staff_roles import Permission
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("staff", __name__, tag="客服", about="what only staff may do: disputes, orders, money, goods, users")


@api.get(
    "/api/staff/disputes/",
    auth=Auth.STAFF,
    permission=Permission.DISPUTES,
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
    permission=Permission.DISPUTES,
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
    permission=Permission.DISPUTES,
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
    permission=Permission.ORDERS,
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
    permission=Permission.ORDERS,
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
    permission=Permission.MONEY,
    query=PaymentQuery,
    out=Page[StaffPaymentOut],
    answer=Answer.PAYMENTS_FOUND,
    empty=Answer.NO_PAYMENTS,
)
def payments(*, actor: Actor, query: PaymentQuery) -> Page[StaffPaymentOut]:
    """Attempts to pay and their refunds, newest first; with `by=paid` by the day that the gateway's bill uses."""
    items, total = queries.list_payments(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/staff/ledger/",
    auth=Auth.STAFF,
    permission=Permission.MONEY,
    query=LedgerQuery,
    out=LedgerOut,
    answer=Answer.LEDGER_FOUND,
)
def ledger(*, actor: Actor, query: LedgerQuery) -> LedgerOut:
    """Where the money lies, and the transactions that moved it, newest first."""
    return queries.ledger(actor_id=actor.id, query=query)


@api.get(
    "/api/staff/actions/",
    auth=Auth.STAFF,
    permission=Permission.AUDIT,
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
    permission=Permission.SUSPEND,
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
    permission=Permission.GOODS,
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
    permission=Permission.GOODS,
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
    permission=Permission.USERS,
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
    permission=Permission.SUSPEND,
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
    permission=Permission.SUSPEND,
    body=DecisionIn,
    out=StaffUserOut,
    answer=Answer.SUSPENSION_LIFTED,
    refuses=(Answer.NO_SUCH_USER,),
)
def lift_suspension(*, actor: Actor, user_id: int, body: DecisionIn) -> StaffUserOut:
    """Let a suspended user in again; the goods that left for the suspension return."""
    service.lift_suspension(actor_id=actor.id, user_id=user_id, reason=body.reason)
    return queries.user_of(actor_id=actor.id, user_id=user_id)


@api.get(
    "/api/staff/goods/",
    auth=Auth.STAFF,
    permission=Permission.GOODS,
    query=GoodQuery,
    out=Page[StaffGoodOut],
    answer=Answer.GOOD_FOUND,
    empty=Answer.NO_GOODS,
)
def goods(*, actor: Actor, query: GoodQuery) -> Page[StaffGoodOut]:
    """All goods, newest first, as they stand; also those that are not public."""
    items, total = queries.list_goods(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/staff/good/<id:good_id>/",
    auth=Auth.STAFF,
    permission=Permission.GOODS,
    out=StaffGoodDetailOut,
    answer=Answer.GOOD_FOUND,
    refuses=(Answer.NO_SUCH_GOOD,),
)
def good(*, actor: Actor, good_id: int) -> StaffGoodDetailOut:
    """One good with its orders and what staff did to it."""
    return queries.good_detail(actor_id=actor.id, good_id=good_id)


@api.get(
    "/api/staff/user/<id:user_id>/",
    auth=Auth.STAFF,
    permission=Permission.USERS,
    out=StaffUserDetailOut,
    answer=Answer.USER_FOUND,
    refuses=(Answer.NO_SUCH_USER,),
)
def user(*, actor: Actor, user_id: int) -> StaffUserDetailOut:
    """One user, with what is theirs in numbers and what staff did to the account."""
    return queries.user_detail(actor_id=actor.id, user_id=user_id)


@api.get(
    "/api/staff/refunds/",
    auth=Auth.STAFF,
    permission=Permission.MONEY,
    query=RefundQuery,
    out=Page[StaffRefundRowOut],
    answer=Answer.REFUNDS_FOUND,
    empty=Answer.NO_REFUNDS,
)
def refunds(*, actor: Actor, query: RefundQuery) -> Page[StaffRefundRowOut]:
    """Money on its way back, newest first."""
    items, total = queries.list_refunds(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/staff/withdrawals/",
    auth=Auth.STAFF,
    permission=Permission.MONEY,
    query=PayoutQuery,
    out=Page[StaffPayoutOut],
    answer=Answer.WITHDRAWALS_FOUND,
    empty=Answer.NO_WITHDRAWALS,
)
def withdrawals(*, actor: Actor, query: PayoutQuery) -> Page[StaffPayoutOut]:
    """Everybody's withdrawals, newest first; accounts and names are masked."""
    items, total = queries.list_payouts(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/staff/reads/",
    auth=Auth.STAFF,
    permission=Permission.AUDIT,
    query=ReadQuery,
    out=Page[StaffReadOut],
    answer=Answer.STAFF_READS_FOUND,
    empty=Answer.NO_STAFF_READS,
)
def staff_reads(*, actor: Actor, query: ReadQuery) -> Page[StaffReadOut]:
    """What staff read of other people, newest first: who, what, where and why; never what it said.

    Why is what the page asked for, or the header `X-Staff-Reason` of a request (percent-encoded UTF-8).
    """
    items, total = queries.list_reads(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/staff/members/",
    auth=Auth.STAFF,
    permission=Permission.MEMBERS,
    out=list[MemberOut],
    answer=Answer.STAFF_FOUND,
)
def staff_members(*, actor: Actor) -> list[MemberOut]:
    """Who is of staff, with which roles."""
    return queries.list_members(actor_id=actor.id)


@api.post(
    "/api/staff/member/<id:user_id>/reset_second_factor/",
    auth=Auth.STAFF,
    permission=Permission.MEMBERS,
    body=DecisionIn,
    answer=Answer.SECOND_FACTOR_RESET,
    refuses=(Answer.NO_SUCH_USER,),
)
def reset_second_factor(*, actor: Actor, user_id: int, body: DecisionIn) -> None:
    """Let another member set up a new authenticator app; their logins to the back office end."""
    login.reset_second_factor(actor_id=actor.id, user_id=user_id, reason=body.reason)


@api.get(
    "/api/staff/outbox/",
    auth=Auth.STAFF,
    permission=Permission.OPERATIONS,
    query=OutboxQuery,
    out=Page[OutboxMessageOut],
    answer=Answer.MESSAGES_FOUND,
    empty=Answer.NO_MESSAGES,
)
def outbox_messages(*, query: OutboxQuery, actor: Actor) -> Page[OutboxMessageOut]:
    """Work that waits or was given up, oldest first."""
    items, total = operations.list_messages(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/outbox/replay/",
    auth=Auth.STAFF,
    permission=Permission.OPERATIONS,
    body=ReplayIn,
    out=ReplayedOut,
    answer=Answer.MESSAGES_REPLAYED,
)
def replay_messages(*, actor: Actor, body: ReplayIn) -> ReplayedOut:
    """Deliver messages again, now; dead ones begin anew. All work may be done twice without harm."""
    replayed = operations.replay_messages(actor_id=actor.id, message_ids=body.message_ids, reason=body.reason)
    return {"replayed": replayed}


@api.get(
    "/api/staff/operations/",
    auth=Auth.STAFF,
    permission=Permission.OPERATIONS,
    out=OperationsOut,
    answer=Answer.OPERATIONS_FOUND,
)
def show_operations(*, actor: Actor) -> OperationsOut:  # noqa: ARG001 - every operation of staff is given one
    """Whether relay and scheduler run, what waits in outbox and queues, and when each sweep was done last."""
    return operations.operations()


@api.get(
    "/api/staff/figures/",
    auth=Auth.STAFF,
    permission=Permission.FIGURES,
    query=FiguresQuery,
    out=FiguresOut,
    answer=Answer.FIGURES_FOUND,
)
def show_figures(*, actor: Actor, query: FiguresQuery) -> FiguresOut:  # noqa: ARG001 - as above
    """The numbers of a day, hour by hour and beside the fourteen days that end with it; what waits for staff now."""
    return figures.figures(query)
