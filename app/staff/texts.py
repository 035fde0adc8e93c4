"""Chinese texts for codes that staff see: ledger accounts, kinds of postings, actions."""

from collections.abc import Mapping
from typing import Final

from app.ledger.models import AccountKind
from app.money.models import PAID_LATE
from app.staff.models import ActionKind
from app.wallet.models import PayoutPosting
from statemachine import ORDER, OrderEvent

ACCOUNT_TEXT: Final[Mapping[AccountKind, str]] = {
    AccountKind.GATEWAY_CLEARING: "支付网关",
    AccountKind.ESCROW: "担保账户",
    AccountKind.SELLER_HELD: "卖家待结算",
    AccountKind.SELLER_AVAILABLE: "卖家可用",
    AccountKind.REFUND_CLEARING: "退款待网关确认",
    AccountKind.PAYOUT_CLEARING: "提现待网关确认",
    AccountKind.PAID_OUT: "已提现",
    AccountKind.PLATFORM_FEE: "平台服务费",
}

POSTING_TEXT: Final[Mapping[str, str]] = {
    **{rule.event.value: ORDER.events[rule.event].zh for rule in ORDER.rules if rule.moves},
    PAID_LATE: "付款过迟或重复,退回",
    "refund_confirmed": "退款到账",
    PayoutPosting.REQUESTED.value: "提现",
    PayoutPosting.CONFIRMED.value: "提现到账",
    PayoutPosting.FAILED.value: "提现退回",
}
"""Every kind of posting; a refund's reason is one of them too."""

ACTION_TEXT: Final[Mapping[ActionKind, str]] = {
    ActionKind.RESOLVE_FOR_BUYER: ORDER.events[OrderEvent.RESOLVE_FOR_BUYER].zh,
    ActionKind.RESOLVE_FOR_SELLER: ORDER.events[OrderEvent.RESOLVE_FOR_SELLER].zh,
    ActionKind.ADD_STAFF: "任命客服",
    ActionKind.REMOVE_STAFF: "撤销客服",
    ActionKind.CHANGE_ROLES: "变更角色",
    ActionKind.RESET_SECOND_FACTOR: "重置两步验证",
    ActionKind.REPLAY_MESSAGES: "重放消息",
    ActionKind.EXPORT_LIST: "导出列表",
    ActionKind.ISSUE_RESET_CODE: "签发密码重置码",
    ActionKind.TAKE_DOWN_GOOD: "下架商品",
    ActionKind.RESTORE_GOOD: "恢复商品",
    ActionKind.SUSPEND_USER: "停用账号",
    ActionKind.LIFT_SUSPENSION: "恢复账号",
    ActionKind.CLEAR_PROFILE: "清除资料",
    ActionKind.DECIDE_MONEY_CASE: "处理款项待办",
    ActionKind.APPROVE_GOOD: "审核通过",
    ActionKind.REJECT_GOOD: "审核不通过",
    ActionKind.BAN_PICTURE: "禁用图片",
    ActionKind.LIFT_BAN: "解除图片禁用",
    ActionKind.BAN_QUERY: "禁用搜索词",
    ActionKind.ALLOW_QUERY: "允许搜索词",
}
