"""`/healthz`, `/readyz` and `/metrics`: whether the process lives, whether it can serve, and what it has counted."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hyperinfer.contracts.common import HEALTH, METRICS
from hyperinfer.contracts.method import Nothing
from hyperinfer.edge.responses import json_response
from hyperinfer.kernel.calls import Caller


class HealthRoutes:
    """Health over HTTP. Metrics name models and workers, so they are there only where `metrics` says so."""

    def __init__(self, gateway: Caller, *, metrics: bool) -> None:
        self._gateway = gateway
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """The routes."""
        routes = [Route("/healthz", self.live, methods=["GET"]), Route("/readyz", self.ready, methods=["GET"])]
        return [*routes, Route("/metrics", self.metrics, methods=["GET"])] if self._metrics else routes

    async def live(self, request: Request) -> Response:
        """200 as long as the event loop turns."""
        return json_response({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """200 if requests can be answered; else 503 with the reasons."""
        health = await self._gateway.call(HEALTH, Nothing(), timeout_s=5.0)
        return json_response(health, 200 if health.status == "ready" else 503)

    async def metrics(self, request: Request) -> Response:
        """The gateway's metrics in Prometheus' text format."""
        reply = await self._gateway.call(METRICS, Nothing(), timeout_s=5.0)
        return Response(reply.text, headers={"content-type": CONTENT_TYPE_LATEST})
