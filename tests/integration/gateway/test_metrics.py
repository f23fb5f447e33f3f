"""What a gateway shows equals what was asked of it, exactly, and says nothing of who asked what."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from hyperinfer.contracts.inference import Processed, ProcessRequest, Usage
from hyperinfer.contracts.limits import Limits
from hyperinfer.errors import BackendFailed
from hyperinfer.kernel.calls import Call
from hyperinfer.testing.auth import FakeAuth
from hyperinfer.testing.inference import FakeInference, echo

from .conftest import House, house

SECRET = "the colour of the vault is mauve"


class Shown:
    """The samples of a gateway's text."""

    def __init__(self, text: str) -> None:
        self.text = text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        self._values = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}

    def value(self, name: str, **labels: str) -> float | None:
        return self._values.get((f"ai_platform_{name}", frozenset(labels.items())))


async def shown(running: House) -> Shown:
    async with running.http.get("/metrics") as reply:
        return Shown(await reply.text())


async def test_counters_equal_what_was_asked(tmp_path: Path) -> None:
    auth = FakeAuth(tiers={"default": Limits(requests_per_minute=3), "premium": Limits(concurrent_requests=0)})
    keys = {tier: auth.person(f"of-{tier}", tier=tier) for tier in ("default", "premium")}
    async with house(tmp_path, FakeInference("m"), auth=auth, metrics__per_key=True) as running:
        asked = [running.chat(messages=[{"role": "user", "content": SECRET}]) for _ in range(5)]
        asked += [running.chat(model=f"{SECRET} {number}") for number in range(4)]
        asked += [running.chat(key=keys["default"]) for _ in range(7)]
        asked += [running.chat(key=keys["premium"]) for _ in range(2)]
        statuses = [status for status, _ in await asyncio.gather(*asked)]
        streamed, _ = await running.stream()
        look = await shown(running)
    # Once the gateway has stopped, auth has been told of everything.
    assert sorted(statuses) == [200] * 8 + [404] * 4 + [429] * 6
    method = {"service": "gateway", "method": "processInferenceRequest"}
    assert look.value("requests_total", **method, status="ok") == 9
    assert look.value("requests_total", **method, status="MODEL_NOT_FOUND") == 4
    assert look.value("requests_total", **method, status="RATE_LIMITED") == 6
    assert look.value("request_duration_seconds_count", service="gateway", model="m") == 9
    assert look.value("first_token_seconds_count", model="m") == 1
    assert look.value("queue_seconds_count", model="m") == 9
    told = {"limit": "requests_per_minute", "scope": "user", "tier": "default"}
    assert look.value("rate_limit_violations_total", **told) == 4
    told = {"limit": "concurrent_requests", "scope": "user", "tier": "premium"}
    assert look.value("rate_limit_violations_total", **told) == 2
    assert look.value("active_users", time_window="5m") == 2  # nobody of the third was let in
    used = [record for record in auth.usage.values() if record.status == "success"]
    assert len(used) == 9
    assert look.value("tokens_total", model="m", kind="prompt") == sum(record.prompt_tokens for record in used)
    assert look.value("tokens_total", model="m", kind="completion") == sum(record.completion_tokens for record in used)
    [key] = {record.api_key_id or "" for record in used if record.user_id == "id-of-default"}
    assert look.value("key_requests_total", key=key) == 3
    assert streamed == 200
    said = (SECRET, "of-default", "of-premium", "ada", "example.com", *keys.values(), running.key)
    assert not [word for word in said if word in look.text]
    assert not [who.user_id for who in auth.accounts.values() if f'"{who.user_id}"' in look.text]


async def broken(request: ProcessRequest, call: Call) -> Processed:
    raise BackendFailed("It broke.")


async def test_a_model_that_keeps_failing_shows_as_an_open_breaker(tmp_path: Path) -> None:
    failing = FakeInference("m")
    failing.answer = broken
    async with house(tmp_path, failing, retries=0) as running:
        for _ in range(3):
            assert (await shown(running)).value("breaker_open", peer="inference-0", model="m") == 0
            await running.chat()
        look = await shown(running)
    assert look.value("breaker_open", peer="inference-0", model="m") == 1
    assert look.value("workers", state="ready") == 1


async def test_a_worker_whose_report_makes_no_sense_spoils_nothing(tmp_path: Path) -> None:
    broken, well = FakeInference("m"), FakeInference("m")
    async with house(tmp_path, broken, well) as running:
        broken.report(slots=10**400)
        await running.until_seen(inference_0="lost", inference_1="ready")
        assert [status for status, _ in [await running.chat() for _ in range(3)]] == [200] * 3
        look = await shown(running)
    assert look.value("slots", model="m") == 4
    assert len(well.requests) == 3


@pytest.mark.parametrize("tokens", [10**400, -5], ids=["many", "negative"])
async def test_usage_that_cannot_be_is_not_counted(tmp_path: Path, tokens: int) -> None:
    lying = FakeInference("m")

    async def lie(request: ProcessRequest, call: Call) -> Processed:
        return replace(await echo(request, call), usage=Usage(2, tokens))

    lying.answer = lie
    async with house(tmp_path, lying, retries=0) as running:
        status, _ = await running.chat()
        await running.stream()
        look = await shown(running)
    assert status == 502
    assert look.value("tokens_total", model="m", kind="completion") == 3, "what was streamed, as the gateway counts it"
