"""The API's description in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1), made of the routes and their structs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import cleandoc
from typing import Any

import msgspec

from hyperinfer.contracts.people import SESSION
from hyperinfer.edge.cookies import HEADER, NAME
from hyperinfer.edge.errors import SHOWN, ErrorEnvelope, example_of
from hyperinfer.edge.operations import EVENTS, JSON, Group, Operation, names_in
from hyperinfer.edge.shapes import Shape
from hyperinfer.errors import (
    BadRequest,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    HyperinferError,
    NotFound,
    RateLimited,
    StreamStalled,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

Json = dict[str, Any]

REF = "#/components/schemas/{name}"
DESCRIPTION = """One private AI API over the machines of a swarm.

Send an API key or a session token as `Authorization: Bearer KEY` or `X-API-Key: KEY`, never in a URL. Browsers may keep
a session in a cookie (`cookie: true` at log-in); what changes something then also needs the header `X-CSRF-Token`. Every
error looks like OpenAI's; every answer has an `x-request-id`, the caller's own where one was sent.
"""
SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key (`hi_…`) or a session token."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same, in another header."},
    "session": {"type": "apiKey", "in": "cookie", "name": NAME, "description": "A browser's session."},
    "csrf": {"type": "apiKey", "in": "header", "name": HEADER, "description": "Shown at log-in with `cookie: true`."},
}
ERRORS: dict[type[HyperinferError], str] = {
    BadRequest: "What was sent makes no sense; `param` names the field.",
    Unauthenticated: "No credential, or one that is not valid (any more).",
    Forbidden: "Who asks is known and may not do this, or the request comes from a host or page that is not ours.",
    NotFound: "There is none, or it is not yours.",
    StreamStalled: "The client stopped taking or sending.",
    Conflict: "What this would make is there already, or what it would take away is needed.",
    TooLarge: "The body is too large.",
    RateLimited: "A limit is used up; `retry-after` says in how many seconds to come again.",
    Unavailable: "Something that is needed is away; try again.",
    DeadlineExceeded: "It took too long.",
}
ANSWER_HEADERS = {
    "x-hyperinfer-worker": "Who answered: the beginning of a worker's public key.",
    "x-hyperinfer-model": "Which model answered, where an alias was asked for or none named.",
    "x-hyperinfer-attempts": "How many workers were asked, if more than one.",
    "x-hyperinfer-cache": "`hit` or `miss`, where the response cache was asked.",
    "server-timing": "Milliseconds until a slot was free (`queue`) and until the first token was here (`first-token`).",
}
TEXT: Json = {"type": "string"}
FORMS: Mapping[str, Json] = {
    EVENTS: {
        "type": "object",
        "description": "The data of each event is JSON, or an error as everywhere; after the last comes `[DONE]`.",
        "properties": {"data": TEXT},
        "required": ["data"],
    }
}
"""What is in an answer that is neither JSON nor plain text."""
LIMIT_HEADERS = [
    f"x-ratelimit-{name}-{what}" for what in ("requests", "tokens") for name in ("limit", "remaining", "reset")
]


def document(groups: Sequence[Group], *, version: str) -> Json:
    """The description of these routes."""
    schemas = _Schemas(groups)
    special = [operation for group in groups for operation in group.operations if operation.when]
    paths: Json = {}
    names: set[str] = set()
    for group in groups:
        for operation in (_with(special, one) for one in group.operations if not one.when):
            item = paths.setdefault(path_of(operation), {})
            described = _operation(operation, group, schemas)
            if described["operationId"] in names:  # the same word at another root
                described["operationId"] += f"_{group.name.split()[0].lower()}"
            names.add(described["operationId"])
            item[operation.verb.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hyperinfer",
            "version": version,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": group.name} for group in groups],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": {kind.__name__: _refusal(kind, words, _envelope(kind)) for kind, words in ERRORS.items()},
            "headers": _headers(),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _with(special: Sequence[Operation], operation: Operation) -> Operation:
    """An operation with what a header makes of it: OpenAPI has one on each path."""
    for one in special:
        if (one.verb, one.path) == (operation.verb, operation.path):
            header = {one.when: {"description": one.summary, "schema": TEXT}}
            operation = replace(
                operation, replies=(*operation.replies, *one.replies), headers={**operation.headers, **header}
            )
    return operation


def path_of(operation: Operation) -> str:
    """A route's path as OpenAPI writes it."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", operation.path)


def access_of(operation: Operation) -> str:
    """Who may use a route, in a sentence."""
    access = operation.access
    if access.kind == "public":
        return "Needs no credential."
    if access == SESSION:
        return "Needs a session: no API key may do this."
    if access.kind == "admin":
        return "For administrators; an API key needs the scope `admin`."
    if not access.scope:
        return "Needs a credential, of whatever scope."
    return f"An API key needs the scope `{access.scope}`."


class _Schemas:
    """The JSON schemas of every struct in use, by its name, and references to them."""

    def __init__(self, groups: Sequence[Group]) -> None:
        operations = [operation for group in groups for operation in group.operations]
        bodies = [one.body for one in operations if one.body is not None]
        replies = [reply for one in operations for reply in (*one.replies, *one.also.values())]
        errors = [group.error for group in groups if group.error is not None]
        kinds = list(dict.fromkeys([*bodies, *replies, *errors, ErrorEnvelope]))
        found, components = msgspec.json.schema_components(kinds, ref_template=REF)
        self.components: Json = {name: _tidied(schema) for name, schema in components.items()}
        self._of = dict(zip(kinds, found, strict=True))

    def of(self, kind: Any) -> Json:
        """The schema of a type, or a reference to it."""
        schema: Json = self._of[kind]
        return schema


def _operation(operation: Operation, group: Group, schemas: _Schemas) -> Json:
    described: Json = {
        "tags": [group.name],
        "operationId": _id_of(operation),
        "summary": operation.summary,
        "description": access_of(operation),
        "security": _security(operation),
        "parameters": [
            *_path_parameters(operation),
            *_query_parameters(operation.query),
            *(
                {"name": name, "in": "header", "required": False, **header}
                for name, header in operation.headers.items()
            ),
        ],
        "responses": _responses(operation, group, schemas),
    }
    if operation.body is not None:
        content: Json = {"schema": schemas.of(operation.body)}
        if operation.example:
            content["example"] = dict(operation.example)
        described["requestBody"] = {"required": _needs_body(operation.body), "content": {JSON: content}}
    return described


def _id_of(operation: Operation) -> str:
    words = re.findall(r"[a-zA-Z0-9]+", path_of(operation).replace("/api/", "/").replace("{id}", "one"))
    return "_".join([operation.verb.lower(), *words])


def _security(operation: Operation) -> list[Json]:
    if operation.access.kind == "public":
        return []
    headers: list[Json] = [{"bearer": []}, {"apiKey": []}]
    if not operation.takes_cookie:
        return headers
    return [*headers, {"session": []} if operation.verb == "GET" else {"session": [], "csrf": []}]


def _path_parameters(operation: Operation) -> Iterator[Json]:
    for name in sorted(names_in(operation.path)):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200 if ":path" in operation.path else 64},
        }


def _query_parameters(kind: Shape | None) -> Iterator[Json]:
    if kind is None:
        return
    [reference], components = msgspec.json.schema_components([kind], ref_template=REF)
    own = components[reference["$ref"].rpartition("/")[2]]
    for name, found in own["properties"].items():
        schema = {key: value for key, value in found.items() if key != "default" or value is not None}
        yield {"name": name, "in": "query", "required": name in own["required"], "schema": schema}


def _needs_body(kind: Shape) -> bool:
    return any(
        field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
        for field in msgspec.structs.fields(kind)
    )


def _responses(operation: Operation, group: Group, schemas: _Schemas) -> Json:
    responses: Json = {str(operation.status): _answer(operation, schemas)}
    for kind in _refusals(operation):
        if group.error is None:
            refusal = {"$ref": f"#/components/responses/{kind.__name__}"}
        else:
            refusal = _refusal(kind, ERRORS[kind], {"schema": schemas.of(group.error)})
        responses.setdefault(str(SHOWN[kind].status), refusal)
    for status, kind in operation.also.items():
        either = {"anyOf": [schemas.of(kind), schemas.of(group.error or ErrorEnvelope)]}
        responses[str(status)] = {"description": operation.summary, "content": {JSON: {"schema": either}}}
    return dict(sorted(responses.items()))


def _refusals(operation: Operation) -> Iterator[type[HyperinferError]]:
    yield from (BadRequest, Forbidden, Unavailable, DeadlineExceeded)
    if operation.access.kind != "public" or operation.body is not None:
        yield Unauthenticated
    if operation.access.kind != "public" or operation.verb != "GET":
        yield RateLimited
    if names_in(operation.path) or operation.body is not None or operation.finds:
        yield NotFound
    if operation.body is not None:
        yield from (StreamStalled, TooLarge)
    if operation.verb != "GET" and operation.access.scope != "inference":
        yield Conflict


def _answer(operation: Operation, schemas: _Schemas) -> Json:
    answer: Json = {"description": operation.summary, "headers": {"x-request-id": _header("x-request-id")}}
    if operation.status == 204:
        return answer
    json = [schemas.of(kind) for kind in operation.replies]
    schema = json[0] if len(json) == 1 else {"anyOf": json}
    answer["content"] = {
        media: {"schema": schema if media == JSON else FORMS.get(media, TEXT)} for media in operation.media
    }
    if operation.access.scope == "inference" and operation.verb == "POST":
        answer["headers"] |= {name: _header(name) for name in (*ANSWER_HEADERS, *LIMIT_HEADERS)}
    return answer


def _refusal(kind: type[HyperinferError], words: str, body: Json) -> Json:
    headers = ["x-request-id", "x-should-retry"]
    if kind is RateLimited:
        headers += ["retry-after", "retry-after-ms", *LIMIT_HEADERS]
    elif kind is Unavailable:
        headers += ["retry-after", "retry-after-ms"]
    elif kind is Unauthenticated:
        headers.append("www-authenticate")
    return {
        "description": words,
        "headers": {name: _header(name) for name in headers},
        "content": {JSON: body},
    }


def _envelope(kind: type[HyperinferError]) -> Json:
    return {"schema": {"$ref": REF.format(name="ErrorEnvelope")}, "example": example_of(kind)}


def _header(name: str) -> Json:
    return {"$ref": f"#/components/headers/{name}"}


def _headers() -> Json:
    words = {
        "x-request-id": "What this request is called in logs.",
        "x-should-retry": "Whether the same request may be answered if it is made again: true or false.",
        "retry-after": "Seconds after which to come again.",
        "retry-after-ms": "The same in milliseconds.",
        "www-authenticate": "How to authenticate.",
        **ANSWER_HEADERS,
    }
    known: Json = {name: {"description": text, "schema": {"type": "string"}} for name, text in words.items()}
    for name in LIMIT_HEADERS:
        kind = (
            {"type": "string", "pattern": "^[0-9]+s$"} if "reset" in name else {"type": "string", "pattern": "^[0-9]+$"}
        )
        known[name] = {"description": "How the limit that is nearest to its end stands.", "schema": kind}
    return known


def _tidied(schema: Json) -> Json:
    """Without what says nothing, and its words as they would be read."""
    kept = {name: value for name, value in schema.items() if name != "title" and value != []}
    return kept | {"description": cleandoc(kept["description"])} if "description" in kept else kept
