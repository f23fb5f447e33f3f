"""The original interface: its shapes, its refusals, and that it keeps nobody's identity."""

from typing import Any

import pytest

from hyperinfer.contracts import gateway
from hyperinfer.contracts.gateway import RateLimitInfo
from hyperinfer.contracts.method import Meta
from hyperinfer.errors import Conflict, HyperinferError, PeerUnreachable, Unauthenticated

from .conftest import Serve
from .samples import KEY, gateway_of

BEARER = {"Authorization": "Bearer eyJ.a.token"}
PERSON = {"email": "ada@example.com", "password": "correct horse"}
LIMITS = RateLimitInfo(remaining_requests=9, max_requests=10, next_reset_in_seconds=60, window_duration_minutes=1)


async def answer(serve: Serve, path: str, body: Any = None, headers: Any = None, **replies: Any) -> tuple[int, Any]:
    client = await serve(gateway_of(**replies))
    async with client.request("GET" if path == "/health" else "POST", path, json=body, headers=headers) as got:
        return got.status, await got.json()


async def test_a_new_account_is_answered_with_its_first_key(serve: Serve) -> None:
    status, body = await answer(serve, "/register", PERSON)
    assert status == 201
    assert body == {
        "success": True,
        "status": 201,
        "message": body["message"],
        "email": "ada@example.com",
        "apiKey": "hi_abc_secret",
    }


async def test_logging_in_answers_the_token_and_nothing_is_kept(serve: Serve) -> None:
    fake = gateway_of()
    client = await serve(fake)
    async with client.post("/login", json=PERSON | {"remember": True}) as got:
        assert got.status == 200
        assert "set-cookie" not in got.headers
        body = await got.json()
    assert body["success"] is True
    assert body["key"] == body["token"] == "eyJ.a.token"
    async with client.post("/verify-session") as got:
        assert got.status == 401
    async with client.post("/inference", json={"query": "hi"}) as got:
        assert got.status == 401
    assert [name for name, _, _ in fake.calls] == ["login"]


async def test_a_prompt_is_answered_as_it_always_was(serve: Serve) -> None:
    reply = gateway.ProcessPromptReply(
        prompt="hi", response="ho", processed_at="2026-01-01T00:00:00.000Z", request_id="mine", rate_limit_info=LIMITS
    )
    client = await serve(gateway_of(processPrompt=reply))
    async with client.post("/inference", json={"query": "hi", "session": 3}, headers=BEARER) as got:
        assert got.status == 200
        assert got.headers["x-ratelimit-remaining-requests"] == "9"
        assert await got.json() == {
            "prompt": "hi",
            "response": "ho",
            "processed_at": "2026-01-01T00:00:00.000Z",
            "requestId": "mine",
        }


async def test_a_session_is_told_whose_it_is_and_what_is_left(serve: Serve) -> None:
    reply = gateway.VerifySessionReply(valid=True, email="ada@example.com", rate_limit_info=LIMITS)
    status, body = await answer(serve, "/verify-session", headers=BEARER, verifySession=reply)
    assert status == 200
    assert body == {
        "valid": True,
        "email": "ada@example.com",
        "rateLimitInfo": {
            "remainingRequests": 9,
            "maxRequests": 10,
            "nextResetInSeconds": 60,
            "windowDurationMinutes": 1,
        },
    }


async def test_the_token_that_is_given_back_is_the_one_that_was_sent(serve: Serve) -> None:
    assert await answer(serve, "/get-api-token", headers=BEARER) == (200, {"success": True, "token": "eyJ.a.token"})
    assert await answer(serve, "/get-api-token", headers=KEY) == (200, {"success": True, "token": "hi_key"})


async def test_it_says_that_it_lives(serve: Serve) -> None:
    status, body = await answer(serve, "/health")
    assert status == 200
    assert body == {"status": "healthy", "timestamp": body["timestamp"]}
    assert body["timestamp"] > 1_700_000_000_000


NOT_VALID = gateway.VerifySessionReply(valid=False, message="This session has ended.")
TAKEN = gateway.RegisterReply(success=False, status=409, message="This e-mail has an account.", code="CONFLICT")
WRONG = gateway.LoginReply(success=False, status=401, message="Wrong.", code="UNAUTHENTICATED")
TOO_MANY = gateway.LoginReply(success=False, status=429, message="Too many.", code="RATE_LIMITED", retry_after=7)


@pytest.mark.parametrize(
    ("path", "body", "replies", "status", "more"),
    [
        ("/register", PERSON, {"register": TAKEN}, 409, {"code": "CONFLICT"}),
        ("/register", PERSON, {"register": Conflict("Taken.")}, 409, {"code": "CONFLICT"}),
        ("/register", {"email": 3}, {}, 400, {"code": "BAD_REQUEST"}),
        ("/login", PERSON, {"login": WRONG}, 401, {"code": "UNAUTHENTICATED"}),
        ("/login", PERSON, {"login": TOO_MANY}, 429, {"retryAfter": 7, "allowed": False}),
        ("/inference", {}, {}, 400, {"code": "BAD_REQUEST"}),
        ("/inference", {"query": " "}, {}, 400, {"code": "BAD_REQUEST"}),
        ("/inference", {"query": "hi"}, {"processPrompt": Unauthenticated("No.")}, 401, {"code": "UNAUTHENTICATED"}),
        ("/verify-session", None, {"verifySession": NOT_VALID}, 401, {"valid": False}),
        ("/get-api-token", None, {"verifySession": NOT_VALID}, 401, {"message": "This session has ended."}),
        (
            "/inference",
            {"query": "hi"},
            {"processPrompt": PeerUnreachable("It is away.", retry_after_s=2)},
            503,
            {"retryAfter": 2},
        ),
    ],
)
async def test_a_refusal_has_the_original_shape(
    serve: Serve, path: str, body: Any, replies: dict[str, HyperinferError], status: int, more: dict[str, Any]
) -> None:
    got, refusal = await answer(serve, path, body, BEARER, **replies)
    assert got == status
    assert refusal["success"] is False
    assert refusal["status"] == status
    assert refusal["message"]
    assert more.items() <= refusal.items()


async def test_over_the_limit_it_says_how_the_limits_stand(serve: Serve) -> None:
    reply = gateway.ProcessPromptReply(
        allowed=False, status=429, message="Rate limit exceeded", retry_after=30, rate_limit_info=LIMITS
    )
    status, refusal = await answer(serve, "/inference", {"query": "hi"}, BEARER, processPrompt=reply)
    assert status == 429
    assert refusal["allowed"] is False
    assert refusal["retryAfter"] == 30
    assert refusal["rateLimitInfo"]["maxRequests"] == 10


async def test_a_page_of_another_site_may_not_log_anybody_in(serve: Serve) -> None:
    fake = gateway_of()
    client = await serve(fake)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        async with client.post("/login", json=PERSON, headers=headers) as got:
            assert got.status == 403
            assert (await got.json())["success"] is False
    assert fake.calls == []


async def test_each_call_is_made_for_who_asks(serve: Serve) -> None:
    fake = gateway_of()
    client = await serve(fake)
    for name in ("eve", "ada"):
        async with client.post(
            "/inference", json={"query": "hi"}, headers={"Authorization": f"Bearer eyJ.{name}"}
        ) as got:
            assert got.status == 200
    keys: list[Meta] = [meta for _, _, meta in fake.calls]
    assert [meta.key for meta in keys] == ["eyJ.eve", "eyJ.ada"]
