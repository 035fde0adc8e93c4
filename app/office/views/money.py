"""Cases about money, payments, refunds, withdrawals and the ledger; and their lists as files."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from flask import Response, request
from pydantic import BaseModel, ValidationError

from app.answers import Answer, Refused, field_errors
from app.cases.decisions import CASE_TEXT, DECISION_TEXT, CaseDecision
from app.cases.queries import list_money_cases
from app.cases.schemas import MoneyCaseQuery, MoneyDecisionIn
from app.cases.service import decide_money_case
from app.clock import format_moment, utcnow
from app.office.views.pages import done, office, show
from app.office.views.texts import detail_lines
from app.paging import PageQuery, page_of
from app.staff import queries, service
from app.staff.schemas import DecisionIn, LedgerQuery, LedgerTransactionOut, PaymentQuery, PayoutQuery, RefundQuery
from app.staff.sessions import Member
from app.staff_roles import Permission
from app.web.api import reasons_of

ITEMS_EXPORTED: Final = 10_000
"""Items of one file at most; who needs more narrows the days."""

_PAGE: Final = 100


@office.page("/cases/", title="款项待办", permission=Permission.CASES, query=MoneyCaseQuery)
def cases(*, member: Member, query: MoneyCaseQuery) -> Response:
    """What needs a person about money."""
    items, total = list_money_cases(actor_id=member.id, query=query)
    page = page_of(items, total=total, query=query)
    return show(
        "cases.html",
        page=page,
        query=query,
        decision_text=DECISION_TEXT,
        case_text=CASE_TEXT,
        detail_lines=detail_lines,
    )


@office.form("/cases/<id:case_id>/", title="处理款项待办", permission=Permission.CASES, body=MoneyDecisionIn)
def decide_case(*, member: Member, case_id: int, body: MoneyDecisionIn) -> Response:
    """Decide one."""
    decision = CaseDecision(body.decision)
    decide_money_case(actor_id=member.id, case_id=case_id, decision=decision, reason=body.reason)
    return done(f"款项待办 {case_id} 已处理:{DECISION_TEXT[decision]}", to="/admin/cases/")


@office.page("/payments/", title="支付", permission=Permission.MONEY, query=PaymentQuery)
def payments(*, member: Member, query: PaymentQuery) -> Response:
    """Attempts to pay and their refunds."""
    items, total = queries.list_payments(actor_id=member.id, query=query)
    return show("payments.html", page=page_of(items, total=total, query=query), query=query)


@office.page("/refunds/", title="退款", permission=Permission.MONEY, query=RefundQuery)
def refunds(*, member: Member, query: RefundQuery) -> Response:
    """Money on its way back."""
    items, total = queries.list_refunds(actor_id=member.id, query=query)
    return show("refunds.html", page=page_of(items, total=total, query=query), query=query)


@office.page("/withdrawals/", title="提现", permission=Permission.MONEY, query=PayoutQuery)
def withdrawals(*, member: Member, query: PayoutQuery) -> Response:
    """Everybody's withdrawals."""
    items, total = queries.list_payouts(actor_id=member.id, query=query)
    return show("withdrawals.html", page=page_of(items, total=total, query=query), query=query)


@office.page("/ledger/", title="账本", permission=Permission.MONEY, query=LedgerQuery)
def ledger(*, member: Member, query: LedgerQuery) -> Response:
    """Where the money lies, and what moved it."""
    return show("ledger.html", page=queries.ledger(actor_id=member.id, query=query), query=query)


# --- lists as files ---


@dataclass(frozen=True, kw_only=True)
class _Export:
    """One list as a file: how to read a page of it, its columns with their headings, and the rows of one item."""

    title: str
    query: type[PageQuery]
    items: Callable[[int, Any], tuple[Sequence[Any], int]]
    columns: tuple[tuple[str, str], ...]
    rows: Callable[[Any], Iterable[Mapping[str, Any]]] = lambda item: [item]


def _ledger_items(actor_id: int, query: LedgerQuery) -> tuple[list[LedgerTransactionOut], int]:
    found = queries.ledger(actor_id=actor_id, query=query)
    return found["items"], found["total"]


def _entries(transaction: LedgerTransactionOut) -> list[Mapping[str, Any]]:
    """The entries of a ledger transaction, each a row."""
    return [{**transaction, **entry, "transaction": transaction["id"]} for entry in transaction["entries"]]


_EXPORTS: Final = {
    "payments": _Export(
        title="支付",
        query=PaymentQuery,
        items=lambda actor_id, query: queries.list_payments(actor_id=actor_id, query=query),
        columns=(
            *(("id", "编号"), ("order_no", "订单编号"), ("attempt", "次数"), ("out_trade_no", "商户单号")),
            *(("trade_no", "网关单号"), ("amount", "金额(元)"), ("state", "状态"), ("paid_at", "付款时间")),
            ("created_at", "创建时间"),
        ),
    ),
    "refunds": _Export(
        title="退款",
        query=RefundQuery,
        items=lambda actor_id, query: queries.list_refunds(actor_id=actor_id, query=query),
        columns=(
            *(("id", "编号"), ("order_no", "订单编号"), ("request_no", "退款单号"), ("out_trade_no", "商户单号")),
            *(("amount", "金额(元)"), ("reason_text", "原因"), ("state", "状态"), ("attempts", "次数")),
            *(("confirmed_at", "到账时间"), ("created_at", "创建时间")),
        ),
    ),
    "withdrawals": _Export(
        title="提现",
        query=PayoutQuery,
        items=lambda actor_id, query: queries.list_payouts(actor_id=actor_id, query=query),
        columns=(
            *(("id", "编号"), ("payout_no", "提现单号"), ("amount", "金额(元)"), ("account", "账号(掩码)")),
            *(("name", "姓名(掩码)"), ("state_text", "状态"), ("gateway_order_no", "网关单号")),
            *(("created_at", "申请时间"), ("finished_at", "完成时间")),
        ),
    ),
    "ledger": _Export(
        title="账本",
        query=LedgerQuery,
        items=_ledger_items,
        rows=_entries,
        columns=(
            *(("transaction", "账目编号"), ("key", "键"), ("kind_text", "类型"), ("order_id", "订单")),
            *(("account_text", "账户"), ("user_id", "用户"), ("amount", "金额(元,借为正)"), ("balance", "余额(元)")),
            ("at", "时间"),
        ),
    ),
}


class ExportIn(DecisionIn):
    """What is exported, and why; the filters stand in the form beside it."""

    what: Literal["payments", "refunds", "withdrawals", "ledger"]


@office.form("/export/", title="导出", permission=Permission.MONEY, body=ExportIn)
def export(*, member: Member, body: ExportIn) -> Response:
    """A list as CSV, as spreadsheets open it; who exported it and why is recorded."""
    wanted = _EXPORTS[body.what]
    query = _filters(wanted.query)
    items = _all_items(wanted, member.id, query)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([heading for _, heading in wanted.columns])
    rows = [row for item in items for row in wanted.rows(item)]
    writer.writerows([_cell(row.get(name)) for name, _ in wanted.columns] for row in rows)
    service.record_export(
        actor_id=member.id, what=body.what, rows=len(rows), filters=query.model_dump(mode="json"), reason=body.reason
    )
    response = Response("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    stamp = format_moment(utcnow())[:19].replace(":", "").replace("-", "")
    response.headers["Content-Disposition"] = f'attachment; filename="saltfish-{body.what}-{stamp}.csv"'
    return response


def _filters(model: type[PageQuery]) -> Any:
    """The filters as they stand in the form. Raises MALFORMED."""
    names = set(model.model_fields) - {"page", "size"}
    given = {name: value for name, value in request.form.items() if name in names and value}
    try:
        return model.model_validate({**given, "size": _PAGE})
    except ValidationError as error:
        raise Refused(Answer.MALFORMED, data={"errors": reasons_of(error)}) from None


def _all_items(wanted: _Export, actor_id: int, query: BaseModel) -> list[Any]:
    """Every item that the query selects. Raises MALFORMED where they are too many for a file.

    What is added while pages are read moves the others onto the next page: each is taken once.
    """
    items: dict[int, Any] = {}
    for number in range(1, ITEMS_EXPORTED // _PAGE + 2):
        found, total = wanted.items(actor_id, query.model_copy(update={"page": number}))
        if total > ITEMS_EXPORTED:
            errors = field_errors(since=f"共 {total} 条,一个文件至多 {ITEMS_EXPORTED} 条,请缩小范围")
            raise Refused(Answer.MALFORMED, data=errors)
        items.update((item["id"], item) for item in found)
        if number * _PAGE >= total:
            break
    return list(items.values())


_FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a cell of a formula begins with in spreadsheets (OWASP, CSV injection), in full width as well."""


def _cell(value: Any) -> str:
    """A value as a spreadsheet takes it for text: what would be a formula there gets a quote."""
    text = "" if value is None else str(value)
    is_number = text.removeprefix("-").replace(".", "", 1).isdigit()
    return f"'{text}" if text.startswith(_FORMULA) and not is_number else text
