"""What holds of every route of the table: credentials, fields, forms of answers, headers, cookies."""

from typing import Any

import msgspec
import pytest

from hyperinfer.contracts.method import Meta
from hyperinfer.edge import cookies
from hyperinfer.edge.app import DIALECTS, groups
from hyperinfer.edge.operations import Operation
from hyperinfer.errors import Unauthenticated

from .conftest import Serve
from .samples import BODIES, KEY, gateway_of

OPERATIONS = [
    operation
    for group in groups(request_timeout_s=5.0, metrics=True)
    for operation in group.operations
    if operation.answer is not None
]
TOKEN = "eyJ.a.token"
NO_JSON = ("text/plain", "text/html", "text/event-stream", "application/x-ndjson")
COOKIE = {"Cookie": f"hi_session={TOKEN}"}
SAME_SITE = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": cookies.csrf_token(TOKEN)}


def _refuses_unknown(operation: Operation) -> bool:
    """Imitated and original routes take what their clients have always sent."""
    return bool(operation.body.__struct_config__.forbid_unknown_fields) if operation.body else False


every = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.verb} {one.path}")
PROTECTED = [operation for operation in OPERATIONS if operation.access.kind != "public"]
protected = pytest.mark.parametrize("operation", PROTECTED, ids=lambda one: f"{one.verb} {one.path}")
in_platform = pytest.mark.parametrize(
    "operation",
    [operation for operation in PROTECTED if operation.takes_cookie],
    ids=lambda one: f"{one.verb} {one.path}",
)


def key_for(operation: Operation) -> dict[str, str]:
    """Headers with a key, and with that which asks for this operation among those on its path."""
    return KEY | ({operation.when: "any"} if operation.when else {})


def path_of(operation: Operation) -> str:
    return operation.path.replace("{id:path}", "m").replace("{id}", "x1").replace("{name}", "usage-2026-01-01")


def body_of(operation: Operation) -> dict[str, Any]:
    return BODIES.get((operation.verb, operation.path), {})


@every
async def test_it_answers_in_its_shape(serve: Serve, operation: Operation) -> None:
    client = await serve(gateway_of())
    headers = key_for(operation) if operation.path != "/api/auth/csrf" else COOKIE
    async with client.request(operation.verb, path_of(operation), json=body_of(operation), headers=headers) as answer:
        body = await answer.read()
        assert answer.status == operation.status, body
        assert answer.content_type in operation.media or not body
        assert bool(operation.replies or answer.content_type in NO_JSON) == bool(body)
        assert answer.headers["x-content-type-options"] == "nosniff"
        if operation.path.startswith("/api/"):
            assert answer.headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    if operation.replies:
        assert any(_is(body, kind) for kind in operation.replies), body


@protected
async def test_it_asks_for_a_credential(serve: Serve, operation: Operation) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.request(operation.verb, path_of(operation), json=body_of(operation)) as answer:
        assert answer.status == 401
        assert "set-cookie" not in answer.headers
    assert gateway.calls == []


@protected
async def test_it_asks_for_the_caller(serve: Serve, operation: Operation) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    headers = {"Authorization": "Bearer hi_key", "X-Request-Id": "mine"}
    async with client.request(operation.verb, path_of(operation), json=body_of(operation), headers=headers) as answer:
        if operation.path == "/api/auth/csrf":
            assert answer.status == 400
            return
    assert {meta for _, _, meta in gateway.calls} == {Meta(key="hi_key", request_id="mine", remote="127.0.0.1")}


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if _refuses_unknown(operation)],
    ids=lambda one: f"{one.verb} {one.path}",
)
@pytest.mark.parametrize("name", ["role", "tier", "is_active", "user_id", "scope", "createdAt", "__proto__"])
async def test_a_body_with_an_unknown_field_is_refused_by_name(serve: Serve, operation: Operation, name: str) -> None:
    assert isinstance(operation.body, type)
    if name in operation.body.__struct_fields__:
        assert operation.path.startswith("/api/admin/"), "no person sets this"
        return
    gateway = gateway_of()
    client = await serve(gateway)
    body = {**body_of(operation), name: "admin"}
    async with client.request(operation.verb, path_of(operation), json=body, headers=KEY) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert error["param"] == name
    assert repr(name) in error["message"]
    assert gateway.calls == []


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if operation.query and not operation.when],
    ids=lambda one: f"{one.verb} {one.path}",
)
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("nonsense=1", "nonsense"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("cursor=a&cursor=b", None),
        ("since=tomorrow", "since"),
        ("format=pdf", "format"),
        ("x=%ff", None),
        ("&".join(f"f{number}=1" for number in range(40)), None),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(
    serve: Serve, operation: Operation, query: str, param: str | None
) -> None:
    if operation.path == "/api/admin/audit" and param == "since":
        return  # a moment, which auth reads
    if operation.path == "/api/admin/logs" and query == "limit=201":
        return  # lines are short, and more of them are given at once
    client = await serve(gateway_of())
    async with client.get(f"{path_of(operation)}?{query}", headers=KEY) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert error["param"] == param


@in_platform
async def test_the_session_cookie_is_taken_from_our_own_pages(serve: Serve, operation: Operation) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    headers = COOKIE | ({} if operation.verb == "GET" else SAME_SITE)
    async with client.request(operation.verb, path_of(operation), json=body_of(operation), headers=headers) as answer:
        assert answer.status == operation.status
    assert [meta.key for _, _, meta in gateway.calls] == [TOKEN]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"X-CSRF-Token": SAME_SITE["X-CSRF-Token"]},
        SAME_SITE | {"Sec-Fetch-Site": "cross-site"},
        SAME_SITE | {"Sec-Fetch-Site": "same-site"},
        SAME_SITE | {"X-CSRF-Token": cookies.csrf_token("eyJ.another.token")},
        SAME_SITE | {"X-CSRF-Token": ""},
        SAME_SITE | {"Origin": "https://evil.example"},
        SAME_SITE | {"Origin": "null"},
    ],
)
@pytest.mark.parametrize(
    "operation",
    [one for one in PROTECTED if one.takes_cookie and one.verb != "GET"],
    ids=lambda one: f"{one.verb} {one.path}",
)
async def test_another_site_can_change_nothing_with_the_cookie(
    serve: Serve, operation: Operation, wrong: dict[str, str]
) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.request(
        operation.verb, path_of(operation), json=body_of(operation), headers=COOKIE | wrong
    ) as answer:
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
    assert gateway.calls == []


@in_platform
async def test_a_session_that_is_no_more_takes_its_cookie_away(serve: Serve, operation: Operation) -> None:
    refused = Unauthenticated("This session is over.")
    gateway = gateway_of(**dict.fromkeys(gateway_of().answers, refused))
    client = await serve(gateway)
    async with client.request(
        operation.verb, path_of(operation), json=body_of(operation), headers=COOKIE | SAME_SITE
    ) as answer:
        assert answer.status == 401
        assert answer.headers["set-cookie"].startswith("hi_session=; Max-Age=0; Path=/api; HttpOnly; SameSite=Strict")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        *[("POST", path) for dialect in DIALECTS for path in dialect.readers],
        *[(one.verb, path_of(one)) for one in PROTECTED if not one.takes_cookie],
    ],
)
async def test_routes_of_other_apis_take_no_cookie(serve: Serve, verb: str, path: str) -> None:
    gateway = gateway_of()
    client = await serve(gateway)
    async with client.request(verb, path, json={}, headers=COOKIE | SAME_SITE) as answer:
        assert answer.status == 401
    assert gateway.calls == []


def _is(body: bytes, kind: Any) -> bool:
    try:
        msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        return False
    return True
