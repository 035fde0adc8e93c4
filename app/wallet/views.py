"""The wallet's URLs."""

from app.answers import Answer
from app.paging import Page, PageQuery, page_of
from app.wallet import queries, service
from app.wallet.schemas import PayoutOut, WalletOut, WithdrawIn
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api("wallet", __name__, tag="钱包", about="balances and withdrawals")


@api.get("/api/wallet/", auth=Auth.USER, query=PageQuery, out=WalletOut, answer=Answer.WALLET_FOUND)
def wallet(*, actor: Actor, query: PageQuery) -> WalletOut:
    """The caller's balances, and a page of their entries, newest first."""
    return queries.wallet_of(user_id=actor.id, query=query)


@api.post(
    "/api/withdraw/",
    auth=Auth.USER,
    body=WithdrawIn,
    out=PayoutOut,
    answer=Answer.WITHDRAWAL_REQUESTED,
    refuses=(Answer.INSUFFICIENT_FUNDS, Answer.TOO_MANY_WITHDRAWALS, Answer.NO_SUCH_USER),
)
def withdraw(*, actor: Actor, body: WithdrawIn) -> PayoutOut:
    """Withdraw available money to an Alipay account.

    The money leaves the wallet at once; the transfer follows. One that the gateway refuses puts the money back.
    """
    payout_id = service.request_payout(user_id=actor.id, amount=body.amount, account=body.account, name=body.name)
    return queries.payout_of(user_id=actor.id, payout_id=payout_id)


@api.get(
    "/api/withdraw/",
    auth=Auth.USER,
    query=PageQuery,
    out=Page[PayoutOut],
    answer=Answer.WITHDRAWALS_FOUND,
    empty=Answer.NO_WITHDRAWALS,
)
def withdrawals(*, actor: Actor, query: PageQuery) -> Page[PayoutOut]:
    """The caller's withdrawals, newest first."""
    items, total = queries.list_payouts(user_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.get(
    "/api/withdraw/<id:payout_id>/",
    auth=Auth.USER,
    out=PayoutOut,
    answer=Answer.WITHDRAWALS_FOUND,
    refuses=(Answer.NO_SUCH_WITHDRAWAL,),
)
def withdrawal(*, actor: Actor, payout_id: int) -> PayoutOut:
    """One of the caller's withdrawals."""
    return queries.payout_of(user_id=actor.id, payout_id=payout_id)
