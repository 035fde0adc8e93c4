"""The way in and out: password, second factor, logout."""

import io
from typing import Annotated
from urllib.parse import urlencode

import segno
from flask import Response, make_response, redirect, request
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field

from app.answers import Answer, Refused
from app.fields import Compact
from app.office.views.pages import (
    PREFIX,
    cookie_token,
    done,
    first_page,
    new_cookie,
    next_path,
    office,
    set_cookie,
    show,
)
from app.office.views.texts import refusal_lines
from app.staff import login as service
from app.staff.sessions import end_staff_session, member_of


class NextQuery(BaseModel):
    """Where to go afterwards."""

    model_config = ConfigDict(frozen=True)

    next: Annotated[str, Field(max_length=500)] = ""


class LoginIn(NextQuery):
    """A name and a password, as they were typed."""

    username: Annotated[str, Field(max_length=100)] = ""
    password: Annotated[str, Field(max_length=500)] = ""


class CodeIn(NextQuery):
    """A one-time password."""

    code: Annotated[str, Compact(1, 20)] = ""


@office.page("/login/", title="登录", permission=None, query=NextQuery)
def login(*, query: NextQuery) -> Response:
    """The form for name and password."""
    member = member_of(cookie_token())
    if member is not None and member.confirmed:
        return make_response(redirect(next_path(query.next) if query.next else first_page(member), 303))
    return show("login.html", next=query.next, username="")


@office.form("/login/", title="登录", permission=None, body=LoginIn)
def check_password(*, body: LoginIn) -> Response:
    """Take name and password; the second factor comes next. The cookie is another one from here on."""
    try:
        token = service.log_in(username=body.username, password=body.password, origin=request.remote_addr)
    except Refused as refusal:
        lines = [refusal.answer.msg, *refusal_lines(refusal)]
        if refusal.answer is Answer.FORBIDDEN:
            lines = ["这个账号不是平台工作人员"]
        return show("login.html", status=refusal.answer.http, next=body.next, username=body.username, refused=lines)
    response = make_response(redirect(_url("second-factor", body.next), 303))
    set_cookie(response, token)
    return response


@office.page("/second-factor/", title="两步验证", permission=None, query=NextQuery)
def second_factor(*, query: NextQuery) -> Response:
    """The form for the one-time password; at the first login with what an authenticator app needs."""
    return _second_factor(query.next)


@office.form("/second-factor/", title="两步验证", permission=None, body=CodeIn)
def check_second_factor(*, body: CodeIn) -> Response:
    """Take a one-time password. The cookie is another one from here on."""
    try:
        token = service.give_second_factor(token=cookie_token(), code=body.code)
    except Refused as refusal:
        if refusal.answer is Answer.LOGIN_REQUIRED:
            return make_response(redirect(_url("login", body.next), 303))
        return _second_factor(body.next, refusal=refusal)
    member = member_of(token)
    target = next_path(body.next) if body.next else first_page(member) if member else f"{PREFIX}/"
    response = make_response(redirect(target, 303))
    set_cookie(response, token)
    return response


def _second_factor(next_: str, *, refusal: Refused | None = None) -> Response:
    member = member_of(cookie_token())
    if member is None:
        return make_response(redirect(_url("login", next_), 303))
    if member.confirmed:
        return make_response(redirect(next_path(next_) if next_ else first_page(member), 303))
    enrolment = service.enrolment_of(member.id)
    return show(
        "second_factor.html",
        status=200 if refusal is None else refusal.answer.http,
        next=next_,
        secret=None if enrolment is None else enrolment.secret,
        picture=None if enrolment is None else _qr(enrolment.uri),
        refused=[] if refusal is None else [refusal.answer.msg, *refusal_lines(refusal)],
    )


@office.form("/logout/", title="退出", permission=None)
def logout() -> Response:
    """End the session."""
    end_staff_session(cookie_token())
    response = done("已退出登录", to=f"{PREFIX}/login/")
    set_cookie(response, new_cookie())
    return response


def _url(page: str, next_: str) -> str:
    return f"{PREFIX}/{page}/" + (f"?{urlencode({'next': next_})}" if next_ else "")


def _qr(text: str) -> Markup:
    drawn = io.BytesIO()
    segno.make(text, error="m").save(drawn, kind="svg", scale=5, border=4, xmldecl=False, svgns=False, light="#fff")
    return Markup(drawn.getvalue().decode())  # noqa: S704 - drawn by ourselves from a URI that we made
