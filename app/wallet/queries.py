"""Reads of a user's wallet."""

from typing import Any, Final

from sqlalchemy import BigInteger, Integer, Row, bindparam, func, select

from app.answers import Answer, Refused
from app.clock import format_moment, format_moment_or_none
from app.db.transactions import reading, row_or_none
from app.fen import format_signed_yuan, format_yuan
from app.ledger.models import AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction
from app.orders.models import Order
from app.paging import PageQuery, page_of
from app.wallet.models import Payout, PayoutState
from app.wallet.schemas import PayoutOut, WalletAccount, WalletEntryOut, WalletOut
from app.wallet.texts import KIND_TEXT, STATE_TEXT

_ACCOUNT_NAMES: Final[dict[str, WalletAccount]] = {
    AccountKind.SELLER_HELD.value: "held",
    AccountKind.SELLER_AVAILABLE.value: "available",
}

_user_id = bindparam("user_id", type_=BigInteger)


def _balance(kind: AccountKind) -> Any:  # a scalar subquery; SQLAlchemy's name for its type is private
    own = select(LedgerAccount.balance).where(LedgerAccount.user_id == _user_id, LedgerAccount.kind == kind.value)
    return func.coalesce(own.scalar_subquery(), 0)


_entries = (
    select(LedgerEntry.id)
    .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
    .where(LedgerAccount.user_id == _user_id)
)

_SUMMARY: Final = select(
    _balance(AccountKind.SELLER_AVAILABLE).label("available"),
    _balance(AccountKind.SELLER_HELD).label("held"),
    func.coalesce(
        select(func.sum(Payout.amount))
        .where(Payout.user_id == _user_id, Payout.state == PayoutState.PENDING.value)
        .scalar_subquery(),
        0,
    ).label("withdrawing"),
    select(func.count()).select_from(_entries.subquery()).scalar_subquery().label("total"),
)

# The page is selected first, so that only its rows are joined.
_page = (
    select(LedgerEntry.__table__, LedgerAccount.kind.label("account_kind"))
    .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
    .where(LedgerAccount.user_id == _user_id)
    .order_by(LedgerEntry.id.desc())
    .limit(bindparam("size", type_=Integer))
    .offset(bindparam("offset", type_=Integer))
    .subquery()
)

_ENTRIES: Final = (
    select(_page, LedgerTransaction.kind, LedgerTransaction.at, Order.order_no)
    .join(LedgerTransaction, LedgerTransaction.id == _page.c.transaction_id)
    .outerjoin(Order, Order.id == LedgerTransaction.order_id)
    .order_by(_page.c.id.desc())
)


def wallet_of(*, user_id: int, query: PageQuery) -> WalletOut:
    """The user's balances and one page of their entries, newest first."""
    with reading() as connection:
        summary = connection.execute(_SUMMARY, {"user_id": user_id}).one()
        page = {"user_id": user_id, "size": query.size, "offset": query.offset}
        entries = connection.execute(_ENTRIES, page).all()
    return {
        "available": format_yuan(summary.available),
        "held": format_yuan(summary.held),
        "withdrawing": format_yuan(int(summary.withdrawing)),
        **page_of([_entry_out(row) for row in entries], total=summary.total, query=query),
    }


def _entry_out(row: Row[Any]) -> WalletEntryOut:
    return {
        "id": row.id,
        "at": format_moment(row.at),
        "kind": row.kind,
        "kind_text": KIND_TEXT[row.kind],
        "account": _ACCOUNT_NAMES[row.account_kind],
        # The ledger debits what leaves these accounts; people expect the opposite sign.
        "amount": format_signed_yuan(-row.amount),
        "balance": format_yuan(row.balance_after),
        "order_no": row.order_no,
    }


def list_payouts(*, user_id: int, query: PageQuery) -> tuple[list[PayoutOut], int]:
    """One page of the user's withdrawals, newest first, and the total."""
    own = Payout.user_id == user_id
    with reading() as connection:
        total = connection.execute(select(func.count()).select_from(Payout).where(own)).scalar_one()
        page = select(Payout.__table__).where(own).order_by(Payout.id.desc()).limit(query.size).offset(query.offset)
        return [_payout_out(row) for row in connection.execute(page)], total


def payout_of(*, user_id: int, payout_id: int) -> PayoutOut:
    """One of the user's withdrawals. Raises NO_SUCH_WITHDRAWAL, also for somebody else's."""
    row = row_or_none(select(Payout.__table__).where(Payout.id == payout_id, Payout.user_id == user_id))
    if row is None:
        raise Refused(Answer.NO_SUCH_WITHDRAWAL)
    return _payout_out(row)


def _payout_out(row: Row[Any]) -> PayoutOut:
    return {
        "id": row.id,
        "payout_no": row.out_biz_no,
        "amount": format_yuan(row.amount),
        "account": mask_account(row.account),
        "name": mask_name(row.name),
        "state": row.state,
        "state_text": STATE_TEXT[PayoutState(row.state)],
        "reason": row.reason,
        "created_at": format_moment(row.created_at),
        "finished_at": format_moment_or_none(row.finished_at),
    }


def mask_account(account: str) -> str:
    """`138****8000`, `wa***@example.com`: enough for its owner to recognise it."""
    local, at, domain = account.partition("@")
    if at:
        return f"{local[:2] if len(local) > 2 else local[:1]}***@{domain}"
    return f"{account[:3]}****{account[-4:]}"


def mask_name(name: str) -> str:
    """`王**`: the first character, and as many asterisks as characters follow."""
    return name[0] + "*" * (len(name) - 1)
