"""What routes ask of the gateway: path, query and body become the contract's request; and how lists, tables and limits
are shown."""

import csv
import io
import json
from datetime import date
from typing import Any

import aiohttp
import pytest

from hyperinfer.contracts import audit, gateway, people, usage
from hyperinfer.contracts.limits import Limits
from hyperinfer.contracts.method import Meta, Nothing
from hyperinfer.edge import downloads
from hyperinfer.errors import Unavailable
from hyperinfer.kernel.calls import Send
from hyperinfer.testing.gateway import FakeGateway

from .conftest import Serve
from .samples import KEY, REQUEST, ROW, gateway_of


@pytest.mark.parametrize(
    ("verb", "path", "body", "wanted"),
    [
        ("POST", "/api/auth/api-keys", {}, people.GenerateApiKey()),
        (
            "POST",
            "/api/auth/api-keys",
            {"name": "ci", "scopes": ["usage"], "models": ["m*"], "limits": {"tokens_per_day": 5}},
            people.GenerateApiKey(name="ci", scopes=("usage",), models=("m*",), limits=Limits(tokens_per_day=5)),
        ),
        ("PATCH", "/api/auth/api-keys/k1", {"name": "x"}, people.UpdateApiKey(id="k1", name="x")),
        ("PATCH", "/api/auth/api-keys/k1", {"limits": {}}, people.UpdateApiKey(id="k1", limits=Limits())),
        ("POST", "/api/auth/api-keys/k1/rotate", {}, people.RotateApiKey(id="k1")),
        ("POST", "/api/auth/api-keys/k1/rotate", {"overlap_s": 0}, people.RotateApiKey(id="k1", overlap_s=0)),
        ("DELETE", "/api/auth/api-keys/k1", None, people.OfKey(id="k1")),
        ("GET", "/api/me", None, Nothing()),
        ("PATCH", "/api/me", {"email": "b@c.d", "password": "x"}, people.UpdateAccount(email="b@c.d", password="x")),
        ("GET", "/api/admin/users?query=ad&limit=3", None, people.FindAccounts(query="ad", limit=3)),
        ("GET", "/api/admin/users/u1", None, people.OfAccount(id="u1")),
        (
            "PATCH",
            "/api/admin/users/u1",
            {"role": "admin", "is_active": False},
            people.ChangeAccount(id="u1", role="admin", is_active=False),
        ),
        ("POST", "/api/admin/users/u1/reset", {}, people.OfAccount(id="u1")),
        ("POST", "/api/admin/invites", {"valid_s": 60}, people.InvitePerson(valid_s=60)),
        ("POST", "/api/admin/models/load", {"model": "m"}, gateway.PlaceModel(model="m")),
        ("POST", "/api/admin/models/unload", {"model": "m", "worker": "ab"}, gateway.PlaceModel("m", "ab")),
        ("GET", "/api/usage?group=model", None, usage.UsageQuery(group="model")),
        (
            "GET",
            "/api/admin/usage?user_id=u1&since=2026-01-02",
            None,
            usage.UsageQuery(user_id="u1", since=date(2026, 1, 2)),
        ),
        ("GET", "/api/usage/requests?status=error&cursor=c", None, usage.RequestQuery(status="error", cursor="c")),
        ("GET", "/api/admin/audit?action=key.*", None, audit.AuditQuery(action="key.*")),
        ("GET", "/api/admin/audit?since=null", None, audit.AuditQuery(since="null")),
    ],
)
async def test_a_route_asks_for(serve: Serve, verb: str, path: str, body: Any, wanted: Any) -> None:
    fake = gateway_of()
    client = await serve(fake)
    async with client.request(verb, path, json=body, headers=KEY) as answer:
        assert answer.status < 300, await answer.text()
    assert [request for _, request, _ in fake.calls] == [wanted]


@pytest.mark.parametrize(
    ("verb", "path", "body", "param"),
    [
        ("POST", "/api/auth/api-keys", {"name": 1}, "name"),
        ("POST", "/api/auth/api-keys", {"scopes": ["root"]}, "scopes[0]"),
        ("POST", "/api/auth/api-keys", {"limits": {"tokens_per_day": -1}}, "limits.tokens_per_day"),
        ("POST", "/api/auth/api-keys", {"limits": {"tokensPerDay": 1}}, "limits.tokensPerDay"),
        ("POST", "/api/auth/api-keys/k1/rotate", {"overlap_s": 10**9}, "overlap_s"),
        ("DELETE", "/api/auth/api-keys/" + "k" * 65, None, "id"),
        ("GET", "/api/usage?user_id=u2", None, "user_id"),
        ("GET", "/api/usage/requests?user_id=u2", None, "user_id"),
        ("GET", "/api/usage?since=null", None, "since"),
        ("POST", "/api/inference", {"model": "m"}, "prompt"),
        ("POST", "/api/admin/models/load", {}, "model"),
        ("POST", "/api/admin/models/unload", {"model": ["m"]}, "model"),
    ],
)
async def test_what_is_out_of_bounds_is_named(serve: Serve, verb: str, path: str, body: Any, param: str) -> None:
    fake = gateway_of()
    client = await serve(fake)
    async with client.request(verb, path, json=body, headers=KEY) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]
    assert error["param"] == param
    assert fake.calls == []


async def test_lists_say_what_comes_next(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get("/api/admin/users", headers=KEY) as answer:
        body = await answer.json()
    assert (body["object"], body["next"], body["data"][0]["is_active"]) == ("list", "more", True)
    assert body["data"][0]["limits"]["requests_per_minute"] == 10


async def test_a_wrong_method_names_all_that_are_right(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.put("/api/me", headers=KEY) as answer:
        assert answer.status == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "PATCH", "DELETE"}


async def test_the_head_of_a_route_is_answered(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.head("/api/me", headers=KEY) as answer:
        assert (answer.status, await answer.read()) == (200, b"")


# --- tables ---------------------------------------------------------------------------------------------------


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=csv", "*/*"), ("", "text/csv"), ("?format=csv", "application/json")]
)
async def test_usage_as_a_table_that_no_spreadsheet_runs(serve: Serve, query: str, accept: str) -> None:
    client = await serve(gateway_of())
    async with client.get("/api/usage" + query, headers=KEY | {"Accept": accept}) as answer:
        assert answer.content_type == "text/csv"
        assert answer.headers["content-disposition"] == 'attachment; filename="usage-2026-01-01-2026-01-31.csv"'
        head, row = rows_of(await answer.text())  # no total: a spreadsheet that adds up would count it twice
    assert head[:4] == ["key", "label", "requests", "errors"]
    assert row[:2] == ["k1", "'=1+1"]


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html", "application/json, text/csv"])
async def test_json_is_what_is_had_otherwise(serve: Serve, accept: str) -> None:
    client = await serve(gateway_of())
    for path in ("/api/usage", "/api/quota", "/api/usage/requests", "/api/admin/audit"):
        async with client.get(path, headers=KEY | {"Accept": accept}) as answer:
            assert answer.content_type == "application/json"


def pages(count: int, *, fails_at: int | None = None) -> FakeGateway:
    async def answer(request: usage.RequestQuery, meta: Meta, sink: Send | None) -> usage.Requests:
        page = int(request.cursor or 0)
        if page == fails_at:
            raise Unavailable("Away.")
        assert request.limit == people.MAX_PAGE
        return usage.Requests(requests=(REQUEST,) * 2, next=str(page + 1) if page + 1 < count else None)

    return FakeGateway(listRequests=answer)


async def test_requests_are_sent_page_by_page(serve: Serve) -> None:
    fake = pages(5)
    client = await serve(fake)
    async with client.get("/api/usage/requests?format=csv&limit=1", headers=KEY) as answer:
        head, *rows = rows_of(await answer.text())
        assert answer.headers["content-disposition"] == 'attachment; filename="requests.csv"'
    assert len(rows) == 10
    assert len(fake.calls) == 5
    assert rows[0][head.index("request_id")] == "'@label"
    assert rows[0][head.index("cost")] == ""


async def test_the_head_of_a_table_takes_one_page(serve: Serve) -> None:
    fake = pages(10**9)
    client = await serve(fake)
    async with client.head("/api/usage/requests?format=csv", headers=KEY) as answer:
        assert answer.status == 200
    assert len(fake.calls) == 1


async def test_a_table_of_any_length_ends_and_says_so(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_ROWS", 6)
    client = await serve(pages(10**9))
    async with client.get("/api/usage/requests?format=csv", headers=KEY) as answer:
        *_, last = rows_of(await answer.text())
    assert last == ["There is more: ask again with cursor=3"]


async def test_a_table_that_fails_at_once_has_its_status_and_later_is_broken_off(serve: Serve) -> None:
    client = await serve(pages(5, fails_at=0))
    async with client.get("/api/usage/requests?format=csv", headers=KEY) as answer:
        assert answer.status == 503
    client = await serve(pages(5, fails_at=2))
    async with client.get("/api/usage/requests?format=csv", headers=KEY) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.text()


async def test_the_audit_log_as_lines(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get("/api/admin/audit?format=jsonl", headers=KEY) as answer:
        assert answer.content_type == "application/x-ndjson"
        [line] = (await answer.text()).splitlines()
    assert json.loads(line)["actor_name"] == ROW.actor_name
    async with client.get("/api/admin/audit", headers=KEY | {"Accept": "text/csv"}) as answer:
        head, row = rows_of(await answer.text())
    assert row[head.index("details")] == '{"key":"k1"}'


async def test_an_export_is_a_file(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get("/api/me/export", headers=KEY) as answer:
        assert await answer.json() == {"account": {}}
        assert answer.headers["content-disposition"] == 'attachment; filename="hyperinfer-account.json"'


async def test_verifying_keys_may_be_cached(serve: Serve) -> None:
    client = await serve(gateway_of())
    async with client.get("/.well-known/jwks.json") as answer:
        assert await answer.json() == {"keys": [{"kty": "OKP"}]}
        assert answer.headers["cache-control"] == "public, max-age=300"


# --- one prompt -----------------------------------------------------------------------------------------------


async def test_one_prompt_is_answered(serve: Serve) -> None:
    limits = gateway.RateLimitInfo(7, 10, 12, 1, remaining_tokens=5, max_tokens=100, tokens_reset_in_seconds=9)
    reply = gateway.ProcessPromptReply(
        prompt="hi", response="hello", request_id="r", model="m", worker="ab" * 32, rate_limit_info=limits
    )
    client = await serve(gateway_of(processPrompt=reply))
    async with client.post("/api/inference", json={"prompt": "hi", "model": "m"}, headers=KEY) as answer:
        assert answer.status == 200
        assert answer.headers["x-hyperinfer-worker"] == "abababababab"
        assert answer.headers["x-hyperinfer-model"] == "m"
        assert "server-timing" not in answer.headers  # the reply tells no times
        shown = {name.lower(): value for name, value in answer.headers.items() if name.startswith("x-ratelimit")}
        body = await answer.json()
    assert body == {"response": "hello", "model": "m", "usage": None, "requestId": "r"}
    assert shown == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "7",
        "x-ratelimit-reset-requests": "12s",
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "5",
        "x-ratelimit-reset-tokens": "9s",
    }


async def test_one_prompt_over_the_limit_is_429(serve: Serve) -> None:
    reply = gateway.ProcessPromptReply(
        allowed=False,
        status=429,
        message="Rate limit exceeded",
        retry_after=30,
        rate_limit_info=gateway.RateLimitInfo(0, 10, 30, 1, remaining_tokens=0, max_tokens=9),
    )
    client = await serve(gateway_of(processPrompt=reply))
    async with client.post("/api/inference", json={"prompt": "hi"}, headers=KEY) as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["x-ratelimit-limit-requests"] == "10"
        assert answer.headers["x-ratelimit-reset-tokens"] == "0s"
