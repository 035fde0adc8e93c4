"""The URLs of cases about money; all are staff's."""

from app.answers import Answer
from app.cases import queries, service
from app.cases.decisions import CaseDecision
from app.cases.schemas import MoneyCaseOut, MoneyCaseQuery, MoneyDecisionIn
from app.paging import Page, page_of
from app.staff_roles import Permission
from app.web.api import Api
from app.web.auth import Actor, Auth

api = Api(
    "cases", __name__, tag="款项待办", about="what staff decide about money: withdrawals, refunds, payments, bills"
)


@api.get(
    "/api/staff/money_cases/",
    auth=Auth.STAFF,
    permission=Permission.CASES,
    query=MoneyCaseQuery,
    out=Page[MoneyCaseOut],
    answer=Answer.MONEY_CASES_FOUND,
    empty=Answer.NO_MONEY_CASES,
)
def money_cases(*, actor: Actor, query: MoneyCaseQuery) -> Page[MoneyCaseOut]:
    """What staff have to see to about money, oldest first: withdrawals, refunds, payments, bills."""
    items, total = queries.list_money_cases(actor_id=actor.id, query=query)
    return page_of(items, total=total, query=query)


@api.post(
    "/api/staff/money_case/<id:case_id>/",
    auth=Auth.STAFF,
    permission=Permission.CASES,
    body=MoneyDecisionIn,
    out=MoneyCaseOut,
    answer=Answer.MONEY_CASE_DECIDED,
    refuses=(Answer.NO_SUCH_MONEY_CASE, Answer.MONEY_CASE_REFUSED, Answer.WRONG_STATE),
)
def decide(*, actor: Actor, case_id: int, body: MoneyDecisionIn) -> MoneyCaseOut:
    """Decide a case about money: one of its `decisions`."""
    decision = CaseDecision(body.decision)
    service.decide_money_case(actor_id=actor.id, case_id=case_id, decision=decision, reason=body.reason)
    return queries.money_case_of(actor_id=actor.id, case_id=case_id)
