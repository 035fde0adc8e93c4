"""AlipayGateway alone: what it signs, which notifications it believes, and how it names what goes wrong on the way."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from app.clock import SHANGHAI
from app.fen import format_yuan, parse_yuan
from app.money.gateways import certificates
from app.money.gateways.alipay import AlipayGateway
from app.money.gateways.alipay_codes import CODES, SOURCES, verdict_on
from app.money.gateways.base import (
    MAX_TRADE_FEN,
    MIN_TRANSFER_FEN,
    GatewayRefused,
    GatewayUnavailable,
    NotificationRefused,
    RefundResult,
    RefusalReason,
    TradeState,
    TradeStatus,
    TransferResult,
    TransferStatus,
    Verdict,
)
from app.money.sandbox import DEFAULT_APP_ID, DEFAULT_SELLER_ID, keys, protocol
from config import Settings

PAID = {
    "notify_type": "trade_status_sync",
    "notify_id": "ac05099524730693a8b330c5ecf72da9786",
    "notify_time": "2026-11-22 20:15:03",
    "charset": "utf-8",
    "version": "1.0",
    "app_id": DEFAULT_APP_ID,
    "seller_id": DEFAULT_SELLER_ID,
    "out_trade_no": "P20261122001",
    "trade_no": "2026112222001400000000000001",
    "trade_status": "TRADE_SUCCESS",
    "subject": "九成新 山地车",
    "total_amount": "5642.50",
    "gmt_create": "2026-11-22 20:14:50",
    "gmt_payment": "2026-11-22 20:15:00",
}


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    keys.create_keys(directory)
    return directory


@pytest.fixture(scope="module")
def alipay_key(keys_dir: Path) -> RSAPrivateKey:
    return keys.load_private_key(keys_dir / keys.GATEWAY_PRIVATE)


def gateway_at(url: str, keys_dir: Path, **changes: Any) -> AlipayGateway:
    arguments: dict[str, Any] = {
        "app_id": DEFAULT_APP_ID,
        "seller_id": DEFAULT_SELLER_ID,
        "gateway_url": url,
        "app_private_key": (keys_dir / keys.APP_PRIVATE).read_text(),
        "alipay_public_key": (keys_dir / keys.GATEWAY_PUBLIC).read_text(),
        "timeout_s": 30.0,  # of a loaded machine; that it ends is asked for by name
    }
    return AlipayGateway(**(arguments | changes))


@pytest.fixture(scope="module")
def gateway(keys_dir: Path) -> AlipayGateway:
    return gateway_at("https://gateway.example/gateway.do", keys_dir)


# --- notifications ---


def test_a_signed_notification_is_read_and_left_as_it_was(gateway: AlipayGateway, alipay_key: RSAPrivateKey) -> None:
    form = protocol.signed_form(PAID, alipay_key)
    before = dict(form)

    notification = gateway.read_notification(form)

    assert notification.notify_id == "ac05099524730693a8b330c5ecf72da9786"
    assert notification.out_trade_no == "P20261122001"
    assert notification.trade_no == "2026112222001400000000000001"
    assert notification.amount_fen == 564250
    assert notification.status is TradeStatus.TRADE_SUCCESS
    assert notification.status.paid
    assert notification.paid_at == datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
    assert notification.paid_at.tzinfo is UTC
    assert notification.refunded_fen == 0
    assert notification.out_request_no is None
    assert dict(notification.raw) == before
    assert form == before
    with pytest.raises(TypeError):
        notification.raw["total_amount"] = "0.01"  # type: ignore[index]  # that it cannot be is the test


@pytest.mark.parametrize("kind", [MultiDict, ImmutableMultiDict])
def test_a_request_form_is_taken_as_it_is(
    gateway: AlipayGateway, alipay_key: RSAPrivateKey, kind: type[MultiDict[str, str]]
) -> None:
    assert gateway.read_notification(kind(protocol.signed_form(PAID, alipay_key))).amount_fen == 564250


def test_a_partial_refund_is_read(gateway: AlipayGateway, alipay_key: RSAPrivateKey) -> None:
    fields = PAID | {"refund_fee": "20.00", "out_biz_no": "R1", "gmt_refund": "2026-11-23 09:00:00.320"}

    notification = gateway.read_notification(protocol.signed_form(fields, alipay_key))

    assert (notification.status, notification.amount_fen) == (TradeStatus.TRADE_SUCCESS, 564250)
    assert (notification.refunded_fen, notification.out_request_no) == (2000, "R1")


def test_a_trade_closed_unpaid_has_no_moment_of_payment(gateway: AlipayGateway, alipay_key: RSAPrivateKey) -> None:
    fields = {name: value for name, value in PAID.items() if name != "gmt_payment"} | {"trade_status": "TRADE_CLOSED"}

    notification = gateway.read_notification(protocol.signed_form(fields, alipay_key))

    assert (notification.status, notification.paid_at) == (TradeStatus.TRADE_CLOSED, None)
    assert not notification.status.paid


@pytest.mark.parametrize(
    ("changes", "reason", "code"),
    [
        ({"app_id": "2021000000000009"}, RefusalReason.OTHER_APP, "app_id"),
        ({"seller_id": "2088000000000009"}, RefusalReason.OTHER_SELLER, "seller_id"),
        ({"charset": "gbk"}, RefusalReason.MALFORMED_FIELD, "charset"),
        ({"notify_type": "batch_refund_notify"}, RefusalReason.MALFORMED_FIELD, "notify_type"),
        ({"trade_status": "TRADE_PENDING"}, RefusalReason.MALFORMED_FIELD, "trade_status"),
        ({"gmt_payment": "22.11.2026 20:15"}, RefusalReason.MALFORMED_FIELD, "gmt_payment"),
        ({"gmt_payment": "2026-02-30 20:15:00"}, RefusalReason.MALFORMED_FIELD, "gmt_payment"),
        ({"refund_fee": "1e3"}, RefusalReason.MALFORMED_FIELD, "refund_fee"),
        *[
            ({"total_amount": text}, RefusalReason.MALFORMED_FIELD, "total_amount")
            for text in (
                "5642.505",
                "-1.00",
                "+1.00",
                "1e3",
                "NaN",
                "５６４２.50",
                " 1.00",
                "1.00\n",
                ".50",
                "1.",
                "0x10",
                "1,000.00",
            )
        ],
        *[
            ({name: ""}, RefusalReason.MISSING_FIELD, name)
            for name in (
                *("charset", "app_id", "notify_type", "notify_id", "out_trade_no", "trade_no"),
                *("trade_status", "total_amount"),
            )
        ],
    ],
)
def test_a_signed_notification_is_refused_for_its_reason(
    gateway: AlipayGateway, alipay_key: RSAPrivateKey, changes: dict[str, str], reason: RefusalReason, code: str
) -> None:
    with pytest.raises(NotificationRefused) as refused:
        gateway.read_notification(protocol.signed_form(PAID | changes, alipay_key))
    assert (refused.value.reason, refused.value.code) == (reason, code)


@pytest.mark.parametrize("name", sorted(set(PAID) - {"charset"}))
def test_any_field_changed_after_signing_is_refused(
    gateway: AlipayGateway, alipay_key: RSAPrivateKey, name: str
) -> None:
    form = protocol.signed_form(PAID, alipay_key)
    with pytest.raises(NotificationRefused) as refused:
        gateway.read_notification(form | {name: form[name] + "0"})
    assert (refused.value.reason, refused.value.code) == (RefusalReason.BAD_SIGNATURE, "sign")


def test_a_field_added_after_signing_is_refused(gateway: AlipayGateway, alipay_key: RSAPrivateKey) -> None:
    with pytest.raises(NotificationRefused) as refused:
        gateway.read_notification(protocol.signed_form(PAID, alipay_key) | {"refund_fee": "0.00"})
    assert refused.value.reason is RefusalReason.BAD_SIGNATURE


@pytest.mark.parametrize("sign", ["garbage", "AAAA", "A", "签名", "\ud800", "=" * 344, "A" * 344])
def test_a_garbage_signature_is_refused(gateway: AlipayGateway, alipay_key: RSAPrivateKey, sign: str) -> None:
    with pytest.raises(NotificationRefused) as refused:
        gateway.read_notification(protocol.signed_form(PAID, alipay_key) | {"sign": sign})
    assert (refused.value.reason, refused.value.code) == (RefusalReason.BAD_SIGNATURE, "sign")


def test_a_signature_of_anyone_else_is_refused(gateway: AlipayGateway, keys_dir: Path) -> None:
    for key in (
        keys.load_private_key(keys_dir / keys.APP_PRIVATE),
        generate_private_key(public_exponent=65537, key_size=2048),
    ):
        with pytest.raises(NotificationRefused) as refused:
            gateway.read_notification(protocol.signed_form(PAID, key))
        assert refused.value.reason is RefusalReason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("changes", "reason", "code"),
    [
        ({"sign": ""}, RefusalReason.MISSING_FIELD, "sign"),
        ({"sign_type": ""}, RefusalReason.MISSING_FIELD, "sign_type"),
        ({"sign_type": "RSA"}, RefusalReason.MALFORMED_FIELD, "sign_type"),
    ],
)
def test_the_kind_of_signature_is_ours_to_choose(
    gateway: AlipayGateway, alipay_key: RSAPrivateKey, changes: dict[str, str], reason: RefusalReason, code: str
) -> None:
    with pytest.raises(NotificationRefused) as refused:
        gateway.read_notification(protocol.signed_form(PAID, alipay_key) | changes)
    assert (refused.value.reason, refused.value.code) == (reason, code)


@pytest.mark.parametrize("second", ["5642.50", "0.01"])
def test_a_doubled_field_is_refused(gateway: AlipayGateway, alipay_key: RSAPrivateKey, second: str) -> None:
    form = MultiDict(protocol.signed_form(PAID, alipay_key))
    form.add("total_amount", second)
    with pytest.raises(NotificationRefused) as refused:
        gateway.read_notification(form)
    assert (refused.value.reason, refused.value.code) == (RefusalReason.MALFORMED_FIELD, "total_amount")


# --- money as text ---


@given(st.integers(min_value=1, max_value=MAX_TRADE_FEN))
def test_both_sides_of_the_protocol_write_and_read_the_same_money(fen: int) -> None:
    assert protocol.fen(format_yuan(fen)) == fen
    assert parse_yuan(protocol.yuan(fen), maximum=MAX_TRADE_FEN) == fen
    assert protocol.yuan(fen) == format_yuan(fen)


@given(st.text(alphabet="0123456789.-+eE ,０１\n", max_size=12))
def test_what_the_sandbox_takes_for_money_the_application_reads_the_same(text: str) -> None:
    try:
        fen = protocol.fen(text)
    except ValueError:
        return
    assert 1 <= fen <= MAX_TRADE_FEN
    assert parse_yuan(text, maximum=MAX_TRADE_FEN) == fen
    whole, _, fraction = text.partition(".")
    assert fen == int(whole + (fraction + "00")[:2])


# --- the cashier's address ---


def fields_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2], keep_blank_values=True, strict_parsing=True))


def pay_url(gateway: AlipayGateway, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "out_trade_no": "P20261122001",
        "amount_fen": 564250,
        "subject": "九成新 山地车",
        "notify_url": "https://shop.example/notify",
        "return_url": "https://shop.example/order/7",
        "expires_at": datetime(2026, 11, 22, 12, 30, 0, 999, tzinfo=UTC),
    }
    return gateway.page_pay_url(**(arguments | changes))


def test_the_cashiers_address_says_exactly_what_was_asked(gateway: AlipayGateway, keys_dir: Path) -> None:
    url = pay_url(gateway)
    fields = fields_of(url)
    asked = protocol.read_request(
        fields, app_id=DEFAULT_APP_ID, app_key=keys.load_public_key(keys_dir / keys.APP_PUBLIC)
    )

    assert url.startswith("https://gateway.example/gateway.do?")
    assert asked.content == {
        "out_trade_no": "P20261122001",
        "product_code": "FAST_INSTANT_TRADE_PAY",
        "total_amount": "5642.50",
        "subject": "九成新 山地车",
        "time_expire": "2026-11-22 20:30:00",
    }
    sent_at = datetime.strptime(fields["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=SHANGHAI)
    assert abs(datetime.now(UTC) - sent_at) < timedelta(seconds=30)
    assert {name: fields[name] for name in sorted(fields) if name not in ("sign", "timestamp", "biz_content")} == {
        "app_id": DEFAULT_APP_ID,
        "charset": "utf-8",
        "method": "alipay.trade.page.pay",
        "notify_url": "https://shop.example/notify",
        "return_url": "https://shop.example/order/7",
        "sign_type": "RSA2",
        "version": "1.0",
    }


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("a/b=c&d", "a b c d"),
        ('a,b,"c"', "a b c"),
        ("自行车🚲九成新", "自行车 九成新"),
        ("  两\t行\n字\x00 ", "两 行 字"),
        ("长" * 300, "长" * 256),
        ("🚲🚲", "P20261122001"),
    ],
)
def test_a_subject_loses_what_alipay_refuses(gateway: AlipayGateway, title: str, subject: str) -> None:
    assert json.loads(fields_of(pay_url(gateway, subject=title))["biz_content"])["subject"] == subject


def test_the_expiry_is_told_in_shanghai_time_whatever_zone_it_came_in(gateway: AlipayGateway) -> None:
    new_york = datetime(2026, 11, 22, 7, 30, tzinfo=timezone(timedelta(hours=-5)))
    content = json.loads(fields_of(pay_url(gateway, expires_at=new_york))["biz_content"])
    assert content["time_expire"] == "2026-11-22 20:30:00"


@pytest.mark.parametrize("changes", [{"amount_fen": 0}, {"amount_fen": -1}, {"expires_at": datetime(2026, 11, 22)}])  # noqa: DTZ001 - naive on purpose
def test_an_address_that_makes_no_sense_is_not_signed(gateway: AlipayGateway, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        pay_url(gateway, **changes)


def test_a_key_that_is_none_is_refused_at_once(keys_dir: Path) -> None:
    with pytest.raises(ValueError, match="RSA key"):
        AlipayGateway(
            app_id=DEFAULT_APP_ID,
            seller_id=DEFAULT_SELLER_ID,
            gateway_url="https://gateway.example/gateway.do",
            app_private_key="none",
            alipay_public_key=(keys_dir / keys.GATEWAY_PUBLIC).read_text(),
            timeout_s=30,
        )


# --- faults on the way: the sandbox does not make these, so a server that says exactly one thing does ---


@contextmanager
def saying(*bodies: str, status: int = 200, asked: list[dict[str, str]] | None = None) -> Iterator[str]:
    """The address of a gateway that gives these answers in turn, the last one for ever; what it was `asked` is kept."""
    left = list(bodies)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if asked is not None:
                asked.append(fields_of(self.path))
            body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/gateway.do"
        finally:
            server.shutdown()
            thread.join()


QUERY = "alipay.trade.query"
REFUND = "alipay.trade.refund"
REFUND_QUERY = "alipay.trade.fastpay.refund.query"
TRADE = {
    "code": "10000",
    "msg": "Success",
    "out_trade_no": "P1",
    "trade_no": "T1",
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "20.00",
    "send_pay_date": "2026-11-22 20:15:00",
}


def test_a_good_answer_is_read(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    with saying(protocol.signed_answer(QUERY, TRADE, alipay_key)) as url:
        assert gateway_at(url, keys_dir).query("P1") == TradeState(
            out_trade_no="P1",
            trade_no="T1",
            amount_fen=2000,
            status=TradeStatus.TRADE_SUCCESS,
            paid_at=datetime(2026, 11, 22, 12, 15, tzinfo=UTC),
        )


@pytest.mark.parametrize(
    "answer",
    [
        TRADE | {"code": "20000", "msg": "Service Currently Unavailable", "sub_code": "isp.unknow-error"},
        TRADE | {"code": "40005", "sub_code": "isv.app-call-limited"},
        TRADE | {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"},
        TRADE | {"out_trade_no": "P2"},
        TRADE | {"trade_status": "TRADE_PENDING"},
        TRADE | {"total_amount": "20.001"},
        TRADE | {"send_pay_date": "yesterday"},
        {"code": "10000", "msg": "Success"},
    ],
)
def test_a_signed_answer_that_says_nothing_sure_may_be_asked_for_again(
    keys_dir: Path, alipay_key: RSAPrivateKey, answer: dict[str, str]
) -> None:
    with saying(protocol.signed_answer(QUERY, answer, alipay_key)) as url, pytest.raises(GatewayUnavailable):
        gateway_at(url, keys_dir).query("P1")


@pytest.mark.parametrize(
    "body",
    [
        "<html>502</html>",
        "",
        "[]",
        "{}",
        '"text"',
        '{"sign":"AAAA"}',
        '{"alipay_trade_query_response":null,"sign":"AAAA"}',
        '{"alipay_trade_query_response":[]}',
        json.dumps({"alipay_trade_query_response": TRADE}),
        json.dumps({"alipay_trade_query_response": TRADE, "sign": "AAAA"}),
        json.dumps({"alipay_trade_query_response": TRADE, "sign": 1}),
    ],
)
def test_an_answer_that_the_gateway_did_not_sign_is_no_answer(keys_dir: Path, body: str) -> None:
    with saying(body) as url, pytest.raises(GatewayUnavailable):
        gateway_at(url, keys_dir).query("P1")


def test_an_answer_of_another_key_is_no_answer(keys_dir: Path) -> None:
    other = keys.load_private_key(keys_dir / keys.APP_PRIVATE)
    with saying(protocol.signed_answer(QUERY, TRADE, other)) as url, pytest.raises(GatewayUnavailable):
        gateway_at(url, keys_dir).query("P1")


@pytest.mark.parametrize("status", [404, 500, 502])
def test_an_http_error_may_be_tried_again(keys_dir: Path, alipay_key: RSAPrivateKey, status: int) -> None:
    with (
        saying(protocol.signed_answer(QUERY, TRADE, alipay_key), status=status) as url,
        pytest.raises(GatewayUnavailable, match=f"HTTP {status}"),
    ):
        gateway_at(url, keys_dir).query("P1")


def test_nobody_there_may_be_tried_again(keys_dir: Path) -> None:
    with socket.socket() as bound_only:
        bound_only.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound_only.getsockname()[1]}/gateway.do"
        with pytest.raises(GatewayUnavailable):
            gateway_at(url, keys_dir).query("P1")


def test_silence_ends_after_the_timeout(keys_dir: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/gateway.do"
        with pytest.raises(GatewayUnavailable):
            gateway_at(url, keys_dir, timeout_s=0.2).query("P1")


@pytest.mark.parametrize("name", ["alipay_trade_query_response", "error_response"])
def test_an_unsigned_refusal_is_final(keys_dir: Path, name: str) -> None:
    refusal = protocol.Problem.INVALID_APP_ID.answer()
    with saying(json.dumps({name: refusal})) as url, pytest.raises(GatewayRefused) as refused:
        gateway_at(url, keys_dir).query("P1")
    assert (refused.value.code, refused.value.sub_code) == ("40002", "isv.invalid-app-id")
    assert refused.value.msg == "无效的AppID参数"
    assert (refused.value.verdict, refused.value.is_decided) == (Verdict.PERSON, False)


@pytest.mark.parametrize("said", [{"fund_change": "N"}, {}], ids=["not moved", "nothing of it"])
def test_a_refund_that_moved_no_money_now_is_asked_for(
    keys_dir: Path, alipay_key: RSAPrivateKey, said: dict[str, str]
) -> None:
    unmoved = {"code": "10000", "out_trade_no": "P1", "trade_no": "T1", "refund_fee": "5.00", **said}
    known = {"code": "10000", "out_trade_no": "P1", "trade_no": "T1", "out_request_no": "R1", "refund_amount": "5.00"}
    call: dict[str, Any] = {"out_trade_no": "P1", "amount_fen": 500, "out_request_no": "R1", "reason": "协商一致"}
    refund_said = protocol.signed_answer(REFUND, unmoved, alipay_key)

    with saying(refund_said, protocol.signed_answer(REFUND_QUERY, known, alipay_key)) as url:
        assert gateway_at(url, keys_dir).refund(**call) == RefundResult(
            out_trade_no="P1", trade_no="T1", out_request_no="R1", amount_fen=500, repeated=True, total_fen=500
        )
    for unconfirmed in (
        {"code": "10000"},
        known | {"refund_amount": "4.00"},
        known | {"out_request_no": "R2"},
        known | {"refund_status": "REFUND_PROCESSING"},
    ):
        with (
            saying(refund_said, protocol.signed_answer(REFUND_QUERY, unconfirmed, alipay_key)) as url,
            pytest.raises(GatewayUnavailable),
        ):
            gateway_at(url, keys_dir).refund(**call)


def test_a_refund_waits_while_our_account_is_empty(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    answer = {"code": "40004", "msg": "Business Failed", "sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH"}
    with (
        saying(protocol.signed_answer(REFUND, answer, alipay_key)) as url,
        pytest.raises(GatewayUnavailable, match=r"40004 ACQ\.SELLER_BALANCE_NOT_ENOUGH"),
    ):
        gateway_at(url, keys_dir).refund(out_trade_no="P1", amount_fen=500, out_request_no="R1", reason="")


def test_a_refund_answer_without_a_trade_may_be_asked_for_again(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    answer = protocol.signed_answer(REFUND, {"code": "10000", "fund_change": "Y"}, alipay_key)
    with saying(answer) as url, pytest.raises(GatewayUnavailable):
        gateway_at(url, keys_dir).refund(out_trade_no="P1", amount_fen=500, out_request_no="R1", reason="")


def test_the_gateway_of_the_settings(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    with saying(protocol.signed_answer(QUERY, TRADE, alipay_key)) as url:
        settings = Settings(
            alipay_gateway_url=url,
            alipay_app_private_key_path=keys_dir / keys.APP_PRIVATE,
            alipay_public_key_path=keys_dir / keys.GATEWAY_PUBLIC,
        )
        gateway = AlipayGateway.from_settings(settings)
        trade = gateway.query("P1")
    assert trade is not None
    assert trade.amount_fen == 2000
    assert gateway.read_notification(protocol.signed_form(PAID, alipay_key)).amount_fen == 564250
    with pytest.raises(FileNotFoundError):
        AlipayGateway.from_settings(replace(settings, alipay_public_key_path=keys_dir / "none.pem"))


def test_a_refund_of_nothing_is_not_asked_for(gateway: AlipayGateway) -> None:
    with pytest.raises(ValueError, match="at least one fen"):
        gateway.refund(out_trade_no="P1", amount_fen=0, out_request_no="R1", reason="")


# --- the key before ---


@pytest.fixture(scope="module")
def next_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_the_key_before_is_believed_while_it_is_given(
    keys_dir: Path, alipay_key: RSAPrivateKey, next_key: RSAPrivateKey
) -> None:
    new, old = public_pem(next_key), (keys_dir / keys.GATEWAY_PUBLIC).read_text()
    stranger = generate_private_key(public_exponent=65537, key_size=2048)
    url = "https://gateway.example/gateway.do"
    changing = gateway_at(url, keys_dir, alipay_public_key=new, previous_public_key=old)
    changed = gateway_at(url, keys_dir, alipay_public_key=new)

    for key in (alipay_key, next_key):
        assert changing.read_notification(protocol.signed_form(PAID, key)).amount_fen == 564250
    assert changed.read_notification(protocol.signed_form(PAID, next_key)).amount_fen == 564250
    for gateway, key in ((changing, stranger), (changed, alipay_key)):
        with pytest.raises(NotificationRefused) as refused:
            gateway.read_notification(protocol.signed_form(PAID, key))
        assert refused.value.reason is RefusalReason.BAD_SIGNATURE


def test_answers_of_the_key_before_are_believed_as_well(
    keys_dir: Path, alipay_key: RSAPrivateKey, next_key: RSAPrivateKey
) -> None:
    new, old = public_pem(next_key), (keys_dir / keys.GATEWAY_PUBLIC).read_text()
    with saying(protocol.signed_answer(QUERY, TRADE, alipay_key)) as url:
        trade = gateway_at(url, keys_dir, alipay_public_key=new, previous_public_key=old).query("P1")
        assert trade is not None
        assert trade.amount_fen == 2000
        with pytest.raises(GatewayUnavailable, match="not signed by the gateway"):
            gateway_at(url, keys_dir, alipay_public_key=new).query("P1")


def test_a_key_before_that_is_none_is_refused_at_once(keys_dir: Path) -> None:
    with pytest.raises(ValueError, match="RSA key"):
        gateway_at("https://gateway.example/gateway.do", keys_dir, previous_public_key="none")


# --- certificates ---


def certificate(key: RSAPrivateKey, *, common_name: str, number: int) -> str:
    """A certificate of `key`, issued by itself, as PEM."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ant Financial"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Certification Authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    return (
        x509.CertificateBuilder(name, name, key.public_key(), number)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


# Alipay's own file, which everybody downloads from its console.
ROOT_CERTIFICATES = (Path(__file__).parent / "alipay_root.crt").read_text()
ROOT_SERIAL = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"


@pytest.mark.parametrize("text", [ROOT_CERTIFICATES, ROOT_CERTIFICATES.replace("\n", "\r\n")])
def test_the_number_of_alipays_roots_is_the_one_that_alipay_knows(text: str) -> None:
    assert certificates.root_serial(text) == ROOT_SERIAL


def test_with_certificates_each_request_names_them(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    app_cert = certificate(keys.load_private_key(keys_dir / keys.APP_PRIVATE), common_name="2088", number=4711)
    # What Alipay offers for download is its certificate with its issuer's behind it.
    issuer = certificate(generate_private_key(public_exponent=65537, key_size=2048), common_name="Class 2", number=1)
    chain = f"{certificate(alipay_key, common_name='R1', number=12)}\n{issuer}"
    asked: list[dict[str, str]] = []
    with saying(protocol.signed_answer(QUERY, TRADE, alipay_key), asked=asked) as url:
        gateway = gateway_at(
            url, keys_dir, alipay_public_key=chain, app_cert=app_cert, alipay_root_cert=ROOT_CERTIFICATES
        )
        trade = gateway.query("P1")

    assert trade is not None
    assert trade.amount_fen == 2000
    # md5 of "CN=2088,OU=Certification Authority,O=Ant Financial,C=CN4711"
    expected = {"app_cert_sn": "71cab9ed42f049b08424ec7e43c6364e", "alipay_root_cert_sn": ROOT_SERIAL}
    for fields in (asked[0], fields_of(pay_url(gateway))):
        assert {name: fields[name] for name in expected} == expected
        protocol.read_request(fields, app_id=DEFAULT_APP_ID, app_key=keys.load_public_key(keys_dir / keys.APP_PUBLIC))


def test_without_certificates_no_request_names_any(gateway: AlipayGateway) -> None:
    assert not {"app_cert_sn", "alipay_root_cert_sn"} & set(fields_of(pay_url(gateway)))


def test_certificates_that_are_none_are_refused_at_once(keys_dir: Path) -> None:
    good = certificate(keys.load_private_key(keys_dir / keys.APP_PRIVATE), common_name="2088", number=1)
    elliptic = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "E1")])
    no_rsa = (
        x509.CertificateBuilder(name, name, elliptic.public_key(), 1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
        .sign(elliptic, SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    for changes, message in (
        ({"app_cert": good}, "belong together"),
        ({"alipay_root_cert": good}, "belong together"),
        ({"app_cert": "none", "alipay_root_cert": good}, "is no PEM certificate"),
        ({"app_cert": good, "alipay_root_cert": no_rsa}, "none that is signed with RSA"),
        ({"app_cert": good, "alipay_root_cert": "none"}, "none that is signed with RSA"),
    ):
        with pytest.raises(ValueError, match=message):
            gateway_at("https://gateway.example/gateway.do", keys_dir, **changes)


def test_the_optional_files_of_the_settings_are_read(
    tmp_path: Path, keys_dir: Path, alipay_key: RSAPrivateKey, next_key: RSAPrivateKey
) -> None:
    app_cert, root = tmp_path / "app.crt", tmp_path / "root.crt"
    (tmp_path / "new.pem").write_text(public_pem(next_key))
    app_cert.write_text(
        certificate(keys.load_private_key(keys_dir / keys.APP_PRIVATE), common_name="2088", number=4711)
    )
    root.write_text(ROOT_CERTIFICATES)
    settings = Settings(
        alipay_app_private_key_path=keys_dir / keys.APP_PRIVATE,
        alipay_public_key_path=tmp_path / "new.pem",
        alipay_previous_public_key_path=keys_dir / keys.GATEWAY_PUBLIC,
        alipay_app_cert_path=app_cert,
        alipay_root_cert_path=root,
    )

    gateway = AlipayGateway.from_settings(settings)

    assert fields_of(pay_url(gateway))["alipay_root_cert_sn"] == ROOT_SERIAL
    for key in (alipay_key, next_key):
        assert gateway.read_notification(protocol.signed_form(PAID, key)).amount_fen == 564250
    none = tmp_path / "none"
    for broken in (
        replace(settings, alipay_previous_public_key_path=none),
        replace(settings, alipay_app_cert_path=none),
        replace(settings, alipay_root_cert_path=none),
    ):
        with pytest.raises(FileNotFoundError):
            AlipayGateway.from_settings(broken)


# --- payouts: what the sandbox does not do ---

TRANSFER = "alipay.fund.trans.uni.transfer"
TRANSFER_QUERY = "alipay.fund.trans.common.query"
PAID_OUT = {
    "code": "10000",
    "msg": "Success",
    "out_biz_no": "W1",
    "order_id": "20261122110070001",
    "pay_fund_order_id": "20261122110070002",
    "status": "SUCCESS",
    "trans_date": "2026-11-22 20:15:00",
}
KNOWN = {
    "code": "10000",
    "msg": "Success",
    "out_biz_no": "W1",
    "order_id": "20261122110070001",
    "status": "SUCCESS",
    "trans_amount": "20.00",
    "pay_date": "2026-11-22 20:15:00",
}
REFUSED = {"code": "40004", "msg": "Business Failed", "sub_code": "PAYEE_NOT_EXIST", "sub_msg": "收款账号不存在"}
UNKNOWN = {"code": "40004", "msg": "Business Failed", "sub_code": "ORDER_NOT_EXIST", "sub_msg": "转账订单不存在"}
NOT_ALLOWED = {"code": "40006", "msg": "Insufficient Permissions", "sub_code": "isv.insufficient-isv-permissions"}
OFTEN = {"code": "40005", "msg": "Call Limited", "sub_code": "isv.app-call-limited"}
WORDS: dict[str, Any] = {
    "out_biz_no": "W1",
    "amount_fen": 2000,
    "payee_account": "seller@example.com",
    "payee_name": "张三",
    "title": "咸鱼提现",
}
DONE = TransferResult(
    out_biz_no="W1",
    order_id="20261122110070001",
    amount_fen=2000,
    status=TransferStatus.SUCCESS,
    at=datetime(2026, 11, 22, 12, 15, tzinfo=UTC),
    failure=None,
)


def test_a_transfer_says_exactly_what_was_asked(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    asked: list[dict[str, str]] = []
    with saying(protocol.signed_answer(TRANSFER, PAID_OUT, alipay_key), asked=asked) as url:
        assert gateway_at(url, keys_dir).transfer(**WORDS) == DONE

    [fields] = asked
    assert fields["method"] == TRANSFER
    assert json.loads(fields["biz_content"]) == {
        "out_biz_no": "W1",
        "trans_amount": "20.00",
        "product_code": "TRANS_ACCOUNT_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER",
        "order_title": "咸鱼提现",
        "payee_info": {"identity": "seller@example.com", "identity_type": "ALIPAY_LOGON_ID", "name": "张三"},
        "remark": "咸鱼提现",
    }


def test_a_title_is_cut_to_what_alipay_takes(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    asked: list[dict[str, str]] = []
    with saying(protocol.signed_answer(TRANSFER, PAID_OUT, alipay_key), asked=asked) as url:
        for title in ("长" * 200, "🚲"):
            gateway_at(url, keys_dir).transfer(**(WORDS | {"title": title}))
    assert [json.loads(fields["biz_content"])["order_title"] for fields in asked] == ["长" * 128, "W1"]


def test_less_than_alipay_transfers_is_not_asked_for(gateway: AlipayGateway) -> None:
    assert MIN_TRANSFER_FEN == 10
    with pytest.raises(ValueError, match="at least 10 fen"):
        gateway.transfer(**(WORDS | {"amount_fen": 9}))


@pytest.mark.parametrize(
    "answer",
    [
        PAID_OUT | {"out_biz_no": "W2"},
        {name: value for name, value in PAID_OUT.items() if name != "out_biz_no"},
        {name: value for name, value in PAID_OUT.items() if name != "order_id"},
        {name: value for name, value in PAID_OUT.items() if name != "trans_date"},
        {name: value for name, value in PAID_OUT.items() if name != "status"},
        PAID_OUT | {"status": "CLOSED"},
        PAID_OUT | {"trans_date": "yesterday"},
        PAID_OUT | {"trans_amount": "1e3"},
        *[
            {"code": "40004", "msg": "Business Failed", "sub_code": sub_code}
            for sub_code in ("SYSTEM_ERROR", "PAYER_BALANCE_NOT_ENOUGH", "EXCEED_LIMIT_DM_MAX_AMOUNT")
        ],
        {"code": "20000", "msg": "Service Currently Unavailable", "sub_code": "aop.ACQ.SYSTEM_ERROR"},
    ],
)
def test_an_answer_that_does_not_decide_a_transfer_may_be_asked_for_again(
    keys_dir: Path, alipay_key: RSAPrivateKey, answer: dict[str, str]
) -> None:
    asked: list[dict[str, str]] = []
    with (
        saying(protocol.signed_answer(TRANSFER, answer, alipay_key), asked=asked) as url,
        pytest.raises(GatewayUnavailable),
    ):
        gateway_at(url, keys_dir).transfer(**WORDS)
    assert len(asked) == 1


def test_a_refusal_after_a_lost_answer_does_not_undo_what_was_paid(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    refusal = protocol.signed_answer(TRANSFER, REFUSED, alipay_key)
    asked: list[dict[str, str]] = []
    with saying(refusal, protocol.signed_answer(TRANSFER_QUERY, KNOWN, alipay_key), asked=asked) as url:
        assert gateway_at(url, keys_dir).transfer(**WORDS) == DONE
    assert [fields["method"] for fields in asked] == [TRANSFER, TRANSFER_QUERY]
    assert json.loads(asked[1]["biz_content"]) == {
        "out_biz_no": "W1",
        "product_code": "TRANS_ACCOUNT_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER",
    }


@pytest.mark.parametrize(
    "known",
    [
        UNKNOWN,
        KNOWN | {"trans_amount": "20.01"},
        {"code": "10000", "out_biz_no": "W1", "status": "FAIL", "error_code": "X", "fail_reason": "y"},
    ],
)
def test_a_refusal_is_final_when_nothing_of_this_amount_was_paid(
    keys_dir: Path, alipay_key: RSAPrivateKey, known: dict[str, str]
) -> None:
    answers = (
        protocol.signed_answer(TRANSFER, REFUSED, alipay_key),
        protocol.signed_answer(TRANSFER_QUERY, known, alipay_key),
    )
    with saying(*answers) as url, pytest.raises(GatewayRefused) as refused:
        gateway_at(url, keys_dir).transfer(**WORDS)
    assert (refused.value.code, refused.value.sub_code) == ("40004", "PAYEE_NOT_EXIST")


@pytest.mark.parametrize(
    ("refusal", "known"),
    [
        (NOT_ALLOWED, NOT_ALLOWED),
        (REFUSED, {"code": "40004", "sub_code": "SYSTEM_ERROR"}),
        (REFUSED, {"code": "10000", "out_biz_no": "W1", "order_id": "1", "status": "DEALING"}),
        (REFUSED, OFTEN),
    ],
)
def test_a_refusal_that_cannot_be_checked_decides_nothing(
    keys_dir: Path, alipay_key: RSAPrivateKey, refusal: dict[str, str], known: dict[str, str]
) -> None:
    answers = (
        protocol.signed_answer(TRANSFER, refusal, alipay_key),
        protocol.signed_answer(TRANSFER_QUERY, known, alipay_key),
    )
    with saying(*answers) as url, pytest.raises(GatewayUnavailable) as undecided:
        gateway_at(url, keys_dir).transfer(**WORDS)
    assert undecided.value.verdict is (Verdict.PERSON if refusal is NOT_ALLOWED else Verdict.ASK)


def test_a_question_about_a_transfer_that_is_refused_says_so(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    with (
        saying(protocol.signed_answer(TRANSFER_QUERY, NOT_ALLOWED, alipay_key)) as url,
        pytest.raises(GatewayRefused) as refused,
    ):
        gateway_at(url, keys_dir).query_transfer("W1")
    assert refused.value.sub_code == "isv.insufficient-isv-permissions"


# --- which part of an answer is signed ---


@pytest.mark.parametrize(
    "subject",
    ["{x", "}x", "{{{", "}}}", '"{"', "\\{", '\\"}', "a\\\\", "𠮷{", "\u2028}", "sign", '","sign":"AAAA"', "/"],
)
@pytest.mark.parametrize("spaced", [False, True])
def test_a_signed_answer_is_read_whatever_its_texts_hold(
    keys_dir: Path, alipay_key: RSAPrivateKey, subject: str, spaced: bool
) -> None:
    for ascii_only in (False, True):
        text = json.dumps(TRADE | {"subject": subject}, ensure_ascii=ascii_only).replace("/", "\\/")
        gap = " \r\n" if spaced else ""
        sign = json.dumps(protocol.sign(text, alipay_key))
        member = f'"alipay_trade_query_response"{gap}:{gap}{text}{gap}'
        other = f'"alipay_cert_sn":{gap}"{{"'
        for members in ((member, f'"sign":{sign}'), (f'"sign":{sign}', other, member)):
            body = gap + "{" + gap + f",{gap}".join(members) + gap + "}" + gap
            with saying(body) as url:
                trade = gateway_at(url, keys_dir).query("P1")
            assert trade is not None, body
            assert trade.amount_fen == 2000


def test_what_stands_twice_is_not_believed(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    text, other = json.dumps(TRADE), json.dumps(TRADE | {"total_amount": "0.01"})
    sign = json.dumps(protocol.sign(text, alipay_key))
    name = '"alipay_trade_query_response"'
    for body in (f'{{{name}:{text},{name}:{other},"sign":{sign}}}', f'{{{name}:{other},{name}:{text},"sign":{sign}}}'):
        with saying(body) as url, pytest.raises(GatewayUnavailable):
            gateway_at(url, keys_dir).query("P1")


# --- codes: what follows from a refusal ---


def test_a_refused_refund_is_asked_for(keys_dir: Path, alipay_key: RSAPrivateKey) -> None:
    """A refusal concerns this call alone: an earlier one, whose answer was lost, may have paid."""
    call: dict[str, Any] = {"out_trade_no": "P1", "amount_fen": 500, "out_request_no": "R1", "reason": "协商一致"}
    known = {"code": "10000", "out_trade_no": "P1", "trade_no": "T1", "out_request_no": "R1", "refund_amount": "5.00"}
    gone = [{"code": "40004", "sub_code": code} for code in ("ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST")]
    refused = {code: {"code": "40004", "sub_code": code} for code in ("ACQ.TRADE_HAS_CLOSE", "ACQ.TRADE_NOT_EXIST")}

    def said(refusal: dict[str, str], about: dict[str, str]) -> RefundResult:
        answers = (
            protocol.signed_answer(REFUND, refusal, alipay_key),
            protocol.signed_answer(REFUND_QUERY, about, alipay_key),
        )
        with saying(*answers) as url:
            return gateway_at(url, keys_dir).refund(**call)

    for refusal in refused.values():
        assert said(refusal, known).repeated
        for unknown in ({"code": "10000"}, known | {"refund_amount": "4.00"}, *gone):
            with pytest.raises(GatewayRefused) as raised:
                said(refusal, unknown)
            assert (raised.value.sub_code, raised.value.verdict) == (refusal["sub_code"], Verdict.STOP)
        for undecided in (known | {"refund_status": "REFUND_PROCESSING"}, NOT_ALLOWED, {"code": "20000"}):
            with pytest.raises(GatewayUnavailable):
                said(refusal, undecided)
        with pytest.raises(GatewayUnavailable) as asked_too_often:
            said(refusal, OFTEN)
        assert asked_too_often.value.verdict is Verdict.ASK
    with pytest.raises(GatewayUnavailable) as hopeless:
        said(NOT_ALLOWED, NOT_ALLOWED)
    assert hopeless.value.verdict is Verdict.PERSON


@pytest.mark.parametrize(
    ("method", "sub_code", "verdict"),
    [
        ("alipay.trade.refund", "ACQ.REASON_TRADE_BEEN_FREEZEN", Verdict.PERSON),
        ("alipay.trade.refund", "ACQ.SYSTEM_ERROR", Verdict.ASK),
        ("alipay.trade.refund", "ACQ.SELLER_BALANCE_NOT_ENOUGH", Verdict.RETRY),
        ("alipay.trade.refund", "ACQ.NEW", Verdict.ASK),
        ("alipay.trade.close", "ACQ.TRADE_STATUS_ERROR", Verdict.STOP),
        ("alipay.trade.query", "ACQ.NEW", Verdict.PERSON),
        (TRANSFER, "PAYEE_NOT_EXIST", Verdict.FINAL),
        (TRANSFER, "EXCEED_LIMIT_MM_AMOUNT", Verdict.PERSON),
        (TRANSFER, "REQUEST_PROCESSING", Verdict.ASK),
    ],
)
def test_the_table_of_codes(method: str, sub_code: str, verdict: Verdict) -> None:
    assert verdict_on(method, "40004", sub_code) is verdict
    assert verdict_on(method, "40002", "isv.invalid-signature") is Verdict.PERSON
    assert verdict_on(method, "40005", "isv.app-call-limited") is Verdict.RETRY
    assert SOURCES[method].startswith("https://opendocs.alipay.com/")


def test_every_table_has_its_source() -> None:
    assert set(SOURCES) == set(CODES)
    final = {
        method: {code for code, (verdict, _) in table.items() if verdict is Verdict.FINAL}
        for method, table in CODES.items()
    }
    # Those of a transfer are written out in tests/wallet/test_payout_codes.py.
    del final[TRANSFER]
    assert final == {
        "common": set(),
        "alipay.fund.trans.common.query": {"ORDER_NOT_EXIST"},
        "alipay.trade.refund": set(),
        "alipay.trade.fastpay.refund.query": {"ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"},
        "alipay.trade.close": {"ACQ.TRADE_NOT_EXIST"},
        "alipay.trade.query": {"ACQ.TRADE_NOT_EXIST"},
        "alipay.data.dataservice.bill.downloadurl.query": {"BILL_NOT_EXIST", "isp.bill_not_exist"},
    }


def test_an_unsigned_refusal_is_not_final_for_a_payee(keys_dir: Path) -> None:
    """Anybody on the way could have said so, and the money would be put back."""
    with (
        saying(json.dumps({"alipay_fund_trans_uni_transfer_response": REFUSED})) as url,
        pytest.raises(GatewayUnavailable),
    ):
        gateway_at(url, keys_dir).transfer(**WORDS)


@pytest.mark.parametrize(
    ("ask", "method", "words"),
    [
        (lambda gateway: gateway.query("P1"), QUERY, ["ACQ.TRADE_NOT_EXIST"]),
        (lambda gateway: gateway.close("P1"), "alipay.trade.close", ["ACQ.TRADE_NOT_EXIST"]),
        (
            lambda gateway: gateway.refunded(out_trade_no="P1", amount_fen=500, out_request_no="R1"),
            REFUND_QUERY,
            ["ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"],
        ),
        (lambda gateway: gateway.query_transfer("W1"), TRANSFER_QUERY, ["ORDER_NOT_EXIST"]),
        (
            lambda gateway: gateway.day_bill(date(2026, 11, 22)),
            "alipay.data.dataservice.bill.downloadurl.query",
            ["BILL_NOT_EXIST", "isp.bill_not_exist"],
        ),
    ],
    ids=["trade", "close", "refund", "transfer", "bill"],
)
def test_that_there_is_none_is_believed_only_signed(
    keys_dir: Path, alipay_key: RSAPrivateKey, ask: Any, method: str, words: list[str]
) -> None:
    """A refund or transfer that was made would be made again, by who believes that."""
    assert words == sorted(code for code, (verdict, _) in CODES[method].items() if verdict is Verdict.FINAL)
    for word in words:
        answer = {"code": "40004", "sub_code": word}
        with saying(protocol.signed_answer(method, answer, alipay_key)) as url:
            assert not ask(gateway_at(url, keys_dir))
        with (
            saying(json.dumps({f"{method.replace('.', '_')}_response": answer})) as url,
            pytest.raises(GatewayUnavailable) as unsigned,
        ):
            ask(gateway_at(url, keys_dir))
        assert unsigned.value.verdict is Verdict.ASK


def test_that_it_is_in_vain_is_believed_only_signed(keys_dir: Path) -> None:
    """Nothing would be sent any more."""
    answer = {"code": "40004", "sub_code": "ACQ.TRADE_HAS_FINISHED"}
    said = [json.dumps({f"{each.replace('.', '_')}_response": answer}) for each in (REFUND, REFUND_QUERY)]
    call: dict[str, Any] = {"out_trade_no": "P1", "amount_fen": 500, "out_request_no": "R1", "reason": "协商一致"}
    with saying(*said) as url, pytest.raises(GatewayUnavailable) as unsigned:
        gateway_at(url, keys_dir).refund(**call)
    assert unsigned.value.verdict is Verdict.PERSON


def test_a_notification_need_not_say_what_is_optional(gateway: AlipayGateway, alipay_key: RSAPrivateKey) -> None:
    fields = {name: value for name, value in PAID.items() if name not in ("seller_id", "gmt_payment")}
    notification = gateway.read_notification(protocol.signed_form(fields, alipay_key))
    assert (notification.status, notification.paid_at) == (TradeStatus.TRADE_SUCCESS, None)
    assert notification.amount_fen == 564250
