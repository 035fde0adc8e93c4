"""The OpenAPI 3.1 document, made from the same declarations that serve the requests.

What an operation does not have to say is said here: which refusals follow from its authentication, its body and its
rate limit, and the envelope around every `data`.

Programs that generate clients read the document (`make clients`). So every component has a plain name of its own, codes
are named enums, and a request body has one content type.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode
from pydantic_core import core_schema

from app.answers import Answer, FieldErrors, field_errors
from app.enums import ONE_OF, OneOf
from app.version import __version__
from app.web.api import MAX_ID, REASON_HEADER, REASON_LENGTH, Api, Operation
from app.web.auth import Auth
from app.web.idempotency import KEY_HEADER, KEY_PATTERN, REPLAYED_HEADER, is_kept

Json = dict[str, Any]  # a piece of the document; its shape is OpenAPI's

_DESCRIPTION = """\
Every JSON answer, errors included, is the envelope `{"status", "msg", "data"}`.

| `status` | meaning |
|---|---|
| 200 | right, with data |
| 201 | right, nothing more to say |
| 100 | well-formed, nothing came of it |
| 101 | abnormal data, suspected attack |

Bodies are JSON, or urlencoded or multipart forms with the same fields; of these one is described for each operation.
An empty field of a form is an absent one, a list is its values with commas between. Money is a decimal string in yuan,
time is ISO 8601 with offset. What people paste is taken with its blanks, hyphens, full-width characters and invisible
marks, and answered in its one form. Parameters and fields that an operation does not describe are refused (422), each
by its name and with what was probably meant. Every PATCH answers POST as well, for clients that have no PATCH. The
trailing slash of every URL is optional; there are no redirects for it. Where a field is wrong, `data` names it:
`{"error": "MALFORMED", "errors": {"field": ["reason"]}}`. `X-Request-Id` of a request comes back and stands in the log.

`data.error` of every refusal (HTTP status 400 and above) is its stable name, for programs; `msg` is for people. A list
without a single row answers 100 with HTTP status 200 and is no refusal: its `data` is the empty list.

A POST that takes an `Idempotency-Key` can be sent again without fear: for 24 hours the same key with the same request
gets the same answer and has its effect once. Kept is what was done, and what the state of things refused (409). What
was wrong with the request itself (400, 413, 415, 422), what is not allowed or not there (401, 403, 404), and what may
fare better next time (429, 5xx) leaves the key free: the corrected request may be sent under it.
"""

_SECURITY_SCHEMES: Json = {
    "access": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of `POST /login/`.",
    },
    "staff": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of somebody who is of staff at the moment.",
    },
    "refresh": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The refresh token."},
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "A ticket of `POST /order/pay/<order_id>/ticket/`, where a browser opens the URL.",
    },
}

_SECURITY: Mapping[Auth, list[Json]] = {
    Auth.NONE: [],
    Auth.OPTIONAL: [{}, {"access": []}],
    Auth.USER: [{"access": []}],
    Auth.STAFF: [{"staff": []}],
    Auth.REFRESH: [{"refresh": []}],
    Auth.CASHIER: [{"access": []}, {"query": []}],
}

_BAD_TOKEN = (Answer.TOKEN_INVALID, Answer.TOKEN_EXPIRED, Answer.TOKEN_REVOKED)

_IMPLIED_BY_AUTH: Mapping[Auth, tuple[Answer, ...]] = {
    Auth.NONE: (),
    Auth.OPTIONAL: _BAD_TOKEN,
    Auth.USER: (Answer.LOGIN_REQUIRED, *_BAD_TOKEN),
    Auth.STAFF: (Answer.LOGIN_REQUIRED, *_BAD_TOKEN, Answer.FORBIDDEN),
    Auth.REFRESH: (Answer.LOGIN_REQUIRED, *_BAD_TOKEN),
    Auth.CASHIER: (Answer.LOGIN_REQUIRED, *_BAD_TOKEN),
}

_IMPLIED_BY_KEY = (Answer.REQUEST_RUNNING, Answer.KEY_REUSED)

# Whatever an operation does, the stores may be gone or busy.
_IMPLIED_BY_ALL = (Answer.FAULT, Answer.NOT_READY, Answer.BUSY)

# Refusals that say when another try makes sense; those with 429 do as well.
_SAYS_WHEN = frozenset({Answer.REQUEST_RUNNING, Answer.NOT_READY, Answer.BUSY})

_IMPLIED_BY_BODY = (Answer.BAD_REQUEST, Answer.UNSUPPORTED_TYPE, Answer.TOO_LARGE, Answer.REQUEST_TIMEOUT)

# All files are pictures.
_IMPLIED_BY_FILES = (Answer.TOO_MANY_PICTURES, Answer.PICTURE_QUOTA_FULL)

_ID: Json = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_PARAMETER = re.compile(r"<(?:(?P<converter>[a-z]+):)?(?P<name>\w+)>")

_FILES: Json = {"type": "array", "items": {"type": "string", "format": "binary"}}

_HEADERS: Json = {
    "X-Request-Id": {
        "description": "Identifies this request in the log.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
    },
    "Retry-After": {
        "description": "Seconds after which another try makes sense.",
        "schema": {"type": "integer", "minimum": 0},
    },
    REPLAYED_HEADER: {
        "description": "Present where this is the kept answer to an earlier request with the same key.",
        "schema": {"const": "true"},
    },
}

_PARAMETERS: Json = {
    KEY_HEADER: {
        "name": KEY_HEADER,
        "in": "header",
        "required": False,
        "description": "The client's name for this one request, best a UUID: sent again, it changes nothing more.",
        "schema": {"type": "string", "pattern": f"^{KEY_PATTERN}$", "minLength": 1, "maxLength": 255},
    },
    REASON_HEADER: {
        "name": REASON_HEADER,
        "in": "header",
        "required": False,
        "description": "Why staff read what the answer shows, in percent-encoded UTF-8, "
        f"{REASON_LENGTH} characters at most before that: it stands in the record of reads (`GET /api/staff/reads/`). "
        "URLs for everybody take it as well where staff read there what is not theirs.",
        "schema": {"type": "string"},
    },
}


def register_openapi(app: Flask, apis: Sequence[Api], details: Mapping[Answer, Any], *, always_200: bool) -> None:
    """Give `app` the document of `apis`, served by `app.web.docs`. `details` is what refusals tell (`app.refusals`)."""
    app.extensions["saltfish.openapi"] = OpenApiDocument(apis, details, always_200=always_200)


class OpenApiDocument:
    """The document; made when first asked for, since most processes never are."""

    def __init__(self, apis: Sequence[Api], details: Mapping[Answer, Any], *, always_200: bool) -> None:
        self._apis = apis
        self._details = details
        self._always_200 = always_200

    @functools.cached_property
    def content(self) -> bytes:
        """The document as JSON."""
        return orjson.dumps(_Builder(self._apis, self._details, always_200=self._always_200).document())

    @functools.cached_property
    def etag(self) -> str:
        """Changes with the document."""
        return hashlib.sha256(self.content).hexdigest()[:32]


@dataclass(frozen=True)
class _Reply:
    """One possible answer: its HTTP status, the schema of its envelope, whether an example of its name is there."""

    answer: Answer
    schema: Json
    has_example: bool = False


class _Schemas(GenerateJsonSchema):
    """Components with plain names and without titles, which only repeat them; codes as named enums."""

    def normalize_name(self, name: str) -> str:
        """`GoodOut` is `Good`, `Page[GoodOut]` is `GoodPage`, a request's `GoodIn` stays."""
        outer, _, inner = name.removesuffix("]").partition("[")
        return super().normalize_name(inner.removesuffix("Out") + outer.removesuffix("Out"))

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Never."""
        return False

    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> Json:
        """A field with `OneOf` is its enum."""
        one_of: OneOf | None = schema.get("metadata", {}).get(ONE_OF)
        if one_of is None:
            return super().function_after_schema(schema)
        enum = one_of.enum
        # Pydantic's own reference to an enum, so that fields of its type share the component.
        reference = f"{enum.__module__}.{enum.__qualname__}:{id(enum)}"
        metadata = {ONE_OF: one_of}
        return self.generate_inner(core_schema.enum_schema(enum, list(enum), ref=reference, metadata=metadata))

    def enum_schema(self, schema: core_schema.EnumSchema) -> Json:
        """With what generated clients call the values, and what users read for them."""
        described = super().enum_schema(schema)
        described["x-enum-varnames"] = [member.name for member in schema["members"]]
        one_of: OneOf | None = schema.get("metadata", {}).get(ONE_OF)
        if one_of is not None and one_of.texts is not None:
            texts = [f"- `{member.value}` {one_of.texts[member]}" for member in schema["members"]]
            described["description"] = "\n".join([described["description"], "", *texts])
        return described


class _Builder:
    def __init__(self, apis: Sequence[Api], details: Mapping[Answer, Any], *, always_200: bool) -> None:
        self._apis = apis
        self._details = details
        self._operations = [operation for api in apis for operation in api.operations]
        self._always_200 = always_200
        self._refusals: dict[str, Json] = {}
        self._examples: dict[str, Json] = {}
        # One call for all types, so that pydantic gives each a name of its own.
        self._schemas, definitions = TypeAdapter.json_schemas(
            _types(self._operations, details), ref_template="#/components/schemas/{model}", schema_generator=_Schemas
        )
        self._definitions: dict[str, Json] = definitions.get("$defs", {})
        for operation in self._operations:
            if operation.body is not None:
                self._close(operation)
        for name, definition in self._definitions.items():
            # Pydantic tells two classes of one name apart by their modules.
            if not _PLAIN_NAME.fullmatch(name):
                raise ValueError(f"the OpenAPI document has two components of one name: {name}")
            definition.pop("title", None)

    def _close(self, operation: Operation) -> None:
        """Say that its body has no other fields than those described, and those that it may have unread."""
        model = self._model(operation, "body")
        model["additionalProperties"] = False
        if operation.not_read:
            model["patternProperties"] = {f"^({'|'.join(operation.not_read)})$": {}}

    def document(self) -> Json:
        """The whole document."""
        paths: dict[str, Json] = {}
        for operation in self._operations:
            path = _PARAMETER.sub(r"{\g<name>}", operation.rule)
            paths.setdefault(path, {})[operation.method.lower()] = self._operation(operation)
        document: Json = {
            "openapi": "3.1.0",
            "info": {
                "title": "咸鱼 Saltfish",
                "version": __version__,
                "description": _DESCRIPTION,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/"}],
            "tags": [
                {"name": api.name, "x-displayName": api.tag, "description": f"{api.tag}: {api.about}"}
                for api in self._apis
            ],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self._refusals.items())),
                "securitySchemes": _SECURITY_SCHEMES,
                "headers": _HEADERS,
                "parameters": _PARAMETERS,
                "examples": dict(sorted(self._examples.items())),
            },
        }
        # Only what is referred to: query models became parameters, bodies with files or forms were copied.
        document["components"]["schemas"].update(self._reachable(document))
        return document

    def _reachable(self, document: Json) -> dict[str, Json]:
        found: dict[str, Json] = {}
        todo: list[Any] = [document]
        while todo:
            for name in _REFERENCE.findall(orjson.dumps(todo.pop()).decode()):
                if name in self._definitions and name not in found:
                    found[name] = self._definitions[name]
                    todo.append(found[name])
        return dict(sorted(found.items()))

    def _operation(self, operation: Operation) -> Json:
        described: Json = {
            "tags": [operation.tag],
            "operationId": operation.name,
            "summary": operation.summary,
            "parameters": [
                *_path_parameters(operation.rule),
                *self._query_parameters(operation),
                *({"$ref": f"#/components/parameters/{name}"} for name in operation.headers),
            ],
            "security": _SECURITY[operation.auth],
            "responses": self._responses(operation),
        }
        if operation.description:
            described["description"] = operation.description
        if operation.body or operation.files:
            described["requestBody"] = self._request_body(operation)
        return described

    def _query_parameters(self, operation: Operation) -> list[Json]:
        if operation.query is None:
            return []
        model = self._model(operation, "query")
        required = model.get("required", [])
        return [
            {"name": name, "in": "query", "required": name in required, "schema": _without_null(schema)}
            for name, schema in model["properties"].items()
        ]

    def _request_body(self, operation: Operation) -> Json:
        """JSON, or a multipart form where there are files. Other types are taken as well, as `_DESCRIPTION` says."""
        most = f"At most {operation.largest_body:,} bytes."
        if operation.files is None:
            schema = self._schemas[(operation.name, "body"), "validation"]
            required = bool(self._model(operation, "body").get("required"))
            return {"required": required, "description": most, "content": {"application/json": {"schema": schema}}}
        model: Json = self._model(operation, "body") if operation.body else {"type": "object", "properties": {}}
        fields = {name: _form_field(schema) for name, schema in model["properties"].items()}
        if operation.one_file:
            form = {**model, "properties": {**fields, operation.files: _FILES["items"]}, "required": [operation.files]}
            about = (
                f"As well in a field called {' or '.join(operation.file_aliases)}." if operation.file_aliases else ""
            )
            return {"required": True, "description": about, "content": {"multipart/form-data": {"schema": form}}}
        form = {**model, "properties": {**fields, operation.files: _FILES}}
        return {
            "required": bool(model.get("required")),
            "description": f"Without files the same fields are taken as JSON too. {most}",
            "content": {"multipart/form-data": {"schema": form}},
        }

    def _model(self, operation: Operation, part: str) -> Json:
        schema = self._schemas[(operation.name, part), "validation"]
        return self._definitions[schema["$ref"].rpartition("/")[2]]

    def _responses(self, operation: Operation) -> Json:
        responses: Json = {}
        if operation.redirects:
            location = {"description": "Where to go on.", "schema": {"type": "string", "format": "uri-reference"}}
            responses["302"] = {"description": "Found elsewhere", "headers": {"Location": location}}
        if operation.conditional or operation.cache_seconds:
            responses["304"] = {"description": "Not modified", "headers": {}}
        if operation.media:
            media = {kind: {"schema": _media_schema(kind)} for kind in operation.media}
            responses["200"] = {"description": "Success, no envelope", "headers": {}, "content": media}
        by_status: dict[int, list[_Reply]] = {}
        for reply in self._replies(operation):
            by_status.setdefault(200 if self._always_200 else reply.answer.http, []).append(reply)
        for status, replies in by_status.items():
            response = responses.setdefault(
                str(status),
                {"description": " / ".join(reply.answer.msg for reply in replies), "headers": {}, "content": {}},
            )
            response["content"]["application/json"] = _media_type(replies)
            if any(_says_when(reply.answer) for reply in replies):
                response["headers"]["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
        for http, response in responses.items():
            if operation.takes_key and is_kept(int(http)):
                response["headers"][REPLAYED_HEADER] = {"$ref": f"#/components/headers/{REPLAYED_HEADER}"}
            response["headers"]["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
        return dict(sorted(responses.items()))

    def _replies(self, operation: Operation) -> Iterator[_Reply]:
        if not operation.media and not operation.redirects:
            out = self._schemas[(operation.name, "out"), "serialization"]
            for answer in filter(None, (operation.answer, operation.empty)):
                yield _Reply(answer, _envelope_schema(answer, out))
        for answer in dict.fromkeys(_refusals(operation)):
            name = f"{_camel_case(answer.name).removesuffix('Refused')}Refusal"
            self._refusals[name] = _envelope_schema(answer, self._refusal_data(answer))
            example = _example(answer, self._details.get(answer))
            if example is not None:
                self._examples[answer.name] = {"value": example}
            yield _Reply(answer, {"$ref": f"#/components/schemas/{name}"}, has_example=example is not None)

    def _refusal_data(self, answer: Answer) -> Json:
        """The name of the refusal, and what it tells beside."""
        named = {"type": "object", "properties": {"error": {"const": answer.name}}, "required": ["error"]}
        if answer not in self._details:
            return named
        details: Json = self._schemas[(answer.name, "details"), "serialization"]
        shapes = [
            named if shape == {"type": "null"} else {"allOf": [shape, named]}
            for shape in details.get("anyOf", [details])
        ]
        return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _types(
    operations: Iterable[Operation], details: Mapping[Answer, Any]
) -> Iterator[tuple[tuple[str, str], JsonSchemaMode, TypeAdapter[Any]]]:
    for answer, shape in details.items():
        yield (answer.name, "details"), "serialization", TypeAdapter(shape)
    for operation in operations:
        if not operation.media and not operation.redirects:
            yield (operation.name, "out"), "serialization", TypeAdapter(operation.out)
        if operation.body:
            yield (operation.name, "body"), "validation", TypeAdapter(operation.body)
        if operation.query:
            yield (operation.name, "query"), "validation", TypeAdapter(operation.query)


def _refusals(operation: Operation) -> Iterator[Answer]:
    """Every refusal of `operation`: what it declares and what follows from its parts."""
    yield from operation.refuses
    yield from _IMPLIED_BY_AUTH[operation.auth]
    if not operation.strangers:  # of which any may have names in it that nobody knows
        yield operation.malformed
    if operation.body or operation.files:
        yield from _IMPLIED_BY_BODY
    if operation.files:
        yield from _IMPLIED_BY_FILES
    if operation.limit:
        yield Answer.TOO_MANY_REQUESTS
    if operation.takes_key:
        yield operation.malformed
        yield from _IMPLIED_BY_KEY
    yield from _IMPLIED_BY_ALL


def _example(answer: Answer, details: Any) -> Json | None:
    """The refusal as it comes, where it has no details of its own."""
    if details is not None and details is not FieldErrors:
        return None
    data = {"error": answer.name} if details is None else {"error": answer.name, **field_errors(field="必填")}
    return {"status": answer.status, "msg": answer.msg, "data": data}


def _camel_case(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _says_when(answer: Answer) -> bool:
    return answer in _SAYS_WHEN or answer.http == HTTPStatus.TOO_MANY_REQUESTS


def _path_parameters(rule: str) -> list[Json]:
    return [
        {
            "name": match["name"],
            "in": "path",
            "required": True,
            "schema": _ID if match["converter"] == "id" else {"type": "string", "pattern": "^[^/]+$"},
        }
        for match in _PARAMETER.finditer(rule)
    ]


def _envelope_schema(answer: Answer, data: Json) -> Json:
    return {
        "type": "object",
        "properties": {"status": {"const": answer.status}, "msg": {"const": answer.msg}, "data": data},
        "required": ["status", "msg", "data"],
        "additionalProperties": False,
    }


def _media_type(replies: Sequence[_Reply]) -> Json:
    schemas = [reply.schema for reply in replies]
    described: Json = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    names = [reply.answer.name for reply in replies if reply.has_example]
    examples = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
    if examples:
        described["examples"] = examples
    return described


def _media_schema(kind: str) -> Json:
    if kind.startswith("application/json"):
        return {"type": "object"}
    return {"type": "string"} if kind.startswith("text/") else {"type": "string", "format": "binary"}


def _form_field(schema: Json) -> Json:
    """`schema` as a form can say it: it has no null, for which a field left out or empty stands, and no lists."""
    if schema.get("type") != "array":
        return _without_null(schema)
    kept = {name: value for name, value in schema.items() if name == "description"}
    return {"type": "string", "pattern": "^[0-9]+(,[0-9]+)*$", **kept}


def _without_null(schema: Json) -> Json:
    """`schema` without the alternative null, and without null as default."""
    rest = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    if "anyOf" not in rest:
        return rest
    choices = [choice for choice in rest.pop("anyOf") if choice != {"type": "null"}]
    return {**rest, **choices[0]} if len(choices) == 1 else {**rest, "anyOf": choices}
