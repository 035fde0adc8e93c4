"""What pages say about refusals, and about codes that have no text in the API."""

from collections.abc import Mapping
from typing import Any, Final

from app.answers import Refused
from app.fen import format_yuan
from app.outbox.models import Topic

TOPIC_TEXT: Final = {
    Topic.GOOD_VERIFICATION: "商品审核",
    Topic.AVATAR_REVIEW: "头像审核",
    Topic.SEARCH_INDEX: "搜索索引",
    Topic.ORDER_STEP: "订单通知",
    Topic.WEBHOOK: "外部回调",
    Topic.HELD_WEBHOOK: "外部回调:订单暂停",
    Topic.RELEASED_WEBHOOK: "外部回调:订单恢复",
    Topic.PAYMENT_REFUND: "向网关退款",
    Topic.REFUND_CONFIRMED: "退款到账通知",
    Topic.ORDER_HELD: "订单暂停通知",
    Topic.ORDER_RELEASED: "订单恢复通知",
    Topic.PAYOUT: "向网关提现",
    Topic.ONE_TIME_CODE: "验证码发送",
}

DECISION_TEXT: Final = {"pass": "通过", "review": "人工审核", "reject": "拒绝"}
"""What a judgement, or a hit of it, asks for."""

SUBJECT_TEXT: Final = {
    "order": "订单",
    "user": "用户",
    "good": "商品",
    "money_case": "款项待办",
    "outbox": "消息",
    "list": "列表",
    "payment": "支付",
    "refund": "退款",
    "withdrawal": "提现",
    "ledger_transaction": "账目",
    "staff_action": "操作记录",
    "staff_read": "查阅记录",
    "picture": "图片",
    "query": "搜索词",
    "evidence": "凭证",
    "avatar": "头像",
}

DETAIL_TEXT: Final = {
    "out_trade_no": "商户单号",
    "trade_no": "网关单号",
    "request_no": "退款单号",
    "payout_no": "提现单号",
    "order_no": "订单编号",
    "user_id": "用户编号",
    "owner_id": "卖家编号",
    "amount": "金额",
    "total": "累计退回",
    "of": "付款金额",
    "refunded": "已退回",
    "refunds": "逐笔退回",
    "refunded_by_us": "由我们退款",
    "total_when_released": "恢复时累计退回",
    "at": "时间",
    "day": "账单日",
    "differences": "差异",
    "key": "待办",
    "kind": "类型",
    "decision": "处理",
    "sequence": "历史序号",
    "from": "从状态",
    "to": "到状态",
    "until": "截止时间",
    "expires_at": "失效时间",
    "goods": "涉及商品",
    "good_status": "商品状态",
    "before": "原先",
    "after": "之后",
    "list": "列表",
    "rows": "行数",
    "filters": "筛选条件",
    "revision": "版本",
    "categories": "类别",
    "category": "类别",
    "case_id": "审核编号",
    "sha256": "图片指纹",
}
_FEN: Final = frozenset({"amount", "total", "of", "refunded", "total_when_released"})

SUBJECT_PATH: Final = {"order": "/admin/orders/", "user": "/admin/users/", "good": "/admin/goods/"}
"""Where the page of a subject is, before its id."""

FIELD_TEXT: Final = {
    "reason": "原因",
    "until": "截止时间",
    "decision": "处理方式",
    "message_ids": "消息",
    "code": "验证码",
    "username": "用户名",
    "password": "密码",
    "order_no": "订单编号",
    "user_id": "用户编号",
    "owner_id": "卖家编号",
    "order_id": "订单编号",
    "since": "开始日期",
    "day": "日期",
    "title": "标题",
    "text": "文字",
    "price": "价格",
    "category": "类别",
    "categories": "原因",
    "note": "说明",
    "contains": "词",
}


def detail_lines(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is kept with a case or an action, as label and text; money, kept in fen, is shown in yuan."""
    return [(DETAIL_TEXT.get(name, name), _detail(name, value)) for name, value in details.items()]


def _detail(name: str, value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "是" if value else "否"
    if name in _FEN and isinstance(value, int):
        return f"¥{format_yuan(value)}"
    if name == "refunds" and isinstance(value, dict):
        return ";".join(f"{number} ¥{format_yuan(amount)}" for number, amount in value.items()) or "—"
    if isinstance(value, dict):
        return ";".join(f"{DETAIL_TEXT.get(key, key)} {each}" for key, each in value.items()) or "—"
    if isinstance(value, list):
        return ";".join(map(str, value)) or "—"
    return str(value)


def refusal_lines(refusal: Refused) -> list[str]:
    """What a refusal says beside its text, a line each."""
    data: dict[str, Any] = dict(refusal.data or {})
    lines = [str(reason) for reason in data.get("reasons", ())]
    for name, reasons in data.get("errors", {}).items():
        lines.extend(f"{FIELD_TEXT.get(name, name)}:{reason}" for reason in reasons)
    if refusal.retry_after is not None:
        lines.append(f"请在 {refusal.retry_after} 秒后再试")
    if isinstance(data.get("reason"), str):
        lines.append(data["reason"])
    return lines
