"""Health and metrics over HTTP."""

from typing import Any

from hyperinfer.contracts.common import Health, MetricsText
from hyperinfer.errors import Draining, Forbidden
from hyperinfer.testing.gateway import FakeGateway, always

from .conftest import Serve


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
