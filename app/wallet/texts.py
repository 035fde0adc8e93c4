"""Texts of the wallet: of entries, by what moved the money (an order's event or a withdrawal), and of withdrawals."""

from collections.abc import Mapping
from typing import Final

from app.wallet.models import PayoutPosting, PayoutState
from statemachine import ORDER, OrderEvent, Pot
from statemachine.spec import check_total

KIND_TEXT: Final[Mapping[str, str]] = {
    OrderEvent.RECEIVE: "货款入账(待结算)",
    OrderEvent.SETTLE: "结算到可用",
    OrderEvent.REQUEST_REFUND: "退款冻结",
    OrderEvent.WITHDRAW_REFUND: "撤回退款解冻",
    OrderEvent.REJECT_REFUND: "拒绝退款解冻",
    OrderEvent.LAPSE: "超时未寄回解冻",
    OrderEvent.RESOLVE_FOR_SELLER: "平台裁决归卖家",
    OrderEvent.CONFIRM_EXTERNAL_REFUND: "货款已由支付平台退回买家",
    PayoutPosting.REQUESTED: "提现",
    PayoutPosting.FAILED: "提现退回",
}
"""By the kind of a ledger transaction; all kinds that change a user's accounts."""

_SELLERS: Final = frozenset({Pot.SELLER_HELD, Pot.SELLER_AVAILABLE})
check_total(
    "KIND_TEXT in app/wallet/texts.py",
    KIND_TEXT.keys(),
    {
        *(rule.event for rule in ORDER.rules for move in rule.moves if _SELLERS & {move.source, move.target}),
        *(PayoutPosting.REQUESTED, PayoutPosting.FAILED),
    },
)

STATE_TEXT: Final[Mapping[PayoutState, str]] = {
    PayoutState.PENDING: "处理中",
    PayoutState.CONFIRMED: "已到账",
    PayoutState.FAILED: "提现失败",
}

REFUSAL_TEXT: Final[Mapping[str, str]] = {
    "PAYEE_NOT_EXIST": "收款账号不存在或姓名有误",
    "PAYEE_USER_INFO_ERROR": "支付宝账号和姓名不匹配",
    "PAYEE_USERINFO_STATUS_ERROR": "收款账号状态异常",
    "PAYEE_ACC_OCUPIED": "该手机号对应多个支付宝账户,请使用邮箱账号",
    "PAYEE_CERT_INFO_ERROR": "收款账号的证件信息异常",
    "PAYEE_NOT_RELNAME_CERTIFY": "收款账号未实名认证",
    "NO_ACCOUNT_RECEIVE_PERMISSION": "收款账号不支持收款",
    "BLOCK_USER_FORBBIDEN_RECIEVE": "收款账号被冻结,无法收款",
    "EXCEED_LIMIT_SM_AMOUNT": "超出单笔转账限额",
}
"""Why a withdrawal failed, as the user reads it, by the gateway's sub_code (alipay.fund.trans.uni.transfer)."""

REFUSED_TEXT: Final = "支付宝未能完成转账"
"""For all other codes."""

PAID_NOTICE: Final = ("提现已到账", "{amount} 元已转入你的支付宝账户。")
PAID_OTHERWISE_NOTICE: Final = ("提现已完成", "{amount} 元的提现已由平台另行付给你,如未收到请联系客服。")
"""Title and text of what is told of a withdrawal that the gateway made, and of one that staff paid otherwise."""
