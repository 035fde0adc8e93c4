"""Blueprints whose routes name, beside the URL, who may call, what goes in, what comes out and what may be refused.

    api = Api("orders", __name__, tag="订单", about="buying, shipping, refunds")

    @api.post("/api/buy/<id:good_id>/", auth=Auth.USER, body=BuyIn, out=OrderOut, answer=Answer.ORDER_CREATED,
              refuses=(Answer.NO_SUCH_GOOD, Answer.GOOD_NOT_FOR_SALE))
    def buy(*, actor: Actor, good_id: int, body: BuyIn) -> OrderOut: ...

The view gets exactly what its route declares (`actor`, path ids, `body`, `query`, `files`) as keyword arguments and
returns the envelope's `data`. What a request sends beside that is refused by its name (`app.web.unknown`). The same
declarations make the OpenAPI document (`app.web.openapi`).
"""

import codecs
import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, get_origin
from urllib.parse import unquote

import orjson
from flask import Blueprint, Flask, Response, current_app, request
from pydantic import BaseModel, TypeAdapter, ValidationError
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, RoutingException

from app.answers import Answer, Refused
from app.extensions import limiter
from app.fields import CleanText
from app.idempotency import ANONYMOUS
from app.purpose import reading_for
from app.settings import rate_limit, settings
from app.staff_roles import Permission
from app.web.auth import Auth, authenticate
from app.web.bodies import SMALL_BODY, largest_body, read_all, read_form, refuse_intricate
from app.web.envelope import envelope
from app.web.idempotency import KEY_HEADER, answer_once, given_key, hash_request
from app.web.unknown import unknown_names
from config import Settings

if TYPE_CHECKING:
    from flask.sansio.app import App

P = ParamSpec("P")
R = TypeVar("R")

MAX_ID = 2**63 - 1

REASON_HEADER: Final = "X-Staff-Reason"
REASON_LENGTH: Final = 200
"""Characters that a reason for reading may have."""

_MULTIPART = "multipart/form-data"
_FORM_TYPES = (_MULTIPART, "application/x-www-form-urlencoded")
_UNREADABLE = (Answer.BAD_REQUEST, Answer.UNSUPPORTED_TYPE)


class IdConverter(BaseConverter):
    """An id in a URL. Whatever cannot be one (text, 0, −1, 2^63) becomes 0, an id that no row ever has."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map)
        self.regex = "[^/]+"

    def to_python(self, value: str) -> int:
        """The id, or 0."""
        if not (value.isascii() and value.isdigit() and len(value) <= 19):
            return 0
        number = int(value)
        return number if number <= MAX_ID else 0


@dataclass(frozen=True, kw_only=True)
class Declarations:
    """What a route may declare: who may call, what goes in, what comes out, what may be refused.

    Where the success is no envelope the view returns a Response: `media`, `conditional` and `redirects` say which.
    """

    auth: Auth = Auth.NONE
    permission: Permission = Permission.MEMBERS  # what staff need for it; those who may do all where nothing is said
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    not_read: tuple[str, ...] = ()  # fields of a body that clients may send although they are not read
    strangers: bool = False  # whether somebody else writes the URL or the form, so that unknown names mean nothing
    files: str | None = None  # the name of the field that takes files
    file_aliases: tuple[str, ...] = ()  # other names of that field, as clients have them that can choose none
    one_file: bool = False  # whether it takes exactly one
    out: Any = None  # a TypedDict, a generic Page[...] of one, or None: whatever pydantic's TypeAdapter takes
    answer: Answer = Answer.OK  # the success
    empty: Answer | None = None  # the success of a list without a single row, or of a figure without enough behind it
    refuses: tuple[Answer, ...] = ()
    malformed: Answer = Answer.MALFORMED  # what wrong fields answer
    largest_body: int = SMALL_BODY  # bytes of JSON or a form; with pictures, what MAX_BODY_BYTES says
    limit: str | None = None  # the name of the setting that limits the rate
    media: tuple[str, ...] = ()  # the types of what is no envelope
    conditional: bool = False  # whether If-None-Match is answered with 304
    cache_seconds: int = 0  # how long anybody may keep an envelope; it has an ETag then, and is conditional
    redirects: bool = False  # whether the success is a 302
    # Whether a POST takes an `Idempotency-Key` (`app.web.idempotency`). It does not where what it does is no one
    # transaction, or where its answer must not be kept. Other methods never do.
    idempotent: bool = True


@dataclass(frozen=True, kw_only=True)
class Operation(Declarations):
    """One documented method of one URL."""

    method: str
    rule: str
    name: str
    tag: str
    summary: str
    description: str

    def largest(self, content_type: str, settings: Settings) -> int:
        """How many bytes a body of this type may have."""
        return largest_body(
            content_type, declared=self.largest_body, pictures=self.files is not None, settings=settings
        )

    @property
    def takes_key(self) -> bool:
        """Whether a request may carry an `Idempotency-Key`."""
        return self.idempotent and self.method == "POST"

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that it reads, beside those of every request."""
        return (
            *((KEY_HEADER,) if self.takes_key else ()),
            *((REASON_HEADER,) if self.auth is Auth.STAFF else ()),
        )

    @functools.cached_property
    def query_names(self) -> frozenset[str]:
        """The parameters that its URL may have."""
        token = {"token"} if self.auth is Auth.CASHIER else set()
        return frozenset(self.query.model_fields if self.query is not None else ()) | token

    @functools.cached_property
    def body_names(self) -> frozenset[str]:
        """The fields of its body that are read."""
        return frozenset(self.body.model_fields if self.body is not None else ())


class Decorator(Protocol):
    """Registers a view and gives it back as it is."""

    def __call__(self, view: Callable[P, R]) -> Callable[P, R]:
        """Register `view`."""


def _taking(
    declarations: Callable[P, Declarations],
) -> "Callable[[Callable[[Api, str, Declarations], Decorator]], Callable[Concatenate[Api, str, P], Decorator]]":
    """Lets a method of `Api` take the fields of `declarations` as keyword arguments: they are listed only there."""

    def decorate(
        method: "Callable[[Api, str, Declarations], Decorator]",
    ) -> "Callable[Concatenate[Api, str, P], Decorator]":
        @functools.wraps(method)
        def taking(api: "Api", rule: str, /, *args: P.args, **kwargs: P.kwargs) -> Decorator:
            return method(api, rule, declarations(*args, **kwargs))

        return taking

    return decorate


class Api(Blueprint):
    """A blueprint of documented operations. `tag` is what users call its subject, `about` says what it is about."""

    def __init__(self, name: str, import_name: str, *, tag: str, about: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.tag = tag
        self.about = about
        self.operations: list[Operation] = []

    def operation(self, method: str, rule: str, declarations: Declarations) -> Decorator:
        """Register a view. Stacked on one view, several methods or URLs share it.

        A PATCH answers POST as well, because mini-programs have no PATCH. Where a URL has PUT and no PATCH, its POST
        has to be stacked on the view: `register` refuses a blueprint with a PUT that has none.
        """

        def register(view: Callable[P, R]) -> Callable[P, R]:
            summary, _, description = inspect.cleandoc(view.__doc__ or "").partition("\n")
            name = view.__name__
            if any(operation.name == f"{self.name}.{name}" for operation in self.operations):
                name = f"{name}_{method.lower()}"
            declared = Operation(
                method=method,
                rule=rule,
                name=f"{self.name}.{name}",
                tag=self.name,
                summary=summary,
                description=description.strip(),
                **vars(declarations),
            )
            self._add(declared)
            endpoint = _endpoint(declared, view)
            # Flask-Limiter knows functions by this name: of stacked registrations each must have its own limit.
            endpoint.__qualname__ = declared.name
            if declared.limit is not None:
                endpoint = limiter.limit(rate_limit(declared.limit))(endpoint)
            # Werkzeug answers 404 for a wrong method on `/x` where the rule is `/x/`; the other way round it knows
            # both.
            methods = [method]
            if method == "PATCH":
                self._add(replace(declared, method="POST", name=f"{declared.name}_post"))
                methods.append("POST")
            self.add_url_rule(rule.rstrip("/") or "/", endpoint=name, view_func=endpoint, methods=methods)
            return view

        return register

    def _add(self, declared: Operation) -> None:
        if any((known.method, known.rule) == (declared.method, declared.rule) for known in self.operations):
            raise ValueError(f"{declared.method} {declared.rule} is there already: {declared.name}")
        self.operations.append(declared)

    def register(self, app: "App", options: dict[str, Any]) -> None:
        """Flask's hook. Raises ValueError for a PUT whose URL does not answer POST."""
        posts = {operation.rule for operation in self.operations if operation.method == "POST"}
        for operation in self.operations:
            if operation.method == "PUT" and operation.rule not in posts:
                raise ValueError(f"PUT {operation.rule} has to answer POST as well")
        super().register(app, options)

    # Flask's shortcuts of the same names, with our declarations instead of its options.
    @_taking(Declarations)
    def get(self, rule: str, declarations: Declarations) -> Decorator:  # type: ignore[override] # see above
        """`operation("GET", …)`."""
        return self.operation("GET", rule, declarations)

    @_taking(Declarations)
    def post(self, rule: str, declarations: Declarations) -> Decorator:  # type: ignore[override] # see above
        """`operation("POST", …)`."""
        return self.operation("POST", rule, declarations)

    @_taking(Declarations)
    def put(self, rule: str, declarations: Declarations) -> Decorator:  # type: ignore[override] # see above
        """`operation("PUT", …)`."""
        return self.operation("PUT", rule, declarations)

    @_taking(Declarations)
    def patch(self, rule: str, declarations: Declarations) -> Decorator:  # type: ignore[override] # see above
        """`operation("PATCH", …)`."""
        return self.operation("PATCH", rule, declarations)

    @_taking(Declarations)
    def delete(self, rule: str, declarations: Declarations) -> Decorator:  # type: ignore[override] # see above
        """`operation("DELETE", …)`."""
        return self.operation("DELETE", rule, declarations)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """What a request sent of what is read, not yet validated; `strange` is what is wrong with its names already."""

    query: dict[str, str]
    body: dict[str, Any]
    files: list[tuple[str, FileStorage]]
    strange: dict[str, list[str]]


def _endpoint(declared: Operation, view: Callable[..., Any]) -> Callable[..., Response]:
    """The Flask view: authenticate, parse, call, wrap."""
    wants_actor = declared.auth is not Auth.NONE

    @functools.wraps(view)
    def endpoint(**arguments: Any) -> Response:
        actor = authenticate(declared.auth, declared.permission)
        if wants_actor:
            arguments["actor"] = actor
        if actor is None:
            return answer(arguments, scope=ANONYMOUS)
        with reading_for(declared.name, _reason_of_reading()):
            return answer(arguments, scope=actor.id)

    def answer(arguments: dict[str, Any], *, scope: int) -> Response:
        takes_key = declared.idempotent and request.method == "POST"
        key = given_key(malformed=declared.malformed) if takes_key else None
        sent = _sent(declared)
        # Whatever was done under the key, this is a mistake, and is told as one.
        if key is None or sent.strange:
            return _perform(declared, view, arguments, sent)
        return answer_once(
            lambda: _perform(declared, view, arguments, sent),
            scope=scope,
            key=key,
            request_hash=hash_request(declared.rule, query=sent.query, body=sent.body, files=sent.files),
        )

    return endpoint


def _reason_of_reading() -> str:
    """Why staff read what they ask for, as the header says in percent-encoded UTF-8; may be empty."""
    given = unquote(request.headers.get(REASON_HEADER, ""))
    try:
        return _REASON.validate_python(given) if given else ""
    except ValidationError:
        raise Refused(
            Answer.MALFORMED, data={"errors": {REASON_HEADER: [f"须为 1 至 {REASON_LENGTH} 个字符"]}}
        ) from None


_REASON: TypeAdapter[str] = TypeAdapter(Annotated[str, CleanText(1, REASON_LENGTH)])

_OPERATIONS = "saltfish.operations"


def register_operations(app: Flask, operations: Iterable[Operation]) -> None:
    """Let `find_operation` find these in `app`: of all others the edge reads no body."""
    app.extensions[_OPERATIONS] = {operation.name: operation for operation in operations}


def find_operation(app: Flask, method: str, path: str) -> Operation | None:
    """The operation that a request asks for, None for one that there is not."""
    try:
        endpoint, _ = app.url_map.bind("").match(path, method)
    except (HTTPException, RoutingException):
        return None
    found: Operation | None = app.extensions[_OPERATIONS].get(endpoint)
    return found


def _sent(declared: Operation) -> _Sent:
    request.max_content_length = declared.largest(request.mimetype, settings())
    read = declared.query.model_fields if declared.query is not None else ()
    query = {name: value for name, value in _flat(request.args).items() if name in read}
    if declared.strangers:
        return _Sent(query=query, body={}, files=[], strange={})
    strange: dict[str, list[str]] = {}
    if request.args:
        strange = {**unknown_names(request.args, known=declared.query_names, what="参数"), **_lost(request.args)}
    if not _has_body(declared):
        return _Sent(query=query, body={}, files=[], strange=strange)
    body, files = _body(declared)
    form = request.form if request.mimetype in _FORM_TYPES else None
    names = body if form is None else form
    strange |= unknown_names(names, known=declared.body_names, ignored=declared.not_read, what="字段")
    strange |= {} if form is None else _lost(form, lists=_lists(declared))
    hint = "这个接口不收文件" if declared.files is None else f"不认识的文件字段,是否想写 {declared.files}?"
    strange |= {str(name): [hint] for name, _ in files if name not in (declared.files, *declared.file_aliases)}
    for name in _fields_of_files(declared).intersection(names):
        strange.pop(name, None)
        if name in body:  # a browser's form sends an empty field where nothing was chosen
            before = ",或先上传到 /api/pictures/,再给出 picture_ids" if "picture_ids" in declared.body_names else ""
            strange[name] = [f"{name} 须以 multipart/form-data 文件上传{before}"]
    body = {name: value for name, value in body.items() if name not in declared.not_read}
    return _Sent(query=query, body=body, files=files, strange=strange)


def _fields_of_files(declared: Operation) -> set[str]:
    """The names of its fields that take files and nothing else."""
    names = () if declared.files is None else (declared.files, *declared.file_aliases)
    return set(names).difference(declared.body_names)


def _has_body(declared: Operation) -> bool:
    # With GET and DELETE a body means nothing (RFC 9110, section 9.3) unless the operation says that it reads one.
    if declared.body is None and declared.files is None and declared.method in ("GET", "DELETE"):
        return False
    return bool(request.content_length) or (request.content_length is None and bool(request.mimetype))


def _body(declared: Operation) -> tuple[dict[str, Any], list[tuple[str, FileStorage]]]:
    """The body's fields and files. Where the operation reads none, only nothing is taken, in whatever form."""
    try:
        body = _body_fields(declared)
    except Refused as refusal:
        if declared.body is None and declared.files is None and refusal.answer in _UNREADABLE:
            raise Refused(declared.malformed, data={"errors": {"body": ["这个接口不读请求体"]}}) from None
        raise
    return body, list(request.files.items(multi=True)) if request.mimetype == _MULTIPART else []


def _lost(values: "MultiDict[str, Any]", *, lists: frozenset[str] = frozenset()) -> dict[str, list[str]]:
    """Names with several values, of which one would be read; of `lists` all are."""
    return {
        name: ["只能出现一次"]
        for name, given in values.lists()
        if name is not None and name not in lists and any(one != given[0] for one in given)
    }


def _perform(declared: Operation, view: Callable[..., Any], arguments: dict[str, Any], sent: _Sent) -> Response:
    """Validate what was sent, call the view with it, wrap what it returns."""
    errors = dict(sent.strange)
    for part, model, values in (("query", declared.query, sent.query), ("body", declared.body, sent.body)):
        if model is not None:
            try:
                arguments[part] = model.model_validate(values)
            except ValidationError as error:
                errors |= reasons_of(error)
    if errors:
        raise Refused(declared.malformed, data={"errors": errors})
    if declared.files is not None:
        arguments["files"] = _files(declared, sent.files)
    result = view(**arguments)
    if isinstance(result, Response):
        return result
    if current_app.testing:
        _assert_declared(declared, result)
    if declared.empty is not None and not result["total" if "total" in result else "enough"]:
        return envelope(declared.empty, result)
    response = envelope(declared.answer, result)
    return _cacheable(response, declared.cache_seconds) if declared.cache_seconds else response


def _cacheable(response: Response, seconds: int) -> Response:
    """`response` as anybody may keep it for so many seconds, then ask with its ETag; 304 where it is what was kept."""
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.add_etag()
    response.make_conditional(request)
    return response


@functools.cache
def _out_adapter(declared: Operation) -> TypeAdapter[Any]:
    return TypeAdapter(declared.out)


def _assert_declared(declared: Operation, result: Any) -> None:
    """In tests every answer must be what its operation declares: a missing, mistyped or undeclared key is a fault."""
    # Pydantic leaves undeclared keys of a TypedDict out of what it returns.
    if _out_adapter(declared).validate_python(result, strict=True) != result:
        raise AssertionError(f"{declared.name} answers keys that its declared output does not have: {result!r}")


def _flat(values: "MultiDict[str, str]") -> dict[str, str]:
    # An empty value is an absent one: forms and hand-written query strings send `?category=`. A part of a multipart
    # form without a readable name has None for it.
    return {name: value for name, value in values.items() if name is not None and value != ""}


def _body_fields(declared: Operation) -> dict[str, Any]:
    """The body's fields, from JSON or from a form. An absent body counts as one without fields."""
    mimetype = request.mimetype
    if mimetype in _FORM_TYPES:
        form = read_form()
        return _flat(form) | {name: form.getlist(name) for name in _lists(declared) if len(form.getlist(name)) > 1}
    if request.content_length == 0 or (request.content_length is None and not request.is_json):
        return {}
    if mimetype != "application/json":
        raise Refused(Answer.UNSUPPORTED_TYPE)
    raw = read_all().removeprefix(codecs.BOM_UTF8)  # as some programs begin each text (RFC 8259, section 8.1)
    if not raw:  # many clients name the type even where they send nothing
        return {}
    refuse_intricate(raw)
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused(Answer.BAD_REQUEST) from None
    if fields is None and declared.body is None:  # some send null where there is nothing to send
        return {}
    if not isinstance(fields, dict):
        raise Refused(declared.malformed, data={"errors": {"body": ["须为 JSON 对象"]}})
    return fields


@functools.cache
def _lists(declared: Operation) -> frozenset[str]:
    """The body's fields that are lists: a form has one as text, or as a field that is there several times."""
    fields = {} if declared.body is None else declared.body.model_fields
    return frozenset(name for name, field in fields.items() if get_origin(field.annotation) is list)


def _files(declared: Operation, sent: list[tuple[str, FileStorage]]) -> list[FileStorage]:
    """The files that were chosen. A browser's form sends an empty part for a file field nothing was chosen in."""
    files = [file for _, file in sent if file.filename or _has_content(file)]
    if declared.one_file and len(files) != 1:
        reason = "一次上传一个文件" if files else "须以 multipart/form-data 上传一个文件"
        raise Refused(declared.malformed, data={"errors": {declared.files: [reason]}})
    return files


def _has_content(file: FileStorage) -> bool:
    has_content = bool(file.stream.read(1))
    file.stream.seek(0)
    return has_content


# Pydantic's English messages, by error type, as our users read them.
_REASONS = {
    "missing": "必填",
    "string_type": "须为文字",
    "int_type": "须为整数",
    "int_parsing": "须为整数",
    "int_from_float": "须为整数",
    "list_type": "须为列表",
    "int_parsing_size": "数值过大",
    "bool_type": "须为布尔值",
    "bool_parsing": "须为布尔值",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "至多 {max_length} 个字符",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
    "string_pattern_mismatch": "格式不正确",
    "enum": "不在可选范围内",
    "literal_error": "不在可选范围内",
    "value_error": "{error}",
}


def reasons_of(error: ValidationError) -> dict[str, list[str]]:
    """Why which fields are wrong, as our users read it."""
    reasons: dict[str, list[str]] = {}
    for each in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in each["loc"]) or "body"
        text = _REASONS.get(each["type"], "格式不正确").format(**each.get("ctx", {}))
        reasons.setdefault(name, []).append(text)
    return reasons
