"""What is shown beside `/metrics`: where Prometheus finds what, one worker at a time, and the health of all for this machine's own
commands."""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import shown
from hyperinfer.errors import DeadlineExceeded, HyperinferError
from hyperinfer.workers.metrics.collecting.collector import Collector
from hyperinfer.workers.metrics.collecting.worker import Worker
from hyperinfer.workers.metrics.service import SystemFeed

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}\Z")


class ServingRoutes:
    """The routes, over what a collector knows and what is told of it."""

    def __init__(self, collector: Collector, feed: SystemFeed) -> None:
        self._collector = collector
        self._feed = feed

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/sd", self.discovery),
            Route("/workers/{name:path}/metrics", self.worker),
            Route("/system", self.system),
        ]

    async def system(self, _: Request) -> Response:
        """The health of the swarm at the last collection, as `GET /api/admin/system` has it."""
        return json_response(shown(self._feed.now()))

    async def discovery(self, request: Request) -> Response:
        """Prometheus' HTTP service discovery: each worker as a target behind the address that was asked.

        See https://prometheus.io/docs/prometheus/latest/http_sd/.
        """
        host = request.headers.get("host", "")
        if not _HOST.match(host):
            return PlainTextResponse("Ask with a Host header that names this port.", 400)
        found = [_target(host, worker) for worker in self._collector.swarm.known.values()]
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def worker(self, request: Request) -> Response:
        """What one worker shows now."""
        name = request.path_params["name"]
        known = self._collector.swarm.known
        key = next((key for key, worker in known.items() if worker.asked.name == name), None)
        if key is None:
            return PlainTextResponse("No worker of the swarm has this name; /sd lists them.", 404)
        try:
            text = await self._collector.live(key)
        except HyperinferError as error:
            return PlainTextResponse(error.message, 504 if isinstance(error, DeadlineExceeded) else 503)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


def _target(host: str, worker: Worker) -> Mapping[str, object]:
    """A target: `instance` is the worker's name, for behind one address they would all be the same to Prometheus."""
    path = f"/workers/{quote(worker.asked.name, safe='')}/metrics"
    labels = {"__metrics_path__": path, "instance": worker.asked.name, **worker.labels}
    return {"targets": [host], "labels": labels}
