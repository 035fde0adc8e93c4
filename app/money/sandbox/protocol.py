"""Alipay's wire format: signatures, money and time as text, error codes, and verified requests."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

SHANGHAI = ZoneInfo("Asia/Shanghai")
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

# Alipay: 0.01 to 100,000,000 yuan, at most two places.
_YUAN = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,2}))?", re.ASCII)
_MAX_FEN = 100_000_000_00
_OUT_NO = re.compile(r"[0-9A-Za-z_]{1,64}", re.ASCII)
_SUBJECT_LENGTH = 256
_TITLE_LENGTH = 128
# For a payee's account and for its owner's name.
_PAYEE_LENGTH = 64
_URL_LENGTH = 256

_MESSAGES = {
    "10000": "Success",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40004": "Business Failed",
}


class Problem(Enum):
    """Alipay's answers that are not a success: code, sub_code, sub_msg."""

    MISSING_METHOD = ("40001", "isv.missing-method", "缺少方法名参数")
    MISSING_APP_ID = ("40001", "isv.missing-app-id", "缺少AppID参数")
    MISSING_SIGN = ("40001", "isv.missing-signature", "缺少签名参数")
    MISSING_SIGN_TYPE = ("40001", "isv.missing-signature-type", "缺少签名类型参数")
    MISSING_TIMESTAMP = ("40001", "isv.missing-timestamp", "缺少时间戳参数")
    MISSING_VERSION = ("40001", "isv.missing-version", "缺少版本参数")
    INVALID_METHOD = ("40002", "isv.invalid-method", "不存在的方法名")
    INVALID_APP_ID = ("40002", "isv.invalid-app-id", "无效的AppID参数")
    INVALID_SIGN = ("40002", "isv.invalid-signature", "无效签名")
    INVALID_SIGN_TYPE = ("40002", "isv.invalid-signature-type", "无效的签名类型")
    INVALID_TIMESTAMP = ("40002", "isv.invalid-timestamp", "无效的时间戳参数")
    INVALID_CHARSET = ("40002", "isv.invalid-charset", "字符集错误")
    INVALID_PARAMETER = ("40004", "ACQ.INVALID_PARAMETER", "参数无效")
    CONTEXT_INCONSISTENT = ("40004", "ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
    TRADE_HAS_SUCCESS = ("40004", "ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
    TRADE_HAS_CLOSE = ("40004", "ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
    TRADE_NOT_EXIST = ("40004", "ACQ.TRADE_NOT_EXIST", "交易不存在")
    TRADE_STATUS_ERROR = ("40004", "ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
    REFUND_TOO_MUCH = ("40004", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
    DISCORDANT_REPEAT = ("40004", "ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致")
    INVALID_TRANSFER = ("40004", "INVALID_PARAMETER", "参数有误")
    TRANSFER_TOO_SMALL = ("40004", "EXCEED_LIMIT_SM_MIN_AMOUNT", "单笔最低转账金额0.1元")
    TRANSFER_NOT_EXIST = ("40004", "ORDER_NOT_EXIST", "转账订单不存在")
    DISCORDANT_TRANSFER = ("40004", "PAYMENT_INFO_INCONSISTENCY", "两次请求商户单号一样,但是参数不一致")
    PAYEE_NOT_EXIST = ("40004", "PAYEE_NOT_EXIST", "收款账号不存在")
    INVALID_BILL_ARGUMENTS = ("40004", "INVAILID_ARGUMENTS", "入参不合法")
    BILL_NOT_EXIST = ("40004", "BILL_NOT_EXIST", "账单不存在")
    PAYER_BALANCE_NOT_ENOUGH = ("40004", "PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足")

    def __init__(self, code: str, sub_code: str, sub_msg: str) -> None:
        self.code = code
        self.sub_code = sub_code
        self.sub_msg = sub_msg

    def answer(self) -> dict[str, str]:
        """The fields of the answer that reports this problem."""
        return {
            "code": self.code,
            "msg": _MESSAGES[self.code],
            "sub_code": self.sub_code,
            "sub_msg": self.sub_msg,
        }


class ProblemFound(Exception):  # noqa: N818 - a finding, turned into an answer
    """The request must be answered with `problem`; nothing was changed. `detail` names the field at fault, if any."""

    def __init__(self, problem: Problem, detail: str = "") -> None:
        super().__init__(f"{problem.sub_code} {detail}".rstrip())
        self.problem = problem
        self.detail = detail


def canonical_text(fields: Mapping[str, str], *, exclude: tuple[str, ...]) -> str:
    """The text that is signed: all non-empty fields but those in `exclude`, sorted, as `a=1&b=2`, not URL-encoded."""
    return "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name not in exclude)


def sign(text: str, key: RSAPrivateKey) -> str:
    """RSA2: PKCS#1 v1.5 over SHA-256, in base64."""
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def signed_form(fields: Mapping[str, str], key: RSAPrivateKey) -> dict[str, str]:
    """A notification's or return's fields with `sign_type` and `sign`; the signature covers neither of the two."""
    form = {name: value for name, value in fields.items() if value}
    return {**form, "sign_type": "RSA2", "sign": sign(canonical_text(form, exclude=()), key)}


def signed_answer(method: str, answer: Mapping[str, str], key: RSAPrivateKey) -> str:
    """The JSON body of an answer; the signature covers the answer's text exactly as it stands in the body."""
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    return f'{{"{_response_name(method)}":{text},"sign":"{sign(text, key)}"}}'


def success(**fields: str) -> dict[str, str]:
    """The fields of a successful answer."""
    return {"code": "10000", "msg": _MESSAGES["10000"], **fields}


def _response_name(method: str) -> str:
    return method.replace(".", "_") + "_response"


def yuan(fen: int) -> str:
    """`564250` → `"5642.50"`."""
    return f"{fen // 100}.{fen % 100:02d}"


def fen(text: str) -> int:
    """`"5642.5"` → `564250`; ValueError unless 0.01 to 100,000,000 yuan with at most two places."""
    match = _YUAN.fullmatch(text)
    if match is None:
        raise ValueError("not an amount in yuan")
    amount = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if not 1 <= amount <= _MAX_FEN:
        raise ValueError("an amount is 0.01 to 100000000.00 yuan")
    return amount


def time_text(epoch: float) -> str:
    """Seconds since 1970 as Alipay writes a time: `2026-11-22 20:15:00`, Shanghai."""
    return datetime.fromtimestamp(epoch, SHANGHAI).strftime(_TIME_FORMAT)


def time_text_ms(epoch: float) -> str:
    """As `time_text` with milliseconds; Alipay uses this form for gmt_refund only."""
    return f"{time_text(epoch)}.{int(epoch * 1000) % 1000:03d}"


def iso_text(epoch: float | None) -> str | None:
    """ISO 8601 in UTC, for the inspection URLs; None stays None."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")


def epoch_of(text: str) -> float:
    """The reverse of `time_text`; ValueError."""
    return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=SHANGHAI).timestamp()


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the application whose signature was verified."""

    method: str
    fields: Mapping[str, str]
    content: Mapping[str, Any]

    def out_no(self, name: str) -> str:
        """An order or refund number of the merchant in biz_content."""
        value = self.content.get(name)
        if not isinstance(value, str) or not _OUT_NO.fullmatch(value):
            raise ProblemFound(Problem.INVALID_PARAMETER, name)
        return value

    def amount(self, name: str) -> int:
        """An amount in biz_content, in fen."""
        try:
            return fen(str(self.content.get(name)))
        except ValueError as error:
            raise ProblemFound(Problem.INVALID_PARAMETER, name) from error

    def payee(self) -> tuple[str, str]:
        """Account and owner's name in payee_info, which must name the account by its login."""
        payee = self.content.get("payee_info")
        if not isinstance(payee, dict) or payee.get("identity_type") != "ALIPAY_LOGON_ID":
            raise ProblemFound(Problem.INVALID_TRANSFER, "payee_info")
        for name in ("identity", "name"):
            value = payee.get(name)
            if not isinstance(value, str) or not 1 <= len(value.strip()) <= _PAYEE_LENGTH:
                raise ProblemFound(Problem.INVALID_TRANSFER, f"payee_info.{name}")
        return payee["identity"], payee["name"]

    def title(self) -> str:
        """The transfer's order_title, 1 to 128 characters."""
        value = self.content.get("order_title")
        if not isinstance(value, str) or not 1 <= len(value) <= _TITLE_LENGTH:
            raise ProblemFound(Problem.INVALID_TRANSFER, "order_title")
        return value

    def subject(self) -> str:
        """The trade's title: 1 to 256 characters of the basic plane, without / = &."""
        value = self.content.get("subject")
        if (
            not isinstance(value, str)
            or not 1 <= len(value) <= _SUBJECT_LENGTH
            or any(character in "/=&" or not "\x20" <= character <= "\uffff" for character in value)
        ):
            raise ProblemFound(Problem.INVALID_PARAMETER, "subject")
        return value

    def expiry(self, *, default: float) -> float:
        """time_expire as seconds since 1970."""
        value = self.content.get("time_expire")
        if value is None:
            return default
        try:
            return epoch_of(str(value))
        except ValueError as error:
            raise ProblemFound(Problem.INVALID_PARAMETER, "time_expire") from error

    def url(self, name: str) -> str:
        """notify_url or return_url, empty where it was not given. Both are covered by the request's signature."""
        value = self.fields.get(name, "")
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            has_place = bool(parts.hostname) and parts.port != 0
        except ValueError as error:
            raise ProblemFound(Problem.INVALID_PARAMETER, name) from error
        if (
            parts.scheme not in ("http", "https")
            or not has_place
            or len(value) > _URL_LENGTH
            or not value.isascii()
            or not value.isprintable()
            or " " in value
        ):
            raise ProblemFound(Problem.INVALID_PARAMETER, name)
        return value


def read_request(fields: Mapping[str, str], *, app_id: str, app_key: RSAPublicKey) -> Request:
    """The request in a gateway call's fields; raises ProblemFound unless the application's signature is valid."""
    for name, problem in _REQUIRED:
        if not fields.get(name):
            raise ProblemFound(problem)
    if fields["app_id"] != app_id:
        raise ProblemFound(Problem.INVALID_APP_ID)
    if fields["sign_type"] != "RSA2":
        raise ProblemFound(Problem.INVALID_SIGN_TYPE)
    if fields.get("charset", "").lower() != "utf-8":
        raise ProblemFound(Problem.INVALID_CHARSET)
    try:
        # In a request, unlike in a notification, sign_type is part of what is signed.
        app_key.verify(
            base64.b64decode(fields["sign"], validate=True),
            canonical_text(fields, exclude=("sign",)).encode(),
            PKCS1v15(),
            SHA256(),
        )
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise ProblemFound(Problem.INVALID_SIGN) from error
    try:
        epoch_of(fields["timestamp"])
    except ValueError as error:
        raise ProblemFound(Problem.INVALID_TIMESTAMP) from error
    try:
        # Numbers are kept as text, so that an amount does not become a float.
        content = json.loads(fields.get("biz_content") or "{}", parse_float=str, parse_int=str)
    except ValueError as error:
        raise ProblemFound(Problem.INVALID_PARAMETER, "biz_content") from error
    if not isinstance(content, dict):
        raise ProblemFound(Problem.INVALID_PARAMETER, "biz_content")
    return Request(fields["method"], fields, content)


_REQUIRED = (
    ("method", Problem.MISSING_METHOD),
    ("app_id", Problem.MISSING_APP_ID),
    ("sign", Problem.MISSING_SIGN),
    ("sign_type", Problem.MISSING_SIGN_TYPE),
    ("timestamp", Problem.MISSING_TIMESTAMP),
    ("version", Problem.MISSING_VERSION),
)
