"""What Prometheus asks for beside `/metrics`: where there is what, and one worker at a time."""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hyperinfer.errors import DeadlineExceeded, HyperinferError
from hyperinfer.workers.metrics.collecting.collector import Collector
from hyperinfer.workers.metrics.collecting.worker import Worker

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}\Z")


class ServingRoutes:
    """The routes, over what a collector knows."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def routes(self) -> list[Route]:
        """All of them."""
        return [Route("/sd", self.discovery), Route("/workers/{name:path}/metrics", self.worker)]

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
