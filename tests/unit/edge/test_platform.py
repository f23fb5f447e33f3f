"""The platform's REST API: accounts, keys, one-prompt inference, health."""

from typing import Any

import pytest

from hyperinfer.contracts import gateway as contract
from hyperinfer.contracts.people import Account, ApiKey, ApiKeys, NewApiKey
from hyperinfer.contracts.common import Health, MetricsText
from hyperinfer.contracts.inference import ModelStatus, Usage
from hyperinfer.contracts.method import Nothing
from hyperinfer.errors import Draining, Forbidden
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Serve

KEY = {"X-API-Key": "hi_key"}
ACCOUNT = Account(id="1", username="ada", email="ada@example.com", role="user", tier="default", created_at="2026-01-01")
NEW_KEY = NewApiKey(id="2", name="default", prefix="hi_abc", created_at="2026-01-01", key="hi_abc_secret")


async def test_registering_answers_the_account_and_its_first_key(serve: Serve) -> None:
    reply = contract.RegisterReply(success=True, status=201, message="Welcome.", account=ACCOUNT, api_key=NEW_KEY)
    gateway = FakeGateway(register=always(reply))
    client = await serve(gateway)
    given = {"username": "ada", "email": "ada@example.com", "password": "correct horse"}
    async with client.post("/api/auth/register", json=given) as answer:
        assert answer.status == 201
        body = await answer.json()
    assert body["username"] == "ada"
    assert body["created_at"] == "2026-01-01"
    assert body["api_key"]["key"] == "hi_abc_secret"
    assert gateway.calls[0][1] == contract.Register(**given)


@pytest.mark.parametrize(("status", "code"), [(409, "CONFLICT"), (400, "BAD_REQUEST"), (403, "FORBIDDEN")])
async def test_a_refused_registration_has_the_status_of_its_reason(serve: Serve, status: int, code: str) -> None:
    refusal = contract.RegisterReply(success=False, status=status, message="Because.", code=code)
    client = await serve(FakeGateway(register=always(refusal)))
    async with client.post("/api/auth/register", json={}) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]["message"] == "Because."


async def test_logging_in_answers_a_bearer_token(serve: Serve) -> None:
    reply = contract.LoginReply(
        success=True, status=200, email=ACCOUNT.email, key="jwt", expires_in=60, account=ACCOUNT
    )
    client = await serve(FakeGateway(login=always(reply)))
    async with client.post("/api/auth/login", json={"username": "ada", "password": "x"}) as answer:
        assert answer.status == 200
        body = await answer.json()
    assert (body["access_token"], body["token_type"], body["expires_in"]) == ("jwt", "bearer", 60)


async def test_a_wrong_password_is_401_and_too_many_say_when_to_come_again(serve: Serve) -> None:
    wrong = contract.LoginReply(success=False, status=401, message="Wrong.", code="UNAUTHENTICATED")
    client = await serve(FakeGateway(login=always(wrong)))
    async with client.post("/api/auth/login", json={}) as answer:
        assert answer.status == 401
    often = contract.LoginReply(success=False, status=429, message="Often.", code="RATE_LIMITED", retry_after=9)
    client = await serve(FakeGateway(login=always(often)))
    async with client.post("/api/auth/login", json={}) as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "9"


async def test_api_keys_are_made_listed_and_revoked(serve: Serve) -> None:
    key = ApiKey(id="2", name="ci", prefix="hi_abc", created_at="2026-01-01")
    gateway = FakeGateway(
        generateApiKey=always(NEW_KEY), listApiKeys=always(ApiKeys(keys=(key,))), revokeApiKey=always(key)
    )
    client = await serve(gateway)
    async with client.post("/api/auth/api-keys", json={"name": "ci"}, headers=KEY) as answer:
        assert answer.status == 201
        assert (await answer.json())["key"] == "hi_abc_secret"
    async with client.post("/api/auth/api-keys", headers=KEY) as answer:
        assert answer.status == 201
    async with client.get("/api/auth/api-keys", headers=KEY) as answer:
        assert [row["id"] for row in (await answer.json())["data"]] == ["2"]
    async with client.delete("/api/auth/api-keys/2", headers=KEY) as answer:
        assert answer.status == 200
    assert [request for _, request, _ in gateway.calls] == [
        contract.GenerateApiKey(name="ci"),
        contract.GenerateApiKey(),
        Nothing(),
        contract.OfKey(id="2"),
    ]


async def test_a_wrong_type_names_the_field(serve: Serve) -> None:
    client = await serve(FakeGateway())
    async with client.post("/api/auth/api-keys", json={"name": 1}, headers=KEY) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["param"] == "name"
    async with client.post("/api/inference", json={"model": "m"}, headers=KEY) as answer:
        assert answer.status == 400
        assert "prompt" in (await answer.json())["error"]["message"]


async def test_one_prompt_is_answered(serve: Serve) -> None:
    reply = contract.ProcessPromptReply(
        prompt="hi", response="hello", request_id="r", model="m", usage=Usage(1, 2), worker="ab" * 32
    )
    client = await serve(FakeGateway(processPrompt=always(reply)))
    async with client.post("/api/inference", json={"prompt": "hi", "model": "m"}, headers=KEY) as answer:
        assert answer.status == 200
        assert answer.headers["x-hyperinfer-worker"] == "abababababab"
        body = await answer.json()
    assert body == {
        "response": "hello",
        "model": "m",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "requestId": "r",
    }


async def test_one_prompt_over_the_limit_is_429(serve: Serve) -> None:
    limits = contract.RateLimitInfo(0, 10, 30, 1)
    reply = contract.ProcessPromptReply(
        allowed=False, status=429, message="Rate limit exceeded", retry_after=30, rate_limit_info=limits
    )
    client = await serve(FakeGateway(processPrompt=always(reply)))
    async with client.post("/api/inference", json={"prompt": "hi"}, headers=KEY) as answer:
        assert answer.status == 429
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["x-ratelimit-limit-requests"] == "10"


async def test_models_and_workers_are_shown(serve: Serve) -> None:
    status = ModelStatus(name="m", backend="echo", state="ready", slots=2, busy=1, queued=0)
    worker = contract.SwarmWorker(key="ab", name="gpu", state="ready", in_flight=1, models=(status,))
    model = contract.PublicModel(id="m", created=1, workers=1, slots=2, busy=1, context_tokens=9)
    client = await serve(
        FakeGateway(
            listModels=always(contract.PublicModels(models=(model,))),
            listWorkers=always(contract.SwarmWorkers(workers=(worker,))),
        )
    )
    async with client.get("/api/models", headers=KEY) as answer:
        assert (await answer.json())["models"][0]["context_tokens"] == 9
    async with client.get("/api/workers", headers=KEY) as answer:
        assert (await answer.json())["workers"][0]["models"][0]["name"] == "m"


def health(status: str, *reasons: str) -> Any:
    return always(Health(status=status, service="gateway", version="1", uptime_s=1.0, reasons=reasons))


async def test_health_and_metrics(serve: Serve) -> None:
    client = await serve(FakeGateway(getServiceHealth=health("ready"), getMetrics=always(MetricsText(text="a 1\n"))))
    for path, expected in (("/healthz", "alive"), ("/readyz", "ready")):
        async with client.get(path) as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, expected)
    async with client.get("/metrics") as answer:
        assert await answer.text() == "a 1\n"


async def test_not_ready_says_why(serve: Serve) -> None:
    client = await serve(FakeGateway(getServiceHealth=health("degraded", "No model is ready.")))
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["No model is ready."]
    client = await serve(FakeGateway(getServiceHealth=always(Draining("Stopping."))))
    async with client.get("/readyz") as answer:
        assert answer.status == 503
    client = await serve(FakeGateway(getMetrics=always(Forbidden("Members only."))))
    async with client.get("/metrics") as answer:
        assert answer.status == 403
