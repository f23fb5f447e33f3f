"""One request's trace through four processes: an application, a bridge, a gateway, and the workers with the models."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from hyperinfer.testing.servers.otlp import Collector, Got, collecting

from .conftest import Child, environment
from .processes import LOOPBACK, Machine, done, machine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

INTERNAL, SERVER, CLIENT = 1, 2, 3
SPAN = "b7ad6b7169203331"
CHAT = "POST /v1/chat/completions"
SECRET = "geheimnisvoll"
SLOW = {
    "HYPERINFER_INFERENCE__ECHO__TOKENS": "20",
    "HYPERINFER_INFERENCE__ECHO__TOKEN_S": "0.05",
    "HYPERINFER_INFERENCE__ECHO__SLOTS": "1",
    "HYPERINFER_AUTH__TIERS__DEFAULT__REQUESTS_PER_MINUTE": "1000",
}


@dataclass
class Place:
    """A swarm whose processes tell a collector, and a bridge before it."""

    swarm: Machine
    bridge: Child
    url: str
    collector: Collector

    def client(self, trace_id: str, *, at: str = "") -> openai.OpenAI:
        """The official client, within a trace of its application's."""
        headers = {"traceparent": f"00-{trace_id}-{SPAN}-01"}
        url = f"{at or self.url}/v1"
        return openai.OpenAI(base_url=url, api_key=self.swarm.key, default_headers=headers, max_retries=0, timeout=60)

    def trace(self, trace_id: str, count: int) -> list[Got]:
        """The spans of a trace, once there are so many."""
        return self.collector.trace(trace_id, count)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with collecting() as collector:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        names = ("auth", "inference", "inference-b", "gateway")
        with machine(tmp_path_factory.mktemp("swarm"), *names, **SLOW, **told) as swarm:
            [link, *_] = done("link", env=swarm.env).splitlines()
            net = {"HYPERINFER_COMMON__NET__BOOTSTRAP": swarm.bootstrap, **LOOPBACK, "HYPERINFER_COMMON__DRAIN_S": "2"}
            env = environment(tmp_path_factory.mktemp("outside"), **net, **told, PORT="0")
            bridge = swarm.start("bridge", "--gateway", link, env=env)
            bridge.until_ready()
            url = bridge.fact("API").removesuffix("/v1")
            swarm.until_answers(url=url)
            yield Place(swarm, bridge, url, collector)


def tree(spans: list[Got]) -> list[tuple[str, str, int, str]]:
    """Service, name, kind, and the parent's service and name."""
    names = {span.span_id: f"{span.service.removeprefix('hyperinfer-')} {span.name}" for span in spans}
    names[SPAN] = "application"
    return [(span.service.removeprefix("hyperinfer-"), span.name, span.kind, names[span.parent_id]) for span in spans]


def ask(client: openai.OpenAI, **more: Any) -> str:
    said = ""
    with client.chat.completions.create(
        model="echo", messages=[{"role": "user", "content": SECRET}], stream=True, **more
    ) as stream:
        for chunk in stream:
            said += chunk.choices[0].delta.content or "" if chunk.choices else ""
    return said


def test_a_streamed_request_through_every_process(place: Place) -> None:
    trace = "a" * 32
    assert ask(place.client(trace), max_tokens=7, temperature=0.5)
    spans = place.trace(trace, 6)
    assert tree(spans) == [
        ("client", CHAT, SERVER, "application"),
        ("client", "processInferenceRequest", CLIENT, f"client {CHAT}"),
        ("gateway", "processInferenceRequest", SERVER, "client processInferenceRequest"),
        ("gateway", "processRequest", CLIENT, "gateway processInferenceRequest"),
        ("inference", "processRequest", SERVER, "gateway processRequest"),
        ("inference", "chat echo", CLIENT, "inference processRequest"),
    ]
    assert len({span.instance for span in spans}) == 3
    model = spans[-1].attributes
    assert model["gen_ai.operation.name"] == "chat"
    assert model["gen_ai.provider.name"] == "echo"
    assert model["gen_ai.request.model"] == model["gen_ai.response.model"] == "echo"
    assert model["gen_ai.request.max_tokens"] == 7
    assert model["gen_ai.request.temperature"] == 0.5
    assert model["gen_ai.request.stream"] is True
    assert model["gen_ai.usage.output_tokens"] == 7
    assert model["gen_ai.usage.input_tokens"] > 0
    assert model["gen_ai.response.finish_reasons"] == ["length"]
    assert model["gen_ai.response.time_to_first_chunk"] > 0
    for below, above in zip(spans[1:], spans[:-1], strict=True):
        assert above.started_ns <= below.started_ns
        assert below.ended_ns <= above.ended_ns + 50_000_000


def test_one_that_waits_for_its_turn(place: Place) -> None:
    traces = ["b" * 31 + str(number) for number in range(4)]
    asking = [threading.Thread(target=ask, args=(place.client(trace, at=place.swarm.url),)) for trace in traces]
    for one in asking:
        one.start()
    for one in asking:
        one.join(60)
    place.collector.until(lambda spans: {span.trace_id for span in spans if span.name == "chat echo"} >= set(traces))
    waited = [span for span in place.collector.spans if span.trace_id in traces and span.name == "queue"]
    assert waited  # four at two workers with a slot each
    for span in waited:
        assert span.kind == INTERNAL
        assert span.ended_ns > span.started_ns


def test_one_that_its_application_gives_up(place: Place) -> None:
    trace = "c" * 32
    stream = place.client(trace).chat.completions.create(
        model="echo", messages=[{"role": "user", "content": SECRET}], stream=True
    )
    next(iter(stream))
    stream.close()
    spans = place.trace(trace, 6)
    assert {span.attributes["error.type"] for span in spans} == {"cancelled"}
    assert not any(span.failed for span in spans)


def test_one_whose_worker_is_killed(place: Place) -> None:
    """Last, as one worker is gone after it."""
    trace = "d" * 32
    with place.client(trace, at=place.swarm.url).chat.completions.create(
        model="echo", messages=[{"role": "user", "content": SECRET}], stream=True
    ) as stream:
        chunks = iter(stream)
        while not next(chunks).choices[0].delta.content:
            pass
        place.swarm.children[_worker_of_the_running(place)].kill()
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    place.collector.until(
        lambda spans: any(span.name == CHAT and span.trace_id == trace for span in spans), timeout_s=60
    )
    spans = sorted((span for span in place.collector.spans if span.trace_id == trace), key=lambda span: span.started_ns)
    attempts = [span for span in spans if span.kind == CLIENT and span.name == "processRequest"]
    assert [span.attributes["hyperinfer.attempt"] for span in attempts] == [1, 2]
    assert attempts[0].failed
    assert attempts[0].attributes["error.type"] == "PEER_LOST"
    assert attempts[1].attributes["hyperinfer.resumed"] is True
    assert not attempts[1].failed


def test_nothing_of_what_people_say_was_told(place: Place) -> None:
    told = b"".join(place.collector.bodies)
    assert place.collector.spans
    assert SECRET.encode() not in told
    assert place.swarm.key.encode() not in told
    assert str(place.swarm.home).encode() not in told


def _worker_of_the_running(place: Place) -> str:
    """The name of the worker that has a request under way."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        _, body, _ = place.swarm.call("GET", "/api/workers")
        for row in body["workers"]:
            if row["in_flight"]:
                return str(row["name"])
    raise AssertionError("nobody answers it")
