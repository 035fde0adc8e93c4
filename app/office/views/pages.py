"""What all pages share: who may open them, their cookie, forms that nobody else can send, and their frame.

    @office.page("/orders/<id:order_id>/", title="订单", permission=Permission.ORDERS)
    def order(*, member: Member, order_id: int) -> Response: ...

A page without a session leads to the login; one that the member may not open is a page that says so. A form that is
sent has to carry the token of its session (`csrf`), and must not come from another site.
"""

import functools
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, TypeVar

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from itsdangerous import BadData, URLSafeTimedSerializer
from pydantic import BaseModel, ValidationError

from app.answers import Answer, Refused
from app.office.views.texts import refusal_lines
from app.purpose import reading_for
from app.settings import settings
from app.staff.sessions import UNCONFIRMED_SECONDS, Member, member_of
from app.staff_roles import Permission
from app.web.api import Operation, reasons_of
from app.web.bodies import read_form

View = TypeVar("View", bound=Callable[..., Any])

PREFIX: Final = "/admin"

POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self' data:; connect-src 'self'"
)

_SAID: Final = "saltfish-office-said"
_SAID_SECONDS: Final = 60


@dataclass(frozen=True)
class Page:
    """One page or form: its method and rule, what it is called, and what opens it (None: no session at all)."""

    method: str
    rule: str
    title: str
    permission: Permission | None
    body: type[BaseModel] | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the navigation; `key` opens it after `g`."""

    path: str
    text: str
    permission: Permission
    key: str


@dataclass(frozen=True, slots=True)
class Group:
    """Entries that belong together."""

    text: str
    entries: tuple[Entry, ...] = field(default=())


class Office(Blueprint):
    """The blueprint of the pages; `pages` is all there is, and `operations` the same as the edge has to know it."""

    def __init__(self) -> None:
        super().__init__("office", __name__, url_prefix=PREFIX, template_folder="../templates")
        self.pages: list[Page] = []
        self.operations: list[Operation] = []

    def page(
        self,
        rule: str,
        *,
        title: str,
        permission: Permission | None,
        query: type[BaseModel] | None = None,
    ) -> Callable[[View], View]:
        """Register what a GET shows. `query` reads what stands in the URL; what is wrong there is passed over."""
        return self._registered("GET", rule, title=title, permission=permission, query=query, body=None)

    def form(
        self, rule: str, *, title: str, permission: Permission | None, body: type[BaseModel] | None = None
    ) -> Callable[[View], View]:
        """Register what a form is sent to. Its view answers by `done`, or shows a page."""
        return self._registered("POST", rule, title=title, permission=permission, query=None, body=body)

    def _registered(
        self,
        method: str,
        rule: str,
        *,
        title: str,
        permission: Permission | None,
        query: type[BaseModel] | None,
        body: type[BaseModel] | None,
    ) -> Callable[[View], View]:
        page = Page(method, f"{PREFIX}{rule}", title, permission, body)

        def register(view: View) -> View:
            self.pages.append(page)
            described = Operation(
                method=method,
                rule=page.rule,
                name=f"{self.name}.{view.__name__}",
                tag=self.name,
                summary=title,
                description="",
                body=body,
            )
            self.operations.append(described)

            @functools.wraps(view)
            def endpoint(**arguments: Any) -> Response:
                g.office_page = page
                g.office_member = member = _member()
                if method == "POST":
                    _refuse_foreign()
                if permission is not None:
                    if member is None or not member.confirmed:
                        return _to_login(member)
                    if permission not in member.permissions:
                        raise Refused(Answer.FORBIDDEN)
                    arguments["member"] = member
                if query is not None:
                    arguments["query"] = _query(query)
                if body is not None:
                    arguments["body"] = _body(body)
                reason = request.form.get("reason", "") if method == "POST" else ""
                with reading_for(f"{title} {request.path}"[:80], reason[:500]):
                    response: Response = view(**arguments)
                return response

            self.add_url_rule(rule, endpoint=view.__name__, view_func=endpoint, methods=[method])
            return view

        return register


office = Office()

NAVIGATION: Final = (
    Group("", (Entry("/admin/", "今日", Permission.FIGURES, "h"),)),
    Group(
        "审核",
        (
            Entry("/admin/review/", "审核队列", Permission.REVIEW, "r"),
            Entry("/admin/appeals/", "申诉与举报", Permission.REVIEW, "e"),
            Entry("/admin/banned/", "封禁图片", Permission.REVIEW, "i"),
            Entry("/admin/words/", "词表与试词", Permission.REVIEW, "t"),
        ),
    ),
    Group(
        "交易",
        (
            Entry("/admin/orders/", "订单", Permission.ORDERS, "o"),
            Entry("/admin/disputes/", "争议", Permission.DISPUTES, "d"),
        ),
    ),
    Group(
        "资金",
        (
            Entry("/admin/cases/", "款项待办", Permission.CASES, "c"),
            Entry("/admin/payments/", "支付", Permission.MONEY, "p"),
            Entry("/admin/refunds/", "退款", Permission.MONEY, "f"),
            Entry("/admin/withdrawals/", "提现", Permission.MONEY, "w"),
            Entry("/admin/ledger/", "账本", Permission.MONEY, "l"),
        ),
    ),
    Group(
        "商品与用户",
        (
            Entry("/admin/goods/", "商品", Permission.GOODS, "g"),
            Entry("/admin/users/", "用户", Permission.USERS, "u"),
        ),
    ),
    Group(
        "运行",
        (
            Entry("/admin/outbox/", "消息与死信", Permission.OPERATIONS, "x"),
            Entry("/admin/operations/", "任务与队列", Permission.OPERATIONS, "q"),
        ),
    ),
    Group(
        "客服",
        (
            Entry("/admin/actions/", "操作记录", Permission.AUDIT, "a"),
            Entry("/admin/reads/", "查阅记录", Permission.AUDIT, "b"),
            Entry("/admin/members/", "成员", Permission.MEMBERS, "m"),
        ),
    ),
)


# --- the cookie, and the token of its forms ---


def cookie_name() -> str:
    """The name of the session's cookie. Under HTTPS browsers hold it to this host, this site and encrypted requests."""
    return "__Host-saltfish-office" if _is_encrypted() else "saltfish-office"


def _is_encrypted() -> bool:
    return request.is_secure or settings().base_url.startswith("https://")


def cookie_token() -> str:
    """What the browser has as its cookie; empty where it has none."""
    return request.cookies.get(cookie_name(), "")


def set_cookie(response: Response, token: str) -> None:
    """Let the browser have this token. It goes with its session there; here the session has a time of its own."""
    response.set_cookie(cookie_name(), token, path="/", secure=_is_encrypted(), httponly=True, samesite="Strict")


def new_cookie() -> str:
    """A token that is of no session: what the login's form is bound to."""
    return secrets.token_urlsafe(32)


def csrf_token(cookie: str) -> str:
    """What a form has to carry that is sent with this cookie: who cannot read the cookie cannot know it."""
    key = settings().signing_key.encode()
    return hmac.digest(key, f"office-form:{cookie}".encode("utf-8", "replace"), "sha256").hex()


def _refuse_foreign() -> None:
    """Raise FORM_EXPIRED for a form that no page of ours made for this browser."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    cookie = cookie_token()
    given = request.headers.get("X-CSRF-Token") or read_form().get("csrf", "")
    right = hmac.compare_digest(csrf_token(cookie).encode(), given.encode("utf-8", "replace"))
    if site != "same-origin" or not cookie or not right:
        raise Refused(Answer.FORM_EXPIRED)


def _member() -> Member | None:
    token = cookie_token()
    asks_by_itself = is_partial() and request.method == "GET"
    return member_of(token, in_use=not asks_by_itself) if token else None


def _to_login(member: Member | None) -> Response:
    """To the login, or where the second factor is still missing; back here afterwards, where this is a page."""
    here = request.full_path.rstrip("?") if request.method == "GET" and not is_partial() else PREFIX + "/"
    target = url_for("office.second_factor" if member else "office.login", next=here)
    if is_partial():
        response = make_response("", 401)
        response.headers["HX-Redirect"] = target
        return response
    return make_response(redirect(target, 303))


def is_partial() -> bool:
    """Whether htmx asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def next_path(given: str) -> str:
    """Where to go after the login: a page of ours, never another site."""
    # Browsers read a backslash as a slash; what cannot be printed would end the header.
    inside = given.startswith(f"{PREFIX}/") and "\\" not in given and given.isprintable()
    return given if inside else f"{PREFIX}/"


# --- what is sent ---


def _query(model: type[BaseModel]) -> BaseModel:
    given = {name: value for name, value in request.args.items() if name in model.model_fields and value != ""}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        g.office_wrong = reasons_of(error)
        right = {name: value for name, value in given.items() if name not in g.office_wrong}
        return model.model_validate(right)


def _body(model: type[BaseModel]) -> BaseModel:
    form = read_form()
    given: dict[str, Any] = {name: value for name, value in form.items() if value != ""}
    for name, described in model.model_fields.items():
        if getattr(described.annotation, "__origin__", None) is list:
            given[name] = form.getlist(name)
    try:
        return model.model_validate({name: value for name, value in given.items() if name in model.model_fields})
    except ValidationError as error:
        raise Refused(Answer.MALFORMED, data={"errors": reasons_of(error)}) from None


# --- what is shown ---


def show(template: str, *, status: int = 200, **values: Any) -> Response:
    """A page in the frame of the back office."""
    member: Member | None = g.get("office_member")
    cookie = cookie_token() or new_cookie()
    permissions = member.permissions if member is not None and member.confirmed else frozenset()
    page: Page | None = g.get("office_page")
    html = render_template(
        f"office/{template}",
        member=member,
        may={permission.value for permission in permissions},
        navigation=_navigation(permissions),
        here=request.path,
        csrf=csrf_token(cookie),
        title=page.title if page is not None else "",
        said=_said(),
        wrong=g.get("office_wrong", {}),
        asset=asset_url,
        partial=is_partial(),
        **values,
    )
    response = make_response(html, status)
    if cookie != cookie_token():
        set_cookie(response, cookie)
    if _SAID in request.cookies and not is_partial():
        response.delete_cookie(_SAID, path="/", secure=_is_encrypted(), httponly=True, samesite="Strict")
    return response


def _navigation(permissions: frozenset[Permission]) -> list[Group]:
    allowed = [
        Group(group.text, tuple(entry for entry in group.entries if entry.permission in permissions))
        for group in NAVIGATION
    ]
    return [group for group in allowed if group.entries]


def first_page(member: Member) -> str:
    """The first page of the navigation that the member may open."""
    return _navigation(member.permissions)[0].entries[0].path


def done(message: str, *, to: str) -> Response:
    """After a form: lead to the page `to`, which says `message` once."""
    response = make_response(redirect(to, 303))
    response.set_cookie(
        _SAID,
        _sayer().dumps(message),
        max_age=_SAID_SECONDS,
        path="/",
        secure=_is_encrypted(),
        httponly=True,
        samesite="Strict",
    )
    return response


def _said() -> str | None:
    try:
        said: str = _sayer().loads(request.cookies.get(_SAID, ""), max_age=_SAID_SECONDS)
    except BadData:
        return None
    return said


def _sayer() -> URLSafeTimedSerializer:
    # Signed, so that nobody can let a page say what it never said.
    return URLSafeTimedSerializer(settings().signing_key, salt="office-said")


@office.errorhandler(Refused)
def _refused(refusal: Refused) -> Response:
    lines = refusal_lines(refusal)
    sent = request.method == "POST"
    response = show("refused.html", status=refusal.answer.http, answer=refusal.answer, lines=lines, sent=sent)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


@office.after_request
def _guard(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Vary", "Cookie, HX-Request")
    return response


# --- files of the pages ---

_ASSETS: Final = files("app.office") / "assets"
_KINDS: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

HTMX: Final = "htmx-2.0.11.min.js"
HTMX_SHA256: Final = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""Of the file as npm has it (htmx.org 2.0.11, licence 0BSD)."""


@functools.cache
def _assets() -> Mapping[str, bytes]:
    found = {name: (_ASSETS / name).read_bytes() for name in ("office.css", "office.js", "review.js", HTMX)}
    if hashlib.sha256(found[HTMX]).hexdigest() != HTMX_SHA256:
        raise RuntimeError(f"{HTMX} is not the file that it should be")
    return found


def asset_url(name: str) -> str:
    """The URL of a file of the pages, which changes with it."""
    digest = hashlib.sha256(_assets()[name]).hexdigest()[:12]
    return f"{PREFIX}/assets/{name}?v={digest}"


@office.get("/assets/<name>")
def asset(name: str) -> Response:
    """A style sheet or script."""
    content = _assets().get(name)
    if content is None:
        raise Refused(Answer.NO_SUCH_URL)
    response = Response(content, content_type=_KINDS[name[name.rindex(".") :]])
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


UNCONFIRMED_MINUTES: Final = UNCONFIRMED_SECONDS // 60
