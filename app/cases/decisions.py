"""The kinds of cases about money, and what staff can decide about each."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.money.cases import PAID_OTHERWISE
from app.money.models import MoneyCaseKind


class CaseDecision(StrEnum):
    """What staff can decide about a case."""

    RETRY = "retry"
    MARK_PAID = "mark_paid"
    PAID_OTHERWISE = PAID_OTHERWISE
    CREDIT_BACK = "credit_back"
    COUNT_AS_REFUND = "count_as_refund"
    CONTINUE = "continue"
    DISMISS = "dismiss"


DECISION_TEXT: Final[Mapping[CaseDecision, str]] = {
    CaseDecision.RETRY: "再次请求支付宝",
    CaseDecision.MARK_PAID: "核实已付,记为完成",
    CaseDecision.PAID_OTHERWISE: "差额已另行退付,记为完成",
    CaseDecision.CREDIT_BACK: "核实未付,退回钱包",
    CaseDecision.COUNT_AS_REFUND: "计为订单退款",
    CaseDecision.CONTINUE: "订单继续",
    CaseDecision.DISMISS: "已处理",
}

DECISIONS: Final[Mapping[MoneyCaseKind, tuple[CaseDecision, ...]]] = {
    # The last of these two is for what the gateway paid after it had been decided otherwise.
    MoneyCaseKind.PAYOUT: (
        CaseDecision.RETRY,
        CaseDecision.MARK_PAID,
        CaseDecision.CREDIT_BACK,
        CaseDecision.DISMISS,
    ),
    MoneyCaseKind.REFUND: (
        CaseDecision.RETRY,
        CaseDecision.MARK_PAID,
        CaseDecision.PAID_OTHERWISE,
        CaseDecision.DISMISS,
    ),
    MoneyCaseKind.SECOND_PAYMENT: (CaseDecision.DISMISS,),
    MoneyCaseKind.REFUND_ELSEWHERE: (CaseDecision.COUNT_AS_REFUND, CaseDecision.CONTINUE),
    MoneyCaseKind.BILL: (CaseDecision.DISMISS,),
}
"""What can be decided about each kind of case."""

CASE_TEXT: Final[Mapping[MoneyCaseKind, str]] = {
    MoneyCaseKind.PAYOUT: "提现未完成",
    MoneyCaseKind.REFUND: "退款未完成",
    MoneyCaseKind.SECOND_PAYMENT: "订单重复付款",
    MoneyCaseKind.REFUND_ELSEWHERE: "款项在支付宝退回,订单已暂停",
    MoneyCaseKind.BILL: "对账有差异",
}
