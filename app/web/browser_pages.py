"""What a browser shows where a program reads the envelope: a refusal as a page."""

from typing import Final

from flask import Response, g, render_template, request

from app.answers import Answer

POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self';"
    " img-src 'self' data:; style-src 'self'"
)
"""For pages that load our own files only."""

_WHAT_NOW: Final = {
    401: "这个地址属于接口,由应用携带访问令牌来调用;在浏览器里直接打开时没有令牌。",
    403: "你没有查看它的权限。",
    404: "地址可能写错了,或者它指向的内容已经不在。",
    405: "这个地址不是用来在浏览器里打开的。",
    408: "网络可能不稳定,请重试。",
    429: "请稍候再试。",
    500: "我们已经记录了这个错误,请稍后再试。",
    503: "服务正在启动或维护,请稍后再试。",
}


def wants_page() -> bool:
    """Whether a person reads the answer: a browser that opens an address names HTML before all else; clients do not."""
    wanted = request.accept_mimetypes
    return request.method in ("GET", "HEAD") and wanted["text/html"] > wanted["application/json"]


def refusal_page(answer: Answer) -> Response:
    """The page for a refusal, with its own HTTP status."""
    html = render_template(
        "web/refusal.html",
        answer=answer,
        what_now=_WHAT_NOW.get(answer.http, ""),
        request_id=g.get("request_id", ""),
    )
    response = Response(html, status=answer.http, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept")
    return response
