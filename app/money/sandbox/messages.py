"""The fields of what the gateway sends about trades and transfers: notifications, returns and answers."""

from urllib.parse import urlencode, urlsplit, urlunsplit

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .protocol import signed_form, success, time_text, time_text_ms, yuan
from .settings import SandboxSettings
from .store import FAIL, REFUND, SUCCESS, NotificationFields, Refund, Trade, Transfer

# The sandbox has a single payer.
_BUYER_ID = "2088000000000002"
BUYER_LOGON_ID = "buy***@sandbox.example"


def notification_fields_for(settings: SandboxSettings) -> NotificationFields:
    """The builder of notifications to this application; the sender adds notify_time and the signature."""

    def notification_fields(trade: Trade, refund: Refund | None, notify_id: str) -> dict[str, str]:
        if trade.paid_at is None:
            raise ValueError("only a paid trade is notified")
        fields = {
            "notify_type": "trade_status_sync",
            "notify_id": notify_id,
            "charset": "utf-8",
            "version": "1.0",
            "app_id": settings.app_id,
            "auth_app_id": settings.app_id,
            "seller_id": settings.seller_id,
            "buyer_id": _BUYER_ID,
            "buyer_logon_id": BUYER_LOGON_ID,
            "out_trade_no": trade.out_trade_no,
            "trade_no": trade.trade_no,
            "trade_status": trade.status,
            "subject": trade.subject,
            "total_amount": yuan(trade.amount_fen),
            "receipt_amount": yuan(trade.amount_fen),
            "invoice_amount": yuan(trade.amount_fen),
            "buyer_pay_amount": yuan(trade.amount_fen),
            "point_amount": "0.00",
            "fund_bill_list": f'[{{"amount":"{yuan(trade.amount_fen)}","fundChannel":"ALIPAYACCOUNT"}}]',
            "gmt_create": time_text(trade.created_at),
            "gmt_payment": time_text(trade.paid_at),
        }
        if refund is not None:
            fields["out_biz_no"] = refund.out_request_no
            fields["refund_fee"] = yuan(trade.refunded_fen)
            fields["gmt_refund"] = time_text_ms(refund.refunded_at)
        return fields

    return notification_fields


def return_location(trade: Trade, settings: SandboxSettings, key: RSAPrivateKey, *, now: float) -> str:
    """The trade's return_url with the signed parameters of a synchronous return."""
    fields = {
        "charset": "utf-8",
        "out_trade_no": trade.out_trade_no,
        "method": "alipay.trade.page.pay.return",
        "total_amount": yuan(trade.amount_fen),
        "trade_no": trade.trade_no,
        "auth_app_id": settings.app_id,
        "version": "1.0",
        "app_id": settings.app_id,
        "seller_id": settings.seller_id,
        "timestamp": time_text(now),
    }
    parts = urlsplit(trade.return_url)
    query = "&".join(part for part in (parts.query, urlencode(signed_form(fields, key))) if part)
    return urlunsplit(parts._replace(query=query))


def query_answer(trade: Trade) -> dict[str, str]:
    """The answer to alipay.trade.query."""
    fields = {
        "out_trade_no": trade.out_trade_no,
        "trade_no": trade.trade_no,
        "trade_status": trade.status,
        "total_amount": yuan(trade.amount_fen),
        "buyer_logon_id": BUYER_LOGON_ID,
        "buyer_user_id": _BUYER_ID,
        "buyer_pay_amount": yuan(trade.amount_fen if trade.paid_at else 0),
        "receipt_amount": yuan(trade.amount_fen if trade.paid_at else 0),
        "invoice_amount": yuan(trade.amount_fen if trade.paid_at else 0),
        "point_amount": "0.00",
    }
    if trade.paid_at is not None:
        fields["send_pay_date"] = time_text(trade.paid_at)
    return success(**fields)


def refund_answer(trade: Trade, *, moved: bool) -> dict[str, str]:
    """The answer to alipay.trade.refund; refund_fee is what was refunded of the trade so far."""
    return success(
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        buyer_logon_id=BUYER_LOGON_ID,
        buyer_user_id=_BUYER_ID,
        refund_fee=yuan(trade.refunded_fen),
        fund_change="Y" if moved else "N",
    )


def refund_query_answer(trade: Trade, refund: Refund | None) -> dict[str, str]:
    """The answer to alipay.trade.fastpay.refund.query; without data where there is no such refund."""
    if refund is None:
        return success()
    return success(
        out_trade_no=trade.out_trade_no,
        trade_no=trade.trade_no,
        out_request_no=refund.out_request_no,
        total_amount=yuan(trade.amount_fen),
        refund_amount=yuan(refund.amount_fen),
        refund_status="REFUND_SUCCESS",
        gmt_refund_pay=time_text(refund.refunded_at),
    )


def close_answer(trade: Trade) -> dict[str, str]:
    """The answer to alipay.trade.close."""
    return success(out_trade_no=trade.out_trade_no, trade_no=trade.trade_no)


def transfer_answer(transfer: Transfer) -> dict[str, str]:
    """The answer to alipay.fund.trans.uni.transfer."""
    fields = {"out_biz_no": transfer.out_biz_no, "order_id": transfer.order_id, "status": transfer.status}
    if transfer.paid_at is not None:
        fields["trans_date"] = time_text(transfer.paid_at)
    return success(**fields)


def transfer_query_answer(transfer: Transfer) -> dict[str, str]:
    """The answer to alipay.fund.trans.common.query: with the amount only for a success, the reason for a failure."""
    fields = {"out_biz_no": transfer.out_biz_no, "order_id": transfer.order_id, "status": transfer.status}
    if transfer.paid_at is not None:
        fields["pay_date"] = time_text(transfer.paid_at)
    if transfer.status == SUCCESS:
        fields["trans_amount"] = yuan(transfer.amount_fen)
    if transfer.status in _FAILURES:
        fields["error_code"], fields["fail_reason"] = _FAILURES[transfer.status]
    return success(**fields)


_FAILURES = {
    FAIL: ("PAYEE_USER_INFO_ERROR", "支付宝账号和姓名不匹配,请确认姓名是否正确"),
    REFUND: ("PERMIT_NON_BANK_LIMIT_PAYEE", "对方未完善身份信息或未开立余额账户,无法收款"),
}
