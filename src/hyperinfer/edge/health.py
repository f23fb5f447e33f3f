"""`/healthz`, `/readyz` and `/metrics`: whether the process lives, whether it can serve, and what it has counted."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from hyperinfer.contracts.common import HEALTH, METRICS, Health
from hyperinfer.contracts.method import PUBLIC, Nothing
from hyperinfer.edge.operations import Asked, Body, Group, Operation
from hyperinfer.edge.responses import json_response
from hyperinfer.edge.shapes import reply_shape, shown

TIMEOUT_S = 5.0


class Alive(Body, frozen=True, kw_only=True):
    """The process lives."""

    status: str = "alive"


async def live(asked: Asked) -> Response:
    """200 as long as the event loop turns."""
    return json_response(Alive())


async def ready(asked: Asked) -> Response:
    """200 if requests can be answered; else 503 with the reasons."""
    health = await asked.call(HEALTH, Nothing(), timeout_s=TIMEOUT_S)
    return json_response(shown(health), 200 if health.status == "ready" else 503)


async def metrics(asked: Asked) -> Response:
    """The gateway's metrics in Prometheus' text format."""
    reply = await asked.call(METRICS, Nothing(), timeout_s=TIMEOUT_S)
    return Response(reply.text, headers={"content-type": CONTENT_TYPE_LATEST})


LIVE = Operation(
    verb="GET", path="/healthz", summary="Whether the process lives", access=PUBLIC, answer=live, replies=(Alive,)
)
READY = Operation(
    verb="GET",
    path="/readyz",
    summary="Whether requests can be answered, and why not",
    access=PUBLIC,
    answer=ready,
    replies=(reply_shape(Health),),
    also={503: reply_shape(Health)},
)
METERS = Operation(
    verb="GET",
    path="/metrics",
    summary="What has been counted, for Prometheus",
    access=PUBLIC,
    answer=metrics,
    media=("text/plain",),
)


def group(*, show_metrics: bool) -> Group:
    """Health over HTTP. Metrics name models and workers, so they are there only where they may be shown."""
    return Group("Health", (LIVE, READY, METERS) if show_metrics else (LIVE, READY))
