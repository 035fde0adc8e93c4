"""The sandbox's HTTP server: the gateway API, its payment page (the cashier), and URLs to inspect the stored data."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from flask import Blueprint, Flask, Response, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from app.version import __version__

from . import day_bill, keys, messages
from .notifier import Notifier
from .protocol import Problem, ProblemFound, Request, epoch_of, read_request, signed_answer, success, yuan
from .settings import SandboxSettings
from .store import DEFAULT_LIFETIME_S, TRADE_CLOSED, TRADE_SUCCESS, WAIT_BUYER_PAY, Store, Trade

_PAGE_PAY = "alipay.trade.page.pay"
_REASON_LENGTH = 256
_DAY_S = 24 * 3600
_TRANSFER_PRODUCT = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}

# Alipay signs its answers to an application that it knows, errors too; others it could sign for nobody.
_OF_STRANGERS = (Problem.MISSING_METHOD, Problem.MISSING_APP_ID, Problem.INVALID_APP_ID)

_EXTENSION = "sandbox"
_NOT_WAITING = {TRADE_SUCCESS: Problem.TRADE_HAS_SUCCESS, TRADE_CLOSED: Problem.TRADE_HAS_CLOSE}

_log = structlog.get_logger(__name__)
_blueprint = Blueprint("sandbox", __name__)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Everything the views need; stored as `app.extensions["sandbox"]`."""

    settings: SandboxSettings
    app_key: RSAPublicKey
    own_key: RSAPrivateKey
    store: Store
    notifier: Notifier
    bill_addresses: day_bill.Addresses


def create_sandbox(settings: SandboxSettings | None = None) -> Flask:
    """The sandbox as a WSGI application with its notifier running; only one may run per store.

    Without `settings`, as the server calls it, they are read from the environment, and logs become JSON lines. Raises
    ValueError or KeyFileError where something is missing.
    """
    if settings is None:
        settings = SandboxSettings.from_environment()
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ]
        )
    own_key = keys.load_private_key(settings.keys / keys.GATEWAY_PRIVATE)
    store = Store(settings.store, messages.notification_fields_for(settings))
    sandbox = Sandbox(
        settings=settings,
        app_key=keys.load_public_key(settings.keys / keys.APP_PUBLIC),
        own_key=own_key,
        store=store,
        bill_addresses=day_bill.Addresses(),
        notifier=Notifier(store, own_key, factor=settings.notify_factor, timeout_s=settings.notify_timeout_s),
    )
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.extensions[_EXTENSION] = sandbox
    app.register_blueprint(_blueprint)
    sandbox.notifier.start()
    return app


def _sandbox() -> Sandbox:
    sandbox: Sandbox = current_app.extensions[_EXTENSION]
    return sandbox


@_blueprint.route("/gateway.do", methods=["GET", "POST"])
def gateway() -> ResponseReturnValue:
    """Every method of the protocol; page.pay answers with a page, the others with signed JSON."""
    sandbox = _sandbox()
    try:
        asked = read_request(_fields_once(), app_id=sandbox.settings.app_id, app_key=sandbox.app_key)
    except ProblemFound as found:
        _log.warning("request_refused", problem=found.problem.sub_code, detail=found.detail)
        if request.values.get("method") == _PAGE_PAY:
            return _problem_page(found), 400
        method = request.values.get("method", "")
        if found.problem in _OF_STRANGERS or method not in _METHODS:
            return {"error_response": found.problem.answer()}
        return _json(signed_answer(method, found.problem.answer(), sandbox.own_key))
    if asked.method == _PAGE_PAY:
        try:
            return _cashier_page(_open_trade(sandbox, asked, now=time.time()))
        except ProblemFound as found:
            return _problem_page(found), 400
    return _json(signed_answer(asked.method, _answer(sandbox, asked), sandbox.own_key))


def _json(body: str) -> Response:
    return Response(body, content_type="application/json")


@_blueprint.get("/cashier/<token>")
def cashier(token: str) -> ResponseReturnValue:
    """The payment page again, when the payer reloads it."""
    trade = _sandbox().store.trade_at_cashier(token, now=time.time())
    if trade.status != WAIT_BUYER_PAY:
        raise ProblemFound(_NOT_WAITING[trade.status])
    return _cashier_page(trade)


@_blueprint.post("/cashier/<token>")
def pay(token: str) -> ResponseReturnValue:
    """Pay the trade and redirect to the return_url. The same transaction adds the notification to be sent."""
    sandbox, now = _sandbox(), time.time()
    trade = sandbox.store.pay(token, now=now)
    sandbox.notifier.wake()
    if not trade.return_url:
        return render_template("message.html", title="支付成功", text=f"已支付 ¥{yuan(trade.amount_fen)}", code="")
    return redirect(messages.return_location(trade, sandbox.settings, sandbox.own_key, now=now), 302)


@_blueprint.get("/sandbox/trades/<out_trade_no>")
def inspect(out_trade_no: str) -> ResponseReturnValue:
    """Not Alipay's: the trade with its refunds and notifications, for tests and demonstrations."""
    try:
        return _sandbox().store.inspect(out_trade_no, now=time.time())
    except ProblemFound as found:
        return found.problem.answer(), 404


@_blueprint.get("/sandbox/trades")
def trades() -> ResponseReturnValue:
    """Not Alipay's: every trade with its state and amounts, the oldest first."""
    return {"trades": _sandbox().store.trades(now=time.time())}


@_blueprint.get("/sandbox/transfers")
def transfers() -> ResponseReturnValue:
    """Not Alipay's: every transfer, the oldest first."""
    return {"transfers": _sandbox().store.transfers()}


@_blueprint.get("/sandbox/transfers/<out_biz_no>")
def inspect_transfer(out_biz_no: str) -> ResponseReturnValue:
    """Not Alipay's: the transfer, its payee masked. Unlike a query, inspecting it does not change its status."""
    try:
        return _sandbox().store.inspect_transfer(out_biz_no)
    except ProblemFound as found:
        return found.problem.answer(), 404


@_blueprint.get("/sandbox/bill")
def daily_bill() -> ResponseReturnValue:
    """The bill of a day in Shanghai, `?date=2026-11-22`; Alipay offers it in its console and by an API."""
    sandbox, day = _sandbox(), request.args.get("date", "")
    try:
        since = epoch_of(f"{day} 00:00:00")
    except ValueError:
        return {"error": "date must be like 2026-11-22"}, 400
    content = _bill_of(sandbox, since)
    name = f"{sandbox.settings.seller_id}0156_{day.replace('-', '')}_DETAILS.csv"
    response = Response(content, content_type="text/csv; charset=gbk")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@_blueprint.get("/downloadBillFile.resource")
def download_bill() -> ResponseReturnValue:
    """The archive behind an address that `alipay.data.dataservice.bill.downloadurl.query` gave, for 30 seconds."""
    sandbox, file_id = _sandbox(), request.args.get("fileId", "")
    day = sandbox.bill_addresses.day_of(file_id, now=time.time())
    if day is None:
        return "", 404
    owner, compact = f"{sandbox.settings.seller_id}0156", day.replace("-", "")
    content = day_bill.pack(_bill_of(sandbox, epoch_of(f"{day} 00:00:00")), name=f"{owner}_{compact}")
    response = Response(content, content_type="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=f"{owner}_{compact}.csv.zip")
    return response


def _bill_of(sandbox: Sandbox, since: float) -> bytes:
    until = since + _DAY_S
    return day_bill.render(
        sandbox.store.movements(since=since, until=until),
        seller_id=sandbox.settings.seller_id,
        since=since,
        until=until,
        now=time.time(),
    )


@_blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Not Alipay's: 200 while the store can be opened."""
    _sandbox().store.next_pending(exclude=())
    return {"status": "ok", "version": __version__}


@_blueprint.errorhandler(ProblemFound)
def problem_found(found: ProblemFound) -> ResponseReturnValue:
    """The error page of the cashier."""
    return _problem_page(found), 404 if found.problem is Problem.TRADE_NOT_EXIST else 409


@_blueprint.after_app_request
def harden(response: Response) -> Response:
    """Security headers: pages load no resources, cannot be framed or cached, and send no referrer."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    )
    return response


def _fields_once() -> Mapping[str, str]:
    """The fields of query and form together, as Alipay reads them; a repeated field counts as an invalid signature."""
    fields: dict[str, str] = {}
    for source in (request.args, request.form):
        for name, value in source.items(multi=True):
            if name in fields:
                raise ProblemFound(Problem.INVALID_SIGN, "doubled field")
            fields[name] = value
    return fields


def _open_trade(sandbox: Sandbox, asked: Request, *, now: float) -> Trade:
    if asked.content.get("product_code") != "FAST_INSTANT_TRADE_PAY":
        raise ProblemFound(Problem.INVALID_PARAMETER, "product_code")
    return sandbox.store.open_trade(
        out_trade_no=asked.out_no("out_trade_no"),
        subject=asked.subject(),
        amount_fen=asked.amount("total_amount"),
        notify_url=asked.url("notify_url"),
        return_url=asked.url("return_url"),
        expires_at=asked.expiry(default=now + DEFAULT_LIFETIME_S),
        now=now,
    )


def _answer(sandbox: Sandbox, asked: Request) -> dict[str, str]:
    method = _METHODS.get(asked.method)
    if method is None:
        return Problem.INVALID_METHOD.answer()
    try:
        return method(sandbox, asked, time.time())
    except ProblemFound as found:
        return found.problem.answer()


def _query(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    return messages.query_answer(sandbox.store.trade(asked.out_no("out_trade_no"), now=now))


def _refund(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    trade, moved = sandbox.store.refund(
        out_trade_no=asked.out_no("out_trade_no"),
        out_request_no=asked.out_no("out_request_no"),
        amount_fen=asked.amount("refund_amount"),
        reason=str(asked.content.get("refund_reason", ""))[:_REASON_LENGTH],
        now=now,
    )
    sandbox.notifier.wake()
    return messages.refund_answer(trade, moved=moved)


def _refund_query(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    trade, refund = sandbox.store.refund_of(
        out_trade_no=asked.out_no("out_trade_no"), out_request_no=asked.out_no("out_request_no"), now=now
    )
    return messages.refund_query_answer(trade, refund)


def _close(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    return messages.close_answer(sandbox.store.close(asked.out_no("out_trade_no"), now=now))


def _transfer(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    _must_be_to_an_account(asked)
    payee_account, payee_name = asked.payee()
    transfer = sandbox.store.transfer(
        out_biz_no=asked.out_no("out_biz_no"),
        amount_fen=asked.amount("trans_amount"),
        payee_account=payee_account,
        payee_name=payee_name,
        title=asked.title(),
        now=now,
    )
    return messages.transfer_answer(transfer)


def _transfer_query(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    _must_be_to_an_account(asked)
    return messages.transfer_query_answer(sandbox.store.query_transfer(asked.out_no("out_biz_no"), now=now))


def _bill_address(sandbox: Sandbox, asked: Request, now: float) -> dict[str, str]:
    day = str(asked.content.get("bill_date"))
    if asked.content.get("bill_type") != "trade" or not day_bill.is_day(day):
        raise ProblemFound(Problem.INVALID_BILL_ARGUMENTS, "bill_date")
    try:
        since = epoch_of(f"{day} 00:00:00")
    except ValueError as error:
        raise ProblemFound(Problem.INVALID_BILL_ARGUMENTS, "bill_date") from error
    if not day_bill.is_ready(since, now=now, at_once=sandbox.settings.bills_at_once):
        raise ProblemFound(Problem.BILL_NOT_EXIST)
    file_id = sandbox.bill_addresses.add(day, now=now)
    query = urlencode({"bizType": "trade", "bizDates": day.replace("-", ""), "fileId": file_id})
    return success(bill_download_url=f"{request.host_url}downloadBillFile.resource?{query}")


def _must_be_to_an_account(asked: Request) -> None:
    for name, value in _TRANSFER_PRODUCT.items():
        if asked.content.get(name) != value:
            raise ProblemFound(Problem.INVALID_TRANSFER, name)


_METHODS: Mapping[str, Callable[[Sandbox, Request, float], dict[str, str]]] = {
    "alipay.trade.query": _query,
    "alipay.trade.refund": _refund,
    "alipay.trade.fastpay.refund.query": _refund_query,
    "alipay.trade.close": _close,
    "alipay.fund.trans.uni.transfer": _transfer,
    "alipay.fund.trans.common.query": _transfer_query,
    "alipay.data.dataservice.bill.downloadurl.query": _bill_address,
}


def _cashier_page(trade: Trade) -> str:
    return render_template("cashier.html", trade=trade, amount=yuan(trade.amount_fen))


def _problem_page(found: ProblemFound) -> str:
    return render_template("message.html", title="无法支付", text=found.problem.sub_msg, code=str(found))
