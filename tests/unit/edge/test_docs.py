"""The API's description is whole and right by its own standard, and can be read without a network."""

import json
import re
from typing import Any

import msgspec
import pytest
import schemathesis

from hyperinfer.contracts.gateway import PublicModel, PublicModels, RateLimitInfo
from hyperinfer.edge.app import DIALECTS, groups
from hyperinfer.edge.dialects.openai.described import GROUP
from hyperinfer.edge.dialects.openai.passed_on import KINDS
from hyperinfer.edge.openapi import document, path_of
from hyperinfer.edge.openapi_3_0 import as_3_0
from hyperinfer.edge.operations import Operation
from hyperinfer.edge.platform import original
from hyperinfer.testing.gateway import FakeGateway

from .conftest import Client, Serve
from .samples import BODIES, gateway_of

DOCUMENT = document(groups(request_timeout_s=1.0, metrics=True), version="1")
TO_MODELS = frozenset(path for dialect in DIALECTS for path in dialect.readers)
IMITATED = frozenset(path_of(operation) for dialect in DIALECTS for operation in dialect.group.operations)
OPERATIONS: list[tuple[str, str, dict[str, Any]]] = [
    (path, verb, operation) for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()
]


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(FakeGateway())


@pytest.mark.parametrize("described", [DOCUMENT, as_3_0(DOCUMENT)], ids=["3.1", "3.0"])
def test_it_is_right_by_its_own_standard(described: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(described).validate()


def test_the_older_form_has_no_word_of_the_newer() -> None:
    text = json.dumps(as_3_0(DOCUMENT))
    assert '"null"' not in text
    assert '"const"' not in text


def test_names_are_ours_and_told_apart() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    names = list(DOCUMENT["components"]["schemas"])
    assert all(re.fullmatch("[A-Z][A-Za-z]+", name) for name in names), names


def test_every_field_is_in_snake_case_but_the_original_ones() -> None:
    fields = {name for schema in DOCUMENT["components"]["schemas"].values() for name in schema.get("properties", ())}
    shapes: list[type[msgspec.Struct]] = [*original_shapes(), RateLimitInfo]
    original = {name for shape in shapes for name in shape.__struct_encode_fields__}
    assert {name for name in fields if name != name.lower()} <= original | {"requestId"}


def original_shapes() -> list[type[msgspec.Struct]]:
    group = original.group(timeout_s=1.0)
    assert group.error is not None
    return [group.error, *(reply for operation in group.operations for reply in operation.replies)]


def test_every_reference_leads_somewhere() -> None:
    for name in set(re.findall(r'"\$ref": "#/components/(\w+/[\w.-]+)"', json.dumps(DOCUMENT))):
        kind, _, item = name.partition("/")
        assert item in DOCUMENT["components"][kind]


def test_an_example_is_there_where_something_must_be_sent() -> None:
    for path, verb, operation in OPERATIONS:
        if (verb.upper(), path) in BODIES and path != "/api/auth/reset":
            assert operation["requestBody"]["content"]["application/json"]["example"], path


def test_cookies_are_for_the_platform_alone() -> None:
    for path, verb, operation in OPERATIONS:
        schemes = {name for way in operation["security"] for name in way}
        if not path.startswith("/api/") or path in IMITATED:
            assert not schemes & {"session", "csrf"}, path
        elif operation["security"] and verb != "get":
            assert {"session": [], "csrf": []} in operation["security"]


async def test_it_is_served_as_it_is(client: Client) -> None:
    async with client.get("/openapi.json") as answer:
        assert answer.content_type == "application/json"
        body = await answer.json()
    assert body["openapi"] == "3.1.0"
    assert body["paths"] == DOCUMENT["paths"]


async def test_without_metrics_they_are_not_described() -> None:
    assert "/metrics" not in document(groups(request_timeout_s=1.0, metrics=False), version="1")["paths"]


async def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    async with client.get("/docs") as answer:
        assert answer.content_type == "text/html"
        policy = answer.headers["content-security-policy"]
        page = await answer.text()
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in page
    for source in re.findall(r'(?:src|href)="([^"]+)"', page):
        async with client.get(source) as answer:
            assert answer.status == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert await answer.read()
    async with client.get("/docs/openapi-3.0.json") as answer:
        assert (await answer.json())["openapi"] == "3.0.3"


@pytest.mark.parametrize("name", ["index.html", "..%2f__init__.py", "%252e%252e", "swagger-ui.css.map", "nothing"])
async def test_nothing_else_of_the_viewer_is_served(client: Client, name: str) -> None:
    async with client.get(f"/docs/{name}") as answer:
        assert answer.status == 404


async def test_its_examples_are_accepted(serve: Serve) -> None:
    model = PublicModel("smollm2-135m", 1, 1, 2, 1, 512)
    client = await serve(gateway_of(listModels=PublicModels(models=(model,))))
    for path, verb, operation in OPERATIONS:
        example = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if example is None or path in TO_MODELS:
            continue  # the worker reads these
        async with client.request(verb, path.replace("{id}", "x1"), json=example, headers={"X-API-Key": "k"}) as answer:
            assert answer.status < 300, await answer.text()


@pytest.mark.parametrize(
    "operation", [one for one in GROUP.operations if one.path in KINDS], ids=lambda one: str(one.path)
)
def test_the_examples_that_a_worker_reads_are_right(operation: Operation) -> None:
    assert operation.body is not None
    msgspec.convert(operation.example, operation.body)


@pytest.mark.parametrize("path", KINDS)
def test_the_routes_to_models_describe_their_header(path: str) -> None:
    [header] = DOCUMENT["paths"][path]["post"]["parameters"]
    assert (header["name"], header["in"], header["schema"]["enum"]) == ("x-hyperinfer-cache", "header", ["on", "off"])
