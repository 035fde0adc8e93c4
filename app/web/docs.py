"""The documentation that the running application serves: OpenAPI, Swagger UI, and the state machines.

The pages load nothing from other servers.
"""

import functools
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from flask import Response, current_app, render_template, request
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from app.answers import Answer, Refused
from app.version import __version__
from app.web.api import Api
from app.web.browser_pages import POLICY
from app.web.openapi import OpenApiDocument
from statemachine import MACHINES, Lang, Rule, Spec
from statemachine.export import mermaid, svg
from statemachine.labels import duration_text, good_event_text

docs = Api("docs", __name__, tag="文档", about="this document and its pages", template_folder="templates")

_HTML = "text/html; charset=utf-8"
_OWN_FILES = POLICY
# Swagger UI sets style attributes, and sends requests to this server when somebody tries an operation.
_SWAGGER = f"{_OWN_FILES} 'unsafe-inline'; connect-src 'self'"


@dataclass(frozen=True)
class Asset:
    """A file that a page loads."""

    source: Traversable
    kind: str

    @functools.cached_property
    def content(self) -> bytes:
        """Its bytes, read once."""
        return self.source.read_bytes()

    @functools.cached_property
    def etag(self) -> str:
        """Changes with the bytes."""
        return hashlib.sha256(self.content).hexdigest()[:32]


_OURS = files("app.web") / "assets"
# Only the static files of this package are used: it contains Swagger UI, so that nothing is loaded from a CDN.
_SWAGGER_UI = files("flask_openapi_swagger") / "templates" / "swagger"

ASSETS = {
    "docs.css": Asset(_OURS / "docs.css", "text/css; charset=utf-8"),
    "states.js": Asset(_OURS / "states.js", "text/javascript; charset=utf-8"),
    "swagger.js": Asset(_OURS / "swagger.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": Asset(_SWAGGER_UI / "css" / "swagger-ui.css", "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": Asset(_SWAGGER_UI / "js" / "swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
}


class StatesQuery(BaseModel):
    """Which language the page speaks."""

    model_config = ConfigDict(frozen=True)

    lang: Literal["zh", "en"] = "zh"


@docs.get("/", strangers=True, media=(_HTML,), conditional=True)  # messengers add to an address that is sent on
def home() -> Response:
    """What this is, and where the documents, the diagrams and the back office are."""
    return _page(render_template("web/home.html", version=__version__), _OWN_FILES)


@docs.get("/docs/openapi.json", media=("application/json",), conditional=True)
def openapi() -> Response:
    """This document."""
    document: OpenApiDocument = current_app.extensions["saltfish.openapi"]
    return _cached(document.content, document.etag, "application/json")


@docs.get("/docs/", media=(_HTML,), conditional=True)
def swagger() -> Response:
    """Swagger UI: every URL, to read and to try."""
    return _page(render_template("docs/swagger.html"), _SWAGGER)


@docs.get("/docs/states/", query=StatesQuery, media=(_HTML,), conditional=True)
def states(*, query: StatesQuery) -> Response:
    """The life of orders and goods, drawn from the machines that this process runs."""
    return _page(render_template("docs/states.html", lang=query.lang, machines=_machines(query.lang)), _OWN_FILES)


@docs.get(
    "/docs/assets/<name>",
    media=("text/css; charset=utf-8", "text/javascript; charset=utf-8"),
    refuses=(Answer.NO_SUCH_URL,),
    conditional=True,
)
def asset(*, name: str) -> Response:
    """A style sheet or script of these pages."""
    found = ASSETS.get(name)
    if found is None:
        raise Refused(Answer.NO_SUCH_URL)
    return _cached(found.content, found.etag, found.kind)


def _page(html: str, policy: str) -> Response:
    content = html.encode()
    response = _cached(content, hashlib.sha256(content).hexdigest()[:32], _HTML)
    response.headers["Content-Security-Policy"] = policy
    return response


def _cached(content: bytes, etag: str, kind: str) -> Response:
    """A response that clients may cache but have to revalidate each time."""
    response = Response(content, content_type=kind)
    response.set_etag(etag)
    response.cache_control.no_cache = True
    response.make_conditional(request)
    return response


@dataclass(frozen=True)
class _Cell:
    """A state in the table of rules."""

    key: str
    meaning: str
    closed: bool


@dataclass(frozen=True)
class _Row:
    """One rule, as words."""

    event: str
    code: str
    by: tuple[str, ...]
    source: _Cell | None
    target: _Cell
    deadline: str
    conditions: tuple[str, ...]
    moves: tuple[tuple[str, str], ...]
    good_event: str


@dataclass(frozen=True)
class _Machine:
    """One machine, as the page shows it."""

    name: str
    noun: str
    picture: Markup
    source: str
    rows: tuple[_Row, ...]


@functools.cache
def _machines(lang: Lang) -> tuple[_Machine, ...]:
    return tuple(_machine(flow.spec, lang) for flow in MACHINES.values())


def _machine(spec: Spec[Any, Any, Any], lang: Lang) -> _Machine:
    return _Machine(
        name=spec.name,
        noun=spec.noun.to(lang),
        picture=Markup(svg.render(spec, lang)),  # noqa: S704 - drawn by ourselves, which escapes every text
        source=mermaid.render(spec, lang),
        rows=(_creation(spec, lang), *(_row(spec, rule, lang) for rule in spec.rules)),
    )


def _creation(spec: Spec[Any, Any, Any], lang: Lang) -> _Row:
    creation = spec.creation
    return _Row(
        event=creation.text.to(lang),
        code=creation.name,
        by=(spec.roles[creation.by].to(lang),),
        source=None,
        target=_cell(spec, spec.start, lang),
        deadline="",
        conditions=(),
        moves=(),
        good_event=good_event_text(spec, creation.good_event, lang),
    )


def _row(spec: Spec[Any, Any, Any], rule: Rule[Any, Any, Any], lang: Lang) -> _Row:
    return _Row(
        event=spec.events[rule.event].to(lang),
        code=str(rule.event),
        by=tuple(spec.roles[role].to(lang) for role in rule.by),
        source=_cell(spec, rule.source, lang),
        target=_cell(spec, rule.target, lang),
        deadline=duration_text(rule.deadline.default, lang) if rule.deadline else "",
        conditions=tuple(guard.condition.to(lang) for guard in rule.guards),
        moves=tuple((spec.pots[move.source].to(lang), spec.pots[move.target].to(lang)) for move in rule.moves),
        good_event=good_event_text(spec, rule.good_event, lang),
    )


def _cell(spec: Spec[Any, Any, Any], phase: Any, lang: Lang) -> _Cell:
    state = spec.state(phase)
    return _Cell(
        key=state.key.replace(",closed", "").replace(",deleted", ""),
        meaning=state.meaning.to(lang),
        closed=state.closed,
    )
