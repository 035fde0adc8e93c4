"""Alipay's page pay (电脑网站支付) and payouts (商家转账) over python-alipay-sdk.

The same code serves Alipay and the sandbox. Rules cited as "Alipay" are those of opendocs.alipay.com: notification
fields, states and the error codes of alipay.trade.page.pay, .query, .refund, .fastpay.refund.query and .close, and of
alipay.fund.trans.uni.transfer and .common.query.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from alipay import RSA, AliPay
from alipay.exceptions import AliPayException, AliPayValidationError
from alipay.utils import AliPayConfig
from werkzeug.datastructures import MultiDict

from app.clock import SHANGHAI, utcnow
from app.fen import format_yuan, parse_yuan
from config import Settings

from . import certificates
from .alipay_codes import verdict_on
from .base import (
    MAX_TRADE_FEN,
    MIN_TRANSFER_FEN,
    GatewayRefused,
    GatewayUnavailable,
    Notification,
    NotificationRefused,
    RefundResult,
    RefusalReason,
    TradeState,
    TradeStatus,
    TransferResult,
    TransferStatus,
    Verdict,
)
from .bill_archives import bill_in
from .key_files import gateway_key_pem, private_key_pem, public_key_pem, read_key_file
from .signed_answers import signed_part

_SIGN_TYPE = "RSA2"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
# gmt_refund comes with milliseconds, every other time without.
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,3})?", re.ASCII)

_SUCCESS = "10000"
# Whatever is not signed, anybody could have said: what would decide something is open then, or calls a person.
_UNSIGNED = MappingProxyType({Verdict.FINAL: Verdict.ASK, Verdict.RETRY: Verdict.ASK, Verdict.STOP: Verdict.PERSON})

# Alipay accepts at most 256 characters, without / = & and characters outside the basic plane; a good's title may have
# them. Commas and quotes are replaced as well, because Alipay copies the subject into the day's bill, a CSV file.
_SUBJECT_LENGTH = 256
_NOT_IN_SUBJECT = re.compile(r"[/=&,\"\s\x00-\x1f\x7f\ud800-\udfff\U00010000-\U0010ffff]+")
# Of order_title; remark may have 200 and is required from 50,000 yuan on.
_TITLE_LENGTH = 128
# Both fields together mean: a transfer to an Alipay account that needs no password.
_TRANSFER_PRODUCT = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
_REASON_LENGTH = 256
_NAME_LENGTH = 64
_BILL_SCHEMES = ("https", "http")
_LONGEST_ARCHIVE = 64 * 1024 * 1024


def _shanghai_text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a moment must have a time zone")
    return moment.astimezone(SHANGHAI).strftime(_TIME_FORMAT)


def _moment(text: str) -> datetime:
    """`2026-11-22 20:15:00` in Shanghai as UTC; ValueError otherwise."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time")
    return datetime.strptime(match[1], _TIME_FORMAT).replace(tzinfo=SHANGHAI).astimezone(UTC)


def _fen(text: str) -> int:
    """An amount in yuan, as the gateway writes it, in fen; ValueError otherwise."""
    return parse_yuan(text, maximum=MAX_TRADE_FEN)


def _subject(text: str, *, length: int, otherwise: str) -> str:
    return _NOT_IN_SUBJECT.sub(" ", text).strip()[:length] or otherwise


def _recordable(name: str) -> str:
    """A field's name, which anybody may have chosen, made safe for a log and a column."""
    return "".join(character for character in name[:_NAME_LENGTH] if character.isprintable())


class _Fields:
    """The fields of a notification; every method raises NotificationRefused with the field's name."""

    def __init__(self, form: Mapping[str, str]) -> None:
        pairs = form.items(multi=True) if isinstance(form, MultiDict) else form.items()
        self.values: dict[str, str] = {}
        for name, value in pairs:
            # Parsers differ in whether they use the first or the last value of a repeated field: trust neither.
            if name in self.values:
                raise NotificationRefused(RefusalReason.MALFORMED_FIELD, _recordable(name))
            self.values[name] = value

    def text(self, name: str) -> str:
        value = self.optional(name)
        if value is None:
            raise NotificationRefused(RefusalReason.MISSING_FIELD, name)
        return value

    def optional(self, name: str) -> str | None:
        return self.values.get(name) or None

    def expect(self, name: str, expected: str, reason: RefusalReason = RefusalReason.MALFORMED_FIELD) -> None:
        if self.text(name) != expected:
            raise NotificationRefused(reason, name)

    def fen(self, name: str) -> int:
        try:
            return _fen(self.text(name))
        except ValueError as error:
            raise NotificationRefused(RefusalReason.MALFORMED_FIELD, name) from error

    def moment(self, name: str) -> datetime:
        try:
            return _moment(self.text(name))
        except ValueError as error:
            raise NotificationRefused(RefusalReason.MALFORMED_FIELD, name) from error


@lru_cache(maxsize=8)
def _rsa_key(pem: str) -> Any:
    """The key in `pem`, as the SDK reads it; ValueError.

    It is kept, because the check that a private key is made of primes takes a tenth of a second.
    """
    return RSA.import_key(pem)


class _Sdk(AliPay):  # type: ignore[misc]  # the SDK has no type information
    """The SDK, which also accepts signatures by the gateway's previous key, if one is given."""

    def __init__(self, *, previous: "_Sdk | None" = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._previous = previous

    def _load_key(self) -> None:
        self._app_private_key = _rsa_key(self._app_private_key_string)
        self._alipay_public_key = _rsa_key(self._alipay_public_key_string)

    def _get_string_to_be_signed(self, raw_string: str, response_type: str) -> str:
        # The SDK counts braces, also those inside of texts.
        return signed_part(raw_string, response_type)

    def _verify(self, raw_content: str, signature: str) -> bool:
        # The SDK verifies both notifications and answers through this method.
        return super()._verify(raw_content, signature) or (
            self._previous is not None and self._previous._verify(raw_content, signature)
        )


class AlipayGateway:
    """The `Gateway` to Alipay, or to the sandbox.

    `app_private_key` (ours, to sign with) and `alipay_public_key` (Alipay's, to verify with; a certificate will do) are
    texts in any form that `app.money.gateways.key_files` reads; ValueError where one is not. Signatures by
    `previous_public_key` are accepted too: while Alipay changes its key, both occur. `timeout_s` limits each network
    call, in seconds.

    `app_cert` and `alipay_root_cert` are PEM texts, given both or neither. They switch to certificates (公钥证书),
    which Alipay requires for transfers.
    """

    def __init__(
        self,
        *,
        app_id: str,
        seller_id: str,
        gateway_url: str,
        app_private_key: str,
        alipay_public_key: str,
        timeout_s: float,
        previous_public_key: str | None = None,
        app_cert: str | None = None,
        alipay_root_cert: str | None = None,
    ) -> None:
        self._app_id = app_id
        self._seller_id = seller_id
        self._gateway_url = gateway_url

        private_pem = private_key_pem(app_private_key)

        def arguments(public_key: str) -> dict[str, Any]:
            return {
                "appid": app_id,
                "app_private_key_string": private_pem,
                "alipay_public_key_string": public_key_pem(public_key),
                "sign_type": _SIGN_TYPE,
                "config": AliPayConfig(timeout=timeout_s),
            }

        previous = None if previous_public_key is None else _Sdk(**arguments(previous_public_key))
        self._sdk = _Sdk(previous=previous, **arguments(alipay_public_key))
        if (app_cert is None) != (alipay_root_cert is None):
            raise ValueError("the application's certificate and Alipay's root certificates belong together")
        self._certificate_fields: dict[str, str] = {}
        if app_cert is not None and alipay_root_cert is not None:
            self._certificate_fields = {
                "app_cert_sn": certificates.serial(app_cert),
                "alipay_root_cert_sn": certificates.root_serial(alipay_root_cert),
            }
        # The SDK has two built-in URLs and no setting for another.
        self._sdk._gateway = gateway_url
        self._timeout_s = timeout_s

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The gateway that the settings name.

        OSError or ValueError where a key file cannot be read; the latter names the setting and the file.
        """

        def text(setting: str, check: Callable[[str], object]) -> str | None:
            path: Path | None = getattr(settings, setting)
            if path is None:
                return None
            try:
                read = read_key_file(path)
                check(read)
            except ValueError as error:
                raise ValueError(f"{setting.upper()}: {path} {error}") from error
            return read

        app_private_key = text("alipay_app_private_key_path", private_key_pem)
        if app_private_key is None or settings.alipay_public_key_path is None:
            raise ValueError("ALIPAY_APP_PRIVATE_KEY_PATH and ALIPAY_PUBLIC_KEY_PATH: are required")
        of_gateway = partial(gateway_key_pem, private=app_private_key)
        alipay_public_key = text("alipay_public_key_path", of_gateway)
        assert alipay_public_key is not None  # noqa: S101 - its setting is not, as was asked above
        return cls(
            app_id=settings.alipay_app_id,
            seller_id=settings.alipay_seller_id,
            gateway_url=settings.gateway_url,
            app_private_key=app_private_key,
            alipay_public_key=alipay_public_key,
            timeout_s=settings.alipay_timeout,
            previous_public_key=text("alipay_previous_public_key_path", of_gateway),
            app_cert=text("alipay_app_cert_path", certificates.serial),
            alipay_root_cert=text("alipay_root_cert_path", certificates.root_serial),
        )

    def page_pay_url(
        self,
        *,
        out_trade_no: str,
        amount_fen: int,
        subject: str,
        notify_url: str,
        return_url: str,
        expires_at: datetime,
    ) -> str:
        """See `Gateway.page_pay_url`. Characters that Alipay refuses in a subject become spaces."""
        if amount_fen < 1:
            raise ValueError("an amount must be at least one fen")
        query: str = self._sdk.client_api(
            "alipay.trade.page.pay",
            {
                "out_trade_no": out_trade_no,
                "product_code": "FAST_INSTANT_TRADE_PAY",
                "total_amount": format_yuan(amount_fen),
                "subject": _subject(subject, length=_SUBJECT_LENGTH, otherwise=out_trade_no),
                "time_expire": _shanghai_text(expires_at),
            },
            notify_url=notify_url,
            return_url=return_url,
            timestamp=_shanghai_text(utcnow()),
            **self._certificate_fields,
        )
        return f"{self._gateway_url}?{query}"

    def read_notification(self, form: Mapping[str, str]) -> Notification:
        """See `Gateway.read_notification`. The signature is checked before any field is believed."""
        fields = _Fields(form)
        sign = fields.text("sign")
        fields.expect("sign_type", _SIGN_TYPE)
        if fields.text("charset").lower() != "utf-8":
            raise NotificationRefused(RefusalReason.MALFORMED_FIELD, "charset")
        if not self._signed_by_alipay(fields.values, sign):
            raise NotificationRefused(RefusalReason.BAD_SIGNATURE, "sign")
        fields.expect("app_id", self._app_id, RefusalReason.OTHER_APP)
        # Alipay: seller_id and gmt_payment are optional (异步通知参数说明).
        if fields.optional("seller_id") is not None:
            fields.expect("seller_id", self._seller_id, RefusalReason.OTHER_SELLER)
        fields.expect("notify_type", "trade_status_sync")
        try:
            status = TradeStatus(fields.text("trade_status"))
        except ValueError as error:
            raise NotificationRefused(RefusalReason.MALFORMED_FIELD, "trade_status") from error
        return Notification(
            notify_id=fields.text("notify_id"),
            out_trade_no=fields.text("out_trade_no"),
            trade_no=fields.text("trade_no"),
            amount_fen=fields.fen("total_amount"),
            status=status,
            paid_at=fields.moment("gmt_payment") if fields.optional("gmt_payment") else None,
            refunded_fen=fields.fen("refund_fee") if fields.optional("refund_fee") else 0,
            out_request_no=fields.optional("out_biz_no"),
            raw=MappingProxyType(fields.values),
        )

    def query(self, out_trade_no: str) -> TradeState | None:
        """See `Gateway.query`."""
        try:
            answer = self._call("alipay.trade.query", {"out_trade_no": out_trade_no})
        except GatewayRefused as error:
            if _does_not_exist(error):
                return None
            raise
        try:
            paid_at = answer.get("send_pay_date")
            return TradeState(
                out_trade_no=out_trade_no,
                trade_no=answer["trade_no"],
                amount_fen=_fen(answer["total_amount"]),
                status=TradeStatus(answer["trade_status"]),
                paid_at=None if paid_at is None else _moment(paid_at),
            )
        except (KeyError, ValueError) as error:
            raise GatewayUnavailable("the answer to a query cannot be read") from error

    def refund(self, *, out_trade_no: str, amount_fen: int, out_request_no: str, reason: str) -> RefundResult:
        """See `Gateway.refund`.

        Alipay: only `fund_change=Y` means that this call moved money; otherwise the refund has to be queried.
        """
        if amount_fen < 1:
            raise ValueError("an amount must be at least one fen")
        content = {
            "out_trade_no": out_trade_no,
            "refund_amount": format_yuan(amount_fen),
            "out_request_no": out_request_no,
            "refund_reason": reason[:_REASON_LENGTH],
        }
        try:
            answer = self._call("alipay.trade.refund", content)
        except GatewayRefused as refusal:
            answer = self._earlier_refund(refusal, out_trade_no, out_request_no, amount_fen)
            moved, total = False, None
        else:
            moved = answer.get("fund_change") == "Y"
            total = _total_refunded(answer)
            if not moved:
                answer = self._answer_to_a_taken_refund(out_trade_no, out_request_no)
                if not _confirms_refund(answer, out_request_no=out_request_no, amount_fen=amount_fen):
                    raise GatewayUnavailable("the gateway does not confirm the refund yet")
        trade_no = answer.get("trade_no")
        if not trade_no:
            raise GatewayUnavailable("the answer to a refund cannot be read")
        return RefundResult(
            out_trade_no=out_trade_no,
            trade_no=trade_no,
            out_request_no=out_request_no,
            amount_fen=amount_fen,
            repeated=not moved,
            total_fen=total,
        )

    def _answer_to_a_taken_refund(self, out_trade_no: str, out_request_no: str) -> dict[str, Any]:
        """As `_refund_query`, for a refund whose request was taken: that the question is refused does not undo it."""
        try:
            return self._refund_query(out_trade_no, out_request_no)
        except GatewayUnavailable as error:
            raise GatewayUnavailable(f"the gateway does not confirm the refund: {error}") from error
        except GatewayRefused as refusal:
            raise GatewayUnavailable(
                f"the gateway does not confirm the refund: {refusal.code} {refusal.sub_code}",
                verdict=Verdict.PERSON if refusal.verdict is Verdict.PERSON else Verdict.ASK,
            ) from refusal

    def _refund_query(self, out_trade_no: str, out_request_no: str) -> dict[str, Any]:
        return self._call(
            "alipay.trade.fastpay.refund.query", {"out_trade_no": out_trade_no, "out_request_no": out_request_no}
        )

    def _earlier_refund(
        self, refusal: GatewayRefused, out_trade_no: str, out_request_no: str, amount_fen: int
    ) -> dict[str, Any]:
        """The answer that confirms the refund which an earlier call made; raises `refusal` if there is none.

        The answer to the earlier call may have been lost, and a refusal only concerns the present one.
        """
        try:
            made = self._made_refund(out_trade_no, out_request_no, amount_fen)
        except GatewayUnavailable as error:
            raise _unanswered(refusal, error) from error
        except GatewayRefused as error:
            raise _undecided(refusal) from error
        if made is None:
            raise refusal
        return made

    def refunded(self, *, out_trade_no: str, amount_fen: int, out_request_no: str) -> bool:
        """See `Gateway.refunded`."""
        return self._made_refund(out_trade_no, out_request_no, amount_fen) is not None

    def _made_refund(self, out_trade_no: str, out_request_no: str, amount_fen: int) -> dict[str, Any] | None:
        """The answer that confirms the refund; None where none of this amount was made under the number."""
        try:
            answer = self._refund_query(out_trade_no, out_request_no)
        except GatewayRefused as error:
            if _does_not_exist(error):
                return None
            raise
        if _confirms_refund(answer, out_request_no=out_request_no, amount_fen=amount_fen):
            return answer
        if "refund_status" in answer and answer["refund_status"] != "REFUND_SUCCESS":
            raise GatewayUnavailable("the gateway does not confirm the refund yet")
        return None

    def close(self, out_trade_no: str) -> bool:
        """See `Gateway.close`."""
        try:
            self._call("alipay.trade.close", {"out_trade_no": out_trade_no})
        except GatewayRefused as error:
            if _does_not_exist(error):
                return False
            # Alipay refuses to close any trade that does not wait for payment, a closed one too.
            trade = self.query(out_trade_no)
            if trade is None or trade.status is not TradeStatus.TRADE_CLOSED:
                raise
        return True

    def transfer(
        self, *, out_biz_no: str, amount_fen: int, payee_account: str, payee_name: str, title: str
    ) -> TransferResult:
        """See `Gateway.transfer`."""
        if amount_fen < MIN_TRANSFER_FEN:
            raise ValueError(f"a transfer must be at least {MIN_TRANSFER_FEN} fen")
        shown_title = _subject(title, length=_TITLE_LENGTH, otherwise=out_biz_no)
        content = {
            "out_biz_no": out_biz_no,
            "trans_amount": format_yuan(amount_fen),
            **_TRANSFER_PRODUCT,
            "order_title": shown_title,
            "payee_info": {"identity": payee_account, "identity_type": "ALIPAY_LOGON_ID", "name": payee_name},
            "remark": shown_title,
        }
        try:
            answer = self._call("alipay.fund.trans.uni.transfer", content)
        except GatewayRefused as refusal:
            return self._earlier_transfer(refusal, out_biz_no=out_biz_no, amount_fen=amount_fen)
        return _transfer_result(answer, out_biz_no=out_biz_no, amount_fen=amount_fen, moment="trans_date")

    def query_transfer(self, out_biz_no: str) -> TransferResult | None:
        """See `Gateway.query_transfer`."""
        try:
            answer = self._call("alipay.fund.trans.common.query", {"out_biz_no": out_biz_no, **_TRANSFER_PRODUCT})
        except GatewayRefused as error:
            if _does_not_exist(error):
                return None
            raise
        return _transfer_result(answer, out_biz_no=out_biz_no, amount_fen=None, moment="pay_date")

    def _earlier_transfer(self, refusal: GatewayRefused, *, out_biz_no: str, amount_fen: int) -> TransferResult:
        """The transfer that an earlier call made although this one was refused; raises `refusal` if there is none.

        The answer to the earlier call may have been lost, and a refusal only concerns the present one: the payee's
        account may have been closed after the money arrived.
        """
        try:
            earlier = self.query_transfer(out_biz_no)
        except GatewayUnavailable as error:
            raise _unanswered(refusal, error) from error
        except GatewayRefused as error:
            # With wrong keys every call is refused, even if an earlier one with the right keys went through.
            raise _undecided(refusal) from error
        if earlier is None or earlier.status is TransferStatus.FAIL:
            raise refusal
        if earlier.amount_fen is None:
            raise GatewayUnavailable(f"refused with {refusal.sub_code}, but a transfer of this number is known")
        if earlier.amount_fen != amount_fen:
            raise refusal
        return earlier

    def day_bill(self, day: date) -> bytes | None:
        """See `Gateway.day_bill`. Alipay: the address of the archive holds for 30 seconds."""
        try:
            answer = self._call(
                "alipay.data.dataservice.bill.downloadurl.query", {"bill_type": "trade", "bill_date": day.isoformat()}
            )
        except GatewayRefused as error:
            if _does_not_exist(error):
                return None
            raise
        url = str(answer.get("bill_download_url", ""))
        if urlsplit(url).scheme not in _BILL_SCHEMES:
            raise GatewayUnavailable("the answer about a bill cannot be read")
        try:
            with urlopen(url, timeout=self._timeout_s) as response:  # noqa: S310 - http or https: checked above
                archive: bytes = response.read(_LONGEST_ARCHIVE + 1)
        except HTTPError as error:
            error.close()
            raise GatewayUnavailable(f"the bill cannot be downloaded: HTTP {error.code}") from error
        except (OSError, HTTPException) as error:
            raise GatewayUnavailable(f"the bill cannot be downloaded: {type(error).__name__}") from error
        if len(archive) > _LONGEST_ARCHIVE:
            raise GatewayUnavailable("the bill cannot be downloaded: it is too long")
        try:
            return bill_in(archive)
        except ValueError as error:
            raise GatewayUnavailable(f"the bill cannot be unpacked: {error}") from error

    def _signed_by_alipay(self, values: Mapping[str, str], sign: str) -> bool:
        # A copy, because the SDK removes sign_type from the dict it is given.
        signed = {name: value for name, value in values.items() if name != "sign"}
        try:
            return bool(self._sdk.verify(signed, sign))
        except ValueError:
            # Not base64, or text that has no UTF-8 form.
            return False

    def _call(self, method: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The verified answer (code 10000) to a call about one trade or transfer. Raises as `Gateway` says."""
        is_signed = True
        try:
            answer: dict[str, Any] = self._sdk.server_api(
                method, content, timestamp=_shanghai_text(utcnow()), **self._certificate_fields
            )
        except AliPayValidationError as error:
            raise GatewayUnavailable("the answer is not signed by the gateway") from error
        except AliPayException as error:
            answer, is_signed = _unsigned_refusal(error, method), False
        except HTTPError as error:
            error.close()
            raise GatewayUnavailable(f"HTTP {error.code}") from error
        except (OSError, HTTPException) as error:
            raise GatewayUnavailable(f"no answer: {type(error).__name__}") from error
        except (ValueError, AttributeError, TypeError) as error:
            # The SDK parses whatever came back; a proxy's error page, for instance, is no JSON object.
            raise GatewayUnavailable("the answer cannot be read") from error
        _check_success(answer, method, is_signed=is_signed)
        # An answer's signature does not cover the request: an answer about another trade could be substituted.
        for number in ("out_trade_no", "out_biz_no"):
            if number in content and answer.get(number, content[number]) != content[number]:
                raise GatewayUnavailable("the answer is about something else")
        return answer


def _transfer_result(answer: dict[str, Any], *, out_biz_no: str, amount_fen: int | None, moment: str) -> TransferResult:
    """The transfer in an answer with its time in the field `moment`; without an amount there, it has `amount_fen`."""
    # For transfers Alipay always returns our number, unlike for trades; without it the answer may be about any
    # transfer.
    if answer.get("out_biz_no") != out_biz_no:
        raise GatewayUnavailable("the answer is about something else")
    try:
        status = TransferStatus(answer["status"])
        # A success has all fields; a failure has no time and may have no number.
        read = answer.__getitem__ if status is TransferStatus.SUCCESS else answer.get
        amount, at = answer.get("trans_amount"), read(moment)
        return TransferResult(
            out_biz_no=out_biz_no,
            order_id=read("order_id"),
            amount_fen=_fen(amount) if amount else amount_fen,
            status=status,
            at=_moment(at) if at and status is not TransferStatus.DEALING else None,
            failure=" ".join(filter(None, (answer.get("error_code"), answer.get("fail_reason")))) or None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise GatewayUnavailable("the answer about a transfer cannot be read") from error


def _check_success(answer: Mapping[str, Any], method: str, *, is_signed: bool) -> None:
    """Raise what follows from an answer that is no success."""
    code, sub_code = str(answer.get("code", "")), str(answer.get("sub_code", ""))
    if code == _SUCCESS:
        return
    verdict = verdict_on(method, code, sub_code)
    if not is_signed:
        verdict = _UNSIGNED.get(verdict, verdict)
    if verdict in (Verdict.RETRY, Verdict.ASK):
        raise GatewayUnavailable(f"{code} {sub_code}", verdict=verdict)
    text = str(answer.get("sub_msg") or answer.get("msg", ""))
    raise GatewayRefused(code, sub_code, text, verdict, is_signed=is_signed)


def _does_not_exist(refusal: GatewayRefused) -> bool:
    """Whether the gateway says, signed, that there is nothing of what it was asked about, or was to close.

    Of those methods, `alipay_codes` has nothing else that is FINAL.
    """
    return refusal.verdict is Verdict.FINAL


def _unanswered(refusal: GatewayRefused, error: GatewayUnavailable) -> GatewayUnavailable:
    """What to raise where a call was refused, and the question whether an earlier one went through has no answer.

    It is never RETRY: that nothing was done by the question says nothing of the call.
    """
    return GatewayUnavailable(f"refused with {refusal.sub_code}, and the question about it has no answer: {error}")


def _undecided(refusal: GatewayRefused) -> GatewayUnavailable:
    """What to raise where a call was refused, and so is the question whether an earlier one went through."""
    return GatewayUnavailable(
        f"refused with {refusal.sub_code}, and so is the question about it", verdict=refusal.verdict
    )


def _total_refunded(answer: Mapping[str, Any]) -> int | None:
    """What went back of a trade so far. Alipay: refund_fee of alipay.trade.refund; a query has no such field."""
    try:
        return _fen(answer["refund_fee"])
    except (KeyError, TypeError, ValueError):
        return None


def _confirms_refund(answer: Mapping[str, Any], *, out_request_no: str, amount_fen: int) -> bool:
    """Alipay: the answer has the refund's data exactly when it took place; newer ones also say so in refund_status."""
    return (
        answer.get("out_request_no") == out_request_no
        and answer.get("refund_amount") == format_yuan(amount_fen)
        and answer.get("refund_status", "REFUND_SUCCESS") == "REFUND_SUCCESS"
    )


def _unsigned_refusal(error: AliPayException, method: str) -> dict[str, Any]:
    """The gateway's answer where it does not sign, for example to an application that it does not know.

    The SDK gives the raw answer only in the error's text. An unsigned answer is accepted as a refusal, never a success.
    """
    raw = json.loads(str(error).partition("message:")[2])
    answer = raw.get(f"{method.replace('.', '_')}_response") or raw.get("error_response")
    if answer.get("code") == _SUCCESS:
        raise GatewayUnavailable("the answer is not signed by the gateway")
    return dict(answer)
